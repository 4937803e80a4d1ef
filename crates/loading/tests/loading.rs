//! Loads into a real lake, and every file of the shared data where it is: in `POLDER_SHARED_DATA`, or beside the
//! repository in `shared/data`. Where it is not, that part says that it was skipped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use polder_capability::{
    Caller, LoadMode, LoadOptions, LoadReport, LoadRequest, LoadSource, LoadState, LoadStatus, Loader, TableReport,
};
use polder_lake::{Lake, LakeOptions, TableName, TablesLocation};
use polder_loading::{FileLoader, LoaderOptions};
use polder_metastore::{Metastore, MetastoreOptions};
use polder_runtime::{OwnFiles, SystemClock};
use polder_types::LoadId;

struct House {
    lake: Arc<Lake>,
    loader: Arc<FileLoader>,
    directory: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock);
        let tables = directory.path().join("tables");
        let temp_dir = directory.path().join("temp");
        std::fs::create_dir_all(&temp_dir).unwrap();
        let metastore = Metastore::open(MetastoreOptions {
            data_dir: directory.path().to_owned(),
            url: None,
            tables_path: tables.to_str().unwrap().to_owned(),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        let lake = Lake::open(LakeOptions {
            metastore: metastore.clone(),
            tables: TablesLocation::Directory(tables),
            clock: clock.clone(),
        })
        .await
        .unwrap();
        let loader =
            FileLoader::new(LoaderOptions { lake: lake.clone(), clock, temp_dir, own_files: OwnFiles::default() });
        Self { lake, loader, directory }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn request(&self, source: &Path) -> LoadRequest {
        LoadRequest {
            load_id: LoadId::new(),
            caller: Caller::new("ada", "test"),
            sources: vec![LoadSource::Location(source.to_str().unwrap().to_owned())],
            into: None,
            mode: LoadMode::Create,
            strict: false,
            again: false,
            options: LoadOptions::default(),
        }
    }

    async fn run(&self, request: LoadRequest) -> LoadStatus {
        let id = self.loader.start(request).unwrap();
        let status = self.loader.wait(id).await.unwrap();
        assert_eq!(std::fs::read_dir(self.directory.path().join("temp")).unwrap().count(), 0);
        status
    }

    async fn load(&self, request: LoadRequest) -> LoadReport {
        let status = self.run(request).await;
        assert_eq!(status.state, LoadState::Done, "{:?}", status.error);
        status.report.unwrap()
    }

    async fn rows(&self, table: &str) -> u64 {
        let snapshot = self.lake.newest().await.unwrap();
        let state =
            snapshot.table(&TableName::new("public", table)).unwrap_or_else(|| panic!("no table {table}")).clone();
        self.lake.row_count(&snapshot, &state).await.unwrap()
    }

    async fn columns(&self, table: &str) -> String {
        let snapshot = self.lake.newest().await.unwrap();
        let state =
            snapshot.table(&TableName::new("public", table)).unwrap_or_else(|| panic!("no table {table}")).clone();
        let columns: Vec<String> =
            state.arrow_schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        columns.join(", ")
    }
}

const CITIES: &str = "city,people,since\nUtrecht,376000,1122-06-02\nLeiden,many,1266-07-14\nbad row\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_one_version_of_the_lake() {
    let house = House::new().await;
    let before = house.lake.newest().await.unwrap().id;
    let report = house.load(house.request(&house.file("cities.csv", CITIES))).await;
    assert_eq!(report.snapshot, Some(before + 1));
    assert_eq!(house.rows("cities").await, 2);
    assert_eq!(house.rows("cities__rejects").await, 1);
    assert_eq!(house.columns("cities").await, "city Utf8View, people Utf8View, since Date32");
    // Again: nothing new, no version.
    let again = house.load(house.request(&house.file("cities.csv", CITIES))).await;
    assert_eq!((again.snapshot, again.tables[0].sources[0].skipped), (None, true));
    let more = house.file("more.csv", "since,city\n1246-04-15,Delft\n");
    let append = LoadRequest { mode: LoadMode::Append, into: Some("cities".into()), ..house.request(&more) };
    assert_eq!(house.load(append).await.snapshot, Some(before + 2));
    assert_eq!(house.rows("cities").await, 3);
    let replace = LoadRequest { mode: LoadMode::Replace, into: Some("cities".into()), ..house.request(&more) };
    house.load(replace).await;
    assert_eq!((house.rows("cities").await, house.rows("cities__rejects").await), (1, 0));
    let nested = house.file(
        "nested.jsonl",
        "{\"id\":1,\"tags\":[\"a\"],\"who\":{\"name\":\"Ada\",\"born\":\"1815-12-10\"}}\n{\"id\":2}\n",
    );
    house.load(house.request(&nested)).await;
    assert_eq!(house.rows("nested").await, 2);
    let nested = LoadRequest { mode: LoadMode::Append, again: true, ..house.request(&nested) };
    house.load(nested).await;
    assert_eq!(house.rows("nested").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_table_holds_nothing_that_was_loaded() {
    let house = House::new().await;
    let cities = house.file("cities.csv", "city,people\nUtrecht,376000\nLeiden,124000\n");
    let more = house.file("more.csv", "city,people\nDelft,104000\n");
    let append = async |path: &PathBuf| {
        let into = Some("cities".to_owned());
        let report = house.load(LoadRequest { mode: LoadMode::Append, into, ..house.request(path) }).await;
        (report.tables[0].rows_loaded, report.tables[0].sources[0].skipped)
    };
    assert_eq!((append(&cities).await, append(&more).await), ((2, false), (1, false)));
    assert_eq!((append(&cities).await, append(&more).await), ((0, true), (0, true)));
    let mut emptying = house.lake.begin().await.unwrap();
    assert_eq!(emptying.truncate(&TableName::new("public", "cities")).await.unwrap(), 3);
    emptying.commit().await.unwrap();
    // The second is no more known than the first, though the table is not empty any more.
    assert_eq!((append(&cities).await, append(&more).await), ((2, false), (1, false)));
    assert_eq!(house.rows("cities").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_load_that_fails_changes_nothing() {
    let house = House::new().await;
    let before = house.lake.newest().await.unwrap().id;
    let request = LoadRequest { strict: true, ..house.request(&house.file("cities.csv", CITIES)) };
    let status = house.run(request).await;
    assert_eq!(status.state, LoadState::Failed);
    let message = status.error.unwrap().message;
    assert!(message.ends_with("cities.csv line 4: 1 field instead of 3"), "{message}");
    assert_eq!(house.lake.newest().await.unwrap().id, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_there_is_named_as_sql_writes_it() {
    let house = House::new().await;
    for (into, hint) in [("\"We ird\".t", "CREATE SCHEMA \"We ird\""), ("shop.t", "CREATE SCHEMA shop")] {
        let request = LoadRequest { into: Some(into.into()), ..house.request(&house.file("cities.csv", CITIES)) };
        assert_eq!(house.run(request).await.error.unwrap().hint.as_deref(), Some(hint));
    }
}

/// Files that other programs have written: openpyxl, xlwt, odfpy, fastavro and DuckDB.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_other_programs_load() {
    // Asked while it runs: a program built in another clone reads this one's files.
    let data = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../tests/data");
    let house = House::new().await;
    for (file, tables) in [
        ("towns.xlsx", &["towns_towns", "towns_post_codes"][..]),
        ("towns.xls", &["towns"]),
        ("towns.ods", &["towns_2"]),
        ("towns.avro", &["towns_3"]),
        ("towns.parquet", &["towns_4"]),
    ] {
        let into = (tables.len() == 1).then(|| tables[0].to_owned());
        let report = house.load(LoadRequest { into, ..house.request(&data.join(file)) }).await;
        println!("{file}: {:?}", report.tables.iter().map(|table| &table.remarks).collect::<Vec<_>>());
        for table in tables {
            println!("  {table}: {}", house.columns(table).await);
        }
    }
    let check = async |table: &str, rows: u64, columns: &str| {
        assert_eq!((house.rows(table).await, house.columns(table).await.as_str()), (rows, columns), "{table}");
    };
    let sheet = "town Utf8View, people Int64, since Date32, area_km² Float64, capital Boolean";
    check("towns_towns", 3, sheet).await;
    check("towns_post_codes", 3, "code Utf8View, town Utf8View").await;
    check("towns", 3, "town Utf8View, people Int64, since Date32").await;
    check("towns_2", 3, sheet).await;
    let has = async |table: &str, column: &str| {
        let columns = house.columns(table).await;
        assert!(columns.contains(column), "{table}: no {column} in {columns}");
    };
    for column in ["people Int64", "since Date32", "tags List(Utf8View", "kind Utf8View", "at Timestamp(µs, \"UTC\")"]
    {
        has("towns_3", column).await;
    }
    for column in
        ["people Int32", "where Struct(", "extra Map(", "id Utf8View", "price Decimal128(9, 2)", "at Time64(µs)"]
    {
        has("towns_4", column).await;
    }
    assert_eq!((house.rows("towns_3").await, house.rows("towns_4").await), (3, 2));
}

/// What each file of the shared data holds, and the types that must come out.
const SHARED: [(&str, &str, u64, &[&str]); 14] = [
    (
        "flights/flights.csv.zip",
        "flights",
        336_776,
        &["dep_time Int64", "tailnum Utf8View", "time_hour Timestamp(µs, \"UTC\")"],
    ),
    ("flights/airports.csv", "airports", 1_458, &["faa Utf8View", "lat Float64"]),
    ("flights/planes.csv", "planes", 3_322, &["year Int64", "speed Int64"]),
    ("flights/weather.csv", "weather", 26_115, &["wind_gust Float64"]),
    ("messy/hospital.csv", "hospital", 1_000, &["zipcode Utf8View", "phonenumber Utf8View"]),
    ("messy/hospital_clean.csv", "hospital_clean", 19_000, &["tid Int64", "correct_val Utf8View"]),
    ("messy/doaj-article-sample.csv", "doaj_article_sample", 1_001, &["date Date32", "issns Utf8View"]),
    ("messy/artist_data.csv", "artist_data", 3_532, &["id Int64", "dates Utf8View"]),
    ("logs/apache_logs", "apache_logs", 10_000, &["time Timestamp(µs, \"UTC\")", "status Int64", "bytes Int64"]),
    ("retail/online_retail.parquet", "online_retail", 525_461, &[]),
    (
        "retail/CDNOW_master.txt",
        "cdnow_master",
        69_659,
        &["customer_id Utf8View", "date Date32", "dollar_value Float64"],
    ),
    ("web/ecom_events.csv.gz", "ecom_events", 31_106, &["timestamp Timestamp(µs)"]),
    ("taxi/taxi.parquet", "taxi", 50_000, &[]),
    ("README.md", "readme", 0, &[]),
];

/// The folder of real data, which is not part of the repository.
fn shared_data() -> PathBuf {
    let beside = || PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../../../shared/data");
    std::env::var_os("POLDER_SHARED_DATA").map_or_else(beside, PathBuf::from)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shared_file_loads_and_every_row_is_accounted_for() {
    let shared = shared_data();
    if !shared.is_dir() {
        println!("skipped: there is no shared data in {}: set POLDER_SHARED_DATA", shared.display());
        return;
    }
    let house = House::new().await;
    for (file, table, rows, columns) in SHARED.iter().filter(|(_, _, rows, _)| *rows > 0) {
        let begun = std::time::Instant::now();
        let report = house.load(house.request(&shared.join(file))).await;
        let TableReport { rows_loaded, rows_rejected, remarks, .. } = &report.tables[0];
        println!("{file}: {rows_loaded} + {rows_rejected} rows in {:.2} s", begun.elapsed().as_secs_f64());
        for remark in remarks {
            println!("  {remark}");
        }
        assert_eq!(rows_loaded + rows_rejected, *rows, "{file}");
        assert_eq!(*rows_rejected, 0, "{file}: {:?}", report.tables[0].rejects);
        assert_eq!(house.rows(table).await, *rows, "{file}");
        let found = house.columns(table).await;
        println!("  {found}");
        for column in *columns {
            assert!(
                found.split(", ").any(|known| known == *column) || found.contains(column),
                "{file}: no {column} in {found}"
            );
        }
    }
    // All at once: one directory, each shape its own table.
    let house = House::new().await;
    let report = house.load(house.request(&shared)).await;
    let loaded: u64 = report.tables.iter().map(|table| table.rows_loaded + table.rows_rejected).sum();
    let expected: u64 = SHARED.iter().map(|(_, _, rows, _)| rows).sum();
    println!("{:?}", report.tables.iter().map(|table| table.table.as_str()).collect::<Vec<_>>());
    assert_eq!(loaded, expected);
}
