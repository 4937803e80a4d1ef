use super::{Meta, describe, parse};
use crate::cli::Format;

#[test]
fn commands_are_understood() {
    let check = |line: &str, expected: Meta| assert_eq!(parse(line).unwrap().unwrap(), expected, "{line}");
    check("\\q", Meta::Quit);
    check("exit;", Meta::Quit);
    check("help", Meta::Help);
    check("\\?", Meta::Help);
    check("\\d", Meta::Tables);
    check("\\dt", Meta::Tables);
    check("\\d flights;", Meta::Describe("flights".to_owned()));
    check("\\timing", Meta::Timing(None));
    check("\\timing off", Meta::Timing(Some(false)));
    check("\\x on", Meta::Expanded(Some(true)));
    check("\\format CSV", Meta::Format(Format::Csv));
    check("\\rows all", Meta::Rows(None));
    check("\\rows 10", Meta::Rows(Some(10)));
}

#[test]
fn sql_is_not_a_command() {
    for line in ["SELECT 1;", "quit_rate", "", "help me"] {
        assert!(parse(line).is_none(), "{line}");
    }
}

#[test]
fn wrong_commands_are_told() {
    for line in ["\\nosuch", "\\format parquet", "\\format", "\\rows few", "\\timing maybe"] {
        assert!(parse(line).unwrap().is_err(), "{line}");
    }
}

#[test]
fn names_are_put_into_the_query_safely() {
    let check = |name: &str, expected: &str| assert!(describe(name).contains(expected), "{}", describe(name));
    check("Flights", "schema_name = 'public' AND table_name = 'flights'");
    check("sales.Orders", "schema_name = 'sales' AND table_name = 'orders'");
    check("\"It's\"", "table_name = 'It''s'");
}
