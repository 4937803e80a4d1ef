//! Rights on what is nobody's here: languages, types, tablespaces, foreign servers, settings. What there is may be used by all.

use arrow::array::{ArrayRef, AsArray};
use datafusion::common::Result;

use super::{Asked, Named};
use crate::functions::function::{Call, refuse};
use crate::system::pg_catalog::{oids, schemas, types};

/// A kind of thing: how errors call it, and the rights that there are on it.
struct Other {
    word: &'static str,
    rights: &'static [&'static str],
    /// Superusers only have them.
    of_superusers: bool,
    /// The one of a name.
    named: fn(&str) -> Option<i64>,
    is_there: fn(i64) -> bool,
}

fn none(_: &str) -> Option<i64> {
    None
}

fn nothing(_: i64) -> bool {
    false
}

fn is_language(oid: i64) -> bool {
    schemas::LANGUAGES.iter().any(|(known, ..)| *known == oid)
}

fn language(name: &str) -> Option<i64> {
    schemas::LANGUAGES.iter().find(|(_, known, _)| *known == name).map(|(oid, ..)| *oid)
}

fn is_tablespace(oid: i64) -> bool {
    oid == oids::TABLESPACE
}

fn is_type(oid: i64) -> bool {
    types::find(oid).is_some()
}

/// Of settings nobody asks whether there are any.
fn parameter(_: &str) -> Option<i64> {
    Some(0)
}

fn tablespace(name: &str) -> Option<i64> {
    (name == schemas::TABLESPACE).then_some(oids::TABLESPACE)
}

impl Other {
    /// Whether somebody has one of the rights that are asked for.
    fn run(&self, call: &Call<'_>) -> Result<ArrayRef> {
        let asked = Asked::new(call, 1)?;
        call.bools(|row| {
            self.check_rights(&asked, row)?;
            let Some(who) = asked.who(row)? else { return Ok(None) };
            let found = match asked.thing(0, row) {
                Named::Oid(oid) => (self.is_there)(oid),
                Named::Name(name) => match (self.named)(&name) {
                    Some(_) => true,
                    None => return Err(refuse("42704", format!("{} \"{name}\" does not exist", self.word))),
                },
            };
            Ok(found.then_some(who.superuser || !self.of_superusers))
        })
    }

    fn check_rights(&self, asked: &Asked<'_>, row: usize) -> Result<()> {
        let text = asked.arrays[asked.arrays.len() - 1].as_string::<i32>().value(row);
        for part in text.split(',') {
            let words = part.trim().to_ascii_uppercase();
            let right = words.strip_suffix(" WITH GRANT OPTION").unwrap_or(&words);
            if !self.rights.contains(&right) {
                return Err(refuse("22023", format!("unrecognized privilege type: \"{}\"", part.trim())));
            }
        }
        Ok(())
    }
}

pub(in super::super) fn languages(call: &Call<'_>) -> Result<ArrayRef> {
    Other { word: "language", rights: &["USAGE"], of_superusers: false, named: language, is_there: is_language }
        .run(call)
}

pub(in super::super) fn tablespaces(call: &Call<'_>) -> Result<ArrayRef> {
    let (word, rights) = ("tablespace", &["CREATE"]);
    Other { word, rights, of_superusers: true, named: tablespace, is_there: is_tablespace }.run(call)
}

pub(in super::super) fn data_types(call: &Call<'_>) -> Result<ArrayRef> {
    let (word, rights) = ("type", &["USAGE"]);
    Other { word, rights, of_superusers: false, named: types::by_name, is_there: is_type }.run(call)
}

pub(in super::super) fn wrappers(call: &Call<'_>) -> Result<ArrayRef> {
    let word = "foreign-data wrapper";
    Other { word, rights: &["USAGE"], of_superusers: true, named: none, is_there: nothing }.run(call)
}

pub(in super::super) fn servers(call: &Call<'_>) -> Result<ArrayRef> {
    Other { word: "server", rights: &["USAGE"], of_superusers: true, named: none, is_there: nothing }.run(call)
}

/// Of settings that superusers alone may set: nobody is granted any.
pub(in super::super) fn parameters(call: &Call<'_>) -> Result<ArrayRef> {
    let (word, rights) = ("parameter", &["SET", "ALTER SYSTEM"]);
    Other { word, rights, of_superusers: true, named: parameter, is_there: nothing }.run(call)
}
