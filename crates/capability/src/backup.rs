//! What is durable beside the lake: it belongs into a backup, and its bytes are read again from time to time.

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
    /// Reads everything again, while work goes on, so that a bit that has flipped is found while there is still a backup.
    ///
    /// # Errors
    /// When it cannot be read at all. What is damaged is no error, but a problem.
    async fn check(&self) -> Result<PartChecked>;
}

/// What reading everything again came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartChecked {
    pub bytes: u64,
    /// One for each damaged file.
    pub problems: Vec<PartProblem>,
}

/// A file that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartProblem {
    pub file: String,
    /// What is wrong, and where.
    pub problem: String,
}
