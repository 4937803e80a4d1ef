//! Functions that give rows: `unnest` and `generate_series`, in FROM and in a SELECT list.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, SelectItem,
    TableAlias, TableAliasColumnDef, TableFactor, TableFunctionArgs, TimezoneInfo, Value, VisitorMut,
};
use polder_sql_tree::{visit_expressions, visit_mut};
use polder_types::{Error, Result};

use super::{SERIES, quoted};
use crate::parse::{parse_expr, parse_factor};
use crate::statement::fold;

const UNNEST: &str = "unnest";
const ORDINALITY: &str = "ordinality";

/// Functions about partitions of tables and about options of foreign servers, of which there are none, with the columns that they give.
const OF_NOTHING: &[(&str, &[&str])] = &[
    ("pg_partition_ancestors", &["NULL::bigint AS relid"]),
    (
        "pg_partition_tree",
        &["NULL::bigint AS relid", "NULL::bigint AS parentrelid", "NULL::boolean AS isleaf", "NULL::integer AS level"],
    ),
    (OPTIONS, &["NULL::text AS option_name", "NULL::text AS option_value"]),
];

/// The one that takes something else than the number of a table: a column of options, each of which is empty.
const OPTIONS: &str = "pg_options_to_table";

/// The columns of a call that gives nothing.
fn of_nothing(name: &str, args: &TableFunctionArgs) -> Option<(&'static str, String)> {
    let name = name.to_lowercase();
    let bare = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let (known, columns) = OF_NOTHING.iter().find(|(known, _)| *known == bare)?;
    let is_column = matches!(
        args.args.as_slice(),
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)))]
    );
    (*known != OPTIONS || is_column).then(|| (*known, columns.join(", ")))
}

/// A function in FROM that the planner cannot take as it is: one that names columns of what stands before it, counts its
/// rows, or takes what is not yet a number or a time.
pub(super) fn in_from(factor: &mut TableFactor) -> Result<()> {
    if let TableFactor::Table { name, args: Some(args), with_ordinality, alias, .. } = factor
        && let Some((known, columns)) = of_nothing(&name.to_string(), args)
    {
        let alias = alias.as_ref().map_or_else(|| known.to_owned(), ToString::to_string);
        let alias = alias.strip_prefix("AS ").unwrap_or(&alias);
        let counted = if *with_ordinality { ", NULL::bigint AS ordinality" } else { "" };
        *factor = parse_factor(&format!("(SELECT {columns}{counted} WHERE false) AS {alias}"))?;
        return Ok(());
    }
    let (function, args, ordinality, alias) = match factor {
        TableFactor::Table { name, args: Some(args), with_ordinality, alias, .. } if is_series(name) => {
            let args = exprs(&args.args)?;
            if !*with_ordinality && args.iter().all(is_counted) {
                return Ok(());
            }
            (SERIES, args, *with_ordinality, alias.take())
        }
        TableFactor::Function { name, args, with_ordinality, alias, .. } => {
            let function = match name.to_string().to_lowercase().as_str() {
                SERIES => SERIES,
                UNNEST => UNNEST,
                _ => return Ok(()),
            };
            (function, exprs(args)?, *with_ordinality, alias.take())
        }
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
            if !*with_ordinality {
                name_column(alias, array_exprs.len());
                return Ok(());
            }
            (UNNEST, array_exprs.clone(), true, alias.take())
        }
        _ => return Ok(()),
    };
    *factor = derived(function, &args, ordinality, alias)?;
    Ok(())
}

/// `unnest(a) AS t` has a column t.
fn name_column(alias: &mut Option<TableAlias>, arrays: usize) {
    if let Some(alias) = alias
        && alias.columns.is_empty()
        && arrays == 1
    {
        alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
    }
}

fn is_ancestors(name: &str) -> bool {
    let name = name.to_lowercase();
    name.strip_prefix("pg_catalog.").unwrap_or(&name) == "pg_partition_ancestors"
}

fn is_series(name: &ObjectName) -> bool {
    name.to_string().eq_ignore_ascii_case(SERIES)
}

fn exprs(args: &[FunctionArg]) -> Result<Vec<Expr>> {
    args.iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
            other => Err(Error::invalid(format!("{other} is no argument here")).with_code("42601")),
        })
        .collect()
}

/// Of numbers and local times that are written out: the planner counts them as they are asked for. It takes instants and days
/// for those of UTC, whatever the session's zone.
fn is_counted(arg: &Expr) -> bool {
    let text = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    match arg {
        Expr::Value(_) => !text(arg),
        Expr::Interval(_) => true,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_counted(inner),
        Expr::BinaryOp { left, right, .. } => is_counted(left) && is_counted(right),
        Expr::TypedString(typed) => is_local(&typed.data_type) && is_whole(&typed.data_type, &typed.value.value),
        Expr::Cast { expr, data_type, .. } => match expr.as_ref() {
            Expr::Value(value) if text(expr) => is_local(data_type) && is_whole(data_type, &value.value),
            inner => is_local(data_type) && is_counted(inner),
        },
        _ => false,
    }
}

/// Whether the planner reads a text as that type: it takes moments with their seconds, or days.
fn is_whole(data_type: &DataType, value: &Value) -> bool {
    let (DataType::Timestamp(..), Value::SingleQuotedString(text)) = (data_type, value) else { return true };
    let shape: String = text.chars().map(|letter| if letter.is_ascii_digit() { '9' } else { letter }).collect();
    shape == "9999-99-99" || ["9999-99-99 99:99:99", "9999-99-99T99:99:99"].iter().any(|whole| shape.starts_with(whole))
}

fn is_local(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)
            | DataType::Interval { .. }
            | DataType::Int(_)
            | DataType::Integer(_)
            | DataType::BigInt(_)
            | DataType::SmallInt(_)
    )
}

fn names_columns(expr: &Expr) -> bool {
    visit_expressions(expr, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// The function as a lateral SELECT: arrays side by side, with a series beside them that counts.
fn derived(function: &str, args: &[Expr], ordinality: bool, alias: Option<TableAlias>) -> Result<TableFactor> {
    let arrays: Vec<String> = if function == SERIES {
        let list = args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        vec![format!("{SERIES}({list})")]
    } else {
        args.iter().map(ToString::to_string).collect()
    };
    let name = alias.as_ref().map_or_else(|| function.to_owned(), |alias| fold(&alias.name));
    let given: Vec<String> =
        alias.iter().flat_map(|alias| alias.columns.iter()).map(|column| fold(&column.name)).collect();
    if given.len() > arrays.len() + usize::from(ordinality) {
        return Err(Error::invalid(format!("{name} has fewer columns than names for them")).with_code("42P10"));
    }
    let default = |at: usize| match (arrays.len(), alias.is_some()) {
        (1, true) => name.clone(),
        (1, false) => function.to_owned(),
        _ => format!("{UNNEST}_{}", at + 1),
    };
    let mut items: Vec<String> = arrays
        .iter()
        .enumerate()
        .map(|(at, array)| {
            format!("{UNNEST}({array}) AS {}", quoted(&given.get(at).cloned().unwrap_or_else(|| default(at))))
        })
        .collect();
    if ordinality {
        let column = given.get(arrays.len()).map_or(ORDINALITY, String::as_str);
        let lengths: Vec<String> =
            arrays.iter().map(|array| format!("coalesce(array_length({array}, 1)::bigint, 0)")).collect();
        let longest = match lengths.as_slice() {
            [length] => length.clone(),
            lengths => format!("greatest({})", lengths.join(", ")),
        };
        items.push(format!("{UNNEST}({SERIES}(1, {longest})) AS {}", quoted(column)));
    }
    // What takes from nothing may stand on either side of any join.
    let lateral = if args.iter().any(names_columns) { "LATERAL " } else { "" };
    parse_factor(&format!("{lateral}(SELECT {}) AS {}", items.join(", "), quoted(&name)))
}

/// `SELECT generate_series(1, 3)` gives rows, not a list.
pub(super) fn in_select(item: &mut SelectItem) -> Result<()> {
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr,
        _ => return Ok(()),
    };
    let plain = is_call(expr, SERIES);
    let mut rows = Rows { depth: 0 };
    if let ControlFlow::Break(error) = visit_mut(expr, &mut rows) {
        return Err(error);
    }
    if plain && let SelectItem::UnnamedExpr(expr) = item {
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', SERIES) };
    }
    Ok(())
}

fn is_call(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case(name))
}

struct Rows {
    /// Queries that stand around, within the item.
    depth: usize,
}

impl VisitorMut for Rows {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Function(function) = &*expr
            && is_ancestors(&function.name.to_string())
        {
            match parse_expr(&format!("{UNNEST}({SERIES}(1, 0))")) {
                Ok(nothing) => *expr = nothing,
                Err(error) => return ControlFlow::Break(error),
            }
        } else if is_call(expr, SERIES) {
            match parse_expr(&format!("{UNNEST}({expr})")) {
                Ok(unnested) => *expr = unnested,
                Err(error) => return ControlFlow::Break(error),
            }
        } else if is_call(expr, UNNEST)
            && let Some(inner) = only_argument(expr)
            && is_call(inner, UNNEST)
        {
            *expr = inner.clone();
        }
        ControlFlow::Continue(())
    }
}

fn only_argument(expr: &Expr) -> Option<&Expr> {
    let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = expr else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))] => Some(inner),
        _ => None,
    }
}
