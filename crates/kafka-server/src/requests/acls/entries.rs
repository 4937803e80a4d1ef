//! What is in effect, as entries of a list, and which of them a filter takes.

use kafka_protocol::error::ResponseError as Code;
use kafka_protocol::protocol::StrBytes;
use polder_capability::topics::{Grantee, TopicAcl, TopicAcls, TopicGrant, TopicGrantChange};

use super::{Refusal, refusal};

/// Kafka's numbers, of which 1 stands for any where something is looked for.
pub(super) const ANY: i8 = 1;

pub(super) const TOPIC: i8 = 2;
pub(super) const GROUP: i8 = 3;
pub(super) const CLUSTER: i8 = 4;
pub(super) const TRANSACTIONAL_ID: i8 = 5;

/// By whatever pattern a name is meant.
const MATCH: i8 = 2;
pub(super) const LITERAL: i8 = 3;
pub(super) const PREFIXED: i8 = 4;

pub(super) const ALL: i8 = 2;
pub(super) const READ: i8 = 3;
pub(super) const WRITE: i8 = 4;
pub(super) const DELETE: i8 = 6;
pub(super) const ALTER: i8 = 7;
pub(super) const DESCRIBE: i8 = 8;
pub(super) const DESCRIBE_CONFIGS: i8 = 10;
pub(super) const ALTER_CONFIGS: i8 = 11;

pub(super) const ALLOW: i8 = 3;

/// Rights hold wherever somebody comes from.
pub(super) const ANYWHERE: &str = "*";

/// What stands between the name of a role and the rest of that of its group.
const BEHIND_ROLES: [char; 2] = ['.', '-'];

pub(super) fn principal(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Everybody => "User:*".to_owned(),
        Grantee::Role(name) => format!("User:{name}"),
    }
}

pub(super) const fn operation(grant: TopicGrant) -> i8 {
    match grant {
        TopicGrant::Read => READ,
        TopicGrant::Write => WRITE,
        TopicGrant::Describe => DESCRIBE,
    }
}

/// Why an entry is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// It has been granted to this one.
    Granted(Grantee, Vec<TopicGrant>),
    Owning,
    /// A role that is always there.
    Membership,
    /// Of a group or a transactional id.
    Name,
}

/// One right of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub resource: i8,
    pub name: String,
    pub pattern: i8,
    pub principal: String,
    pub operation: i8,
    pub from: Origin,
}

impl Entry {
    /// By what it is taken away; `None` if it is not here.
    pub fn change(&self) -> Option<TopicGrantChange> {
        let Origin::Granted(grantee, rights) = &self.from else { return None };
        let (topic, grantee, rights) = (self.name.clone(), grantee.clone(), rights.clone());
        Some(TopicGrantChange { topic, grantee, rights, revokes: true })
    }

    pub fn why_fixed(&self) -> &'static str {
        match self.from {
            Origin::Owning => "it comes with owning the topic: ALTER TOPIC … OWNER TO",
            Origin::Name => "it comes with the name, as long as the role may read or write some topic",
            Origin::Granted(..) | Origin::Membership => "it comes with being a member of the role: REVOKE the role",
        }
    }

    /// Whether another one is in effect with this one.
    pub fn covers(&self, other: &Self) -> bool {
        let named = match (self.pattern, other.pattern) {
            (LITERAL, _) if self.name == "*" => true,
            (PREFIXED, _) => other.name.starts_with(&self.name),
            (LITERAL, LITERAL) => other.name == self.name,
            _ => false,
        };
        named
            && self.resource == other.resource
            && self.principal == other.principal
            && (self.operation == ALL || self.operation == other.operation)
    }
}

fn of_owner(acl: &TopicAcl) -> Vec<i8> {
    if acl.of_owner == TopicGrant::ALL {
        return vec![ALL];
    }
    // It has taken something from itself.
    let held = acl.of_owner.iter().filter(|right| **right != TopicGrant::Describe).map(|right| operation(*right));
    held.chain([DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS]).collect()
}

fn of_topic(acl: &TopicAcl) -> Vec<Entry> {
    let entry = |principal: String, operation: i8, from: Origin| Entry {
        resource: TOPIC,
        name: acl.topic.clone(),
        pattern: LITERAL,
        principal,
        operation,
        from,
    };
    let owner = format!("User:{}", acl.owner);
    let mut all: Vec<Entry> =
        of_owner(acl).into_iter().map(|operation| entry(owner.clone(), operation, Origin::Owning)).collect();
    for (grantee, right) in &acl.granted {
        let from = Origin::Granted(grantee.clone(), vec![*right]);
        all.push(entry(principal(grantee), operation(*right), from));
        // Who has every right has what is granted as ALL too.
        let has = |right: TopicGrant| acl.granted.contains(&(grantee.clone(), right));
        if *right == TopicGrant::Read && TopicGrant::ALL.into_iter().all(has) {
            let from = Origin::Granted(grantee.clone(), TopicGrant::ALL.to_vec());
            all.push(entry(principal(grantee), ALL, from));
        }
    }
    all
}

/// What a role may do with all groups, or all transactional ids, that are named after it.
fn of_name(resource: i8, role: &str) -> impl Iterator<Item = Entry> {
    let entry = move |pattern: i8, name: String, role: &str| Entry {
        resource,
        name,
        pattern,
        principal: format!("User:{role}"),
        operation: ALL,
        from: Origin::Name,
    };
    let role = role.to_owned();
    let whole = entry(LITERAL, role.clone(), &role);
    let begun = BEHIND_ROLES.into_iter().map(move |sign| entry(PREFIXED, format!("{role}{sign}"), &role));
    std::iter::once(whole).chain(begun)
}

/// What a role that is always there may do with all things of a kind.
fn everywhere(resource: i8, role: &str, operation: i8) -> Entry {
    let principal = format!("User:{role}");
    Entry { resource, name: "*".to_owned(), pattern: LITERAL, principal, operation, from: Origin::Membership }
}

fn of_role(role: &str, right: TopicGrant) -> Vec<Entry> {
    let mut all = vec![everywhere(TOPIC, role, operation(right))];
    match right {
        TopicGrant::Read => all.extend([READ, DESCRIBE].map(|operation| everywhere(GROUP, role, operation))),
        TopicGrant::Write => {
            all.extend([WRITE, DESCRIBE].map(|operation| everywhere(TRANSACTIONAL_ID, role, operation)));
        }
        TopicGrant::Describe => {}
    }
    all
}

/// All entries.
pub(super) fn of(acls: &TopicAcls) -> impl Iterator<Item = Entry> {
    let topics = acls.topics.iter().flat_map(of_topic);
    let everywhere = acls.everywhere.iter().flat_map(|(role, right)| of_role(role, *right));
    let groups = acls.groups.iter().flat_map(|role| of_name(GROUP, role));
    let transactions = acls.transactions.iter().flat_map(|role| of_name(TRANSACTIONAL_ID, role));
    topics.chain(everywhere).chain(groups).chain(transactions)
}

/// What entries are looked for.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub resource: i8,
    /// `None`: any.
    pub name: Option<StrBytes>,
    pub pattern: i8,
    pub principal: Option<StrBytes>,
    pub host: Option<StrBytes>,
    pub operation: i8,
    pub permission: i8,
}

impl Filter {
    /// # Errors
    /// Kafka's 0 stands for what a client does not know itself.
    pub fn check(&self) -> Result<(), Refusal> {
        match [self.resource, self.pattern, self.operation, self.permission].into_iter().all(|number| number > 0) {
            true => Ok(()),
            false => {
                Err(refusal(Code::InvalidRequest, "a filter has a kind, a pattern, an operation and a permission"))
            }
        }
    }

    pub fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<StrBytes>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted.as_str() == found);
        let resource = [ANY, entry.resource].contains(&self.resource);
        // ALL sums up what stands there one by one.
        let sums_up = entry.operation == ALL && matches!(entry.from, Origin::Granted(..));
        let operation = self.operation == entry.operation || (self.operation == ANY && !sums_up);
        resource
            && operation
            && self.takes_name(entry)
            && is(&self.principal, &entry.principal)
            && is(&self.host, ANYWHERE)
            && [ANY, ALLOW].contains(&self.permission)
    }

    fn takes_name(&self, entry: &Entry) -> bool {
        let name = self.name.as_ref().map(StrBytes::as_str);
        match (self.pattern, name) {
            (ANY | MATCH, None) => true,
            (MATCH, Some(name)) => match entry.pattern {
                PREFIXED => name.starts_with(&entry.name),
                _ => entry.name == "*" || entry.name == name,
            },
            (ANY, Some(name)) => entry.name == name,
            (pattern, name) => entry.pattern == pattern && name.is_none_or(|name| entry.name == name),
        }
    }
}
