//! Values in and out.

use chrono::{DateTime, Utc};
use polder_metastore::{Backend, Metastore, Value, Write};
use polder_types::ErrorKind;
use uuid::Uuid;

use crate::place::Place;

async fn make_table(metastore: &Metastore) {
    let types = match metastore.backend() {
        Backend::Sqlite => "a BIGINT, b DOUBLE, c BIGINT, d VARCHAR, e BLOB, f VARCHAR, g VARCHAR",
        Backend::Postgres => {
            "a BIGINT, b DOUBLE PRECISION, c BOOLEAN, d VARCHAR, e BYTEA, f TIMESTAMP WITH TIME ZONE, g UUID, \
             h INTEGER, i SMALLINT, j REAL, k NUMERIC(20, 3), l DATE, m TIME, n TIMESTAMP, o TEXT"
        }
    };
    metastore.write(&[Write::new(format!("CREATE TABLE seen ({types})"), vec![])]).await.unwrap();
}

pub async fn every_value_comes_back(place: Place) {
    let metastore = place.open().await;
    make_table(&metastore).await;
    let time: DateTime<Utc> = "2026-11-23T06:57:49.036332Z".parse().unwrap();
    let uuid = Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    for (number, float, truth, text, bytes) in [
        (i64::MIN, -0.5, false, "", vec![]),
        (i64::MAX, f64::MAX, true, "naïve 'quoted' \"text\" 数\n$1", vec![0, 255, 7]),
        (0, 0.1, true, "2026-11-23", b"text".to_vec()),
    ] {
        let params = vec![
            number.into(),
            float.into(),
            truth.into(),
            text.into(),
            bytes.clone().into(),
            time.into(),
            uuid.into(),
        ];
        let writes = [
            Write::new("DELETE FROM seen", vec![]),
            Write::new("INSERT INTO seen (a, b, c, d, e, f, g) VALUES ($1, $2, $3, $4, $5, $6, $7)", params)
                .affecting(1),
        ];
        metastore.write(&writes).await.unwrap();
        let row = &metastore.query("SELECT a, b, c, d, e, f, g FROM seen", &[]).await.unwrap()[0];
        assert_eq!(row.int(0).unwrap(), number);
        assert_eq!(row.float(1).unwrap().to_bits(), float.to_bits());
        assert_eq!(row.bool(2).unwrap(), truth);
        assert_eq!(row.text(3).unwrap(), text);
        assert_eq!(row.bytes(4).unwrap(), bytes);
        assert_eq!(row.time(5).unwrap(), time);
        assert_eq!(row.uuid(6).unwrap(), uuid);
        let sql = "SELECT count(*) FROM seen WHERE a = $1 AND c = $2 AND d = $3 AND f = $4 AND g = $5";
        let params = [number.into(), truth.into(), text.into(), time.into(), uuid.into()];
        assert_eq!(metastore.query(sql, &params).await.unwrap()[0].int(0).unwrap(), 1);
    }
    if metastore.backend() == Backend::Postgres {
        other_postgres_types(&metastore, time).await;
    } else {
        let row = &metastore.query("SELECT f FROM seen", &[]).await.unwrap()[0];
        assert_eq!(row.text(0).unwrap(), "2026-11-23 06:57:49.036332+00");
    }
}

async fn other_postgres_types(metastore: &Metastore, time: DateTime<Utc>) {
    let sql = "UPDATE seen SET h = $1, i = $2, j = $3, k = $4, l = $5, m = $6, n = $7, o = $8, d = $9";
    let params = vec![
        (-7).into(),
        8.into(),
        0.5.into(),
        "-12345.670".into(),
        "1999-12-31".into(),
        "10:20:30.5".into(),
        time.into(),
        "o".into(),
        42.into(),
    ];
    metastore.write(&[Write::new(sql, params).affecting(1)]).await.unwrap();
    let sql = "SELECT h, i, j, k, l, m, n, o, d, sum(a) OVER (), NULL, 'x' FROM seen";
    let row = &metastore.query(sql, &[]).await.unwrap()[0];
    let expected = [
        Value::Int(-7),
        Value::Int(8),
        Value::Float(0.5),
        Value::Text("-12345.670".into()),
        Value::Text("1999-12-31".into()),
        Value::Text("10:20:30.500".into()),
        Value::Time(time),
        Value::Text("o".into()),
        Value::Text("42".into()),
        Value::Int(0),
        Value::Null,
        Value::Text("x".into()),
    ];
    for (column, expected) in expected.iter().enumerate() {
        assert_eq!(row.value(column).unwrap(), expected, "column {column}");
    }
}

pub async fn null_fits_every_column(place: Place) {
    let metastore = place.open().await;
    make_table(&metastore).await;
    let columns: Vec<&str> = match metastore.backend() {
        Backend::Sqlite => "abcdefg".split("").filter(|name| !name.is_empty()).collect(),
        Backend::Postgres => "abcdefghijklmno".split("").filter(|name| !name.is_empty()).collect(),
    };
    let marks: Vec<_> = (1..=columns.len()).map(|at| format!("${at}")).collect();
    let sql = format!("INSERT INTO seen ({}) VALUES ({})", columns.join(", "), marks.join(", "));
    metastore.write(&[Write::new(sql, vec![Value::Null; columns.len()]).affecting(1)]).await.unwrap();
    for column in columns {
        let rows = metastore.query(&format!("SELECT {column} FROM seen"), &[]).await.unwrap();
        assert_eq!(rows[0].value(0).unwrap(), &Value::Null, "{column}");
        assert_eq!((rows[0].opt_int(0).unwrap(), rows[0].opt_time(0).unwrap()), (None, None));
        assert_eq!(rows[0].int(0).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // First a NULL and then a value through the same prepared statement, and the other way round.
    for values in [[Value::Null, 5.into()], [6.into(), Value::Null]] {
        for value in values {
            let sql = "UPDATE seen SET a = $1, d = $2";
            metastore.write(&[Write::new(sql, vec![value.clone(), Value::Null]).affecting(1)]).await.unwrap();
            assert_eq!(metastore.query("SELECT a FROM seen", &[]).await.unwrap()[0].value(0).unwrap(), &value);
        }
    }
}

pub async fn a_parameter_may_be_used_twice(place: Place) {
    let metastore = place.open().await;
    let sql =
        "SELECT count(*) FROM ducklake_schema WHERE begin_snapshot <= $2 AND schema_name <> $1 AND schema_id <= $2";
    assert_eq!(metastore.query(sql, &["main".into(), 1.into()]).await.unwrap()[0].int(0).unwrap(), 1);
}

pub async fn what_does_not_fit_is_refused(place: Place) {
    let metastore = place.open().await;
    if metastore.backend() == Backend::Sqlite {
        return;
    }
    make_table(&metastore).await;
    for (column, value) in
        [("a", Value::from("seven")), ("h", (1i64 << 40).into()), ("c", 2.into()), ("d", "a\0b".into())]
    {
        let write = Write::new(format!("INSERT INTO seen ({column}) VALUES ($1)"), vec![value]);
        assert_eq!(metastore.write(&[write]).await.unwrap_err().kind(), ErrorKind::InvalidInput, "{column}");
    }
    let error = metastore.query("SELECT a FROM seen WHERE a = $1", &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(metastore.head().await.unwrap(), 1);
}
