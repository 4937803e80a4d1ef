//! SASL, in the clear and over TLS.

use super::*;

async fn handshake(client: &mut Client, mechanism: &'static str) -> SaslHandshakeResponse {
    client.ask(&SaslHandshakeRequest::default().with_mechanism(s(mechanism)), 1).await.unwrap()
}

async fn authenticate(client: &mut Client, bytes: &[u8]) -> SaslAuthenticateResponse {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(bytes));
    client.ask(&request, 2).await.unwrap()
}

#[tokio::test]
async fn a_password_lets_in() {
    let running = Running::start("plain", Auth::Password).await;
    let client = &mut running.connect().await;
    let response = handshake(client, "PLAIN").await;
    let names: Vec<&str> = response.mechanisms.iter().map(|name| &**name).collect();
    assert_eq!((response.error_code, names), (0, vec!["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]));
    assert_eq!(authenticate(client, b"\0user\0pencil").await.error_code, 0);
    assert!(client.ask(&MetadataRequest::default(), 9).await.is_some());
    // Nobody logs in twice.
    assert_eq!(handshake(client, "PLAIN").await.error_code, 34);
}

#[tokio::test]
async fn what_is_wrong_does_not() {
    let running = Running::start("wrong", Auth::Password).await;
    for said in [&b"\0user\0wrong"[..], b"\0nobody\0pencil", b"root\0user\0pencil", b"user", b"", b"\xff"] {
        let client = &mut running.connect().await;
        handshake(client, "PLAIN").await;
        assert_eq!(authenticate(client, said).await.error_code, 58, "{said:?}");
        assert_eq!(client.frame().await, None);
    }
    let client = &mut running.connect().await;
    assert_eq!(handshake(client, "GSSAPI").await.error_code, 33);
    assert_eq!(authenticate(client, b"\0user\0pencil").await.error_code, 58);
    // Nobody asks anything before.
    let client = &mut running.connect().await;
    assert!(client.ask(&ApiVersionsRequest::default(), 3).await.is_some());
    assert!(client.ask(&MetadataRequest::default(), 9).await.is_none());
}

#[tokio::test]
async fn half_a_proof_does_not() {
    let running = Running::start("proof", Auth::Password).await;
    for first in ["n,,n=user", "n,,r=abc", "p=tls-server-end-point,,n=user,r=abc", "n,a=root,n=user,r=abc", "x"] {
        let client = &mut running.connect().await;
        handshake(client, "SCRAM-SHA-256").await;
        assert_eq!(authenticate(client, first.as_bytes()).await.error_code, 58, "{first}");
    }
    let client = &mut running.connect().await;
    handshake(client, "SCRAM-SHA-512").await;
    let first = authenticate(client, b"n,,n=user,r=abc").await;
    assert_eq!(first.error_code, 0);
    let nonce = std::str::from_utf8(&first.auth_bytes).unwrap().split(',').next().unwrap().to_owned();
    let proof = format!("c=biws,{nonce},p={}", "A".repeat(86) + "==");
    assert_eq!(authenticate(client, proof.as_bytes()).await.error_code, 58);
}

#[tokio::test]
async fn bare_messages_of_sasl_let_in() {
    let running = Running::start("bare", Auth::Password).await;
    let client = &mut running.connect().await;
    client.ask(&SaslHandshakeRequest::default().with_mechanism(s("PLAIN")), 0).await.unwrap();
    client.send(b"\0\0\0\x0c\0user\0pencil").await;
    assert_eq!(client.frame().await.unwrap().len(), 0);
    assert!(client.ask(&MetadataRequest::default(), 9).await.is_some());
}
