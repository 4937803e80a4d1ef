//! Columns that count themselves up: the function that INSERT calls for them.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use arrow::array::Int64Array;
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result as DataFusionResult, ScalarValue};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use polder_lake::{IdentityPlace, Lake};
use polder_types::{Error, ErrorKind};

/// The function's name. It belongs to the system: people write `DEFAULT`, or leave the column out.
pub(crate) const NAME: &str = "polder_identity";

/// `polder_identity(table uuid, column id, from, step)`: the next number, another one for each row.
#[derive(Debug)]
struct NextIdentity {
    lake: Weak<Lake>,
    signature: Signature,
}

impl PartialEq for NextIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.lake.ptr_eq(&other.lake)
    }
}

impl Eq for NextIdentity {}

impl Hash for NextIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NAME.hash(state);
    }
}

pub(crate) fn register(state: &mut SessionState, lake: &Arc<Lake>) -> DataFusionResult<()> {
    let types = vec![DataType::Utf8, DataType::Int64, DataType::Int64, DataType::Int64];
    let function =
        NextIdentity { lake: Arc::downgrade(lake), signature: Signature::exact(types, Volatility::Volatile) };
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    Ok(())
}

/// The call, as SQL.
pub(crate) fn call(place: &IdentityPlace) -> String {
    format!("{NAME}('{}', {}, {}, {})", place.table, place.column, place.from, place.step)
}

impl ScalarUDFImpl for NextIdentity {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let external = |error: Error| DataFusionError::External(Box::new(error));
        let lake = self.lake.upgrade();
        let lake = lake.ok_or_else(|| external(Error::new(ErrorKind::Unavailable, "the server is stopping")))?;
        let wrong = || external(Error::internal("an identity is asked for in a way that nobody asks for it"));
        let [
            ColumnarValue::Scalar(ScalarValue::Utf8(Some(table))),
            ColumnarValue::Scalar(ScalarValue::Int64(Some(column))),
            ColumnarValue::Scalar(ScalarValue::Int64(Some(from))),
            ColumnarValue::Scalar(ScalarValue::Int64(Some(step))),
        ] = arguments.args.as_slice()
        else {
            return Err(wrong());
        };
        let table = table.parse().map_err(|_| wrong())?;
        let place = IdentityPlace { table, column: *column, from: *from, step: *step };
        let rows = arguments.number_rows;
        let first = lake.next_identity(&place, rows).map_err(external)?;
        let numbers = (0..rows as i64).map(|row| first + row * step);
        Ok(ColumnarValue::Array(Arc::new(Int64Array::from_iter_values(numbers))))
    }
}
