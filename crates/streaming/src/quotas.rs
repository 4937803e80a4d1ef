//! How fast clients may go: a bucket for each, filled at its rate, which holds a second's worth and may be overdrawn. Who has
//! overdrawn it is to wait until it is even.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use polder_capability::topics::{
    Quota, QuotaChange, QuotaKey, QuotaName, TopicClient, TopicError, TopicFailure, TopicQuotas, TopicResult,
    TopicRight, TopicThing,
};
use polder_topic_log::Log;
use polder_types::{Error, ErrorKind, Result};

use crate::Streaming;
use crate::codec::{Reader, Writer};
use crate::failure::of_append;
use crate::spaces::{self, QUOTAS};

const FORM: u8 = 1;

/// The quotas that there are. Others are refused, since nothing would keep them.
const NAMES: &[(&str, Way)] = &[("producer_byte_rate", Way::In), ("consumer_byte_rate", Way::Out)];

/// The longest that a client is told to wait: some take a longer silence for a failure.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// After so long without traffic a bucket is full again, and can be forgotten.
const IDLE_MS: i64 = 60_000;

const BUCKETS_MAX: usize = 100_000;
const QUOTAS_MAX: usize = 10_000;
const NAME_BYTES_MAX: usize = 1_024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    In,
    Out,
}

#[derive(Debug)]
struct Bucket {
    bytes: f64,
    at_ms: i64,
}

type Values = BTreeMap<String, f64>;

/// Whose traffic is counted together: a user, a client id, or both.
type Counted = (Way, Option<String>, Option<String>);

/// All quotas, and what has been taken of them.
#[derive(Debug, Default)]
pub struct Quotas {
    kept: RwLock<BTreeMap<QuotaKey, Values>>,
    buckets: Mutex<HashMap<Counted, Bucket>>,
}

impl Quotas {
    /// # Errors
    /// `Corrupt`, `Unsupported`.
    pub fn open(log: &Log) -> Result<Self> {
        let quotas = Self::default();
        for (key, value) in log.state(QUOTAS) {
            quotas.kept.write().insert(read_key(&key)?, read_values(&value)?);
        }
        Ok(quotas)
    }

    /// The rate for a client, and whose traffic counts.
    fn rate(&self, way: Way, client: &TopicClient) -> Option<(f64, Counted)> {
        let kept = self.kept.read();
        if kept.is_empty() {
            return None;
        }
        let name = NAMES.iter().find(|(_, known)| *known == way)?.0;
        let (user, client_id) = (client.caller.user.as_str(), &*client.client_id);
        let own = |name: &str| QuotaName::Name(name.to_owned());
        // As in Kafka, from what fits best to what fits least.
        let users = [own(user), QuotaName::Default, QuotaName::Any];
        let clients = [own(client_id), QuotaName::Default, QuotaName::Any];
        for user_name in &users {
            for client_name in &clients {
                let key = QuotaKey { user: user_name.clone(), client_id: client_name.clone() };
                if let Some(rate) = kept.get(&key).and_then(|values| values.get(name)) {
                    let counts = |name: &QuotaName, text: &str| (*name != QuotaName::Any).then(|| text.to_owned());
                    return Some((*rate, (way, counts(user_name, user), counts(client_name, client_id))));
                }
            }
        }
        None
    }

    /// Takes bytes; how long the client is to wait.
    pub fn take(&self, way: Way, client: &TopicClient, bytes: usize, now_ms: i64) -> Duration {
        let Some((rate, counted)) = self.rate(way, client) else { return Duration::ZERO };
        let mut buckets = self.buckets.lock();
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| now_ms - bucket.at_ms < IDLE_MS);
        }
        let bucket = buckets.entry(counted).or_insert(Bucket { bytes: rate, at_ms: now_ms });
        let seconds = now_ms.saturating_sub(bucket.at_ms).max(0) as f64 / 1_000.0;
        bucket.bytes = (bucket.bytes + seconds * rate).min(rate) - bytes as f64;
        // Also where the clock is set back: a bucket that waited for the old time would not be filled till then.
        bucket.at_ms = now_ms;
        if bucket.bytes >= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(-bucket.bytes / rate).unwrap_or(WAIT_MAX).min(WAIT_MAX)
    }

    /// Forgets the buckets of those who have sent and read nothing for a while.
    pub fn forget_idle(&self, now_ms: i64) {
        self.buckets.lock().retain(|_, bucket| now_ms - bucket.at_ms < IDLE_MS || bucket.bytes < 0.0);
    }
}

fn write_name(writer: Writer, name: &QuotaName) -> Writer {
    match name {
        QuotaName::Any => writer.u8(0),
        QuotaName::Default => writer.u8(1),
        QuotaName::Name(name) => writer.u8(2).text(name),
    }
}

fn read_name(reader: &mut Reader<'_>) -> Result<QuotaName> {
    match reader.u8()? {
        0 => Ok(QuotaName::Any),
        1 => Ok(QuotaName::Default),
        2 => Ok(QuotaName::Name(reader.text()?)),
        _ => Err(Error::new(ErrorKind::Corrupt, "a quota is for nobody that there is")),
    }
}

fn key(key: &QuotaKey) -> bytes::Bytes {
    write_name(write_name(Writer::key(), &key.user), &key.client_id).done()
}

fn read_key(bytes: &[u8]) -> Result<QuotaKey> {
    let mut reader = Reader::key(bytes);
    Ok(QuotaKey { user: read_name(&mut reader)?, client_id: read_name(&mut reader)? })
}

fn values(values: &Values) -> bytes::Bytes {
    Writer::new(FORM)
        .list(values.iter(), |writer, (name, value)| writer.text(name).i64(value.to_bits().cast_signed()))
        .done()
}

fn read_values(bytes: &[u8]) -> Result<Values> {
    let mut reader = Reader::new(bytes, FORM)?;
    let pairs = reader.list(|reader| Ok((reader.text()?, f64::from_bits(reader.i64()?.cast_unsigned()))))?;
    Ok(pairs.into_iter().collect())
}

fn check(change: &QuotaChange) -> TopicResult<()> {
    let refuse = |message: String| Err(TopicFailure::new(TopicError::InvalidRequest, message));
    if change.key.user == QuotaName::Any && change.key.client_id == QuotaName::Any {
        return refuse("a quota is for a user, a client id, or both".to_owned());
    }
    let too_long = |name: &QuotaName| matches!(name, QuotaName::Name(name) if name.len() > NAME_BYTES_MAX);
    if too_long(&change.key.user) || too_long(&change.key.client_id) {
        return refuse(format!("a name has at most {NAME_BYTES_MAX} bytes"));
    }
    for (name, value) in &change.values {
        if !NAMES.iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
            let name: String = name.chars().take(100).collect();
            return refuse(format!("there is no quota {name:?} here; there are: {}", known.join(", ")));
        }
        if value.is_some_and(|value| !value.is_finite() || value < 1.0) {
            return refuse(format!("{name} is at least one byte a second"));
        }
    }
    Ok(())
}

impl Streaming {
    async fn change_quota(&self, change: &QuotaChange, try_only: bool) -> TopicResult<()> {
        check(change)?;
        let quotas = &self.inner.quotas;
        let mut after = {
            let kept = quotas.kept.read();
            if kept.len() >= QUOTAS_MAX && !kept.contains_key(&change.key) {
                return Err(TopicFailure::new(TopicError::Policy, "there are as many quotas as there can be"));
            }
            kept.get(&change.key).cloned().unwrap_or_default()
        };
        for (name, value) in &change.values {
            match value {
                Some(value) => after.insert(name.clone(), *value),
                None => after.remove(name),
            };
        }
        if try_only {
            return Ok(());
        }
        let key = key(&change.key);
        let entry = if after.is_empty() {
            spaces::forget(QUOTAS, key.clone())
        } else {
            spaces::set(QUOTAS, key.clone(), values(&after))
        };
        self.inner.log.append(vec![entry]).await.map_err(of_append)?;
        // Another change may have come behind this one: what counts is what the log has.
        let now = self.inner.log.state_of(QUOTAS, &key).map(|bytes| read_values(&bytes)).transpose();
        let now = now.map_err(|error| TopicFailure::new(TopicError::Internal, error.to_string()))?;
        let mut kept = quotas.kept.write();
        match now {
            Some(values) => kept.insert(change.key.clone(), values),
            None => kept.remove(&change.key),
        };
        Ok(())
    }
}

#[async_trait]
impl TopicQuotas for Streaming {
    async fn quotas(&self, client: &TopicClient) -> TopicResult<Vec<Quota>> {
        if !self.must(client, TopicRight::Describe, TopicThing::Server) {
            return Err(TopicError::ServerForbidden.into());
        }
        let kept = self.inner.quotas.kept.read();
        Ok(kept.iter().map(|(key, values)| Quota { key: key.clone(), values: values.clone() }).collect())
    }

    async fn change_quotas(
        &self,
        client: &TopicClient,
        changes: Vec<QuotaChange>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        if !self.must(client, TopicRight::Alter, TopicThing::Server) {
            return Err(TopicError::ServerForbidden.into());
        }
        let mut results = Vec::with_capacity(changes.len());
        for change in &changes {
            results.push(self.change_quota(change, try_only).await);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests;
