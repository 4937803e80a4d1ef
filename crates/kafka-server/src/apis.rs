//! The requests that are answered: which versions, and how they are built.

use std::collections::HashMap;
use std::sync::LazyLock;

use kafka_protocol::messages::ApiKey;

use crate::shape::Shape;

/// One kind of request.
#[derive(Debug)]
pub(crate) struct Api {
    pub key: ApiKey,
    /// As clients are told.
    pub first: i16,
    pub last: i16,
    /// The fields of a request, in the form that [`Shape::parse`] reads.
    pub shape: &'static str,
}

const fn api(key: ApiKey, first: i16, last: i16, shape: &'static str) -> Api {
    Api { key, first, last, shape }
}

/// What is answered, in the order of the keys. The versions go from the oldest that today's clients use (KIP-896) to
/// the newest that is worth having: librdkafka's.
pub(crate) const APIS: &[Api] = &[
    // From 0, though 3 is the first: librdkafka takes a server that does not say so for one that knows no compression
    // (KAFKA-18659).
    api(ApiKey::Produce, 0, 10, "s 2 4 {s {4 b}}"),
    api(ApiKey::Fetch, 4, 16, "-14:4 4 4 4 1 7:4 7:4 {-12:s 13:16 {4 9:4 8 12:4 5:8 4}} 7:{-12:s 13:16 [4]} 11:s"),
    api(ApiKey::ListOffsets, 1, 7, "4 2:1 {s {4 4:4 8}}"),
    api(ApiKey::Metadata, 0, 13, "{10:16 s} 4:1 8-10:1 8:1"),
    api(ApiKey::OffsetCommit, 2, 9, "s 4 s 7:s 2-4:8 {s {4 8 6:4 s}}"),
    api(ApiKey::OffsetFetch, 1, 9, "-7:s -7:{s [4]} 8:{s 9:s 9:4 {s [4]}} 7:1"),
    api(ApiKey::FindCoordinator, 0, 2, "s 1:1"),
    api(ApiKey::JoinGroup, 0, 5, "s 4 1:4 s 5:s s {s b}"),
    api(ApiKey::Heartbeat, 0, 3, "s 4 s 3:s"),
    api(ApiKey::LeaveGroup, 0, 1, "s s"),
    api(ApiKey::SyncGroup, 0, 3, "s 4 s 3:s {s b}"),
    api(ApiKey::DescribeGroups, 0, 5, "[s] 3:1"),
    api(ApiKey::ListGroups, 0, 5, "4:[s] 5:[s]"),
    api(ApiKey::SaslHandshake, 0, 1, "s"),
    api(ApiKey::ApiVersions, 0, 3, "3:s 3:s"),
    api(ApiKey::CreateTopics, 2, 4, "{s 4 2 {4 [4]} {s s}} 4 1"),
    api(ApiKey::DeleteTopics, 1, 4, "[s] 4"),
    api(ApiKey::DeleteRecords, 0, 2, "{s {4 8}} 4"),
    api(ApiKey::InitProducerId, 0, 4, "s 4 3:8 3:2"),
    api(ApiKey::OffsetForLeaderEpoch, 2, 4, "3:4 {s {4 4 4}}"),
    api(ApiKey::AddPartitionsToTxn, 0, 0, "s 8 2 {s [4]}"),
    api(ApiKey::AddOffsetsToTxn, 0, 0, "s 8 2 s"),
    api(ApiKey::EndTxn, 0, 1, "s 8 2 1"),
    api(ApiKey::TxnOffsetCommit, 0, 3, "s s 8 2 3:4 3:s 3:s {s {4 8 2:4 s}}"),
    api(ApiKey::DescribeAcls, 1, 3, "1 s 1 s s 1 1"),
    api(ApiKey::CreateAcls, 1, 3, "{1 s 1 s s 1 1}"),
    api(ApiKey::DeleteAcls, 1, 3, "{1 s 1 s s 1 1}"),
    api(ApiKey::DescribeConfigs, 1, 4, "{1 s [s]} 1 3:1"),
    api(ApiKey::AlterConfigs, 0, 2, "{1 s {s s}} 1"),
    api(ApiKey::SaslAuthenticate, 0, 2, "b"),
    api(ApiKey::CreatePartitions, 0, 3, "{s 4 {[4]}} 4 1"),
    api(ApiKey::DeleteGroups, 0, 2, "[s]"),
    api(ApiKey::IncrementalAlterConfigs, 0, 1, "{1 s {s 1 s}} 1"),
    api(ApiKey::OffsetDelete, 0, 0, "s {s {4}}"),
    api(ApiKey::DescribeClientQuotas, 0, 1, "{s 1 s} 1"),
    api(ApiKey::AlterClientQuotas, 0, 1, "{{s s} {s 8 1}} 1"),
    api(ApiKey::DescribeCluster, 0, 1, "1 1:1"),
    api(ApiKey::ConsumerGroupHeartbeat, 0, 1, "s s 4 s s 4 [s] 1:s s {16 [4]}"),
    api(ApiKey::ConsumerGroupDescribe, 0, 1, "[s] 1"),
];

/// Produce's first version that can be read: those before have batches of formats that no client writes any more.
pub(crate) const PRODUCE_FIRST: i16 = 3;

static SHAPES: LazyLock<HashMap<i16, (&'static Api, Shape)>> =
    LazyLock::new(|| APIS.iter().filter_map(|api| Some((api.key as i16, (api, Shape::parse(api.shape)?)))).collect());

/// The kind of request with this key, if it is answered.
pub(crate) fn of_key(key: i16) -> Option<&'static (&'static Api, Shape)> {
    SHAPES.get(&key)
}

impl Api {
    pub(crate) fn takes(&self, version: i16) -> bool {
        let first = if matches!(self.key, ApiKey::Produce) { PRODUCE_FIRST } else { self.first };
        (first..=self.last).contains(&version)
    }

    /// Whether this version has lengths of variable size, and tags.
    pub(crate) fn is_flexible(&self, version: i16) -> bool {
        self.key.request_header_version(version) >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::APIS;

    const PAGE: &str = include_str!("../../../docs/kafka.md");

    #[test]
    fn the_page_lists_what_is_answered() {
        let row = |line: &str| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (name, versions) = (cells.next()?, cells.next()?);
            versions.contains('–').then(|| format!("{name} {versions}"))
        };
        let told: Vec<String> = PAGE.lines().filter_map(row).collect();
        let answered: Vec<String> =
            APIS.iter().map(|api| format!("{:?} {}–{}", api.key, api.first, api.last)).collect();
        assert_eq!(told, answered);
    }
}
