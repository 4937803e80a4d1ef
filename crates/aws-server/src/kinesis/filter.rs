//! Which shards somebody wants to have listed.

use std::collections::HashSet;

use polder_capability::topics::{Shard, Stream};

use super::names;
use super::show::numbered;
use crate::error::{ApiError, ApiResult};
use crate::input::Input;

/// Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Whatever is kept: closed ones are left out once their records are gone.
    All,
    After(u32),
    Oldest,
    Open,
    At(i64),
    From(i64),
}

impl Filter {
    /// What a request says; `None`: nothing.
    ///
    /// # Errors
    /// `InvalidArgumentException`, `ResourceNotFoundException`, and those of what is no structure.
    pub fn of(input: &Input<'_>, stream: &Stream) -> ApiResult<Option<Self>> {
        let Some(filter) = input.part("ShardFilter")? else { return Ok(None) };
        filter.only(&["Type", "ShardId", "Timestamp"])?;
        let kind = filter.needs_text("Type")?;
        let time = || filter.time("Timestamp")?.ok_or_else(|| ApiError::argument(format!("{kind} needs a Timestamp")));
        let known = match kind {
            "AFTER_SHARD_ID" => Self::After(numbered(stream, filter.needs_text("ShardId")?)?),
            "FROM_TRIM_HORIZON" => Self::All,
            "AT_TRIM_HORIZON" => Self::Oldest,
            "AT_LATEST" => Self::Open,
            "AT_TIMESTAMP" => Self::At(time()?),
            "FROM_TIMESTAMP" => Self::From(time()?),
            _ => return Err(ApiError::argument(format!("there is no ShardFilter {kind}"))),
        };
        Ok(Some(known))
    }

    /// The shards that are wanted, in their order.
    pub fn wanted(self, stream: &Stream) -> impl Iterator<Item = &Shard> {
        let kept: HashSet<u32> = match self {
            Self::Oldest => stream.shards.iter().map(|shard| shard.number).collect(),
            _ => HashSet::new(),
        };
        let has = move |parent: Option<u32>| parent.is_some_and(|parent| kept.contains(&parent));
        let closed_after = |shard: &Shard, time: i64| shard.closed_ms.is_none_or(|closed| closed >= time);
        stream.shards.iter().filter(move |shard| match self {
            Self::All => true,
            Self::After(number) => shard.number > number,
            // Those whose parents are gone, too.
            Self::Oldest => !has(shard.parent) && !has(shard.adjacent_parent),
            Self::Open => shard.is_open(),
            Self::At(time) => shard.created_ms <= time && closed_after(shard, time),
            Self::From(time) => closed_after(shard, time),
        })
    }

    /// Where a list of these goes on: who asks for the next page does not say again which shards they want.
    pub fn write_place(self, after: u32) -> String {
        let (kind, value) = match self {
            Self::All => ("all", 0),
            Self::After(number) => ("after", number.into()),
            Self::Oldest => ("oldest", 0),
            Self::Open => ("open", 0),
            Self::At(time) => ("at", time),
            Self::From(time) => ("from", time),
        };
        format!("{} {kind} {value}", names::shard_id(after))
    }

    /// The counterpart of [`Filter::write_place`].
    pub fn read_place(text: &str) -> Option<(u32, Self)> {
        let parts: Vec<&str> = text.splitn(3, ' ').collect();
        let [after, kind, value] = parts[..] else { return None };
        let value: i64 = value.parse().ok()?;
        let filter = match kind {
            "all" => Self::All,
            "after" => Self::After(u32::try_from(value).ok()?),
            "oldest" => Self::Oldest,
            "open" => Self::Open,
            "at" => Self::At(value),
            "from" => Self::From(value),
            _ => return None,
        };
        Some((names::shard_number(after)?, filter))
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let filters = [
            Filter::All,
            Filter::After(3),
            Filter::Oldest,
            Filter::Open,
            Filter::At(-5),
            Filter::From(1_800_000_000_000),
        ];
        for filter in filters {
            assert_eq!(Filter::read_place(&filter.write_place(7)), Some((7, filter)));
        }
        for wrong in
            ["", "shardId-7", "shardId-7 all", "shardId-7 some 0", "7 all 0", "shardId-7 after -1", "shardId-7 at x"]
        {
            assert_eq!(Filter::read_place(wrong), None, "{wrong}");
        }
    }
}
