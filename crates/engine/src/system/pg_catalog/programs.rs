//! `pg_proc`: the functions of types, those of the system, and those made by CREATE FUNCTION.

mod of_types;

use arrow::array::ArrayRef;
use datafusion::sql::sqlparser::ast::DataType;
use polder_types::Result;

use super::columns;
use super::row::{Cell, Rows};
use super::types;
use super::{World, oids, roles};
use crate::functions::strings::quoted_name;
use crate::inline::{self, Body, Definition};

const RECORD: i64 = 2_249;
const ANY: i64 = 2_276;
const SQL: i64 = 14;
const INTERNAL: i64 = 12;

/// A function, with one list of arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub oid: i64,
    pub name: String,
    /// The object id of its schema.
    pub schema: i64,
    /// `f`, `a` or `w`: a function, an aggregate, a function of windows.
    kind: &'static str,
    language: i64,
    strict: bool,
    /// It gives rows.
    set: bool,
    /// Names, types, and defaults of its arguments, as SQL; none are known of the system's own.
    arguments: Vec<Argument>,
    result: i64,
    /// The result as SQL.
    gives: String,
    source: String,
    /// The statement that made it.
    pub definition: Option<String>,
    /// Its id in the lake; none of the system's.
    pub id: Option<i64>,
    /// Its place among those of its name, which take other arguments.
    pub place: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub name: String,
    oid: i64,
    pub title: String,
    pub default: Option<String>,
}

impl Argument {
    /// The name that its type has in `pg_type`.
    pub(crate) fn type_name(&self) -> String {
        name_of(self.oid)
    }
}

fn name_of(oid: i64) -> String {
    match types::find(oid) {
        Some((base, true)) => format!("_{}", base.name),
        Some((base, false)) => base.name.to_owned(),
        None if oid == RECORD => "record".into(),
        None => "any".into(),
    }
}

fn of_system(oid: i64, name: &str, kind: &'static str) -> Program {
    Program {
        oid,
        name: name.to_owned(),
        schema: oids::PG_CATALOG,
        kind,
        language: INTERNAL,
        strict: false,
        set: false,
        arguments: Vec::new(),
        result: ANY,
        gives: "any".into(),
        source: name.to_owned(),
        definition: None,
        id: None,
        place: 0,
    }
}

/// All functions. The system's own are numbered by their names: their object ids are the same until a version of Polder
/// brings others.
pub(crate) fn all(world: &World) -> Vec<Program> {
    let state = &world.engine().template;
    let mut own: Vec<(&str, &'static str)> = Vec::new();
    own.extend(state.scalar_functions().keys().map(|name| (name.as_str(), "f")));
    own.extend(state.aggregate_functions().keys().map(|name| (name.as_str(), "a")));
    own.extend(state.window_functions().keys().map(|name| (name.as_str(), "w")));
    own.extend(state.table_functions().keys().map(|name| (name.as_str(), "f")));
    // Those that begin so are called by statements, not by people.
    own.retain(|(name, _)| !name.starts_with("polder_"));
    own.sort_unstable();
    own.dedup();
    let mut programs: Vec<Program> = of_types::FUNCTIONS.iter().map(|(oid, name)| of_system(*oid, name, "f")).collect();
    programs.extend(own.into_iter().zip(oids::FUNCTIONS..).map(|((name, kind), oid)| of_system(oid, name, kind)));
    for function in world.snapshot().functions.values() {
        // A macro of DuckDB's may be one that nobody but DuckDB can call.
        let definitions = inline::definitions(function).unwrap_or_default();
        for (place, definition) in definitions.iter().enumerate() {
            let source = function.macros.get(place).map(|known| known.sql.clone());
            let mut program = made(definition);
            program.oid = oids::of(function.id, place as i64);
            program.schema = oids::of(function.schema_id, 0);
            program.source = source.unwrap_or_default();
            program.definition = function.definitions.get(place).cloned();
            program.id = Some(function.id);
            program.place = place;
            programs.push(program);
        }
    }
    programs
}

/// A function with the types of its arguments, as PostgreSQL names it: `f(integer, text)`.
pub(crate) fn signature(name: &str, definition: &Definition) -> String {
    let types = definition.parameters.iter().map(|parameter| type_of(parameter.data_type.as_ref()).1);
    format!("{name}({})", types.collect::<Vec<_>>().join(", "))
}

/// The object id of a type as written, and its name as PostgreSQL's; a text if it is not known.
fn type_of(data_type: Option<&DataType>) -> (i64, String) {
    let Some(data_type) = data_type else { return (ANY, "\"any\"".into()) };
    let written = data_type.to_string();
    match types::by_name(&written) {
        Some(oid) => match types::find(oid) {
            Some((base, array)) => (oid, format!("{}{}", base.title, if array { "[]" } else { "" })),
            None => (oid, written),
        },
        None => (types::by_name("text").unwrap_or(ANY), written.to_lowercase()),
    }
}

/// A list of types as somebody writes it, with PostgreSQL's names: `int, text` is `integer,text`.
pub(crate) fn titles(list: &str) -> String {
    let written = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let title = |name: &str| match types::by_name(name).and_then(types::find) {
        Some((base, array)) => format!("{}{}", base.title, if array { "[]" } else { "" }),
        None => name.to_lowercase(),
    };
    written.map(title).collect::<Vec<_>>().join(",")
}

fn made(definition: &Definition) -> Program {
    let arguments = definition.parameters.iter().map(|parameter| {
        let (oid, title) = type_of(parameter.data_type.as_ref());
        let default = parameter.default.as_ref().map(ToString::to_string);
        Argument { name: parameter.name.clone().unwrap_or_default(), oid, title, default }
    });
    let (result, gives, set) = match &definition.body {
        Body::Value(_) => {
            let (oid, title) = type_of(definition.returns.as_ref());
            (oid, title, false)
        }
        Body::Rows(_, columns) => {
            let listed: Vec<String> = columns
                .iter()
                .map(|(name, data_type)| format!("{} {}", quoted_name(&name.value), type_of(data_type.as_ref()).1))
                .collect();
            (RECORD, format!("TABLE({})", listed.join(", ")), true)
        }
    };
    Program {
        arguments: arguments.collect(),
        language: SQL,
        strict: definition.strict,
        set,
        result,
        gives,
        ..of_system(0, &definition.name, "f")
    }
}

impl Program {
    /// The arguments as CREATE FUNCTION lists them; without defaults they are what names the function.
    pub(crate) fn arguments(&self, defaults: bool) -> String {
        let written = self.arguments.iter().map(|argument| {
            let name =
                if argument.name.is_empty() { String::new() } else { format!("{} ", quoted_name(&argument.name)) };
            match &argument.default {
                Some(default) if defaults => format!("{name}{} DEFAULT {default}", argument.title),
                _ => format!("{name}{}", argument.title),
            }
        });
        written.collect::<Vec<_>>().join(", ")
    }

    /// The types of the arguments.
    pub(crate) fn signature(&self) -> String {
        self.arguments.iter().map(|argument| argument.title.as_str()).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn gives(&self) -> &str {
        &self.gives
    }

    /// Whether it gives rows and no value.
    pub(crate) fn gives_rows(&self) -> bool {
        self.set
    }

    /// Whether it gives NULL for a NULL, without being called.
    pub(crate) fn is_strict(&self) -> bool {
        self.strict
    }

    /// The name that the type of its result has in `pg_type`.
    pub(crate) fn result_name(&self) -> String {
        name_of(self.result)
    }

    pub(crate) fn parameters(&self) -> &[Argument] {
        &self.arguments
    }
}

pub(super) fn rows(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_PROC);
    for program in all(world) {
        let count = program.arguments.len() as i64;
        let defaults = program.arguments.iter().filter(|argument| argument.default.is_some()).count() as i64;
        let taken: Vec<i64> = program.arguments.iter().map(|argument| argument.oid).collect();
        let names: Vec<String> = program.arguments.iter().map(|argument| argument.name.clone()).collect();
        let named = names.iter().any(|name| !name.is_empty());
        rows.push([
            ("oid", program.oid.into()),
            ("proname", program.name.into()),
            ("pronamespace", program.schema.into()),
            ("proowner", program.id.map_or(oids::OWNER, |id| world.rights().owner(id)).into()),
            ("proacl", program.id.map_or(Cell::Null, |id| roles::list(world, id))),
            ("prolang", program.language.into()),
            ("procost", 1_i64.into()),
            ("prorows", if program.set { 1_000_i64 } else { 0 }.into()),
            ("prokind", program.kind.into()),
            ("proisstrict", program.strict.into()),
            ("proretset", program.set.into()),
            ("provolatile", "v".into()),
            ("proparallel", "u".into()),
            ("pronargs", count.into()),
            ("pronargdefaults", defaults.into()),
            ("prorettype", program.result.into()),
            ("proargtypes", taken.into()),
            ("proargnames", if named { Cell::Texts(names) } else { Cell::Null }),
            ("prosrc", program.source.into()),
        ]);
    }
    rows.finish()
}
