//! Roles, their members and settings: rows only. What a role may do is for the floors above.

use chrono::{DateTime, Utc};
use polder_types::{Error, Result};

use crate::{Metastore, Row, Settings, Write};

/// The role that owns what nobody else does. It is always there, and may do everything.
pub const OWNER_OID: i64 = 10;

/// The first number of a role that somebody makes.
const FIRST_OID: i64 = 16_384;

const NEXT_OID: &str = "roles.next_oid";
const DATABASE: &str = "roles.database";

/// A role. It may be let in, it may own things, and others may be members of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Never given twice.
    pub oid: i64,
    pub name: String,
    pub is_superuser: bool,
    /// It has the rights of the roles that it is a member of without asking for them by SET ROLE.
    pub inherits: bool,
    pub creates_roles: bool,
    pub creates_databases: bool,
    pub logs_in: bool,
    /// Row policies do not bind it.
    pub bypasses_policies: bool,
    /// Sessions at once; -1: as many as there are.
    pub connection_limit: i64,
    /// Until when its password is good; `None`: for ever.
    pub valid_until: Option<DateTime<Utc>>,
}

impl Role {
    /// One that may do nothing yet.
    #[must_use]
    pub fn new(oid: i64, name: impl Into<String>) -> Self {
        Self {
            oid,
            name: name.into(),
            is_superuser: false,
            inherits: true,
            creates_roles: false,
            creates_databases: false,
            logs_in: false,
            bypasses_policies: false,
            connection_limit: -1,
            valid_until: None,
        }
    }

    /// One that may do everything.
    #[must_use]
    pub fn superuser(oid: i64, name: impl Into<String>) -> Self {
        Self {
            is_superuser: true,
            creates_roles: true,
            creates_databases: true,
            bypasses_policies: true,
            ..Self::new(oid, name)
        }
    }
}

/// One role is a member of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleMember {
    pub role: i64,
    pub member: i64,
    pub grantor: i64,
    /// It may make others members too.
    pub has_admin: bool,
}

/// Who owns a topic, and what is granted on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAccess {
    /// The topic's id, as text.
    pub topic_id: String,
    /// The topic's name, to tell of it.
    pub topic: String,
    pub owner: i64,
    /// What is granted, as text; `None`: what is usual.
    pub items: Option<String>,
}

/// All that there is about roles, as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleRows {
    /// By number.
    pub roles: Vec<Role>,
    pub members: Vec<RoleMember>,
    /// (role, name, value)
    pub settings: Vec<(i64, String, String)>,
    /// (role, kind of thing, what it grants, as text)
    pub defaults: Vec<(i64, String, String)>,
    /// Who may do what with the database, as text; `None`: nobody has said.
    pub database: Option<String>,
    /// The topics of which something has been said, by their ids.
    pub topics: Vec<TopicAccess>,
    /// The names of those who have passwords.
    pub with_passwords: Vec<String>,
    /// The number of the next role.
    pub next_oid: i64,
}

/// A view of the metastore: roles.
///
/// Changes are [`Write`]s, so that they can go with a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Roles<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn roles(&self) -> Roles<'_> {
        Roles(self)
    }
}

const SELECT: &str = "SELECT oid, name, is_superuser, inherits, creates_roles, creates_databases, logs_in, \
                      bypasses_policies, connection_limit, valid_until FROM polder_role ORDER BY oid";

impl Roles<'_> {
    pub async fn load(&self) -> Result<RoleRows> {
        let queries: [(&str, &[crate::Value]); 7] = [
            (SELECT, &[]),
            (
                "SELECT role_oid, member_oid, grantor_oid, has_admin FROM polder_role_member \
                 ORDER BY role_oid, member_oid",
                &[],
            ),
            ("SELECT role_oid, name, value FROM polder_role_setting ORDER BY role_oid, name", &[]),
            ("SELECT role_oid, kind, items FROM polder_default_privilege ORDER BY role_oid, kind", &[]),
            ("SELECT key, value FROM polder_setting WHERE key LIKE 'roles.%'", &[]),
            ("SELECT name FROM polder_principal ORDER BY name", &[]),
            ("SELECT topic_id, topic, owner_oid, items FROM polder_topic_access ORDER BY topic_id", &[]),
        ];
        let answers = self.0.read_together(&queries).await?;
        let [roles, members, settings, defaults, others, passwords, topics]: [Vec<Row>; 7] =
            answers.try_into().map_err(|_| Error::internal("the metastore answered another number of queries"))?;
        let texts = |row: &Row| Ok((row.int(0)?, row.text(1)?.to_owned(), row.text(2)?.to_owned()));
        let mut rows = RoleRows {
            roles: roles.iter().map(read).collect::<Result<_>>()?,
            members: members.iter().map(read_member).collect::<Result<_>>()?,
            settings: settings.iter().map(texts).collect::<Result<_>>()?,
            defaults: defaults.iter().map(texts).collect::<Result<_>>()?,
            database: None,
            topics: topics.iter().map(read_topic).collect::<Result<_>>()?,
            with_passwords: passwords.iter().map(|row| Ok(row.text(0)?.to_owned())).collect::<Result<_>>()?,
            next_oid: FIRST_OID,
        };
        for row in &others {
            match row.text(0)? {
                NEXT_OID => rows.next_oid = row.text(1)?.parse().unwrap_or(FIRST_OID),
                DATABASE => rows.database = Some(row.text(1)?.to_owned()),
                _ => {}
            }
        }
        // Whatever the setting says, no number is given twice.
        let highest = rows.roles.iter().map(|role| role.oid + 1).max().unwrap_or(FIRST_OID);
        rows.next_oid = rows.next_oid.max(highest).max(FIRST_OID);
        Ok(rows)
    }

    /// A role that takes the next number, and says which one is next then.
    #[must_use]
    pub fn create_writes(role: &Role) -> Vec<Write> {
        vec![
            Write::new(
                "INSERT INTO polder_role (oid, name, is_superuser, inherits, creates_roles, creates_databases, logs_in, \
                 bypasses_policies, connection_limit, valid_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                values(role),
            ),
            // Of transactions that were open at the same time, the last one need not have the highest number.
            Write::new(
                "INSERT INTO polder_setting (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET \
                 value = excluded.value WHERE CAST(excluded.value AS BIGINT) > CAST(polder_setting.value AS BIGINT)",
                vec![NEXT_OID.into(), (role.oid + 1).to_string().into()],
            ),
        ]
    }

    /// What a role is now, with its name.
    #[must_use]
    pub fn change_write(role: &Role) -> Write {
        Write::new(
            "UPDATE polder_role SET name = $2, is_superuser = $3, inherits = $4, creates_roles = $5, \
             creates_databases = $6, logs_in = $7, bypasses_policies = $8, connection_limit = $9, valid_until = $10 \
             WHERE oid = $1",
            values(role),
        )
        .affecting(1)
    }

    /// The role goes, with all that hangs on it but its password.
    #[must_use]
    pub fn drop_writes(oid: i64) -> Vec<Write> {
        let gone = |sql: &'static str| Write::new(sql, vec![oid.into()]);
        vec![
            gone("DELETE FROM polder_role WHERE oid = $1").affecting(1),
            gone("DELETE FROM polder_role_member WHERE role_oid = $1 OR member_oid = $1"),
            gone("DELETE FROM polder_role_setting WHERE role_oid = $1"),
            gone("DELETE FROM polder_default_privilege WHERE role_oid = $1"),
        ]
    }

    #[must_use]
    pub fn member_write(member: &RoleMember) -> Write {
        Write::new(
            "INSERT INTO polder_role_member (role_oid, member_oid, grantor_oid, has_admin) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (role_oid, member_oid) DO UPDATE SET grantor_oid = excluded.grantor_oid, \
             has_admin = excluded.has_admin",
            vec![member.role.into(), member.member.into(), member.grantor.into(), member.has_admin.into()],
        )
    }

    #[must_use]
    pub fn no_member_write(role: i64, member: i64) -> Write {
        let sql = "DELETE FROM polder_role_member WHERE role_oid = $1 AND member_oid = $2";
        Write::new(sql, vec![role.into(), member.into()])
    }

    /// A setting that the role's sessions begin with; `None` takes it away.
    #[must_use]
    pub fn setting_write(oid: i64, name: &str, value: Option<&str>) -> Write {
        match value {
            Some(value) => Write::new(
                "INSERT INTO polder_role_setting (role_oid, name, value) VALUES ($1, $2, $3) \
                 ON CONFLICT (role_oid, name) DO UPDATE SET value = excluded.value",
                vec![oid.into(), name.into(), value.into()],
            ),
            None => Write::new(
                "DELETE FROM polder_role_setting WHERE role_oid = $1 AND name = $2",
                vec![oid.into(), name.into()],
            ),
        }
    }

    /// What a role grants on things of a kind that it makes; `None`: what is usual.
    #[must_use]
    pub fn default_write(oid: i64, kind: &str, items: Option<&str>) -> Write {
        match items {
            Some(items) => Write::new(
                "INSERT INTO polder_default_privilege (role_oid, kind, items) VALUES ($1, $2, $3) \
                 ON CONFLICT (role_oid, kind) DO UPDATE SET items = excluded.items",
                vec![oid.into(), kind.into(), items.into()],
            ),
            None => Write::new(
                "DELETE FROM polder_default_privilege WHERE role_oid = $1 AND kind = $2",
                vec![oid.into(), kind.into()],
            ),
        }
    }

    /// Who owns a topic now, and what is granted on it, where it was `before`. With another transaction that came first it
    /// fails.
    #[must_use]
    pub fn topic_write(before: Option<&TopicAccess>, after: &TopicAccess) -> Write {
        let mut values = vec![
            after.topic_id.as_str().into(),
            after.topic.as_str().into(),
            after.owner.into(),
            crate::Value::from(after.items.as_deref()),
        ];
        let Some(before) = before else {
            let sql = "INSERT INTO polder_topic_access (topic_id, topic, owner_oid, items) VALUES ($1, $2, $3, $4)";
            return Write::new(sql, values);
        };
        values.extend([before.owner.into(), before.items.as_deref().unwrap_or_default().into()]);
        Write::new(
            "UPDATE polder_topic_access SET topic = $2, owner_oid = $3, items = $4 WHERE topic_id = $1 \
             AND owner_oid = $5 AND coalesce(items, '') = $6",
            values,
        )
        .affecting(1)
    }

    /// A topic is gone.
    #[must_use]
    pub fn no_topic_write(topic_id: &str) -> Write {
        Write::new("DELETE FROM polder_topic_access WHERE topic_id = $1", vec![topic_id.into()])
    }

    /// Who may do what with the database.
    #[must_use]
    pub fn database_write(items: &str) -> Write {
        Settings::set_write(DATABASE, items)
    }
}

fn values(role: &Role) -> Vec<crate::Value> {
    vec![
        role.oid.into(),
        role.name.as_str().into(),
        role.is_superuser.into(),
        role.inherits.into(),
        role.creates_roles.into(),
        role.creates_databases.into(),
        role.logs_in.into(),
        role.bypasses_policies.into(),
        role.connection_limit.into(),
        role.valid_until.into(),
    ]
}

fn read(row: &Row) -> Result<Role> {
    Ok(Role {
        oid: row.int(0)?,
        name: row.text(1)?.to_owned(),
        is_superuser: row.bool(2)?,
        inherits: row.bool(3)?,
        creates_roles: row.bool(4)?,
        creates_databases: row.bool(5)?,
        logs_in: row.bool(6)?,
        bypasses_policies: row.bool(7)?,
        connection_limit: row.int(8)?,
        valid_until: row.opt_time(9)?,
    })
}

fn read_topic(row: &Row) -> Result<TopicAccess> {
    Ok(TopicAccess {
        topic_id: row.text(0)?.to_owned(),
        topic: row.text(1)?.to_owned(),
        owner: row.int(2)?,
        items: row.opt_text(3)?.map(str::to_owned),
    })
}

fn read_member(row: &Row) -> Result<RoleMember> {
    Ok(RoleMember { role: row.int(0)?, member: row.int(1)?, grantor: row.int(2)?, has_admin: row.bool(3)? })
}
