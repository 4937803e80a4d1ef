//! Functions of arrays give arrays of what they were given, where Arrow has no type for it: `oid[]`, `jsonb[]`.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::functions::types;

/// DataFusion's functions whose arrays have the items of an argument.
const SAME: [&str; 6] =
    ["array_append", "array_prepend", "array_concat", "array_distinct", "array_sort", "array_reverse"];

pub(super) fn register(state: &mut SessionState) -> Result<()> {
    for name in SAME {
        let Some(inner) = state.scalar_functions().get(name).cloned() else { continue };
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(Listed { inner })))?;
    }
    Ok(())
}

/// A function under its own name, whose arrays say what they are of.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Listed {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Listed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let lists = arguments.arg_fields.iter().filter(|field| field.data_type().is_nested());
        let marks = lists.map(|field| types::marks(field)).find(|marks| !marks.is_empty());
        let field = self.inner.return_field_from_args(arguments)?;
        Ok(match marks.filter(|_| field.data_type().is_nested()) {
            Some(marks) => Arc::new(field.as_ref().clone().with_metadata(marks.into_iter().collect())),
            None => field,
        })
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arguments)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(arguments)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
