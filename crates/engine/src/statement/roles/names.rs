//! How statements name roles.

/// A role as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RoleName {
    Named(String),
    /// `CURRENT_USER`, `CURRENT_ROLE`
    CurrentUser,
    SessionUser,
    /// Everybody.
    Public,
}

impl RoleName {
    /// The words that mean a role without naming it.
    pub(super) const WORDS: &[(&str, Self)] = &[
        ("CURRENT_USER", Self::CurrentUser),
        ("CURRENT_ROLE", Self::CurrentUser),
        ("SESSION_USER", Self::SessionUser),
    ];
}
