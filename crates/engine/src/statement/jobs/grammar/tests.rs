use polder_capability::{CatchUp, IfExists};

use super::{CreateJob, JobOptions, JobOwner, JobStatement};
use crate::parse::{ParsedStatement, parse};

fn one(sql: &str) -> JobStatement {
    match parse(sql).unwrap().remove(0) {
        ParsedStatement::Job(statement) => statement,
        other => panic!("{other:?}"),
    }
}

fn check_create(sql: &str, name: &str, if_exists: IfExists, options: JobOptions, body: &str) {
    let expected = CreateJob { name: name.to_owned(), if_exists, options, sql: body.to_owned() };
    assert_eq!(one(sql), JobStatement::Create(Box::new(expected)), "{sql}");
}

#[test]
fn creations() {
    check_create("CREATE JOB Nightly AS SELECT 1", "nightly", IfExists::Refuse, JobOptions::default(), "SELECT 1");
    check_create(
        "create or replace job \"Two Words\" schedule '30 2 * * *' in time zone 'Europe/Amsterdam'\n  retry 3 backoff '1 min' \
         timeout '1 hour 30 minutes' catch up all as\n  INSERT INTO t -- it''s\n  SELECT 'ä''; ö' FROM s ; ",
        "Two Words",
        IfExists::Replace,
        JobOptions {
            schedule: Some("30 2 * * *".into()),
            time_zone: Some("Europe/Amsterdam".into()),
            after: None,
            retries: Some(3),
            backoff_seconds: Some(60),
            timeout_seconds: Some(5400),
            catch_up: Some(CatchUp::All),
        },
        "INSERT INTO t -- it''s\n  SELECT 'ä''; ö' FROM s",
    );
    let after = JobOptions { after: Some("other".into()), timeout_seconds: Some(90), ..JobOptions::default() };
    check_create(
        "SELECT 'ü'; CREATE JOB IF NOT EXISTS j TIMEOUT '90' AFTER Other AS DELETE FROM t WHERE a = 'x'"
            .split_once(';')
            .unwrap()
            .1,
        "j",
        IfExists::Keep,
        after,
        "DELETE FROM t WHERE a = 'x'",
    );
    let script = "CREATE JOB j AS $$ BEGIN; INSERT INTO t VALUES (1); COMMIT $$";
    check_create(script, "j", IfExists::Refuse, JobOptions::default(), "BEGIN; INSERT INTO t VALUES (1); COMMIT");
}

#[test]
fn others() {
    assert_eq!(one("ALTER JOB j PAUSE"), JobStatement::Pause("j".into()));
    assert_eq!(one("alter job \"J\" resume;"), JobStatement::Resume("J".into()));
    let owner = |to: JobOwner| JobStatement::Owner { name: "j".into(), to };
    assert_eq!(one("ALTER JOB j OWNER TO \"Ann\""), owner(JobOwner::Role("Ann".into())));
    assert_eq!(one("ALTER JOB j OWNER TO current_user"), owner(JobOwner::Current));
    assert_eq!(one("ALTER JOB j OWNER TO SESSION_USER"), owner(JobOwner::Session));
    assert_eq!(one("DROP JOB j"), JobStatement::Drop { name: "j".into(), if_exists: false });
    assert_eq!(one("DROP JOB IF EXISTS j"), JobStatement::Drop { name: "j".into(), if_exists: true });
    assert_eq!(one("/* now */ RUN JOB j"), JobStatement::Run("j".into()));
    // A table may have that name.
    assert!(matches!(parse("SELECT * FROM job").unwrap()[0], ParsedStatement::Standard(_)));
}

#[test]
fn refusals() {
    let check = |sql: &str, line: u64, column: u64, expected: &str| {
        let error = parse(sql).map(drop).unwrap_err();
        assert_eq!(error.code(), "42601", "{sql}: {error}");
        assert!(error.message().contains(expected), "{sql}: {error}");
        let at = error.position().map(|at| (at.line, at.column));
        assert_eq!(at, (line > 0).then_some((line, column)), "{sql}: {error}");
    };
    check("CREATE JOB", 1, 11, "expected a job's name, found the end");
    check("CREATE JOB j", 1, 13, "expected SCHEDULE");
    check("CREATE JOB j SCHEDULE 5 AS SELECT 1", 1, 23, "expected a cron expression");
    check("CREATE JOB j EVERY DAY AS SELECT 1", 1, 14, "expected SCHEDULE");
    check("CREATE JOB j RETRY 1 RETRY 2 AS SELECT 1", 1, 22, "each option once");
    check("CREATE JOB j RETRY -1 AS SELECT 1", 1, 20, "expected a number");
    check("CREATE JOB j TIMEOUT '1 month' AS SELECT 1", 1, 22, "expected a length of time");
    check("CREATE JOB j TIMEOUT '-5 s' AS SELECT 1", 1, 22, "expected a length of time");
    check("CREATE JOB j CATCH UP SOME AS SELECT 1", 1, 23, "expected NONE, ONE or ALL");
    check("CREATE JOB j IN TIME ZONE 'UTC' AS SELECT 1", 0, 0, "belongs to a SCHEDULE");
    check("CREATE JOB j AS", 1, 16, "expected a statement");
    check("CREATE JOB j AS\n  SELEC 1", 2, 3, "");
    check("CREATE JOB j AS $$ SELEC 1 $$", 1, 17, "the job's statements");
    check("CREATE JOB j AS $$ $$", 1, 17, "expected a statement");
    check("ALTER JOB j RENAME TO k", 1, 13, "expected PAUSE, RESUME or OWNER TO");
    check("ALTER JOB j OWNER TO", 1, 21, "expected a role's name");
    check("DROP JOB j CASCADE", 1, 12, "expected the end");
}
