//! What Polder has of PostgreSQL's own functions, operators and casts, under their object ids there.
//!
//! The lists are PostgreSQL's, without what Polder's planner refuses, and with the results that Polder gives where they are
//! others. `tests/clients/builtins_of_postgres.py` makes them by asking both, and a test compares them with both.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::array::ArrayRef;
use polder_types::Result;

use super::columns;
use super::oids;
use super::row::Rows;
use super::types;

/// A line of a list, cut at its tabs; what is not there is empty.
fn cut<const N: usize>(line: &'static str) -> [&'static str; N] {
    let mut parts = line.split('\t');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_default()
}

fn numbers(text: &str) -> Vec<i64> {
    text.split(' ').filter(|part| !part.is_empty()).map(number).collect()
}

fn texts(text: &'static str) -> Vec<&'static str> {
    // A name that is not given is a dash.
    text.split(' ').filter(|part| !part.is_empty()).map(|part| if part == "-" { "" } else { part }).collect()
}

/// A function of PostgreSQL's.
#[derive(Debug)]
pub(super) struct Function {
    pub oid: i64,
    pub name: &'static str,
    /// `f`, `a` or `w`: a function, an aggregate, a function of windows.
    pub kind: &'static str,
    /// It can be called; otherwise it is what stands behind a type, an operator or a cast.
    pub callable: bool,
    pub strict: bool,
    pub set: bool,
    pub volatile: &'static str,
    pub parallel: &'static str,
    pub result: i64,
    pub gives: &'static str,
    pub taken: Vec<i64>,
    /// The type of further arguments; 0: there are none.
    pub variadic: i64,
    pub defaults: i64,
    /// Types and modes of all arguments, if some come out; names of all, if they have some.
    pub all: Vec<i64>,
    pub modes: Vec<&'static str>,
    pub names: Vec<&'static str>,
    /// All of it as it is written, and without the defaults if there are some.
    pub arguments: &'static str,
    pub identity: &'static str,
    /// The kind of an aggregate, and how many arguments it takes beside what it aggregates.
    pub aggregate: &'static str,
    pub direct: i64,
}

pub(super) static FUNCTIONS: LazyLock<Vec<Function>> =
    LazyLock::new(|| include_str!("builtin/functions.tsv").lines().map(function).collect());

fn function(line: &'static str) -> Function {
    let [
        oid,
        name,
        kind,
        callable,
        strict,
        set,
        volatile,
        parallel,
        result,
        gives,
        taken,
        variadic,
        defaults,
        all,
        modes,
        names,
        arguments,
        identity,
        aggregate,
        direct,
    ] = cut(line);
    Function {
        oid: number(oid),
        name,
        kind,
        callable: callable == "t",
        strict: strict == "t",
        set: set == "t",
        volatile,
        parallel,
        result: number(result),
        gives,
        taken: numbers(taken),
        variadic: number(variadic),
        defaults: number(defaults),
        all: numbers(all),
        modes: texts(modes),
        names: texts(names),
        arguments,
        identity: if identity.is_empty() { arguments } else { identity },
        aggregate,
        direct: number(direct),
    }
}

/// An operator that the planner takes.
#[derive(Debug)]
pub(crate) struct Operator {
    pub oid: i64,
    pub name: &'static str,
    /// 0: it stands before its one operand.
    left: i64,
    right: i64,
    result: i64,
    code: i64,
    commutator: i64,
    negator: i64,
    merges: bool,
    hashes: bool,
}

static OPERATORS: LazyLock<Vec<Operator>> =
    LazyLock::new(|| include_str!("builtin/operators.tsv").lines().map(operator).collect());

fn operator(line: &'static str) -> Operator {
    let [oid, name, left, right, result, code, commutator, negator, merges, hashes] = cut(line);
    Operator {
        oid: number(oid),
        name,
        left: number(left),
        right: number(right),
        result: number(result),
        code: number(code),
        commutator: number(commutator),
        negator: number(negator),
        merges: merges == "t",
        hashes: hashes == "t",
    }
}

impl Operator {
    /// The types of its operands: `integer,bigint`.
    pub(crate) fn signature(&self) -> String {
        let title = |oid: i64| match types::find(oid) {
            Some((base, array)) => format!("{}{}", base.title, if array { "[]" } else { "" }),
            None if oid == 0 => "NONE".into(),
            None => oid.to_string(),
        };
        format!("{},{}", title(self.left), title(self.right))
    }
}

/// All operators.
pub(crate) fn operators() -> &'static [Operator] {
    &OPERATORS
}

pub(super) fn operator_rows() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_OPERATOR);
    for operator in operators() {
        rows.push([
            ("oid", operator.oid.into()),
            ("oprname", operator.name.into()),
            ("oprnamespace", oids::PG_CATALOG.into()),
            ("oprowner", oids::OWNER.into()),
            ("oprkind", if operator.left == 0 { "l" } else { "b" }.into()),
            ("oprcanmerge", operator.merges.into()),
            ("oprcanhash", operator.hashes.into()),
            ("oprleft", operator.left.into()),
            ("oprright", operator.right.into()),
            ("oprresult", operator.result.into()),
            ("oprcom", operator.commutator.into()),
            ("oprnegate", operator.negator.into()),
            ("oprcode", operator.code.into()),
        ]);
    }
    rows.finish()
}

pub(super) fn cast_rows() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_CAST);
    for line in include_str!("builtin/casts.tsv").lines() {
        let [oid, source, target, function, context, method] = cut(line);
        rows.push([
            ("oid", number(oid).into()),
            ("castsource", number(source).into()),
            ("casttarget", number(target).into()),
            ("castfunc", number(function).into()),
            ("castcontext", context.into()),
            ("castmethod", method.into()),
        ]);
    }
    rows.finish()
}

/// Of each family of operators that indexes have: its members of a kind, as object id, family, the types of both sides, number
/// within the family, and the operator or function itself.
fn support(kind: &'static str) -> impl Iterator<Item = [i64; 6]> {
    let lines = include_str!("builtin/support.tsv").lines();
    lines.filter_map(move |line| {
        let [of, oid, family, left, right, place, member] = cut(line);
        (of == kind).then(|| [oid, family, left, right, place, member].map(number))
    })
}

pub(super) fn family_operators() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AMOP);
    for [oid, family, left, right, place, operator] in support("operator") {
        rows.push([
            ("oid", oid.into()),
            ("amopfamily", family.into()),
            ("amoplefttype", left.into()),
            ("amoprighttype", right.into()),
            ("amopstrategy", place.into()),
            ("amoppurpose", "s".into()),
            ("amopopr", operator.into()),
            ("amopmethod", oids::BTREE.into()),
        ]);
    }
    rows.finish()
}

pub(super) fn family_functions() -> Result<Vec<ArrayRef>> {
    let mut rows = Rows::new(columns::PG_AMPROC);
    for [oid, family, left, right, place, function] in support("function") {
        rows.push([
            ("oid", oid.into()),
            ("amprocfamily", family.into()),
            ("amproclefttype", left.into()),
            ("amprocrighttype", right.into()),
            ("amprocnum", place.into()),
            ("amproc", function.into()),
        ]);
    }
    rows.finish()
}

/// What PostgreSQL says of its own things: the object ids of the table that they are in and of themselves, and the words.
pub(super) fn descriptions() -> impl Iterator<Item = (i64, i64, &'static str)> {
    include_str!("builtin/descriptions.tsv").lines().map(|line| {
        let [class, oid, words] = cut(line);
        (number(class), number(oid), words)
    })
}

/// The same of one thing.
pub(crate) fn description(class: i64, oid: i64) -> Option<&'static str> {
    static WORDS: LazyLock<HashMap<(i64, i64), &'static str>> =
        LazyLock::new(|| descriptions().map(|(class, oid, words)| ((class, oid), words)).collect());
    WORDS.get(&(class, oid)).copied()
}
