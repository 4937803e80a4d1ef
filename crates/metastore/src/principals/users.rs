//! Users and their passwords.

use chrono::{DateTime, Utc};
use polder_types::{Error, ErrorKind, Result, limits};

use super::scram::{self, Hash};
use super::{LoginAttempt, Principals};
use crate::{AuditEvent, OWNER_OID, Role, Roles, Row, Write};

/// What belongs to a user, by the user's name.
const OWNED: [&str; 4] = ["polder_session", "polder_api_token", "polder_console_link", "polder_access_key"];

/// Gives what a user has run another user's name.
const RAN: &str = "UPDATE polder_query SET user_name = $2 WHERE user_name = $1";

const PASSWORD_LETTERS_MIN: usize = 8;
/// A longer one only costs time to hash.
const PASSWORD_BYTES_MAX: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub created_at: DateTime<Utc>,
}

/// What a server needs to let a client prove that it knows the password, without ever hearing it.
///
/// Both in PostgreSQL's form, `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScramVerifiers {
    pub sha_256: String,
    pub sha_512: String,
}

impl ScramVerifiers {
    async fn of(password: &str) -> Result<Self> {
        let letters = password.chars().count();
        if letters < PASSWORD_LETTERS_MIN || password.len() > PASSWORD_BYTES_MAX {
            let message = format!(
                "a password has at least {PASSWORD_LETTERS_MIN} letters and at most {PASSWORD_BYTES_MAX} bytes"
            );
            return Err(Error::invalid(message).with_code("22023"));
        }
        let password = password.to_owned();
        off_the_runtime(move || Self {
            sha_256: scram::verifier(Hash::Sha256, &password),
            sha_512: scram::verifier(Hash::Sha512, &password),
        })
        .await
    }

    /// A password, or a verifier that a client has made of one (psql's `\password` does), of which there is no SHA-512.
    async fn given(text: &str) -> Result<Self> {
        if scram::is_verifier(text) {
            return Ok(Self { sha_256: text.to_owned(), sha_512: String::new() });
        }
        Self::of(text).await
    }
}

impl Principals<'_> {
    /// A user who may log in: the first one may do everything, others what they are granted.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, `InvalidInput` for a name or password that cannot be.
    pub async fn create_user(&self, name: &str, password: &str) -> Result<()> {
        check_name(name)?;
        let verifiers = ScramVerifiers::of(password).await?;
        let mut writes = vec![Write::new(
            "INSERT INTO polder_principal (name, scram_sha_256, scram_sha_512, created_at) VALUES ($1, $2, $3, $4)",
            vec![name.into(), verifiers.sha_256.into(), verifiers.sha_512.into(), self.0.clock().now().into()],
        )];
        let known = self.0.roles().load().await?;
        let (next, is_first) = (known.next_oid, known.with_passwords.is_empty());
        match known.roles.into_iter().find(|role| role.name == name) {
            Some(role) => writes.push(Roles::change_write(&Role { logs_in: true, ..role })),
            None => {
                let role = if is_first { Role::superuser(next, name) } else { Role::new(next, name) };
                writes.extend(Roles::create_writes(&Role { logs_in: true, ..role }));
            }
        }
        writes.push(AuditEvent::new("create user", name, "").of(name).write(self.0.clock().now()));
        self.0.write(&writes).await.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                Error::new(ErrorKind::AlreadyExists, format!("the user {name:?} exists already")).with_code("42710")
            }
            _ => error,
        })
    }

    /// All users, by name.
    pub async fn list_users(&self) -> Result<Vec<User>> {
        let rows = self.0.query("SELECT name, created_at FROM polder_principal ORDER BY name", &[]).await?;
        rows.iter().map(|row: &Row| Ok(User { name: row.text(0)?.to_owned(), created_at: row.time(1)? })).collect()
    }

    /// True if there was such a user. Their role, sessions, tokens, links and keys go too.
    pub async fn delete_user(&self, name: &str) -> Result<bool> {
        let mut writes =
            vec![Write::new("DELETE FROM polder_principal WHERE name = $1", vec![name.into()]).affecting(1)];
        writes.extend(Self::forget_writes(name));
        let roles = self.0.roles().load().await?.roles;
        match roles.into_iter().find(|role| role.name == name) {
            Some(role) if role.oid == OWNER_OID => {
                writes.push(Roles::change_write(&Role { logs_in: false, ..role }));
            }
            Some(role) => writes.extend(Roles::drop_writes(role.oid)),
            None => {}
        }
        self.write_told(writes, &AuditEvent::new("drop user", name, "").of(name)).await
    }

    /// Takes a user's password, sessions, tokens, links and keys away; to go with the end of a role. What they have run and
    /// saved is not that of whoever has the name after them.
    #[must_use]
    pub fn forget_writes(name: &str) -> Vec<Write> {
        let all = std::iter::once("polder_principal").map(|table| (table, "name"));
        let all = all.chain(OWNED.map(|table| (table, "user_name")));
        let gone = all
            .map(|(table, column)| Write::new(format!("DELETE FROM {table} WHERE {column} = $1"), vec![name.into()]));
        let saved = "UPDATE polder_saved_query SET owner = $2 WHERE owner = $1";
        let left = [RAN, saved].map(|sql| Write::new(sql, vec![name.into(), format!("{name} (dropped)").into()]));
        gone.chain(left).collect()
    }

    /// Gives what belongs to a user another user's name; to go with the change of a role's name.
    #[must_use]
    pub fn rename_writes(name: &str, to: &str) -> Vec<Write> {
        let all = [("polder_principal", "name"), ("polder_job", "owner"), ("polder_saved_query", "owner")];
        let all = all.into_iter().chain(OWNED.map(|table| (table, "user_name")));
        all.map(|(table, column)| {
            let sql = format!("UPDATE {table} SET {column} = $2 WHERE {column} = $1");
            Write::new(sql, vec![name.into(), to.into()])
        })
        .chain(std::iter::once(Write::new(RAN, vec![name.into(), to.into()])))
        .collect()
    }

    /// Gives a role a password, or another one; to go with a change of the role. `None` takes it away: then nobody proves
    /// to be that role, though it may log in.
    ///
    /// # Errors
    /// `InvalidInput` for a name or password that cannot be.
    pub async fn password_write(&self, name: &str, password: Option<&str>) -> Result<Write> {
        check_name(name)?;
        let Some(password) = password else {
            return Ok(Write::new("DELETE FROM polder_principal WHERE name = $1", vec![name.into()]));
        };
        let verifiers = ScramVerifiers::given(password).await?;
        Ok(Write::new(
            "INSERT INTO polder_principal (name, scram_sha_256, scram_sha_512, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET scram_sha_256 = excluded.scram_sha_256, \
             scram_sha_512 = excluded.scram_sha_512",
            vec![name.into(), verifiers.sha_256.into(), verifiers.sha_512.into(), self.0.clock().now().into()],
        ))
    }

    pub async fn scram_verifiers(&self, name: &str) -> Result<Option<ScramVerifiers>> {
        let sql = "SELECT scram_sha_256, scram_sha_512 FROM polder_principal WHERE name = $1";
        let rows = self.0.query(sql, &[name.into()]).await?;
        let read =
            |row: &Row| Ok(ScramVerifiers { sha_256: row.text(0)?.to_owned(), sha_512: row.text(1)?.to_owned() });
        rows.first().map(read).transpose()
    }

    /// The SHA-256 verifier of a user, or one that no password belongs to: always the same for a name, and different from
    /// one metastore to the next.
    ///
    /// # Errors
    /// `Corrupt` for a damaged key file.
    pub async fn scram_verifier_or_decoy(&self, name: &str) -> Result<String> {
        let known = if check_name(name).is_ok() { self.scram_verifiers(name).await? } else { None };
        match known {
            Some(verifiers) => Ok(verifiers.sha_256),
            None => Ok(scram::decoy(Hash::Sha256, &self.0.secret_key.derived(&format!("no such user: {name}"))?)),
        }
    }

    /// The same for SHA-512. Somebody whose verifier a client has made has none, and so one that no password belongs to.
    ///
    /// # Errors
    /// `Corrupt` for a damaged key file.
    pub async fn scram_verifier_512_or_decoy(&self, name: &str) -> Result<String> {
        let known = if check_name(name).is_ok() { self.scram_verifiers(name).await? } else { None };
        match known.map(|verifiers| verifiers.sha_512).filter(|verifier| !verifier.is_empty()) {
            Some(verifier) => Ok(verifier),
            None => Ok(scram::decoy(Hash::Sha512, &self.0.secret_key.derived(&format!("no such user: {name}"))?)),
        }
    }

    /// Settles a login whose proof another one has checked, slowed down as [`Principals::login`] is.
    ///
    /// # Errors
    /// `Unauthenticated` unless `proven`, `Unavailable` while the wait lasts.
    pub async fn login_proven(&self, name: &str, proven: bool, origin: &str) -> Result<()> {
        let attempt = self.attempt_login(name, origin).await?;
        if proven {
            attempt.succeeded();
            return Ok(());
        }
        attempt.failed();
        Err(Error::new(ErrorKind::Unauthenticated, "wrong user name or password"))
    }

    /// True if the user exists and the password is theirs. It takes as long for a user who does not exist. Nothing is
    /// slowed down here: servers call [`Principals::login`].
    pub async fn verify_password(&self, name: &str, password: &str) -> Result<bool> {
        // No user has such a name, and PostgreSQL has no place for a zero byte.
        let verifiers = if check_name(name).is_ok() { self.scram_verifiers(name).await? } else { None };
        let password =
            password.get(..password.floor_char_boundary(PASSWORD_BYTES_MAX + 1)).unwrap_or_default().to_owned();
        off_the_runtime(move || {
            scram::matches(verifiers.as_ref().map(|verifiers| verifiers.sha_256.as_str()), &password)
        })
        .await
    }

    /// Checks a password, and slows down whoever guesses: after five wrong ones for a user from one origin (an address)
    /// each next try has to wait, from one second up to a minute.
    ///
    /// # Errors
    /// `Unauthenticated` for a wrong name or password, `Unavailable` while the wait lasts (the hint says how long).
    pub async fn login(&self, name: &str, password: &str, origin: &str) -> Result<()> {
        let attempt = self.attempt_login(name, origin).await?;
        if self.verify_password(name, password).await? {
            attempt.succeeded();
            return Ok(());
        }
        attempt.failed();
        Err(Error::new(ErrorKind::Unauthenticated, "wrong user name or password"))
    }

    /// For protocols that check a password in several steps: begins an attempt, to be ended with its outcome.
    ///
    /// # Errors
    /// `Unavailable` while the wait lasts.
    pub async fn attempt_login(&self, name: &str, origin: &str) -> Result<LoginAttempt> {
        self.0.guesses.attempt(name, origin).await
    }

    /// Replaces a password by one who knows the old one. Wrong ones are slowed down as at a login.
    pub async fn change_password(&self, name: &str, old: &str, new: &str, origin: &str) -> Result<()> {
        self.login(name, old, origin).await?;
        self.set_password(name, new).await
    }

    /// # Errors
    /// `NotFound` if there is no such user.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<()> {
        let verifiers = ScramVerifiers::of(password).await?;
        let sql = "UPDATE polder_principal SET scram_sha_256 = $2, scram_sha_512 = $3 WHERE name = $1";
        let write = Write::new(sql, vec![name.into(), verifiers.sha_256.into(), verifiers.sha_512.into()]);
        let told = AuditEvent::new("set password", name, "").of(name);
        if self.write_told(vec![write.affecting(1), Self::end_sessions_write(name)], &told).await? {
            return Ok(());
        }
        Err(Error::not_found(format!("there is no user {name:?}")).with_code("42704"))
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let message = format!("a user's name has 1 to {} bytes and no control characters", limits::NAME_BYTES_MAX);
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Hashing takes milliseconds, in which a runtime's thread should serve others.
async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("hashing a password died").with_source(error))
}
