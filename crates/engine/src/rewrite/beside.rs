//! Clauses of other databases that the parser takes and the planner does not look at.

use datafusion::sql::sqlparser::ast::{ForClause, Query, Select};
use polder_types::Error;

/// That a query says of itself what there is not; `None` if it does not.
pub(super) fn of_query(query: &Query) -> Option<Error> {
    let (clause, hint) = match query.for_clause.as_ref()? {
        ForClause::Browse => ("FOR BROWSE", "leave it out: a query reads one version, whatever is written meanwhile"),
        ForClause::Json { .. } => ("FOR JSON", "SELECT json_agg(row_to_json(q)) FROM (SELECT …) AS q"),
        ForClause::Xml { .. } => ("FOR XML", "SELECT json_agg(row_to_json(q)) FROM (SELECT …) AS q makes JSON"),
    };
    Some(Error::unsupported(format!("SELECT … {clause} is not supported")).with_hint(hint))
}

/// The same of a SELECT.
pub(super) fn of_select(select: &Select) -> Option<Error> {
    (!select.connect_by.is_empty()).then(|| {
        Error::unsupported("SELECT … CONNECT BY is not supported").with_hint("WITH RECURSIVE follows rows to others")
    })
}
