use polder_capability::{ColumnChoice, LoadOptions};

use super::{delimiter, options, pair};
use crate::cli::CorrectionArgs;

#[test]
fn corrections_of_one_column_are_joined() {
    let args = CorrectionArgs {
        types: vec!["zip=text".to_owned(), "a=b=bigint".to_owned()],
        renames: vec!["zip=postcode".to_owned()],
        skips: vec!["noise".to_owned()],
        no_header: true,
        delimiter: Some("tab".to_owned()),
        ..CorrectionArgs::default()
    };
    let column = |source: &str| ColumnChoice { source: source.to_owned(), ..ColumnChoice::default() };
    let expected = LoadOptions {
        header: Some(false),
        delimiter: Some('\t'),
        columns: vec![
            ColumnChoice { data_type: Some("text".to_owned()), name: Some("postcode".to_owned()), ..column("zip") },
            ColumnChoice { data_type: Some("bigint".to_owned()), ..column("a=b") },
            ColumnChoice { skip: true, ..column("noise") },
        ],
        ..LoadOptions::default()
    };
    assert_eq!(options(&args).unwrap(), expected);
    assert_eq!(options(&CorrectionArgs::default()).unwrap(), LoadOptions::default());
}

#[test]
fn wrong_corrections_are_refused() {
    for text in ["zip", "=text", "zip=", ""] {
        assert!(pair("--type", text).is_err(), "{text}");
    }
    assert_eq!(delimiter(";").unwrap(), ';');
    assert_eq!(delimiter("\\t").unwrap(), '\t');
    assert!(delimiter("").is_err());
    assert!(delimiter("ab").is_err());
}
