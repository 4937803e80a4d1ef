//! Types that Arrow has none for, kept through expressions that DataFusion gives a field without marks: CASE, coalesce, ARRAY[…].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    Aggregate, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Union, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::arithmetic::{rewrite_plan, rewrite_whole};
use super::steps;
use super::type_names::retyped;
use crate::functions::types;

/// What a type is marked with: keys and values of a field's metadata.
type Marks = BTreeMap<String, String>;

/// The last rule: types are settled, and what was said of them is told by every node above.
#[derive(Debug)]
pub(super) struct KeptTypes;

impl AnalyzerRule for KeptTypes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        told(plan, &keep)
    }

    fn name(&self) -> &str {
        "kept_types"
    }
}

/// A plan that was just made, whose columns say of what type they are. Rules that ask for a type, as those for casts do, come later.
pub(crate) fn known(plan: LogicalPlan) -> Result<LogicalPlan> {
    told(plan, &|node| {
        let read = rewrite_plan(node, &|expr, schema| {
            let cast = retyped(expr, schema);
            Ok(if cast.transformed { cast } else { json_literals(cast.data, schema) })
        })?;
        read.transform_data(keep)
    })
}

/// The plan with each node rewritten. What a column is said to be, each node above it says too.
fn told(plan: LogicalPlan, rewrite: &dyn Fn(LogicalPlan) -> Result<Transformed<LogicalPlan>>) -> Result<LogicalPlan> {
    let mut stale = steps::any(&plan)?;
    let told = plan.transform_up_with_subqueries(|node| {
        let node = rewrite(node)?;
        stale |= node.transformed;
        if !stale {
            return Ok(node);
        }
        Ok(Transformed::yes(match node.data.recompute_schema()? {
            LogicalPlan::RecursiveQuery(query) => steps::aligned(query)?,
            LogicalPlan::Union(union) => LogicalPlan::Union(merged(union)?),
            node => node,
        }))
    });
    told.data()
}

/// Says of its columns what its inputs say.
fn merged(union: Union) -> Result<Union> {
    let fields = union.schema.iter().enumerate().map(|(at, (qualifier, field))| {
        let inputs = union.inputs.iter().filter_map(|input| input.schema().fields().get(at));
        let metadata = inputs.flat_map(|field| field.metadata().clone()).collect();
        (qualifier.cloned(), Arc::new(field.as_ref().clone().with_metadata(metadata)))
    });
    let schema = DFSchema::new_with_metadata(fields.collect(), union.schema.metadata().clone())?;
    Ok(Union { schema: Arc::new(schema), ..union })
}

/// The node with its expressions said to be of their types.
pub(super) fn keep(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let elements = match &plan {
        LogicalPlan::Projection(projection) => elements(&projection.input),
        LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Filter(_) => Elements::new(),
        _ => return Ok(Transformed::no(plan)),
    };
    rewrite_whole(plan, &|expr, schema| with_marks(expr, schema, &elements))
}

/// What the columns are of that come from lists, and from aggregates of values of a type.
type Elements = HashMap<Column, Marks>;

fn elements(plan: &LogicalPlan) -> Elements {
    let unnest = match plan {
        LogicalPlan::Unnest(unnest) => unnest,
        LogicalPlan::Aggregate(aggregate) => return extremes(aggregate),
        LogicalPlan::Filter(filter) => return elements(&filter.input),
        _ => return Elements::new(),
    };
    let lists = unnest.list_type_columns.iter().filter_map(|(at, list)| {
        let marks = types::marks(unnest.input.schema().fields().get(*at)?);
        let (_, field) = unnest.schema.iter().find(|(_, field)| *field.name() == list.output_column.name)?;
        Some((list.output_column.clone(), of_element(&marks, field.data_type())?))
    });
    lists.collect()
}

/// The least and greatest of object ids are one; of references, such as `regclass`, too.
fn extremes(aggregate: &Aggregate) -> Elements {
    let groups = aggregate.schema.fields().len().saturating_sub(aggregate.aggr_expr.len());
    let input = aggregate.input.schema();
    let found = aggregate.schema.iter().skip(groups).zip(&aggregate.aggr_expr).filter_map(|(column, expr)| {
        let Expr::AggregateFunction(function) = expr.clone().unalias() else { return None };
        if !matches!(function.func.name(), "max" | "min") {
            return None;
        }
        let (_, field) = function.params.args.first()?.to_field(input).ok()?;
        let of_ids = types::catalog_type(&field).is_some_and(|name| name == "oid" || name.starts_with("reg"));
        of_ids.then(|| {
            (Column::from(column), Marks::from([(polder_capability::CATALOG_TYPE.to_owned(), "oid".to_owned())]))
        })
    });
    found.collect()
}

/// What an element of a list of such marks is marked with.
fn of_element(list: &Marks, data_type: &DataType) -> Option<Marks> {
    let metadata = list.clone().into_iter().collect();
    let list = Field::new("", DataType::new_list(data_type.clone(), true), true).with_metadata(metadata);
    let marks = types::marks(&types::item(&list, &Field::new("", data_type.clone(), true)));
    (!marks.is_empty()).then_some(marks)
}

/// An expression in which each part is said to be of its type.
fn with_marks(expr: Expr, schema: &DFSchema, elements: &Elements) -> Result<Transformed<Expr>> {
    if is_marked(&expr) {
        return expr.map_children(|value| value.map_children(|part| with_marks(part, schema, elements)));
    }
    let parts = expr.map_children(|part| with_marks(part, schema, elements))?;
    parts.transform_data(|expr| {
        Ok(match lost(&expr, schema, elements) {
            Some(marks) => Transformed::yes(marked(expr, marks)),
            None => Transformed::no(expr),
        })
    })
}

/// The marks that an expression's field does not have; none if it has them, or its type needs none.
fn lost(expr: &Expr, schema: &DFSchema, elements: &Elements) -> Option<Marks> {
    let marks = match expr {
        Expr::Column(column) => elements.get(column)?.clone(),
        Expr::Case(_) | Expr::ScalarFunction(_) => marks_of(expr, schema)?,
        _ => return None,
    };
    let (_, field) = expr.to_field(schema).ok()?;
    (types::marks(&field) != marks).then_some(marks)
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
            "nullif" | "array_slice" | "array_append" | "array_concat" | "array_distinct" | "array_sort"
            | "array_reverse" => marks_of(function.args.first()?, schema)?,
            "array_prepend" => marks_of(function.args.get(1)?, schema)?,
            "array_element" => {
                let list = marks_of(function.args.first()?, schema)?;
                of_element(&list, &expr.get_type(schema).ok()?)?
            }
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

/// The marks that all values have which are of a type by themselves.
fn common<'e>(values: impl Iterator<Item = &'e Expr>, schema: &DFSchema) -> Option<Marks> {
    let values: Vec<&Expr> = values.filter(|value| !is_null(value)).collect();
    let all: Vec<Option<Marks>> = values.iter().map(|value| marks_of(value, schema)).collect();
    let first = all.iter().flatten().next()?;
    let fits = |(value, marks): (&&Expr, &Option<Marks>)| marks.as_ref() == Some(first) || takes(value, first);
    values.iter().zip(&all).all(fits).then(|| first.clone())
}

/// Whether a constant takes a type of the catalog from what it stands beside: a text in quotes that of names, a number that of
/// object ids.
fn takes(value: &Expr, marks: &Marks) -> bool {
    let Some(mark) = marks.get(polder_capability::CATALOG_TYPE) else { return false };
    match value {
        Expr::Literal(value, _) if matches!(mark.as_str(), "name" | "char") => value.data_type() == DataType::Utf8,
        Expr::Literal(value, _) if mark == "oid" => value.data_type().is_integer(),
        Expr::Cast(Cast { expr, field }) => field.metadata().is_empty() && takes(expr, marks),
        _ => false,
    }
}

/// NULL, or an array without elements: of no type by itself.
fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::ScalarFunction(function) => function.name() == "make_array" && function.args.is_empty(),
        // NULL takes the type of the others.
        Expr::Cast(Cast { expr, field }) => field.metadata().is_empty() && is_null(expr),
        _ => false,
    }
}

/// Functions of values that have one type.
const TAKING: [&str; 5] = ["coalesce", "nullif", "greatest", "least", "make_array"];

/// Whether marks are those of JSON, or of an array of it.
fn is_document(marks: &Marks) -> bool {
    let list = marks.get(polder_capability::CATALOG_TYPE).map(String::as_str);
    marks.contains_key(types::EXTENSION) || matches!(list, Some(polder_lake::JSON_LIST | polder_lake::JSONB_LIST))
}

/// Texts in quotes beside JSON or an array of it, in CASE and coalesce, are that too.
fn json_literals(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let values: Vec<&mut Expr> = match &mut expr {
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter_mut().map(|(_, then)| then.as_mut());
            branches.chain(case.else_expr.as_deref_mut()).collect()
        }
        Expr::ScalarFunction(function) if TAKING.contains(&function.name()) => function.args.iter_mut().collect(),
        _ => return Transformed::no(expr),
    };
    let literal = |value: &Expr| matches!(value, Expr::Literal(ScalarValue::Utf8(Some(_)), _));
    let (literals, others): (Vec<&mut Expr>, Vec<&mut Expr>) = values.into_iter().partition(|value| literal(value));
    let others: Vec<&Expr> = others.into_iter().map(|value| &*value).collect();
    let json = common(others.iter().copied(), schema).filter(is_document);
    let Some(json) = json.filter(|_| !literals.is_empty()) else { return Transformed::no(expr) };
    let of_array = others.iter().filter_map(|value| value.get_type(schema).ok()).find(DataType::is_list);
    let field = Field::new("", of_array.unwrap_or(DataType::Utf8View), true);
    let field = Arc::new(field.with_metadata(json.into_iter().collect()));
    for value in literals {
        *value = Expr::Cast(Cast::new_from_field(Box::new(std::mem::take(value)), Arc::clone(&field)));
    }
    Transformed::yes(expr)
}

fn is_marked(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(function) if function.name() == NAME)
}

const NAME: &str = "polder_marked";

/// A value that is said to be of another type of the same layout.
pub(super) fn marked(value: Expr, marks: Marks) -> Expr {
    ScalarUDF::new_from_impl(Marked { marks, signature: Signature::any(1, Volatility::Immutable) }).call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Marked {
    marks: Marks,
    signature: Signature,
}

impl ScalarUDFImpl for Marked {
    fn name(&self) -> &str {
        NAME
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
