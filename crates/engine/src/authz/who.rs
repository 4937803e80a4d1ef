//! Who asks, and whose rights a statement has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use polder_lake::Access;
use polder_metastore::OWNER_OID;

use super::book::RoleBook;

/// Whoever runs a statement. Everything that asks for rights is given one.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    /// The user of the session (`session_user`), by number.
    pub user: i64,
    /// The role whose rights the statement has (`current_user`).
    pub role: i64,
    /// Passes everything.
    pub superuser: bool,
    /// Row policies do not bind it.
    pub bypasses_policies: bool,
    /// The role, and all those whose rights it has without asking for them.
    pub memberships: Arc<BTreeSet<i64>>,
    /// Nobody asks: the system looks something up for itself, and sees everything.
    pub is_system: bool,
    /// The rights are those of somebody else than whoever asks: of a view's owner.
    pub lent: bool,
    /// The statement is only planned, to be run later and asked for its rights then: of what may not be read there are columns
    /// and no rows.
    pub defines: bool,
    /// All roles, as they are for this statement.
    pub book: Arc<RoleBook>,
    /// What is granted now, by the id of the thing, where the statement reads an older version, or one of when its
    /// transaction began: what was granted then gives nobody anything.
    pub newest: Option<Arc<BTreeMap<i64, Arc<Access>>>>,
    /// The statement reads a version that the session is set to.
    pub travels: bool,
}

/// A number that no role has.
const NOBODY: i64 = -1;

impl Who {
    /// The system itself, for work that is nobody's statement.
    pub fn system() -> Self {
        Self {
            user: OWNER_OID,
            role: OWNER_OID,
            superuser: true,
            bypasses_policies: true,
            is_system: true,
            memberships: Arc::new(BTreeSet::from([OWNER_OID])),
            ..Self::nobody()
        }
    }

    /// Somebody of whom nothing is known yet, and who may do nothing.
    pub fn nobody() -> Self {
        Self {
            user: NOBODY,
            role: NOBODY,
            superuser: false,
            bypasses_policies: false,
            is_system: false,
            lent: false,
            defines: false,
            memberships: Arc::default(),
            book: Arc::default(),
            newest: None,
            travels: false,
        }
    }

    /// The same session with the rights of a role: of a view's owner, say.
    pub fn acting_as(&self, role: i64) -> Self {
        let (newest, travels, defines) = (self.newest.clone(), self.travels, self.defines);
        Self { newest, travels, defines, lent: true, ..self.book.who(self.user, role) }
    }

    /// The same, for the things of another version than the one that it was made for.
    pub fn with_grants(&self, newest: &Arc<BTreeMap<i64, Arc<Access>>>) -> Self {
        Self { newest: Some(Arc::clone(newest)), ..self.clone() }
    }

    /// The same for a statement that is kept: what it names is asked for when it is run.
    pub fn defining(&self) -> Self {
        Self { defines: true, ..self.clone() }
    }

    /// Whether it has the rights of a role.
    pub fn has(&self, role: i64) -> bool {
        self.superuser || self.memberships.contains(&role)
    }

    /// Whether it has the rights of the role of this name, and so what that one owns.
    pub fn has_named(&self, role: &str) -> bool {
        self.superuser || self.book.find(role).is_some_and(|role| self.has(role.oid))
    }

    /// The name of the session's user.
    pub fn user_name(&self) -> &str {
        self.book.name(self.user).unwrap_or_default()
    }

    /// The name of the role whose rights it has.
    pub fn role_name(&self) -> &str {
        self.book.name(self.role).unwrap_or_default()
    }
}
