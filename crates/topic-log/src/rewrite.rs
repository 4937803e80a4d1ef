//! Sealed segments, brought together by partition once they have left the hot window; and compacted, where a topic asks
//! for it. A round reads some segments and writes one or more per topic, which then stand in their place.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use polder_types::{ErrorKind, Result};

use crate::compact::{Keys, Rule};
use crate::failure::failed;
use crate::index::{Extent, Index, IndexEntry, Stored};
use crate::read::{Piece, Reader, Trouble};
use crate::records::ReadError;
use crate::segment::{self, REWRITTEN};
use crate::topic::Topic;
use crate::view::{Aborted, PartitionView, View};

mod output;

use output::Output;

/// Shared segments that one round takes.
const SEGMENTS_MAX: usize = 8;
/// Fewer are not worth a round.
const SEGMENTS_MIN: usize = 4;
/// A round that has written so much ends behind the stretch that it is at: retention, removal and backups wait for it, and the next
/// one goes on.
const ROUND_BYTES: u64 = if cfg!(test) { 48 << 10 } else { 128 << 20 };
/// How many times as long as its writing takes a round leaves the disk to those who wait for it: while there is little to do,
/// while more than two rounds wait, and while more than four do.
const RESTS: [u32; 3] = [3, 1, 0];

/// What rounds know of the ones before them.
#[derive(Debug, Default)]
pub(crate) struct Rewriting {
    /// The next number of a rewritten segment, once that is known.
    next_number: Mutex<u64>,
    /// Segments that were found damaged: what is in them stays as it is, so that the others can be rewritten.
    damaged: Mutex<BTreeSet<u64>>,
}

impl Rewriting {
    fn is_damaged(&self, segment: u64) -> bool {
        self.damaged.lock().contains(&segment)
    }

    pub(crate) fn note_damage(&self, segment: u64) {
        self.damaged.lock().insert(segment);
    }

    /// It has been read whole: somebody has brought it back.
    pub(crate) fn note_sound(&self, segment: u64) {
        self.damaged.lock().remove(&segment);
    }

    /// Segments that were found damaged since the log was opened, and not whole after that.
    pub(crate) fn damaged(&self) -> Vec<u64> {
        self.damaged.lock().iter().copied().collect()
    }

    /// A number for a rewritten segment that none has, nor had: somebody may still read by the index of one that is gone.
    fn number(&self, reader: &Reader) -> Result<u64> {
        let mut next = self.next_number.lock();
        if *next == 0 {
            let disk = &reader.ground.disk;
            let names = disk.list().map_err(|error| failed("listing", &disk.path_of(""), error))?;
            let numbers = names.iter().filter_map(|name| segment::number_of(name));
            *next = numbers.filter(|number| number & REWRITTEN != 0).max().map_or(REWRITTEN | 1, |last| last + 2);
        }
        let number = *next;
        *next += 1;
        Ok(number)
    }

    /// Leaves out a number, so that those of one round follow each other, and those of two do not.
    fn begin_round(&self) {
        let mut next = self.next_number.lock();
        *next += u64::from(*next != 0);
    }
}

/// Up to where the stretches of a run have been compacted together: those of the round that made the first. What was compacted by
/// itself, while something before it was damaged, has hidden nothing in that yet.
fn clean_below(run: &[Extent]) -> i64 {
    let mut last: Option<u64> = None;
    let is_new = |extent: &&Extent| {
        let follows = last.is_none_or(|last| extent.segment == last || extent.segment == last + 1);
        last = Some(extent.segment);
        extent.segment & REWRITTEN == 0 || !follows
    };
    run.iter().find(is_new).map_or(0, |extent| extent.base)
}

/// New stretches in place of old ones.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    pub(crate) partitions: Vec<Replacement>,
}

/// One partition's part.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) partition: Arc<PartitionView>,
    /// Segments whose stretches go.
    pub(crate) old: BTreeSet<u64>,
    /// In the order of their offsets, indexes in their files.
    pub(crate) new: Vec<Extent>,
}

impl Rewritten {
    /// Shows the new stretches. Those of records that were deleted meanwhile are left out.
    pub(crate) fn show(self) {
        for Replacement { partition, old, new } in self.partitions {
            let mut view = partition.view.write();
            let start = view.bounds.log_start_offset;
            view.extents.retain(|extent| !old.contains(&extent.segment));
            view.extents.extend(new.into_iter().filter(|extent| extent.next > start));
            view.extents.sort_by_key(|extent| extent.base);
        }
    }
}

/// What one partition gives to a round.
struct Part {
    partition: Arc<PartitionView>,
    extents: Vec<Extent>,
    aborted: Vec<Aborted>,
    compact: bool,
    /// There are records before it that stay where they are: what a tombstone hides may be among them.
    hides_others: bool,
}

impl Part {
    /// The oldest shared segment that it is in.
    fn oldest(&self) -> u64 {
        // Those that are rewritten have greater numbers.
        self.extents.iter().map(|extent| extent.segment).min().unwrap_or(u64::MAX)
    }
}

/// Does one round, if one is due. Segments before `sealed_before` are ended, with their indexes written. Blocks.
pub(crate) fn round(reader: &Reader, sealed_before: u64, now: i64) -> Result<Option<Rewritten>> {
    let partitions = reader.ground.published.partitions();
    let until = Until { sealed_before, now };
    let (cold, waiting) = cold_segments(reader, &partitions, until);
    let mut topics: Vec<(Arc<Topic>, Vec<Part>)> = Vec::new();
    for (topic, partition) in partitions {
        let Some(part) = part_of(reader, &topic, partition, &cold, until) else { continue };
        match topics.last_mut() {
            Some((last, parts)) if last.id == topic.id => parts.push(part),
            _ => topics.push((topic, vec![part])),
        }
    }
    if topics.is_empty() {
        return Ok(None);
    }
    // Who has waited for longest comes first, as a round may end before it has come to all.
    for (_, parts) in &mut topics {
        parts.sort_by_key(Part::oldest);
    }
    topics.sort_by_key(|(_, parts)| parts.first().map(Part::oldest));
    reader.rewriting.begin_round();
    let rests = RESTS.get(waiting / (2 * SEGMENTS_MAX)).copied().unwrap_or_default();
    let mut output = Output::new(reader, rests);
    let rewritten = rewrite_all(reader, topics, now, &mut output);
    if rewritten.is_err() {
        output.discard();
    }
    rewritten.map(Some)
}

fn rewrite_all(
    reader: &Reader,
    topics: Vec<(Arc<Topic>, Vec<Part>)>,
    now: i64,
    output: &mut Output<'_>,
) -> Result<Rewritten> {
    let mut rewritten = Rewritten::default();
    for (topic, parts) in topics {
        output.begin_topic(topic.settings.segment_bytes);
        for part in parts {
            if output.bytes() >= ROUND_BYTES {
                break;
            }
            let replacement = rewrite(reader, &topic, part, now, output).map_err(|error| match error.into_error() {
                ReadError::Failed(error) => error,
                other => polder_types::Error::internal(other.to_string()),
            })?;
            rewritten.partitions.push(replacement);
        }
        // A topic's records go together, and so do its files.
        output.close_file()?;
    }
    Ok(rewritten)
}

/// The oldest shared segments outside of the hot window, and how many there are in all.
fn cold_segments(
    reader: &Reader,
    partitions: &[(Arc<Topic>, Arc<PartitionView>)],
    until: Until,
) -> (BTreeSet<u64>, usize) {
    let mut shared = BTreeSet::new();
    for (topic, partition) in partitions {
        let view = partition.view.read();
        let of_it = until.reached(topic, &view).iter().map(|extent| extent.segment);
        shared.extend(of_it.filter(|segment| segment & REWRITTEN == 0));
    }
    let options = &reader.ground.options;
    let hot = options.hot_bytes / u64::from(options.segment_bytes).max(1);
    shared.retain(|one| !reader.rewriting.is_damaged(*one) && one.saturating_add(hot) < until.sealed_before);
    let waiting = shared.len();
    if waiting < SEGMENTS_MIN {
        return (BTreeSet::new(), waiting);
    }
    (shared.into_iter().take(SEGMENTS_MAX).collect(), waiting)
}

/// What a round may take: segments before one, and records that are so old.
#[derive(Clone, Copy)]
struct Until {
    sealed_before: u64,
    /// Milliseconds since 1970.
    now: i64,
}

impl Until {
    /// The stretches of a partition that a round may reach. What is too young to be compacted, or in an open transaction, waits with
    /// what is behind it where it is, and holds up nothing else.
    fn reached<'a>(self, topic: &Topic, view: &'a View) -> &'a [Extent] {
        let extents = view.extents.as_slice();
        if !topic.settings.compact {
            return extents;
        }
        let lag = topic.settings.min_compaction_lag_ms;
        let may_go = |extent: &&Extent| {
            (extent.segment & REWRITTEN != 0 || extent.segment < self.sealed_before)
                && (lag == 0 || extent.kept_since <= self.now.saturating_sub(lag))
                && extent.next <= view.bounds.last_stable_offset
        };
        extents.get(..extents.iter().take_while(may_go).count()).unwrap_or_default()
    }
}

/// Whether a run of a compacted partition is to be compacted: it is in the way, or half of what is there is new, so that as much is
/// read again as came.
fn is_due(run: &[Extent], cold: &BTreeSet<u64>) -> bool {
    let bytes = |clean: bool| -> u64 {
        let of = |extent: &&Extent| (extent.segment & REWRITTEN != 0) == clean;
        run.iter().filter(of).map(|extent| extent.bytes).sum()
    };
    let is_cold = run.iter().any(|extent| cold.contains(&extent.segment));
    bytes(false) > 0 && (is_cold || bytes(false) >= bytes(true))
}

fn part_of(
    reader: &Reader,
    topic: &Topic,
    partition: Arc<PartitionView>,
    cold: &BTreeSet<u64>,
    until: Until,
) -> Option<Part> {
    let view = partition.view.read();
    // One run of them: what stays where it is in between, as it is damaged, keeps its place between two stretches. The rest has
    // its turn in the next round.
    let mut extents = if topic.settings.compact {
        let mut runs = until.reached(topic, &view).split(|extent| reader.rewriting.is_damaged(extent.segment));
        runs.find(|run| is_due(run, cold))?.to_vec()
    } else {
        let is_cold = |extent: &&Extent| cold.contains(&extent.segment);
        view.extents.iter().skip_while(|extent| !is_cold(extent)).take_while(is_cold).cloned().collect()
    };
    // Memory gives no place in a file: its index is not written yet.
    let written = extents.iter().take_while(|extent| matches!(extent.index, Index::Stored(_))).count();
    extents.truncate(written);
    let aborted = view.aborted.clone();
    let compact = topic.settings.compact;
    let first = |extents: &[Extent]| extents.first().map(|extent| extent.base);
    let hides_others = first(&extents) != first(&view.extents);
    drop(view);
    (!extents.is_empty()).then_some(Part { partition, extents, aborted, compact, hides_others })
}

fn rewrite(
    reader: &Reader,
    topic: &Topic,
    part: Part,
    now: i64,
    output: &mut Output<'_>,
) -> Result<Replacement, Trouble> {
    let Part { partition, mut extents, aborted, compact, hides_others } = part;
    let mut keys = Keys::default();
    let clean_below = clean_below(&extents);
    if compact {
        let mut known = 0;
        for extent in &extents {
            if keys.is_full() {
                break;
            }
            known += 1;
            if extent.base >= clean_below {
                each_frame(reader, &partition, extent, &mut |payload| keys.learn(&payload, &aborted))?;
            }
        }
        // More keys than are remembered wait for the next round.
        extents.truncate(known);
    }
    let mut end = extents.last().map_or(0, |extent| extent.next);
    let seen = (clean_below, now.saturating_sub(topic.settings.delete_retention_ms));
    let tombstones = (!hides_others).then_some(seen);
    let rule = Rule { keys: &keys, aborted: &aborted, tombstones, last_offset: end - 1 };
    output.begin_partition(&partition, &extents);
    let mut done = 0;
    for extent in &extents {
        // What is compacted is read from its beginning each time, and would never come to its end.
        if !compact && output.bytes() >= ROUND_BYTES {
            break;
        }
        let mut trouble = Ok(());
        each_frame(reader, &partition, extent, &mut |payload| {
            let kept = if compact { Bytes::from(rule.keep(&payload)) } else { payload };
            if trouble.is_ok() && !kept.is_empty() {
                trouble = output.add(&kept);
            }
        })?;
        trouble.map_err(|error| Trouble::Read(error.into()))?;
        (done, end) = (done + 1, extent.next);
    }
    extents.truncate(done);
    let old = extents.iter().map(|extent| extent.segment).collect();
    let base = extents.first().map_or(0, |extent| extent.base);
    let new = output.end_partition(base, end);
    Ok(Replacement { partition, old, new })
}

/// Gives every frame of a stretch, checked.
fn each_frame(
    reader: &Reader,
    partition: &PartitionView,
    extent: &Extent,
    give: &mut dyn FnMut(Bytes),
) -> Result<(), Trouble> {
    let Index::Stored(stored) = &extent.index else { return Ok(()) };
    let read = each_frame_of(reader, partition, extent, *stored, give);
    if let Err(Trouble::Read(ReadError::Failed(error))) = &read
        && error.kind() == ErrorKind::Corrupt
    {
        reader.rewriting.note_damage(extent.segment);
        tracing::error!(%error, "a segment of the log is damaged; it stays as it is, and is left out of what is rewritten");
    }
    read
}

fn each_frame_of(
    reader: &Reader,
    partition: &PartitionView,
    extent: &Extent,
    stored: Stored,
    give: &mut dyn FnMut(Bytes),
) -> Result<(), Trouble> {
    let entries: Arc<Vec<IndexEntry>> = reader.index(partition, extent.segment, stored)?;
    for entry in entries.chunks(256) {
        let pieces: Vec<Piece> = entry.iter().map(|entry| Piece { segment: extent.segment, entry: *entry }).collect();
        reader.payloads(partition, &pieces, &mut |payload| {
            give(payload);
            true
        })?;
    }
    Ok(())
}
