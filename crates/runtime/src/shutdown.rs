use tokio_util::sync::CancellationToken;

/// Tells every task that the server is stopping. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everyone to stop.
    pub fn start(&self) {
        self.0.cancel();
    }

    #[must_use]
    pub fn started(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Returns once stopping has begun.
    pub async fn wait(&self) {
        self.0.cancelled().await;
    }
}
