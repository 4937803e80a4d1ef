//! Groups as the log has them: at the start, and after something could not be written.

use polder_types::Result;

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::{Committed, Groups, Members};
use crate::effects::Effects;
use crate::spaces;

impl Groups {
    /// An offset is what the log says it is.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn load_offset(&mut self, now_ms: i64, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let (name, place) = spaces::read_offset_key(key)?;
        match value.map(Committed::decode).transpose()? {
            Some(committed) => {
                if let Ok(group) = self.group(now_ms, &name) {
                    group.offsets.insert(place, committed);
                }
            }
            None => {
                if let Some(group) = self.groups.get_mut(&name) {
                    group.offsets.remove(&place);
                }
            }
        }
        Ok(())
    }

    /// A classic group is what the log says it is. One that is at work is not thrown away, since its members wait: they
    /// have to agree anew.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn load_classic(&mut self, now_ms: i64, key: &[u8], value: Option<&[u8]>) -> Result<Effects> {
        let name = spaces::read_name_key(key)?;
        let mut effects = Effects::of_group(&name);
        if let Ok(group) = self.classic(&name)
            && !group.is_empty()
        {
            let turn = group.write_failed(now_ms);
            self.take(&name, turn, &mut effects);
            return Ok(effects);
        }
        if let Some(bytes) = value {
            let decoded = ClassicGroup::decode(self.limits.classic, now_ms, bytes)?;
            if let Ok(group) = self.group(now_ms, &name) {
                group.members = Members::Classic(decoded);
            }
        }
        Ok(effects)
    }

    /// A consumer group or one of its members is what the log says it is. The group comes before its members.
    ///
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn load_consumer(&mut self, now_ms: i64, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let (name, member) = spaces::read_consumer_key(key)?;
        let limits = self.limits.consumer;
        let Ok(group) = self.group(now_ms, &name) else { return Ok(()) };
        if let (Members::Classic(classic), Some(_)) = (&group.members, value)
            && classic.is_empty()
        {
            group.members = Members::Consumer(ConsumerGroup::new(limits, now_ms));
        }
        if let Members::Consumer(consumer) = &mut group.members {
            consumer.load(now_ms, member.as_deref(), value)?;
        }
        Ok(())
    }

    /// All has been loaded: nothing of it is news.
    pub fn loaded(&mut self) {
        for group in self.groups.values_mut() {
            if let Members::Consumer(consumer) = &mut group.members {
                consumer.take_changes();
            }
        }
    }
}
