use super::Credentials;

fn known() -> Credentials {
    Credentials {
        user: "polder".to_owned(),
        password: "secret".to_owned(),
        access_key_id: "id".to_owned(),
        secret_access_key: "key".to_owned(),
        api_token: "token".to_owned(),
    }
}

#[test]
fn written_for_the_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Credentials::read(folder.path()).unwrap(), None);
    known().write(folder.path()).unwrap();
    known().write(folder.path()).unwrap();
    assert_eq!(Credentials::read(folder.path()).unwrap(), Some(known()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(super::path(folder.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_short_file_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(super::path(folder.path()), "user = \"a\"\npassword = \"b\"\n").unwrap();
    let read = Credentials::read(folder.path()).unwrap().unwrap();
    assert_eq!((read.user.as_str(), read.api_token.as_str()), ("a", ""));
    std::fs::write(super::path(folder.path()), "user = a").unwrap();
    assert!(Credentials::read(folder.path()).is_err());
}
