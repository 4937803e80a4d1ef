//! ALTER COLUMN … TYPE.

use datafusion::sql::sqlparser::ast::{CastKind, ColumnDef, DataType, Expr, Ident};
use polder_lake::{AlterColumn, ColumnSpec, Keys, TableName, TextLength, TransactionCell};
use polder_types::{Error, Result};

use super::super::changes::{self, Again, Changes};
use super::super::target::Target;
use super::super::{Context, ended};
use super::create::check_declared;
use super::functions::assignable;
use crate::policies::Purpose;

impl Context<'_> {
    /// A type that holds all values of the old one is a matter of the catalog. For any other the rows are rewritten, by
    /// the expression behind USING, or by a cast.
    pub(super) async fn set_data_type(
        &self,
        cell: &TransactionCell,
        name: &TableName,
        column: &str,
        data_type: &DataType,
        using: Option<&Expr>,
    ) -> Result<()> {
        check_declared(column, data_type)?;
        let definition =
            ColumnDef { name: Ident::with_quote('"', column), data_type: data_type.clone(), options: vec![] };
        let mut spec = self.column_spec(cell, &definition).await?;
        let scope = self.writing_scope(cell).await?;
        let old = Target::named(name.clone(), None, &scope.snapshot)?;
        let id = old.column_id(column)?;
        if old.gives_own_value(id) && old.table.rules.generated_of(id).is_some() {
            return Err(Error::unsupported(format!("column {column:?} is generated, and keeps its type"))
                .with_hint("drop it, and add it again"));
        }
        let known = old.table.schema();
        let field = known.field_with_name(column).map_err(|error| Error::internal(error.to_string()))?;
        if using.is_none() && widens(field, &spec) {
            let mut guard = cell.lock().await;
            let ColumnSpec { name: column, data_type, declared, .. } = spec;
            let change = AlterColumn::Widen { name: column, data_type, declared };
            return guard.as_mut().ok_or_else(ended)?.alter_column(name, change).await;
        }
        if using.is_none() && !assignable(field.data_type(), &spec.data_type) {
            return Err(Error::invalid(format!("column {column:?} cannot be cast automatically to type {data_type}"))
                .with_code("42804")
                .with_hint(format!("USING {column}::{data_type}")));
        }
        let state = old.table.top_columns().find(|known| known.id == id);
        let default = state.and_then(|state| state.default_value.as_deref()).filter(|text| *text != "NULL");
        let has_default = default.is_some() || old.table.rules.default_of(id).is_some();
        if has_default && !assignable(field.data_type(), &spec.data_type) {
            return Err(Error::invalid(format!(
                "the default of column {column:?} cannot be cast automatically to type {data_type}"
            ))
            .with_code("42804")
            .with_hint("ALTER COLUMN … DROP DEFAULT first, and SET DEFAULT afterwards"));
        }
        spec.nullable = field.is_nullable();
        spec.comment = state.and_then(|state| state.comment.clone());
        if default.is_some() {
            // Of the old type, and from there into the new one, as the rows.
            let expr = self.constant(cell, &cast(old.default(column)?, data_type)).await?;
            let text = self.literal(&expr, column, &spec.data_type, spec.declared.as_deref())?;
            spec.default = Some(text).filter(|text| text != "NULL");
        }
        self.rewrite_column(cell, &old, spec, data_type, using).await
    }

    async fn rewrite_column(
        &self,
        cell: &TransactionCell,
        old: &Target,
        spec: ColumnSpec,
        data_type: &DataType,
        using: Option<&Expr>,
    ) -> Result<()> {
        let scope = self.writing_scope(cell).await?;
        let values = old.columns().map(|known| match (known == spec.name, using) {
            (false, _) => old.own(known),
            (true, Some(using)) => assigned(using.clone(), data_type),
            (true, None) => assigned(old.own(known), data_type),
        });
        let query = old.query(values.collect())?;
        let rows = self.query_rows(&scope, old, Purpose::Rewrite, query).await?;
        let (column, nullable) = (spec.name.clone(), spec.nullable);
        // Until the rows are written, none has a value in the new column.
        let spec = ColumnSpec { nullable: true, ..spec };
        {
            let mut guard = cell.lock().await;
            guard.as_mut().ok_or_else(ended)?.alter_column(&old.name, AlterColumn::Retype(spec)).await?;
        }
        let scope = self.writing_scope(cell).await?;
        let new = Target::named(old.name.clone(), None, &scope.snapshot)?;
        let changes = Changes {
            target: new,
            action: Some(changes::UPDATE),
            values: true,
            row_ids: true,
            again: Again::Ignore,
            distinct: None,
            keys: Keys::MayChange,
            returning: false,
            checks: None,
        };
        self.apply_rows(cell, &changes, &rows).await?;
        if !nullable {
            self.check_no_nulls(cell, &old.name, &column).await?;
        }
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        if !nullable {
            transaction.alter_column(&old.name, AlterColumn::SetNullable { name: column, nullable: false }).await?;
        }
        transaction.recheck_keys(&old.name).await
    }
}

pub(super) fn cast(expr: Expr, data_type: &DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type: data_type.clone(), array: false, format: None }
}

/// A value for a column of a type: one that is too long for it is refused when it is written, and not cut.
fn assigned(expr: Expr, data_type: &DataType) -> Expr {
    let plain = match data_type {
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => DataType::Text,
        DataType::Char(_) | DataType::Character(_) => DataType::Text,
        other => other.clone(),
    };
    cast(expr, &plain)
}

/// Whether no value changes.
fn widens(old: &arrow::datatypes::Field, new: &ColumnSpec) -> bool {
    use arrow::datatypes::DataType as D;
    // What is there may be no JSON.
    let documents = [polder_lake::JSON, polder_lake::JSONB, polder_lake::JSON_LIST, polder_lake::JSONB_LIST];
    if new.declared.as_deref().is_some_and(|declared| documents.contains(&declared)) {
        return old.metadata().get(polder_lake::DECLARED).is_some_and(|known| new.declared.as_ref() == Some(known));
    }
    let text = |data_type: &D| matches!(data_type, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    let length = new.declared.as_deref().and_then(TextLength::of);
    let longer = match (TextLength::of_field(old), length) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(old), Some(new)) => old.max <= new.max && old.blank_padded == new.blank_padded,
    };
    let (from, to) = (old.data_type(), &new.data_type);
    if text(from) && text(to) {
        return longer;
    }
    match (from, to) {
        (from, to) if from == to => true,
        (D::Int8, D::Int16 | D::Int32 | D::Int64) => true,
        (D::Int16, D::Int32 | D::Int64) => true,
        (D::Int32, D::Int64) => true,
        (D::UInt8, D::UInt16 | D::UInt32 | D::UInt64) => true,
        (D::UInt16, D::UInt32 | D::UInt64) => true,
        (D::UInt32, D::UInt64) => true,
        (D::Float32, D::Float64) => true,
        _ => false,
    }
}
