use std::path::Path;

use crate::cli::DirectoryArgs;

use super::{Directory, address, memory_bytes};

fn args(data: &Path) -> DirectoryArgs {
    DirectoryArgs { data: data.to_owned(), metastore: None, tables: None, memory: None }
}

#[test]
fn memory_is_read_as_people_write_it() {
    let check = |text: &str, expected: Option<u64>| assert_eq!(memory_bytes(text).ok(), expected, "{text}");
    check("1073741824", Some(1 << 30));
    check("1GiB", Some(1 << 30));
    check("1.5 gb", Some(3 << 29));
    check("512m", Some(512 << 20));
    check("1", None);
    check("lots", None);
    check("2XB", None);
    check("-1GB", None);
    check("", None);
}

#[test]
fn addresses_are_checked() {
    assert_eq!(address("--http", "127.0.0.1:0").unwrap().port(), 0);
    assert!(address("--http", "localhost:7400").unwrap().is_ipv4());
    assert!(address("--http", "[::1]:7400").unwrap().is_ipv6());
    for wrong in ["7400", "127.0.0.1", "127.0.0.1:99999", ""] {
        assert!(address("--http", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn parts_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let first = Directory::from_args(&args(folder.path())).unwrap();
    assert_eq!(first.tables, folder.path().join("tables").to_str().unwrap());
    first.remember().unwrap();
    assert!(!folder.path().join("settings.toml").exists());

    let elsewhere = DirectoryArgs {
        tables: Some("s3://b/p".to_owned()),
        metastore: Some("postgres://u:p@h/d".to_owned()),
        ..args(folder.path())
    };
    Directory::from_args(&elsewhere).unwrap().remember().unwrap();
    let later = Directory::from_args(&args(folder.path())).unwrap();
    assert_eq!(later.tables, "s3://b/p");
    assert_eq!(later.metastore.as_deref(), Some("postgres://u:p@h/d"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("settings.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_metastore_is_postgres() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = DirectoryArgs { metastore: Some("mysql://h/d".to_owned()), ..args(folder.path()) };
    assert!(Directory::from_args(&wrong).is_err());
}
