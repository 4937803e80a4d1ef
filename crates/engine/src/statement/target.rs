//! The table that a statement changes, and the query for its rows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    self, Assignment, AssignmentTarget, CastKind, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query,
    Select, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins, Value,
};
use polder_lake::{IdentityPlace, Keys, Snapshot, TableName, TableState};
use polder_types::{Error, Result};

use super::blob_text;
use super::names::{fold, parts, table_name};
use super::names_out::number_in;
use crate::authz::rights::SELECT;
use crate::authz::{Readable, Rights};
use crate::identity;
use crate::parse::{parse_expr, parse_kept};
use crate::policies::{Bound, Hidden};
use crate::scope::Scope;

/// The table that a statement changes.
pub(crate) struct Target {
    pub name: TableName,
    /// What the statement calls it.
    pub alias: String,
    pub table: Arc<TableState>,
    /// The names of what a query of its rows needs beside what the statement may read.
    pub hidden: Hidden,
    /// The columns in whose place whoever runs the statement sees something else.
    masked: BTreeSet<String>,
    /// Row policies bind them.
    pub has_policies: bool,
    /// They may read all that is in a row of it.
    is_told: bool,
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) fn quoted_ident(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

impl Target {
    /// # Errors
    /// `NotFound`; `InvalidInput` for a view.
    pub fn named(name: TableName, alias: Option<&Ident>, snapshot: &Snapshot) -> Result<Self> {
        let Some(table) = snapshot.table(&name).cloned() else {
            return Err(match snapshot.view(&name) {
                Some(_) => Error::invalid(format!("{name} is a view, which cannot be changed")).with_code("42809"),
                None => Error::not_found(format!("table {name} does not exist")),
            });
        };
        if table.rules.materialized.is_some() {
            return Err(Error::invalid(format!("{name} is a materialized view, which cannot be changed"))
                .with_code("42809")
                .with_hint("REFRESH MATERIALIZED VIEW computes it anew"));
        }
        let alias = alias.map(fold);
        let target = Self::whole(name, table);
        Ok(Self { alias: alias.unwrap_or_else(|| target.alias.clone()), ..target })
    }

    /// A table with all that is in it.
    pub fn whole(name: TableName, table: Arc<TableState>) -> Self {
        let (alias, hidden) = (name.table.clone(), Hidden::new());
        Self { name, alias, table, hidden, masked: BTreeSet::new(), has_policies: false, is_told: true }
    }

    /// The table as somebody sees it who changes it.
    pub fn seen_by(mut self, rights: Rights<'_>) -> Self {
        if rights.who.superuser {
            self.hidden = Hidden::none();
        }
        if let Some(bound) = Bound::of(rights, self.table.id) {
            self.has_policies = bound.rows;
            let masked = self.table.top_columns().filter(|column| bound.mask_of(column.id).is_some());
            self.masked = masked.map(|column| column.name.clone()).collect();
            self.is_told = false;
        }
        self.is_told &= rights.columns_with(self.table.id, SELECT) == Readable::All;
        self
    }

    /// An error without the values of the row that it is about, for those who may not read all of them.
    pub fn without_values(&self, error: Error) -> Error {
        match error.code() {
            "23502" | "23503" | "23505" | "23514" if !self.is_told => error.without_detail(),
            _ => error,
        }
    }

    /// Whether rows of it are given with something else in the place of some values.
    pub fn has_masks(&self) -> bool {
        !self.masked.is_empty()
    }

    pub fn of(table: &TableWithJoins, scope: &Scope, schema: &str) -> Result<Self> {
        if !table.joins.is_empty() {
            return Err(only_a_table());
        }
        Self::of_factor(&table.relation, scope, schema)
    }

    pub fn of_factor(factor: &TableFactor, scope: &Scope, schema: &str) -> Result<Self> {
        match factor {
            TableFactor::Table { name, alias, version: None, args: None, sample: None, .. }
                if alias.as_ref().is_none_or(|alias| alias.columns.is_empty()) =>
            {
                Self::named(table_name(name, schema)?, alias.as_ref().map(|alias| &alias.name), &scope.snapshot)
            }
            _ => Err(only_a_table()),
        }
    }

    /// `SELECT values…, rowid FROM this table`, to be given its other tables and its WHERE.
    pub fn query(&self, values: Vec<Expr>) -> Result<Query> {
        let sql = format!(
            "SELECT {alias}.rowid FROM {catalog}.{schema}.{table} AS {alias}",
            alias = quoted(&self.alias),
            catalog = quoted(&self.hidden.catalog()),
            schema = quoted(&self.name.schema),
            table = quoted(&self.name.table),
        );
        let mut query = parse_query(&sql)?;
        let select = select_of(&mut query)?;
        let items = values.into_iter().enumerate().map(|(at, expr)| SelectItem::ExprWithAlias {
            expr,
            // Columns may repeat, names in a query may not.
            alias: quoted_ident(&format!("value {at}")),
        });
        let row_id = select.projection.pop();
        select.projection.extend(items);
        select.projection.extend(row_id);
        Ok(query)
    }

    pub fn own(&self, column: &str) -> Expr {
        Expr::CompoundIdentifier(vec![quoted_ident(&self.alias), quoted_ident(column)])
    }

    /// The value of a column as it is stored, which goes on to be where the row is written anew.
    pub fn stored(&self, column: &str) -> Expr {
        match self.masked.contains(column) {
            true => self.own(&self.hidden.kept(column)),
            false => self.own(column),
        }
    }

    /// The names of the columns, in their order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.table.arrow_schema.fields().iter().map(|field| field.name().as_str())
    }

    /// The column's id.
    ///
    /// # Errors
    /// `NotFound`, with the name that may have been meant.
    pub fn column_id(&self, column: &str) -> Result<i64> {
        if let Some(known) = self.table.top_columns().find(|known| known.name == column) {
            return Ok(known.id);
        }
        let known = self.table.top_columns().map(|known| known.name.as_str());
        let error = Error::not_found(format!("column {column:?} of {} does not exist", self.name)).with_code("42703");
        Err(match polder_kernels::similar::closest(column, known) {
            Some(close) => error.with_hint(format!("did you mean {close:?}?")),
            None => error,
        })
    }

    /// Whether a column's default is more than a constant.
    pub fn has_computed_default(&self, column: &str) -> bool {
        self.column_id(column)
            .is_ok_and(|id| self.table.rules.identity_of(id).is_some() || self.table.rules.default_of(id).is_some())
    }

    /// Whether a column takes no value: a generated one, or an identity that always counts.
    pub fn gives_own_value(&self, id: i64) -> bool {
        let rules = &self.table.rules;
        rules.generated_of(id).is_some() || rules.identity_of(id).is_some_and(|identity| identity.always)
    }

    /// What `DEFAULT` stands for in a column.
    pub fn default(&self, column: &str) -> Result<Expr> {
        let id = self.column_id(column)?;
        if let Some(place) = IdentityPlace::of(&self.table, id) {
            return parse_expr(&identity::call(&place));
        }
        if let Some(sql) = self.table.rules.default_of(id) {
            return parse_expr(sql);
        }
        let state = self.table.top_columns().find(|known| known.id == id);
        let text = state.and_then(|state| state.default_value.as_deref()).filter(|text| *text != "NULL");
        let schema = self.table.schema();
        let field = schema.field_with_name(column).map_err(|error| Error::internal(error.to_string()))?;
        match text {
            Some(text) => {
                if matches!(field.data_type(), DataType::Binary) {
                    return parse_expr(&format!("'\\x{}'::bytea", blob_text::hex(text)));
                }
                let text = text.replace('\'', "''");
                if matches!(field.data_type(), DataType::Interval(_)) {
                    return parse_expr(&format!("'{text}'::interval"));
                }
                let data_type = field.data_type().to_string().replace('\'', "''");
                parse_expr(&format!("arrow_cast('{text}', '{data_type}')"))
            }
            None => Ok(Expr::Value(Value::Null.into())),
        }
    }

    /// The expression as a value of the column, or what `DEFAULT` stands for.
    pub fn or_default(&self, expr: &Expr, column: &str) -> Result<Expr> {
        if is_default(expr) { self.default(column) } else { Ok(self.typed(expr, column)) }
    }

    /// A text that is written out is of no type yet: in a column of moments it is one, and so on.
    pub fn typed(&self, expr: &Expr, column: &str) -> Expr {
        let is_text = matches!(expr, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
        let schema = self.table.schema();
        let known = schema.field_with_name(column).ok().filter(|_| is_text);
        let Some(data_type) = known.and_then(|field| read_as(field.data_type())) else { return expr.clone() };
        Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr.clone()), data_type, array: false, format: None }
    }

    /// What the assignments of a SET give, by column.
    pub fn assignments(&self, assignments: &[Assignment]) -> Result<HashMap<String, Expr>> {
        let mut set = HashMap::new();
        for Assignment { target, value } in assignments {
            for (column, expr) in pairs(target, value)? {
                let id = self.column_id(&column)?;
                if self.gives_own_value(id) && !is_default(&expr) {
                    return Err(Error::invalid(format!("column {column:?} can only be set to DEFAULT"))
                        .with_code("428C9")
                        .with_hint("it is GENERATED ALWAYS"));
                }
                let expr = self.or_default(&expr, &column)?;
                if set.insert(column.clone(), expr).is_some() {
                    return Err(Error::invalid(format!("column {column:?} is set twice")).with_code("42601"));
                }
            }
        }
        Ok(set)
    }

    /// For each column of the table: what it is set to, or itself.
    pub fn assigned(&self, set: &HashMap<String, Expr>) -> Vec<Expr> {
        self.columns().map(|column| set.get(column).cloned().unwrap_or_else(|| self.stored(column))).collect()
    }

    /// Whether rows keep their keys when these columns are set.
    pub fn keys_under(&self, set: &HashMap<String, Expr>) -> Keys {
        let rules = &self.table.rules;
        let in_key = |id: i64| {
            rules.keys.iter().any(|key| key.columns.contains(&id))
                || rules.foreign_keys.iter().any(|key| key.columns.contains(&id))
        };
        let touched = set.keys().any(|column| self.column_id(column).is_ok_and(in_key));
        if touched { Keys::MayChange } else { Keys::Kept }
    }
}

/// The types that read more texts than a conversion of texts would.
fn read_as(data_type: &DataType) -> Option<ast::DataType> {
    Some(match data_type {
        DataType::FixedSizeBinary(16) => ast::DataType::Uuid,
        DataType::Boolean => ast::DataType::Boolean,
        DataType::Date32 => ast::DataType::Date,
        DataType::Time64(_) => ast::DataType::Time(None, ast::TimezoneInfo::None),
        DataType::Timestamp(_, None) => ast::DataType::Timestamp(None, ast::TimezoneInfo::None),
        DataType::Timestamp(_, Some(_)) => ast::DataType::Timestamp(None, ast::TimezoneInfo::WithTimeZone),
        DataType::Interval(_) => ast::DataType::Interval { fields: None, precision: None },
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => ast::DataType::Bytea,
        DataType::List(item) => {
            let item = Box::new(element_as(item.data_type())?);
            ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(item, None))
        }
        _ => return None,
    })
}

/// As [`read_as`], of the elements of an array: alone, a number in quotes is converted as it should be.
fn element_as(data_type: &DataType) -> Option<ast::DataType> {
    Some(match data_type {
        DataType::Int16 => ast::DataType::SmallInt(None),
        DataType::Int32 => ast::DataType::Integer(None),
        DataType::Int64 => ast::DataType::BigInt(None),
        DataType::Float32 => ast::DataType::Real,
        DataType::Float64 => ast::DataType::DoublePrecision,
        DataType::Decimal128(precision, scale) => {
            ast::DataType::Numeric(ast::ExactNumberInfo::PrecisionAndScale(u64::from(*precision), i64::from(*scale)))
        }
        other => return read_as(other),
    })
}

/// `a = 1`, or `(a, b) = (1, 2)`, by column.
fn pairs(target: &AssignmentTarget, value: &Expr) -> Result<Vec<(String, Expr)>> {
    let last = |name| parts(name).map(|mut parts| parts.pop().unwrap_or_default());
    match target {
        AssignmentTarget::ColumnName(name) => Ok(vec![(last(name)?, value.clone())]),
        AssignmentTarget::Tuple(names) => {
            let values = &row_of(value, names.len())?;
            if values.len() != names.len() {
                return Err(Error::invalid(format!("{} columns are set to {} values", names.len(), values.len()))
                    .with_code("42601"));
            }
            names.iter().zip(values).map(|(name, value)| Ok((last(name)?, value.clone()))).collect()
        }
    }
}

/// The values of a row: `(1, 2)`, `ROW(1, 2)`, or a subquery, taken apart into one for each of its columns.
fn row_of(value: &Expr, wanted: usize) -> Result<Vec<Expr>> {
    match value {
        Expr::Tuple(values) => Ok(values.clone()),
        Expr::Nested(inner) if wanted == 1 => Ok(vec![inner.as_ref().clone()]),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("row") => match &function.args {
            FunctionArguments::List(list) => list
                .args
                .iter()
                .map(|argument| match argument {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
                    other => Err(Error::invalid(format!("{other} is no value")).with_code("42601")),
                })
                .collect(),
            _ => Err(Error::invalid("ROW without values").with_code("42601")),
        },
        Expr::Subquery(query) => (0..columns_of(query).unwrap_or(wanted)).map(|at| one_of(query, at, wanted)).collect(),
        _ => Err(Error::invalid("several columns are set to one value").with_code("42601")),
    }
}

/// How many columns a query lists, when it lists them.
fn columns_of(query: &Query) -> Option<usize> {
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    match query.body.as_ref() {
        SetExpr::Select(select) if select.projection.iter().all(plain) => Some(select.projection.len()),
        _ => None,
    }
}

/// One column of a subquery, which is whole for each: that it has one row may be owed to another of its columns.
fn one_of(query: &Query, at: usize, width: usize) -> Result<Expr> {
    let column = |at: usize| quoted(&format!("polder$set{at}"));
    let columns: Vec<String> = (0..width).map(column).collect();
    let sql = format!("SELECT {} FROM (SELECT 1) AS \"polder$rows\" ({})", column(at), columns.join(", "));
    let mut outer = parse_query(&sql)?;
    if let Some(from) = select_of(&mut outer)?.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut from.relation
    {
        **subquery = query.clone();
        number_in(subquery);
    }
    Ok(Expr::Subquery(Box::new(outer)))
}

/// The word DEFAULT where a value is expected.
pub(crate) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}

fn only_a_table() -> Error {
    Error::unsupported("only a table can be changed").with_hint("name the others after FROM or USING")
}

pub(crate) fn parse_query(sql: &str) -> Result<Query> {
    match parse_kept(sql)? {
        Parsed::Statement(statement) => match *statement {
            Statement::Query(query) => Ok(*query),
            _ => Err(Error::internal("the query for rows is none")),
        },
        _ => Err(Error::internal("the query for rows did not parse")),
    }
}

pub(super) fn select_of(query: &mut Query) -> Result<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Ok(select),
        _ => Err(Error::internal("the query for rows is no SELECT")),
    }
}
