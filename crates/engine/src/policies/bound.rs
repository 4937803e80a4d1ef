//! Which policies and masks of a table bind somebody. As PostgreSQL puts them together: of the permissive policies one has
//! to hold, and of the restrictive ones each.

use std::collections::BTreeSet;

use polder_lake::{EVERYBODY, Mask, Policies, PolicyCommand, RowPolicy};
use polder_types::{Error, ErrorKind, Result};

use crate::authz::{Rights, Who};

/// What a statement reads a table for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read it.
    Read,
    /// To change or delete rows. `reads`: it asks for values of them too, in a condition, say.
    Update {
        reads: bool,
    },
    Delete {
        reads: bool,
    },
    /// As MERGE does: what becomes of a row that may be read is decided row by row.
    Merge,
    /// To find the rows that stand in the way of others, whoever may see them.
    Conflicts,
    /// To write all rows in another form.
    Rewrite,
}

/// A condition of rows that are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenCondition {
    /// The restrictive policy whose condition it is; `None`: that of the permissive ones.
    pub policy: Option<String>,
    pub sql: String,
}

/// What binds somebody at a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound<'a> {
    policies: &'a Policies,
    who: &'a Who,
    /// Row policies do.
    pub rows: bool,
    /// Masks do; those of whose columns they see the values are none.
    masks: bool,
}

impl<'a> Bound<'a> {
    /// `None`: nothing does.
    pub fn of(rights: Rights<'a>, table: i64) -> Option<Self> {
        if rights.who.superuser {
            return None;
        }
        let policies = &rights.access(table)?.policies;
        let owns = rights.owns(table);
        let rows = policies.enabled && !rights.who.bypasses_policies && (policies.forced || !owns);
        let hides = |mask: &Mask| !mask.except.iter().any(|role| rights.who.has(*role));
        let masks = !owns && policies.masks.values().any(hides);
        (rows || masks).then_some(Self { policies, who: rights.who, rows, masks })
    }

    /// The same for rows that have been looked at.
    pub fn of_all_rows(self) -> Self {
        Self { rows: false, ..self }
    }

    /// What they see in the place of a column's values.
    pub fn mask_of(&self, column: i64) -> Option<&'a Mask> {
        let mask = self.policies.masks.get(&column).filter(|_| self.masks)?;
        (!mask.except.iter().any(|role| self.who.has(*role))).then_some(mask)
    }

    /// The columns of the table that queries in conditions and masks may name.
    pub fn outer(&self) -> BTreeSet<String> {
        self.policies.outer()
    }

    /// The policies for a command, those first that are permissive.
    fn of_command(&self, command: PolicyCommand, restrictive: bool) -> impl Iterator<Item = &'a RowPolicy> {
        let (policies, who) = (self.policies, self.who);
        policies.rows.iter().filter(move |policy| {
            policy.restrictive == restrictive
                && (policy.command == PolicyCommand::All || policy.command == command)
                && policy.roles.iter().any(|role| *role == EVERYBODY || who.has(*role))
        })
    }

    /// The condition of the rows that a command finds; `None`: it finds all.
    pub fn seen_by(&self, command: PolicyCommand) -> Option<String> {
        if !self.rows {
            return None;
        }
        let using = |restrictive| self.of_command(command, restrictive).filter_map(|policy| policy.using.as_deref());
        let mut conditions = vec![any(using(false))];
        conditions.extend(using(true).map(|sql| format!("({sql})")));
        Some(conditions.join(" AND "))
    }

    /// The condition of the rows that a statement reads; `None`: it reads all.
    pub fn seen_for(&self, purpose: Purpose) -> Option<String> {
        match purpose {
            Purpose::Read | Purpose::Merge => self.seen_by(PolicyCommand::Select),
            Purpose::Update { reads } => self.seen_as(PolicyCommand::Update, reads),
            Purpose::Delete { reads } => self.seen_as(PolicyCommand::Delete, reads),
            Purpose::Conflicts | Purpose::Rewrite => None,
        }
    }

    /// The condition of the rows that a command may change; `reads`: which they also have to be shown.
    pub fn seen_as(&self, command: PolicyCommand, reads: bool) -> Option<String> {
        let changed = self.seen_by(command)?;
        match self.seen_by(PolicyCommand::Select).filter(|_| reads) {
            Some(read) => Some(format!("({changed}) AND ({read})")),
            None => Some(changed),
        }
    }

    /// The conditions of rows that a command writes. `shown`: they also have to be those that may be read.
    pub fn written_by(&self, command: PolicyCommand, shown: bool) -> Vec<WrittenCondition> {
        if !self.rows {
            return Vec::new();
        }
        let mut conditions = Vec::new();
        let mut add = |command: PolicyCommand, using: bool| {
            let sql = |policy: &'a RowPolicy| match (&policy.check, using) {
                (Some(check), false) => Some(check.as_str()),
                _ => policy.using.as_deref(),
            };
            let permissive = any(self.of_command(command, false).filter_map(sql));
            conditions.push(WrittenCondition { policy: None, sql: permissive });
            let demanded = self.of_command(command, true).filter_map(|policy| Some((policy, sql(policy)?)));
            conditions.extend(
                demanded
                    .map(|(policy, sql)| WrittenCondition { policy: Some(policy.name.clone()), sql: sql.to_owned() }),
            );
        };
        add(command, false);
        if shown {
            add(PolicyCommand::Select, true);
        }
        conditions
    }
}

/// That one of some conditions holds; of none, none does.
fn any<'a>(conditions: impl Iterator<Item = &'a str>) -> String {
    let conditions: Vec<String> = conditions.map(|sql| format!("({sql})")).collect();
    match conditions.as_slice() {
        [] => "false".to_owned(),
        conditions => format!("({})", conditions.join(" OR ")),
    }
}

/// The refusal of a statement that would be shown a part of a table only, to whoever does not want that.
pub(crate) fn off(table: &str, owns: bool) -> Error {
    let message = format!("query would be affected by row-level security policy for table \"{table}\"");
    let hint = match owns {
        true => "To disable the policy for the table's owner, use ALTER TABLE NO FORCE ROW LEVEL SECURITY.",
        false => "SET row_security = on gives the rows that the policies allow",
    };
    Error::new(ErrorKind::Forbidden, message).with_hint(hint)
}

/// Loads write rows that nobody looks at.
///
/// # Errors
/// `Unsupported` (0A000) for a table whose row policies bind whoever loads, as PostgreSQL says of COPY.
pub(crate) fn check_load(rights: Rights<'_>, table: i64) -> Result<()> {
    match Bound::of(rights, table) {
        Some(bound) if bound.rows => Err(Error::unsupported("COPY FROM not supported with row-level security")
            .with_hint("Use INSERT statements instead, or COPY … FROM STDIN")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;

    const ADA: i64 = 20;
    const STAFF: i64 = 21;

    fn who(memberships: &[i64]) -> Who {
        let memberships: Arc<BTreeSet<i64>> = Arc::new(memberships.iter().copied().collect());
        Who { memberships, ..Who::nobody() }
    }

    fn policy(name: &str, restrictive: bool, command: PolicyCommand, roles: &[i64], using: &str) -> RowPolicy {
        let using = Some(using.to_owned()).filter(|using| !using.is_empty());
        RowPolicy {
            number: 1,
            name: name.into(),
            restrictive,
            command,
            roles: roles.to_vec(),
            using,
            check: None,
            outer: BTreeSet::new(),
        }
    }

    fn policies(rows: Vec<RowPolicy>) -> Policies {
        Policies { enabled: true, rows, ..Policies::default() }
    }

    #[test]
    fn one_of_the_permissive_and_all_of_the_restrictive() {
        use PolicyCommand::{All, Delete, Insert, Select, Update};
        let policies = policies(vec![
            policy("own", false, All, &[EVERYBODY], "owner = 1"),
            policy("staff", false, Select, &[STAFF], "public"),
            policy("open", true, All, &[EVERYBODY], "NOT closed"),
        ]);
        let (nobody, staff) = (who(&[ADA]), who(&[ADA, STAFF]));
        let bound = |who| Bound { policies: &policies, who, rows: true, masks: false };
        let seen = |who, command| bound(who).seen_by(command).unwrap();
        assert_eq!(seen(&nobody, Select), "((owner = 1)) AND (NOT closed)");
        assert_eq!(seen(&staff, Select), "((owner = 1) OR (public)) AND (NOT closed)");
        assert_eq!(seen(&staff, Update), "((owner = 1)) AND (NOT closed)");
        let both = bound(&staff).seen_for(Purpose::Delete { reads: true }).unwrap();
        assert_eq!(both, format!("({}) AND ({})", seen(&staff, Delete), seen(&staff, Select)));
        assert_eq!(bound(&staff).seen_for(Purpose::Conflicts), None);
        let written: Vec<_> = bound(&staff).written_by(Insert, false).into_iter().map(|row| row.policy).collect();
        assert_eq!(written, [None, Some("open".to_owned())]);
    }

    #[test]
    fn without_a_policy_there_are_no_rows() {
        let policies = policies(vec![policy("own", false, PolicyCommand::Insert, &[STAFF], "")]);
        let nobody = who(&[ADA]);
        let bound = Bound { policies: &policies, who: &nobody, rows: true, masks: false };
        assert_eq!(bound.seen_by(PolicyCommand::Select).as_deref(), Some("false"));
        let written = bound.written_by(PolicyCommand::Insert, false);
        assert_eq!(written, [WrittenCondition { policy: None, sql: "false".into() }]);
    }

    #[test]
    fn masks_are_for_all_but_some() {
        let masks = BTreeMap::from([(1, Mask { sql: "NULL".into(), except: vec![STAFF], outer: BTreeSet::new() })]);
        let policies = Policies { masks, ..Policies::default() };
        let (nobody, staff) = (who(&[ADA]), who(&[ADA, STAFF]));
        let bound = |who| Bound { policies: &policies, who, rows: false, masks: true };
        assert!(bound(&nobody).mask_of(1).is_some() && bound(&nobody).mask_of(2).is_none());
        assert!(bound(&staff).mask_of(1).is_none());
        assert_eq!(bound(&nobody).seen_by(PolicyCommand::Select), None);
    }
}
