//! How hash keys are divided among shards. Nothing but numbers.

use polder_capability::topics::{Division, TopicError, TopicFailure, TopicResult};

/// A shard as it is kept. Its number is its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub first: u128,
    pub last: u128,
    pub parent: Option<u32>,
    pub adjacent: Option<u32>,
    /// What is added to offsets to make sequence numbers, less one: the first record has the number behind it.
    pub base: i64,
    pub created_ms: i64,
    pub closed_ms: Option<i64>,
}

impl Slot {
    pub const fn is_open(&self) -> bool {
        self.closed_ms.is_none()
    }

    /// How many hash keys, less one, so that all of them can be counted.
    const fn width(&self) -> u128 {
        self.last - self.first
    }
}

/// So many shards of the same size; the last one takes what is left.
pub fn even(number: u32, created_ms: i64) -> Vec<Slot> {
    let parts = u128::from(number.max(1));
    // 2^128 / parts, which has no room in the type if there is one part alone.
    let width = ((u128::MAX - (parts - 1)) / parts).saturating_add(1);
    (0..parts)
        .map(|part| Slot {
            first: part.saturating_mul(width),
            last: if part + 1 == parts { u128::MAX } else { (part + 1) * width - 1 },
            parent: None,
            adjacent: None,
            base: 0,
            created_ms,
            closed_ms: None,
        })
        .collect()
}

/// The open shard that is in charge of a hash key.
pub fn in_charge(slots: &[Slot], hash: u128) -> Option<u32> {
    let place = slots.iter().position(|slot| slot.is_open() && (slot.first..=slot.last).contains(&hash))?;
    u32::try_from(place).ok()
}

fn refuse<T>(message: impl Into<String>) -> TopicResult<T> {
    Err(TopicFailure::new(TopicError::InvalidPartitions, message))
}

/// Shards that are divided anew. `ends`: the sequence number of each one's last record, counted as [`Slot::base`] is.
pub struct Divided<'a> {
    pub slots: Vec<Slot>,
    pub ends: &'a (dyn Fn(u32, &Slot) -> i64 + Sync),
    pub now_ms: i64,
    pub slots_max: u32,
}

impl Divided<'_> {
    /// # Errors
    /// `InvalidPartitions`.
    pub fn divide(&mut self, division: Division) -> TopicResult<()> {
        match division {
            Division::Split { shard, at } => self.split(shard, at),
            Division::Merge { shard, adjacent } => self.merge(shard, adjacent),
            Division::Total(total) => self.total(total),
        }
    }

    fn open(&self, number: u32) -> TopicResult<Slot> {
        match self.slots.get(number as usize) {
            Some(slot) if slot.is_open() => Ok(*slot),
            Some(_) => refuse(format!("shard {number} has been split or merged already")),
            None => refuse(format!("there is no shard {number}")),
        }
    }

    fn close(&mut self, number: u32) -> i64 {
        let now_ms = self.now_ms;
        match self.slots.get_mut(number as usize) {
            Some(slot) => {
                slot.closed_ms = Some(now_ms);
                (self.ends)(number, slot)
            }
            None => 0,
        }
    }

    fn add(&mut self, first: u128, last: u128, parent: u32, adjacent: Option<u32>, base: i64) -> TopicResult<()> {
        if self.slots.len() >= self.slots_max as usize {
            return refuse(format!("a stream has at most {} shards, with those that are closed", self.slots_max));
        }
        let (parent, created_ms) = (Some(parent), self.now_ms);
        self.slots.push(Slot { first, last, parent, adjacent, base, created_ms, closed_ms: None });
        Ok(())
    }

    fn split(&mut self, number: u32, at: u128) -> TopicResult<()> {
        let slot = self.open(number)?;
        if at <= slot.first || at > slot.last {
            return refuse(format!(
                "shard {number} is in charge of {} to {}, not of both sides of {at}",
                slot.first, slot.last
            ));
        }
        let base = self.close(number);
        self.add(slot.first, at - 1, number, None, base)?;
        self.add(at, slot.last, number, None, base)
    }

    fn merge(&mut self, number: u32, adjacent: u32) -> TopicResult<()> {
        let (one, other) = (self.open(number)?, self.open(adjacent)?);
        let follows = |a: &Slot, b: &Slot| a.last.checked_add(1) == Some(b.first);
        if !follows(&one, &other) && !follows(&other, &one) {
            return refuse(format!("shards {number} and {adjacent} are no neighbours"));
        }
        let base = self.close(number).max(self.close(adjacent));
        self.add(one.first.min(other.first), one.last.max(other.last), number, Some(adjacent), base)
    }

    fn opened(&self) -> Vec<(u32, Slot)> {
        let numbered = (0_u32..).zip(&self.slots);
        let mut open: Vec<_> = numbered.filter(|(_, slot)| slot.is_open()).map(|(n, slot)| (n, *slot)).collect();
        open.sort_by_key(|(_, slot)| slot.first);
        open
    }

    /// More: each is split in two until there are enough; then, as for fewer, the smallest neighbours are merged.
    fn total(&mut self, total: u32) -> TopicResult<()> {
        if total == 0 {
            return refuse("a stream has one shard at least");
        }
        while (self.opened().len() as u64) < u64::from(total) {
            for (number, slot) in self.opened() {
                self.split(number, slot.first + slot.width() / 2 + 1)?;
            }
        }
        loop {
            let open = self.opened();
            if open.len() as u64 <= u64::from(total) {
                return Ok(());
            }
            let pairs = open.windows(2).filter_map(|pair| match pair {
                [(one, a), (other, b)] => Some((a.width().saturating_add(b.width()), *one, *other)),
                _ => None,
            });
            let Some((_, one, other)) = pairs.min_by_key(|(width, ..)| *width) else { return Ok(()) };
            self.merge(one, other)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(slots: Vec<Slot>, division: Division) -> TopicResult<Vec<Slot>> {
        let mut divided = Divided { slots, ends: &|_, slot| slot.base + 10, now_ms: 5, slots_max: 1_000 };
        divided.divide(division).map(|()| divided.slots)
    }

    fn check_whole(slots: &[Slot]) {
        let mut open: Vec<_> = slots.iter().filter(|slot| slot.is_open()).collect();
        open.sort_by_key(|slot| slot.first);
        assert_eq!((open[0].first, open[open.len() - 1].last), (0, u128::MAX));
        assert!(open.windows(2).all(|pair| pair[0].last + 1 == pair[1].first), "{open:?}");
    }

    #[test]
    fn all_hash_keys_are_somebodys() {
        for number in [1, 2, 3, 4, 7, 1_000] {
            let slots = even(number, 0);
            assert_eq!(slots.len(), number as usize);
            check_whole(&slots);
        }
        assert_eq!(even(2, 0)[1].first, 170_141_183_460_469_231_731_687_303_715_884_105_728);
        assert_eq!(even(3, 0)[1].first, 113_427_455_640_312_821_154_458_202_477_256_070_485);
        let slots = even(2, 0);
        assert_eq!((in_charge(&slots, 0), in_charge(&slots, u128::MAX)), (Some(0), Some(1)));
    }

    #[test]
    fn totals_are_reached_with_as_many_shards_as_aws_takes() {
        for (from, to, all) in [(2, 4, 6), (4, 5, 15), (10, 13, 37), (4, 2, 6), (5, 3, 7), (10, 3, 17), (1, 1, 1)] {
            let slots = divided(even(from, 0), Division::Total(to)).unwrap();
            check_whole(&slots);
            let open = slots.iter().filter(|slot| slot.is_open()).count();
            assert_eq!((open, slots.len()), (to as usize, all), "{from} to {to}");
        }
        assert!(divided(even(1, 0), Division::Total(0)).is_err());
        assert!(divided(even(1, 0), Division::Total(2_000)).is_err());
    }

    #[test]
    fn children_go_on_where_their_parents_end() {
        let slots = divided(even(2, 0), Division::Split { shard: 0, at: 100 }).unwrap();
        assert_eq!((slots[0].closed_ms, slots[2].base, slots[3].base), (Some(5), 10, 10));
        assert_eq!((slots[2].parent, slots[3].first, in_charge(&slots, 99)), (Some(0), 100, Some(2)));
        let merged = divided(slots.clone(), Division::Merge { shard: 1, adjacent: 3 }).unwrap();
        assert_eq!((merged[4].base, merged[4].parent, merged[4].adjacent), (20, Some(1), Some(3)));
        check_whole(&merged);
        for wrong in [
            Division::Split { shard: 0, at: 50 },
            Division::Split { shard: 9, at: 50 },
            Division::Split { shard: 2, at: 0 },
            Division::Split { shard: 2, at: 100 },
            Division::Merge { shard: 1, adjacent: 2 },
            Division::Merge { shard: 1, adjacent: 1 },
        ] {
            assert!(divided(slots.clone(), wrong).is_err(), "{wrong:?}");
        }
    }
}
