//! Who asks, and whose rights a statement has.

use std::collections::BTreeSet;
use std::sync::Arc;

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
    /// All roles, as they are for this statement.
    pub book: Arc<RoleBook>,
}

/// A number that no role has.
const NOBODY: i64 = -1;

impl Who {
    /// The system itself, for work that is nobody's statement.
    pub fn system() -> Self {
        let memberships = Arc::new(BTreeSet::from([OWNER_OID]));
        let (user, role) = (OWNER_OID, OWNER_OID);
        Self { user, role, superuser: true, bypasses_policies: true, memberships, book: Arc::default() }
    }

    /// Somebody of whom nothing is known yet, and who may do nothing.
    pub fn nobody() -> Self {
        let memberships = Arc::new(BTreeSet::new());
        let (user, role) = (NOBODY, NOBODY);
        Self { user, role, superuser: false, bypasses_policies: false, memberships, book: Arc::default() }
    }

    /// The same session with the rights of a role: of a view's owner, say.
    pub fn acting_as(&self, role: i64) -> Self {
        self.book.who(self.user, role)
    }

    /// Whether it has the rights of a role.
    pub fn has(&self, role: i64) -> bool {
        self.superuser || self.memberships.contains(&role)
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
