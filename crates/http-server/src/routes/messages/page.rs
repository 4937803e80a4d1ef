//! A page of messages, out of several partitions.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use polder_capability::topics::{TopicPart, TopicRows};
use polder_types::Result;
use tokio::time::Instant;

use super::payload::{COLUMNS, Filter, Rows, Sizes};
use crate::model::streams::Message;

/// Records that are looked at for a page, and how long it may take: who looks for rare ones asks again.
const LOOKED_AT_MAX: u64 = 200_000;
const TIME_MAX: Duration = Duration::from_secs(4);

/// Records that are read at once when going backwards, at most.
const WINDOW_MAX: i64 = 8192;

/// What is still to be read of a partition.
pub(super) struct Place {
    part: TopicPart,
}

impl Place {
    pub fn new(part: TopicPart) -> Self {
        Self { part }
    }

    fn end(&self) -> i64 {
        self.part.to.unwrap_or(self.part.from)
    }
}

/// The places where an earlier page ended. Partitions that it does not name are read to their ends.
pub(super) fn places(parts: Vec<TopicPart>, cursor: &[(i32, i64)], is_forward: bool) -> Vec<Place> {
    let places = parts.into_iter().filter_map(|mut part| {
        let (_, offset) = cursor.iter().find(|(partition, _)| *partition == part.partition)?;
        if is_forward {
            part.from = part.from.max(*offset);
        } else {
            part.to = Some(part.to.map_or(*offset, |to| to.min(*offset)));
        }
        (part.to.is_none_or(|to| part.from < to)).then_some(Place { part })
    });
    places.collect()
}

pub(super) struct Page {
    pub messages: Vec<Message>,
    /// Where each partition that has more goes on.
    pub next: Vec<(i32, i64)>,
    pub looked_at: u64,
}

/// What was found in a partition.
struct Found {
    partition: i32,
    messages: VecDeque<Message>,
    /// Everything up to here, or down to here, was looked at.
    reached: i64,
    /// There is nothing behind it.
    is_done: bool,
}

/// What may still be looked at.
struct Budget {
    left: u64,
    until: Instant,
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.left == 0 || Instant::now() >= self.until
    }
}

/// Reads a page: forwards, or backwards from the ends.
pub(super) async fn read(
    rows: &dyn TopicRows,
    places: Vec<Place>,
    filter: &Filter,
    is_forward: bool,
    limit: usize,
) -> Result<Page> {
    let until = Instant::now() + TIME_MAX;
    let mut all = Vec::with_capacity(places.len());
    let (mut looked_at, mut left) = (0, LOOKED_AT_MAX);
    let mut waiting = places.len();
    for place in places {
        // What one partition leaves, the next ones may use.
        let share = (left / u64::try_from(waiting).unwrap_or(1).max(1)).max(1);
        waiting = waiting.saturating_sub(1);
        let mut budget = Budget { left: share.min(left), until };
        let found = if is_forward {
            forward(rows, place, filter, limit, &mut budget).await?
        } else {
            backward(rows, place, filter, limit, &mut budget).await?
        };
        let used = share.min(left).saturating_sub(budget.left);
        looked_at += used;
        left = left.saturating_sub(used);
        all.push(found);
    }
    let (messages, next) = merge(all, is_forward, limit);
    Ok(Page { messages, next, looked_at })
}

/// The first messages of all, by their times; those of one partition stay in order.
fn merge(mut all: Vec<Found>, is_forward: bool, limit: usize) -> (Vec<Message>, Vec<(i32, i64)>) {
    let mut messages = Vec::new();
    while messages.len() < limit {
        let heads = all.iter_mut().filter(|found| !found.messages.is_empty());
        let time = |found: &&mut Found| found.messages.front().map(|message| message.timestamp);
        // The partition's number decides between equal times, so that a page comes out the same each time.
        let best = if is_forward {
            heads.min_by_key(|found| (time(found), found.partition))
        } else {
            heads.max_by_key(|found| (time(found), -found.partition))
        };
        let Some(message) = best.and_then(|found| found.messages.pop_front()) else { break };
        messages.push(message);
    }
    let next = all.iter().filter_map(|found| match found.messages.front() {
        // Going backwards, a place is behind the record that comes next.
        Some(left) => Some((found.partition, if is_forward { left.offset } else { left.offset + 1 })),
        None if found.is_done => None,
        None => Some((found.partition, found.reached)),
    });
    (messages, next.collect())
}

async fn forward(
    rows: &dyn TopicRows,
    place: Place,
    filter: &Filter,
    limit: usize,
    budget: &mut Budget,
) -> Result<Found> {
    let end = place.end();
    let mut part = place.part;
    let mut found =
        Found { partition: part.partition, messages: VecDeque::new(), reached: part.from, is_done: part.from >= end };
    // Without a filter no more is read than can be shown, as far as that is known.
    if filter.is_none() && part.is_dense {
        part.to = Some(end.min(part.from.saturating_add(i64::try_from(limit).unwrap_or(i64::MAX))));
    }
    let read_to = part.to.unwrap_or(end);
    let mut batches = rows.read(part, COLUMNS.to_vec())?;
    while let Some(batch) = batches.next().await.transpose()? {
        let batch = Rows::new(&batch)?;
        for row in 0..batch.len() {
            if found.messages.len() >= limit || budget.is_spent() {
                return Ok(found);
            }
            budget.left -= 1;
            found.reached = batch.offset(row).saturating_add(1);
            if batch.matches(row, filter) {
                found.messages.push_back(batch.message(row, Sizes::LISTED));
            }
        }
        // Others have their turn.
        tokio::task::yield_now().await;
    }
    found.reached = read_to;
    found.is_done = read_to >= end;
    Ok(found)
}

async fn backward(
    rows: &dyn TopicRows,
    place: Place,
    filter: &Filter,
    limit: usize,
    budget: &mut Budget,
) -> Result<Found> {
    let start = place.part.from;
    let mut found = Found {
        partition: place.part.partition,
        messages: VecDeque::new(),
        reached: place.end(),
        is_done: place.end() <= start,
    };
    let mut window = i64::try_from(limit).unwrap_or(WINDOW_MAX).clamp(1, WINDOW_MAX);
    while !found.is_done && found.messages.len() < limit && !budget.is_spent() {
        let from = start.max(found.reached.saturating_sub(window));
        let part = TopicPart { from, to: Some(found.reached), ..place.part.clone() };
        let mut batches = rows.read(part, COLUMNS.to_vec())?;
        // The last ones of the window are wanted: no more than those are kept.
        let mut last: VecDeque<Message> = VecDeque::new();
        let wanted = limit - found.messages.len();
        let mut dropped = false;
        while let Some(batch) = batches.next().await.transpose()? {
            let batch = Rows::new(&batch)?;
            budget.left = budget.left.saturating_sub(batch.len() as u64);
            for row in (0..batch.len()).filter(|row| batch.matches(*row, filter)) {
                if last.len() == wanted {
                    last.pop_front();
                    dropped = true;
                }
                last.push_back(batch.message(row, Sizes::LISTED));
            }
            tokio::task::yield_now().await;
        }
        found.reached = match last.front() {
            Some(first) if dropped => first.offset,
            _ => from,
        };
        found.messages.extend(last.into_iter().rev());
        found.is_done = found.reached <= start;
        window = (window * 4).min(WINDOW_MAX);
    }
    Ok(found)
}

/// The first record of a part.
pub(super) async fn one(rows: &dyn TopicRows, part: TopicPart, sizes: Sizes) -> Result<Option<Message>> {
    let mut batches = rows.read(part, COLUMNS.to_vec())?;
    while let Some(batch) = batches.next().await.transpose()? {
        let batch = Rows::new(&batch)?;
        if batch.len() > 0 {
            return Ok(Some(batch.message(0, sizes)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
