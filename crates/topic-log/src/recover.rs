//! Opening: the newest checkpoint, and every whole append behind it.
//!
//! What is not whole is damage or a torn end. A frame tells up to where the log was durable when it was written, a checkpoint
//! does, and so does what is written down at a close and whenever the log has been idle for a moment (see [`crate::end`]). If one
//! of them tells so of something that is not whole, then something acknowledged is damaged: the log does not open, and nothing
//! is cut. Behind all that only a crash in the midst of writing leaves something that is not whole. It is cut off, and told: the
//! last group of a log that was killed while it was busy is what nobody vouches for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use polder_types::{Error, ErrorKind, Result};

use crate::batch::batches;
use crate::checkpoint::{self, Loaded, Tail};
use crate::disk::DiskFile;
use crate::end::DurableEnd;
use crate::fact;
use crate::failure::{RESTORE_ALL, damaged, failed, missing, unread};
use crate::frame::{FrameHeader, Kind, frame_bytes};
use crate::group::Group;
use crate::index::{Extent, IndexEntry};
use crate::keeper::Durable;
use crate::options::Recovered;
use crate::scan::Scan;
use crate::segment;
use crate::state::{Location, State};
use crate::writer::{Active, Ground, Writer};

/// Opens the log on a disk. The writer's `keeper` is still to be set.
pub(crate) fn open(ground: Ground) -> Result<(Writer, Durable, Recovered)> {
    let mut recovered = Recovered::default();
    let disk = Arc::clone(&ground.disk);
    let names = list(&ground)?;
    let loaded = match names.contains(checkpoint::NAME) {
        true => load(&ground)?,
        false => begin(&ground, &names)?,
    };
    // What a first start had left of its checkpoint is gone by now.
    let names = list(&ground)?;
    let Loaded { tail, state, references } = loaded;
    let needed: HashSet<u64> = references.iter().map(|reference| reference.segment).collect();
    for name in &names {
        let unused = match segment::number_of(name) {
            Some(number) => !needed.contains(&number) && (number & segment::REWRITTEN != 0 || number < tail.segment),
            None => name.ends_with(".new"),
        };
        if unused {
            disk.remove(name).map_err(|error| failed("removing", &disk.path_of(name), error))?;
            recovered.removed_files += 1;
        }
    }
    let now = ground.clock.now().timestamp_millis();
    let end = DurableEnd::read(&*disk, tail.identity);
    let (said, vouched) = (end.sequence(), tail.sequence.max(end.sequence()));
    let mut replay = Replay {
        ground,
        state,
        tail,
        end,
        said,
        vouched,
        next_sequence: tail.first_sequence,
        unproven: VecDeque::new(),
        now,
        has_no_room: false,
        recovered,
    };
    let active = replay.run()?;
    let Replay { ground, state, end, next_sequence, has_no_room, mut recovered, .. } = replay;
    for reference in &references {
        let name = segment::file_name(reference.segment);
        let live = reference.next > reference.partition.bounds().log_start_offset;
        if live && !names.contains(&name) {
            return Err(missing(&disk.path_of(&name)));
        }
    }
    recovered.topics = state.topics.len();
    let durable = Durable { tail_segment: tail.segment, is_late: false, references };
    let position = active.position;
    let writer = Writer {
        ground,
        identity: tail.identity,
        state,
        active,
        next_sequence,
        synced: next_sequence - 1,
        synced_position: position,
        said: end.sequence(),
        end,
        keeper: Box::new(drop),
        ahead: None,
        next_segment: None,
        group: Group::default(),
        chunks: Vec::new(),
        expected: 0,
        answers: Vec::new(),
        group_sequence: next_sequence,
        group_position: position,
        // The next append asks for the room first, and says so if there is none.
        torn: has_no_room,
        unsynced: None,
    };
    Ok((writer, durable, recovered))
}

fn list(ground: &Ground) -> Result<HashSet<String>> {
    let names = ground.disk.list().map_err(|error| failed("listing", &ground.disk.path_of(""), error))?;
    Ok(names.into_iter().collect())
}

fn read_all(file: &dyn DiskFile) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.bytes()?).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn load(ground: &Ground) -> Result<Loaded> {
    let name = ground.disk.path_of(checkpoint::NAME);
    let bytes = ground.disk.open(checkpoint::NAME).and_then(|file| read_all(&*file));
    let bytes = bytes.map_err(|error| failed("reading", &name, error))?;
    checkpoint::load(&bytes, &ground.published, ground.clock.now().timestamp_millis())
        .ok_or_else(|| damaged(&name, 0, "its checksum is another one").with_hint(RESTORE_ALL))
}

/// A new log. Its first checkpoint comes last: without one, nothing was ever acknowledged.
fn begin(ground: &Ground, names: &HashSet<String>) -> Result<Loaded> {
    let others = names.iter().filter_map(|name| segment::number_of(name)).any(|number| number != 1);
    let identity = ground.options.identity;
    let first = segment::file_name(1);
    let mut written = false;
    if names.contains(&first) {
        let found = ground.disk.open(&first).and_then(|file| {
            if file.bytes()? <= segment::HEADER_BYTES {
                return Ok(false);
            }
            let mut scan = Scan::new(file, identity, 1)?;
            Ok(scan.search(segment::HEADER_BYTES, |_| true)?.1.is_some())
        });
        written = found.map_err(|error| failed("reading", &ground.disk.path_of(&first), error))?;
    }
    if others || written {
        let name = ground.disk.path_of(checkpoint::NAME);
        return Err(
            Error::new(ErrorKind::Corrupt, format!("{name} is missing, and there are segments")).with_hint(RESTORE_ALL)
        );
    }
    segment::create(&*ground.disk, 1, identity, ground.options.room_of(1))?;
    let tail = Tail { identity, segment: 1, first_sequence: 1, sequence: 0 };
    let state = State::default();
    let job = checkpoint::make(&state, &ground.published, tail);
    segment::replace(&*ground.disk, checkpoint::NAME, &job.bytes)?;
    Ok(Loaded { tail, state, references: Vec::new() })
}

struct Replay {
    ground: Ground,
    state: State,
    tail: Tail,
    end: DurableEnd,
    /// The last append that was written down as durable at a close, by an idle log, or with a copy.
    said: u64,
    /// The last append that was durable once, for all that is known outside of the frames.
    vouched: u64,
    next_sequence: u64,
    /// Appends of the segment that is read which nobody has vouched for so far: their numbers, and where they begin.
    unproven: VecDeque<(u64, u64)>,
    now: i64,
    /// The last segment could not be given its whole room.
    has_no_room: bool,
    recovered: Recovered,
}

/// How a segment ends.
enum End {
    /// Behind its seal.
    Sealed(u64),
    /// The first append that is not whole begins here.
    Open(u64),
}

impl Replay {
    fn run(&mut self) -> Result<Active> {
        let mut number = self.tail.segment;
        loop {
            let first_sequence = self.next_sequence;
            let file = self.open_segment(number)?;
            let scan = Scan::new(Arc::clone(&file), self.tail.identity, number);
            let mut scan = scan.map_err(|error| failed("reading", &self.path(number), error))?;
            match self.replay(&mut scan, number)? {
                End::Sealed(position) => {
                    // What is behind it will vouch for it.
                    self.write_again(&mut scan, &*file, number, position)?;
                    file.sync().map_err(|error| failed("syncing", &self.path(number), error))?;
                    number += 1;
                }
                End::Open(position) => {
                    self.cut(&mut scan, &*file, number, position)?;
                    return Ok(Active { segment: number, file, position, first_sequence });
                }
            }
        }
    }

    fn path(&self, number: u64) -> String {
        self.ground.disk.path_of(&segment::file_name(number))
    }

    /// A segment of the tail. One that was to follow a sealed one may not have been made.
    fn open_segment(&self, number: u64) -> Result<Arc<dyn DiskFile>> {
        let disk = &*self.ground.disk;
        match disk.open(&segment::file_name(number)) {
            Ok(file) => {
                segment::check(disk, &*file, number, self.tail.identity)?;
                Ok(file)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && number > self.tail.segment => {
                if self.next_sequence <= self.vouched {
                    return Err(missing(&self.path(number)));
                }
                let room = self.ground.options.room_of(number);
                segment::create(disk, number, self.tail.identity, room)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(&self.path(number))),
            Err(error) => Err(failed("opening", &self.path(number), error)),
        }
    }

    /// Takes every whole append of a segment.
    fn replay(&mut self, scan: &mut Scan, segment: u64) -> Result<End> {
        let path = self.path(segment);
        let mut position = segment::HEADER_BYTES;
        // Frames of an append whose last one has not come.
        let mut begun: Vec<(FrameHeader, u64, Vec<u8>)> = Vec::new();
        let mut append_at = position;
        self.unproven.clear();
        loop {
            let found = scan.frame(position).map_err(|error| unread(&path, position, error))?;
            let Some((header, payload)) = found else { return Ok(End::Open(append_at)) };
            if header.kind == Kind::Seal {
                let whole = begun.is_empty() && header.sequence + 1 == self.next_sequence;
                if !whole {
                    return Ok(End::Open(append_at));
                }
                // Nobody vouches for the seal itself.
                self.unproven.push_back((self.next_sequence, position));
                return Ok(End::Sealed(position + frame_bytes(payload.len()) as u64));
            }
            if header.sequence != self.next_sequence {
                return Ok(End::Open(append_at));
            }
            let end = position + frame_bytes(payload.len()) as u64;
            if header.last {
                for (header, position, payload) in begun.drain(..) {
                    self.take(&header, &payload, segment, position)?;
                }
                self.take(&header, payload, segment, position)?;
                let effects = self.state.settle();
                self.ground.published.publish(effects);
                self.recovered.replayed_appends += 1;
                self.recovered.replayed_bytes += end - append_at;
                self.note_proof(&header, append_at);
                self.next_sequence += 1;
                append_at = end;
            } else {
                begun.push((header, position, payload.to_vec()));
            }
            position = end;
        }
    }

    fn take(&mut self, header: &FrameHeader, payload: &[u8], segment: u64, position: u64) -> Result<()> {
        let at = Location { segment, position: u32::try_from(position).unwrap_or(u32::MAX) };
        if header.sequence <= self.tail.sequence {
            self.index(header, payload, at);
            return Ok(());
        }
        let taken = fact::replay(&mut self.state, header, payload, at, self.now);
        taken.ok_or_else(|| damaged(&self.path(segment), position, "a whole frame that says nothing"))
    }

    /// An append may be vouched for, and vouches for those before it.
    fn note_proof(&mut self, header: &FrameHeader, append_at: u64) {
        let proven = self.vouched.max(header.synced);
        if header.sequence > proven {
            self.unproven.push_back((header.sequence, append_at));
        }
        while self.unproven.front().is_some_and(|(sequence, _)| *sequence <= proven) {
            self.unproven.pop_front();
        }
    }

    /// Writes once more what nobody vouches for, up to `end`. It may be whole in the system's memory alone: not written yet, or
    /// given up by a sync that failed before this start, of which another sync says nothing any more.
    fn write_again(&self, scan: &mut Scan, file: &dyn DiskFile, number: u64, end: u64) -> Result<()> {
        let Some((_, mut position)) = self.unproven.front().copied() else { return Ok(()) };
        let path = self.path(number);
        while position < end {
            let frame = scan.whole(position).map_err(|error| failed("reading", &path, error))?;
            let (_, bytes) = frame.ok_or_else(|| damaged(&path, position, "it is read in one way and in another"))?;
            file.write_all_at(bytes, position).map_err(|error| failed("writing", &path, error))?;
            position += bytes.len() as u64;
        }
        Ok(())
    }

    /// The checkpoint knows what this frame did. Only where it stands is not known.
    fn index(&self, header: &FrameHeader, payload: &[u8], at: Location) {
        let Some(head) = self.state.head(header.topic, header.partition) else { return };
        let headers = batches(payload).map(|(header, _)| header);
        let last = headers.map(|header| (header.last_offset(), header.max_timestamp));
        let Some((last, max_timestamp)) = last.reduce(|one, two| (two.0, one.1.max(two.1))) else { return };
        if header.kind == Kind::Batch && last >= head.log_start {
            let entry = IndexEntry {
                base_offset: header.offset,
                position: at.position,
                payload_bytes: header.payload_bytes,
                max_timestamp,
            };
            Extent::push(&mut head.view.view.write().extents, at.segment, entry, last + 1, self.now);
        }
    }

    /// Cuts off what is not whole, having seen that nobody vouches for it or for something behind it.
    fn cut(&mut self, scan: &mut Scan, file: &dyn DiskFile, number: u64, position: u64) -> Result<()> {
        let path = self.path(number);
        let lost = self.next_sequence;
        let reading = |error| unread(&path, position, error);
        let (proof, last_set) = scan.search(position, |later| later.synced >= lost).map_err(reading)?;
        if proof.is_some() || lost <= self.vouched {
            return Err(damaged(&path, position, "records were acknowledged here that are not whole any more"));
        }
        let later: Vec<u64> = list(&self.ground)?
            .iter()
            .filter(|name| name.ends_with(".segment"))
            .filter_map(|name| segment::number_of(name))
            .filter(|other| other & segment::REWRITTEN == 0 && *other > number)
            .collect();
        for other in later {
            let name = segment::file_name(other);
            let found =
                self.ground.disk.open(&name).and_then(|file| {
                    Scan::new(file, self.tail.identity, other)?.search(segment::HEADER_BYTES, |_| true)
                });
            if found.map_err(|error| failed("reading", &self.path(other), error))?.0.is_some() {
                return Err(damaged(&path, position, "it ends before its end, and another segment comes after it"));
            }
            let removed = self.ground.disk.remove(&name);
            removed.map_err(|error| failed("removing", &self.path(other), error))?;
            self.recovered.removed_files += 1;
        }
        let torn = last_set.map_or(0, |last| last + 1 - position);
        let cutting = |error| failed("cutting", &path, error);
        // A file has its whole room before anything is written to it: no write that was killed makes it shorter. The room goes when
        // the segment is ended, behind a sync of all of it.
        let room = self.ground.options.room_of(number);
        let is_short = scan.file_bytes < room;
        // A copy of the log ends with its last append, which is written down beside it. So may one that found no room for more.
        if is_short && (torn > 0 || self.said + 1 != lost) {
            self.recovered.cut_short_at = Some((path.clone(), scan.file_bytes));
        }
        self.write_again(scan, file, number, position)?;
        if torn > 0 {
            self.recovered.torn_bytes = torn;
            self.recovered.torn_is_unfinished =
                !is_short && scan.is_unfinished(position, last_set.unwrap_or_default()).map_err(reading)?;
            self.recovered.torn_at = Some((path.clone(), position));
            // Who is killed before it has told the outcome has told this.
            tracing::info!(path, position, torn, "the end of the log is not whole, and is cut off");
            // As where the writer mends: a file that is short, since a start was killed before it gave it its room again, was cut by
            // nobody else. What is said must be on the disk.
            file.sync().map_err(cutting)?;
            let said = self.end.say(&*self.ground.disk, lost - 1);
            file.cut(position).map_err(cutting)?;
            // On a full disk there is room for it only now.
            if let Err(error) = said.or_else(|_| self.end.say(&*self.ground.disk, lost - 1)) {
                tracing::warn!(%error, "it is not written down up to where the log is durable");
            }
        }
        if (torn > 0 || is_short)
            && let Err(error) = file.allocate(room)
        {
            self.has_no_room = true;
            tracing::warn!(%error, path, "no room for the rest of the segment");
        }
        file.sync().map_err(cutting)
    }
}
