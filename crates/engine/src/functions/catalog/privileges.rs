//! Who may do what. There are users, and all of them may do everything.

use arrow::array::ArrayRef;
use datafusion::common::Result;

use crate::functions::function::Call;

/// True where nothing that is asked for is NULL.
pub(super) fn allowed(call: &Call<'_>) -> Result<ArrayRef> {
    call.bools(|_| Ok(Some(true)))
}
