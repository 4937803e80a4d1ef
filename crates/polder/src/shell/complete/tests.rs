use super::{Catalog, candidates};

fn catalog() -> Catalog {
    let column = |table: &str, name: &str| ("public".to_owned(), table.to_owned(), name.to_owned());
    Catalog {
        tables: vec![
            ("public".to_owned(), "flights".to_owned()),
            ("public".to_owned(), "Fleet".to_owned()),
            ("sales".to_owned(), "orders".to_owned()),
            ("polder".to_owned(), "tables".to_owned()),
        ],
        columns: vec![
            column("flights", "dep_delay"),
            column("flights", "dest"),
            column("flights", "Tail Number"),
            ("sales".to_owned(), "orders".to_owned(), "price".to_owned()),
        ],
        functions: vec!["date_trunc".to_owned(), "sum".to_owned()],
    }
}

/// `|` is the cursor; gives the word's start and its continuations.
fn check(line: &str, start: usize, expected: &[&str]) {
    let pos = line.find('|').unwrap();
    let (at, found) = candidates(&line.replace('|', ""), pos, &catalog());
    assert_eq!((at, found.iter().map(String::as_str).collect::<Vec<_>>()), (start, expected.to_vec()), "{line}");
}

#[test]
fn names_are_continued() {
    check("SELECT * FROM fl|", 14, &["flights", "\"Fleet\""]);
    check("SELECT * FROM |", 14, &["flights", "\"Fleet\"", "sales.", "polder."]);
    check("sel|", 0, &["SELECT"]);
    check("SELECT su|", 7, &["sum("]);
    check("SELECT * FROM sales.|", 20, &["orders"]);
    check("SELECT é.or|", 10, &[]);
}

#[test]
fn columns_of_the_named_tables_come_first() {
    check("SELECT de| FROM flights", 7, &["dep_delay", "dest", "DELETE", "DESC", "DESCRIBE"]);
    check("SELECT ta| FROM flights", 7, &["\"Tail Number\"", "TABLE", "TABLES"]);
    check("SELECT f.de| FROM flights f", 9, &["dep_delay", "dest"]);
    check("SELECT o.p| FROM sales.orders AS o", 9, &["price"]);
    check("SELECT flights.des| FROM flights", 15, &["dest"]);
}

#[test]
fn describing_wants_tables() {
    check("\\d f|", 3, &["flights", "\"Fleet\""]);
    check("\\d sales.o|", 9, &["orders"]);
}
