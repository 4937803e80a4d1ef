//! CREATE ROLE and ALTER ROLE.

use chrono::{DateTime, Utc};
use polder_metastore::{OWNER_OID, Principals, Role, Roles};
use polder_types::{Error, ErrorKind, Result};

use super::names::RoleName;
use super::statements::RoleOptions;
use super::{ALREADY_THERE, Done, Work, done, forbidden, words};

/// What the names of roles begin with that are always there.
const RESERVED: &str = "pg_";

/// What a hash begins with that was PostgreSQL's way to keep passwords, and its length.
const MD5: (&str, usize) = ("md5", 35);

impl RoleOptions {
    /// Whether anything but a password is said.
    fn says_more_than_a_password(&self) -> bool {
        self.superuser.is_some()
            || self.inherit.is_some()
            || self.create_role.is_some()
            || self.create_db.is_some()
            || self.login.is_some()
            || self.replication.is_some()
            || self.bypass_policies.is_some()
            || self.connection_limit.is_some()
            || self.valid_until.is_some()
    }

    /// # Errors
    /// `InvalidInput` (22023), `Unsupported` for what no role can be here.
    fn check(&self) -> Result<()> {
        if let Some(limit) = self.connection_limit
            && limit < -1
        {
            return Err(Error::invalid(format!("invalid connection limit: {limit}"))
                .with_code("22023")
                .with_hint("-1 for none"));
        }
        Ok(())
    }

    /// What they say of a role, beside its password.
    ///
    /// # Errors
    /// `InvalidInput` (22007) for a time that is none.
    fn apply(&self, role: &mut Role, zone: &str) -> Result<()> {
        let flags = [
            (self.superuser, &mut role.is_superuser),
            (self.inherit, &mut role.inherits),
            (self.create_role, &mut role.creates_roles),
            (self.create_db, &mut role.creates_databases),
            (self.login, &mut role.logs_in),
            (self.bypass_policies, &mut role.bypasses_policies),
        ];
        for (wanted, flag) in flags {
            *flag = wanted.unwrap_or(*flag);
        }
        role.connection_limit = self.connection_limit.unwrap_or(role.connection_limit);
        if let Some(until) = &self.valid_until {
            role.valid_until = instant(until, zone)?;
        }
        Ok(())
    }
}

/// A time as somebody writes it; `None` for the end of all times.
fn instant(text: &str, zone: &str) -> Result<Option<DateTime<Utc>>> {
    use arrow::array::timezone::Tz;
    use arrow::compute::kernels::cast_utils::string_to_datetime;
    if text.trim().eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    let wrong = || {
        Error::invalid(format!("invalid input syntax for type timestamp with time zone: \"{text}\""))
            .with_code("22007")
            .with_hint("'2030-01-31 12:00:00+00', or 'infinity'")
    };
    let zone: Tz = zone.parse().map_err(|_| wrong())?;
    let time = string_to_datetime(&zone, text.trim()).map_err(|_| wrong())?;
    Ok(Some(time.with_timezone(&Utc)))
}

/// # Errors
/// 42939 for a name that only roles have that are always there.
pub(super) fn check_not_reserved(name: &str, detail: &str) -> Result<()> {
    if name.starts_with(RESERVED) { Err(words::reserved(name).with_detail(detail)) } else { Ok(()) }
}

const PREFIX_RESERVED: &str = "Role names starting with \"pg_\" are reserved.";

impl Work<'_> {
    pub(super) async fn create(&mut self, name: &str, options: &RoleOptions) -> Result<Done> {
        options.check()?;
        self.may_create(options)?;
        check_name(name)?;
        check_not_reserved(name, PREFIX_RESERVED)?;
        if self.rows.roles.iter().any(|role| role.name == name) {
            let message = format!("role \"{name}\" already exists");
            return Err(Error::new(ErrorKind::AlreadyExists, message)
                .with_code(ALREADY_THERE)
                .with_hint(format!("ALTER ROLE {name}, or choose another name")));
        }
        let mut role = Role::new(self.context.engine.authority.take_oid(self.rows.next_oid), name);
        options.apply(&mut role, self.context.settings.zone())?;
        let oid = role.oid;
        for write in Roles::create_writes(&role) {
            self.transaction.attach(write);
        }
        self.rows.next_oid = oid + 1;
        self.rows.roles.push(role);
        self.is_changed = true;
        self.set_password(name, options).await?;
        for above in self.resolve_all(&options.in_roles)? {
            self.may_make_members(above, self.who.role)?;
            self.add_member(above, oid, false, self.who.role)?;
        }
        for member in self.resolve_all(&options.admins)? {
            self.add_member(oid, member, true, self.who.role)?;
        }
        for member in self.resolve_all(&options.members)? {
            self.add_member(oid, member, false, self.who.role)?;
        }
        Ok(done("CREATE ROLE", "create role", name))
    }

    fn may_create(&self, options: &RoleOptions) -> Result<()> {
        if self.who.superuser {
            return self.check_replication(options);
        }
        let wanted = [
            (options.superuser, "must be superuser to create superusers"),
            (options.replication, "must be superuser to create replication users"),
            (options.bypass_policies, "must be superuser to create bypassrls users"),
        ];
        if let Some((_, message)) = wanted.iter().find(|(option, _)| *option == Some(true)) {
            return Err(forbidden(*message));
        }
        if self.makes_roles() {
            return Ok(());
        }
        Err(forbidden("permission denied to create role")
            .with_hint(format!("a superuser may ALTER ROLE {} CREATEROLE", self.who.role_name())))
    }

    fn check_replication(&self, options: &RoleOptions) -> Result<()> {
        if options.replication == Some(true) {
            return Err(Error::unsupported("REPLICATION is not supported: nobody replicates by PostgreSQL's protocol")
                .with_hint("leave it out; table_changes() gives what has changed"));
        }
        Ok(())
    }

    pub(super) async fn alter(&mut self, role: &RoleName, options: &RoleOptions) -> Result<Done> {
        options.check()?;
        if let RoleName::Named(name) = role {
            check_not_reserved(name, "Cannot alter reserved roles.")?;
        }
        let oid = self.resolve(role)?;
        let Some(known) = self.role(oid).cloned() else { return Err(Error::internal("a role is lost")) };
        self.may_alter(&known, options)?;
        let mut changed = known.clone();
        options.apply(&mut changed, self.context.settings.zone())?;
        if changed != known {
            self.transaction.attach(Roles::change_write(&changed));
            self.put(changed);
        }
        self.set_password(&known.name, options).await?;
        let event = match options.says_more_than_a_password() {
            false if options.password.is_some() => "set password",
            _ => "alter role",
        };
        Ok(done("ALTER ROLE", event, known.name))
    }

    fn may_alter(&self, known: &Role, options: &RoleOptions) -> Result<()> {
        if known.oid == OWNER_OID && options.superuser == Some(false) {
            return Err(Error::unsupported("permission denied to alter role")
                .with_detail("The bootstrap user must have the SUPERUSER attribute."));
        }
        if self.who.superuser {
            return self.check_replication(options);
        }
        if known.is_superuser || options.superuser.is_some() {
            return Err(forbidden("must be superuser to alter superuser roles or change superuser attribute"));
        }
        if options.replication.is_some() {
            return Err(forbidden("must be superuser to alter replication roles or change replication attribute"));
        }
        if options.bypass_policies.is_some() {
            return Err(forbidden("must be superuser to change bypassrls attribute"));
        }
        let is_own_password = known.oid == self.who.role && options.password.is_some();
        if self.makes_roles() || (is_own_password && !options.says_more_than_a_password()) {
            return Ok(());
        }
        Err(forbidden("permission denied").with_hint("roles may change their own passwords, and CREATEROLE all others"))
    }

    fn put(&mut self, changed: Role) {
        if let Some(role) = self.rows.roles.iter_mut().find(|role| role.oid == changed.oid) {
            *role = changed;
        }
        self.is_changed = true;
    }

    async fn set_password(&mut self, name: &str, options: &RoleOptions) -> Result<()> {
        let Some(password) = &options.password else { return Ok(()) };
        let mut password = password.as_deref();
        if password == Some("") {
            self.note("empty string is not a valid password, clearing password");
            password = None;
        }
        if password.is_some_and(is_md5) {
            return Err(Error::unsupported("passwords hashed with MD5 are not supported")
                .with_hint("give the password, or a verifier of SCRAM-SHA-256"));
        }
        let principals = self.context.engine.metastore.principals();
        let write = principals.password_write(name, password).await?;
        self.transaction.attach(write);
        // Whoever came in with the old one proves to know the new one.
        self.transaction.attach(Principals::end_sessions_write(name));
        self.rows.with_passwords.retain(|known| known != name);
        if password.is_some() {
            self.rows.with_passwords.push(name.to_owned());
        }
        self.is_changed = true;
        Ok(())
    }

    pub(super) fn rename(&mut self, role: &str, to: &str) -> Result<Done> {
        let known = self.named(role)?.clone();
        if known.oid == self.who.user {
            return Err(Error::unsupported("session user cannot be renamed").with_hint("log in as another one"));
        }
        if known.oid == self.who.role {
            return Err(Error::unsupported("current user cannot be renamed").with_hint("RESET ROLE"));
        }
        check_not_reserved(role, PREFIX_RESERVED)?;
        check_name(to)?;
        check_not_reserved(to, PREFIX_RESERVED)?;
        if self.rows.roles.iter().any(|role| role.name == to) {
            let message = format!("role \"{to}\" already exists");
            return Err(Error::new(ErrorKind::AlreadyExists, message).with_code(ALREADY_THERE));
        }
        if known.is_superuser && !self.who.superuser {
            return Err(forbidden("must be superuser to rename superusers"));
        }
        if !self.makes_roles() {
            return Err(forbidden("permission denied to rename role"));
        }
        if let Some((job, _)) = self.jobs.iter().find(|(_, owner)| owner == role) {
            return Err(Error::invalid(format!("role \"{role}\" cannot be renamed: job \"{job}\" runs in its name"))
                .with_code("55006")
                .with_hint("DROP JOB first, and CREATE it again in the new name"));
        }
        for write in Principals::rename_writes(role, to) {
            self.transaction.attach(write);
        }
        let renamed = Role { name: to.to_owned(), ..known };
        self.transaction.attach(Roles::change_write(&renamed));
        self.put(renamed);
        self.rows.with_passwords.iter_mut().filter(|name| *name == role).for_each(|name| to.clone_into(name));
        Ok(Done { message: Some(format!("to {to}")), ..done("ALTER ROLE", "rename role", role) })
    }
}

fn is_md5(password: &str) -> bool {
    let (prefix, length) = MD5;
    let digits = password.strip_prefix(prefix).unwrap_or_default();
    password.len() == length && digits.chars().all(|digit| digit.is_ascii_hexdigit())
}

fn check_name(name: &str) -> Result<()> {
    if name.chars().any(char::is_control) {
        return Err(Error::invalid("a role's name has no control characters").with_code("42602"));
    }
    Ok(())
}
