//! Texts in quotes among arguments of other types: `coalesce(day, '2024-01-01')` is a date, and so is what `ARRAY[day, '2024-01-01']`
//! has in it.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::functions::input;
use crate::functions::types::is_text;

/// Functions whose arguments have one type.
const FUNCTIONS: &[&str] = &["coalesce", "greatest", "least", NULLIF, ARRAY];

pub(super) const NULLIF: &str = "nullif";
/// What an array that is written out is called by the planner.
pub(super) const ARRAY: &str = "make_array";

pub(super) fn register(state: &mut dyn FunctionRegistry) -> Result<()> {
    for name in FUNCTIONS {
        let inner = state.udf(name)?;
        state.register_udf(Arc::new(ScalarUDF::new_from_impl(OneType::new(inner))))?;
    }
    Ok(())
}

fn is_uuid(data_type: &DataType) -> bool {
    matches!(data_type, DataType::FixedSizeBinary(16))
}

/// A text as the number that it names, with the digits that it has: as a value of the type beside it, it would be rounded.
pub(super) fn numeric(text: &str) -> Option<ScalarValue> {
    let lower = text.trim().to_ascii_lowercase();
    let (mantissa, exponent) = match lower.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (lower.as_str(), 0),
    };
    let behind = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let scale = i32::try_from(behind).ok()?.checked_sub(exponent)?.max(0);
    let scale = i8::try_from(scale).ok().filter(|scale| *scale <= 38)?;
    let value = input::decimal(text, 38, scale).ok()?;
    let digits = u8::try_from(value.unsigned_abs().to_string().len()).ok()?;
    Some(ScalarValue::Decimal128(Some(value), digits.max(scale.unsigned_abs()).max(1), scale))
}

/// A function as the planner has it, but for texts beside values of another type: they are read as that type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneType {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl OneType {
    fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn coerced(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if self.name() != NULLIF {
            return self.inner.coerce_types(arguments);
        }
        // The planner's own has no coercion that can be asked for.
        let [one, other] = arguments else { return plan_err!("nullif takes two arguments") };
        match comparison_coercion(one, other) {
            Some(DataType::Null) => Ok(vec![DataType::Utf8View; 2]),
            Some(common) => Ok(vec![common; 2]),
            None => plan_err!("{one} and {other} are not comparable"),
        }
    }
}

impl ScalarUDFImpl for OneType {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let other = arguments.iter().find(|argument| !is_text(argument) && !argument.is_null());
        let Some(other) = other.filter(|other| !other.is_numeric()) else { return self.coerced(arguments) };
        let fits = |argument: &DataType| is_text(argument) || argument.is_null() || argument == other;
        if is_uuid(other) && arguments.iter().all(fits) {
            // Texts stay what they are until they are cast (`CommonTypes`): the planner asks Arrow whether they can be,
            // which has no such cast.
            let kept = arguments.iter().map(|argument| if is_text(argument) { argument } else { other });
            return Ok(kept.cloned().collect());
        }
        let read = arguments.iter().map(|argument| if is_text(argument) { other } else { argument });
        self.coerced(&read.cloned().collect::<Vec<_>>())
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let mut types = arguments.arg_fields.iter().map(|field| field.data_type());
        let uuid = types.find(|data_type| is_uuid(data_type)).cloned();
        let field = self.inner.return_field_from_args(arguments)?;
        Ok(match uuid {
            Some(uuid) if self.name() == ARRAY => {
                Arc::new(field.as_ref().clone().with_data_type(DataType::new_list(uuid, true)))
            }
            Some(uuid) if is_text(field.data_type()) => Arc::new(field.as_ref().clone().with_data_type(uuid)),
            _ => field,
        })
    }

    fn simplify(&self, arguments: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(arguments, context)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(arguments)
    }

    fn conditional_arguments<'a>(&self, arguments: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(arguments)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
