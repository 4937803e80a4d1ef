//! Topics in memory, as much of them as the protocol's tests need. Groups have one member.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use polder_capability::topics::*;
use tokio::sync::watch;
use uuid::Uuid;

#[derive(Default)]
struct Partition {
    /// The first offset, the one behind the last, and the batch.
    batches: Vec<(i64, i64, Bytes)>,
    start: i64,
    end: i64,
}

struct Stored {
    id: Uuid,
    partitions: Vec<Partition>,
    config: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Stored>,
    offsets: BTreeMap<(String, TopicPartition), OffsetEntry>,
    generations: BTreeMap<String, i32>,
    assignments: BTreeMap<String, Bytes>,
    last_producer: i64,
    quotas: BTreeMap<QuotaKey, BTreeMap<String, f64>>,
}

pub struct MemoryTopics {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// What each writing is told to wait.
    pub throttle: Mutex<Duration>,
}

impl Default for MemoryTopics {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: watch::Sender::new(0), throttle: Mutex::default() }
    }
}

impl State {
    fn name_of(&self, topic: &TopicRef) -> TopicResult<String> {
        match topic {
            TopicRef::Name(name) if self.topics.contains_key(&**name) => Ok(name.to_string()),
            TopicRef::Name(_) => Err(TopicError::UnknownTopic.into()),
            TopicRef::Id(id) => self
                .topics
                .iter()
                .find(|(_, topic)| topic.id == *id)
                .map(|(name, _)| name.clone())
                .ok_or_else(|| TopicError::UnknownTopicId.into()),
        }
    }

    fn partition(&mut self, of: &TopicPartition) -> TopicResult<&mut Partition> {
        let name = self.name_of(&of.topic)?;
        let index = usize::try_from(of.partition).map_err(|_| TopicError::UnknownTopic)?;
        let topic = self.topics.get_mut(&name).ok_or(TopicError::UnknownTopic)?;
        topic.partitions.get_mut(index).ok_or_else(|| TopicError::UnknownTopic.into())
    }

    fn make(&mut self, name: &str, partitions: usize) -> &Stored {
        let partitions = (0..partitions).map(|_| Partition::default()).collect();
        self.topics.entry(name.to_owned()).or_insert(Stored {
            id: Uuid::new_v4(),
            partitions,
            config: BTreeMap::default(),
        })
    }

    fn described(&self, name: &str) -> TopicResult<TopicDescription> {
        let topic = self.topics.get(name).ok_or(TopicError::UnknownTopic)?;
        let partitions = u32::try_from(topic.partitions.len()).unwrap_or_default();
        Ok(TopicDescription { name: name.to_owned(), id: topic.id, partitions, internal: false })
    }

    fn read(&mut self, wanted: &FetchPartition, left: &mut usize) -> TopicResult<Fetched> {
        let partition = self.partition(&wanted.from)?;
        if !(partition.start..=partition.end).contains(&wanted.offset) {
            return Err(TopicError::OffsetOutOfRange.into());
        }
        let mut batches = Vec::new();
        for (_, _, bytes) in partition.batches.iter().filter(|(_, end, _)| *end > wanted.offset) {
            if !batches.is_empty() && bytes.len() > *left {
                break;
            }
            *left = left.saturating_sub(bytes.len());
            batches.push(bytes.clone());
        }
        Ok(Fetched {
            high_watermark: partition.end,
            last_stable_offset: partition.end,
            log_start_offset: partition.start,
            aborted: Vec::new(),
            batches,
        })
    }
}

fn int<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[async_trait]
impl TopicRecords for MemoryTopics {
    async fn produce(&self, _: &TopicClient, produce: Produce) -> TopicResult<ProduceAnswer> {
        let mut state = self.state.lock();
        let results = produce.batches.into_iter().map(|batch| {
            let partition = state.partition(&batch.to)?;
            let count = int(&batch.bytes, 57).map(i32::from_be_bytes).ok_or(TopicError::CorruptBatch)?;
            let base_offset = partition.end;
            let mut bytes = BytesMut::new();
            bytes.put_i64(base_offset);
            bytes.extend_from_slice(batch.bytes.get(8..).unwrap_or_default());
            partition.end += i64::from(count);
            partition.batches.push((base_offset, partition.end, bytes.freeze()));
            Ok(Produced { base_offset, log_append_time: None, log_start_offset: partition.start })
        });
        let results = results.collect();
        self.changed.send_modify(|version| *version += 1);
        Ok(ProduceAnswer { throttle: *self.throttle.lock(), results })
    }

    async fn fetch(&self, _: &TopicClient, fetch: &Fetch) -> TopicResult<FetchAnswer> {
        let mut changed = self.changed.subscribe();
        let until = tokio::time::Instant::now() + fetch.wait_max;
        loop {
            let mut left = usize::try_from(fetch.bytes_max).unwrap_or_default();
            let results: Vec<TopicResult<Fetched>> = {
                let mut state = self.state.lock();
                fetch.partitions.iter().map(|wanted| state.read(wanted, &mut left)).collect()
            };
            let bytes: usize = results.iter().flatten().flat_map(|fetched| &fetched.batches).map(Bytes::len).sum();
            let enough = bytes >= usize::try_from(fetch.bytes_min).unwrap_or_default();
            if enough || results.iter().any(Result::is_err) || tokio::time::Instant::now() >= until {
                return Ok(FetchAnswer { throttle: Duration::ZERO, results, room: HeldRoom::default() });
            }
            // Either there is more, or it is time.
            let _ = tokio::time::timeout_at(until, changed.changed()).await;
        }
    }

    async fn offsets(
        &self,
        _: &TopicClient,
        questions: Vec<OffsetQuestion>,
        _: Isolation,
    ) -> TopicResult<Vec<TopicResult<FoundOffset>>> {
        let mut state = self.state.lock();
        let found = questions.iter().map(|question| {
            let partition = state.partition(&question.of)?;
            Ok(match question.at {
                OffsetAt::Earliest => FoundOffset { offset: Some(partition.start), timestamp: None },
                OffsetAt::Latest => FoundOffset { offset: Some(partition.end), timestamp: None },
                OffsetAt::MaxTimestamp => FoundOffset { offset: Some(partition.end - 1), timestamp: Some(0) },
                OffsetAt::Timestamp(at) => {
                    let last = |bytes: &Bytes| int(bytes, 35).map(i64::from_be_bytes).unwrap_or_default();
                    let found = partition.batches.iter().find(|(_, _, bytes)| last(bytes) >= at);
                    FoundOffset {
                        offset: found.map(|(base, _, _)| *base),
                        timestamp: found.map(|(_, _, bytes)| last(bytes)),
                    }
                }
            })
        });
        Ok(found.collect())
    }

    async fn epoch_ends(
        &self,
        _: &TopicClient,
        questions: Vec<EpochQuestion>,
    ) -> TopicResult<Vec<TopicResult<EpochEnd>>> {
        let mut state = self.state.lock();
        let ends = questions.iter().map(|question| {
            let end_offset = state.partition(&question.of)?.end;
            Ok(EpochEnd { epoch: Some(LEADER_EPOCH), end_offset })
        });
        Ok(ends.collect())
    }

    async fn delete_records(
        &self,
        _: &TopicClient,
        before: Vec<(TopicPartition, Option<i64>)>,
    ) -> TopicResult<Vec<TopicResult<i64>>> {
        let mut state = self.state.lock();
        let deleted = before.iter().map(|(of, before)| {
            let partition = state.partition(of)?;
            let before = before.unwrap_or(partition.end);
            if before > partition.end {
                return Err(TopicError::OffsetOutOfRange.into());
            }
            partition.start = partition.start.max(before);
            Ok(partition.start)
        });
        Ok(deleted.collect())
    }
}

#[async_trait]
impl TopicAdmin for MemoryTopics {
    fn cluster_id(&self) -> String {
        "AAAAAAAAAAAAAAAAAAAAAA".into()
    }

    async fn describe(
        &self,
        _: &TopicClient,
        choice: &TopicChoice,
        create: bool,
    ) -> TopicResult<Vec<TopicResult<TopicDescription>>> {
        let mut state = self.state.lock();
        Ok(match choice {
            TopicChoice::All => state.topics.keys().map(|name| state.described(name)).collect(),
            TopicChoice::These(topics) => {
                let described = topics.iter().map(|topic| {
                    if let (TopicRef::Name(name), true) = (topic, create) {
                        state.make(name, 1);
                    }
                    let name = state.name_of(topic)?;
                    state.described(&name)
                });
                described.collect()
            }
        })
    }

    async fn create(
        &self,
        _: &TopicClient,
        topics: Vec<NewTopic>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<CreatedTopic>>> {
        let mut state = self.state.lock();
        let created = topics.into_iter().map(|topic| {
            if state.topics.contains_key(&topic.name) {
                return Err(TopicFailure::new(TopicError::TopicExists, "it is there already"));
            }
            let partitions = topic.partitions.unwrap_or(1);
            let count = usize::try_from(partitions).map_err(|_| TopicError::InvalidPartitions)?;
            let id = if try_only { Uuid::nil() } else { state.make(&topic.name, count).id };
            Ok(CreatedTopic { id, partitions: u32::try_from(count).unwrap_or_default(), config: Vec::new() })
        });
        Ok(created.collect())
    }

    async fn delete(&self, _: &TopicClient, topics: Vec<TopicRef>) -> TopicResult<Vec<TopicResult<TopicDescription>>> {
        let mut state = self.state.lock();
        let deleted = topics.iter().map(|topic| {
            let name = state.name_of(topic)?;
            let described = state.described(&name);
            state.topics.remove(&name);
            described
        });
        Ok(deleted.collect())
    }

    async fn add_partitions(
        &self,
        _: &TopicClient,
        wishes: Vec<MorePartitions>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let mut state = self.state.lock();
        let added = wishes.into_iter().map(|wish| {
            let topic = state.topics.get_mut(&wish.topic).ok_or(TopicError::UnknownTopic)?;
            let total = usize::try_from(wish.total).map_err(|_| TopicError::InvalidPartitions)?;
            if total <= topic.partitions.len() {
                return Err(TopicError::InvalidPartitions.into());
            }
            if !try_only {
                topic.partitions.resize_with(total, Partition::default);
            }
            Ok(())
        });
        Ok(added.collect())
    }

    async fn configs(
        &self,
        _: &TopicClient,
        resources: Vec<(ConfigResource, Option<Vec<String>>)>,
    ) -> TopicResult<Vec<TopicResult<Vec<ConfigEntry>>>> {
        let state = self.state.lock();
        let described = resources.into_iter().map(|(resource, _)| match resource {
            ConfigResource::Topic(name) => {
                let topic = state.topics.get(&name).ok_or(TopicError::UnknownTopic)?;
                let entries = topic.config.iter().map(|(name, value)| ConfigEntry {
                    name: name.clone(),
                    value: Some(value.clone()),
                    source: ConfigSource::Own,
                    kind: ConfigKind::Text,
                    read_only: false,
                    documentation: Some("what is said"),
                });
                Ok(entries.collect())
            }
            _ => Ok(Vec::new()),
        });
        Ok(described.collect())
    }

    async fn change_configs(
        &self,
        _: &TopicClient,
        changes: Vec<ConfigChange>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let mut state = self.state.lock();
        let changed = changes.into_iter().map(|change| {
            let ConfigResource::Topic(name) = change.resource else { return Err(TopicError::InvalidConfig.into()) };
            let topic = state.topics.get_mut(&name).ok_or(TopicError::UnknownTopic)?;
            if try_only {
                return Ok(());
            }
            if change.replace {
                topic.config.clear();
            }
            for (name, operation) in change.operations {
                match operation {
                    ConfigOperation::Set(value) => drop(topic.config.insert(name, value)),
                    ConfigOperation::Reset => drop(topic.config.remove(&name)),
                    _ => return Err(TopicError::InvalidConfig.into()),
                }
            }
            Ok(())
        });
        Ok(changed.collect())
    }
}

#[async_trait]
impl TopicGroups for MemoryTopics {
    async fn join(&self, _: &TopicClient, join: JoinGroup) -> TopicResult<Joined> {
        if join.member.id.is_empty() && join.id_first {
            return Ok(Joined::TakeId(format!("member-{}", Uuid::new_v4())));
        }
        let id = if join.member.id.is_empty() { format!("member-{}", Uuid::new_v4()) } else { join.member.id };
        let mut state = self.state.lock();
        let generation = state.generations.entry(join.group).or_default();
        *generation += 1;
        let (protocol, metadata) = join.protocols.into_iter().next().ok_or(TopicError::InconsistentProtocol)?;
        let member = MemberId { id: id.clone(), instance: join.member.instance };
        Ok(Joined::Group(JoinedGroup {
            generation: *generation,
            protocol_type: join.protocol_type,
            protocol,
            leader: id.clone(),
            member_id: id,
            members: vec![JoinedMember { member, metadata }],
            skip_assignment: false,
        }))
    }

    async fn sync(&self, _: &TopicClient, sync: SyncGroup) -> TopicResult<SyncedGroup> {
        let mut state = self.state.lock();
        for (member, assignment) in sync.assignments {
            state.assignments.insert(member, assignment);
        }
        Ok(SyncedGroup {
            protocol_type: "consumer".into(),
            protocol: String::new(),
            assignment: state.assignments.get(&sync.member.id).cloned().unwrap_or_default(),
        })
    }

    async fn heartbeat(&self, _: &TopicClient, group: &str, generation: i32, _: &MemberId) -> TopicResult<()> {
        match self.state.lock().generations.get(group) {
            Some(known) if *known == generation => Ok(()),
            _ => Err(TopicError::IllegalGeneration.into()),
        }
    }

    async fn leave(&self, _: &TopicClient, _: &str, members: Vec<LeavingMember>) -> TopicResult<Vec<TopicResult<()>>> {
        Ok(members.iter().map(|_| Ok(())).collect())
    }

    async fn consumer_heartbeat(&self, _: &TopicClient, _: ConsumerHeartbeat) -> TopicResult<ConsumerHeartbeatAnswer> {
        Err(TopicFailure::new(TopicError::Unsupported, "not in memory"))
    }

    async fn list_groups(&self, _: &TopicClient) -> TopicResult<Vec<GroupListing>> {
        let state = self.state.lock();
        let listed = state.generations.keys().map(|group| GroupListing {
            group: group.clone(),
            kind: GroupKind::Classic,
            state: GroupState::Stable,
            protocol_type: "consumer".into(),
        });
        Ok(listed.collect())
    }

    async fn describe_groups(
        &self,
        _: &TopicClient,
        groups: Vec<String>,
    ) -> TopicResult<Vec<TopicResult<GroupDescription>>> {
        let described = groups.into_iter().map(|group| {
            let known = self.state.lock().generations.contains_key(&group);
            Ok(GroupDescription {
                group,
                state: if known { GroupState::Stable } else { GroupState::Dead },
                protocol_type: String::new(),
                protocol: String::new(),
                members: Vec::new(),
            })
        });
        Ok(described.collect())
    }

    async fn describe_consumers(
        &self,
        _: &TopicClient,
        groups: Vec<String>,
    ) -> TopicResult<Vec<TopicResult<ConsumerDescription>>> {
        Ok(groups.iter().map(|_| Err(TopicError::UnknownGroup.into())).collect())
    }

    async fn delete_groups(&self, _: &TopicClient, groups: Vec<String>) -> TopicResult<Vec<TopicResult<()>>> {
        let mut state = self.state.lock();
        let deleted = groups.into_iter().map(|group| match state.generations.remove(&group) {
            Some(_) => Ok(()),
            None => Err(TopicError::UnknownGroup.into()),
        });
        Ok(deleted.collect())
    }

    async fn commit_offsets(&self, _: &TopicClient, commit: CommitOffsets) -> TopicResult<Vec<TopicResult<()>>> {
        let mut state = self.state.lock();
        let committed = commit.offsets.into_iter().map(|entry| {
            state.partition(&entry.of)?;
            state.offsets.insert((commit.group.clone(), entry.of.clone()), entry);
            Ok(())
        });
        Ok(committed.collect())
    }

    async fn fetch_offsets(&self, _: &TopicClient, fetch: FetchOffsets) -> TopicResult<Vec<FetchedOffset>> {
        let state = self.state.lock();
        let of_group = state.offsets.keys().filter(|(group, _)| *group == fetch.group);
        let partitions = fetch.partitions.unwrap_or_else(|| of_group.map(|(_, of)| of.clone()).collect());
        let found = partitions.into_iter().map(|of| {
            let entry = state.offsets.get(&(fetch.group.clone(), of.clone())).cloned();
            FetchedOffset { of, result: Ok(entry) }
        });
        Ok(found.collect())
    }

    async fn delete_offsets(
        &self,
        _: &TopicClient,
        group: &str,
        partitions: Vec<TopicPartition>,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let mut state = self.state.lock();
        let deleted = partitions.into_iter().map(|of| {
            state.offsets.remove(&(group.to_owned(), of));
            Ok(())
        });
        Ok(deleted.collect())
    }
}

#[async_trait]
impl TopicTransactions for MemoryTopics {
    async fn init_producer(&self, _: &TopicClient, _: InitProducer) -> TopicResult<Producer> {
        let mut state = self.state.lock();
        state.last_producer += 1;
        Ok(Producer { id: state.last_producer, epoch: 0 })
    }

    async fn add_to_transaction(
        &self,
        _: &TopicClient,
        _: &str,
        _: Producer,
        partitions: Vec<TopicPartition>,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        Ok(partitions.iter().map(|_| Ok(())).collect())
    }

    async fn add_group_to_transaction(&self, _: &TopicClient, _: &str, _: Producer, _: &str) -> TopicResult<()> {
        Ok(())
    }

    async fn commit_in_transaction(
        &self,
        client: &TopicClient,
        offsets: TransactionOffsets,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        self.commit_offsets(client, offsets.commit).await
    }

    async fn end_transaction(&self, _: &TopicClient, _: &str, _: Producer, _: bool) -> TopicResult<()> {
        Ok(())
    }
}

#[async_trait]
impl TopicQuotas for MemoryTopics {
    async fn quotas(&self, _: &TopicClient) -> TopicResult<Vec<Quota>> {
        let state = self.state.lock();
        Ok(state.quotas.iter().map(|(key, values)| Quota { key: key.clone(), values: values.clone() }).collect())
    }

    async fn change_quotas(
        &self,
        _: &TopicClient,
        changes: Vec<QuotaChange>,
        try_only: bool,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        let mut state = self.state.lock();
        let changed = changes.into_iter().map(|change| {
            if try_only {
                return Ok(());
            }
            let values = state.quotas.entry(change.key).or_default();
            for (name, value) in change.values {
                match value {
                    Some(value) => drop(values.insert(name, value)),
                    None => drop(values.remove(&name)),
                }
            }
            Ok(())
        });
        Ok(changed.collect())
    }
}
