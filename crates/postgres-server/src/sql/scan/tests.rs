use super::*;

fn texts(sql: &str) -> Vec<&str> {
    statements(sql).into_iter().map(|statement| statement.sql).collect()
}

#[test]
fn texts_are_cut_where_statements_end() {
    let cases: [(&str, &[&str]); 8] = [
        ("", &[]),
        (" ; -- no\n; /* no; */", &[]),
        ("SELECT 1; SELECT 2 ;", &["SELECT 1", "SELECT 2"]),
        ("SELECT ';', \";\" ; b", &["SELECT ';', \";\"", "b"]),
        ("SELECT 'it''s;' ; b", &["SELECT 'it''s;'", "b"]),
        (r"SELECT E'\';' ; b", &[r"SELECT E'\';'", "b"]),
        ("DO $x$ a; $$ $x$; b", &["DO $x$ a; $$ $x$", "b"]),
        ("a /* ; /* ; */ ; */ c; b", &["a /* ; /* ; */ ; */ c", "b"]),
    ];
    for (sql, expected) in cases {
        assert_eq!(texts(sql), expected, "{sql}");
    }
}

#[test]
fn what_is_not_ended_reaches_to_the_end() {
    for sql in ["'a;", "\"a;", "$$a;", "/* a", "E'a\\"] {
        assert!(texts(sql).len() <= 1, "{sql}");
    }
}

#[test]
fn words_are_lower_case_and_texts_without_quotes() {
    let kinds: Vec<TokenKind> = scan("Fetch \"A\" 'b''c' 10 $1 é").into_iter().map(|token| token.kind).collect();
    assert_eq!(
        kinds,
        [
            TokenKind::Word("fetch".into()),
            TokenKind::Name("A".into()),
            TokenKind::Text("b'c".into()),
            TokenKind::Number("10".into()),
            TokenKind::Symbol('$'),
            TokenKind::Word("é".into()),
        ]
    );
}
