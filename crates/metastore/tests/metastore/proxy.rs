//! Stands between the metastore and PostgreSQL, and cuts the line at the next COMMIT.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to the next COMMIT.
#[derive(Clone, Copy, PartialEq)]
pub enum Cut {
    Nothing = 0,
    /// It arrives and is done, but its answer is lost.
    Answer = 1,
    /// It never arrives.
    Request = 2,
}

pub struct Proxy {
    pub port: u16,
    cut: Arc<AtomicU8>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = Arc::new(AtomicU8::new(Cut::Nothing as u8));
        let for_lines = cut.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server_port, for_lines.clone()));
            }
        });
        Self { port, cut, task }
    }

    pub fn cut_next(&self, cut: Cut) {
        self.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// No new connection gets through any more.
    pub fn refuse(&self) {
        self.task.abort();
    }

    pub fn was_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst) == Cut::Nothing as u8
    }
}

async fn carry(mut client: TcpStream, server_port: u16, cut: Arc<AtomicU8>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await else {
        return;
    };
    let (mut from_client, mut from_server) = ([0u8; 65536], [0u8; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(size @ 1..) = read else { return };
                let bytes = &from_client[..size];
                let is_commit = bytes.windows(7).any(|window| window == b"COMMIT\0");
                if is_commit {
                    let how = cut.swap(Cut::Nothing as u8, Ordering::SeqCst);
                    if how == Cut::Request as u8 {
                        return;
                    }
                    if how == Cut::Answer as u8 {
                        server.write_all(bytes).await.unwrap();
                        // Until the answer is on its way, and then it is dropped.
                        let _ = server.read(&mut from_server).await;
                        return;
                    }
                }
                if server.write_all(bytes).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(size @ 1..) = read else { return };
                if client.write_all(&from_server[..size]).await.is_err() { return }
            }
        }
    }
}
