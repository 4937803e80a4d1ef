//! Passwords, tokens, sessions, links and keys.

use chrono::Duration;
use polder_metastore::principals::random_password;
use polder_metastore::{OWNER_OID, Principals, Role, RoleMember, Roles, TopicAccess, Write};
use polder_runtime::Clock as _;
use polder_types::ErrorKind;

use crate::place::{Place, count};

pub async fn passwords(place: Place) {
    let metastore = place.open().await;
    let principals = metastore.principals();
    let password = random_password();
    principals.create_user("ada", &password).await.unwrap();
    let error = principals.create_user("ada", "another password").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    for (name, password) in [("", "long enough"), ("a\0b", "long enough"), ("bob", "short"), ("bob", &"x".repeat(2000))]
    {
        assert_eq!(
            principals.create_user(name, password).await.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name:?}"
        );
    }
    assert!(principals.verify_password("ada", &password).await.unwrap());
    for (name, wrong) in [("ada", "wrong"), ("ada", ""), ("nobody", password.as_str()), ("a\0b", &password)] {
        assert!(!principals.verify_password(name, wrong).await.unwrap(), "{name:?} {wrong:?}");
    }
    let verifiers = principals.scram_verifiers("ada").await.unwrap().unwrap();
    assert!(verifiers.sha_256.starts_with("SCRAM-SHA-256$4096:"), "{verifiers:?}");
    assert!(verifiers.sha_512.starts_with("SCRAM-SHA-512$4096:"), "{verifiers:?}");
    principals.change_password("ada", &password, "a new password", "here").await.unwrap();
    assert!(!principals.verify_password("ada", &password).await.unwrap());
    assert!(principals.verify_password("ada", "a new password").await.unwrap());
    assert_eq!(principals.set_password("nobody", "long enough").await.unwrap_err().kind(), ErrorKind::NotFound);
    let names: Vec<_> = principals.list_users().await.unwrap().into_iter().map(|user| user.name).collect();
    assert_eq!(names, ["ada"]);
    principals.start_session("ada").await.unwrap();
    assert!(principals.delete_user("ada").await.unwrap());
    assert!(!principals.delete_user("ada").await.unwrap());
    assert_eq!(count(&metastore, "SELECT count(*) FROM polder_session").await, 0);
}

pub async fn roles(place: Place) {
    let metastore = place.open().await;
    let rows = metastore.roles().load().await.unwrap();
    assert_eq!(rows.roles, [Role::superuser(OWNER_OID, "polder")]);
    assert_eq!(rows.next_oid, 16_384);

    // The first user may do everything, the second nothing yet.
    metastore.principals().create_user("ada", "correct horse").await.unwrap();
    metastore.principals().create_user("bob", "battery staple").await.unwrap();
    let rows = metastore.roles().load().await.unwrap();
    let (ada, bob) = (&rows.roles[1], &rows.roles[2]);
    assert_eq!((ada.oid, ada.is_superuser, ada.logs_in), (16_384, true, true));
    assert_eq!((bob.oid, bob.is_superuser, bob.logs_in), (16_385, false, true));
    assert_eq!((rows.with_passwords, rows.next_oid), (vec!["ada".to_owned(), "bob".to_owned()], 16_386));

    let until = place.clock.now();
    let readers = Role { valid_until: Some(until), connection_limit: 3, ..Role::new(16_386, "readers") };
    let member = RoleMember { role: 16_386, member: 16_385, grantor: OWNER_OID, has_admin: false };
    let mut writes = Roles::create_writes(&readers);
    writes.push(Roles::member_write(&member));
    writes.push(Roles::setting_write(16_386, "search_path", Some("sales")));
    writes.push(Roles::default_write(16_386, "table", Some("[]")));
    writes.push(Roles::database_write("[1]"));
    metastore.write(&writes).await.unwrap();
    let rows = metastore.roles().load().await.unwrap();
    assert_eq!(rows.roles[3], readers);
    assert_eq!(rows.members, [member.clone()]);
    assert_eq!(rows.settings, [(16_386, "search_path".to_owned(), "sales".to_owned())]);
    assert_eq!(rows.defaults, [(16_386, "table".to_owned(), "[]".to_owned())]);
    assert_eq!((rows.database.as_deref(), rows.next_oid), (Some("[1]"), 16_387));

    let again = RoleMember { has_admin: true, ..member };
    let renamed = Role { name: "those who read".into(), ..readers };
    metastore.write(&[Roles::member_write(&again), Roles::change_write(&renamed)]).await.unwrap();
    let rows = metastore.roles().load().await.unwrap();
    assert_eq!((&rows.roles[3], &rows.members), (&renamed, &vec![again]));

    // A number is never given twice, though its role is gone.
    metastore.write(&Roles::drop_writes(16_386)).await.unwrap();
    let rows = metastore.roles().load().await.unwrap();
    assert_eq!((rows.roles.len(), rows.members.len(), rows.settings.len(), rows.defaults.len()), (3, 0, 0, 0));
    assert_eq!(rows.next_oid, 16_387);
    assert_eq!(metastore.write(&Roles::drop_writes(16_386)).await.unwrap_err().kind(), ErrorKind::Conflict);

    let principals = metastore.principals();
    metastore.write(&Principals::rename_writes("bob", "rob")).await.unwrap();
    assert!(principals.verify_password("rob", "battery staple").await.unwrap());
    let ones_own = principals.scram_verifiers("ada").await.unwrap().unwrap().sha_256;
    let write = principals.password_write("rob", Some(&ones_own)).await.unwrap();
    metastore.write(&[write]).await.unwrap();
    assert!(principals.verify_password("rob", "correct horse").await.unwrap());
    let write = principals.password_write("rob", None).await.unwrap();
    metastore.write(&[write]).await.unwrap();
    assert!(!principals.verify_password("rob", "correct horse").await.unwrap());
}

/// Who may do what with a topic is changed where it was left, or not at all.
pub async fn topics_have_owners(place: Place) {
    let metastore = place.open().await;
    let said = |owner: i64, items: Option<&str>| TopicAccess {
        topic_id: "11111111-1111-1111-1111-111111111111".into(),
        topic: "plans".into(),
        owner,
        items: items.map(str::to_owned),
    };
    let (made, granted, handed_over) = (said(10, None), said(10, Some("[]")), said(16_384, Some("[]")));
    metastore.write(&[Roles::topic_write(None, &made)]).await.unwrap();
    assert_eq!(metastore.roles().load().await.unwrap().topics, std::slice::from_ref(&made));
    metastore.write(&[Roles::topic_write(Some(&made), &granted)]).await.unwrap();
    // Somebody who still knows it as it was made.
    for late in [Roles::topic_write(Some(&made), &handed_over), Roles::topic_write(Some(&handed_over), &made)] {
        assert_eq!(metastore.write(&[late]).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    assert!(metastore.write(&[Roles::topic_write(None, &made)]).await.is_err());
    metastore.write(&[Roles::topic_write(Some(&granted), &handed_over)]).await.unwrap();
    assert_eq!(metastore.roles().load().await.unwrap().topics, std::slice::from_ref(&handed_over));
    metastore.write(&[Roles::no_topic_write(&made.topic_id)]).await.unwrap();
    assert!(metastore.roles().load().await.unwrap().topics.is_empty());
}

/// Who was there before there were roles keeps what everybody had.
pub async fn users_become_roles(place: Place) {
    let metastore = place.open().await;
    let tables = [
        "polder_role",
        "polder_role_member",
        "polder_role_setting",
        "polder_default_privilege",
        // What later steps made.
        "polder_delivery_offset",
        "polder_delivery_secret",
        "polder_schema",
        "polder_schema_version",
        "polder_schema_reference",
        "polder_schema_setting",
        "polder_topic_access",
    ];
    let mut writes: Vec<Write> = tables.map(|table| Write::new(format!("DROP TABLE {table}"), vec![])).into();
    writes.push(Write::new(
        "DELETE FROM polder_setting WHERE key IN ('roles.next_oid', 'schemas.revision', 'schemas.next_id')",
        vec![],
    ));
    writes.push(Write::new("DELETE FROM polder_migration WHERE version >= 5", vec![]));
    for (name, day) in [("zoe", 1), ("ada", 2), ("polder", 3)] {
        let made = place.clock.now() + Duration::days(day);
        writes.push(Write::new(
            "INSERT INTO polder_principal (name, scram_sha_256, scram_sha_512, created_at) VALUES ($1, '', '', $2)",
            vec![name.into(), made.into()],
        ));
    }
    metastore.write(&writes).await.unwrap();
    metastore.close().await;
    drop(metastore);

    let rows = place.open().await.roles().load().await.unwrap();
    let seen: Vec<_> = rows.roles.iter().map(|role| (role.oid, role.name.as_str())).collect();
    assert_eq!(seen, [(10, "polder"), (16_384, "zoe"), (16_385, "ada")]);
    assert!(rows.roles.iter().all(|role| role.is_superuser && role.logs_in), "{rows:?}");
    assert_eq!(rows.next_oid, 16_386);
}

pub async fn guessing_is_slowed_down(place: Place) {
    let metastore = place.open().await;
    let principals = metastore.principals();
    principals.create_user("ada", "correct horse").await.unwrap();
    for name in ["ada", "nobody"] {
        for _ in 0..5 {
            let error = principals.login(name, "wrong", "10.0.0.1").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        }
        let error = principals.login(name, "correct horse", "10.0.0.1").await.unwrap_err();
        assert_eq!((error.kind(), error.hint()), (ErrorKind::Unavailable, Some("try again in 1 s")));
    }
    principals.login("ada", "correct horse", "10.0.0.2").await.unwrap();
    place.clock.advance(Duration::seconds(1));
    principals.login("ada", "wrong", "10.0.0.1").await.unwrap_err();
    let error = principals.login("ada", "correct horse", "10.0.0.1").await.unwrap_err();
    assert_eq!(error.hint(), Some("try again in 2 s"));
    place.clock.advance(Duration::seconds(2));
    principals.login("ada", "correct horse", "10.0.0.1").await.unwrap();
    principals.login("ada", "correct horse", "10.0.0.1").await.unwrap();
}

pub async fn sessions_slide(place: Place) {
    let metastore = place.open().await;
    let principals = metastore.principals();
    let secret = principals.start_session("ada").await.unwrap();
    let hashed = count(&metastore, "SELECT count(*) FROM polder_session WHERE length(secret_hash) = 64").await;
    assert_eq!(hashed, 1);
    for _ in 0..4 {
        assert_eq!(principals.session_user(&secret).await.unwrap().as_deref(), Some("ada"));
        place.clock.advance(Duration::days(20));
    }
    assert_eq!(principals.session_user("guess").await.unwrap(), None);
    place.clock.advance(Duration::days(11));
    assert_eq!(principals.session_user(&secret).await.unwrap(), None);
    let second = principals.start_session("ada").await.unwrap();
    assert_eq!(count(&metastore, "SELECT count(*) FROM polder_session").await, 1);
    principals.end_session(&second).await.unwrap();
    assert_eq!(principals.session_user(&second).await.unwrap(), None);
    let third = principals.start_session("ada").await.unwrap();
    metastore.write(&[Principals::end_sessions_write("ada")]).await.unwrap();
    assert_eq!(principals.session_user(&third).await.unwrap(), None);
}

pub async fn tokens(place: Place) {
    let metastore = place.open().await;
    let principals = metastore.principals();
    let now = polder_runtime::Clock::now(&place.clock);
    let forever = principals.create_token("ada", "ci", None).await.unwrap();
    let short = principals.create_token("ada", "today", Some(now + Duration::days(1))).await.unwrap();
    assert!(forever.secret.starts_with("polder_") && forever.secret.len() == 50, "{}", forever.secret);
    assert_eq!(principals.token_user(&forever.secret).await.unwrap().as_deref(), Some("ada"));
    assert_eq!(principals.token_user(&short.secret).await.unwrap().as_deref(), Some("ada"));
    for wrong in ["", "polder_", "polder_AAAA", &forever.secret[7..]] {
        assert_eq!(principals.token_user(wrong).await.unwrap(), None, "{wrong}");
    }
    place.clock.advance(Duration::days(1));
    assert_eq!(principals.token_user(&short.secret).await.unwrap(), None);
    let listed = principals.list_tokens("ada").await.unwrap();
    assert_eq!(listed.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["ci", "today"]);
    assert_eq!(listed[0].last_used_at, Some(now));
    assert_eq!(listed[1].expires_at, Some(now + Duration::days(1)));
    assert!(!principals.delete_token("bob", &forever.token.id).await.unwrap());
    assert!(principals.delete_token("ada", &forever.token.id).await.unwrap());
    assert_eq!(principals.token_user(&forever.secret).await.unwrap(), None);
    assert_eq!(principals.create_token("ada", "", None).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

pub async fn links_work_once(place: Place) {
    let metastore = place.open().await;
    let principals = metastore.principals();
    let link = principals.create_link("ada", Duration::minutes(15)).await.unwrap();
    let (first, second) = tokio::join!(principals.redeem_link(&link), principals.redeem_link(&link));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(first.or(second).unwrap(), "ada");
    assert_eq!(principals.redeem_link(&link).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(principals.redeem_link("guess").await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let link = principals.create_link("ada", Duration::minutes(15)).await.unwrap();
    place.clock.advance(Duration::minutes(15));
    assert_eq!(principals.redeem_link(&link).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
}

pub async fn access_keys(place: Place) {
    let metastore = place.open().await;
    let key = metastore.principals().create_access_key("ada", "ada", "").await.unwrap();
    assert!(key.id.starts_with("PLDR") && key.id.len() == 20 && key.secret.len() == 40, "{key:?}");
    let expected = Some(("ada".to_owned(), key.secret.clone()));
    assert_eq!(metastore.principals().access_key_secret(&key.id).await.unwrap(), expected);
    let file = place.data_dir().join("secret.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    metastore.close().await;
    drop(metastore);

    let metastore = place.open().await;
    assert_eq!(metastore.principals().access_key_secret(&key.id).await.unwrap(), expected);
    assert_eq!(metastore.principals().access_key_secret("PLDRX").await.unwrap(), None);
    assert_eq!(metastore.principals().list_access_keys(Some("ada")).await.unwrap().len(), 1);
    assert_eq!(metastore.principals().list_access_keys(Some("bob")).await.unwrap(), []);
    assert_eq!(metastore.principals().list_access_keys(None).await.unwrap().len(), 1);
    metastore.close().await;
    drop(metastore);

    std::fs::write(&file, format!("{}\n", "ab".repeat(32))).unwrap();
    let metastore = place.open().await;
    let error = metastore.principals().access_key_secret(&key.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!metastore.principals().delete_access_key("bob", &key.id, "bob", "").await.unwrap());
    assert!(metastore.principals().delete_access_key("ada", &key.id, "ada", "").await.unwrap());
}
