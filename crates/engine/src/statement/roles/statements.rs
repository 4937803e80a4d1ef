//! What statements about roles and rights say.

use super::names::RoleName;

/// A statement about roles or rights.
#[derive(Debug)]
pub(crate) enum RoleStatement {
    Create {
        name: String,
        options: RoleOptions,
    },
    Alter {
        role: RoleName,
        options: RoleOptions,
    },
    Rename {
        role: String,
        to: String,
    },
    /// ALTER ROLE … SET and RESET.
    Configure {
        role: RoleName,
        change: SettingChange,
    },
    Drop {
        roles: Vec<RoleName>,
        if_exists: bool,
    },
    /// GRANT and REVOKE of membership.
    Members(Members),
    /// SET ROLE and RESET ROLE; without a name for NONE.
    SetRole {
        role: Option<String>,
        local: bool,
        reset: bool,
    },
    /// SET SESSION AUTHORIZATION and its RESET; without a name for DEFAULT.
    SetSession {
        user: Option<String>,
        local: bool,
        reset: bool,
    },
}

/// What CREATE ROLE and ALTER ROLE say of a role. `None`: nothing.
#[derive(Default)]
pub(crate) struct RoleOptions {
    pub superuser: Option<bool>,
    pub inherit: Option<bool>,
    pub create_role: Option<bool>,
    pub create_db: Option<bool>,
    pub login: Option<bool>,
    pub replication: Option<bool>,
    pub bypass_policies: Option<bool>,
    pub connection_limit: Option<i64>,
    /// `PASSWORD NULL` takes it away.
    pub password: Option<Option<String>>,
    pub valid_until: Option<String>,
    /// The new role becomes a member of these.
    pub in_roles: Vec<RoleName>,
    /// These become members of the new role.
    pub members: Vec<RoleName>,
    /// These become members of the new role who may make others members.
    pub admins: Vec<RoleName>,
}

/// Nobody prints a password by mistake.
impl std::fmt::Debug for RoleOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleOptions").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A change of the settings that a role's sessions begin with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SettingChange {
    Set {
        name: String,
        values: Vec<String>,
    },
    /// As it is in the session.
    FromCurrent(String),
    Reset(String),
    ResetAll,
}

/// `GRANT a, b TO c, d`, `REVOKE a, b FROM c, d`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Members {
    pub is_grant: bool,
    pub roles: Vec<String>,
    pub members: Vec<RoleName>,
    /// With it, or of a REVOKE only it.
    pub admin_option: bool,
    pub granted_by: Option<RoleName>,
    /// ALTER GROUP … ADD and DROP USER.
    pub is_alter_group: bool,
}
