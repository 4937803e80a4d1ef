use super::{TableRef, columns, common, safe, stem};

#[test]
fn names_are_made_safe() {
    let check = |name: &str, expected: Option<&str>| assert_eq!(safe(name).as_deref(), expected, "{name:?}");
    check("Customer ID", Some("customer_id"));
    check("  Prijs (€) ", Some("prijs"));
    check("a--b__c", Some("a_b_c"));
    check("2019", Some("_2019"));
    check("Größe", Some("größe"));
    check("客户 名", Some("客户_名"));
    check("%", None);
    check("", None);
    check("x'; DROP TABLE t", Some("x_drop_table_t"));
    assert!(safe(&"é".repeat(500)).unwrap().len() <= 240);
}

#[test]
fn columns_are_unique() {
    let check = |sources: &[&str], expected: &[&str]| assert_eq!(columns(sources), expected, "{sources:?}");
    check(&["a", "A", "", "a_2", "%"], &["a", "a_2", "column_3", "a_2_2", "column_5"]);
    check(&[], &[]);
}

#[test]
fn files_lose_their_endings() {
    let check = |file: &str, expected: &str| assert_eq!(stem(file), expected, "{file}");
    check("data/flights.csv.zip", "flights");
    check("apache_logs", "apache_logs");
    check("report.v2.xlsx", "report.v2");
    check("..\\in\\x.TSV", "x");
    check(".csv", ".csv");
}

#[test]
fn several_files_share_a_name() {
    let check = |stems: &[&str], expected: &str| assert_eq!(common(stems, "My Files"), expected, "{stems:?}");
    check(&["sales_2023", "sales_2024"], "sales");
    check(&["orders_eu", "orders_us"], "orders");
    check(&["customers", "customs"], "my_files");
    check(&["january", "june"], "my_files");
    check(&["part1", "part2"], "part");
    check(&["north", "north_west"], "north");
}

#[test]
fn table_names_are_read_as_sql_reads_them() {
    let check = |text: &str, expected: &str| {
        let found = TableRef::parse(text).map_or_else(|error| error.message().to_owned(), |table| table.to_string());
        assert_eq!(found, expected, "{text}");
    };
    check("Sales", "public.sales");
    check("s.Sales", "s.sales");
    check("\"My Sales\"", "public.My Sales");
    check("s.\"a.b\"", "s.a.b");
    check("", "\"\" is not a table name: a part is empty or unprintable");
    check("a.", "\"a.\" is not a table name: a part is empty or unprintable");
    check("\"a\"b", "\"\\\"a\\\"b\" is not a table name: there is something after a quoted part");
}
