//! The row of a table as one value, which functions of JSON take.

use std::sync::Arc;

use arrow::array::StructArray;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use polder_types::Error;

use crate::rewrite::whole_rows::{ALL_NULL, NONE_NULL, WHOLE_ROW};

/// The row that an operator stands for: the column of that name, if there is one, or all the columns of the table.
///
/// # Errors
/// `Unsupported` for a table behind an outer join: a row that is missing there would be one of NULLs.
pub(super) fn whole(raw: &RawBinaryExpr, schema: &DFSchema) -> Result<Option<Expr>> {
    let BinaryOperator::PGCustomBinaryOperator(parts) = &raw.op else { return Ok(None) };
    let (Expr::Literal(ScalarValue::Utf8(Some(name)), _), Expr::Literal(wanted, _)) = (&raw.left, &raw.right) else {
        return Ok(None);
    };
    if !parts.iter().eq(&WHOLE_ROW) {
        return Ok(None);
    }
    let mut columns = Vec::new();
    let mut first = None;
    for (qualifier, field) in schema.iter() {
        let Some(qualifier) = qualifier.filter(|qualifier| qualifier.table() == name) else { continue };
        if *first.get_or_insert(qualifier) == qualifier {
            columns.push((field.name(), Expr::Column((Some(qualifier), field).into())));
        }
    }
    let column = schema.iter().any(|(_, field)| field.name() == name);
    if column || columns.is_empty() {
        columns = vec![(name, Expr::Column(datafusion::common::Column::new_unqualified(name.clone())))];
    }
    let all = |test: fn(Expr) -> Expr| columns.iter().map(|(_, column)| test(column.clone())).reduce(Expr::and);
    let missing = match wanted {
        ScalarValue::Utf8(Some(wanted)) if wanted == ALL_NULL => return Ok(all(Expr::is_null)),
        ScalarValue::Utf8(Some(wanted)) if wanted == NONE_NULL => return Ok(all(Expr::is_not_null)),
        ScalarValue::Boolean(Some(missing)) => *missing,
        _ => return Ok(None),
    };
    if column || first.is_none() {
        return Ok(columns.pop().map(|(_, column)| column));
    }
    if missing {
        let error =
            Error::unsupported(format!("the row of {name} behind an outer join is not supported")).with_hint(format!(
                "take it before the join: LEFT JOIN (SELECT *, to_json({name}) AS whole FROM {name}) AS {name} ON …"
            ));
        return Err(datafusion::common::DataFusionError::External(Box::new(error)));
    }
    Ok(Some(row().call(columns.into_iter().flat_map(|(name, column)| [lit(name.clone()), column]).collect())))
}

/// `polder_row(name, value, …)`: a row that keeps what is known of its columns' types beyond their layout.
pub(super) fn row() -> ScalarUDF {
    ScalarUDF::new_from_impl(Row { signature: Signature::variadic_any(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Row {
    signature: Signature,
}

impl ScalarUDFImpl for Row {
    fn name(&self) -> &str {
        "polder_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a row follows from its fields")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let names = args.scalar_arguments.iter().step_by(2);
        let fields: Result<Vec<FieldRef>> = names
            .zip(args.arg_fields.iter().skip(1).step_by(2))
            .map(|(name, field)| match name.and_then(|name| name.try_as_str().flatten()) {
                Some(name) => Ok(Arc::new(field.as_ref().clone().with_name(name).with_nullable(true))),
                None => exec_err!("the names of a row's columns are constants"),
            })
            .collect();
        Ok(Arc::new(Field::new(self.name(), DataType::Struct(Fields::from(fields?)), false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return internal_err!("a row is of another type");
        };
        let values: Vec<ColumnarValue> = args.args.into_iter().skip(1).step_by(2).collect();
        let arrays = values.iter().map(|value| value.to_array(args.number_rows)).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new_with_length(
            fields.clone(),
            arrays,
            None,
            args.number_rows,
        )?)))
    }
}
