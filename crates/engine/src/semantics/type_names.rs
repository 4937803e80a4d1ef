//! SQL's names of types, where PostgreSQL means something else by them than DataFusion does; and casts to a length.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, not_impl_err, plan_err};
use datafusion::logical_expr::expr::{BinaryExpr, Case, Cast, InList};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::logical_expr::{
    Between, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType as SqlType, ExactNumberInfo, TimezoneInfo,
};
use polder_lake::{DECLARED, TextLength};
use polder_types::Error;

use super::arithmetic::rewrite_plan;
use super::kept_types;
use crate::functions::types;

/// The longest text that a declaration may ask for, as in PostgreSQL.
const LENGTH_MAX: u64 = 10_485_760;

/// How a cast to an array says what its elements are declared as. Nothing but the cast says it: no column keeps it.
const ELEMENTS: &str = "polder:elements";

#[derive(Debug)]
pub(super) struct PostgresTypes;

impl TypePlanner for PostgresTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let plain = |data_type| Ok(Some(Arc::new(Field::new("", data_type, true))));
        let utc = || Some("UTC".into());
        match sql_type {
            SqlType::Varchar(length) | SqlType::CharacterVarying(length) | SqlType::CharVarying(length) => {
                text("varchar", length.as_ref())
            }
            SqlType::Char(length) | SqlType::Character(length) => {
                // A bare `char` is one character long.
                let one = CharacterLength::IntegerLength { length: 1, unit: None };
                text("char", Some(length.as_ref().unwrap_or(&one)))
            }
            // Microseconds, as PostgreSQL and DuckDB keep them; nanoseconds would end in the year 2262.
            SqlType::Timestamp(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                plain(DataType::Timestamp(TimeUnit::Microsecond, None))
            }
            SqlType::Timestamp(None | Some(6), TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
                plain(DataType::Timestamp(TimeUnit::Microsecond, utc()))
            }
            SqlType::Timestamp(Some(0..=3), TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
                not_impl_err!("{sql_type} is not supported; leave the precision out")
            }
            SqlType::Float(ExactNumberInfo::None) => plain(DataType::Float64),
            SqlType::Float(ExactNumberInfo::Precision(bits)) => match bits {
                1..=24 => plain(DataType::Float32),
                25..=53 => plain(DataType::Float64),
                _ => plan_err!("precision for type float must be between 1 and 53"),
            },
            SqlType::Time(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                plain(DataType::Time64(TimeUnit::Microsecond))
            }
            SqlType::Time(Some(_), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                not_impl_err!("{sql_type} is not supported; leave the precision out")
            }
            // The planner would forget the number.
            SqlType::String(Some(_)) => not_impl_err!("{sql_type} is not supported: varchar(n) has a length"),
            SqlType::TinyInt(Some(_))
            | SqlType::SmallInt(Some(_))
            | SqlType::Int(Some(_))
            | SqlType::Integer(Some(_))
            | SqlType::BigInt(Some(_)) => {
                not_impl_err!("{sql_type} is not supported; leave the number in brackets out, or write numeric(n)")
            }
            SqlType::Dec(digits) => decimal(digits),
            SqlType::JSON => Ok(Some(Arc::new(types::spelled_json(Field::new("", DataType::Utf8View, true))))),
            SqlType::JSONB => Ok(Some(Arc::new(types::json(Field::new("", DataType::Utf8View, true))))),
            SqlType::Uuid => Ok(Some(Arc::new(types::uuid(Field::new("", DataType::FixedSizeBinary(16), true))))),
            SqlType::Custom(name, modifiers) if modifiers.is_empty() => {
                // In quotes it is the same; but `"char"` is not the type of blanks at the end.
                let text = name.to_string().to_lowercase();
                let plain = if text == "\"char\"" { text } else { text.replace('"', "") };
                Ok(catalog_type(&plain).map(Arc::new))
            }
            SqlType::Array(ArrayElemTypeDef::AngleBracket(item) | ArrayElemTypeDef::SquareBracket(item, None)) => {
                let marked = self.plan_type_field(item)?.and_then(|item| {
                    let list = Field::new("", DataType::new_list(item.data_type().clone(), true), true);
                    let declared = item.metadata().get(DECLARED);
                    if let Some(declared) = declared.filter(|declared| TextLength::of(declared).is_some()) {
                        let elements = HashMap::from([(ELEMENTS.to_owned(), declared.clone())]);
                        return Some(Arc::new(list.with_metadata(elements)));
                    }
                    let mark = types::list_mark(&item)?;
                    Some(Arc::new(types::of_catalog(list, &mark)))
                });
                Ok(marked)
            }
            SqlType::Regclass => Ok(catalog_type("regclass").map(Arc::new)),
            _ => Ok(None),
        }
    }
}

/// Types that are in PostgreSQL's catalog and no words of SQL, and all by the names that they have there.
fn catalog_type(name: &str) -> Option<Field> {
    use DataType as D;
    let of = |data_type: DataType| Field::new("", data_type, true);
    let moment = |zone| of(D::Timestamp(TimeUnit::Microsecond, zone));
    let bare = name.strip_prefix("pg_catalog.");
    Some(match bare.unwrap_or(name) {
        reference @ ("oid" | "regclass" | "regtype" | "regproc" | "regprocedure" | "regoper" | "regoperator"
        | "regnamespace" | "regrole") => types::of_catalog(of(D::Int64), reference),
        // There is nothing that they could refer to.
        "regconfig" | "regdictionary" | "regcollation" => types::of_catalog(of(D::Int64), "oid"),
        "int2vector" => types::of_catalog(of(D::new_list(D::Int16, true)), "int2vector"),
        "oidvector" => types::of_catalog(of(D::new_list(D::Int64, true)), "oidvector"),
        "xid" | "cid" => of(D::Int64),
        "name" | "bpchar" | "citext" | "\"char\"" | "cstring" | "pg_node_tree" => of(D::Utf8View),
        // The others have words of their own, which the parser knows.
        _ if bare.is_none() => return None,
        "text" | "varchar" => of(D::Utf8View),
        "bool" => of(D::Boolean),
        "int2" => of(D::Int16),
        "int4" => of(D::Int32),
        "int8" => of(D::Int64),
        "float4" => of(D::Float32),
        "float8" => of(D::Float64),
        "numeric" => of(D::Decimal128(38, 10)),
        "date" => of(D::Date32),
        "time" => of(D::Time64(TimeUnit::Microsecond)),
        "timestamp" => moment(None),
        "timestamptz" => moment(Some("UTC".into())),
        "interval" => of(D::Interval(IntervalUnit::MonthDayNano)),
        "bytea" => of(D::Binary),
        "uuid" => types::uuid(of(D::FixedSizeBinary(16))),
        "json" => types::spelled_json(of(D::Utf8View)),
        "jsonb" => types::json(of(D::Utf8View)),
        _ => return None,
    })
}

/// What the planner makes of `decimal`, by its short name.
fn decimal(digits: &ExactNumberInfo) -> Result<Option<FieldRef>> {
    let (precision, scale) = match digits {
        ExactNumberInfo::None => (38, 10),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale.unsigned_abs() <= precision => {
            Ok(Some(Arc::new(Field::new("", DataType::Decimal128(precision, scale), true))))
        }
        _ => plan_err!("dec{digits} is not supported: a number has at most 38 digits"),
    }
}

fn text(name: &str, length: Option<&CharacterLength>) -> Result<Option<FieldRef>> {
    let field = Field::new("", DataType::Utf8View, true);
    let length = match length {
        None | Some(CharacterLength::Max) => return Ok(Some(Arc::new(field))),
        Some(CharacterLength::IntegerLength { length, .. }) => *length,
    };
    if !(1..=LENGTH_MAX).contains(&length) {
        let error = Error::invalid(format!("length for type {name} must be between 1 and {LENGTH_MAX}"));
        return Err(DataFusionError::External(Box::new(error.with_code("22023"))));
    }
    let declared = HashMap::from([(DECLARED.to_owned(), format!("{name}({length})"))]);
    Ok(Some(Arc::new(field.with_metadata(declared))))
}

/// A cast to a length cuts what is beyond it.
#[derive(Debug)]
pub(super) struct CastsToLength;

/// A plan whose columns say how their types are declared, casts of such types included.
pub(crate) fn with_lengths(plan: LogicalPlan) -> Result<LogicalPlan> {
    let cut = cut_casts(plan)?;
    if !cut.transformed {
        return Ok(cut.data);
    }
    // What a column is said to be, each node above it says too.
    cut.data.transform_up(|plan| plan.recompute_schema().map(Transformed::yes)).data()
}

fn cut_casts(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| rewrite_plan(plan, &cut))
}

impl AnalyzerRule for CastsToLength {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        with_lengths(plan)
    }

    fn name(&self) -> &str {
        "casts_to_length"
    }
}

fn cut(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else { return unpadded(expr, schema) };
    let elements = field.metadata().get(ELEMENTS);
    let Some(declared) = elements.or_else(|| field.metadata().get(DECLARED)) else {
        return without_length(expr, schema);
    };
    if TextLength::of(declared).is_none() {
        return Ok(Transformed::no(expr));
    }
    let function = Cut { declared: declared.clone(), of_elements: elements.is_some(), signature: any(1) };
    let whole = cast(inner.as_ref().clone(), function.data_type());
    Ok(Transformed::yes(Arc::new(ScalarUDF::new_from_impl(function)).call(vec![whole])))
}

const COMPARISONS: &[Operator] = &[
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

/// Blanks at the end of a literal mean nothing beside a `char(n)`, which is kept without its own.
fn unpadded(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_padded = |expr: &Expr| -> Result<bool> {
        Ok(TextLength::of_field(&expr.to_field(schema)?.1).is_some_and(|length| length.blank_padded))
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if COMPARISONS.contains(&op) => {
            let (left, right) = match (without_blanks(&left), without_blanks(&right)) {
                (None, Some(literal)) if is_padded(&left)? => (left, Box::new(literal)),
                (Some(literal), None) if is_padded(&right)? => (Box::new(literal), right),
                _ => return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            };
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        Expr::InList(InList { expr, list, negated })
            if list.iter().any(|item| without_blanks(item).is_some()) && is_padded(&expr)? =>
        {
            let list = list.into_iter().map(|item| without_blanks(&item).unwrap_or(item)).collect();
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        Expr::Between(Between { expr, negated, low, high })
            if [&low, &high].iter().any(|end| without_blanks(end).is_some()) && is_padded(&expr)? =>
        {
            let [low, high] = [low, high].map(|end| without_blanks(&end).map_or(end, Box::new));
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low, high })))
        }
        Expr::Case(Case { expr: Some(compared), when_then_expr, else_expr })
            if when_then_expr.iter().any(|(when, _)| without_blanks(when).is_some()) && is_padded(&compared)? =>
        {
            let bare = |(when, then): (Box<Expr>, _)| (without_blanks(&when).map_or(when, Box::new), then);
            let when_then_expr = when_then_expr.into_iter().map(bare).collect();
            Ok(Transformed::yes(Expr::Case(Case { expr: Some(compared), when_then_expr, else_expr })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// A literal without the blanks that it ends in; `None` if it has none, or is none.
fn without_blanks(expr: &Expr) -> Option<Expr> {
    let trimmed = |text: &String| text.ends_with(' ').then(|| text.trim_end_matches(' ').to_owned());
    match expr {
        Expr::Cast(Cast { expr, field })
            if field.data_type().is_string() && !field.metadata().contains_key(DECLARED) =>
        {
            let inner = Box::new(without_blanks(expr)?);
            Some(Expr::Cast(Cast { expr: inner, field: Arc::clone(field) }))
        }
        Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) => {
            Some(Expr::Literal(ScalarValue::Utf8(Some(trimmed(text)?)), metadata.clone()))
        }
        Expr::Literal(ScalarValue::Utf8View(Some(text)), metadata) => {
            Some(Expr::Literal(ScalarValue::Utf8View(Some(trimmed(text)?)), metadata.clone()))
        }
        _ => None,
    }
}

/// A cast to a text of any length says so: by itself it would keep what is said of its source.
fn without_length(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else { return Ok(Transformed::no(expr)) };
    if is_retyped(field) {
        let retyped = without_marks(expr.clone(), schema);
        if retyped.transformed || field.data_type().is_nested() {
            return Ok(retyped);
        }
    }
    if !field.data_type().is_string() || TextLength::of_field(&inner.to_field(schema)?.1).is_none() {
        return Ok(Transformed::no(expr));
    }
    let mut metadata = field.metadata().clone();
    metadata.insert(DECLARED.to_owned(), types::TEXT.to_owned());
    let field = Arc::new(field.as_ref().clone().with_metadata(metadata));
    Ok(Transformed::yes(Expr::Cast(Cast { expr: inner.clone(), field })))
}

/// Whether a cast to a type may take away what its source says. What functions take is another kind of text.
fn is_retyped(to: &Field) -> bool {
    to.data_type().is_nested() || *to.data_type() == DataType::Utf8View
}

/// A cast that says no more of its type than it should, where its source says more.
pub(super) fn retyped(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match &expr {
        Expr::Cast(Cast { field, .. }) if is_retyped(field) && !field.metadata().contains_key(DECLARED) => {
            without_marks(expr, schema)
        }
        _ => Transformed::no(expr),
    }
}

/// Nor is an array of JSON one of texts by what is said of its source, or a name a name and `json` JSON when it is cast to text.
fn without_marks(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Expr::Cast(Cast { expr: inner, field }) = &expr else { return Transformed::no(expr) };
    let marked = |field: &Field| {
        let spelled = types::is_json(field) && types::field_name(field) == polder_lake::JSON;
        let of_catalog =
            types::catalog_type(field).is_some_and(|mark| mark.ends_with("[]") || types::is_text(field.data_type()));
        of_catalog || spelled
    };
    match inner.to_field(schema) {
        Ok((_, source)) if marked(&source) && !marked(field) => {
            let marks = types::marks(field);
            Transformed::yes(kept_types::marked(expr, marks))
        }
        _ => Transformed::no(expr),
    }
}

fn any(arguments: usize) -> Signature {
    Signature::any(arguments, Volatility::Immutable)
}

/// A text, or each one of an array, as a cast to a declared type makes it. A text's field says the type, as the cast's does.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Cut {
    declared: String,
    of_elements: bool,
    signature: Signature,
}

impl Cut {
    fn data_type(&self) -> DataType {
        if self.of_elements { DataType::new_list(DataType::Utf8View, true) } else { DataType::Utf8View }
    }

    fn texts(&self, texts: &StringViewArray) -> ArrayRef {
        let length = TextLength::of(&self.declared);
        let cut: StringViewArray =
            texts.iter().map(|text| text.map(|text| length.map_or(text, |length| length.cut(text)))).collect();
        Arc::new(cut)
    }
}

impl ScalarUDFImpl for Cut {
    fn name(&self) -> &str {
        "polder_cut"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.data_type())
    }

    fn return_field_from_args(&self, _arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.data_type(), true);
        if self.of_elements {
            return Ok(Arc::new(field));
        }
        let declared = HashMap::from([(DECLARED.to_owned(), self.declared.clone())]);
        Ok(Arc::new(field.with_metadata(declared)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        if !self.of_elements {
            return Ok(ColumnarValue::Array(self.texts(arrays[0].as_string_view())));
        }
        let lists = arrays[0].as_list::<i32>();
        let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
        let texts = self.texts(lists.values().as_string_view());
        let cut = ListArray::try_new(item, lists.offsets().clone(), texts, lists.nulls().cloned())?;
        Ok(ColumnarValue::Array(Arc::new(cut)))
    }
}
