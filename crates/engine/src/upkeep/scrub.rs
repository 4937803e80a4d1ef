//! The scrub as a job: every file is read again from time to time, so that a bit that has flipped is found while there is
//! still a backup.

use std::sync::Arc;

use polder_capability::{JobKind, JobRun};
use polder_types::{Error, ErrorKind, Result};
use serde_json::Value;

use super::fields;
use crate::engine::Engine;

/// What one run reads unless the payload says otherwise.
const BYTES: u64 = 4 << 30;

/// Has the metastore look at itself, and reads on where the last run ended, about `{"bytes": n}` of files. A run that meets a
/// file that is not as it was written, or a harmed metastore, fails, and names it.
pub struct ScrubKind {
    engine: Arc<Engine>,
}

impl ScrubKind {
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

fn budget(payload: &Value) -> Result<u64> {
    let Some(bytes) = fields("scrub", payload, &["bytes"])?.get("bytes") else { return Ok(BYTES) };
    bytes.as_u64().filter(|bytes| *bytes > 0).ok_or_else(|| Error::invalid("`bytes` must be a whole number above 0"))
}

#[async_trait::async_trait]
impl JobKind for ScrubKind {
    fn name(&self) -> &'static str {
        "scrub"
    }

    fn check(&self, payload: &Value) -> Result<()> {
        budget(payload).map(drop)
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        let metastore = self.engine.lake.metastore();
        let found = tokio::select! {
            found = metastore.integrity() => found?,
            () = run.stop.cancelled() => return Err(Error::cancelled()),
        };
        let of_metastore: Vec<String> = found.iter().map(|words| format!("{}: {words}", metastore.shown())).collect();
        for problem in &of_metastore {
            tracing::error!(problem, "the metastore is harmed");
            run.log.line(problem.clone());
        }
        let scrubbed = tokio::select! {
            scrubbed = self.engine.lake.scrub(budget(&run.payload)?) => scrubbed?,
            () = run.stop.cancelled() => return Err(Error::cancelled()),
        };
        for problem in &scrubbed.problems {
            run.log.line(format!("{}: {}", problem.file, problem.kind));
        }
        let rest = if scrubbed.around { "all have been read once more" } else { "the next run reads on from here" };
        run.log.line(format!("{} files, {} bytes; {rest}", scrubbed.files, scrubbed.bytes));
        let beside = tokio::select! {
            checked = self.engine.check_beside() => checked?,
            () = run.stop.cancelled() => return Err(Error::cancelled()),
        };
        for problem in &beside.problems {
            run.log.line(format!("{}: {}", problem.file, problem.problem));
        }
        if beside.bytes > 0 {
            run.log.line(format!("{} bytes of topics", beside.bytes));
        }
        let of_tables = scrubbed.problems.iter().map(|one| format!("{}: {}", one.file, one.kind));
        let of_others = beside.problems.iter().map(|one| format!("{}: {}", one.file, one.problem));
        let problems: Vec<String> = of_metastore.into_iter().chain(of_tables).chain(of_others).collect();
        let Some(first) = problems.first() else { return Ok(()) };
        let more = problems.len() - 1;
        let others = if more == 0 { String::new() } else { format!(", and {more} more (see the log of this run)") };
        Err(Error::new(ErrorKind::Corrupt, format!("{first}{others}"))
            .with_hint("restore a backup, or the file; `polder check` looks at everything"))
    }
}
