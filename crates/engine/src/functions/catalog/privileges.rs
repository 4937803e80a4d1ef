//! Who may do what: `has_table_privilege` and its like.
//!
//! Rights are named in a text: `SELECT`, several with commas (one of them is enough), `WITH GRANT OPTION` for the right to grant
//! it on.

mod others;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, TableReference};
use polder_lake::{EVERYBODY, Grant};

use super::{references, relation_of};
use crate::authz::rights::{CREATE, Kind, SELECT, UPDATE, USAGE, in_letters, of_name};
use crate::authz::{Rights, Who};
use crate::functions::function::{Call, refuse};
use crate::functions::types;
use crate::policies::Bound;
use crate::rewrite::named_columns;
use crate::system::pg_catalog::World;
use crate::system::pg_catalog::directory::{Of, Relation, number};
use crate::system::pg_catalog::{is_of_passwords, oids, programs};
use crate::topic_rights::{knows_of, on_topic};

pub(super) use others::{data_types, languages, parameters, servers, tablespaces, wrappers};

/// An argument of any type, in one row: an object id or a name.
enum Named {
    Oid(i64),
    Name(String),
}

/// The arguments of such a function: perhaps somebody, then a number of things, and at the end the rights.
struct Asked<'a> {
    world: &'a World,
    /// The arguments as numbers or texts.
    arrays: Vec<ArrayRef>,
    /// Where the things begin: 1 if somebody is named first.
    first: usize,
}

impl<'a> Asked<'a> {
    fn new(call: &'a Call<'_>, things: usize) -> Result<Self> {
        let arrays = call.arrays.iter().map(|array| match array.data_type().is_integer() {
            true => cast(array, &DataType::Int64),
            false => cast(array, &DataType::Utf8),
        });
        let arrays = arrays.collect::<std::result::Result<Vec<_>, _>>()?;
        let first = call.arrays.len().saturating_sub(things + 1);
        Ok(Self { world: World::of(call.config)?, arrays, first })
    }

    fn named(&self, at: usize, row: usize) -> Named {
        match self.arrays[at].as_primitive_opt::<Int64Type>() {
            Some(numbers) => Named::Oid(numbers.value(row)),
            None => Named::Name(self.arrays[at].as_string::<i32>().value(row).to_owned()),
        }
    }

    fn thing(&self, at: usize, row: usize) -> Named {
        self.named(self.first + at, row)
    }

    /// Whose rights are asked for. `None` for a number that no role has.
    fn who(&self, row: usize) -> Result<Option<Who>> {
        let asks = self.world.who();
        if self.first == 0 {
            return Ok(Some(asks.clone()));
        }
        let role = match self.named(0, row) {
            Named::Oid(oid) => oid,
            Named::Name(name) if name == "public" => EVERYBODY,
            Named::Name(name) => role_named(self.world, &name)?,
        };
        if role == EVERYBODY {
            return Ok(Some(Who { newest: asks.newest.clone(), book: asks.book.clone(), ..Who::nobody() }));
        }
        let known = self.world.who().book.role(role).is_some();
        Ok(known.then(|| Who { newest: asks.newest.clone(), ..asks.book.who(role, role) }))
    }

    /// The rights that are asked for: one of these, each perhaps to be granted on.
    fn rights(&self, row: usize, kind: Kind) -> Result<Vec<(u32, bool)>> {
        let text = self.arrays[self.arrays.len() - 1].as_string::<i32>().value(row);
        let one = |part: &str| {
            let words: Vec<&str> = part.split_whitespace().collect();
            let (name, granted) = match words.as_slice() {
                [name] => (*name, false),
                [name, with, grant, option]
                    if with.eq_ignore_ascii_case("with")
                        && grant.eq_ignore_ascii_case("grant")
                        && option.eq_ignore_ascii_case("option") =>
                {
                    (*name, true)
                }
                _ => (part, false),
            };
            // A right that there was once, and that nobody has.
            let old = (kind == Kind::Table && name.eq_ignore_ascii_case("rule")).then_some(0);
            of_name(name)
                .filter(|right| kind.rights() & right != 0)
                .or(old)
                .map(|right| (right, granted))
                .ok_or_else(|| refuse("22023", format!("unrecognized privilege type: \"{}\"", part.trim())))
        };
        text.split(',').map(one).collect()
    }
}

fn role_named(world: &World, name: &str) -> Result<i64> {
    let known = world.who().book.find(name).map(|role| role.oid);
    known.ok_or_else(|| refuse("42704", format!("role \"{name}\" does not exist")))
}

/// Whether a list of grants, of a thing with an owner, gives one of these rights.
fn gives(grants: &[Grant], who: &Who, owner: i64, wanted: &[(u32, bool)]) -> bool {
    if who.superuser {
        return true;
    }
    let of = |grant: &&Grant| grant.role == EVERYBODY || who.memberships.contains(&grant.role);
    wanted.iter().any(|(right, granted)| match granted {
        true => who.has(owner) || grants.iter().filter(of).any(|grant| grant.grantable & right != 0),
        false => grants.iter().filter(of).any(|grant| grant.rights & right != 0),
    })
}

fn relation<'a>(asked: &Asked<'a>, row: usize) -> Result<Option<&'a Relation>> {
    let oid = match asked.thing(0, row) {
        Named::Oid(oid) => oid,
        Named::Name(name) => references::relation(asked.world, &name)?,
    };
    Ok(asked.world.directory().relation(oid))
}

/// Whether somebody has one of some rights on a relation: on the whole, or on a column of the lake's by its number. The system's
/// own are read by everybody.
fn on_relation(world: &World, who: &Who, relation: &Relation, wanted: &[(u32, bool)], column: Option<i64>) -> bool {
    let rights = Rights::new(who, world.snapshot());
    match relation.of {
        Of::Table(id) | Of::View(id) | Of::Index(id, _) | Of::Sequence(id, _) => {
            let owner = rights.owner(id);
            let own = column.and_then(|column| rights.access(id)?.columns.get(&column));
            let all = wanted.iter().any(|(right, granted)| !*granted && rights.on(Kind::Table, id) & right != 0);
            all || gives(&rights.grants(Kind::Table, id), who, owner, wanted)
                || own.is_some_and(|own| gives(own, who, owner, wanted))
        }
        Of::System if is_of_passwords(&relation.name) => who.superuser,
        Of::Topic(id) => {
            let book = &world.who().book;
            let grants = book.topic_grants(id);
            let all = wanted.iter().any(|(right, granted)| !*granted && on_topic(who, &grants) & right != 0);
            all || gives(&grants, who, book.topic_owner(id), wanted)
        }
        Of::System => who.superuser || wanted.iter().any(|(right, granted)| !*granted && *right == READ),
    }
}

const READ: u32 = crate::authz::rights::SELECT;

pub(super) fn table(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Table)?;
        let (Some(who), Some(relation)) = (asked.who(row)?, relation(&asked, row)?) else { return Ok(None) };
        Ok(Some(on_relation(asked.world, &who, relation, &wanted, None)))
    })
}

/// Sequences are parts of their tables, which have no rights of their own.
pub(super) fn sequence(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        asked.rights(row, Kind::Sequence)?;
        let (Some(who), Some(relation)) = (asked.who(row)?, relation(&asked, row)?) else { return Ok(None) };
        Ok(Some(who.has(asked.world.owner_of(relation))))
    })
}

pub(super) fn any_column(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Column)?;
        let (Some(who), Some(relation)) = (asked.who(row)?, relation(&asked, row)?) else { return Ok(None) };
        let columns = match relation.of {
            Of::Table(id) | Of::View(id) => Rights::new(&who, asked.world.snapshot()).access(id),
            _ => None,
        };
        let mut columns = columns.into_iter().flat_map(|access| access.columns.keys());
        let on = |column| on_relation(asked.world, &who, relation, &wanted, column);
        Ok(Some(on(None) || columns.any(|column| on(Some(*column)))))
    })
}

pub(super) fn column(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 2)?;
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Column)?;
        let (Some(who), Some(relation)) = (asked.who(row)?, relation(&asked, row)?) else { return Ok(None) };
        let column = match (asked.thing(1, row), asked.world.table(relation)) {
            (Named::Name(name), Some(table)) => {
                let known = table.top_columns().find(|column| column.name == name).map(|column| column.id);
                let missing =
                    || refuse("42703", format!("column \"{name}\" of relation \"{}\" does not exist", relation.name));
                Some(known.ok_or_else(missing)?)
            }
            (Named::Oid(wanted), Some(table)) => {
                let known = table.top_columns().find(|column| number(column) == wanted).map(|column| column.id);
                if known.is_none() {
                    return Ok(None);
                }
                known
            }
            (Named::Oid(place), None) => Some(place),
            (Named::Name(name), None) => place_in_view(asked.world, relation, &name)?,
        };
        Ok(Some(on_relation(asked.world, &who, relation, &wanted, column)))
    })
}

/// Where a column stands among those of a view, from 1. `None` where the view's text does not tell its columns: they would be
/// known by planning it, which a function cannot wait for.
fn place_in_view(world: &World, relation: &Relation, name: &str) -> Result<Option<i64>> {
    let Some(view) = world.view(relation) else { return Ok(None) };
    let Some(names) = named_columns(&view.sql) else { return Ok(None) };
    match (1..).zip(&names).find(|(_, known)| *known == name) {
        Some((place, _)) => Ok(Some(place)),
        None => Err(refuse("42703", format!("column \"{name}\" of relation \"{}\" does not exist", relation.name))),
    }
}

pub(super) fn schema(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Schema)?;
        let Some(who) = asked.who(row)? else { return Ok(None) };
        let directory = asked.world.directory();
        let name = match asked.thing(0, row) {
            Named::Oid(oid) => directory.schema(oid).map(str::to_owned),
            Named::Name(name) => {
                let name = TableReference::parse_str(&name).table().to_owned();
                let known = directory.schema_named(&name);
                Some(
                    known
                        .map(|_| name.clone())
                        .ok_or_else(|| refuse("3F000", format!("schema \"{name}\" does not exist")))?,
                )
            }
        };
        let Some(name) = name else { return Ok(None) };
        let rights = Rights::new(&who, asked.world.snapshot());
        let Some(schema) = asked.world.snapshot().schema(&name) else {
            let usage = crate::authz::rights::USAGE;
            return Ok(Some(who.superuser || wanted.iter().any(|(right, granted)| !granted && *right == usage)));
        };
        let own = Rights::is_own_temporary(&name);
        let all = wanted.iter().any(|(right, granted)| !*granted && rights.on(Kind::Schema, schema.id) & right != 0);
        Ok(Some(own || all || gives(&rights.grants(Kind::Schema, schema.id), &who, rights.owner(schema.id), &wanted)))
    })
}

pub(super) fn database(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Database)?;
        let Some(who) = asked.who(row)? else { return Ok(None) };
        match asked.thing(0, row) {
            Named::Oid(oid) if oid != oids::DATABASE => return Ok(None),
            Named::Name(name) if name != "polder" => {
                return Err(refuse("3D000", format!("database \"{name}\" does not exist")));
            }
            _ => {}
        }
        let rights = Rights::new(&who, asked.world.snapshot());
        Ok(Some(gives(&rights.database_grants(), &who, oids::OWNER, &wanted)))
    })
}

pub(super) fn function(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    let all = programs::all(asked.world);
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Function)?;
        let Some(who) = asked.who(row)? else { return Ok(None) };
        let found = match asked.thing(0, row) {
            Named::Oid(oid) => all.iter().find(|program| program.oid == oid),
            Named::Name(text) => {
                let oid = references::procedure(asked.world, &text)?;
                all.iter().find(|program| program.oid == oid)
            }
        };
        let Some(found) = found else { return Ok(None) };
        let rights = Rights::new(&who, asked.world.snapshot());
        Ok(Some(match found.id {
            Some(id) => gives(&rights.grants(Kind::Function, id), &who, rights.owner(id), &wanted),
            None => true,
        }))
    })
}

/// A topic of which whoever asks may know.
pub(super) fn topic(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        let wanted = asked.rights(row, Kind::Topic)?;
        // They have no numbers.
        let Named::Name(name) = asked.thing(0, row) else { return Ok(None) };
        let (asks, engine) = (asked.world.who(), asked.world.engine());
        let of = |id| (asks.book.topic_owner(id), asks.book.topic_grants(id));
        let known = engine.authority.topic_id(&name).map(of).filter(|(owner, grants)| knows_of(asks, *owner, grants));
        let (owner, grants) = known.ok_or_else(|| refuse("42704", format!("topic \"{name}\" does not exist")))?;
        let Some(who) = asked.who(row)? else { return Ok(None) };
        let all = wanted.iter().any(|(right, granted)| !*granted && on_topic(&who, &grants) & right != 0);
        Ok(Some(all || gives(&grants, &who, owner, &wanted)))
    })
}

/// Whether row policies of a table bind whoever asks.
pub(super) fn row_security(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    call.bools(|row| {
        let relation = relation_of(call, world, row)?;
        let bound =
            relation.and_then(|relation| world.table(relation)).and_then(|table| Bound::of(world.rights(), table.id));
        Ok(Some(bound.is_some_and(|bound| bound.rows)))
    })
}

/// `pg_has_role`: MEMBER for any way to be a member, USAGE for having the rights without SET ROLE; with ADMIN OPTION those who
/// may make members.
pub(super) fn role(call: &Call<'_>) -> Result<ArrayRef> {
    let asked = Asked::new(call, 1)?;
    call.bools(|row| {
        let Some(who) = asked.who(row)? else { return Ok(None) };
        let role = match asked.thing(0, row) {
            Named::Oid(oid) => oid,
            Named::Name(name) => role_named(asked.world, &name)?,
        };
        let text = asked.arrays[asked.arrays.len() - 1].as_string::<i32>().value(row);
        let one = |part: &str| {
            let words = part.trim().to_ascii_uppercase();
            Ok(match words.as_str() {
                "USAGE" => who.has(role),
                "MEMBER" => who.superuser || who.book.is_member(who.role, role),
                "USAGE WITH ADMIN OPTION"
                | "USAGE WITH GRANT OPTION"
                | "MEMBER WITH ADMIN OPTION"
                | "MEMBER WITH GRANT OPTION" => who.superuser || who.book.is_admin(who.role, role),
                _ => return Err(refuse("22023", format!("unrecognized privilege type: \"{}\"", part.trim()))),
            })
        };
        let all = text.split(',').map(one).collect::<Result<Vec<bool>>>()?;
        Ok(Some(all.into_iter().any(|has| has)))
    })
}

/// What everybody and an owner have on a thing of a kind, which is named by PostgreSQL's letter for it.
pub(super) fn usual_grants(call: &Call<'_>) -> Result<ArrayRef> {
    let world = World::of(call.config)?;
    let (letters, owners) = (call.text(0), call.primitive::<Int64Type>(1));
    let mut lists = ListBuilder::new(StringViewBuilder::new());
    for row in 0..call.rows {
        if !call.is_whole(row) {
            lists.append_null();
            continue;
        }
        let owner = owners.value(row);
        let only = |rights: u32| vec![Grant { role: owner, grantor: owner, rights, grantable: 0 }];
        let grants = match letters.value(row) {
            "r" => Kind::Table.usual(owner),
            "c" => Kind::Column.usual(owner),
            "s" => Kind::Sequence.usual(owner),
            "d" => Kind::Database.usual(owner),
            "f" => Kind::Function.usual(owner),
            "n" => Kind::Schema.usual(owner),
            // Types and languages, which everybody may use.
            "T" | "l" => {
                let everybody = Grant { role: EVERYBODY, grantor: owner, rights: USAGE, grantable: 0 };
                [vec![everybody], only(USAGE)].concat()
            }
            "F" | "S" => only(USAGE),
            "t" => only(CREATE),
            "L" => only(SELECT | UPDATE),
            other => return Err(refuse("22023", format!("unrecognized object type abbreviation: {other}"))),
        };
        lists.append_value(in_letters(&grants, &world.who().book).into_iter().map(Some));
    }
    types::fit(Arc::new(lists.finish()), call.gives)
}
