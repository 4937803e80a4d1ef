use std::collections::HashSet;

use super::ErrorKind;

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
