//! PARTITIONED BY and CLUSTER BY.

use datafusion::sql::sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, FunctionArguments};
use polder_lake::{TableName, TransactionCell, Transform};
use polder_types::{Error, Result};

use super::super::{Context, ended};
use super::column;
use crate::parse::parse_expr;

impl Context<'_> {
    /// What the statement says of the layout of a table's files.
    pub(super) async fn set_layout(&self, cell: &TransactionCell, name: &TableName) -> Result<()> {
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        if transaction.view().view(name).is_some() {
            return Err(Error::invalid(format!("{name} is a view")).with_code("42809"));
        }
        if let Some(items) = &self.extras.partitioned {
            let columns = items.iter().map(|item| part(item)).collect::<Result<Vec<_>>>()?;
            transaction.set_partition(name, &columns).await?;
        }
        if let Some(items) = &self.extras.clustered {
            let keys = items.iter().map(|item| key(item)).collect::<Result<Vec<_>>>()?;
            transaction.set_sort(name, &keys)?;
        }
        Ok(())
    }

    pub(in super::super) fn has_layout(&self) -> bool {
        self.extras.partitioned.is_some() || self.extras.clustered.is_some()
    }
}

/// `region`, or `month(day)`.
pub(crate) fn part(text: &str) -> Result<(String, Transform)> {
    let refuse = || {
        Error::unsupported(format!("PARTITIONED BY {text} is not supported"))
            .with_hint("name columns, or year(…), month(…), day(…), hour(…) of one")
    };
    match parse_expr(text)? {
        Expr::Identifier(ident) => Ok((column(&ident), Transform::Identity)),
        Expr::Function(function) => {
            let transform = Transform::parse(&function.name.to_string()).ok_or_else(refuse)?;
            match &function.args {
                FunctionArguments::List(list) => match list.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident)))] => {
                        Ok((column(ident), transform))
                    }
                    _ => Err(refuse()),
                },
                _ => Err(refuse()),
            }
        }
        _ => Err(refuse()),
    }
}

/// `day`, or `day DESC NULLS LAST`: (column, descending, missing values first).
fn key(text: &str) -> Result<(String, bool, bool)> {
    let refuse = || {
        Error::unsupported(format!("CLUSTER BY {text} is not supported"))
            .with_hint("name columns, each with ASC or DESC, and NULLS FIRST or NULLS LAST")
    };
    // The words that may follow the column stand at the end.
    let mut words: Vec<&str> = text.split(' ').collect();
    let lower = |word: &&str| word.to_lowercase();
    let mut nulls_first = None;
    if let [.., nulls, place] = words.as_slice()
        && lower(nulls) == "nulls"
    {
        nulls_first = Some(match lower(place).as_str() {
            "first" => true,
            "last" => false,
            _ => return Err(refuse()),
        });
        words.truncate(words.len() - 2);
    }
    let descending = match words.last().map(lower).as_deref() {
        Some("desc") => true,
        Some("asc") => false,
        _ => {
            words.push("ASC");
            false
        }
    };
    words.pop();
    match parse_expr(&words.join(" "))? {
        Expr::Identifier(ident) => Ok((column(&ident), descending, nulls_first.unwrap_or(descending))),
        _ => Err(refuse()),
    }
}
