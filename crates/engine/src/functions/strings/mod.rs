//! Texts and bytes: quoting, formatting, patterns.

mod alike;
pub(crate) mod csv;
mod format;
mod growing;
mod patterns;
mod plain;
mod replaced;

pub(crate) use plain::{ident as quoted_name, is_reserved, literal as quoted_literal};

use super::function::{Function, Gives, Kind as K, function, way, way_rest};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "quote_ident",
        "quote_ident(text)",
        "A name, in quotes when it needs them.",
        &[way(&[K::Text], Gives::Text, plain::quote_ident)],
    ),
    function(
        "quote_literal",
        "quote_literal(value)",
        "A value as a literal.",
        &[way(&[K::Any], Gives::Text, plain::quote_literal)],
    ),
    function(
        "quote_nullable",
        "quote_nullable(value)",
        "A value as a literal, or NULL.",
        &[way(&[K::Any], Gives::Text, plain::quote_nullable)],
    ),
    function(
        "format",
        "format(pattern, value, …)",
        "A text in which %s, %I and %L stand for values.",
        &[way_rest(&[K::Text], K::Any, Gives::Text, format::format)],
    ),
    function(
        "concat",
        "concat(value, …)",
        "The texts of values, one behind the other; NULLs are passed over.",
        &[way_rest(&[K::Any], K::Any, Gives::Text, format::concat)],
    ),
    function(
        "concat_ws",
        "concat_ws(separator, value, …)",
        "The texts of values with a separator between them; NULLs are passed over.",
        &[way_rest(&[K::Text], K::Any, Gives::Text, format::concat_ws)],
    ),
    function(
        "repeat",
        "repeat(text, times)",
        "A text so many times in a row.",
        &[way(&[K::Text, K::Int8], Gives::Text, growing::repeat)],
    ),
    function(
        "lpad",
        "lpad(text, length[, fill])",
        "A text filled up on its left to a number of characters, or cut to it.",
        &[
            way(&[K::Text, K::Int8], Gives::Text, |call| growing::pad(call, growing::Side::Left)),
            way(&[K::Text, K::Int8, K::Text], Gives::Text, |call| growing::pad(call, growing::Side::Left)),
        ],
    ),
    function(
        "rpad",
        "rpad(text, length[, fill])",
        "A text filled up on its right to a number of characters, or cut to it.",
        &[
            way(&[K::Text, K::Int8], Gives::Text, |call| growing::pad(call, growing::Side::Right)),
            way(&[K::Text, K::Int8, K::Text], Gives::Text, |call| growing::pad(call, growing::Side::Right)),
        ],
    ),
    function(
        "replace",
        "replace(text, from, to)",
        "A text in which every occurrence of one is replaced by another.",
        &[way(&[K::Text, K::Text, K::Text], Gives::Text, growing::replace)],
    ),
    function(
        "unistr",
        "unistr(text)",
        "A text in which \\XXXX and \\+XXXXXX are characters.",
        &[way(&[K::Text], Gives::Text, plain::unistr)],
    ),
    function(
        "convert_from",
        "convert_from(bytes, encoding)",
        "Bytes as text.",
        &[way(&[K::Bytes, K::Text], Gives::Text, plain::convert_from)],
    ),
    function(
        "convert_to",
        "convert_to(text, encoding)",
        "A text as bytes.",
        &[way(&[K::Text, K::Text], Gives::Bytes, plain::convert_to)],
    ),
    function(
        "encode",
        "encode(bytes, format)",
        "Bytes as text: in hex, base64 or escape.",
        &[way(&[K::Bytes, K::Text], Gives::Text, plain::encode)],
    ),
    function("polder_byte_length", "", "", &[way(&[K::Bytes], Gives::Int4, plain::byte_length)]),
    function(
        "to_hex",
        "to_hex(number)",
        "A whole number in base 16.",
        &[way(&[K::Int4], Gives::Text, plain::to_hex_int4), way(&[K::Int8], Gives::Text, plain::to_hex_int8)],
    ),
    function("chr", "chr(code)", "The character of a code.", &[way(&[K::Int8], Gives::Text, plain::chr)]),
    function(
        "split_part",
        "split_part(text, delimiter, n)",
        "The n-th part of a text; negative numbers count from the end.",
        &[way(&[K::Text, K::Text, K::Int8], Gives::Text, plain::split_part)],
    ),
    Function {
        aliases: &["substring"],
        ..function(
            "substr",
            "substr(text, start[, length]) or substring(text FROM pattern)",
            "A part of a text, by its place or by a regular expression.",
            &[
                way(&[K::Text, K::Int8], Gives::Text, plain::substr),
                way(&[K::Text, K::Int8, K::Int8], Gives::Text, plain::substr),
                way(&[K::Bytes, K::Int8], Gives::Bytes, plain::subbytes),
                way(&[K::Bytes, K::Int8, K::Int8], Gives::Bytes, plain::subbytes),
                way(&[K::Text, K::Text], Gives::Text, patterns::substring),
                way(&[K::Text, K::Text, K::Text], Gives::Text, patterns::substring_similar),
            ],
        )
    },
    function(
        "parse_ident",
        "parse_ident(text)",
        "The parts of a qualified name.",
        &[way(&[K::Text], Gives::TextArray, plain::parse_ident)],
    ),
    function(
        "get_byte",
        "get_byte(bytes, n)",
        "A byte, counted from 0.",
        &[way(&[K::Bytes, K::Int8], Gives::Int4, plain::get_byte)],
    ),
    function(
        "set_byte",
        "set_byte(bytes, n, value)",
        "Bytes with another value for one of them.",
        &[way(&[K::Bytes, K::Int8, K::Int8], Gives::Bytes, plain::set_byte)],
    ),
    function(
        "regexp_split_to_array",
        "regexp_split_to_array(text, pattern[, flags])",
        "The parts of a text between the matches of a regular expression.",
        &[
            way(&[K::Text, K::Text], Gives::TextArray, patterns::split),
            way(&[K::Text, K::Text, K::Text], Gives::TextArray, patterns::split),
        ],
    ),
    function(
        "regexp_substr",
        "regexp_substr(text, pattern[, start[, n[, flags]]])",
        "The n-th match of a regular expression.",
        &[
            way(&[K::Text, K::Text], Gives::Text, patterns::substr),
            way(&[K::Text, K::Text, K::Int8], Gives::Text, patterns::substr),
            way(&[K::Text, K::Text, K::Int8, K::Int8], Gives::Text, patterns::substr),
            way(&[K::Text, K::Text, K::Int8, K::Int8, K::Text], Gives::Text, patterns::substr),
        ],
    ),
    function(
        "regexp_match",
        "regexp_match(text, pattern[, flags])",
        "What the groups of a regular expression match, or all that it matches where it has none; NULL when it does not.",
        &[
            way(&[K::Text, K::Text], Gives::TextArray, patterns::first_match),
            way(&[K::Text, K::Text, K::Text], Gives::TextArray, patterns::first_match),
        ],
    ),
    function(
        "polder_regexp_matches",
        "",
        "",
        &[
            way(&[K::Text, K::Text], Gives::Type(patterns::lists_of_texts), patterns::matches),
            way(&[K::Text, K::Text, K::Text], Gives::Type(patterns::lists_of_texts), patterns::matches),
        ],
    ),
    function(
        "polder_regexp_replace",
        "",
        "",
        &[
            way(&[K::Text, K::Text, K::Text], Gives::Text, replaced::replace_by_flags),
            way(&[K::Text, K::Text, K::Text, K::Text], Gives::Text, replaced::replace_by_flags),
            way(&[K::Text, K::Text, K::Text, K::Int8], Gives::Text, replaced::replace),
            way(&[K::Text, K::Text, K::Text, K::Int8, K::Int8], Gives::Text, replaced::replace),
            way(&[K::Text, K::Text, K::Text, K::Int8, K::Int8, K::Text], Gives::Text, replaced::replace),
        ],
    ),
    function("polder_like_pattern", "", "", &[way(&[K::Text, K::Text], Gives::Text, patterns::like_pattern)]),
    function("polder_similar_pattern", "", "", &[way(&[K::Text, K::Text], Gives::Text, patterns::similar_pattern)]),
    function("polder_csv_cell", "", "", &[way(&[K::Text, K::Text], Gives::Text, csv::cell)]),
    function("polder_same", "", "", &[way(&[K::Any, K::Text], Gives::Argument(0), plain::same)]),
    function("polder_null_if", "", "", &[way(&[K::Any, K::Any], Gives::Argument(0), alike::null_if)]),
    function("polder_there", "", "", &[way(&[K::Any, K::Text, K::Text], Gives::Argument(0), plain::there)]),
    function("polder_text", "", "", &[way(&[K::Any], Gives::Text, plain::text)]),
];
