use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use polder_capability::Caller;
use polder_capability::topics::{
    ConsumerHeartbeat, ConsumerHeartbeatAnswer, MemberId, TopicAssignment, TopicClient, TopicError,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use regex::Regex;
use uuid::Uuid;

use super::{Assignor, ConsumerGroup, ConsumerLimits, Keep, Partitions, Topology};

struct Topics {
    version: u64,
    all: BTreeMap<String, (Uuid, u32)>,
}

impl Topics {
    fn of(topics: &[(&str, u32)]) -> Self {
        let all = topics.iter().enumerate();
        let all = all.map(|(id, (name, partitions))| ((*name).to_owned(), (Uuid::from_u128(id as u128), *partitions)));
        Self { version: 1, all: all.collect() }
    }
}

impl Topology for Topics {
    fn version(&self) -> u64 {
        self.version
    }

    fn topic(&self, name: &str) -> Option<(Uuid, u32)> {
        self.all.get(name).copied()
    }

    fn matching(&self, regex: &Regex) -> Vec<String> {
        self.all.keys().filter(|name| regex.is_match(name)).cloned().collect()
    }
}

fn client() -> TopicClient {
    TopicClient { caller: Caller::new("u", "kafka"), client_id: "c".into(), host: "h".into() }
}

fn beat(member: &str, epoch: i32) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: "g".to_owned(),
        member: MemberId { id: member.to_owned(), instance: None },
        epoch,
        rack: None,
        rebalance_timeout: (epoch == 0).then_some(Duration::from_secs(10)),
        topics: (epoch == 0).then(|| vec!["t".to_owned()]),
        topics_regex: None,
        assignor: None,
        owned: (epoch == 0).then(Vec::new),
        own_id: true,
    }
}

fn of_instance(mut beat: ConsumerHeartbeat, instance: &str) -> ConsumerHeartbeat {
    beat.member.instance = Some(instance.to_owned());
    beat
}

fn group() -> ConsumerGroup {
    ConsumerGroup::new(ConsumerLimits::default(), 0)
}

fn error(answer: polder_capability::topics::TopicResult<ConsumerHeartbeatAnswer>) -> TopicError {
    answer.unwrap_err().error
}

fn count(answer: &ConsumerHeartbeatAnswer) -> Option<usize> {
    answer.assignment.as_ref().map(|all| all.iter().map(|topic| topic.partitions.len()).sum())
}

#[test]
fn what_contradicts_itself_is_refused() {
    let topics = Topics::of(&[("t", 2)]);
    let mut group = group();
    let mut send = |beat: ConsumerHeartbeat| error(group.heartbeat(0, &client(), &beat, "fresh", &topics));
    assert_eq!(send(beat("", 0)), TopicError::InvalidRequest);
    assert_eq!(send(beat("a", -3)), TopicError::InvalidRequest);
    assert_eq!(send(beat("a", -2)), TopicError::InvalidRequest);
    assert_eq!(send(ConsumerHeartbeat { topics: None, ..beat("a", 0) }), TopicError::InvalidRequest);
    assert_eq!(send(ConsumerHeartbeat { owned: None, ..beat("a", 0) }), TopicError::InvalidRequest);
    assert_eq!(send(ConsumerHeartbeat { rebalance_timeout: None, ..beat("a", 0) }), TopicError::InvalidRequest);
    let assignor = Some("mine".to_owned());
    assert_eq!(send(ConsumerHeartbeat { assignor, ..beat("a", 0) }), TopicError::UnsupportedAssignor);
    for pattern in ["(", &"x".repeat(5_000), "a{1000000}"] {
        let topics_regex = Some(pattern.to_owned());
        assert_eq!(send(ConsumerHeartbeat { topics_regex, ..beat("a", 0) }), TopicError::InvalidRegex, "{pattern}");
    }
    assert_eq!(send(beat("a", 3)), TopicError::UnknownMember);
    assert!(group.members.is_empty());
}

#[test]
fn an_old_epoch_is_fenced_unless_its_answer_was_lost() {
    let topics = Topics::of(&[("t", 2)]);
    let mut group = group();
    let first = group.heartbeat(0, &client(), &beat("a", 0), "", &topics).unwrap();
    assert_eq!((first.epoch, count(&first)), (1, Some(2)));
    let mut more = beat("a", 1);
    more.topics = Some(vec!["t".to_owned(), "u".to_owned()]);
    assert_eq!(group.heartbeat(0, &client(), &more, "", &topics).unwrap().epoch, 2);
    more.owned = first.assignment.clone();
    assert_eq!(group.heartbeat(0, &client(), &more, "", &topics).unwrap().epoch, 2);
    assert_eq!(error(group.heartbeat(0, &client(), &beat("a", 1), "", &topics)), TopicError::FencedMemberEpoch);
    assert_eq!(error(group.heartbeat(0, &client(), &beat("a", 9), "", &topics)), TopicError::FencedMemberEpoch);
}

#[test]
fn a_static_member_leaves_for_a_while() {
    let topics = Topics::of(&[("t", 4)]);
    let mut group = group();
    let send = |group: &mut ConsumerGroup, beat| group.heartbeat(0, &client(), &beat, "", &topics);
    send(&mut group, of_instance(beat("a", 0), "i")).unwrap();
    assert_eq!(error(send(&mut group, of_instance(beat("b", 0), "i"))), TopicError::UnreleasedInstance);
    send(&mut group, of_instance(beat("a", -2), "i")).unwrap();
    let epoch = group.epoch;
    let back = send(&mut group, of_instance(beat("b", 0), "i")).unwrap();
    assert_eq!((back.epoch, count(&back), group.epoch), (epoch, Some(4), epoch));
    assert_eq!(error(send(&mut group, of_instance(beat("a", 1), "i"))), TopicError::FencedInstance);
    send(&mut group, of_instance(beat("b", -2), "i")).unwrap();
    group.tick(ConsumerLimits::default().session_ms);
    assert!(group.members.is_empty());
}

#[test]
fn who_does_not_give_back_in_time_is_out() {
    let topics = Topics::of(&[("t", 2)]);
    let mut group = group();
    group.heartbeat(0, &client(), &beat("a", 0), "", &topics).unwrap();
    group.heartbeat(0, &client(), &beat("b", 0), "", &topics).unwrap();
    let told = group.heartbeat(0, &client(), &beat("a", 1), "", &topics).unwrap();
    assert_eq!(count(&told), Some(1));
    group.heartbeat(9_000, &client(), &beat("a", 1), "", &topics).unwrap();
    group.tick(9_999);
    assert_eq!(group.members.len(), 2);
    group.tick(10_000);
    assert_eq!(group.members.keys().collect::<Vec<_>>(), ["b"]);
    let all = group.heartbeat(10_001, &client(), &beat("b", 2), "", &topics).unwrap();
    assert_eq!((all.epoch, count(&all)), (3, Some(2)));
}

#[test]
fn a_regular_expression_finds_what_comes_later() {
    let mut topics = Topics::of(&[("t1", 1), ("x", 1)]);
    let mut group = group();
    let mut join = beat("a", 0);
    (join.topics, join.topics_regex) = (None, Some("t.".to_owned()));
    assert_eq!(count(&group.heartbeat(0, &client(), &join, "", &topics).unwrap()), Some(1));
    topics.all.insert("t2".to_owned(), (Uuid::from_u128(9), 3));
    topics.all.insert("xt2".to_owned(), (Uuid::from_u128(10), 3));
    topics.version += 1;
    let more = group.heartbeat(0, &client(), &beat("a", 1), "", &topics).unwrap();
    assert_eq!((more.epoch > 1, count(&more)), (true, Some(4)));
}

#[test]
fn every_assignor_gives_each_partition_to_one_reader_and_evenly() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let topics: BTreeMap<Uuid, u32> =
            (0..random.random_range(1..5)).map(|id| (Uuid::from_u128(id), random.random_range(1..9))).collect();
        let same = random.random_bool(0.5);
        let mut wish =
            || -> BTreeSet<Uuid> { topics.keys().filter(|_| same || random.random_bool(0.7)).copied().collect() };
        let wishes: BTreeMap<String, BTreeSet<Uuid>> = (0..4).map(|id| (format!("m{id}"), wish())).collect();
        for assignor in [Assignor::Uniform, Assignor::Range] {
            let divided = assignor.divide(&wishes, &topics, &BTreeMap::new());
            check(&divided, &wishes, &topics);
            if same && assignor == Assignor::Uniform {
                let loads: Vec<usize> = divided.values().map(Partitions::len).collect();
                let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
                assert!(spread <= 1, "seed {seed}: {loads:?}");
            }
        }
        // Nobody moves without need.
        let before = Assignor::Uniform.divide(&wishes, &topics, &BTreeMap::new());
        assert_eq!(Assignor::Uniform.divide(&wishes, &topics, &before), before, "seed {seed}");
    }
}

fn check(
    divided: &BTreeMap<String, Partitions>,
    wishes: &BTreeMap<String, BTreeSet<Uuid>>,
    topics: &BTreeMap<Uuid, u32>,
) {
    let mut given = BTreeSet::new();
    for (member, part) in divided {
        for place in part.iter() {
            assert!(wishes[member].contains(&place.0));
            assert!(given.insert(place), "{place:?} twice");
        }
    }
    let read = topics.iter().filter(|(topic, _)| wishes.values().any(|wish| wish.contains(*topic)));
    assert_eq!(given.len() as u32, read.map(|(_, partitions)| partitions).sum::<u32>());
}

/// A client as KIP-848 has it: it reads what it was given, gives back what it is told to, and says so.
#[derive(Clone, Default)]
struct Reader {
    epoch: i32,
    owns: Option<Vec<TopicAssignment>>,
    /// It has something to say about what it owns.
    news: bool,
}

/// Whatever happens in whatever order, no partition is read by two at once; and in quiet times everything is read.
#[test]
fn any_order_of_events_keeps_one_owner_a_partition() {
    for seed in 0..300 {
        churn(seed);
    }
}

fn churn(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut topics = Topics::of(&[("t", 5)]);
    let mut group = group();
    let mut kept: HashMap<Option<String>, bytes::Bytes> = HashMap::new();
    let mut readers: Vec<Reader> = vec![Reader::default(); 4];
    let mut now_ms = 0;
    let mut step = |random: &mut StdRng,
                    readers: &mut Vec<Reader>,
                    group: &mut ConsumerGroup,
                    topics: &mut Topics,
                    quiet: bool| {
        let number = random.random_range(0..readers.len());
        let name = format!("r{number}");
        match if quiet { 0 } else { random.random_range(0..20) } {
            0..=13 => talk(group, &name, &mut readers[number], topics, now_ms, random.random_bool(0.1) && !quiet),
            14 => {
                // Whoever is late has to notice by itself before others get what it has.
                now_ms += random.random_range(0..3_000);
                for (number, reader) in readers.iter_mut().enumerate() {
                    let id = format!("r{number}");
                    let before = group.members.contains_key(&id);
                    group.tick(now_ms);
                    if before && !group.members.contains_key(&id) {
                        *reader = Reader::default();
                    }
                }
                group.aim();
                for (number, reader) in readers.iter_mut().enumerate() {
                    if !group.members.contains_key(&format!("r{number}")) {
                        *reader = Reader::default();
                    }
                }
            }
            15 => {
                if readers[number].epoch > 0 {
                    let _ = group.heartbeat(now_ms, &client(), &beat(&name, -1), "", topics);
                    readers[number] = Reader::default();
                }
            }
            16 => readers[number] = Reader::default(),
            17 => {
                topics.version += 1;
                let partitions = random.random_range(1..9);
                topics.all.insert("t".to_owned(), (Uuid::from_u128(0), partitions));
            }
            _ => {
                // A restart on what was written.
                let mut again = ConsumerGroup::new(ConsumerLimits::default(), now_ms);
                let header = kept.iter().filter(|(id, _)| id.is_none());
                for (id, bytes) in header.chain(kept.iter().filter(|(id, _)| id.is_some())) {
                    again.load(now_ms, id.as_deref(), Some(bytes)).unwrap();
                }
                *group = again;
            }
        }
        for change in group.take_changes() {
            match change {
                Keep::Group(bytes) => drop(kept.insert(None, bytes)),
                Keep::Member(id, Some(bytes)) => drop(kept.insert(Some(id), bytes)),
                Keep::Member(id, None) => drop(kept.remove(&Some(id))),
            }
        }
        let mut owners: HashMap<(Uuid, i32), usize> = HashMap::new();
        for (number, reader) in readers.iter().enumerate() {
            for topic in reader.owns.iter().flatten() {
                for partition in &topic.partitions {
                    let other = owners.insert((topic.topic, *partition), number);
                    assert_eq!(other, None, "seed {seed}: partition {partition} has two owners");
                }
            }
        }
        owners.len()
    };
    for _ in 0..250 {
        step(&mut random, &mut readers, &mut group, &mut topics, false);
    }
    let mut owned = 0;
    for _ in 0..200 {
        owned = step(&mut random, &mut readers, &mut group, &mut topics, true);
    }
    assert_eq!(owned, topics.all["t"].1 as usize, "seed {seed}: in quiet times all is read");
}

fn talk(group: &mut ConsumerGroup, name: &str, reader: &mut Reader, topics: &Topics, now_ms: i64, answer_lost: bool) {
    let mut message = beat(name, reader.epoch);
    if reader.epoch > 0 && reader.news {
        message.owned = Some(reader.owns.clone().unwrap_or_default());
        message.topics = Some(vec!["t".to_owned()]);
        message.rebalance_timeout = Some(Duration::from_secs(10));
    }
    let answer = group.heartbeat(now_ms, &client(), &message, "", topics);
    if answer_lost {
        // It says again what it has, in full.
        reader.news = true;
        return;
    }
    match answer {
        Ok(answer) => {
            reader.epoch = answer.epoch;
            reader.news = answer.assignment.is_some() && answer.assignment != reader.owns;
            if let Some(assignment) = answer.assignment {
                reader.owns = Some(assignment);
            }
        }
        Err(_) => *reader = Reader::default(),
    }
}
