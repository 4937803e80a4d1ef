//! Writes checkpoints and indexes beside the writer, and removes the files that nobody needs.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use polder_types::{Error, Result};

use crate::checkpoint::{self, CheckpointJob, Reference};
use crate::disk::{Disk, DiskFile};
use crate::failure::failed;
use crate::index::{Index, Stored};
use crate::segment;
use crate::turn::Turn;
use crate::view::{PartitionView, Published};
use crate::writer::Ground;

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
        /// Acknowledgements wait for syncs of it.
        synced: bool,
        made: SyncSender<Made>,
    },
}

pub(crate) type Made = Result<Ahead>;

/// A segment whose turn has not come yet.
#[derive(Debug)]
pub(crate) struct Ahead {
    file: Arc<dyn DiskFile>,
    /// Whether it has, or will not any more.
    claimed: Arc<Mutex<bool>>,
}

impl Ahead {
    fn new(file: Arc<dyn DiskFile>) -> Self {
        Self { file, claimed: Arc::default() }
    }

    /// The file, which from here on nobody else writes to.
    pub(crate) fn claim(self) -> Arc<dyn DiskFile> {
        Arc::clone(&self.file)
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        *self.claimed.lock() = true;
    }
}

/// Written and synced at once: a sync of the writer's that comes meanwhile waits for no more.
const ZEROS_BYTES: u64 = 256 << 10;

/// Writes zeros where there is only room, until the segment's turn comes. Where something was written before, a sync is the disk's
/// work alone; where nothing was, it changes the file system's journal too, which takes some times as long, and waits for a
/// thread of the system's that may wait for a processor.
fn fill(file: &dyn DiskFile, claimed: &Mutex<bool>, turn: &Turn, bytes: u64) -> std::io::Result<()> {
    let zeros = vec![0_u8; usize::try_from(ZEROS_BYTES).unwrap_or_default()];
    let mut position = segment::HEADER_BYTES;
    while position < bytes {
        turn.wait(Duration::ZERO);
        let begun = Instant::now();
        let size = ZEROS_BYTES.min(bytes - position);
        {
            let claimed = claimed.lock();
            if *claimed {
                return Ok(());
            }
            file.write_all_at(zeros.get(..usize::try_from(size).unwrap_or_default()).unwrap_or_default(), position)?;
            file.sync()?;
        }
        position += size;
        // Those who wait for their records come first.
        thread::sleep(begun.elapsed());
    }
    Ok(())
}

/// What is still to be written. What fails stays, and goes along with the next one.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) disk: Arc<dyn Disk>,
    turn: Arc<Turn>,
    pub(crate) durable: Arc<Mutex<Durable>>,
    pub(crate) indexes: Vec<(u64, Vec<u8>)>,
    pub(crate) settled: Vec<(Arc<PartitionView>, u64, Stored)>,
}

impl Keeper {
    pub(crate) fn new(ground: &Ground, durable: Arc<Mutex<Durable>>) -> Self {
        let (disk, turn) = (Arc::clone(&ground.disk), Arc::clone(&ground.turn));
        Self { disk, turn, durable, indexes: Vec::new(), settled: Vec::new() }
    }

    pub(crate) fn work(&mut self, job: Job) {
        match job {
            Job::Checkpoint(job) => self.handle(job),
            Job::Segment { segment, identity, bytes, synced, made } => {
                let created = segment::create(&*self.disk, segment, identity, bytes).map(Ahead::new);
                let file = created.as_ref().ok().map(|ahead| (Arc::clone(&ahead.file), Arc::clone(&ahead.claimed)));
                // A writer that has ended needs no segment; the next start removes it.
                let wanted = made.send(created).is_ok() && synced;
                if let Some((file, claimed)) = file.filter(|_| wanted)
                    && let Err(error) = fill(&*file, &claimed, &self.turn, bytes)
                {
                    tracing::warn!(%error, segment, "the next segment could not be filled with zeros; its syncs take longer");
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::simulated::SimulatedDisk;

    #[test]
    fn a_segment_is_filled_until_its_turn_comes() {
        let disk = SimulatedDisk::default();
        let bytes = 3 * ZEROS_BYTES + 4096;
        let ahead = Ahead::new(segment::create(&disk, 7, 5, bytes).unwrap());
        let claimed = Arc::clone(&ahead.claimed);
        fill(&*ahead.file, &claimed, &Turn::default(), bytes).unwrap();
        assert_eq!(disk.content(&segment::file_name(7)).len() as u64, bytes);
        segment::check(&disk, &*ahead.file, 7, 5).unwrap();

        let file = ahead.claim();
        file.write_all_at(b"a frame", segment::HEADER_BYTES).unwrap();
        fill(&*file, &claimed, &Turn::default(), bytes).unwrap();
        let mut found = [0; 7];
        file.read_exact_at(&mut found, segment::HEADER_BYTES).unwrap();
        assert_eq!(&found, b"a frame");
    }

    #[test]
    fn nobody_fills_what_nobody_wants() {
        let disk = SimulatedDisk::default();
        let ahead = Ahead::new(segment::create(&disk, 7, 5, ZEROS_BYTES).unwrap());
        let (file, claimed) = (Arc::clone(&ahead.file), Arc::clone(&ahead.claimed));
        drop(ahead);
        // It would fail if it wrote.
        disk.fail_write(0);
        fill(&*file, &claimed, &Turn::default(), ZEROS_BYTES).unwrap();
    }
}
