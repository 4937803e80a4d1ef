//! What belongs into a backup beside the lake.

use std::path::Path;

use async_trait::async_trait;
use polder_types::Result;

/// Something durable of its own, such as the log of topics.
#[async_trait]
pub trait BackupPart: Send + Sync {
    /// The name of its folder in a backup.
    fn folder(&self) -> &'static str;

    /// Copies all that is acknowledged by now into a folder that is not there yet, while work goes on. Makes no folder if there
    /// is nothing.
    ///
    /// # Errors
    /// When it cannot be read or written; then there is no backup.
    async fn copy_to(&self, directory: &Path) -> Result<()>;
}
