use super::*;
use crate::parse::{ParsedStatement, parse};

fn parsed(sql: &str) -> DeliveryStatement {
    match parse(sql).unwrap().pop() {
        Some(ParsedStatement::Delivery(statement)) => *statement,
        other => panic!("{sql}: {other:?}"),
    }
}

fn created(sql: &str) -> CreateDelivery {
    match parsed(sql) {
        DeliveryStatement::Create(create) => *create,
        other => panic!("{sql}: {other:?}"),
    }
}

fn table(schema: &str, name: &str) -> TableTarget {
    TableTarget { schema: schema.into(), name: name.into() }
}

#[test]
fn a_delivery_into_a_table_says_all_that_there_is_to_say() {
    let create = created(
        "CREATE DELIVERY clicks FROM TOPIC \"page-views\" INTO TABLE web.Views STARTING AT LATEST
         TRANSFORM AS SELECT value->>'user' AS name, count(*) OVER (PARTITION BY key) FROM \"page-views\" -- all of them
         BUFFER 1 MB OR 2 SECONDS PARTITION BY day(\"timestamp\"), bucket(4, id) ON ERROR INTO bad;",
    );
    assert_eq!((create.name.as_str(), create.topic.as_str()), ("clicks", "page-views"));
    assert_eq!(create.target, DeliveryTarget::Table(table("web", "views")));
    assert_eq!((create.start, create.if_exists), (DeliveryStart::Latest, IfExists::Refuse));
    let clauses = create.clauses;
    let transform = clauses.transform.unwrap();
    assert_eq!(transform, "SELECT value->>'user' AS name, count(*) OVER (PARTITION BY key) FROM \"page-views\"");
    assert_eq!(clauses.buffer, Some(HalfBuffer { bytes: Some(1 << 20), seconds: Some(2) }));
    assert_eq!(clauses.partition_by.unwrap(), ["day(\"timestamp\")", "bucket(4, id)"]);
    assert_eq!(clauses.errors_into, Some(table("", "bad")));
}

#[test]
fn what_is_not_said_is_as_it_is_by_default() {
    let create = created("create or replace delivery d from topic topics.t into table t buffer 5 seconds");
    assert_eq!((create.topic.as_str(), create.if_exists), ("t", IfExists::Replace));
    assert_eq!(create.start, DeliveryStart::Earliest);
    let buffer = create.clauses.buffer.unwrap();
    assert_eq!(buffer.whole(), Buffer { seconds: 5, ..Buffer::default() });
    assert_eq!(created("CREATE DELIVERY IF NOT EXISTS d FROM TOPIC t INTO TABLE t").clauses, Clauses::default());
}

#[test]
fn the_history_of_a_topic_has_its_name() {
    let create = created(
        "CREATE DELIVERY d FROM TOPIC topics.\"Page-views\" INTO HISTORY BUFFER 1 SECOND PARTITION BY day(\"timestamp\")",
    );
    assert_eq!(create.target, DeliveryTarget::History(table("topic_history", "Page-views")));
    assert_eq!((create.topic.as_str(), create.clauses.partition_by.unwrap().len()), ("Page-views", 1));
    assert!(parse("CREATE DELIVERY d FROM TOPIC t INTO HISTORY elsewhere").is_err());
}

#[test]
fn other_places_have_options_and_secrets() {
    let create = created(
        "CREATE DELIVERY d FROM TOPIC t INTO OBJECTS 's3://bucket/raw' WITH (format 'parquet', compression = 'zstd',
         endpoint 'http://127.0.0.1:9000', access_key_id 'AK', secret_access_key 'sk') TRANSFORM AS $$ SELECT 1 AS one $$",
    );
    let DeliveryTarget::Objects(objects) = &create.target else { panic!("{:?}", create.target) };
    assert_eq!((objects.url.as_str(), objects.endpoint.as_deref()), ("s3://bucket/raw", Some("http://127.0.0.1:9000")));
    assert_eq!(create.secrets.get("secret_access_key"), Some("sk"));
    assert!(!format!("{create:?}").contains("\"sk\""), "{create:?}");
    assert_eq!(create.clauses.transform.as_deref(), Some("SELECT 1 AS one"));
    let create = created(
        "CREATE DELIVERY d FROM TOPIC t INTO POSTGRES WITH (host 'db', database 'shop', user 'ann', table 'orders',
         key 'id, day', password 'p')",
    );
    let DeliveryTarget::Postgres(postgres) = create.target else { panic!("another target") };
    assert_eq!((postgres.port, postgres.schema.as_str(), postgres.key.len()), (5432, "public", 2));
}

#[test]
fn alter_and_drop() {
    assert_eq!(parsed("ALTER DELIVERY d PAUSE"), DeliveryStatement::Pause("d".into()));
    assert_eq!(parsed("ALTER DELIVERY d REDRIVE"), DeliveryStatement::Redrive("d".into()));
    assert_eq!(parsed("ALTER DELIVERY \"D\" DROP TRANSFORM"), DeliveryStatement::DropTransform("D".into()));
    let DeliveryStatement::Set(name, clauses) = parsed("ALTER DELIVERY d SET BUFFER 2 MINUTES") else { panic!() };
    assert_eq!((name.as_str(), clauses.buffer.unwrap().seconds), ("d", Some(120)));
    let DeliveryStatement::Set(_, clauses) = parsed("ALTER DELIVERY d SET HOLD 10 GB BUFFER 1 SECONDS") else {
        panic!()
    };
    assert_eq!(clauses.held_bytes_max, Some(10 << 30));
    assert_eq!(parsed("ALTER DELIVERY d DROP HOLD"), DeliveryStatement::DropHold("d".into()));
    assert_eq!(parsed("DROP DELIVERY IF EXISTS d"), DeliveryStatement::Drop { name: "d".into(), if_exists: true });
}

#[test]
fn what_is_wrong_is_said_where_it_is() {
    for (sql, message) in [
        ("CREATE DELIVERY d INTO TABLE t", "expected FROM TOPIC"),
        ("CREATE DELIVERY d FROM TOPIC t INTO t", "expected TABLE, HISTORY, OBJECTS"),
        ("CREATE DELIVERY d FROM TOPIC t INTO TABLE t BUFFER 5", "expected KB, MB"),
        ("CREATE DELIVERY d FROM TOPIC t INTO TABLE t BUFFER 5 MB OR 6 MB", "a size such as"),
        ("CREATE DELIVERY d FROM TOPIC t INTO TABLE t BUFFER 1 MB BUFFER 2 MB", "each clause once"),
        ("CREATE DELIVERY d FROM TOPIC t INTO HISTORY HOLD 5 SECONDS", "a size such as 10 GB"),
        ("CREATE DELIVERY d FROM TOPIC t INTO TABLE t TRANSFORM AS SELEC 1", "the transform"),
        ("CREATE DELIVERY d FROM TOPIC t INTO TABLE t TRANSFORM AS $$SELECT 1; SELECT 2$$", "one query"),
        ("CREATE DELIVERY d FROM TOPIC t INTO TABLE t PARTITION BY a, , b", "an expression"),
        ("CREATE DELIVERY d FROM TOPIC t INTO OBJECTS 's3://b' WITH (colour 'red')", "unknown field"),
        ("CREATE DELIVERY d FROM TOPIC t INTO HTTP 'http://x' WITH (url 'http://y')", "each option once"),
        ("CREATE DELIVERY d FROM TOPIC t INTO SPLUNK 'http://x' WITH (token 5)", "a text in quotes"),
        ("ALTER DELIVERY d SET", "TRANSFORM AS, BUFFER"),
        ("ALTER DELIVERY d STOP", "PAUSE, RESUME"),
        ("DROP DELIVERY d e", "expected the end"),
    ] {
        let error = parse(sql).unwrap_err();
        assert!(error.to_string().contains(message), "{sql}: {error}");
        assert!(matches!(error.code(), "42601" | "22P02"), "{sql}: {}", error.code());
    }
}
