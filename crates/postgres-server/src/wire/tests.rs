use tokio::io::{DuplexStream, duplex};

use super::*;

const SYNC: &[u8] = b"S\0\0\0\x04";

fn wire() -> (DuplexStream, Wire) {
    let (client, server) = duplex(1 << 10);
    let mut wire = Wire::new(Box::new(server));
    wire.stay_awake();
    (client, wire)
}

async fn next(wire: &mut Wire) -> Message {
    let Ok(Ok(message)) = wire.message(None).await else { panic!("no message came") };
    message
}

#[tokio::test]
async fn a_client_that_asks_again_at_once_is_looked_out_for() {
    let (mut client, mut wire) = wire();
    client.write_all(SYNC).await.unwrap();
    assert!(matches!(next(&mut wire).await, Message::Sync));
    assert!(wire.is_brisk);
    // It comes while the thread stays awake, and when it has gone to sleep: nothing is lost.
    for pause in [Duration::ZERO, AWAKE_TIME / 2, 20 * AWAKE_TIME] {
        wire.is_brisk = true;
        let asks = async {
            let begun = Instant::now();
            while begun.elapsed() < pause {
                tokio::task::yield_now().await;
            }
            client.write_all(SYNC).await.unwrap();
        };
        let (message, ()) = tokio::join!(next(&mut wire), asks);
        assert!(matches!(message, Message::Sync));
    }
    assert!(!wire.is_brisk, "the last one took its time");
}

#[tokio::test]
async fn a_client_that_leaves_meanwhile_is_gone() {
    let (mut client, mut wire) = wire();
    client.write_all(SYNC).await.unwrap();
    assert!(matches!(next(&mut wire).await, Message::Sync));
    assert!(wire.is_brisk);
    drop(client);
    assert!(wire.message(None).await.is_err());
}
