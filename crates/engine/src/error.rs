//! DataFusion's errors in words for people: what, where, what next.

mod planning;

use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use polder_types::{Error, ErrorKind};

use crate::limits::NAME_IN_ERRORS;
use crate::rewrite::outer_names::OUTER;

/// Columns that PostgreSQL has in each table, and nobody has made. DuckDB names the rows by them that it changes.
const OF_THE_SYSTEM: [&str; 5] = ["ctid", "xmin", "xmax", "cmin", "cmax"];

/// Any error of planning or running a statement.
pub(crate) fn from_datafusion(error: DataFusionError) -> Error {
    let position = error.diagnostic().and_then(|diagnostic| diagnostic.span).map(|span| span.start);
    let mapped = map(&error);
    match position {
        Some(start) if mapped.position().is_none() && start.line > 0 => mapped.at(start.line, start.column),
        _ => mapped,
    }
}

fn map(error: &DataFusionError) -> Error {
    // An error of ours, or of a file, may stand anywhere below.
    if let Some(inner) = find_ours(error) {
        return inner;
    }
    if let Some(file) = polder_lake::explain_file_error(error) {
        return file;
    }
    let root = error.find_root();
    let text = clean(&root.strip_backtrace());
    if text.contains("regex parse error") {
        let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        return Error::invalid(format!("invalid regular expression: {what}")).with_code("2201B");
    }
    match root {
        DataFusionError::SQL(parser, _) => from_parser(parser),
        DataFusionError::SchemaError(schema, _) => from_schema(schema, text),
        DataFusionError::ResourcesExhausted(_) if text.contains(NAME_IN_ERRORS) => {
            Error::new(ErrorKind::Exhausted, text)
                .with_code("53400")
                .with_hint("filter or aggregate earlier, or have statement_memory raised")
        }
        DataFusionError::ResourcesExhausted(_) => Error::new(ErrorKind::Exhausted, text)
            .with_code("53200")
            .with_hint("filter or aggregate earlier, or give the server more memory with --memory"),
        DataFusionError::NotImplemented(_) => planning::recognise(&text).unwrap_or_else(|| Error::unsupported(text)),
        DataFusionError::ArrowError(arrow, _) => from_arrow(arrow, text),
        DataFusionError::Plan(_) => from_plan(text),
        DataFusionError::Execution(_) => planning::recognise(&text).unwrap_or_else(|| Error::invalid(text)),
        DataFusionError::Configuration(_) => Error::invalid(text).with_code("42704"),
        DataFusionError::IoError(io) if io.kind() == std::io::ErrorKind::StorageFull => {
            Error::new(ErrorKind::Exhausted, text).with_code("53100").with_hint("free some disk space and try again")
        }
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => map(first),
            None => Error::internal(text),
        },
        _ => Error::internal(text),
    }
}

/// Our own error, wrapped on its way through a plan.
fn find_ours(error: &DataFusionError) -> Option<Error> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(ours) = current.downcast_ref::<Error>() {
            return Some(copy(ours));
        }
        if let Some(DataFusionError::External(boxed)) = current.downcast_ref::<DataFusionError>()
            && let Some(ours) = boxed.downcast_ref::<Error>()
        {
            return Some(copy(ours));
        }
        source = current.source();
    }
    None
}

/// An error of ours on its way through a plan.
pub(crate) fn into_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The parts of an error that a caller sees, as a new error.
pub(crate) fn copy(error: &Error) -> Error {
    error.copy()
}

/// Messages start in lower case and end without a full stop.
fn clean(text: &str) -> String {
    let mut text = text.trim();
    for prefix in [
        "Error during planning: ",
        "Execution error: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Arrow error: ",
        "Internal error: ",
        "Optimizer rule ",
        "Invalid or Unsupported Configuration: ",
        "Resources exhausted: ",
        "External error: ",
        "SQL error: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.trim_end_matches('.').replace("\"polder$rows\".", "").replace("polder.public.", "public.");
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text,
    }
}

/// A syntax error; its place stands at the end of the text.
pub(crate) fn from_parser(error: &ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return Error::new(ErrorKind::TooLarge, "the statement nests too deeply").with_code("54001");
        }
    };
    let (message, place) = match text.rfind(" at Line: ") {
        Some(at) => (&text[..at], Some(&text[at + " at Line: ".len()..])),
        None => (text, None),
    };
    let message = clean(message).replace("Expected: ", "expected ").replace("expected: ", "expected ");
    let mut mapped = Error::invalid(syntax_error(&message)).with_code("42601");
    if let Some((line, column)) = place.and_then(|place| place.split_once(", Column: "))
        && let (Ok(line), Ok(column)) = (line.trim().parse(), column.trim().parse())
    {
        mapped = mapped.at(line, column);
    }
    mapped
}

/// PostgreSQL's words, which programs look for, and then what was expected there.
fn syntax_error(message: &str) -> String {
    match message.rsplit_once(", found: ") {
        Some((expected, "EOF")) => format!("syntax error at end of input: {expected}"),
        Some((expected, found)) => format!("syntax error at or near \"{found}\": {expected}"),
        None => format!("syntax error: {message}"),
    }
}

fn from_schema(error: &SchemaError, text: String) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let candidates = valid_fields.iter().map(|column| column.name.as_str());
            let wanted = field.name.as_str();
            let is_around = field.relation.as_ref().is_some_and(|table| table.schema() == Some(OUTER));
            if is_around {
                return Error::invalid(format!("column {wanted:?} does not exist")).with_code("42703");
            }
            if let Some(table) = &field.relation
                && !valid_fields.is_empty()
                && !valid_fields
                    .iter()
                    .any(|column| column.relation.as_ref().is_some_and(|known| known.table() == table.table()))
            {
                let known = valid_fields.iter().filter_map(|column| Some(column.relation.as_ref()?.table()));
                let mapped = Error::not_found(format!("table {table} is not in FROM")).with_code("42P01");
                return match polder_kernels::similar::closest(table.table(), known) {
                    Some(close) => mapped.with_hint(format!("did you mean {close:?}?")),
                    None => mapped,
                };
            }
            if OF_THE_SYSTEM.contains(&wanted) {
                return Error::unsupported(format!("rows have no {wanted}, which PostgreSQL has for each"))
                    .with_hint("name rows by a key; from DuckDB: CALL postgres_execute('name', 'UPDATE …')");
            }
            let mut mapped = Error::invalid(format!("column {wanted:?} does not exist")).with_code("42703");
            if let Some(close) = polder_kernels::similar::closest(wanted, candidates) {
                mapped = mapped.with_hint(format!("did you mean {close:?}?"));
            } else if !valid_fields.is_empty() {
                let shown: Vec<&str> = valid_fields.iter().take(12).map(|column| column.name.as_str()).collect();
                let more = if valid_fields.len() > shown.len() { ", …" } else { "" };
                mapped = mapped.with_hint(format!("the columns here are {}{more}", shown.join(", ")));
            }
            mapped
        }
        SchemaError::AmbiguousReference { field } => {
            Error::invalid(format!("column {:?} is in more than one of the tables", field.name))
                .with_code("42702")
                .with_hint("put the table's name before it")
        }
        SchemaError::DuplicateQualifiedField { .. } => Error::invalid(format!("one name for two tables: {text}"))
            .with_code("42712")
            .with_hint("give one of them another name: JOIN t AS u"),
        SchemaError::DuplicateUnqualifiedField { .. } => {
            Error::invalid(text).with_code("42701").with_hint("give one of them another name with AS")
        }
    }
}

/// Functions that are nothing without a window.
const WINDOW_FUNCTIONS: [&str; 9] =
    ["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"];

/// What the absolute value of the least number of a type is refused with, and the type.
const OF_ABS: &[(&str, &str)] = &[
    ("Int16Array overflow on abs", "smallint"),
    ("Int32Array overflow on abs", "integer"),
    ("Int64Array overflow on abs", "bigint"),
];

fn from_arrow(error: &ArrowError, text: String) -> Error {
    let overflows = text.contains("an't cast value")
        || text.contains("is too large to store in a Decimal")
        || text.contains("is out of range Int")
        || text.contains("Overflowing on")
        || text.contains("overflow while applying");
    if let Some((_, data_type)) = OF_ABS.iter().find(|(words, _)| text.contains(words)) {
        return Error::invalid(format!("{data_type} out of range")).with_code("22003");
    }
    match error {
        _ if overflows => Error::invalid(text).with_code("22003"),
        ArrowError::DivideByZero => Error::invalid("division by zero").with_code("22012"),
        ArrowError::CastError(words) if words.starts_with("Can't cast value") => {
            Error::invalid(text).with_code("22003")
        }
        ArrowError::InvalidArgumentError(words) if words.contains(" to store in a Decimal") => {
            Error::invalid(text).with_code("22003")
        }
        ArrowError::CastError(_) | ArrowError::ParseError(_) => {
            Error::invalid(text).with_code("22P02").with_hint("TRY_CAST gives NULL for what cannot be read")
        }
        ArrowError::ArithmeticOverflow(_) => Error::invalid(text).with_code("22003"),
        ArrowError::IoError(..) => Error::new(ErrorKind::Unavailable, text),
        ArrowError::MemoryError(_) => Error::new(ErrorKind::Exhausted, text).with_code("53200"),
        _ => planning::recognise(&text).unwrap_or_else(|| Error::invalid(text)),
    }
}

fn from_plan(text: String) -> Error {
    let lower = text.to_lowercase();
    if lower.starts_with("table '") && lower.ends_with("not found") {
        let name = text.split('\'').nth(1).unwrap_or_default();
        let name = name.strip_prefix("polder.").unwrap_or(name);
        return Error::not_found(format!("table {name} does not exist")).with_code("42P01");
    }
    if let Some(name) = text.strip_prefix("invalid qualifier ") {
        return Error::not_found(format!("table {name} is not in FROM")).with_code("42P01");
    }
    if let Some(name) = WINDOW_FUNCTIONS.iter().find(|name| lower.contains(&format!("invalid function '{name}'"))) {
        return Error::invalid(format!("window function {name} requires an OVER clause"))
            .with_code("42809")
            .with_hint(format!("{name}(…) OVER (ORDER BY …)"));
    }
    if lower.contains("function") && (lower.contains("invalid function") || lower.contains("not found")) {
        return Error::not_found(text.replace(".\n", "; ").replace('\n', " "))
            .with_code("42883")
            .with_hint("SELECT name FROM polder.functions lists them");
    }
    if let Some(error) = planning::recognise(&text) {
        return error;
    }
    // An operator or a function for which the types do not fit.
    let untyped = [
        "cannot coerce arithmetic",
        "failed to match any signature",
        "failed to coerce arguments",
        "cannot infer common",
    ];
    if untyped.iter().any(|words| lower.contains(words)) || lower.contains("no function matches the given name") {
        let first = text.lines().next().unwrap_or_default().to_owned();
        return Error::invalid(first).with_code("42883").with_hint("a cast may be missing");
    }
    Error::invalid(text).with_code("42000")
}
