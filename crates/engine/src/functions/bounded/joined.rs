//! `a || b` of two texts, or of two strings of bytes.

use std::sync::Arc;

use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::texts;
use crate::functions::bounds::{Bound, same_in_all};

/// The operator as a function that asks for its bound.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

/// Two values of one type, which [`is_joined`] takes, one behind the other.
pub(crate) fn joined(left: Expr, right: Expr) -> Expr {
    let function = Joined { signature: Signature::any(2, Volatility::Immutable) };
    Arc::new(ScalarUDF::new_from_impl(function)).call(vec![left, right])
}

pub(crate) fn is_joined(data_type: &DataType) -> bool {
    use DataType as D;
    matches!(data_type, D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Binary | D::LargeBinary | D::BinaryView)
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        "polder_join"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(given.first().cloned().unwrap_or(DataType::Utf8View))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given = arguments.arg_fields;
        let data_type = given.first().map_or(DataType::Utf8View, |field| field.data_type().clone());
        Ok(Arc::new(Field::new(self.name(), data_type, given.iter().any(|field| field.is_nullable()))))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = [&arguments.args[0], &arguments.args[1]];
        let constant = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { arguments.number_rows };
        texts::joined(Bound::of(&arguments.config_options), &arguments.args, rows)?;
        let (left, right) = (left.to_array(rows)?, right.to_array(rows)?);
        let array = concat_elements_dyn(left.as_ref(), right.as_ref())?;
        if constant {
            return same_in_all(array, arguments.number_rows);
        }
        Ok(ColumnarValue::Array(array))
    }
}
