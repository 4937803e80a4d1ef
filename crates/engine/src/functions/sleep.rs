//! `pg_sleep`: it waits without a thread, so that others go on and a cancel is heard at once.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringViewArray};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::function::refuse;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sleep {
    signature: Signature,
}

/// The function, for the registry.
pub(super) fn sleep() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Exact(vec![DataType::Float64])], Volatility::Volatile);
    AsyncScalarUDF::new(Arc::new(Sleep { signature })).into_scalar_udf()
}

impl ScalarUDFImpl for Sleep {
    fn name(&self) -> &'static str {
        "pg_sleep"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// PostgreSQL's type is `void`, whose one value is shown as an empty text.
    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, _arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(refuse("0A000", "pg_sleep cannot be called here"))
    }
}

#[async_trait::async_trait]
impl AsyncScalarUDFImpl for Sleep {
    async fn invoke_async_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let rows = arguments.number_rows;
        let seconds = arrays.first().and_then(|array| array.as_primitive_opt::<Float64Type>());
        let mut slept = Vec::with_capacity(rows);
        for row in 0..rows {
            let at = |all: &Float64Array| if all.len() == 1 { 0 } else { row };
            let time = seconds.filter(|all| at(all) < all.len() && !all.is_null(at(all))).map(|all| all.value(at(all)));
            if let Some(seconds) = time.filter(|seconds| *seconds > 0.0) {
                // What is too long for a clock is longer than anybody waits.
                tokio::time::sleep(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)).await;
            }
            slept.push(time.map(|_| ""));
        }
        Ok(ColumnarValue::Array(Arc::new(StringViewArray::from(slept)) as ArrayRef))
    }
}
