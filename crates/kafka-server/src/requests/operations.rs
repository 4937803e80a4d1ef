//! What somebody may do, as bits: one for each of Kafka's operations, at the place of its number.
//! <https://cwiki.apache.org/confluence/display/KAFKA/KIP-430+-+Return+Authorized+Operations+in+Describe+Responses>

use polder_capability::topics::{TopicRight, TopicThing};

use super::Ask;

/// It was not asked for, or is not told.
pub(super) const UNKNOWN: i32 = i32::MIN;

const READ: u8 = 3;
const WRITE: u8 = 4;
const CREATE: u8 = 5;
const DELETE: u8 = 6;
const ALTER: u8 = 7;
const DESCRIBE: u8 = 8;
const DESCRIBE_CONFIGS: u8 = 10;
const ALTER_CONFIGS: u8 = 11;

/// Kafka's operations on a thing that a right stands for. Those on the server are of no single topic: its part in a cluster, of
/// which there is none, is nobody's.
fn operations(right: TopicRight, thing: TopicThing<'_>) -> &'static [u8] {
    match (right, thing) {
        (TopicRight::Describe, TopicThing::Transaction(_)) => &[DESCRIBE],
        (TopicRight::Describe, _) => &[DESCRIBE, DESCRIBE_CONFIGS],
        (TopicRight::Read, TopicThing::Topic(_) | TopicThing::Group(_)) => &[READ],
        (TopicRight::Write, TopicThing::Topic(_) | TopicThing::Transaction(_)) => &[WRITE],
        (TopicRight::Create, TopicThing::Topic(_) | TopicThing::Server) => &[CREATE],
        (TopicRight::Delete, TopicThing::Topic(_) | TopicThing::Group(_)) => &[DELETE],
        (TopicRight::Alter, TopicThing::Topic(_) | TopicThing::Server) => &[ALTER, ALTER_CONFIGS],
        (TopicRight::Alter, TopicThing::Group(_)) => &[ALTER_CONFIGS],
        _ => &[],
    }
}

/// The bits of what the client may do with a thing.
pub(super) fn of(ask: &Ask, thing: TopicThing<'_>) -> i32 {
    let Some(rights) = ask.topics().rights_on(&ask.client, thing) else { return UNKNOWN };
    let operations = rights.into_iter().flat_map(|right| operations(right, thing));
    operations.fold(0, |bits, operation| bits | 1 << operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_the_operations_of_their_thing() {
        let all = |thing| {
            let mut all: Vec<u8> =
                TopicRight::ALL.iter().flat_map(|right| operations(*right, thing)).copied().collect();
            all.sort_unstable();
            all
        };
        assert_eq!(all(TopicThing::Topic("t")), [3, 4, 5, 6, 7, 8, 10, 11]);
        assert_eq!(all(TopicThing::Group("g")), [3, 6, 8, 10, 11]);
        assert_eq!(all(TopicThing::Server), [5, 7, 8, 10, 11]);
        assert_eq!(all(TopicThing::Transaction("x")), [4, 8]);
    }
}
