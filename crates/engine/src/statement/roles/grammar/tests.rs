use super::*;
use crate::authz::rights::Kind;
use crate::parse::{ParsedStatement, parse};
use crate::statement::roles::statements::{On, OwnedKind, Wanted};

fn role(sql: &str) -> RoleStatement {
    match parse(sql).unwrap().pop().unwrap() {
        ParsedStatement::Role(statement) => *statement,
        other => panic!("{sql} is {other:?}"),
    }
}

fn refused(sql: &str) -> (String, String) {
    let error = parse(sql).unwrap_err();
    (error.code().to_owned(), error.message().to_owned())
}

#[test]
fn roles_and_their_options() {
    let RoleStatement::Create { name, options } = role(
        "CREATE USER Ada WITH PASSWORD 'it''s' CREATEDB NOINHERIT CONNECTION LIMIT -1 IN ROLE a, \"B\" ADMIN CURRENT_USER",
    ) else {
        panic!("no role is made")
    };
    assert_eq!(name, "ada");
    assert_eq!((options.login, options.inherit, options.create_db), (Some(true), Some(false), Some(true)));
    assert_eq!((options.password, options.connection_limit), (Some(Some("it's".to_owned())), Some(-1)));
    assert_eq!(options.in_roles, [RoleName::Named("a".into()), RoleName::Named("B".into())]);
    assert_eq!(options.admins, [RoleName::CurrentUser]);
    assert!(matches!(role("CREATE ROLE a"), RoleStatement::Create { options, .. } if options.login.is_none()));
    assert!(
        matches!(role("DROP GROUP IF EXISTS a, b"), RoleStatement::Drop { roles, if_exists: true } if roles.len() == 2)
    );
    assert!(matches!(role("ALTER USER a RENAME TO b"), RoleStatement::Rename { to, .. } if to == "b"));
}

#[test]
fn settings_and_sessions() {
    let change = |sql: &str| match role(sql) {
        RoleStatement::Configure { change, .. } => change,
        other => panic!("{sql} is {other:?}"),
    };
    let set = |name: &str, values: &[&str]| SettingChange::Set {
        name: name.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    assert_eq!(change("ALTER ROLE a SET search_path = x, \"Y\""), set("search_path", &["x", "Y"]));
    assert_eq!(change("ALTER ROLE a SET TIME ZONE 'UTC'"), set("timezone", &["UTC"]));
    assert_eq!(change("ALTER ROLE a SET statement_timeout TO 5000"), set("statement_timeout", &["5000"]));
    assert_eq!(change("ALTER ROLE a SET timezone TO DEFAULT"), SettingChange::Reset("timezone".into()));
    assert_eq!(change("ALTER ROLE a RESET ALL"), SettingChange::ResetAll);
    let set_role = |sql: &str| match role(sql) {
        RoleStatement::SetRole { role, local, reset } => (role, local, reset),
        other => panic!("{sql} is {other:?}"),
    };
    assert_eq!(set_role("SET ROLE a"), (Some("a".into()), false, false));
    assert_eq!(set_role("SET LOCAL ROLE 'B'"), (Some("B".into()), true, false));
    assert_eq!(set_role("SET role TO none"), (None, false, false));
    assert_eq!(set_role("RESET ROLE"), (None, false, true));
    assert!(matches!(
        role("SET SESSION AUTHORIZATION DEFAULT"),
        RoleStatement::SetSession { user: None, reset: false, .. }
    ));
    assert!(matches!(role("SET SESSION SESSION AUTHORIZATION a"), RoleStatement::SetSession { user: Some(_), .. }));
}

#[test]
fn rights() {
    let granted = |sql: &str| match role(sql) {
        RoleStatement::Grant(granted) => granted,
        other => panic!("{sql} is {other:?}"),
    };
    let grant = granted(
        "GRANT SELECT, UPDATE (a, b) ON TABLE s.t, u TO GROUP x, PUBLIC WITH GRANT OPTION GRANTED BY CURRENT_USER",
    );
    assert!(grant.is_grant && grant.option && grant.wanted.names_columns());
    assert_eq!(grant.roles, [RoleName::Named("x".into()), RoleName::Public]);
    assert!(matches!(&grant.on, On::Relations(_, names) if names.len() == 2));
    let revoke = granted("REVOKE GRANT OPTION FOR ALL PRIVILEGES ON ALL TABLES IN SCHEMA s FROM x CASCADE");
    assert!(!revoke.is_grant && revoke.option && revoke.cascade && revoke.wanted == Wanted::All(Vec::new()));
    let On::Functions(functions) = granted("GRANT EXECUTE ON FUNCTION f(int, numeric(10, 2)), g TO x").on else {
        panic!("no functions")
    };
    assert_eq!(functions[0].arguments.as_deref().unwrap(), ["int", "numeric(10, 2)"]);
    assert!(functions[1].arguments.is_none());
    let grant = granted("GRANT SELECT, INSERT ON TOPIC a, \"page-views\" TO x WITH GRANT OPTION");
    assert!(matches!(&grant.on, On::Topics(names) if names.len() == 2) && grant.option);
    assert_eq!(granted("REVOKE ALL ON ALL TOPICS FROM x").on, On::AllTopics);
    // A table may be called so.
    for table in ["topic", "topic, t", "topic.t", "TABLE topic"] {
        let on = granted(&format!("GRANT SELECT ON {table} TO x")).on;
        assert!(matches!(on, On::Relations(Kind::Table, _)), "{table}");
    }
    assert!(
        matches!(role("REVOKE ADMIN OPTION FOR a FROM b RESTRICT"), RoleStatement::Members(m) if m.admin_option && !m.is_grant)
    );
    assert!(matches!(
        role("ALTER DEFAULT PRIVILEGES IN SCHEMA s FOR USER a GRANT SELECT ON TABLES TO b"),
        RoleStatement::Defaults(defaults) if defaults.schemas == ["s"] && defaults.of_roles.len() == 1
    ));
}

#[test]
fn owners() {
    let kind = |sql: &str| match role(sql) {
        RoleStatement::Owner(owner) => (owner.kind, owner.verb),
        other => panic!("{sql} is {other:?}"),
    };
    assert_eq!(kind("ALTER TABLE IF EXISTS ONLY s.t OWNER TO a"), (OwnedKind::Table, "ALTER TABLE"));
    assert_eq!(
        kind("ALTER MATERIALIZED VIEW v OWNER TO CURRENT_USER"),
        (OwnedKind::Materialized, "ALTER MATERIALIZED VIEW")
    );
    assert_eq!(kind("ALTER TOPIC \"page-views\" OWNER TO a"), (OwnedKind::Topic, "ALTER TOPIC"));
    assert_eq!(kind("ALTER FUNCTION f(int) OWNER TO a"), (OwnedKind::Function, "ALTER FUNCTION"));
    assert!(matches!(parse("ALTER TABLE t RENAME TO a").unwrap()[0], ParsedStatement::Standard(_)));
    assert!(matches!(role("DROP OWNED BY a, b CASCADE"), RoleStatement::DropOwned { cascade: true, .. }));
    assert!(matches!(
        role("REASSIGN OWNED BY a TO SESSION_USER"),
        RoleStatement::Reassign { to: RoleName::SessionUser, .. }
    ));
}

#[test]
fn what_is_refused() {
    let check = |sql: &str, code: &str, message: &str| assert_eq!(refused(sql), (code.into(), message.into()), "{sql}");
    check("CREATE ROLE a LOGIN NOLOGIN", "42601", "conflicting or redundant options");
    check("CREATE ROLE a FLYING", "42601", "unrecognized role option \"flying\"");
    check("CREATE ROLE public", "42939", "role name \"public\" is reserved");
    check("CREATE ROLE CURRENT_USER", "42939", "CURRENT_USER cannot be used as a role name here");
    check("GRANT a(b) TO c", "0LP01", "column names cannot be included in GRANT/REVOKE ROLE");
    check("GRANT USAGE ON LANGUAGE sql TO a", "0A000", "rights on LANGUAGE are not supported");
    check("ALTER DATABASE d SET timezone = 'UTC'", "0A000", "ALTER DATABASE … SET is not supported");
    check("GRANT SELECT ON t", "42601", "syntax error: expected TO, found the end");
    // Of what stands in quotes nothing is told.
    check("ALTER ROLE a 'secret'", "42601", "syntax error: expected an option of a role, found something else");
    assert!(!format!("{:?}", role("ALTER ROLE a PASSWORD 'secret'")).contains("secret"));
}
