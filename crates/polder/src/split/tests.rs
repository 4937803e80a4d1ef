use super::split;

/// The statements with their places, and whether the text is complete.
fn check(sql: &str, expected: &[(&str, u64, u64)], complete: bool) {
    let found = split(sql);
    let statements: Vec<_> = found.statements.iter().map(|found| (found.text, found.line, found.column)).collect();
    assert_eq!(statements, expected, "{sql}");
    assert_eq!(found.complete, complete, "{sql}");
}

#[test]
fn statements_end_at_semicolons() {
    check("", &[], true);
    check(" \n", &[], true);
    check("SELECT 1", &[("SELECT 1", 1, 1)], false);
    check("SELECT 1;", &[("SELECT 1", 1, 1)], true);
    check("SELECT 1 ; SELECT\n2;\n", &[("SELECT 1", 1, 1), ("SELECT\n2", 1, 12)], true);
    check(";;A;;", &[("A", 1, 3)], true);
    check("A;\n  é; B", &[("A", 1, 1), ("é", 2, 3), ("B", 2, 6)], false);
}

#[test]
fn quotes_hold_semicolons() {
    check("SELECT ';';", &[("SELECT ';'", 1, 1)], true);
    check("SELECT 'it''s;';", &[("SELECT 'it''s;'", 1, 1)], true);
    check("SELECT \"a;b\";", &[("SELECT \"a;b\"", 1, 1)], true);
    check("SELECT 'a;", &[("SELECT 'a;", 1, 1)], false);
    check("SELECT E'\\';';", &[("SELECT E'\\';'", 1, 1)], true);
    check("SELECT '\\';", &[("SELECT '\\'", 1, 1)], true);
    check("SELECT $$a;b$$;", &[("SELECT $$a;b$$", 1, 1)], true);
    check("SELECT $t$a;$$;$t$;", &[("SELECT $t$a;$$;$t$", 1, 1)], true);
    check("SELECT $1;A$b;", &[("SELECT $1", 1, 1), ("A$b", 1, 11)], true);
    check("SELECT $t$a;", &[("SELECT $t$a;", 1, 1)], false);
}

#[test]
fn comments_hold_semicolons() {
    check("-- a;b\nA;", &[("A", 2, 1)], true);
    check("A -- x;\n;", &[("A -- x;", 1, 1)], true);
    check("/* ; /* ; */ ; */ A;", &[("A", 1, 19)], true);
    check("A /* open ;", &[("A /* open ;", 1, 1)], false);
    check("-- only a comment", &[], true);
    check("A; -- the end", &[("A", 1, 1)], true);
}
