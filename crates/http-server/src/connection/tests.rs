use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const LIMIT: Duration = Duration::from_millis(120);

fn pair() -> (GuardedStream<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
    let (server, client) = tokio::io::duplex(64);
    (GuardedStream::new(server, LIMIT, Arc::new(Metrics::default()), None), client)
}

#[tokio::test]
async fn silence_is_cut_off() {
    let (mut server, _client) = pair();
    let error = server.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_trickle_is_cut_off() {
    let (mut server, mut client) = pair();
    let trickle = tokio::spawn(async move {
        while client.write_u8(b'x').await.is_ok() {
            tokio::time::sleep(LIMIT / 8).await;
        }
    });
    let started = Instant::now();
    let error = loop {
        if let Err(error) = server.read_u8().await {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(started.elapsed() < LIMIT * 8);
    drop(server);
    trickle.await.unwrap();
}

#[tokio::test]
async fn a_request_in_progress_is_waited_for() {
    let (mut server, mut client) = pair();
    let busy = server.activity.begin();
    let sender = tokio::spawn(async move {
        tokio::time::sleep(LIMIT * 3).await;
        client.write_u8(b'x').await.unwrap();
        client
    });
    assert_eq!(server.read_u8().await.unwrap(), b'x');
    let _client = sender.await.unwrap();
    drop(busy);
    assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
}
