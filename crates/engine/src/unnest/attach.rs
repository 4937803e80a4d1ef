//! Subqueries in expressions: joined to the input of the node, and replaced by what the join brings.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, not_impl_err};
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Distinct, Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use polder_types::Error;

use super::join::{join_on_keys, key_pairs};
use super::keys::{Keys, is_correlated, is_subquery};
use super::push::{Pushed, Pusher, or_empty, project};
use super::{Names, at_most_one_row};

/// An input, and what subqueries have added to it.
pub(super) struct Attached<'n> {
    plan: LogicalPlan,
    pub names: &'n Names,
}

/// A subquery under a name of its own, for all keys of the outer query.
pub(super) struct Named {
    pub relation: String,
    pub plan: LogicalPlan,
    /// The keys, over the outer query.
    pub outer_keys: Vec<Expr>,
    pub keys: Vec<Column>,
    pub strict: bool,
    /// What its first column is for a key without rows.
    pub empty: Option<Expr>,
}

/// What became of a condition.
pub(super) enum Choice {
    /// A join chooses the rows.
    Joined,
    /// To be asked of the rows as they have become.
    Condition(Expr),
}

pub(super) const VALUE: &str = "value";
pub(super) const MARK: &str = "mark";

impl Named {
    pub fn column(&self, name: &str) -> Expr {
        Expr::Column(Column::new(Some(self.relation.as_str()), name))
    }

    pub fn pairs(&self) -> Vec<super::join::Pair> {
        key_pairs(self.outer_keys.clone(), &self.keys, self.strict)
    }
}

impl<'n> Attached<'n> {
    pub fn new(plan: LogicalPlan, names: &'n Names) -> Self {
        Self { plan, names }
    }

    pub fn into_plan(self) -> LogicalPlan {
        self.plan
    }

    /// An expression without subqueries, over the input as it has become.
    pub fn replace(&mut self, expr: Expr) -> Result<Expr> {
        if !is_subquery(&expr) {
            return expr.map_children(|child| self.replace(child).map(Transformed::yes)).map(|replaced| replaced.data);
        }
        match expr {
            Expr::ScalarSubquery(subquery) if !is_correlated(&subquery.subquery)? => maybe_missing(subquery),
            Expr::ScalarSubquery(subquery) => self.scalar(&subquery),
            Expr::Exists(Exists { subquery, negated }) => {
                let exists = self.exists(&subquery)?;
                Ok(if negated { !exists } else { exists })
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let operand = self.replace(*expr)?;
                let found = self.any(operand, Operator::Eq, &subquery)?;
                Ok(if negated { !found } else { found })
            }
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                let operand = self.replace(*expr)?;
                match quantifier {
                    SetQuantifier::Any => self.any(operand, op, &subquery),
                    // `x > ALL (…)` unless `x <= ANY (…)`, for unknowns too.
                    SetQuantifier::All => match op.negate() {
                        Some(op) => Ok(!self.any(operand, op, &subquery)?),
                        None => not_impl_err!("{op} ALL with a subquery"),
                    },
                }
            }
            other => Ok(other),
        }
    }

    /// The subquery, with the names that are wanted of its columns.
    pub fn named(&self, subquery: &Subquery, complete: bool) -> Result<Named> {
        let plan = super::unwrapped(subquery.subquery.as_ref().clone())?;
        let value = plan.schema().columns().into_iter().next();
        let outer = self.plan.clone();
        let keys = Keys::of(&plan, outer.schema())?;
        let pusher = Pusher { outer: &outer, keys: &keys, names: self.names, steps: Vec::new() };
        let mut pushed = pusher.push(plan)?;
        if complete {
            pushed = pusher.completed(pushed)?;
        }
        let Pushed { plan, keys: carried, strict, empty } = pushed;
        let relation = self.names.relation();
        let own = |name: &str| Column::new(Some(relation.as_str()), name);
        let names: Vec<String> = (0..carried.len()).map(|at| format!("key{at}")).collect();
        let mut exprs: Vec<Expr> = carried
            .into_iter()
            .zip(&names)
            .map(|(key, name)| Expr::Column(key).alias_qualified(Some(relation.as_str()), name))
            .collect();
        if let Some(value) = value {
            exprs.push(Expr::Column(value).alias_qualified(Some(relation.as_str()), VALUE));
        }
        exprs.push(lit(true).alias_qualified(Some(relation.as_str()), MARK));
        let empty = empty.and_then(|values| values.into_iter().next()).map(|value| keys.unbound(value)).transpose()?;
        Ok(Named {
            plan: project(exprs, plan)?,
            outer_keys: keys.exprs.clone(),
            keys: names.iter().map(|name| own(name)).collect(),
            relation,
            strict,
            empty,
        })
    }

    /// Joins what belongs to each row.
    pub fn join(&mut self, right: LogicalPlan, join_type: JoinType, named: &Named, also: Option<Expr>) -> Result<()> {
        let left = std::mem::replace(&mut self.plan, LogicalPlan::default());
        self.plan = join_on_keys(left, right, join_type, named.pairs(), also)?;
        Ok(())
    }

    fn scalar(&mut self, subquery: &Subquery) -> Result<Expr> {
        let single = at_most_one_row(&subquery.subquery);
        let named = self.named(subquery, false)?;
        let value = named.column(VALUE);
        if single {
            self.join(named.plan.clone(), JoinType::Left, &named, None)?;
            return match &named.empty {
                Some(empty) => or_empty(MARK, Some(named.relation.as_str()), empty.clone(), value),
                None => Ok(value),
            };
        }
        let relation = named.relation.as_str();
        let keys: Vec<Expr> = named.keys.iter().cloned().map(Expr::Column).collect();
        let whole = vec![
            first_value(value, Vec::new()).alias_qualified(Some(relation), "first"),
            count(lit(1_i64)).alias_qualified(Some(relation), "rows"),
        ];
        let one = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(named.plan.clone()), keys, whole)?);
        self.join(one, JoinType::Left, &named, None)?;
        Ok(single_value(named.column("first"), named.column("rows")))
    }

    fn exists(&mut self, subquery: &Subquery) -> Result<Expr> {
        if !is_correlated(&subquery.subquery)? {
            // Asked once, and no further than to the first row.
            let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).project(Vec::<Expr>::new())?;
            let one = rows.limit(0, Some(1))?.build()?;
            let rows = Aggregate::try_new(Arc::new(one), Vec::new(), vec![count(lit(1_i64)).alias("rows")])?;
            let rows = Subquery {
                subquery: Arc::new(LogicalPlan::Aggregate(rows)),
                outer_ref_columns: Vec::new(),
                spans: subquery.spans.clone(),
            };
            return Ok(Expr::ScalarSubquery(rows).gt(lit(0_i64)));
        }
        let named = self.named(subquery, false)?;
        if named.empty.is_some() {
            return Ok(lit(true));
        }
        let mut exprs: Vec<Expr> = named.keys.iter().cloned().map(Expr::Column).collect();
        exprs.push(named.column(MARK));
        let distinct = LogicalPlan::Distinct(Distinct::All(Arc::new(project(exprs, named.plan.clone())?)));
        self.join(distinct, JoinType::Left, &named, None)?;
        Ok(named.column(MARK).is_not_null())
    }

    /// Takes a condition that a semi join or an anti join can answer; any other is given back.
    pub fn choose(&mut self, conjunct: Expr) -> Result<Choice> {
        let (conjunct, flipped) = match conjunct {
            Expr::Not(inner) if is_subquery(&inner) => (*inner, true),
            other => (other, false),
        };
        match conjunct {
            Expr::Exists(Exists { subquery, negated }) if is_correlated(&subquery.subquery)? => {
                let named = self.named(&subquery, false)?;
                let anti = negated != flipped;
                if named.empty.is_some() {
                    return Ok(if anti { Choice::Condition(lit(false)) } else { Choice::Joined });
                }
                let join_type = if anti { JoinType::LeftAnti } else { JoinType::LeftSemi };
                self.join(named.plan.clone(), join_type, &named, None)?;
                Ok(Choice::Joined)
            }
            Expr::SetComparison(SetComparison { expr, subquery, op: Operator::Eq, quantifier: SetQuantifier::Any }) => {
                self.choose_in(InSubquery { expr, subquery, negated: flipped })
            }
            Expr::SetComparison(SetComparison {
                expr,
                subquery,
                op: Operator::NotEq,
                quantifier: SetQuantifier::All,
            }) => self.choose_in(InSubquery { expr, subquery, negated: !flipped }),
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                self.choose_in(InSubquery { expr, subquery, negated: negated != flipped })
            }
            other if flipped => Ok(Choice::Condition(self.replace(!other)?)),
            other => Ok(Choice::Condition(self.replace(other)?)),
        }
    }

    fn choose_in(&mut self, condition: InSubquery) -> Result<Choice> {
        let InSubquery { expr, subquery, negated } = condition;
        let operand = self.replace(*expr)?;
        if negated {
            // DataFusion has an anti join that knows of NULL, for one column.
            // A constant would be looked for among the rows, and those that are NULL not be seen. Of an expression it asks
            // whether its columns can be NULL, and not whether it can.
            let column = matches!(operand, Expr::Column(_));
            return Ok(Choice::Condition(if !column || is_correlated(&subquery.subquery)? {
                !self.any(operand, Operator::Eq, &subquery)?
            } else {
                Expr::InSubquery(InSubquery { expr: Box::new(operand), subquery, negated: true })
            }));
        }
        let named = self.named(&subquery, true)?;
        let same = operand.eq(named.column(VALUE));
        self.join(named.plan.clone(), JoinType::LeftSemi, &named, Some(same))?;
        Ok(Choice::Joined)
    }

    pub fn schema(&self) -> &DFSchema {
        self.plan.schema()
    }

    /// Whether all that an expression names is in the input.
    pub fn takes_all(&self, expr: &Expr) -> Result<bool> {
        takes_only(expr, self.plan.schema())
    }
}

/// Whether all that an expression names, outside of its subqueries and from within them, is in a schema.
fn takes_only(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    let mut only = true;
    expr.apply(|part| {
        match part {
            Expr::Column(column) => only &= schema.has_column(column),
            Expr::Exists(Exists { subquery, .. })
            | Expr::InSubquery(InSubquery { subquery, .. })
            | Expr::SetComparison(SetComparison { subquery, .. })
            | Expr::ScalarSubquery(subquery) => only &= takes_from(&subquery.subquery, schema)?,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(only)
}

fn takes_from(plan: &LogicalPlan, schema: &DFSchema) -> Result<bool> {
    let mut only = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            only &= !expr.exists(|part| {
                Ok(matches!(part, Expr::OuterReferenceColumn(_, column) if !schema.has_column(column)))
            })?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(only)
}

/// Whether each subquery of a join's condition is about one of its inputs.
pub(super) fn fits_beside(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Result<bool> {
    let mut fits = true;
    expr.apply(|part| {
        if !is_subquery(part) {
            return Ok(TreeNodeRecursion::Continue);
        }
        fits &= takes_only(part, left)? || takes_only(part, right)?;
        Ok(TreeNodeRecursion::Jump)
    })?;
    Ok(fits)
}

/// Replaces the subqueries of a join's condition, each beside the input that it is about.
pub(super) fn replace_beside(expr: Expr, left: &mut Attached<'_>, right: &mut Attached<'_>) -> Result<Expr> {
    if !is_subquery(&expr) {
        return expr
            .map_children(|child| replace_beside(child, left, right).map(Transformed::yes))
            .map(|replaced| replaced.data);
    }
    if left.takes_all(&expr)? {
        left.replace(expr)
    } else if right.takes_all(&expr)? {
        right.replace(expr)
    } else {
        Err(DataFusionError::External(Box::new(
            Error::unsupported("a subquery in the ON of a full join that is about both of its sides")
                .with_hint("make it about one side, or join what it gives beforehand"),
        )))
    }
}

/// A subquery that may give no row may give NULL, whatever its column never is.
fn maybe_missing(subquery: Subquery) -> Result<Expr> {
    let plan = &subquery.subquery;
    let one = matches!(plan.as_ref(), LogicalPlan::Aggregate(node) if node.group_expr.is_empty())
        || matches!(plan.as_ref(), LogicalPlan::Projection(node)
            if matches!(node.input.as_ref(), LogicalPlan::Aggregate(node) if node.group_expr.is_empty()));
    let nullable = plan.schema().fields().first().is_none_or(|field| field.is_nullable());
    let Some(column) = plan.schema().columns().into_iter().next().filter(|_| !one && !nullable) else {
        return Ok(Expr::ScalarSubquery(subquery));
    };
    let name = column.name.clone();
    let value = ScalarUDF::new_from_impl(Maybe::new()).call(vec![Expr::Column(column)]).alias(name);
    let plan = project(vec![value], plan.as_ref().clone())?;
    Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), ..subquery }))
}

/// A value that counts as one that may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Maybe {
    signature: Signature,
}

impl Maybe {
    pub fn new() -> Self {
        // Folded away, it would be forgotten what it says.
        Self { signature: Signature::any(1, Volatility::Volatile) }
    }
}

impl ScalarUDFImpl for Maybe {
    fn name(&self) -> &str {
        "polder_maybe"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let field = arguments.arg_fields.first().map(|field| field.as_ref().clone().with_nullable(true));
        Ok(Arc::new(field.unwrap_or_else(|| Field::new(self.name(), DataType::Null, true))))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        arguments.args.into_iter().next().ok_or_else(|| DataFusionError::Internal("no value".into()))
    }
}

/// `value`, refused when it is one of several rows.
fn single_value(value: Expr, rows: Expr) -> Expr {
    ScalarUDF::new_from_impl(SingleValue::new()).call(vec![value, rows])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SingleValue {
    signature: Signature,
}

impl SingleValue {
    pub fn new() -> Self {
        // Not immutable: it may fail, so it must not be computed where it was not asked for.
        Self { signature: Signature::any(2, Volatility::Stable) }
    }
}

impl ScalarUDFImpl for SingleValue {
    fn name(&self) -> &str {
        "polder_single_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let field = arguments.arg_fields.first().map(|field| field.as_ref().clone().with_nullable(true));
        Ok(Arc::new(field.unwrap_or_else(|| Field::new(self.name(), DataType::Null, true))))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let rows = arrow::compute::cast(&arrays[1], &DataType::Int64)?;
        let rows = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&rows);
        if rows.iter().flatten().any(|rows| rows > 1) {
            return Err(DataFusionError::External(Box::new(
                Error::invalid("more than one row returned by a subquery used as an expression")
                    .with_code("21000")
                    .with_hint("LIMIT 1 with ORDER BY, or an aggregate, says which row is meant"),
            )));
        }
        debug_assert_eq!(arrays[0].len(), rows.len());
        Ok(ColumnarValue::Array(Arc::clone(&arrays[0])))
    }
}
