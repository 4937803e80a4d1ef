//! What `information_schema` tells of roles and of what is granted.

use polder_lake::{EVERYBODY, Grant};
use polder_metastore::OWNER_OID;

use super::programs::specific_name;
use super::{CATALOG, Rows, Table};
use crate::authz::rights::{Kind, names};

/// A table or view, and its columns by the numbers under which rights on them are kept.
struct Thing<'a> {
    id: i64,
    schema: &'a str,
    name: &'a str,
    columns: Vec<(i64, String)>,
}

impl Table {
    fn things(&self) -> impl Iterator<Item = Thing<'_>> {
        // As in PostgreSQL, which has materialized views in its own catalog only.
        let tables = self.snapshot.tables.values().filter(|table| table.rules.materialized.is_none());
        let tables = tables.map(|table| Thing {
            id: table.id,
            schema: self.schema_of(table.schema_id),
            name: &table.name,
            columns: table.top_columns().map(|column| (column.id, column.name.clone())).collect(),
        });
        let views = self.snapshot.views.values().map(|view| Thing {
            id: view.id,
            schema: self.schema_of(view.schema_id),
            name: &view.name,
            columns: Vec::new(),
        });
        tables.chain(views)
    }

    /// Whether a grant is somebody's matter: theirs who granted it, or theirs who have it. `public`: what everybody has too.
    fn is_told(&self, grant: &Grant, public: bool) -> bool {
        let who = self.world.who();
        who.has(grant.grantor)
            || (grant.role == EVERYBODY && public)
            || (grant.role != EVERYBODY && who.has(grant.role))
    }

    fn grantee(&self, role: i64) -> &str {
        if role == EVERYBODY { "PUBLIC" } else { self.role(role) }
    }

    fn role(&self, role: i64) -> &str {
        self.world.who().book.name(role).unwrap_or_default()
    }

    /// Whether a right may be granted on: whoever has the owner's rights may always.
    fn grantable(&self, id: i64, grant: &Grant, granted: bool) -> &'static str {
        let owner = self.world.rights().owner(id);
        let is_owner = grant.role != EVERYBODY && self.world.who().book.memberships(grant.role, true).contains(&owner);
        if granted || is_owner { "YES" } else { "NO" }
    }

    /// `table_privileges` with what everybody has, `role_table_grants` without.
    pub(super) fn privileges(&self, rows: &mut Rows, public: bool) {
        let rights = self.world.rights();
        for thing in self.things() {
            for grant in rights.grants(Kind::Table, thing.id).iter().filter(|grant| self.is_told(grant, public)) {
                for (right, granted) in names(grant.rights, grant.grantable) {
                    rows.push([
                        self.role(grant.grantor).into(),
                        self.grantee(grant.role).into(),
                        CATALOG.into(),
                        thing.schema.into(),
                        thing.name.into(),
                        right.into(),
                        self.grantable(thing.id, grant, granted).into(),
                        if right == "SELECT" { "YES" } else { "NO" }.into(),
                    ]);
                }
            }
        }
    }

    /// `column_privileges` with what everybody has, `role_column_grants` without: a right on a table is one on each column.
    pub(super) async fn column_privileges(&self, rows: &mut Rows, public: bool) {
        let rights = self.world.rights();
        for mut thing in self.things() {
            if thing.columns.is_empty() {
                let columns = self.views.columns(thing.schema, thing.name).await;
                let fields = columns.iter().flat_map(|columns| columns.fields().iter());
                thing.columns = (1..).zip(fields).map(|(place, field)| (place, field.name().clone())).collect();
            }
            let on_table = rights.grants(Kind::Table, thing.id);
            for (number, column) in &thing.columns {
                let own = rights.access(thing.id).and_then(|access| access.columns.get(number));
                let all = on_table.iter().chain(own.into_iter().flatten());
                for grant in all.filter(|grant| self.is_told(grant, public)) {
                    for (right, granted) in names(grant.rights & Kind::Column.rights(), grant.grantable) {
                        rows.push([
                            self.role(grant.grantor).into(),
                            self.grantee(grant.role).into(),
                            CATALOG.into(),
                            thing.schema.into(),
                            thing.name.into(),
                            column.as_str().into(),
                            right.into(),
                            self.grantable(thing.id, grant, granted).into(),
                        ]);
                    }
                }
            }
        }
    }

    /// The roles whose rights the statement has.
    pub(super) fn enabled_roles(&self, rows: &mut Rows) {
        let who = self.world.who();
        for role in who.book.roles().iter().filter(|role| who.has(role.oid)) {
            rows.push([role.name.as_str().into()]);
        }
    }

    /// What the roles of the statement are members of, and perhaps only where they may make others members.
    pub(super) fn applicable_roles(&self, rows: &mut Rows, administrable: bool) {
        let who = self.world.who();
        let wanted =
            |member: &&polder_metastore::RoleMember| who.has(member.member) && (member.has_admin || !administrable);
        for member in who.book.members().iter().filter(wanted) {
            rows.push([
                self.role(member.member).into(),
                self.role(member.role).into(),
                if member.has_admin { "YES" } else { "NO" }.into(),
            ]);
        }
    }

    /// `routine_privileges` with what everybody has, `role_routine_grants` without.
    pub(super) fn routine_privileges(&self, rows: &mut Rows, public: bool) {
        let rights = self.world.rights();
        for function in self.snapshot.functions.values() {
            let grants = rights.grants(Kind::Function, function.id);
            for grant in grants.iter().filter(|grant| self.is_told(grant, public)) {
                for (right, granted) in names(grant.rights, grant.grantable) {
                    rows.push([
                        self.role(grant.grantor).into(),
                        self.grantee(grant.role).into(),
                        CATALOG.into(),
                        self.schema_of(function.schema_id).into(),
                        specific_name(&function.name, function.id, 0).as_str().into(),
                        CATALOG.into(),
                        self.schema_of(function.schema_id).into(),
                        function.name.as_str().into(),
                        right.into(),
                        self.grantable(function.id, grant, granted).into(),
                    ]);
                }
            }
        }
    }

    pub(super) fn owner_of_schema(&self, name: &str) -> &str {
        let owner = self.snapshot.schema(name).map_or(OWNER_OID, |schema| self.world.rights().owner(schema.id));
        self.role(owner)
    }
}
