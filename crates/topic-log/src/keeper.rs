//! Writes checkpoints and indexes beside the writer, and removes the files that nobody needs.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;
use polder_types::{Error, Result};

use crate::checkpoint::{self, CheckpointJob, Reference};
use crate::disk::{Disk, DiskFile};
use crate::failure::failed;
use crate::index::{Index, Stored};
use crate::segment;
use crate::view::{PartitionView, Published};

/// What the checkpoint on the disk needs.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    pub(crate) tail_segment: u64,
    /// A newer one could not be written.
    pub(crate) is_late: bool,
    pub(crate) references: Vec<Reference>,
}

/// What the writer has done beside itself.
pub(crate) enum Job {
    Checkpoint(CheckpointJob),
    /// The next segment, so that nobody waits for it when its turn comes.
    Segment {
        segment: u64,
        identity: u64,
        bytes: u64,
        made: SyncSender<Made>,
    },
}

pub(crate) type Made = Result<Arc<dyn DiskFile>>;

/// What is still to be written. What fails stays, and goes along with the next one.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) durable: Arc<Mutex<Durable>>,
    pub(crate) indexes: Vec<(u64, Vec<u8>)>,
    pub(crate) settled: Vec<(Arc<PartitionView>, u64, Stored)>,
}

impl Keeper {
    pub(crate) fn new(disk: Arc<dyn Disk>, durable: Arc<Mutex<Durable>>) -> Self {
        Self { disk, durable, indexes: Vec::new(), settled: Vec::new() }
    }

    pub(crate) fn work(&mut self, job: Job) {
        match job {
            Job::Checkpoint(job) => self.handle(job),
            Job::Segment { segment, identity, bytes, made } => {
                // A writer that has ended needs no segment; the next start removes it.
                drop(made.send(segment::create(&*self.disk, segment, identity, bytes)));
            }
        }
    }

    pub(crate) fn handle(&mut self, job: CheckpointJob) {
        let done = job.done;
        self.indexes.extend(job.indexes);
        self.settled.extend(job.settled);
        let written = self.write(&job.bytes);
        if written.is_ok() {
            *self.durable.lock() =
                Durable { tail_segment: job.tail_segment, is_late: false, references: job.references };
            for (partition, segment, stored) in self.settled.drain(..) {
                drop_from_memory(&partition, segment, stored);
            }
        } else {
            self.durable.lock().is_late = true;
        }
        match (done, written) {
            // Whoever asked may be gone.
            (Some(done), written) => drop(done.send(written)),
            (None, Err(error)) => {
                tracing::warn!(%error, "a checkpoint of the log was not written; a start takes longer")
            }
            (None, Ok(())) => {}
        }
    }

    fn write(&mut self, checkpoint: &[u8]) -> Result<()> {
        while let Some((number, bytes)) = self.indexes.first() {
            let name = segment::index_name(*number);
            let written = (|| {
                let file = self.disk.create(&name)?;
                file.write_all_at(bytes, 0)?;
                file.sync()
            })();
            written.map_err(|error| failed("writing", &self.disk.path_of(&name), error))?;
            self.indexes.remove(0);
        }
        polder_runtime::fault::point("topic-log-before-checkpoint");
        segment::replace(&*self.disk, checkpoint::NAME, checkpoint)
    }
}

fn drop_from_memory(partition: &PartitionView, segment: u64, stored: Stored) {
    let mut view = partition.view.write();
    for extent in view.extents.iter_mut().filter(|extent| extent.segment == segment) {
        extent.index = Index::Stored(stored);
    }
}

/// The names of segments and indexes that neither readers nor the checkpoint need. They may go once all is durable that was
/// shown by now.
pub(crate) fn unused(disk: &dyn Disk, published: &Published, durable: &Mutex<Durable>) -> Result<Vec<String>> {
    let names = disk.list().map_err(|error| failed("listing", &disk.path_of(""), error))?;
    let mut needed: HashSet<u64> = HashSet::new();
    let tail = {
        let durable = durable.lock();
        let live = |reference: &&Reference| reference.next > reference.partition.bounds().log_start_offset;
        needed.extend(durable.references.iter().filter(live).map(|reference| reference.segment));
        durable.tail_segment
    };
    for (_, partition) in published.partitions() {
        needed.extend(partition.view.read().extents.iter().map(|extent| extent.segment));
    }
    let is_unused = |name: &String| {
        segment::number_of(name).is_some_and(|number| {
            let old = number & segment::REWRITTEN != 0 || number < tail;
            old && !needed.contains(&number)
        })
    };
    Ok(names.into_iter().filter(is_unused).collect())
}

/// Removes files.
pub(crate) fn remove(disk: &dyn Disk, names: &[String]) -> Result<()> {
    let remove = |name: &String| disk.remove(name).map_err(|error| failed("removing", &disk.path_of(name), error));
    names.iter().try_for_each(remove)
}

/// An error for who asks a writer that has ended.
pub(crate) fn closed() -> Error {
    Error::new(polder_types::ErrorKind::Unavailable, "the log is closed")
}
