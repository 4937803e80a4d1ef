use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use polder_capability::Caller;
use polder_capability::topics::{
    GroupState, JoinGroup, Joined, JoinedGroup, LeavingMember, MemberId, SyncGroup, SyncedGroup, TopicClient,
    TopicError,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{ClassicGroup, ClassicLimits, Turn};

fn client() -> TopicClient {
    TopicClient { caller: Caller::new("u", "kafka"), client_id: "c".into(), host: "h".into() }
}

fn join(member: &str, instance: Option<&str>, protocols: &[&str]) -> JoinGroup {
    JoinGroup {
        group: "g".to_owned(),
        member: MemberId { id: member.to_owned(), instance: instance.map(str::to_owned) },
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(20),
        protocol_type: "consumer".to_owned(),
        protocols: protocols.iter().map(|name| ((*name).to_owned(), Bytes::from_static(b"topics"))).collect(),
        id_first: false,
        reason: None,
    }
}

fn sync(joined: &JoinedGroup, instance: Option<&str>, parts: &[(&str, &str)]) -> SyncGroup {
    SyncGroup {
        group: "g".to_owned(),
        generation: joined.generation,
        member: MemberId { id: joined.member_id.clone(), instance: instance.map(str::to_owned) },
        protocol_type: None,
        protocol: None,
        assignments: parts.iter().map(|(id, part)| ((*id).to_owned(), Bytes::from((*part).to_owned()))).collect(),
    }
}

/// A group with its answers by ticket.
struct Table {
    group: ClassicGroup,
    now_ms: i64,
    ticket: u64,
    joined: BTreeMap<u64, Result<Joined, TopicError>>,
    synced: BTreeMap<u64, Result<SyncedGroup, TopicError>>,
    changed: usize,
}

impl Table {
    fn new(initial_delay_ms: i64) -> Self {
        let limits = ClassicLimits { initial_delay_ms, ..ClassicLimits::default() };
        Self {
            group: ClassicGroup::new(limits, 0),
            now_ms: 0,
            ticket: 0,
            joined: BTreeMap::new(),
            synced: BTreeMap::new(),
            changed: 0,
        }
    }

    fn take(&mut self, turn: Turn) {
        self.joined.extend(turn.joined);
        self.synced.extend(turn.synced);
        self.changed += usize::from(turn.changed);
    }

    fn join(&mut self, request: JoinGroup, fresh: &str) -> u64 {
        self.ticket += 1;
        let turn = self.group.join(self.now_ms, self.ticket, &client(), request, fresh);
        self.take(turn);
        self.ticket
    }

    fn sync(&mut self, request: SyncGroup) -> u64 {
        self.ticket += 1;
        let turn = self.group.sync(self.now_ms, self.ticket, request);
        self.take(turn);
        self.ticket
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        let turn = self.group.tick(self.now_ms);
        self.take(turn);
    }

    fn in_group(&self, ticket: u64) -> JoinedGroup {
        match self.joined.get(&ticket) {
            Some(Ok(Joined::Group(joined))) => joined.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// A group of these members, all settled.
    fn settled(members: &[(&str, Option<&str>)]) -> (Self, Vec<JoinedGroup>) {
        let mut table = Self::new(1_000);
        let tickets: Vec<u64> =
            members.iter().map(|(id, instance)| table.join(join("", *instance, &["range"]), id)).collect();
        table.pass(1_000);
        table.pass(1_000);
        let joined: Vec<JoinedGroup> = tickets.iter().map(|ticket| table.in_group(*ticket)).collect();
        for (one, (_, instance)) in joined.iter().zip(members) {
            let parts: Vec<(&str, &str)> = members.iter().map(|(id, _)| (*id, *id)).collect();
            let leads = one.leader == one.member_id;
            table.sync(sync(one, *instance, if leads { &parts } else { &[] }));
        }
        assert_eq!(table.group.state, GroupState::Stable);
        (table, joined)
    }
}

#[test]
fn an_empty_group_waits_for_more_members() {
    let mut table = Table::new(3_000);
    let one = table.join(join("", None, &["range"]), "one");
    table.pass(2_000);
    let two = table.join(join("", None, &["range"]), "two");
    table.pass(1_000);
    assert!(table.joined.is_empty(), "somebody came, so it waits once more");
    table.pass(3_000);
    assert_eq!(table.in_group(one).generation, 1);
    assert_eq!(table.in_group(two).generation, 1);
    assert_eq!(table.in_group(one).members.len(), 2);
    assert!(table.in_group(two).members.is_empty());
}

#[test]
fn a_newcomer_first_takes_an_id() {
    let mut table = Table::new(0);
    let ask = table.join(JoinGroup { id_first: true, ..join("", None, &["range"]) }, "one");
    assert_eq!(table.joined[&ask], Ok(Joined::TakeId("one".to_owned())));
    assert_eq!(table.group.state, GroupState::Empty);
    let unknown = table.join(join("other", None, &["range"]), "x");
    assert_eq!(table.joined[&unknown], Err(TopicError::UnknownMember));
    let one = table.join(join("one", None, &["range"]), "x");
    table.pass(0);
    assert_eq!(table.in_group(one).member_id, "one");
    // An id that is never used holds nobody up for longer than a session.
    table.join(JoinGroup { id_first: true, ..join("", None, &["range"]) }, "two");
    let again = table.join(join("one", None, &["range", "sticky"]), "x");
    assert!(!table.joined.contains_key(&again));
    table.pass(10_000);
    assert_eq!(table.in_group(again).generation, 2);
}

#[test]
fn members_agree_on_a_way_that_all_know() {
    let mut table = Table::new(1_000);
    let one = table.join(join("", None, &["cooperative", "range"]), "one");
    let two = table.join(join("", None, &["range", "cooperative"]), "two");
    let three = table.join(join("", None, &["range"]), "three");
    let four = table.join(join("", None, &["sticky"]), "four");
    assert_eq!(table.joined[&four], Err(TopicError::InconsistentProtocol));
    let five = table.join(JoinGroup { protocol_type: "connect".to_owned(), ..join("", None, &["range"]) }, "five");
    assert_eq!(table.joined[&five], Err(TopicError::InconsistentProtocol));
    table.pass(1_000);
    table.pass(1_000);
    for ticket in [one, two, three] {
        assert_eq!(table.in_group(ticket).protocol, "range");
    }
    let short = JoinGroup { session_timeout: Duration::from_secs(1), ..join("", None, &["range"]) };
    let six = table.join(short, "six");
    assert_eq!(table.joined[&six], Err(TopicError::InvalidSessionTimeout));
    let much = vec![("range".to_owned(), Bytes::from(vec![0; 2 << 20]))];
    let seven = table.join(JoinGroup { protocols: much, ..join("", None, &[]) }, "seven");
    assert_eq!(table.joined[&seven], Err(TopicError::InvalidRequest));
}

#[test]
fn who_does_not_come_back_is_out() {
    let (mut table, joined) = Table::settled(&[("one", None), ("two", None)]);
    let again = table.join(join("one", None, &["sticky", "range"]), "x");
    assert_eq!(table.group.heartbeat(table.now_ms, "two", None, 1), Err(TopicError::RebalanceInProgress));
    table.pass(9_000);
    table.group.heartbeat(table.now_ms, "two", None, 1).unwrap_err();
    table.pass(9_000);
    table.group.heartbeat(table.now_ms, "two", None, 1).unwrap_err();
    assert!(!table.joined.contains_key(&again));
    table.pass(2_000);
    assert_eq!(table.in_group(again).generation, 2);
    assert_eq!(table.group.heartbeat(table.now_ms, "two", None, 2), Err(TopicError::UnknownMember));
    assert_eq!(joined.len(), 2);
}

#[test]
fn who_joins_and_does_not_sync_is_out() {
    let (mut table, _) = Table::settled(&[("one", None), ("two", None)]);
    let one = table.join(join("one", None, &["sticky", "range"]), "x");
    let two = table.join(join("two", None, &["range"]), "x");
    let (one, two) = (table.in_group(one), table.in_group(two));
    let (leads, follows) = if one.leader == one.member_id { (one, two) } else { (two, one) };
    let waits = table.sync(sync(&follows, None, &[]));
    for _ in 0..3 {
        table.pass(9_000);
        let _ = table.group.heartbeat(table.now_ms, &leads.member_id, None, 2);
    }
    assert_eq!(table.synced[&waits], Err(TopicError::RebalanceInProgress));
    assert_eq!(table.group.check_member(&leads.member_id, None), Err(TopicError::UnknownMember));
}

#[test]
fn a_static_member_comes_back_to_its_place() {
    let (mut table, joined) = Table::settled(&[("one", Some("a")), ("two", Some("b"))]);
    let leader = joined[0].leader.clone();
    let (place, old) = if leader == "one" { ("b", "two") } else { ("a", "one") };
    let back = table.join(join("", Some(place), &["range"]), "new");
    let back = table.in_group(back);
    assert_eq!((back.generation, back.member_id.as_str()), (1, "new"));
    assert_eq!(table.group.state, GroupState::Stable);
    let synced = table.sync(sync(&back, Some(place), &[]));
    assert_eq!(&table.synced[&synced].as_ref().unwrap().assignment[..], old.as_bytes());
    let fenced = table.group.heartbeat(table.now_ms, old, Some(place), 1);
    assert_eq!(fenced, Err(TopicError::FencedInstance));
    assert_eq!(table.group.check_commit(0, old, Some(place), 1, false), Err(TopicError::FencedInstance));
    // With other wishes, all agree anew.
    let moved = table.join(join("", Some(place), &["sticky", "range"]), "newer");
    assert_eq!(table.group.state, GroupState::Stable, "what it says about the way in force is the same");
    table.in_group(moved);
    // An administrator takes it out by its instance.
    let leaving =
        [LeavingMember { member: MemberId { id: String::new(), instance: Some(place.to_owned()) }, reason: None }];
    let (outcomes, turn) = table.group.leave(table.now_ms, &leaving);
    table.take(turn);
    assert_eq!(outcomes, [Ok(())]);
    assert_eq!(table.group.state, GroupState::PreparingRebalance);
}

#[test]
fn several_leave_at_once_and_the_last_empties_the_group() {
    let (mut table, _) = Table::settled(&[("one", None), ("two", None)]);
    let member = |id: &str| LeavingMember { member: MemberId { id: id.to_owned(), instance: None }, reason: None };
    let before = table.changed;
    let (outcomes, turn) = table.group.leave(table.now_ms, &[member("one"), member("nobody"), member("two")]);
    table.take(turn);
    assert_eq!(outcomes, [Ok(()), Err(TopicError::UnknownMember), Ok(())]);
    assert_eq!(table.group.state, GroupState::Empty);
    assert_eq!(table.changed, before + 1);
    assert_eq!(table.group.check_commit(0, "", None, -1, false), Ok(()));
}

#[test]
fn a_group_is_kept_as_it_was_settled() {
    let (table, _) = Table::settled(&[("one", Some("a")), ("two", None)]);
    let bytes = table.group.encode();
    let mut kept = ClassicGroup::decode(ClassicLimits::default(), 50, &bytes).unwrap();
    assert_eq!((kept.state, kept.generation), (GroupState::Stable, 1));
    assert_eq!(kept.heartbeat(60, "two", None, 1), Ok(()));
    assert_eq!(kept.heartbeat(60, "other", Some("a"), 1), Err(TopicError::FencedInstance));
    assert_eq!(kept.encode(), bytes);
    for cut in 0..bytes.len() {
        assert!(ClassicGroup::decode(ClassicLimits::default(), 0, &bytes[..cut]).is_err(), "{cut}");
    }
}

/// Members that come, go, are silent and restart, in any order; after each step what must hold is looked at.
#[test]
fn any_order_of_events_keeps_one_owner_a_partition() {
    for seed in 0..300 {
        Churn::new(seed).run();
    }
}

#[derive(Clone, Default)]
struct Actor {
    id: String,
    instance: Option<String>,
    generation: i32,
    leader: bool,
    others: Vec<String>,
    joining: Option<u64>,
    syncing: Option<u64>,
    /// What it believes that it owns, and of which generation.
    owns: Option<String>,
}

struct Churn {
    seed: u64,
    random: StdRng,
    table: Table,
    actors: Vec<Actor>,
    fresh: usize,
    newest: i32,
}

impl Churn {
    fn new(seed: u64) -> Self {
        let actor =
            |number: usize| Actor { instance: (number % 2 == 1).then(|| format!("i{number}")), ..Actor::default() };
        let actors = (0..4).map(actor).collect();
        let random = StdRng::seed_from_u64(seed);
        Self { seed, random, table: Table::new(500), actors, fresh: 0, newest: 0 }
    }

    fn run(&mut self) {
        for _ in 0..120 {
            let number = self.random.random_range(0..self.actors.len());
            match self.random.random_range(0..12) {
                0..=4 => self.go_on(number),
                5 => self.table.pass(self.random.random_range(1..4_000)),
                6 => self.heartbeat(number),
                7 => self.commit(number),
                8 if self.random.random_bool(0.3) => self.leave(number),
                9 if self.random.random_bool(0.3) => self.lose_memory(number),
                10 if self.random.random_bool(0.2) => self.restart(),
                _ => self.heartbeat(number),
            }
            self.hear();
            self.look();
        }
    }

    /// The next thing that a client would do.
    fn go_on(&mut self, number: usize) {
        let actor = self.actors[number].clone();
        if actor.joining.is_some() || actor.syncing.is_some() {
            return;
        }
        if actor.generation == 0 {
            self.fresh += 1;
            let request = join(&actor.id, actor.instance.as_deref(), &["range"]);
            let ticket = self.table.join(request, &format!("m{}", self.fresh));
            self.actors[number].joining = Some(ticket);
            self.actors[number].owns = None;
        } else if actor.owns.is_none() {
            let joined = JoinedGroup {
                generation: actor.generation,
                protocol_type: String::new(),
                protocol: String::new(),
                leader: String::new(),
                member_id: actor.id.clone(),
                members: Vec::new(),
                skip_assignment: false,
            };
            let generation = actor.generation.to_string();
            let parts: Vec<(String, String)> =
                actor.others.iter().map(|id| (id.clone(), format!("{id} of {generation}"))).collect();
            let parts: Vec<(&str, &str)> = parts.iter().map(|(id, part)| (id.as_str(), part.as_str())).collect();
            let request = sync(&joined, actor.instance.as_deref(), if actor.leader { &parts } else { &[] });
            self.actors[number].syncing = Some(self.table.sync(request));
        }
    }

    fn hear(&mut self) {
        for actor in &mut self.actors {
            if let Some(answer) = actor.joining.and_then(|ticket| self.table.joined.remove(&ticket)) {
                actor.joining = None;
                match answer {
                    Ok(Joined::Group(joined)) => {
                        actor.id.clone_from(&joined.member_id);
                        actor.generation = joined.generation;
                        actor.leader = joined.leader == joined.member_id;
                        actor.others = joined.members.iter().map(|member| member.member.id.clone()).collect();
                    }
                    Ok(Joined::TakeId(id)) => actor.id = id,
                    Err(TopicError::UnknownMember | TopicError::FencedInstance) => *actor = fresh(actor),
                    Err(error) => panic!("seed {}: {error:?}", self.seed),
                }
            }
            if let Some(answer) = actor.syncing.and_then(|ticket| self.table.synced.remove(&ticket)) {
                actor.syncing = None;
                match answer {
                    Ok(synced) => actor.owns = Some(String::from_utf8(synced.assignment.to_vec()).unwrap()),
                    Err(TopicError::RebalanceInProgress) => actor.generation = 0,
                    Err(_) => *actor = fresh(actor),
                }
            }
        }
    }

    fn heartbeat(&mut self, number: usize) {
        let actor = &mut self.actors[number];
        if actor.generation == 0 || actor.joining.is_some() {
            return;
        }
        let now = self.table.now_ms;
        match self.table.group.heartbeat(now, &actor.id, actor.instance.as_deref(), actor.generation) {
            Ok(()) => {}
            Err(TopicError::RebalanceInProgress) => (actor.generation, actor.owns, actor.syncing) = (0, None, None),
            Err(_) => *actor = fresh(actor),
        }
    }

    /// A commit is taken of members of the present generation alone.
    fn commit(&mut self, number: usize) {
        let actor = self.actors[number].clone();
        let current = self.table.group.generation;
        let old = actor.generation - 1;
        for generation in [actor.generation, old] {
            let taken = self.table.group.check_commit(
                self.table.now_ms,
                &actor.id,
                actor.instance.as_deref(),
                generation,
                false,
            );
            if taken.is_ok() && !(actor.id.is_empty() && generation < 0) {
                assert_eq!(generation, current, "seed {}", self.seed);
            }
        }
    }

    fn leave(&mut self, number: usize) {
        let actor = &mut self.actors[number];
        let member = MemberId { id: actor.id.clone(), instance: actor.instance.clone() };
        let (_, turn) = self.table.group.leave(self.table.now_ms, &[LeavingMember { member, reason: None }]);
        *actor = fresh(actor);
        self.table.take(turn);
    }

    /// A client that dies and comes back knowing its instance alone.
    fn lose_memory(&mut self, number: usize) {
        self.actors[number] = fresh(&self.actors[number]);
    }

    /// The server as it would be after a restart, if something has been written.
    fn restart(&mut self) {
        if self.table.group.state != GroupState::Stable {
            return;
        }
        let limits = ClassicLimits { initial_delay_ms: 500, ..ClassicLimits::default() };
        self.table.group = ClassicGroup::decode(limits, self.table.now_ms, &self.table.group.encode()).unwrap();
        for actor in &mut self.actors {
            if actor.joining.take().is_some() || actor.syncing.take().is_some() {
                *actor = fresh(actor);
            }
        }
    }

    fn look(&mut self) {
        let generation = self.table.group.generation;
        assert!(generation >= self.newest, "seed {}: generations only grow", self.seed);
        self.newest = generation;
        // Whoever has a part has it by its own id and of its own generation, so that no two have the same one.
        for actor in &self.actors {
            if let Some(part) = actor.owns.as_deref().filter(|part| !part.is_empty()) {
                let (_, of) = part.rsplit_once(" of ").unwrap();
                assert_eq!(of.parse::<i32>().unwrap(), actor.generation, "seed {}: {part}", self.seed);
            }
        }
        let mut parts: Vec<&str> = self.actors.iter().filter_map(|actor| actor.owns.as_deref()).collect();
        parts.retain(|part| !part.is_empty());
        let number = parts.len();
        parts.sort_unstable();
        parts.dedup();
        assert_eq!(parts.len(), number, "seed {}: two have the same part: {parts:?}", self.seed);
    }
}

fn fresh(actor: &Actor) -> Actor {
    Actor { instance: actor.instance.clone(), ..Actor::default() }
}

#[test]
fn what_members_tell_keeps_no_request_and_has_a_bound() {
    let mut table = Table::new(0);
    table.group.limits.group_bytes_max = 2_000;
    let whole = Bytes::from(vec![7; 1 << 16]);
    let with =
        |bytes: usize| JoinGroup { protocols: vec![("p".to_owned(), whole.slice(..bytes))], ..join("", None, &[]) };
    table.join(with(1_000), "a");
    let full = table.join(with(1_000), "b");
    assert_eq!(table.joined[&full], Err(TopicError::GroupFull));
    let inside = |bytes: &Bytes| whole.as_ptr_range().contains(&bytes.as_ptr());
    assert!(table.group.members().all(|(_, member)| !inside(&member.protocols[0].1)));
    table.pass(1);
    let Some(Ok(Joined::Group(joined))) = table.joined.get(&1).cloned() else { panic!("{:?}", table.joined) };
    let part =
        |bytes| SyncGroup { assignments: vec![("a".to_owned(), whole.slice(..bytes))], ..sync(&joined, None, &[]) };
    let large = table.sync(part(2_001));
    assert_eq!(table.synced[&large], Err(TopicError::TooLarge));
    table.sync(part(10));
    assert!(table.group.members().all(|(_, member)| member.assignment.len() == 10 && !inside(&member.assignment)));
}
