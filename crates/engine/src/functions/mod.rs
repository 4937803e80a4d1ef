//! Functions beyond DataFusion's own, and those of its functions that PostgreSQL defines otherwise.
//!
//! A family is a folder or a file with a list; [`FAMILIES`] names them all. What starts with `polder_` is called by the
//! planner for an operator or a cast, not by people.

mod arrays;
pub(crate) mod bounded;
pub(crate) mod bounds;
pub(crate) mod casts;
pub(crate) mod catalog;
pub(crate) mod dates;
pub(crate) mod function;
pub(crate) mod input;
pub(crate) mod json;
mod numbers;
pub(crate) mod planner;
mod rows;
mod sleep;
pub(crate) mod strings;
pub(crate) mod syntax;
mod system;
mod text;
pub(crate) mod types;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{Expr, ScalarUDF};

use self::function::{Function, Native};

/// Every family: its name in the manual, and its functions. They win over DataFusion's of the same name.
pub(crate) const FAMILIES: &[(&str, &[Function])] = &[
    ("Dates and times", dates::FUNCTIONS),
    ("Numbers", numbers::FUNCTIONS),
    ("Texts", strings::FUNCTIONS),
    ("Arrays", arrays::FUNCTIONS),
    ("JSON", json::FUNCTIONS),
    ("Values and the session", system::FUNCTIONS),
    ("PostgreSQL's catalog", catalog::FUNCTIONS),
    ("PostgreSQL's catalog", catalog::references::FUNCTIONS),
];

/// Registers all families.
///
/// # Errors
/// When the registry refuses a name.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for (section, functions) in FAMILIES {
        for function in *functions {
            // A name that the replaced one had beside its own would bring it back whenever a state is copied.
            let replaced = state.scalar_functions().get(function.name).cloned();
            let aliases: Vec<String> = replaced.iter().flat_map(|replaced| replaced.aliases().to_vec()).collect();
            if let Some(replaced) = replaced {
                state.deregister_udf(replaced.name())?;
            }
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(Native::new(function, section).also(&aliases))))?;
        }
    }
    // Known by each of its names.
    state.deregister_udf("now")?;
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(dates::Now::new())))?;
    state.register_udf(Arc::new(sleep::sleep()))?;
    state.register_udf(Arc::new(rows::row()))?;
    bounded::register(state)
}

/// What stands for a function that is not in the list.
static MISSING: Function = function::function("polder_missing", "", "", &[]);

/// A call that the planner makes of one of the functions here.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    named(name).call(arguments)
}

/// One of the functions here.
fn named(name: &str) -> ScalarUDF {
    for (section, functions) in FAMILIES {
        if let Some(function) =
            functions.iter().find(|function| function.name == name || function.aliases.contains(&name))
        {
            return ScalarUDF::new_from_impl(Native::new(function, section));
        }
    }
    // A name that is not there would be a mistake in the planner; the call says so.
    ScalarUDF::new_from_impl(Native::new(&MISSING, ""))
}

#[cfg(test)]
mod tests;
