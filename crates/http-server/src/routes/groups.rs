//! Groups, which read topics together, and how far they have come.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use polder_capability::topics::{
    GroupKind, GroupListing, OffsetEntry, PartitionBounds, TopicChoice, TopicDescription, TopicRef,
};
use polder_types::{Error, Result};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::topics::first;
use crate::auth::Identity;
use crate::error::{ApiResult, UNDEFINED_OBJECT};
use crate::extract::Segments;
use crate::model::streams::{Assigned, Group, GroupOffset, Member};
use crate::state::App;
use crate::streams::{Seen, refused};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(list_groups)).routes(routes!(get_group, delete_group))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupList {
    groups: Vec<Group>,
}

/// Lists the groups that read topics, by name
#[utoipa::path(get, path = "/groups", tag = "topics", responses((status = 200, body = GroupList)))]
async fn list_groups(State(app): State<App>, Identity(caller): Identity) -> ApiResult<axum::Json<GroupList>> {
    let seen = Seen::new(&app, caller)?;
    let topics = all_topics(&seen).await?;
    let bounds = seen.bounds(&topics).await?;
    let names = names_of(&topics);
    let mut groups = Vec::new();
    for listing in listed(&seen).await? {
        // One that went away meanwhile is no matter.
        let Ok(members) = members(&seen, &listing).await else { continue };
        let Ok(committed) = seen.committed(&listing.group).await else { continue };
        groups.push(summary(listing, &members, &group_offsets(committed, &bounds, &names)));
    }
    Ok(axum::Json(GroupList { groups }))
}

/// All about a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupDetail {
    group: Group,
    members: Vec<Member>,
    offsets: Vec<GroupOffset>,
}

/// Tells who is in a group, and how far it has come
#[utoipa::path(get, path = "/groups/{name}", tag = "topics",
    params(("name" = String, Path, description = "The group's name")),
    responses((status = 200, body = GroupDetail)))]
async fn get_group(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<axum::Json<GroupDetail>> {
    let seen = Seen::new(&app, caller)?;
    let listing = listed(&seen).await?.into_iter().find(|listing| listing.group == name);
    let listing = listing.ok_or_else(|| no_such_group(&name))?;
    let members = members(&seen, &listing).await?;
    let topics = all_topics(&seen).await?;
    let bounds = seen.bounds(&topics).await?;
    let mut offsets = group_offsets(seen.committed(&name).await?, &bounds, &names_of(&topics));
    for offset in &mut offsets {
        let reads = |member: &&Member| {
            member.assigned.iter().any(|one| one.topic == offset.topic && one.partitions.contains(&offset.partition))
        };
        offset.member = members.iter().find(reads).map(|member| member.id.clone());
    }
    let group = summary(listing, &members, &offsets);
    Ok(axum::Json(GroupDetail { group, members, offsets }))
}

/// Forgets a group and how far it has come
#[utoipa::path(delete, path = "/groups/{name}", tag = "topics",
    params(("name" = String, Path, description = "The group's name")),
    responses((status = 204, description = "Forgotten")))]
async fn delete_group(
    State(app): State<App>,
    Identity(caller): Identity,
    Segments(name): Segments<String>,
) -> ApiResult<StatusCode> {
    let seen = Seen::new(&app, caller)?;
    let what = format!("group {name:?}");
    let deleted = seen.services.topics.delete_groups(&seen.client, vec![name]).await;
    first(deleted.map_err(|failure| refused(failure, &what))?, &what)?;
    Ok(StatusCode::NO_CONTENT)
}

fn no_such_group(name: &str) -> Error {
    Error::not_found(format!("there is no group {name:?}")).with_code(UNDEFINED_OBJECT)
}

fn names_of(topics: &[TopicDescription]) -> HashMap<Uuid, String> {
    topics.iter().map(|topic| (topic.id, topic.name.clone())).collect()
}

async fn all_topics(seen: &Seen<'_>) -> Result<Vec<TopicDescription>> {
    let found = seen.services.topics.describe(&seen.client, &TopicChoice::All, false).await;
    Ok(found.map_err(|failure| refused(failure, "topic"))?.into_iter().flatten().collect())
}

async fn listed(seen: &Seen<'_>) -> Result<Vec<GroupListing>> {
    let mut groups = seen.services.topics.list_groups(&seen.client).await.map_err(|f| refused(f, "group"))?;
    groups.sort_by(|one, two| one.group.cmp(&two.group));
    Ok(groups)
}

fn summary(listing: GroupListing, members: &[Member], offsets: &[GroupOffset]) -> Group {
    let mut topics: Vec<String> = offsets.iter().map(|offset| offset.topic.clone()).collect();
    topics.extend(members.iter().flat_map(|member| member.assigned.iter().map(|one| one.topic.clone())));
    topics.sort();
    topics.dedup();
    let lag = offsets.iter().filter_map(|offset| offset.lag).fold(0, u64::saturating_add);
    Group { members: u32::try_from(members.len()).unwrap_or(u32::MAX), topics, lag, ..Group::from(listing) }
}

/// Offsets with the ends of their partitions, in the order of topics and partitions.
pub(super) fn group_offsets(
    committed: Vec<OffsetEntry>,
    bounds: &HashMap<(String, i32), PartitionBounds>,
    names: &HashMap<Uuid, String>,
) -> Vec<GroupOffset> {
    let told = committed.into_iter().map(|entry| {
        let topic = match &entry.of.topic {
            TopicRef::Name(name) => name.to_string(),
            TopicRef::Id(id) => names.get(id).cloned().unwrap_or_else(|| id.to_string()),
        };
        let place = (topic, entry.of.partition);
        let end = bounds.get(&place).map(|bounds| bounds.end);
        // Deleted records need not be read: what is left begins later.
        let from = entry.offset.max(bounds.get(&place).map_or(0, |bounds| bounds.start));
        let lag = end.map(|end| u64::try_from(end.saturating_sub(from)).unwrap_or(0));
        GroupOffset { topic: place.0, partition: place.1, offset: entry.offset, end, lag, member: None }
    });
    let mut told: Vec<GroupOffset> = told.collect();
    told.sort_by(|one, two| (&one.topic, one.partition).cmp(&(&two.topic, two.partition)));
    told
}

async fn members(seen: &Seen<'_>, listing: &GroupListing) -> Result<Vec<Member>> {
    let what = format!("group {:?}", listing.group);
    let asked = vec![listing.group.clone()];
    let topics = &seen.services.topics;
    match listing.kind {
        GroupKind::Classic => {
            let found = topics.describe_groups(&seen.client, asked).await;
            let found = first(found.map_err(|failure| refused(failure, &what))?, &what)?;
            let members = found.members.into_iter().map(|member| Member {
                id: member.member.id,
                instance: member.member.instance,
                client_id: member.client_id.to_string(),
                host: member.host.to_string(),
                assigned: assigned(&member.assignment).unwrap_or_default(),
            });
            Ok(members.collect())
        }
        GroupKind::Consumer => {
            let found = topics.describe_consumers(&seen.client, asked).await;
            let found = first(found.map_err(|failure| refused(failure, &what))?, &what)?;
            let members = found.members.into_iter().map(|member| Member {
                id: member.member.id,
                instance: member.member.instance,
                client_id: member.client_id.to_string(),
                host: member.host.to_string(),
                assigned: member
                    .assignment
                    .into_iter()
                    .map(|one| Assigned { topic: one.name, partitions: one.partitions })
                    .collect(),
            });
            Ok(members.collect())
        }
    }
}

/// What a classic group's leader gave to a member, in the format that Kafka's consumers agree on: a version, then topics
/// with their partitions. `None`: the group divides something else, in a way of its own.
fn assigned(bytes: &[u8]) -> Option<Vec<Assigned>> {
    let mut rest = bytes;
    take::<2>(&mut rest)?;
    let topics = i32::from_be_bytes(take(&mut rest)?);
    let mut all = Vec::new();
    for _ in 0..topics {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        let count = i32::from_be_bytes(take(&mut rest)?);
        let mut partitions = Vec::new();
        for _ in 0..count {
            partitions.push(i32::from_be_bytes(take(&mut rest)?));
        }
        all.push(Assigned { topic: std::str::from_utf8(name).ok()?.to_owned(), partitions });
    }
    Some(all)
}

fn take<const BYTES: usize>(rest: &mut &[u8]) -> Option<[u8; BYTES]> {
    let (taken, after) = rest.split_first_chunk::<BYTES>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests;
