//! `SubscribeToShard`: records as they come, for five minutes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt as _};
use polder_capability::topics::{ReadShard, ShardRead, TopicClient};
use tokio::sync::OwnedSemaphorePermit;

use super::{names, read, show};
use crate::error::{ApiError, ApiResult};
use crate::events;
use crate::input::Input;
use crate::request::Form;
use crate::server::House;
use crate::services::{Call, Reply};
use crate::value::{Value, map};

/// How long a subscription lasts.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// An event comes at least so often, also without records.
const EVENT_EVERY: Duration = Duration::from_secs(5);

/// Records and bytes of one event.
const RECORDS_MAX: usize = 10_000;
const BYTES_MAX: usize = 1 << 20;

/// A subscription as it goes on.
struct Subscription {
    house: Arc<House>,
    client: TopicClient,
    form: Form,
    next: ReadShard,
    until: DateTime<Utc>,
    _place: OwnedSemaphorePermit,
}

pub async fn subscribe(call: &Call) -> ApiResult<Reply> {
    let input = Input::of(&call.input)?;
    input.only(&["ConsumerARN", "ShardId", "StartingPosition"])?;
    let arn = input.needs_text("ConsumerARN")?;
    let (stream, name) = names::consumer_of(arn).ok_or_else(|| super::consumers::unknown(arn))?;
    let stream = call.stream_named(stream)?;
    if stream.consumers.iter().all(|consumer| consumer.name != name) {
        return Err(super::consumers::unknown(arn));
    }
    let shard = show::numbered(&stream, input.needs_text("ShardId")?)?;
    let position = input.needs_part("StartingPosition")?;
    position.only(&["Type", "SequenceNumber", "Timestamp"])?;
    let kind = position.needs_text("Type")?;
    let start = read::start(&position, kind, "StartingPosition", "SequenceNumber", &stream)?;
    let sequence = call.start_at(&stream, shard, start).await?;
    let next = ReadShard {
        stream: stream.id,
        shard,
        sequence,
        records_max: RECORDS_MAX,
        bytes_max: BYTES_MAX,
        wait_max: EVENT_EVERY,
        shared: false,
    };
    let place = Arc::clone(&call.house.subscriptions).try_acquire_owned();
    let place = place.map_err(|_| ApiError::new("LimitExceededException", "there are too many subscriptions"))?;
    let (house, client) = (Arc::clone(&call.house), call.client.clone());
    let until = house.contracts.clock.now() + LIFETIME;
    let subscription = Subscription { house, client, form: call.form, next, until, _place: place };
    let first = events::event("initial-response", call.form.name(), &call.form.write()(&map([])));
    let then = stream::unfold(Some(subscription), async |subscription| subscription?.event().await);
    Ok(Reply::Events(stream::iter([first]).chain(then).boxed()))
}

impl Subscription {
    /// The next event, and what goes on behind it; `None` at the end.
    async fn event(mut self) -> Option<(Bytes, Option<Self>)> {
        let contracts = &self.house.contracts;
        if contracts.clock.now() >= self.until || self.house.shutdown.started() {
            return None;
        }
        let read = tokio::select! {
            read = contracts.shards.read_shard(&self.client, &self.next) => read,
            () = self.house.shutdown.wait() => return None,
        };
        match read {
            Ok(read) => {
                let next = read.next;
                let event = written(read, self.next.sequence, self.form);
                let rest = next.map(|sequence| {
                    self.next.sequence = sequence;
                    self
                });
                Some((event, rest))
            }
            Err(failure) => {
                let error = ApiError::of_topic(failure, "of the subscription");
                let code = match error.code {
                    code @ ("ResourceNotFoundException" | "ResourceInUseException") => code,
                    _ => "InternalFailureException",
                };
                let told = map([("message", error.message.into())]);
                Some((events::exception(code, self.form.name(), &self.form.write()(&told)), None))
            }
        }
    }
}

fn written(read: ShardRead, from: i64, form: Form) -> Bytes {
    let children = read::children(&read);
    // From behind this one a later subscription goes on.
    let last = read.records.last().map_or(from - 1, |record| record.sequence);
    let records: Vec<Value> = read.records.into_iter().map(read::record).collect();
    let event = map([
        ("Records", records.into()),
        ("ContinuationSequenceNumber", last.to_string().into()),
        ("MillisBehindLatest", read.behind_ms.into()),
        ("ChildShards", children),
    ]);
    events::event("SubscribeToShardEvent", form.name(), &form.write()(&event))
}
