use polder_runtime::ManualClock;

use super::*;

fn open(folder: &Path, clock: &ManualClock) -> Arc<Spool> {
    Arc::new(Spool::open(folder.to_owned(), Arc::new(clock.clone())).unwrap())
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

fn body(chunks: &[&'static str]) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + use<> {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
    futures::stream::iter(chunks)
}

#[test]
fn names_are_never_paths() {
    let check = |text: &str, expected: &str| assert_eq!(file_name(text), expected, "{text:?}");
    check("sales.csv", "sales.csv");
    check("../../etc/passwd", "passwd");
    check("..\\..\\boot.ini", "boot.ini");
    check("C:\\data\\a b.csv", "a b.csv");
    check("..", "upload");
    check("/", "upload");
    check("", "upload");
    check("a\0b\nc", "abc");
    check("größe – 数据.csv", "größe – 数据.csv");
    assert_eq!(file_name(&"ä".repeat(1000)).chars().count(), 255);
}

#[tokio::test]
async fn an_upload_survives_a_restart_and_ends_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Utc::now());
    let spool = open(folder.path(), &clock);
    let (id, upload) = spool.receive("ann", "a.csv", Some(6), body(&["a,b\n", "1\n"])).await.unwrap();
    assert_eq!(upload.bytes, 6);

    let spool = open(folder.path(), &clock);
    assert!(spool.claim("bob", &[id]).is_err());
    let claim = spool.claim("ann", &[id]).unwrap().pop().unwrap();
    let LoadSource::Spooled { path, name } = claim.source() else { panic!("not spooled") };
    assert_eq!(name, "a.csv");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "a,b\n1\n");

    clock.advance(TimeDelta::hours(25));
    spool.sweep();
    assert_eq!(spool.count(), 1, "it is being read");
    drop(claim);
    spool.sweep();
    assert_eq!((spool.count(), files(folder.path())), (0, 0));
}

#[tokio::test]
async fn a_loaded_upload_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), &ManualClock::at(Utc::now()));
    let (id, _) = spool.receive("ann", "a.csv", None, body(&["a"])).await.unwrap();
    for claim in spool.claim("ann", &[id]).unwrap() {
        claim.consume();
    }
    assert_eq!((spool.count(), files(folder.path())), (0, 0));
}

#[tokio::test]
async fn a_cut_off_upload_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path(), &ManualClock::at(Utc::now()));
    let broken = body(&["a"]).chain(futures::stream::once(async { Err(io::Error::other("gone")) }));
    let error = spool.receive("ann", "a.csv", None, broken).await.unwrap_err();
    assert_eq!(error.message(), "the upload was cut off after 1 bytes");

    let endless = body(&["a"]).chain(futures::stream::pending());
    let receive = spool.receive("ann", "a.csv", None, endless);
    assert!(tokio::time::timeout(Duration::from_millis(100), receive).await.is_err());
    assert_eq!((spool.count(), files(folder.path())), (0, 0));

    let error = spool.receive("ann", "a.csv", Some(UPLOAD_BYTES_MAX + 1), body(&[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn a_start_clears_leftovers_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let id = Uuid::now_v7();
    let other = Uuid::now_v7();
    for name in [format!("{id}.part"), format!("{id}.json"), other.to_string(), "notes.txt".to_owned()] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let spool = open(folder.path(), &ManualClock::at(Utc::now()));
    assert_eq!(spool.count(), 0);
    assert_eq!(files(folder.path()), 1);
    assert!(folder.path().join("notes.txt").exists());
}
