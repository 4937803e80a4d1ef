//! What statements about roles and rights say.

use datafusion::sql::sqlparser::ast::ObjectName;

use super::names::RoleName;
use crate::authz::rights::Kind;

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
    /// GRANT and REVOKE of rights.
    Grant(Granted),
    Defaults(Defaults),
    Owner(NewOwner),
    Reassign {
        from: Vec<RoleName>,
        to: RoleName,
    },
    DropOwned {
        by: Vec<RoleName>,
        cascade: bool,
    },
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

impl RoleStatement {
    /// Whether it says in whose name the session's statements run.
    pub(crate) fn is_about_session(&self) -> bool {
        matches!(self, Self::SetRole { .. } | Self::SetSession { .. })
    }
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

/// What is to be granted or revoked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All rights, on some columns only if there are any.
    All(Vec<String>),
    These(Vec<WantedRight>),
}

impl Wanted {
    /// Whether something is wanted on columns.
    pub(super) fn names_columns(&self) -> bool {
        match self {
            Self::All(columns) => !columns.is_empty(),
            Self::These(rights) => rights.iter().any(|right| !right.columns.is_empty()),
        }
    }
}

/// A right by its name, on some columns only if there are any. Of a GRANT without ON the name of a role.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WantedRight {
    pub name: String,
    pub columns: Vec<String>,
}

/// What rights are granted on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum On {
    Database(Vec<String>),
    Schemas(Vec<String>),
    /// Tables and views, or sequences.
    Relations(Kind, Vec<ObjectName>),
    Functions(Vec<FunctionName>),
    Topics(Vec<ObjectName>),
    /// Those that there are, as far as whoever asks knows of them.
    AllTopics,
    /// All of a kind in some schemas.
    AllIn(Kind, Vec<String>),
}

/// A function, with the types of its arguments if they are named.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FunctionName {
    pub name: ObjectName,
    pub arguments: Option<Vec<String>>,
}

/// `GRANT … ON … TO …`, `REVOKE … ON … FROM …`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub is_grant: bool,
    pub wanted: Wanted,
    pub on: On,
    pub roles: Vec<RoleName>,
    /// With the right to grant on, or of a REVOKE only that.
    pub option: bool,
    pub granted_by: Option<RoleName>,
    pub cascade: bool,
}

/// ALTER DEFAULT PRIVILEGES
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Defaults {
    /// Whose things; empty: of whoever runs the statement.
    pub of_roles: Vec<RoleName>,
    /// In which schemas; empty: in all.
    pub schemas: Vec<String>,
    pub kind: Kind,
    pub granted: Granted,
}

/// What has an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnedKind {
    /// Or a view.
    Table,
    View,
    Materialized,
    Sequence,
    Schema,
    Database,
    Function,
    Topic,
}

/// `ALTER … OWNER TO …`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NewOwner {
    pub kind: OwnedKind,
    /// The command's tag.
    pub verb: &'static str,
    pub thing: FunctionName,
    pub if_exists: bool,
    pub to: RoleName,
}
