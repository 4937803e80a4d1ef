//! Groups, as servers of protocols call them.

use std::sync::Arc;

use async_trait::async_trait;
use polder_capability::topics::{
    CommitOffsets, ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, ConsumerMember, FetchOffsets,
    FetchedOffset, GroupDescription, GroupListing, JoinGroup, Joined, LeavingMember, MemberId, OffsetEntry, SyncGroup,
    SyncedGroup, TopicAssignment, TopicClient, TopicError, TopicFailure, TopicGroups, TopicPartition, TopicRef,
    TopicResult, TopicRight, TopicRights, TopicThing,
};
use polder_topic_log::Log;
use regex::Regex;
use uuid::Uuid;

use super::consumer::Topology;
use super::{Commit, Committed};
use crate::Streaming;
use crate::effects::Effects;
use crate::spaces::Place;

/// Bytes that the groups of one answer take: one is begun only while there is room.
const DESCRIBED_BYTES_MAX: usize = 64 << 20;

/// Bytes that the offsets of one answer take, and what each takes beside its note.
const OFFSETS_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 64 << 20 };
const OFFSET_BYTES: usize = 256;

/// What a member of a group takes in an answer, beside its bytes.
const MEMBER_BYTES: usize = 512;

fn classic_bytes(group: &GroupDescription) -> usize {
    group.members.iter().map(|member| MEMBER_BYTES + member.metadata.len() + member.assignment.len()).sum()
}

fn consumer_bytes(group: &ConsumerDescription) -> usize {
    let topics = |topics: &[TopicAssignment]| topics.iter().map(|one| 256 + 4 * one.partitions.len()).sum::<usize>();
    let names = |member: &ConsumerMember| member.topics.iter().map(|name| 64 + name.len()).sum::<usize>();
    let member =
        |member: &ConsumerMember| MEMBER_BYTES + names(member) + topics(&member.assignment) + topics(&member.target);
    group.members.iter().map(member).sum()
}

/// The topics that there are, for one client.
struct Known {
    log: Log,
    rights: Arc<dyn TopicRights>,
    client: TopicClient,
}

impl Topology for Known {
    fn version(&self) -> u64 {
        *self.log.topics_changed().borrow()
    }

    fn topic(&self, name: &str) -> Option<(Uuid, u32)> {
        self.log.topic(name).map(|topic| (topic.id, topic.partitions))
    }

    fn matching(&self, regex: &Regex) -> Vec<String> {
        let topics = self.log.topics();
        let names = topics.iter().map(|topic| topic.name.as_str());
        names
            .filter(|name| {
                regex.is_match(name)
                    && self.rights.may(&self.client.caller, TopicRight::Describe, TopicThing::Topic(name))
            })
            .map(str::to_owned)
            .collect()
    }
}

/// Puts the outcomes of those that got as far as the coordinator to those that did not.
pub(crate) fn merged<T>(places: Vec<TopicResult<T>>, outcomes: Vec<TopicResult<()>>) -> Vec<TopicResult<()>> {
    let mut outcomes = outcomes.into_iter();
    let outcome = |place: TopicResult<T>| match place {
        Ok(_) => outcomes.next().unwrap_or_else(|| Err(TopicError::Internal.into())),
        Err(failure) => Err(failure),
    };
    places.into_iter().map(outcome).collect()
}

impl Streaming {
    /// Offsets to be committed, their topics found: what is refused beforehand, and the rest.
    pub(crate) fn commit_of(
        &self,
        client: &TopicClient,
        commit: CommitOffsets,
    ) -> TopicResult<(Vec<TopicResult<Place>>, Commit)> {
        self.check_group(client, TopicRight::Read, &commit.group)?;
        let wanted: Vec<TopicPartition> = commit.offsets.iter().map(|entry| entry.of.clone()).collect();
        let places = self.places(client, TopicRight::Read, &wanted);
        let found = places.iter().zip(commit.offsets).filter_map(|(place, entry)| {
            // The coordinator says when it was: by its time offsets grow old.
            let at_ms = 0;
            let committed =
                Committed { offset: entry.offset, leader_epoch: entry.leader_epoch, metadata: entry.metadata, at_ms };
            place.as_ref().ok().map(|place| (*place, committed))
        });
        let offsets = found.collect();
        let CommitOffsets { group, generation, member, .. } = commit;
        Ok((places, Commit { group, generation, member, offsets }))
    }

    /// A partition by the name of its topic; `None` if that is no more.
    fn named(&self, (topic, partition): Place) -> Option<TopicPartition> {
        let topic = self.inner.log.topic_by_id(topic)?;
        Some(TopicPartition { topic: TopicRef::named(&topic.name), partition })
    }

    fn name_topics(&self, assignments: &mut [TopicAssignment]) {
        for assignment in assignments {
            if let Some(topic) = self.inner.log.topic_by_id(assignment.topic) {
                assignment.name.clone_from(&topic.name);
            }
        }
    }

    /// One answer for each group that may be known of, as long as these are not too large together. `bytes_of`: about what
    /// an answer takes.
    async fn of_groups<T: Send + 'static>(
        &self,
        client: &TopicClient,
        names: Vec<String>,
        tell: impl Fn(&super::Groups, &str) -> TopicResult<T> + Send + 'static,
        bytes_of: impl Fn(&T) -> usize + Send + 'static,
    ) -> TopicResult<Vec<TopicResult<T>>> {
        let allowed = |name: String| self.check_group(client, TopicRight::Describe, &name).map(|()| name);
        let names: Vec<Result<String, TopicError>> = names.into_iter().map(allowed).collect();
        let all = self.inner.coordination.ask(move |coordinator, _| {
            let mut effects = Effects::default();
            let mut bytes = 0;
            let answers = names.into_iter().map(|name| {
                let name = name?;
                effects.about.push(crate::effects::Subject::Group(name.clone()));
                if bytes >= DESCRIBED_BYTES_MAX {
                    return Err(TopicFailure::new(TopicError::InvalidRequest, "too many groups are asked for at once"));
                }
                let told = tell(&coordinator.groups, &name);
                bytes += told.as_ref().map_or(0, &bytes_of);
                told
            });
            let answers: Vec<TopicResult<T>> = answers.collect();
            Ok((answers, effects))
        });
        all.await
    }

    fn fresh_id(&self, client: &TopicClient) -> String {
        let id: String = client.client_id.chars().take(200).collect();
        format!("{id}-{}", Uuid::from_bytes((self.inner.options.random)()))
    }
}

#[async_trait]
impl TopicGroups for Streaming {
    async fn join(&self, client: &TopicClient, join: JoinGroup) -> TopicResult<Joined> {
        self.check_group(client, TopicRight::Read, &join.group)?;
        let (fresh_id, client) = (self.fresh_id(client), client.clone());
        let joined = self
            .inner
            .coordination
            .join(move |coordinator, now_ms, ticket| coordinator.groups.join(now_ms, ticket, &client, join, &fresh_id));
        joined.await
    }

    async fn sync(&self, client: &TopicClient, sync: SyncGroup) -> TopicResult<SyncedGroup> {
        self.check_group(client, TopicRight::Read, &sync.group)?;
        let synced = self
            .inner
            .coordination
            .sync(move |coordinator, now_ms, ticket| coordinator.groups.sync(now_ms, ticket, sync));
        synced.await
    }

    async fn heartbeat(
        &self,
        client: &TopicClient,
        group: &str,
        generation: i32,
        member: &MemberId,
    ) -> TopicResult<()> {
        self.check_group(client, TopicRight::Read, group)?;
        let (group, member) = (group.to_owned(), member.clone());
        let heard = self.inner.coordination.ask(move |coordinator, now_ms| {
            coordinator.groups.heartbeat(now_ms, &group, generation, &member)?;
            Ok(((), Effects::of_group(&group)))
        });
        heard.await
    }

    async fn leave(
        &self,
        client: &TopicClient,
        group: &str,
        members: Vec<LeavingMember>,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        self.check_group(client, TopicRight::Read, group)?;
        let group = group.to_owned();
        let left =
            self.inner.coordination.ask(move |coordinator, now_ms| coordinator.groups.leave(now_ms, &group, &members));
        left.await
    }

    async fn consumer_heartbeat(
        &self,
        client: &TopicClient,
        heartbeat: ConsumerHeartbeat,
    ) -> TopicResult<ConsumerHeartbeatAnswer> {
        self.check_group(client, TopicRight::Read, &heartbeat.group)?;
        let hidden = |name: &String| !self.must(client, TopicRight::Describe, TopicThing::Topic(name));
        if heartbeat.topics.iter().flatten().any(hidden) {
            return Err(TopicError::TopicForbidden.into());
        }
        let fresh_id = Uuid::from_bytes((self.inner.options.random)()).to_string();
        let (log, rights) = (self.inner.log.clone(), Arc::clone(&self.inner.rights));
        let known = Known { log, rights, client: client.clone() };
        let answered = self.inner.coordination.ask(move |coordinator, now_ms| {
            coordinator.groups.consumer_heartbeat(now_ms, &known.client, &heartbeat, &fresh_id, &known)
        });
        answered.await
    }

    async fn list_groups(&self, client: &TopicClient) -> TopicResult<Vec<GroupListing>> {
        let listed = self.inner.coordination.ask(|coordinator, _| Ok((coordinator.groups.list(), Effects::default())));
        let mut groups = listed.await?;
        groups.retain(|listing| self.may(client, TopicRight::Describe, TopicThing::Group(&listing.group)));
        Ok(groups)
    }

    async fn describe_groups(
        &self,
        client: &TopicClient,
        groups: Vec<String>,
    ) -> TopicResult<Vec<TopicResult<GroupDescription>>> {
        self.of_groups(client, groups, |groups, name| Ok(groups.describe(name)), classic_bytes).await
    }

    async fn describe_consumers(
        &self,
        client: &TopicClient,
        groups: Vec<String>,
    ) -> TopicResult<Vec<TopicResult<ConsumerDescription>>> {
        let mut described = self.of_groups(client, groups, super::Groups::describe_consumer, consumer_bytes).await?;
        for member in described.iter_mut().flatten().flat_map(|description| &mut description.members) {
            self.name_topics(&mut member.assignment);
            self.name_topics(&mut member.target);
        }
        Ok(described)
    }

    async fn delete_groups(&self, client: &TopicClient, groups: Vec<String>) -> TopicResult<Vec<TopicResult<()>>> {
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            if let Err(error) = self.check_group(client, TopicRight::Delete, &group) {
                results.push(Err(error.into()));
                continue;
            }
            let deleted =
                self.inner.coordination.ask(move |coordinator, _| Ok(((), coordinator.groups.delete(&group)?)));
            results.push(deleted.await);
        }
        Ok(results)
    }

    async fn commit_offsets(&self, client: &TopicClient, commit: CommitOffsets) -> TopicResult<Vec<TopicResult<()>>> {
        let (places, commit) = self.commit_of(client, commit)?;
        let committed =
            self.inner.coordination.ask(move |coordinator, now_ms| coordinator.groups.commit(now_ms, commit));
        Ok(merged(places, committed.await?))
    }

    async fn fetch_offsets(&self, client: &TopicClient, fetch: FetchOffsets) -> TopicResult<Vec<FetchedOffset>> {
        self.check_group(client, TopicRight::Describe, &fetch.group)?;
        let FetchOffsets { group, member, partitions, stable } = fetch;
        let places = partitions.as_ref().map(|wanted| self.places(client, TopicRight::Describe, wanted));
        let asked = places.clone();
        let found = self.inner.coordination.ask(move |coordinator, _| {
            let groups = &coordinator.groups;
            groups.check_reader(&group, member.as_ref().map(|(id, epoch)| (id.as_str(), *epoch)))?;
            let all = match asked {
                Some(asked) => asked.into_iter().flatten().collect(),
                None => groups.places(&group),
            };
            let mut bytes = 0;
            let found = all.into_iter().map(|place| {
                let found = groups.offset(&group, place, stable).map(Option::<&Committed>::cloned);
                bytes +=
                    OFFSET_BYTES + found.as_ref().ok().and_then(Option::as_ref).map_or(0, |one| one.metadata.len());
                if bytes > OFFSETS_BYTES_MAX {
                    let message = "the offsets of these partitions are too many for one answer: ask for fewer at once";
                    return Err(TopicFailure::new(TopicError::InvalidRequest, message));
                }
                Ok((place, found))
            });
            Ok((found.collect::<TopicResult<Vec<_>>>()?, Effects::of_group(&group)))
        });
        let told = |of: TopicPartition, result: Result<Option<Committed>, TopicError>| {
            let entry = |committed: Committed| OffsetEntry {
                of: of.clone(),
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                metadata: committed.metadata,
            };
            let result = result.map(|committed| committed.map(entry)).map_err(Into::into);
            FetchedOffset { of, result }
        };
        let mut found = found.await?.into_iter();
        let (Some(partitions), Some(places)) = (partitions, places) else {
            let all = found.filter_map(|(place, result)| Some(told(self.named(place)?, result)));
            // What is left out of a list is refused to nobody.
            let seen = |fetched: &FetchedOffset| match &fetched.of.topic {
                TopicRef::Name(name) => {
                    self.may(client, TopicRight::Describe, TopicThing::Topic(name))
                        && self.inner.log.topic(name).is_some()
                }
                id => self.topic(client, TopicRight::Describe, id).is_ok(),
            };
            return Ok(all.filter(seen).collect());
        };
        let answer = |(of, place): (TopicPartition, TopicResult<Place>)| match place {
            Ok(_) => match found.next() {
                Some((_, result)) => told(of, result),
                None => FetchedOffset { of, result: Err(TopicError::Internal.into()) },
            },
            Err(failure) => FetchedOffset { of, result: Err(failure) },
        };
        Ok(partitions.into_iter().zip(places).map(answer).collect())
    }

    async fn delete_offsets(
        &self,
        client: &TopicClient,
        group: &str,
        partitions: Vec<TopicPartition>,
    ) -> TopicResult<Vec<TopicResult<()>>> {
        self.check_group(client, TopicRight::Delete, group)?;
        let places = self.places(client, TopicRight::Read, &partitions);
        let name_of = |place: &Place| self.inner.log.topic_by_id(place.0).map(|topic| topic.name.clone());
        let named = |place: &Place| name_of(place).map(|name| (*place, name));
        let known: Vec<Option<(Place, String)>> = places.iter().flatten().map(named).collect();
        let group = group.to_owned();
        let deleted =
            self.inner.coordination.ask(move |coordinator, _| coordinator.groups.delete_offsets(&group, &known));
        Ok(merged(places, deleted.await?))
    }
}
