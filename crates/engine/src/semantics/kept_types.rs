//! Types that Arrow has none for, kept through expressions that DataFusion gives a field without marks: CASE, coalesce, ARRAY[…].

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Projection, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::functions::types;

/// What a type is marked with: keys and values of a field's metadata.
pub(crate) type Marks = BTreeMap<String, String>;

/// The last rule. Only what a query gives is looked at, and what that is computed from: elsewhere nothing asks any more.
#[derive(Debug)]
pub(super) struct KeptTypes;

impl AnalyzerRule for KeptTypes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let kept = plan.transform_up_with_subqueries(keep)?;
        if !kept.transformed {
            return Ok(kept.data);
        }
        // What a column is said to be, each node above it says too.
        kept.data.transform_up_with_subqueries(|plan| plan.recompute_schema().map(Transformed::yes)).data()
    }

    fn name(&self) -> &str {
        "kept_types"
    }
}

fn keep(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Projection(projection) = &plan else { return Ok(Transformed::no(plan)) };
    let schema = projection.input.schema();
    let names = NamePreserver::new_for_projection();
    let mut found = false;
    let mut exprs = Vec::with_capacity(projection.expr.len());
    for expr in &projection.expr {
        let kept = expr.clone().transform_up(|part| {
            Ok(match with_marks(&part, schema) {
                Some(kept) => Transformed::yes(kept),
                None => Transformed::no(part),
            })
        })?;
        found |= kept.transformed;
        exprs.push(if kept.transformed { names.save(expr).restore(kept.data) } else { kept.data });
    }
    if !found {
        return Ok(Transformed::no(plan));
    }
    let projection = Projection::try_new(exprs, Arc::clone(&projection.input))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// An expression that is said to be of its type; none if it is already, or its type needs no mark.
fn with_marks(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    if let Expr::Alias(alias) = expr {
        let inner = with_marks(&alias.expr, schema)?;
        return Some(Expr::Alias(Alias { expr: Box::new(inner), ..alias.clone() }));
    }
    if !matches!(expr, Expr::Case(_) | Expr::ScalarFunction(_)) {
        return None;
    }
    let marks = marks_of(expr, schema)?;
    let (_, field) = expr.to_field(schema).ok()?;
    (types::marks(&field) != marks).then(|| marked(expr.clone(), marks))
}

/// What the type of an expression is marked with. A correlated subquery names columns that are not here: what cannot be typed
/// is left as it is.
fn marks_of(expr: &Expr, schema: &DFSchema) -> Option<Marks> {
    let marks = match expr {
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            common(branches.chain(case.else_expr.as_deref()), schema)?
        }
        Expr::ScalarFunction(function) => match function.name() {
            "coalesce" | "greatest" | "least" => common(function.args.iter(), schema)?,
            "nullif" => marks_of(function.args.first()?, schema)?,
            "make_array" => {
                let items = common(function.args.iter(), schema)?;
                let (_, item) = function.args.iter().find(|item| !is_null(item))?.to_field(schema).ok()?;
                let item = item.as_ref().clone().with_metadata(items.into_iter().collect());
                Marks::from([(polder_capability::CATALOG_TYPE.to_owned(), types::list_mark(&item)?)])
            }
            _ => types::marks(&expr.to_field(schema).ok()?.1),
        },
        _ => types::marks(&expr.to_field(schema).ok()?.1),
    };
    (!marks.is_empty()).then_some(marks)
}

/// The marks that all values have which are not NULL.
fn common<'e>(values: impl Iterator<Item = &'e Expr>, schema: &DFSchema) -> Option<Marks> {
    let mut all = values.filter(|value| !is_null(value)).map(|value| marks_of(value, schema));
    let first = all.next()??;
    all.all(|marks| marks.as_ref() == Some(&first)).then_some(first)
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        // NULL takes the type of the others.
        Expr::Cast(Cast { expr, .. }) => is_null(expr),
        _ => false,
    }
}

/// A value that is said to be of another type of the same layout.
pub(crate) fn marked(value: Expr, marks: Marks) -> Expr {
    ScalarUDF::new_from_impl(Marked { marks, signature: Signature::any(1, Volatility::Immutable) }).call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Marked {
    marks: Marks,
    signature: Signature,
}

impl ScalarUDFImpl for Marked {
    fn name(&self) -> &str {
        "polder_marked"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let (data_type, nullable) = match arguments.arg_fields.first() {
            Some(field) => (field.data_type().clone(), field.is_nullable()),
            None => (DataType::Null, true),
        };
        let metadata = self.marks.clone().into_iter().collect();
        Ok(Arc::new(Field::new(self.name(), data_type, nullable).with_metadata(metadata)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        arguments.args.into_iter().next().ok_or_else(|| DataFusionError::Internal("no value".into()))
    }
}
