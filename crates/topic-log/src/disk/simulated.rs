//! A disk in memory that forgets what was not synced, tears writes, fills up and fails when told.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync.
    writes: Vec<(usize, Vec<u8>)>,
    /// Bytes that a failed sync gave up: by their place, what the disk has there. No sync writes them any more, as for the system
    /// nothing is left to do, and they are read as they were written until the system forgets them.
    lost: BTreeMap<usize, u8>,
    /// What the disk cannot read, until it is written again.
    unreadable: Vec<Range<usize>>,
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Default)]
struct Inside {
    files: Vec<Content>,
    names: Names,
    /// As they were after each change since the last sync of names; the first is durable.
    history: Vec<Names>,
    room: Option<usize>,
    /// Syncs that succeed before some fail.
    sound_syncs: usize,
    failing_syncs: usize,
    /// Writes that succeed before one fails.
    failing_write: Option<usize>,
    failing_reads: bool,
    /// Changes that succeed before all fail.
    steps: Option<usize>,
    before_read: Option<Meanwhile>,
    before_sync: Option<Meanwhile>,
    syncs: usize,
    writes: usize,
}

/// Done once, in the midst of something else.
struct Meanwhile(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Meanwhile")
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SimulatedDisk(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct SimulatedFile(SimulatedDisk, usize);

/// A source of chance that a test can repeat.
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

impl SimulatedDisk {
    pub(crate) fn set_room(&self, bytes: Option<usize>) {
        self.0.lock().room = bytes;
    }

    /// Has so many syncs fail. What they were to write is given up.
    pub(crate) fn fail_syncs(&self, times: usize) {
        self.fail_syncs_after(0, times);
    }

    /// The same, after so many that succeed.
    pub(crate) fn fail_syncs_after(&self, sound: usize, times: usize) {
        let mut inside = self.0.lock();
        (inside.sound_syncs, inside.failing_syncs) = (sound, times);
    }

    /// Has one write fail, after so many.
    pub(crate) fn fail_write(&self, after: usize) {
        self.0.lock().failing_write = Some(after);
    }

    pub(crate) fn fail_reads(&self, fail: bool) {
        self.0.lock().failing_reads = fail;
    }

    /// Has every reading fail that touches these bytes of a file, as that of a sector that is gone.
    pub(crate) fn break_bytes(&self, name: &str, bytes: Range<usize>) {
        let mut inside = self.0.lock();
        let file = inside.names[name];
        inside.files[file].unreadable.push(bytes);
    }

    /// The machine stops after so many changes: no other is made.
    pub(crate) fn stop_after(&self, steps: usize) {
        self.0.lock().steps = Some(steps);
    }

    /// Has something done before the next read.
    pub(crate) fn before_read(&self, what: impl FnOnce() + Send + 'static) {
        self.0.lock().before_read = Some(Meanwhile(Box::new(what)));
    }

    /// The same, in the midst of the next sync.
    pub(crate) fn before_sync(&self, what: impl FnOnce() + Send + 'static) {
        self.0.lock().before_sync = Some(Meanwhile(Box::new(what)));
    }

    /// Writes, and files that were made.
    pub(crate) fn writes(&self) -> usize {
        self.0.lock().writes
    }

    /// Whether a crash would lose nothing.
    pub(crate) fn is_settled(&self) -> bool {
        let inside = self.0.lock();
        inside.history.is_empty() && inside.files.iter().all(|content| content.writes.is_empty())
    }

    /// The system forgets what it has in memory, as when that is short: what a failed sync gave up is read as the disk has it.
    pub(crate) fn forget(&self) {
        for content in &mut self.0.lock().files {
            for (place, byte) in std::mem::take(&mut content.lost) {
                content.now[place] = byte;
            }
        }
    }

    pub(crate) fn used(&self) -> usize {
        let inside = self.0.lock();
        inside.names.values().map(|file| inside.files[*file].now.len()).sum()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().names.keys().cloned().collect()
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        let inside = self.0.lock();
        inside.files[inside.names[name]].now.clone()
    }

    /// A copy whose file has other bytes.
    pub(crate) fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let copy = self.crashed(&mut None);
        {
            let mut inside = copy.0.lock();
            let file = inside.names[name];
            change(&mut inside.files[file].now);
            inside.files[file].durable = inside.files[file].now.clone();
        }
        copy
    }

    /// The disk after a crash: of what was not synced, chance decides. Without chance, nothing is lost.
    pub(crate) fn crashed(&self, chance: &mut Option<Chance>) -> Self {
        let inside = self.0.lock();
        let names = match chance {
            Some(chance) if !inside.history.is_empty() => inside.history[chance.below(inside.history.len())].clone(),
            _ => inside.names.clone(),
        };
        let files = inside.files.iter().map(|content| {
            let after = match chance {
                Some(chance) => content.torn(chance),
                None => content.now.clone(),
            };
            let unreadable = content.unreadable.clone();
            Content { now: after.clone(), durable: after, unreadable, ..Content::default() }
        });
        let files = files.collect();
        Self(Arc::new(Mutex::new(Inside { files, names, ..Inside::default() })))
    }
}

impl Content {
    fn give_up(&mut self) {
        for (from, bytes) in std::mem::take(&mut self.writes) {
            for place in from..from + bytes.len() {
                if place < self.now.len() {
                    self.lost.insert(place, self.durable.get(place).copied().unwrap_or(0));
                }
            }
        }
    }

    fn torn(&self, chance: &mut Chance) -> Vec<u8> {
        let mut after = self.durable.clone();
        // A cut or an allocation that was not synced may have happened or not.
        if chance.below(2) == 0 {
            after.resize(self.now.len(), 0);
        }
        for (position, bytes) in &self.writes {
            let (from, to) = match chance.below(4) {
                0 => continue,
                1 => (0, bytes.len()),
                2 => (0, chance.below(bytes.len() + 1)),
                _ => (chance.below(bytes.len() + 1), bytes.len()),
            };
            if position + to > after.len() {
                after.resize(position + to, 0);
            }
            after[position + from..position + to].copy_from_slice(&bytes[from..to]);
        }
        after
    }
}

impl Inside {
    /// Before each change.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.steps {
            Some(0) => Err(io::Error::other("the machine has stopped")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn renamed(&mut self, change: impl FnOnce(&mut Names)) {
        if self.history.is_empty() {
            self.history.push(self.names.clone());
        }
        change(&mut self.names);
        self.history.push(self.names.clone());
    }

    fn grow(&mut self, file: usize, to: usize) -> io::Result<()> {
        let more = to.saturating_sub(self.files[file].now.len());
        let used: usize = self.names.values().map(|file| self.files[*file].now.len()).sum();
        if self.room.is_some_and(|room| used + more > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if more > 0 {
            self.files[file].now.resize(to, 0);
        }
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut inside = self.0.lock();
        inside.step()?;
        inside.writes += 1;
        inside.files.push(Content::default());
        let file = inside.files.len() - 1;
        inside.renamed(|names| {
            names.insert(name.to_owned(), file);
        });
        Ok(Arc::new(SimulatedFile(self.clone(), file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.0.lock().names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile(self.clone(), file)))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut inside = self.0.lock();
        inside.step()?;
        if !inside.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        inside.renamed(|names| {
            names.remove(name);
        });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut inside = self.0.lock();
        inside.step()?;
        let file = *inside.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        inside.renamed(|names| {
            names.remove(from);
            names.insert(to.to_owned(), file);
        });
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut inside = self.0.lock();
        inside.step()?;
        inside.history.clear();
        Ok(())
    }

    fn path_of(&self, name: &str) -> String {
        name.to_owned()
    }

    fn unlock(&self) {}
}

impl DiskFile for SimulatedFile {
    fn read_exact_at(&self, to: &mut [u8], position: u64) -> io::Result<()> {
        let meanwhile = self.0.0.lock().before_read.take();
        if let Some(Meanwhile(what)) = meanwhile {
            what();
        }
        let inside = self.0.0.lock();
        if inside.failing_reads {
            return Err(io::Error::other("the disk cannot read"));
        }
        let from = position as usize;
        let content = &inside.files[self.1];
        if content.unreadable.iter().any(|bad| bad.start < from + to.len() && from < bad.end) {
            return Err(rustix::io::Errno::IO.into());
        }
        let bytes = content.now.get(from..from + to.len());
        to.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        inside.step()?;
        inside.writes += 1;
        inside.failing_write = match inside.failing_write {
            Some(0) => {
                inside.failing_write = None;
                return Err(io::Error::other("the disk cannot write"));
            }
            Some(after) => Some(after - 1),
            None => None,
        };
        let from = position as usize;
        inside.grow(self.1, from + bytes.len())?;
        let content = &mut inside.files[self.1];
        content.now[from..from + bytes.len()].copy_from_slice(bytes);
        if !content.lost.is_empty() {
            content.lost.retain(|place, _| !(from..from + bytes.len()).contains(place));
        }
        content.unreadable.retain(|bad| bad.end <= from || from + bytes.len() <= bad.start);
        content.writes.push((from, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let meanwhile = self.0.0.lock().before_sync.take();
        if let Some(Meanwhile(what)) = meanwhile {
            what();
        }
        let mut inside = self.0.0.lock();
        inside.step()?;
        if inside.sound_syncs > 0 {
            inside.sound_syncs -= 1;
        } else if inside.failing_syncs > 0 {
            inside.failing_syncs -= 1;
            inside.files[self.1].give_up();
            return Err(io::Error::other("the disk cannot sync"));
        }
        inside.syncs += 1;
        let content = &mut inside.files[self.1];
        content.durable = content.now.clone();
        for (place, byte) in &content.lost {
            content.durable[*place] = *byte;
        }
        content.writes.clear();
        Ok(())
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        inside.step()?;
        let content = &mut inside.files[self.1];
        content.now.truncate(bytes as usize);
        content.lost.retain(|place, _| *place < bytes as usize);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut inside = self.0.0.lock();
        inside.step()?;
        inside.grow(self.1, bytes as usize)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().files[self.1].now.len() as u64)
    }
}
