//! Which rows of a table are shown to whom, and which columns are masked for whom.
//!
//! They are kept with what else is granted on the table ([`crate::Access`]): so they have no versions that anybody could go
//! back to, as an older version is read by what is granted now. Conditions and masks are kept as SQL, and planned by the
//! floors above.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The row policies and the masks of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// Row policies bind whoever reads or changes the table, but its owner.
    #[serde(default, skip_serializing_if = "is_false")]
    pub enabled: bool,
    /// They bind the owner too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forced: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowPolicy>,
    /// By the ids of the columns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub masks: BTreeMap<i64, Mask>,
    /// The number of the last policy that was made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last: u32,
}

/// What CREATE POLICY says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPolicy {
    /// No other policy of the table has had it.
    pub number: u32,
    pub name: String,
    /// Its condition has to hold, whatever others allow.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restrictive: bool,
    pub command: PolicyCommand,
    /// Whom it is for; [`crate::EVERYBODY`] for all.
    pub roles: Vec<i64>,
    /// The condition of rows that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// The condition of rows that are written; without one it is that of rows that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The columns of the table that queries in its conditions name. Should such a query come to name another one, since a
    /// column of its own has gone, say, then the policy does not mean any more what it meant.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outer: BTreeSet<String>,
}

/// What a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyCommand {
    All,
    Select,
    Insert,
    Update,
    Delete,
}

/// What stands for the values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    /// An expression over the columns of the row, which are not masked in it.
    pub sql: String,
    /// The roles that see the values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<i64>,
    /// As of a policy.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outer: BTreeSet<String>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Policies {
    /// Whether there is nothing to keep.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<&RowPolicy> {
        self.rows.iter().find(|policy| policy.name == name)
    }

    /// All conditions and masks.
    pub fn expressions_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let of_rows = self.rows.iter_mut().flat_map(|policy| [policy.using.as_mut(), policy.check.as_mut()]);
        of_rows.flatten().chain(self.masks.values_mut().map(|mask| &mut mask.sql))
    }

    /// The columns of the table that queries in conditions and masks may name.
    #[must_use]
    pub fn outer(&self) -> BTreeSet<String> {
        let of_rows = self.rows.iter().flat_map(|policy| &policy.outer);
        of_rows.chain(self.masks.values().flat_map(|mask| &mask.outer)).cloned().collect()
    }

    /// Whether a role is named in them.
    #[must_use]
    pub fn name_role(&self, role: i64) -> bool {
        let in_rows = self.rows.iter().any(|policy| policy.roles.contains(&role));
        in_rows || self.masks.values().any(|mask| mask.except.contains(&role))
    }
}
