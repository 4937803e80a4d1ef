//! SQLSTATEs of what the planner refuses. It has words alone; here is which of them mean what.

use polder_types::Error;

/// Words of the planner, in lower case; the code that PostgreSQL gives for it; what to do.
const MEANINGS: &[(&[&str], &str, &str)] = &[
    (&["with query name", "more than once"], "42712", "give one of them another name"),
    (&["names given as column alias"], "42P10", ""),
    (&["distinct on expressions must match"], "42P10", "begin ORDER BY with what DISTINCT ON says"),
    (&["for select distinct, order by expressions"], "42P10", "select what is ordered by, or GROUP BY"),
    (&["order by column out of bounds"], "42P10", "a number is the place of a column in the select list"),
    (&["group by position"], "42P10", "a number is the place of a column in the select list"),
    (&["cannot find column with position"], "42P10", "a number is the place of a column in the select list"),
    (&["grouping function is not in grouping columns"], "42803", "grouping() takes what GROUP BY says"),
    (&["must be in group by or an aggregate function"], "42803", "GROUP BY it, or aggregate it"),
    (&["must appear in the group by clause"], "42803", "GROUP BY it, or aggregate it"),
    (&["references column", "is not available for grouping"], "42803", "GROUP BY it, or aggregate it"),
    (&["having clause references"], "42803", "GROUP BY it, or aggregate it"),
    (&["aggregate functions are not allowed"], "42803", "HAVING takes conditions on aggregates"),
    (&["aggregate function calls cannot"], "42803", "compute the inner one in a subquery"),
    (&["of the outer query is not there"], "42803", "GROUP BY it in the outer query"),
    (&["window function calls cannot"], "42P20", "compute the inner one in a subquery"),
    (&["window functions are not allowed"], "42P20", "QUALIFY takes conditions on window functions"),
    (&["does not support logical expression windowfunction"], "42P20", "QUALIFY takes conditions on window functions"),
    (&["does not support logical expression wildcard"], "42601", "count(*) takes * and nothing else"),
    (&["non-boolean predicate"], "42804", "a condition is true or false: compare the value with another"),
    (&["requires a boolean expression"], "42804", "compare the value with another"),
    (&["logical boolean operation"], "42804", "compare the values with others"),
    (&["column count doesn't match insert query"], "42601", "give a value for each column that is named"),
    (&["'coalesce'", "fail to find the coerced type"], "42804", "cast the values to one type"),
    (&["no valid cast exists"], "42804", "are the values in the order of the columns?"),
    (&["unsupported sql type"], "42704", "docs/sql/types.md lists the types"),
    (&["declared as non-nullable but contains null values"], "23502", "the column is NOT NULL: give it a value"),
    (&["zero raised to a negative power"], "2201F", ""),
    (&["overflow on abs"], "22003", ""),
    (&["ntile requires a positive integer"], "22014", ""),
    (&["percentile value must be between"], "22003", ""),
    (&["factorial of a negative number"], "22003", ""),
    (&["unsupported cast from"], "42846", "cast it to text first, if that can be read as the type"),
    (&["limit must be"], "2201W", ""),
    (&["offset must be"], "2201X", ""),
    (&["queries have different number of columns"], "42601", ""),
    (&["query must have the same number of columns"], "42601", ""),
    (&["subquery should only return one column"], "42601", "select one column"),
    (&["inconsistent data length across values list"], "42601", "each row of VALUES has the same number of values"),
    (&["inconsistent data type across values list"], "42804", "cast the values of a column to one type"),
    (&["with no tables specified is not valid"], "42601", "say FROM what"),
    (&["frame offsets for rows"], "22013", ""),
    (&["invalid window frame"], "42P20", ""),
    (&["range requires exactly one order by"], "42P20", "ROWS counts rows, in whatever order"),
    (&["step cannot be zero"], "22023", ""),
    (&["returned more than one row"], "21000", "LIMIT 1 with ORDER BY, or an aggregate, says which row is meant"),
    (&["must be aggregated to return at most one row"], "21000", "LIMIT 1 with ORDER BY, or an aggregate"),
    (&["schema", "not found"], "3F000", "CREATE SCHEMA makes it"),
    (&["cannot infer common argument type"], "42883", "cast one side to the type of the other"),
    (&["cannot coerce arithmetic expression"], "42883", "cast one side to the type of the other"),
    (&["there isn't a common type to coerce"], "42883", "cast one side to the type of the other"),
    (&["failed to coerce arguments"], "42883", "cast the arguments"),
    (&["incompatible inputs for union"], "42804", "cast the columns to one type"),
    (&["union column", "type"], "42804", "cast the columns to one type"),
    (&["case", "common type"], "42804", "cast the results to one type"),
];

const DISTINCT: &str = "for SELECT DISTINCT, ORDER BY expressions";

/// The error for a planner's words, if they are known.
pub(super) fn recognise(text: &str) -> Option<Error> {
    let lower = text.to_lowercase();
    let (_, code, hint) = MEANINGS.iter().find(|(words, ..)| words.iter().all(|word| lower.contains(word)))?;
    let text = match text.split_once(DISTINCT) {
        // The columns' names follow, one right behind the other.
        Some((before, _)) => format!("{before}{DISTINCT} must appear in select list"),
        None => text.replace('\n', " "),
    };
    let error = Error::invalid(text).with_code(*code);
    Some(if hint.is_empty() { error } else { error.with_hint(*hint) })
}
