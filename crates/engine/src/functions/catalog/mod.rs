//! Functions about the catalog and the session: what PostgreSQL's clients call beside the tables of `pg_catalog`.

mod definitions;
mod privileges;
pub(crate) mod references;
mod session;
mod sizes;
mod vectors;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::function::{Call, Function, Gives, Kind as K, Overload, function, way};
use crate::system::pg_catalog::World;
use crate::system::pg_catalog::directory::Relation;
use definitions as d;
use privileges as p;
use session as s;

/// A function that gives the same all through a statement.
const fn stable(
    name: &'static str,
    syntax: &'static str,
    description: &'static str,
    overloads: &'static [Overload],
) -> Function {
    Function { volatility: Volatility::Stable, ..function(name, syntax, description, overloads) }
}

/// A function that does something each time.
const fn volatile(
    name: &'static str,
    syntax: &'static str,
    description: &'static str,
    overloads: &'static [Overload],
) -> Function {
    Function { volatility: Volatility::Volatile, ..function(name, syntax, description, overloads) }
}

/// A function of a relation, named or by its object id.
macro_rules! of_relation {
    ($name:literal, $argument:literal, $description:literal, $gives:expr, $run:expr) => {
        stable(
            $name,
            concat!($name, "(", $argument, ")"),
            $description,
            &[way(&[K::Int8], $gives, $run), way(&[K::Text], $gives, $run)],
        )
    };
}

/// A function of an object id, which may be asked for in a short form too.
macro_rules! of_oid {
    ($name:literal, $argument:literal, $description:literal, $run:expr) => {
        stable(
            $name,
            concat!($name, "(", $argument, "[, short])"),
            $description,
            &[way(&[K::Int8], Gives::Text, $run), way(&[K::Int8, K::Bool], Gives::Text, $run)],
        )
    };
}

/// Whether something of a kind is found without its schema: what there is of it is.
macro_rules! visible {
    ($name:literal, $what:literal) => {
        stable(
            $name,
            concat!($name, "(oid)"),
            concat!("Whether ", $what, " is found without its schema: all are."),
            &[way(&[K::Int8], Gives::Bool, s::always)],
        )
    };
}

/// Whether somebody may do something: of the session's user, or of another one who is named first.
macro_rules! privilege {
    ($name:literal, $what:literal, [$($takes:expr),*], $run:expr) => {
        stable(
            $name,
            concat!($name, "([user, ]", $what, ", privilege)"),
            concat!("Whether somebody has a right on a ", $what, "."),
            &[
                way(&[$($takes,)* K::Text], Gives::Bool, $run),
                way(&[K::Any, $($takes,)* K::Text], Gives::Bool, $run),
            ],
        )
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    stable(
        "version",
        "version()",
        "The version of PostgreSQL that is spoken, and that of Polder.",
        &[way(&[], Gives::Text, s::version)],
    ),
    stable("current_user", "current_user", "Who runs the statement.", &[way(&[], Gives::Name, s::user)]),
    stable("session_user", "session_user", "Who has logged in.", &[way(&[], Gives::Name, s::session_user)]),
    stable(
        "current_schemas",
        "current_schemas(system)",
        "The schemas in which names are looked for; with true the system's too.",
        &[way(&[K::Bool], Gives::TextArray, s::schemas)],
    ),
    stable(
        "current_setting",
        "current_setting(name[, missing_ok])",
        "The value of a setting.",
        &[way(&[K::Text], Gives::Text, s::setting), way(&[K::Text, K::Bool], Gives::Text, s::setting)],
    ),
    stable(
        "acldefault",
        "acldefault(kind, owner)",
        "What is granted on a thing of a kind as long as nobody has said otherwise.",
        &[way(&[K::Text, K::Int8], Gives::TextArray, p::usual_grants)],
    ),
    stable(
        "set_config",
        "set_config(name, value, is_local)",
        "Sets, as a column of a SELECT; with true until the transaction ends. Gives what is set.",
        &[way(&[K::Text, K::Text, K::Bool], Gives::Text, s::set_config)],
    ),
    stable(
        "pg_backend_pid",
        "pg_backend_pid()",
        "The number of the session, as its client was told; without one, that of the server's process.",
        &[way(&[], Gives::Int4, s::process)],
    ),
    volatile(
        "pg_cancel_backend",
        "pg_cancel_backend(number)",
        "Cancels what the session of this number runs. False if there is none.",
        &[way(&[K::Int8], Gives::Bool, s::cancel)],
    ),
    volatile(
        "pg_terminate_backend",
        "pg_terminate_backend(number[, timeout])",
        "Ends the session of this number. False if there is none.",
        &[way(&[K::Int8], Gives::Bool, s::terminate), way(&[K::Int8, K::Int8], Gives::Bool, s::terminate)],
    ),
    stable(
        "pg_is_in_recovery",
        "pg_is_in_recovery()",
        "False: there is no standby.",
        &[way(&[], Gives::Bool, s::never)],
    ),
    stable(
        "pg_postmaster_start_time",
        "pg_postmaster_start_time()",
        "When the server was started.",
        &[way(&[], Gives::TimestampTz, s::started)],
    ),
    stable(
        "txid_current",
        "txid_current()",
        "The version of the lake that is read.",
        &[way(&[], Gives::Int8, s::version_read)],
    ),
    stable(
        "pg_advisory_unlock_all",
        "pg_advisory_unlock_all()",
        "Nothing: there are no locks to be given back.",
        &[way(&[], Gives::Text, s::nothing)],
    ),
    stable(
        "inet_server_addr",
        "inet_server_addr()",
        "NULL: addresses are not told.",
        &[way(&[], Gives::Text, s::nothing)],
    ),
    stable("inet_server_port", "inet_server_port()", "NULL: ports are not told.", &[way(&[], Gives::Int4, s::nothing)]),
    stable(
        "inet_client_addr",
        "inet_client_addr()",
        "NULL: addresses are not told.",
        &[way(&[], Gives::Text, s::nothing)],
    ),
    stable("inet_client_port", "inet_client_port()", "NULL: ports are not told.", &[way(&[], Gives::Int4, s::nothing)]),
    stable(
        "pg_encoding_to_char",
        "pg_encoding_to_char(number)",
        "The name of an encoding; UTF8 is the only one.",
        &[way(&[K::Int8], Gives::Name, s::encoding)],
    ),
    stable(
        "pg_char_to_encoding",
        "pg_char_to_encoding(name)",
        "The number of an encoding; -1: it is none of ours.",
        &[way(&[K::Text], Gives::Int4, s::encoding_number)],
    ),
    stable("pg_client_encoding", "pg_client_encoding()", "UTF8.", &[way(&[], Gives::Name, s::utf8)]),
    stable("getdatabaseencoding", "getdatabaseencoding()", "UTF8.", &[way(&[], Gives::Name, s::utf8)]),
    stable("pg_get_userbyid", "pg_get_userbyid(oid)", "The name of a role.", &[way(&[K::Int8], Gives::Name, s::role)]),
    stable(
        "pg_my_temp_schema",
        "pg_my_temp_schema()",
        "0: there are no temporary tables.",
        &[way(&[], Gives::Oid("oid"), s::none)],
    ),
    stable(
        "pg_is_other_temp_schema",
        "pg_is_other_temp_schema(oid)",
        "False: there are no temporary tables.",
        &[way(&[K::Int8], Gives::Bool, s::never)],
    ),
    stable(
        "format_type",
        "format_type(oid, modifier)",
        "A type as SQL writes it.",
        &[way(&[K::Int8, K::Int8], Gives::Text, d::format_type)],
    ),
    stable(
        "pg_get_expr",
        "pg_get_expr(expression, relation[, short])",
        "An expression of the catalog as SQL.",
        &[
            way(&[K::Text, K::Int8], Gives::Text, d::expression),
            way(&[K::Text, K::Int8, K::Bool], Gives::Text, d::expression),
        ],
    ),
    stable(
        "pg_get_indexdef",
        "pg_get_indexdef(index[, column, short])",
        "The statement that makes an index, or one of its columns.",
        &[way(&[K::Int8], Gives::Text, d::index), way(&[K::Int8, K::Int8, K::Bool], Gives::Text, d::index)],
    ),
    of_oid!("pg_get_constraintdef", "constraint", "The definition of a constraint.", d::constraint),
    stable(
        "pg_get_viewdef",
        "pg_get_viewdef(view[, short])",
        "The query of a view.",
        &[
            way(&[K::Int8], Gives::Text, d::view),
            way(&[K::Text], Gives::Text, d::view),
            way(&[K::Int8, K::Any], Gives::Text, d::view),
            way(&[K::Text, K::Any], Gives::Text, d::view),
        ],
    ),
    of_oid!("pg_get_ruledef", "rule", "NULL: there are no rules but those of views.", d::nothing),
    of_oid!("pg_get_triggerdef", "trigger", "NULL: there are no triggers.", d::nothing),
    of_oid!("pg_get_partkeydef", "table", "NULL: partitions are a matter of files here.", d::nothing),
    of_oid!("pg_get_partition_constraintdef", "table", "NULL: partitions are a matter of files here.", d::nothing),
    of_oid!("pg_get_statisticsobjdef", "statistics", "NULL: there are no such statistics.", d::nothing),
    of_oid!("pg_get_statisticsobjdef_columns", "statistics", "NULL: there are no such statistics.", d::nothing),
    of_oid!("pg_get_functiondef", "function", "The statement that makes a function anew.", d::function),
    of_oid!("pg_get_function_arguments", "function", "The arguments of a function, with their defaults.", d::arguments),
    of_oid!("pg_get_function_identity_arguments", "function", "The arguments of a function.", d::own_arguments),
    of_oid!("pg_get_function_sqlbody", "function", "NULL: the text of a function is in `pg_proc.prosrc`.", s::nothing),
    of_oid!("pg_get_function_result", "function", "What a function gives.", d::result),
    stable(
        "pg_get_serial_sequence",
        "pg_get_serial_sequence(table, column)",
        "The sequence of an identity.",
        &[way(&[K::Text, K::Text], Gives::Text, d::sequence)],
    ),
    stable(
        "obj_description",
        "obj_description(oid[, table of the catalog])",
        "The comment on a table, view, index, constraint or schema, or what a function, operator or type of the system does.",
        &[way(&[K::Int8], Gives::Text, d::comment), way(&[K::Int8, K::Text], Gives::Text, d::comment)],
    ),
    stable(
        "col_description",
        "col_description(table, column)",
        "The comment on a column.",
        &[way(&[K::Int8, K::Int8], Gives::Text, d::column_comment)],
    ),
    stable(
        "shobj_description",
        "shobj_description(oid, table of the catalog)",
        "NULL: databases and roles have no comments.",
        &[way(&[K::Int8, K::Text], Gives::Text, d::nothing)],
    ),
    stable(
        "pg_table_is_visible",
        "pg_table_is_visible(oid)",
        "Whether a relation is found without its schema.",
        &[way(&[K::Int8], Gives::Bool, d::visible)],
    ),
    stable(
        "pg_type_is_visible",
        "pg_type_is_visible(oid)",
        "Whether a type is found without its schema.",
        &[way(&[K::Int8], Gives::Bool, d::visible_type)],
    ),
    visible!("pg_collation_is_visible", "a collation"),
    visible!("pg_conversion_is_visible", "a conversion"),
    visible!("pg_operator_is_visible", "an operator"),
    visible!("pg_opclass_is_visible", "an operator class"),
    visible!("pg_opfamily_is_visible", "an operator family"),
    visible!("pg_statistics_obj_is_visible", "an object of statistics"),
    visible!("pg_ts_config_is_visible", "a configuration of text search"),
    visible!("pg_ts_dict_is_visible", "a dictionary of text search"),
    visible!("pg_ts_parser_is_visible", "a parser of text search"),
    visible!("pg_ts_template_is_visible", "a template of text search"),
    stable(
        "pg_function_is_visible",
        "pg_function_is_visible(oid)",
        "Whether a function is found without its schema.",
        &[way(&[K::Int8], Gives::Bool, d::visible_function)],
    ),
    stable(
        "pg_tablespace_location",
        "pg_tablespace_location(oid)",
        "NULL: all files are in the directory or bucket of the lake.",
        &[way(&[K::Int8], Gives::Text, d::nothing)],
    ),
    of_relation!("pg_relation_is_publishable", "table", "Whether a relation is a table.", Gives::Bool, d::publishable),
    of_relation!("pg_relation_filenode", "relation", "The number of a relation.", Gives::Oid("oid"), d::number),
    of_relation!("pg_relation_size", "relation", "Bytes of a table's data files.", Gives::Int8, sizes::files),
    of_relation!("pg_table_size", "table", "Bytes of a table's data files.", Gives::Int8, sizes::files),
    of_relation!("pg_total_relation_size", "table", "Bytes of a table's data files.", Gives::Int8, sizes::files),
    of_relation!("pg_indexes_size", "table", "0: indexes are parts of the data files.", Gives::Int8, sizes::of_indexes),
    stable(
        "pg_tablespace_size",
        "pg_tablespace_size(tablespace)",
        "Bytes of all tables' data files.",
        &[way(&[K::Int8], Gives::Int8, sizes::all), way(&[K::Text], Gives::Int8, sizes::all)],
    ),
    stable(
        "pg_database_size",
        "pg_database_size(database)",
        "Bytes of all tables' data files.",
        &[way(&[K::Int8], Gives::Int8, sizes::all), way(&[K::Text], Gives::Int8, sizes::all)],
    ),
    function(
        "pg_size_pretty",
        "pg_size_pretty(bytes)",
        "A number of bytes with a unit.",
        &[way(&[K::Int8], Gives::Text, sizes::pretty), way(&[K::Numeric], Gives::Text, sizes::pretty_number)],
    ),
    privilege!("has_table_privilege", "table", [K::Any], p::table),
    privilege!("has_any_column_privilege", "table", [K::Any], p::any_column),
    privilege!("has_column_privilege", "table, column", [K::Any, K::Any], p::column),
    privilege!("has_schema_privilege", "schema", [K::Any], p::schema),
    privilege!("has_database_privilege", "database", [K::Any], p::database),
    privilege!("has_function_privilege", "function", [K::Any], p::function),
    privilege!("has_topic_privilege", "topic", [K::Any], p::topic),
    privilege!("has_sequence_privilege", "sequence", [K::Any], p::sequence),
    privilege!("has_language_privilege", "language", [K::Any], p::languages),
    privilege!("has_tablespace_privilege", "tablespace", [K::Any], p::tablespaces),
    privilege!("has_type_privilege", "type", [K::Any], p::data_types),
    privilege!("has_foreign_data_wrapper_privilege", "wrapper", [K::Any], p::wrappers),
    privilege!("has_server_privilege", "server", [K::Any], p::servers),
    privilege!("has_parameter_privilege", "parameter", [K::Text], p::parameters),
    privilege!("pg_has_role", "role", [K::Any], p::role),
    of_relation!(
        "row_security_active",
        "table",
        "Whether row policies of a table bind whoever asks.",
        Gives::Bool,
        p::row_security
    ),
    function("polder_vector_text", "", "", &[way(&[K::IntArray], Gives::Text, vectors::text)]),
    function("polder_option_names", "", "", &[way(&[K::TextArray], Gives::TextArray, vectors::option_names)]),
    function("polder_option_values", "", "", &[way(&[K::TextArray], Gives::TextArray, vectors::option_values)]),
    function("polder_expand", "", "", &[way(&[K::IntArray], Gives::Type(vectors::pairs_type), vectors::pairs)]),
];

/// A text for each object id in the first argument.
fn texts_of_oids(call: &Call<'_>, mut text: impl FnMut(&World, i64) -> Result<Option<String>>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let numbers = call.primitive::<Int64Type>(0);
    call.texts(|row| text(world, numbers.value(row)))
}

/// True or false for each object id in the first argument; NULL when there is no such thing.
fn bools_of_oids(call: &Call<'_>, mut value: impl FnMut(&World, i64) -> Option<bool>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let numbers = call.primitive::<Int64Type>(0);
    call.bools(|row| Ok(value(world, numbers.value(row))))
}

/// The object id that the first argument means in a row: a number, or the name of a relation.
///
/// # Errors
/// 42P01 when there is no such relation.
fn named_or_number(call: &Call<'_>, world: &World, row: usize) -> Result<i64> {
    match call.arrays[0].data_type() {
        arrow::datatypes::DataType::Int64 => Ok(call.primitive::<Int64Type>(0).value(row)),
        _ => references::relation(world, call.text(0).value(row)),
    }
}

/// The relation that the first argument means in a row; none for a number that no relation has.
fn relation_of<'a>(call: &Call<'_>, world: &'a World, row: usize) -> Result<Option<&'a Relation>> {
    Ok(world.directory().relation(named_or_number(call, world, row)?))
}
