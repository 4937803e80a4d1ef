//! Files read again and again, a few at a time, so that a bit that has flipped is found while there is still a backup.

use std::sync::Arc;

use futures::future::BoxFuture;
use polder_types::Result;

use crate::check::{Depth, Problem, catalog, look};
use crate::lake::Lake;

/// Where the scrub stands.
#[derive(Debug, Default)]
pub(crate) struct ScrubState {
    /// The last file that was read, by its id.
    after: Option<i64>,
}

/// What one turn of the scrub did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    pub files: u64,
    pub bytes: u64,
    pub problems: Vec<Problem>,
    /// All files have been read once since the last time that this was said.
    pub around: bool,
}

impl Lake {
    /// Reads on where the last turn ended, until about `budget_bytes` are read, at least one file. Files that are not
    /// as they were written are named in the log and in the answer.
    ///
    /// # Errors
    /// When the metastore or the store cannot be asked at all.
    pub fn scrub(self: &Arc<Self>, budget_bytes: u64) -> BoxFuture<'_, Result<Scrubbed>> {
        Box::pin(self.scrub_on(budget_bytes))
    }

    async fn scrub_on(self: &Arc<Self>, budget_bytes: u64) -> Result<Scrubbed> {
        let _hold = self.hold().await?;
        let mut done = Scrubbed::default();
        let targets = catalog::targets(self, &mut done.problems).await?;
        let after = self.scrubbed.lock().after;
        let rest = targets.iter().filter(|target| after.is_none_or(|after| target.id > after));
        done.around = true;
        for target in rest {
            if done.bytes >= budget_bytes && done.files > 0 {
                done.around = false;
                break;
            }
            done.files += 1;
            done.bytes += target.size_bytes;
            if let Some(problem) = look(self, target.clone(), Depth::Whole).await? {
                done.problems.push(problem);
            }
            self.scrubbed.lock().after = Some(target.id);
        }
        if done.around {
            self.scrubbed.lock().after = None;
        }
        for problem in &done.problems {
            tracing::error!(file = problem.file, kind = %problem.kind, "a file is not as it was written");
        }
        Ok(done)
    }
}
