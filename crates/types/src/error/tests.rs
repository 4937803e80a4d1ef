use std::collections::HashSet;

use super::{Error, ErrorKind, Subject};

#[test]
fn a_copy_has_what_a_caller_sees() {
    let error =
        Error::invalid("not so").with_code("23505").with_detail("Key (a)=(1) already exists.").with_hint("mend it");
    let error = error.at(2, 3).of_table("s", "t").of_constraint("t_key").of_column("a");
    let text = |text: &str| Some(text.to_owned());
    let subject = Subject { schema: text("s"), table: text("t"), column: text("a"), constraint: text("t_key") };
    for error in [error.copy(), error] {
        assert_eq!(error.to_string(), "not so: Key (a)=(1) already exists (line 2, column 3); mend it");
        assert_eq!((error.code(), error.subject()), ("23505", Some(&subject)));
    }
    assert_eq!((Error::invalid("x").detail(), Error::invalid("x").subject()), (None, None));
}

#[test]
fn each_code_is_of_one_kind() {
    let mut seen = HashSet::new();
    for kind in ErrorKind::ALL {
        let (usual, others) = kind.codes();
        assert_eq!(kind.default_code(), usual);
        for code in std::iter::once(&usual).chain(others) {
            assert!(seen.insert(*code), "{code} is there twice");
            assert_eq!(code.len(), 5, "{code}");
            assert_eq!(ErrorKind::of_code(code), Some((kind, *code)));
        }
    }
    assert_eq!(ErrorKind::of_code("99999"), None);
}
