//! `pg_proc`: the functions of types, those of the system, and those made by CREATE FUNCTION.

mod of_engine;

use std::collections::{BTreeMap, HashSet};

use arrow::array::ArrayRef;
use datafusion::sql::sqlparser::ast::DataType;
use polder_types::Result;

use super::columns;
use super::row::{Cell, Rows};
use super::{World, builtin, oids, roles, types};
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
    /// What may be taken from one call for another, and what may run beside others, a letter each as in `pg_proc`.
    volatile: &'static str,
    parallel: &'static str,
    /// Names, types, and defaults of its arguments, as SQL.
    arguments: Vec<Argument>,
    /// What its arguments do not say by themselves.
    told: Option<Told>,
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
    /// What it does.
    pub words: Option<String>,
}

/// Of arguments that differ from a plain list of types.
#[derive(Debug, Clone)]
struct Told {
    /// What they are is not known: it goes by its name.
    open: bool,
    variadic: i64,
    defaults: i64,
    all: Vec<i64>,
    modes: Vec<String>,
    names: Vec<String>,
    /// As they are written, and the same without defaults.
    arguments: &'static str,
    identity: &'static str,
    /// The kind of an aggregate, and how many arguments it takes beside what it aggregates.
    aggregate: (&'static str, i64),
}

impl Told {
    /// Of a plain list.
    fn plain(arguments: &[Argument]) -> Self {
        let mut names: Vec<String> = arguments.iter().map(|argument| argument.name.clone()).collect();
        if names.iter().all(String::is_empty) {
            names.clear();
        }
        let defaults = arguments.iter().filter(|argument| argument.default.is_some()).count() as i64;
        let (all, modes) = (Vec::new(), Vec::new());
        Self { open: false, variadic: 0, defaults, all, modes, names, ..Self::anything() }
    }

    /// Of a function that may take anything.
    fn anything() -> Self {
        Self {
            open: true,
            variadic: ANY,
            defaults: 0,
            all: vec![ANY],
            modes: vec!["v".into()],
            names: Vec::new(),
            arguments: "VARIADIC \"any\"",
            identity: "VARIADIC \"any\"",
            aggregate: ("n", 0),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Argument {
    pub name: String,
    oid: i64,
    pub title: String,
    pub default: Option<String>,
}

impl Argument {
    /// One without a name.
    fn of(oid: i64) -> Self {
        Self { name: String::new(), oid, title: title_of(oid), default: None }
    }

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

/// A type as SQL writes it.
fn title_of(oid: i64) -> String {
    match types::find(oid) {
        Some((base, array)) => format!("{}{}", base.title, if array { "[]" } else { "" }),
        None => oid.to_string(),
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
        volatile: "v",
        parallel: "s",
        arguments: Vec::new(),
        told: None,
        result: ANY,
        gives: "\"any\"".into(),
        source: name.to_owned(),
        definition: None,
        id: None,
        place: 0,
        words: None,
    }
}

/// A function that PostgreSQL has too.
fn of_postgres(known: &builtin::Function) -> Program {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let set = if known.set { "SETOF " } else { "" };
    Program {
        strict: known.strict,
        set: known.set,
        volatile: known.volatile,
        parallel: known.parallel,
        arguments: known.taken.iter().copied().map(Argument::of).collect(),
        told: Some(Told {
            open: false,
            variadic: known.variadic,
            defaults: known.defaults,
            all: known.all.clone(),
            modes: owned(&known.modes),
            names: owned(&known.names),
            arguments: known.arguments,
            identity: known.identity,
            aggregate: (known.aggregate, known.direct),
        }),
        result: known.result,
        gives: format!("{set}{}", known.gives),
        ..of_system(known.oid, known.name, known.kind)
    }
}

/// The functions of the system. What may be computed once for all rows is what the engine takes for such.
fn system(world: &World) -> Vec<Program> {
    let state = &world.engine().template;
    let had: HashSet<&str> = builtin::FUNCTIONS.iter().filter(|known| known.callable).map(|known| known.name).collect();
    let with_volatility = |known: &builtin::Function| {
        let engines = state.scalar_functions().get(known.name).filter(|_| known.callable && known.kind == "f");
        let volatile = engines.map_or(known.volatile, |engines| of_engine::letter(engines.signature().volatility));
        Program { volatile, ..of_postgres(known) }
    };
    let mut programs: Vec<Program> = builtin::FUNCTIONS.iter().map(with_volatility).collect();
    programs.extend(of_engine::programs(state, &had));
    programs
}

/// All functions.
pub(crate) fn all(world: &World) -> Vec<Program> {
    let mut programs = system(world);
    programs.extend(made_here(world));
    programs
}

/// Those that CREATE FUNCTION has made.
pub(crate) fn made_here(world: &World) -> Vec<Program> {
    let mut programs = Vec::new();
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
        // Nothing is promised of what its body does.
        parallel: "u",
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
        if let Some(told) = &self.told {
            return if defaults { told.arguments } else { told.identity }.to_owned();
        }
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

    /// Whether it goes by its name alone, whatever is written as types of its arguments.
    pub(crate) fn is_open(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.open)
    }

    pub(crate) fn parameters(&self) -> &[Argument] {
        &self.arguments
    }
}

pub(super) fn rows(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_PROC);
    for program in all(world) {
        let taken: Vec<i64> = program.arguments.iter().map(|argument| argument.oid).collect();
        let count = taken.len() as i64;
        let told = program.told.unwrap_or_else(|| Told::plain(&program.arguments));
        rows.push([
            ("oid", program.oid.into()),
            ("proname", program.name.into()),
            ("pronamespace", program.schema.into()),
            ("proowner", program.id.map_or(oids::OWNER, |id| world.rights().owner(id)).into()),
            ("proacl", program.id.map_or(Cell::Null, |id| roles::list(world, id))),
            ("prolang", program.language.into()),
            ("procost", 1_i64.into()),
            ("prorows", if program.set { 1_000_i64 } else { 0 }.into()),
            ("provariadic", told.variadic.into()),
            ("prokind", program.kind.into()),
            ("proisstrict", program.strict.into()),
            ("proretset", program.set.into()),
            ("provolatile", program.volatile.into()),
            ("proparallel", program.parallel.into()),
            ("pronargs", count.into()),
            ("pronargdefaults", told.defaults.into()),
            ("prorettype", program.result.into()),
            ("proargtypes", taken.into()),
            ("proallargtypes", some(told.all).map_or(Cell::Null, Cell::Ints)),
            ("proargmodes", some(told.modes).map_or(Cell::Null, Cell::Texts)),
            ("proargnames", some(told.names).map_or(Cell::Null, Cell::Texts)),
            ("prosrc", program.source.into()),
        ]);
    }
    rows.finish()
}

/// `pg_aggregate`: how an aggregate is called. What computes it has no names here.
pub(super) fn aggregates(world: &World) -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AGGREGATE);
    for program in system(world).into_iter().filter(|program| program.kind == "a") {
        let (kind, direct) = program.told.map_or(("n", 0), |told| told.aggregate);
        rows.push([
            ("aggfnoid", program.oid.into()),
            ("aggkind", kind.into()),
            ("aggnumdirectargs", direct.into()),
            ("aggfinalmodify", "r".into()),
            ("aggmfinalmodify", "r".into()),
        ]);
    }
    rows.finish()
}

/// What the functions of the system do that PostgreSQL has no words for, by object id.
pub(crate) fn words(world: &World) -> BTreeMap<i64, String> {
    system(world).into_iter().filter_map(|program| Some((program.oid, program.words?))).collect()
}

fn some<T>(values: Vec<T>) -> Option<Vec<T>> {
    if values.is_empty() { None } else { Some(values) }
}
