//! The functions that PostgreSQL has not: those of DataFusion, and Polder's own.

use std::collections::{BTreeMap, HashSet};

use arrow::datatypes::{DataType, Field, IntervalUnit};
use datafusion::common::types::NativeType;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::{Documentation, Signature, TypeSignature, TypeSignatureClass, Volatility};

use super::{ANY, Argument, Program, RECORD, Told, of_system, title_of};
use crate::system::pg_catalog::{oids, types};

/// Types of arguments, and what comes of them.
type Way = (Vec<i64>, i64);

/// A function with all the ways to call it; none where they are not listed one by one.
struct Known {
    volatile: &'static str,
    set: bool,
    ways: Vec<Way>,
    words: Option<String>,
}

pub(super) const fn letter(volatility: Volatility) -> &'static str {
    match volatility {
        Volatility::Immutable => "i",
        Volatility::Stable => "s",
        Volatility::Volatile => "v",
    }
}

/// All but those with a name of `had`. They are numbered by their names and arguments: their object ids are the same until a
/// version of Polder brings others.
pub(super) fn programs(state: &SessionState, had: &HashSet<&str>) -> Vec<Program> {
    let mut known: BTreeMap<(&str, &'static str), Known> = BTreeMap::new();
    for (name, function) in state.scalar_functions() {
        let ways = ways(function.signature(), |types| function.return_type(types).ok());
        known.insert((name, "f"), Known::of(function.signature(), ways, function.documentation()));
    }
    for (name, function) in state.aggregate_functions() {
        let ways = ways(function.signature(), |types| function.return_type(types).ok());
        known.insert((name, "a"), Known::of(function.signature(), ways, function.documentation()));
    }
    for (name, function) in state.window_functions() {
        let ways = ways(function.signature(), |_| None);
        known.insert((name, "w"), Known::of(function.signature(), ways, function.documentation()));
    }
    for name in state.table_functions().keys() {
        known.insert((name, "f"), Known { volatile: "v", set: true, ways: Vec::new(), words: None });
    }
    // Those that begin so are called by statements, not by people.
    known.retain(|(name, _), _| !name.starts_with("polder_") && !had.contains(name));
    let listed = known.into_iter().flat_map(|((name, kind), known)| known.listed(name, kind));
    listed.zip(oids::FUNCTIONS..).map(|(program, oid)| Program { oid, ..program }).collect()
}

impl Known {
    fn of(signature: &Signature, ways: Vec<Way>, words: Option<&Documentation>) -> Self {
        let words = words.map(|words| words.description.trim().replace('\n', " "));
        Self { volatile: letter(signature.volatility), set: false, ways, words }
    }

    /// One for each way to call it.
    fn listed(self, name: &str, kind: &'static str) -> Vec<Program> {
        let Self { volatile, set, ways, words } = self;
        let (result, gives) = if set { (RECORD, "SETOF record") } else { (ANY, "\"any\"") };
        let any = Program {
            volatile,
            set,
            result,
            gives: gives.into(),
            arguments: vec![Argument::of(ANY)],
            told: Some(Told::anything()),
            words,
            ..of_system(0, name, kind)
        };
        if ways.is_empty() {
            return vec![any];
        }
        let of_way = |(taken, result): Way| Program {
            result,
            gives: title_of(result),
            arguments: taken.into_iter().map(Argument::of).collect(),
            told: None,
            ..any.clone()
        };
        ways.into_iter().map(of_way).collect()
    }
}

fn ways(signature: &Signature, gives: impl Fn(&[DataType]) -> Option<DataType>) -> Vec<Way> {
    let mut found: Vec<Way> = Vec::new();
    for types in exact(&signature.type_signature).unwrap_or_default() {
        if types.iter().any(DataType::is_null) {
            continue;
        }
        let taken: Vec<i64> = types.iter().map(number).collect();
        // Texts of several layouts are one type.
        if found.iter().all(|(known, _)| *known != taken) {
            let result = gives(&types).filter(|result| !result.is_null());
            found.push((taken, result.as_ref().map_or(ANY, number)));
        }
    }
    found.sort();
    found
}

fn number(data_type: &DataType) -> i64 {
    types::of_field(&Field::new("", data_type.clone(), true)).0
}

/// The lists of types that a function takes, where they are listed one by one.
fn exact(signature: &TypeSignature) -> Option<Vec<Vec<DataType>>> {
    use TypeSignature as T;
    Some(match signature {
        T::Exact(types) => vec![types.clone()],
        T::Nullary => vec![Vec::new()],
        T::Uniform(count, types) => types.iter().map(|data_type| vec![data_type.clone(); *count]).collect(),
        T::String(count) => vec![vec![DataType::Utf8View; *count]],
        T::Coercible(several) => {
            vec![several.iter().map(|coercion| of_class(coercion.desired_type())).collect::<Option<Vec<_>>>()?]
        }
        T::OneOf(several) => several.iter().map(exact).collect::<Option<Vec<_>>>()?.concat(),
        _ => return None,
    })
}

/// The type that an argument is made, where it is one.
fn of_class(class: &TypeSignatureClass) -> Option<DataType> {
    use TypeSignatureClass as C;
    Some(match class {
        C::Native(native) => match native.native() {
            NativeType::String => DataType::Utf8View,
            NativeType::Boolean => DataType::Boolean,
            NativeType::Int32 => DataType::Int32,
            NativeType::Int64 => DataType::Int64,
            NativeType::Float32 => DataType::Float32,
            NativeType::Float64 => DataType::Float64,
            NativeType::Date => DataType::Date32,
            NativeType::Binary => DataType::Binary,
            _ => return None,
        },
        C::Integer => DataType::Int64,
        C::Float => DataType::Float64,
        C::Binary => DataType::Binary,
        C::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => return None,
    })
}
