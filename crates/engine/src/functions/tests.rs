//! The manual's page of functions and the registry name the same functions.

use std::collections::BTreeSet;

use datafusion::execution::SessionStateBuilder;

use super::{FAMILIES, call, register, syntax};

const PAGE: &str = include_str!("../../../../docs/sql/functions.md");

/// Table functions that the system adds, which need a lake.
const OF_THE_LAKE: [&str; 4] = ["profile", "history", "table_changes", "pg_get_keywords"];

/// What stands between backticks, up to its bracket.
fn named(page: &str) -> BTreeSet<String> {
    let listed = page.lines().filter(|line| line.starts_with("| `") || line.starts_with("- `"));
    let first = listed.flat_map(|line| match line.strip_prefix("| ") {
        Some(row) => row.split(" | ").next().unwrap_or_default().split('`').skip(1).step_by(2).collect::<Vec<_>>(),
        None => line.split('`').skip(1).step_by(2).collect(),
    });
    first.map(|name| name.split('(').next().unwrap_or_default().to_owned()).collect()
}

fn registered() -> BTreeSet<String> {
    let mut state = SessionStateBuilder::new().with_default_features().build();
    datafusion_functions_json::register_all(&mut state).unwrap();
    register(&mut state).unwrap();
    let mut all: BTreeSet<String> = state.scalar_functions().keys().cloned().collect();
    all.extend(state.aggregate_functions().keys().cloned());
    all.extend(state.window_functions().keys().cloned());
    all.extend(state.table_functions().keys().cloned());
    all.extend(syntax::names().map(str::to_owned));
    all.extend(OF_THE_LAKE.map(str::to_owned));
    all.retain(|name| !name.starts_with("polder_"));
    all
}

#[test]
fn the_page_names_every_function() {
    let (page, registered) = (named(PAGE), registered());
    let missing: Vec<_> = registered.difference(&page).collect();
    let unknown: Vec<_> = page.difference(&registered).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not in the page: {missing:?}; not registered: {unknown:?}");
}

#[test]
fn every_function_says_what_it_is() {
    for function in FAMILIES.iter().flat_map(|(_, functions)| functions.iter()) {
        let own = function.name.starts_with("polder_");
        assert!(own || (!function.syntax.is_empty() && !function.description.is_empty()), "{}", function.name);
        assert!(!function.overloads.is_empty(), "{} cannot be called", function.name);
        let datafusion::logical_expr::Expr::ScalarFunction(planned) = call(function.name, Vec::new()) else { panic!() };
        assert_eq!(planned.name(), function.name);
    }
}

#[test]
fn tables_and_drivers_have_one_name_for_the_type_of_an_array() {
    assert_eq!(polder_lake::CATALOG_TYPE, polder_capability::CATALOG_TYPE);
}
