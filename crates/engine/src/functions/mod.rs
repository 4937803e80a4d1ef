//! Functions beyond DataFusion's own, and those of its functions that PostgreSQL defines otherwise.
//!
//! A family is a folder or a file with a list; [`FAMILIES`] names them all. What starts with `polder_` is called by the
//! planner for an operator or a cast, not by people.

mod dates;
pub(crate) mod function;
mod numbers;
pub(crate) mod types;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::ScalarUDF;

use self::function::{Function, Native};

/// Every family: its name in the manual, and its functions. Later registrations win over DataFusion's.
pub(crate) const FAMILIES: &[(&str, &[Function])] =
    &[("Dates and times", dates::FUNCTIONS), ("Numbers", numbers::FUNCTIONS)];

/// Registers all families.
///
/// # Errors
/// When the registry refuses a name.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for (section, functions) in FAMILIES {
        for function in *functions {
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(Native::new(function, section))))?;
        }
    }
    Ok(())
}
