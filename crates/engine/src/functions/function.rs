//! What a function is to this engine: a name, the kinds of its arguments, and code over whole columns.
//!
//! A family is a `const` list of [`Function`]s. PostgreSQL chooses among functions of one name by the types of the
//! arguments; so does [`Function::resolve`], and text in quotes, which has no type of its own yet, fits everything.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray};
use arrow::datatypes::FieldRef;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, IntervalUnit, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, DocumentationBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
    Volatility,
};
use polder_types::Error;

use super::bounds::{Bound, same_in_all};
use super::types;

/// What an argument may be, and what it is turned into before the function sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it is.
    Any,
    Text,
    Bool,
    Int2,
    Int4,
    Int8,
    Float,
    Numeric,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    Array,
    TextArray,
    IntArray,
}

/// What comes out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Gives {
    Text,
    /// `jsonb`.
    Json,
    /// `json`, which keeps its spelling.
    SpelledJson,
    /// An array of `jsonb`.
    JsonArray,
    Uuid,
    Bool,
    Int4,
    Int8,
    Float,
    Bytes,
    Date,
    Time,
    Timestamp,
    Interval,
    TextArray,
    /// A name of PostgreSQL's catalog.
    Name,
    /// A number that is of this type of PostgreSQL's catalog, such as `oid` or `regclass`.
    Oid(&'static str),
    /// A time of UTC.
    TimestampTz,
    /// The type of this argument.
    Argument(usize),
    Type(fn(&[DataType]) -> Result<DataType>),
}

/// One way to call a function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overload {
    pub takes: &'static [Kind],
    /// The kind of any number of further arguments.
    pub rest: Option<Kind>,
    pub gives: Gives,
    pub run: fn(&Call<'_>) -> Result<ArrayRef>,
}

/// A function as people see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub volatility: Volatility,
    pub overloads: &'static [Overload],
    pub syntax: &'static str,
    pub description: &'static str,
}

/// One way to call a function that gives the same for the same arguments.
pub(crate) const fn way(takes: &'static [Kind], gives: Gives, run: fn(&Call<'_>) -> Result<ArrayRef>) -> Overload {
    Overload { takes, rest: None, gives, run }
}

/// As [`way`], with any number of further arguments.
pub(crate) const fn way_rest(
    takes: &'static [Kind],
    rest: Kind,
    gives: Gives,
    run: fn(&Call<'_>) -> Result<ArrayRef>,
) -> Overload {
    Overload { takes, rest: Some(rest), gives, run }
}

/// A function that gives the same for the same arguments.
pub(crate) const fn function(
    name: &'static str,
    syntax: &'static str,
    description: &'static str,
    overloads: &'static [Overload],
) -> Function {
    Function { name, aliases: &[], volatility: Volatility::Immutable, overloads, syntax, description }
}

/// The arguments of one call, as columns of one length.
pub(crate) struct Call<'a> {
    pub arrays: Vec<ArrayRef>,
    /// The arguments' fields, which know what a type does not: that a text is JSON.
    pub fields: Vec<FieldRef>,
    pub rows: usize,
    pub config: &'a ConfigOptions,
    pub gives: &'a DataType,
}

impl Call<'_> {
    pub fn text(&self, at: usize) -> &StringArray {
        self.arrays[at].as_string::<i32>()
    }

    pub fn primitive<T: ArrowPrimitiveType>(&self, at: usize) -> &PrimitiveArray<T> {
        self.arrays[at].as_primitive::<T>()
    }

    /// True when every argument has a value in this row.
    pub fn is_whole(&self, row: usize) -> bool {
        self.arrays.iter().all(|array| !array.data_type().is_null() && array.is_valid(row))
    }

    /// How much it may make.
    pub fn bound(&self) -> Bound<'_> {
        Bound::of_given(self.config, || self.arrays.iter().map(|array| array.get_array_memory_size()).sum())
    }

    /// A column of texts; NULL where an argument is.
    pub fn texts(&self, mut value: impl FnMut(usize) -> Result<Option<String>>) -> Result<ArrayRef> {
        let (mut builder, mut made) = (arrow::array::StringBuilder::new(), self.bound().made());
        for row in 0..self.rows {
            let text = if self.is_whole(row) { value(row)? } else { None };
            made.value(text.as_ref().map_or(0, String::len))?;
            builder.append_option(text);
        }
        types::fit(Arc::new(builder.finish()), self.gives)
    }

    /// As [`Self::texts`], of numbers and times.
    pub fn values<T: ArrowPrimitiveType>(
        &self,
        mut value: impl FnMut(usize) -> Result<Option<T::Native>>,
    ) -> Result<ArrayRef> {
        let mut builder = arrow::array::PrimitiveBuilder::<T>::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(if self.is_whole(row) { value(row)? } else { None });
        }
        let array = builder.finish().with_data_type(self.gives.clone());
        Ok(Arc::new(array))
    }

    pub fn bools(&self, mut value: impl FnMut(usize) -> Result<Option<bool>>) -> Result<ArrayRef> {
        let mut builder = arrow::array::BooleanBuilder::with_capacity(self.rows);
        for row in 0..self.rows {
            builder.append_option(if self.is_whole(row) { value(row)? } else { None });
        }
        Ok(Arc::new(builder.finish()))
    }
}

/// A refusal with a SQLSTATE, on its way through DataFusion.
pub(crate) fn refuse(code: &'static str, message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Error::invalid(message).with_code(code)))
}

impl Kind {
    /// How far a type is from this kind, and what it becomes; none when it is not taken.
    fn fit(self, given: &DataType) -> Option<(u32, DataType)> {
        use DataType as D;
        let text = matches!(given, D::Utf8 | D::LargeUtf8 | D::Utf8View);
        if let D::Dictionary(_, value) = given {
            return self.fit(value);
        }
        if self == Self::Any {
            return Some((3, given.clone()));
        }
        // A literal in quotes has no type of its own; a column of texts has.
        let literal = matches!(given, D::Utf8 | D::Null);
        let integer = given.is_integer();
        let decimal = types::is_decimal(given);
        let near = match self {
            Self::Any => Some(0),
            Self::Text => text.then_some(0),
            Self::Bool => (*given == D::Boolean).then_some(0),
            Self::Int2 => matches!(given, D::Int8 | D::Int16 | D::UInt8).then_some(0),
            Self::Int4 => match given {
                D::Int32 => Some(0),
                D::Int8 | D::Int16 | D::UInt8 | D::UInt16 => Some(1),
                // Where nothing wider is taken, however many of the others are narrow.
                D::Int64 | D::UInt32 | D::UInt64 => Some(3),
                _ => None,
            },
            Self::Int8 => match given {
                D::Int64 => Some(0),
                _ if integer => Some(1),
                _ => None,
            },
            Self::Float => match given {
                D::Float64 => Some(0),
                D::Float32 | D::Float16 => Some(1),
                _ if integer || decimal => Some(2),
                _ => None,
            },
            Self::Numeric => match given {
                _ if decimal => Some(0),
                _ if integer => Some(1),
                _ => None,
            },
            Self::Bytes => {
                matches!(given, D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_)).then_some(0)
            }
            Self::Date => matches!(given, D::Date32 | D::Date64).then_some(0),
            Self::Time => matches!(given, D::Time32(_) | D::Time64(_)).then_some(0),
            Self::Timestamp => match given {
                D::Timestamp(_, None) => Some(0),
                D::Date32 | D::Date64 => Some(1),
                _ => None,
            },
            Self::TimestampTz => match given {
                D::Timestamp(_, Some(_)) => Some(0),
                D::Timestamp(_, None) | D::Date32 | D::Date64 => Some(2),
                _ => None,
            },
            Self::Interval => matches!(given, D::Interval(_) | D::Duration(_)).then_some(0),
            Self::Array => matches!(given, D::List(_) | D::LargeList(_) | D::FixedSizeList(..)).then_some(0),
            Self::TextArray => match given {
                D::List(item) | D::LargeList(item) => {
                    let fits = matches!(item.data_type(), D::Utf8 | D::Utf8View | D::LargeUtf8 | D::Null);
                    fits.then_some(0)
                }
                _ => None,
            },
            Self::IntArray => match given {
                D::List(item) | D::LargeList(item) => {
                    (item.data_type().is_integer() || item.data_type() == &D::Null).then_some(0)
                }
                _ => None,
            },
        };
        // Nobody means so small a number by a text.
        let near = near.or((literal && self != Self::Int2).then_some(4))?;
        Some((near, self.target(given)?))
    }

    fn target(self, given: &DataType) -> Option<DataType> {
        use DataType as D;
        Some(match self {
            Self::Any => given.clone(),
            Self::Text => D::Utf8,
            Self::Bool => D::Boolean,
            Self::Int2 => D::Int16,
            Self::Int4 => D::Int32,
            Self::Int8 => D::Int64,
            Self::Float => D::Float64,
            Self::Numeric => types::as_decimal(given),
            Self::Bytes => D::Binary,
            Self::Date => D::Date32,
            Self::Time => D::Time64(TimeUnit::Microsecond),
            Self::Timestamp => D::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => match given {
                D::Timestamp(_, Some(zone)) => D::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone))),
                _ => D::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            },
            Self::Interval => D::Interval(IntervalUnit::MonthDayNano),
            Self::Array => match given {
                D::List(_) => given.clone(),
                D::LargeList(item) | D::FixedSizeList(item, _) => D::List(Arc::clone(item)),
                D::Null => D::new_list(D::Null, true),
                _ => return None,
            },
            Self::TextArray => D::new_list(D::Utf8, true),
            Self::IntArray => D::new_list(D::Int64, true),
        })
    }
}

impl Function {
    /// The way to call it that fits best, and what the arguments become.
    ///
    /// # Errors
    /// 42883, as PostgreSQL says it.
    fn resolve(&self, given: &[DataType]) -> Result<(&'static Overload, Vec<DataType>)> {
        let mut best: Option<(u32, &'static Overload, Vec<DataType>)> = None;
        for overload in self.overloads {
            let fits =
                given.len() == overload.takes.len() || (given.len() > overload.takes.len() && overload.rest.is_some());
            if !fits {
                continue;
            }
            let kinds = overload.takes.iter().copied().chain(overload.rest.into_iter().cycle());
            let found: Option<Vec<(u32, DataType)>> =
                kinds.zip(given).map(|(kind, data_type)| kind.fit(data_type)).collect();
            let Some(found) = found else { continue };
            let distance = found.iter().map(|(near, _)| near).sum();
            if best.as_ref().is_none_or(|(least, ..)| distance < *least) {
                best = Some((distance, overload, found.into_iter().map(|(_, data_type)| data_type).collect()));
            }
        }
        best.map(|(_, overload, types)| (overload, types)).ok_or_else(|| {
            let types: Vec<String> = given.iter().map(types::postgres_name).collect();
            let error = Error::not_found(format!("function {}({}) does not exist", self.name, types.join(", ")))
                .with_code("42883")
                .with_hint(format!("it is called as {}", self.syntax));
            DataFusionError::External(Box::new(error))
        })
    }
}

impl Gives {
    fn data_type(self, arguments: &[DataType]) -> Result<DataType> {
        use DataType as D;
        Ok(match self {
            Self::Text | Self::Json | Self::SpelledJson | Self::Name => D::Utf8View,
            Self::Oid(_) => D::Int64,
            Self::TimestampTz => D::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Uuid => D::FixedSizeBinary(16),
            Self::Bool => D::Boolean,
            Self::Int4 => D::Int32,
            Self::Int8 => D::Int64,
            Self::Float => D::Float64,
            Self::Bytes => D::Binary,
            Self::Date => D::Date32,
            Self::Time => D::Time64(TimeUnit::Microsecond),
            Self::Timestamp => D::Timestamp(TimeUnit::Microsecond, None),
            Self::Interval => D::Interval(IntervalUnit::MonthDayNano),
            Self::TextArray | Self::JsonArray => D::new_list(D::Utf8View, true),
            Self::Argument(at) => arguments.get(at).cloned().unwrap_or(D::Null),
            Self::Type(of) => of(arguments)?,
        })
    }
}

/// A [`Function`] as DataFusion calls it.
#[derive(Debug)]
pub(crate) struct Native {
    function: &'static Function,
    signature: Signature,
    aliases: Vec<String>,
    documentation: Documentation,
}

impl Native {
    pub fn new(function: &'static Function, section: &'static str) -> Self {
        let section = datafusion::logical_expr::DocSection { include: true, label: section, description: None };
        Self {
            function,
            signature: Signature::user_defined(function.volatility),
            aliases: function.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            documentation: DocumentationBuilder::new_with_details(section, function.description, function.syntax)
                .build(),
        }
    }
}

impl Native {
    /// The function under further names.
    pub fn also(mut self, aliases: &[String]) -> Self {
        for alias in aliases {
            if alias != self.function.name && !self.aliases.contains(alias) {
                self.aliases.push(alias.clone());
            }
        }
        self
    }
}

impl PartialEq for Native {
    fn eq(&self, other: &Self) -> bool {
        self.function.name == other.function.name
    }
}

impl Eq for Native {}

impl Hash for Native {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.name.hash(state);
    }
}

impl ScalarUDFImpl for Native {
    fn name(&self) -> &str {
        self.function.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.resolve(given).map(|(_, types)| types)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let (overload, types) = self.function.resolve(given)?;
        overload.gives.data_type(&types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let (overload, types) = self.function.resolve(&given)?;
        let field = Field::new(self.function.name, overload.gives.data_type(&types)?, true);
        Ok(Arc::new(match overload.gives {
            Gives::Json => types::json(field),
            Gives::SpelledJson => types::spelled_json(field),
            Gives::JsonArray => types::of_catalog(field, "jsonb[]"),
            Gives::Uuid => types::uuid(field),
            Gives::Name => types::of_catalog(field, "name"),
            Gives::Oid(name) => types::of_catalog(field, name),
            // Of the same type, though Arrow may have none for it.
            Gives::Argument(at) => {
                let marks = args.arg_fields.get(at).map(|given| types::marks(given)).unwrap_or_default();
                field.with_metadata(marks.into_iter().collect())
            }
            _ => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let given: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let (overload, types) = self.function.resolve(&given)?;
        let constant = !args.args.is_empty()
            && self.function.volatility != Volatility::Volatile
            && args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        // What is given is there already, or stands for what is: what a statement may have of memory bounds what is made of it.
        let bound = Bound::WIDEST;
        let arrays = args
            .args
            .iter()
            .zip(&types)
            .map(|(value, data_type)| {
                if let ColumnarValue::Scalar(scalar) = value
                    && let Some(Some(text)) = scalar.try_as_str()
                {
                    bound.check_batch(text.len().saturating_mul(rows))?;
                }
                // Rows that share one text have a copy each from here on.
                if let ColumnarValue::Array(array) = value
                    && let Some(texts) = array.as_string_view_opt()
                {
                    bound.check_batch(texts.lengths().map(|length| length as usize).sum())?;
                }
                Ok(arrow::compute::cast(&value.to_array(rows)?, data_type)?)
            })
            .collect::<Result<Vec<_>>>()?;
        let gives = args.return_field.data_type();
        let call = Call { arrays, fields: args.arg_fields, rows, config: &args.config_options, gives };
        let array = (overload.run)(&call)?;
        if constant {
            return same_in_all(array, args.number_rows);
        }
        Ok(ColumnarValue::Array(array))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
