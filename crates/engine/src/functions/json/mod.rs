//! JSON: text, which for `jsonb` is in the form that it writes, and for `json` as it was spelled.

mod build;
mod edit;
mod look;
mod spell;

use datafusion::common::{DataFusionError, Result};
use polder_kernels::json::Json;

use super::function::{Function, Gives, Kind as K, function, way, way_rest};

/// # Errors
/// 22P02 for what is no JSON.
fn parse(text: &str) -> Result<Json> {
    Json::parse(text).map_err(|error| DataFusionError::External(Box::new(error)))
}

/// JSON in the form in which it is kept.
///
/// # Errors
/// 22P02 for what is no JSON.
pub(crate) fn normalised(text: &str) -> Result<String> {
    parse(text).map(|json| json.to_string())
}

const TEXTS: Gives = Gives::TextArray;
const SPELLED: Gives = Gives::SpelledJson;
const LIST: Gives = Gives::JsonArray;

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "polder_json_get",
        "",
        "",
        &[
            way(&[K::Text, K::Int8], Gives::Json, look::get_element),
            way(&[K::Text, K::Text], Gives::Json, look::get_key),
        ],
    ),
    function(
        "polder_json_get_text",
        "",
        "",
        &[
            way(&[K::Text, K::Int8], Gives::Text, look::get_element_text),
            way(&[K::Text, K::Text], Gives::Text, look::get_key_text),
        ],
    ),
    function("polder_json_path", "", "", &[way(&[K::Text, K::TextArray], Gives::Json, look::path)]),
    function("polder_json_path_text", "", "", &[way(&[K::Text, K::TextArray], Gives::Text, look::path_text)]),
    function("polder_json_has", "", "", &[way(&[K::Text, K::Text], Gives::Bool, look::has)]),
    function("polder_json_has_any", "", "", &[way(&[K::Text, K::TextArray], Gives::Bool, look::has_any)]),
    function("polder_json_has_all", "", "", &[way(&[K::Text, K::TextArray], Gives::Bool, look::has_all)]),
    function("polder_json_contains", "", "", &[way(&[K::Text, K::Text], Gives::Bool, look::contains)]),
    function("polder_json_order", "", "", &[way(&[K::Text], Gives::Bytes, look::sort_key)]),
    function("polder_json_concat", "", "", &[way(&[K::Text, K::Text], Gives::Json, edit::concat)]),
    function(
        "polder_json_without",
        "",
        "",
        &[
            way(&[K::Text, K::Int8], Gives::Json, edit::without_element),
            way(&[K::Text, K::Text], Gives::Json, edit::without_key),
            way(&[K::Text, K::TextArray], Gives::Json, edit::without_keys),
        ],
    ),
    function("polder_json_without_path", "", "", &[way(&[K::Text, K::TextArray], Gives::Json, edit::without_path)]),
    Function {
        aliases: &["jsonb_typeof"],
        ..function(
            "json_typeof",
            "json_typeof(json)",
            "object, array, string, number, boolean or null.",
            &[way(&[K::Text], Gives::Text, look::kind)],
        )
    },
    Function {
        aliases: &["jsonb_array_length"],
        ..function(
            "json_array_length",
            "json_array_length(json)",
            "How many elements an array has.",
            &[way(&[K::Text], Gives::Int4, look::array_length)],
        )
    },
    function("polder_json_object_keys", "", "", &[way(&[K::Text], TEXTS, look::object_keys)]),
    function("polder_json_elements", "", "", &[way(&[K::Text], LIST, look::elements)]),
    function("polder_json_elements_text", "", "", &[way(&[K::Text], TEXTS, look::elements_text)]),
    function("polder_json_values", "", "", &[way(&[K::Text], LIST, look::values)]),
    function("polder_json_values_text", "", "", &[way(&[K::Text], TEXTS, look::values_text)]),
    Function {
        aliases: &["jsonb_extract_path"],
        ..function(
            "json_extract_path",
            "json_extract_path(json, step, …)",
            "What lies at the end of a path of keys and indexes.",
            &[way_rest(&[K::Text], K::Text, Gives::Json, look::extract)],
        )
    },
    Function {
        aliases: &["jsonb_extract_path_text"],
        ..function(
            "json_extract_path_text",
            "json_extract_path_text(json, step, …)",
            "What lies at the end of a path, as text.",
            &[way_rest(&[K::Text], K::Text, Gives::Text, look::extract_text)],
        )
    },
    function("to_jsonb", "to_jsonb(value)", "Any value as JSON.", &[way(&[K::Any], Gives::Json, build::to_json)]),
    function("to_json", "to_json(value)", "Any value as JSON.", &[way(&[K::Any], SPELLED, spell::value)]),
    Function {
        aliases: &["array_to_json"],
        ..function(
            "row_to_json",
            "row_to_json(row[, pretty])",
            "A row as a JSON object, on several lines if it is to be pretty.",
            &[way(&[K::Any], SPELLED, spell::value), way(&[K::Any, K::Bool], SPELLED, spell::pretty)],
        )
    },
    function(
        "jsonb_build_object",
        "jsonb_build_object(key, value, …)",
        "An object of keys and values.",
        &[way_rest(&[], K::Any, Gives::Json, build::object)],
    ),
    function(
        "json_build_object",
        "json_build_object(key, value, …)",
        "An object of keys and values, in their order.",
        &[way_rest(&[], K::Any, SPELLED, spell::object)],
    ),
    function(
        "jsonb_build_array",
        "jsonb_build_array(value, …)",
        "An array of values.",
        &[way_rest(&[], K::Any, Gives::Json, build::array)],
    ),
    function(
        "json_build_array",
        "json_build_array(value, …)",
        "An array of values.",
        &[way_rest(&[], K::Any, SPELLED, spell::array)],
    ),
    function(
        "jsonb_object",
        "jsonb_object(texts) or jsonb_object(keys, values)",
        "An object of texts.",
        &[
            way(&[K::TextArray], Gives::Json, build::object_of_pairs),
            way(&[K::TextArray, K::TextArray], Gives::Json, build::object_of_lists),
        ],
    ),
    function(
        "json_object",
        "json_object(texts) or json_object(keys, values)",
        "An object of texts, in their order.",
        &[
            way(&[K::TextArray], SPELLED, spell::object_of_pairs),
            way(&[K::TextArray, K::TextArray], SPELLED, spell::object_of_lists),
        ],
    ),
    Function {
        aliases: &["json_strip_nulls"],
        ..function(
            "jsonb_strip_nulls",
            "jsonb_strip_nulls(json)",
            "JSON without the keys whose value is null.",
            &[way(&[K::Text], Gives::Json, edit::strip_nulls)],
        )
    },
    function(
        "jsonb_pretty",
        "jsonb_pretty(json)",
        "JSON over several lines.",
        &[way(&[K::Text], Gives::Text, look::pretty)],
    ),
    function(
        "jsonb_set",
        "jsonb_set(json, path, value[, create])",
        "JSON with another value at the end of a path.",
        &[
            way(&[K::Text, K::TextArray, K::Text], Gives::Json, edit::set),
            way(&[K::Text, K::TextArray, K::Text, K::Bool], Gives::Json, edit::set),
        ],
    ),
    function(
        "jsonb_insert",
        "jsonb_insert(json, path, value[, after])",
        "JSON with a value put in at a path.",
        &[
            way(&[K::Text, K::TextArray, K::Text], Gives::Json, edit::insert),
            way(&[K::Text, K::TextArray, K::Text, K::Bool], Gives::Json, edit::insert),
        ],
    ),
    function(
        "jsonb_exists",
        "jsonb_exists(json, key)",
        "Whether an object has a key, or an array a text; as ? does.",
        &[way(&[K::Text, K::Text], Gives::Bool, look::has)],
    ),
    function(
        "jsonb_contains",
        "jsonb_contains(json, json)",
        "Whether JSON has all of another; as @> does.",
        &[way(&[K::Text, K::Text], Gives::Bool, look::contains)],
    ),
    function("polder_jsonb_group", "", "", &[way(&[K::Array], Gives::Json, build::group)]),
    function("polder_json_group", "", "", &[way(&[K::Array], SPELLED, spell::group)]),
    function("polder_jsonb_group_object", "", "", &[way(&[K::Array, K::Array], Gives::Json, build::group_object)]),
    function("polder_json_group_object", "", "", &[way(&[K::Array, K::Array], SPELLED, spell::group_object)]),
];
