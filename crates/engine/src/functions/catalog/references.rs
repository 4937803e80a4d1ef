//! `regclass`, `regtype` and their like: numbers that are read and written as the names of what they refer to.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::{Field, Int64Type};
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::{Expr, cast};

use super::stable;
use crate::error::into_datafusion;
use crate::functions::function::{Call, Function, Gives, Kind as K, refuse, way};
use crate::functions::strings::quoted_name;
use crate::functions::{call, types};
use crate::system::pg_catalog::builtin::{self, Operator};
use crate::system::pg_catalog::programs::{self, Program};
use crate::system::pg_catalog::{World, oids, types as catalog_types};

/// What a number refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Class,
    Type,
    /// A function by its name.
    Proc,
    /// A function by its name and the types of its arguments.
    Procedure,
    /// An operator by its name.
    Oper,
    /// An operator by its name and the types of its operands.
    Operator,
    Namespace,
    Role,
}

/// The types of PostgreSQL's catalog that are references.
const KINDS: &[(&str, Kind)] = &[
    ("regclass", Kind::Class),
    ("regtype", Kind::Type),
    ("regproc", Kind::Proc),
    ("regprocedure", Kind::Procedure),
    ("regoper", Kind::Oper),
    ("regoperator", Kind::Operator),
    ("regnamespace", Kind::Namespace),
    ("regrole", Kind::Role),
];

/// The kind of a field that holds references.
fn kind_of(field: &Field) -> Option<(&'static str, Kind)> {
    let name = types::catalog_type(field)?;
    KINDS.iter().find(|(known, _)| *known == name).copied()
}

/// For each kind a function that reads it, of text or of the number itself, and one that writes it.
macro_rules! references {
    ($($name:literal $read:literal $write:literal $kind:ident;)*) => {
        pub(crate) const FUNCTIONS: &[Function] = &[
            $(
                stable(
                    $read,
                    "",
                    "",
                    &[
                        way(&[K::Int8], Gives::Oid($name), same),
                        way(&[K::Text], Gives::Oid($name), |call| read(call, Kind::$kind, true)),
                    ],
                ),
                stable($write, "", "", &[way(&[K::Int8], Gives::Text, |call| write(call, Kind::$kind))]),
            )*
            stable(
                "polder_oid",
                "",
                "",
                &[way(&[K::Int8], Gives::Oid("oid"), same), way(&[K::Text], Gives::Oid("oid"), number)],
            ),
            stable("polder_number", "", "", &[way(&[K::Int8], Gives::Int8, same)]),
            stable(
                "to_regclass",
                "to_regclass(name)",
                "The relation of a name; NULL if there is none.",
                &[way(&[K::Text], Gives::Oid("regclass"), |call| read(call, Kind::Class, false))],
            ),
            stable(
                "to_regtype",
                "to_regtype(name)",
                "The type of a name; NULL if there is none.",
                &[way(&[K::Text], Gives::Oid("regtype"), |call| read(call, Kind::Type, false))],
            ),
            stable(
                "to_regproc",
                "to_regproc(name)",
                "The function of a name; NULL if there is none.",
                &[way(&[K::Text], Gives::Oid("regproc"), |call| read(call, Kind::Proc, false))],
            ),
            stable(
                "to_regnamespace",
                "to_regnamespace(name)",
                "The schema of a name; NULL if there is none.",
                &[way(&[K::Text], Gives::Oid("regnamespace"), |call| read(call, Kind::Namespace, false))],
            ),
            stable(
                "to_regrole",
                "to_regrole(name)",
                "The role of a name; NULL if there is none.",
                &[way(&[K::Text], Gives::Oid("regrole"), |call| read(call, Kind::Role, false))],
            ),
        ];
    };
}

references! {
    "regclass" "polder_regclass" "polder_regclass_text" Class;
    "regtype" "polder_regtype" "polder_regtype_text" Type;
    "regproc" "polder_regproc" "polder_regproc_text" Proc;
    "regprocedure" "polder_regprocedure" "polder_regprocedure_text" Procedure;
    "regoper" "polder_regoper" "polder_regoper_text" Oper;
    "regoperator" "polder_regoperator" "polder_regoperator_text" Operator;
    "regnamespace" "polder_regnamespace" "polder_regnamespace_text" Namespace;
    "regrole" "polder_regrole" "polder_regrole_text" Role;
}

/// A reference as the text that it is shown as; none for what is no reference.
pub(crate) fn shown(expr: &Expr, field: &Field) -> Option<Expr> {
    let (name, _) = kind_of(field)?;
    Some(call(&format!("polder_{name}_text"), vec![expr.clone()]))
}

/// A cast from or to a type of PostgreSQL's catalog, as a call; none when it is a cast like any other.
pub(crate) fn planned(inner: &Expr, from: &Field, to: &Field) -> Option<Expr> {
    if let Some((name, _)) = kind_of(to) {
        return Some(call(&format!("polder_{name}"), vec![inner.clone()]));
    }
    if types::catalog_type(to) == Some("oid") {
        return Some(call("polder_oid", vec![inner.clone()]));
    }
    let is_vector = matches!(types::catalog_type(from), Some("int2vector" | "oidvector"));
    if types::is_text(to.data_type()) {
        let text = match is_vector {
            // Such a list is written with blanks between its numbers.
            true => call("polder_vector_text", vec![inner.clone()]),
            false => shown(inner, from)?,
        };
        return Some(cast(text, to.data_type().clone()));
    }
    if kind_of(from).is_some() && to.data_type().is_integer() {
        return Some(cast(call("polder_number", vec![inner.clone()]), to.data_type().clone()));
    }
    None
}

fn same(call: &Call<'_>) -> Result<ArrayRef> {
    Ok(Arc::clone(&call.arrays[0]))
}

/// An object id from text.
fn number(call: &Call<'_>) -> Result<ArrayRef> {
    call.values::<Int64Type>(|row| {
        crate::functions::input::integer(call.text(0).value(row), 0, i64::from(u32::MAX), "oid").map(Some)
    })
}

fn read(call: &Call<'_>, kind: Kind, strict: bool) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let finder = Finder::new(world, kind);
    let texts = call.text(0);
    let mut numbers = Int64Builder::with_capacity(call.rows);
    for row in 0..call.rows {
        if texts.is_null(row) {
            numbers.append_null();
            continue;
        }
        let text = texts.value(row);
        finder.may_look(text)?;
        match finder.find(text) {
            None if strict => return Err(finder.missing(text)),
            found => numbers.append_option(found),
        }
    }
    Ok(Arc::new(numbers.finish()))
}

/// The relation that a text means: its object id as digits, or its name.
///
/// # Errors
/// 42P01 when there is none.
pub(super) fn relation(world: &World, text: &str) -> Result<i64> {
    let finder = Finder::new(world, Kind::Class);
    finder.may_look(text)?;
    finder.find(text).ok_or_else(|| finder.missing(text))
}

/// The function that a text means: its object id as digits, or its name with the types of its arguments.
///
/// # Errors
/// 42883 when there is none.
pub(super) fn procedure(world: &World, text: &str) -> Result<i64> {
    let finder = Finder::new(world, Kind::Procedure);
    finder.find(text).ok_or_else(|| finder.missing(text))
}

/// A name of one or more parts. Between them there may be blanks, as in PostgreSQL.
fn named(text: &str) -> TableReference {
    let mut close = String::with_capacity(text.len());
    let mut quoted = false;
    for letter in text.chars() {
        quoted ^= letter == '"';
        let behind_point = !quoted && close.ends_with('.');
        if behind_point && letter.is_whitespace() {
            continue;
        }
        if !quoted && letter == '.' {
            close.truncate(close.trim_end().len());
        }
        close.push(letter);
    }
    TableReference::parse_str(&close)
}

struct Finder<'a> {
    world: &'a World,
    kind: Kind,
    programs: Vec<Program>,
}

impl<'a> Finder<'a> {
    fn new(world: &'a World, kind: Kind) -> Self {
        let programs = match kind {
            Kind::Proc | Kind::Procedure => programs::all(world),
            _ => Vec::new(),
        };
        Self { world, kind, programs }
    }

    /// # Errors
    /// 42501 for a relation in a schema that may not be used, whether there is one or not.
    fn may_look(&self, text: &str) -> Result<()> {
        match (self.kind, TableReference::parse_str(text.trim()).schema()) {
            (Kind::Class, Some(schema)) => self.world.rights().use_schema(schema).map_err(into_datafusion),
            _ => Ok(()),
        }
    }

    fn find(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if text == "-" {
            return Some(0);
        }
        if let Ok(oid) = text.parse::<u32>() {
            return Some(i64::from(oid));
        }
        let directory = self.world.directory();
        match self.kind {
            Kind::Class => {
                let name = named(text);
                directory.named(name.schema(), name.table()).map(|relation| relation.oid)
            }
            Kind::Type => catalog_types::by_name(text).or_else(|| {
                let name = named(text);
                directory.named(name.schema(), name.table()).and_then(|relation| relation.row_type())
            }),
            Kind::Proc | Kind::Procedure => self.program(text).map(|program| program.oid),
            Kind::Oper | Kind::Operator => operator(text).map(|operator| operator.oid),
            Kind::Namespace => directory.schema_named(named(text).table()),
            Kind::Role => {
                let name = named(text);
                self.world.who().book.find(name.table()).map(|role| role.oid)
            }
        }
    }

    fn program(&self, text: &str) -> Option<&Program> {
        let (name, arguments) = match text.split_once('(') {
            Some((name, arguments)) => (name, Some(programs::titles(arguments.trim_end_matches(')')))),
            None => (text, None),
        };
        let name = named(name);
        let directory = self.world.directory();
        let schemas: Vec<i64> = match name.schema() {
            Some(schema) => directory.schema_named(schema).into_iter().collect(),
            None => directory.path().to_vec(),
        };
        let found = |is_exact: bool| {
            let fits = |program: &&Program| match &arguments {
                Some(given) if is_exact => program.signature() == *given,
                Some(_) => program.is_open(),
                None => true,
            };
            schemas.iter().find_map(|schema| {
                let here = |program: &&Program| program.schema == *schema && program.name == name.table();
                self.programs.iter().filter(here).find(fits)
            })
        };
        found(true).or_else(|| found(false))
    }

    fn missing(&self, text: &str) -> datafusion::common::DataFusionError {
        let (code, what) = match self.kind {
            Kind::Class => ("42P01", "relation"),
            Kind::Type => ("42704", "type"),
            Kind::Proc | Kind::Procedure => ("42883", "function"),
            Kind::Oper | Kind::Operator => ("42883", "operator"),
            Kind::Namespace => ("3F000", "schema"),
            Kind::Role => ("42704", "role"),
        };
        refuse(code, format!("{what} {text:?} does not exist"))
    }

    /// What a number refers to, as it would be written; its digits when there is no such thing.
    fn written(&self, oid: i64) -> String {
        if oid == 0 {
            return "-".into();
        }
        let directory = self.world.directory();
        let name = match self.kind {
            Kind::Class => directory.relation(oid).map(|relation| relation.shown(directory)),
            Kind::Type => Some(catalog_types::title(directory, oid, None)).filter(|title| title != "???"),
            Kind::Proc | Kind::Procedure => {
                self.programs.iter().find(|program| program.oid == oid).map(|program| self.shown(program))
            }
            Kind::Oper | Kind::Operator => {
                let found = builtin::operators().iter().find(|operator| operator.oid == oid);
                found.map(|operator| match self.kind {
                    Kind::Oper => operator.name.to_owned(),
                    _ => format!("{}({})", operator.name, operator.signature()),
                })
            }
            Kind::Namespace => directory.schema(oid).map(quoted_name),
            Kind::Role => self.world.who().book.name(oid).map(quoted_name),
        };
        name.unwrap_or_else(|| oid.to_string())
    }

    fn shown(&self, program: &Program) -> String {
        let directory = self.world.directory();
        let name = quoted_name(&program.name);
        let is_found = |other: &Program| other.schema == oids::PG_CATALOG || directory.path().contains(&other.schema);
        let alike = |other: &&Program| other.name == program.name && is_found(other);
        // A bare name that several have would be read as another one.
        let is_clear = self.kind == Kind::Procedure || self.programs.iter().filter(alike).nth(1).is_none();
        let name = if is_found(program) && is_clear {
            name
        } else {
            format!("{}.{name}", quoted_name(directory.schema(program.schema).unwrap_or_default()))
        };
        if self.kind == Kind::Procedure { format!("{name}({})", program.signature()) } else { name }
    }
}

/// The operator that a text names: `=(integer,bigint)`, `pg_catalog.-(NONE,integer)`, or the first one of a bare name.
fn operator(text: &str) -> Option<&'static Operator> {
    let bare = text.strip_prefix("pg_catalog.").unwrap_or(text);
    let (name, operands) = match bare.split_once('(') {
        Some((name, operands)) => (name.trim_end(), Some(programs::titles(operands.trim_end_matches(')')))),
        None => (bare, None),
    };
    let fits = |operator: &&Operator| {
        let taken = || operator.signature().replace("NONE", "none");
        operator.name == name && operands.as_ref().is_none_or(|given| *given == taken())
    };
    builtin::operators().iter().find(fits)
}

fn write(call: &Call<'_>, kind: Kind) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let finder = Finder::new(world, kind);
    let numbers = call.primitive::<Int64Type>(0);
    let mut texts = StringBuilder::new();
    for row in 0..call.rows {
        texts.append_option(numbers.is_valid(row).then(|| finder.written(numbers.value(row))));
    }
    types::fit(Arc::new(texts.finish()), call.gives)
}
