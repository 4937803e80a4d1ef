//! Whether one schema reads what another wrote: the rules of "Schema Resolution" in Avro's specification.

use std::collections::{HashMap, HashSet};

use super::{AvroSchema, Field, Name, Type, TypeId};
use crate::limits::Budget;

/// What keeps `reader` from reading what `writer` wrote; nothing, if it can. An error if it would take too long to say.
pub(crate) fn differences(reader: &AvroSchema, writer: &AvroSchema) -> Result<Vec<String>, String> {
    let mut comparison =
        Comparison { reader, writer, known: HashMap::new(), found: Vec::new(), budget: Budget::default() };
    comparison.reads(reader.root, writer.root, "/")?;
    Ok(comparison.found)
}

/// Symbols that are named in a difference.
const MISSING_TOLD_MAX: usize = 10;

struct Comparison<'a> {
    reader: &'a AvroSchema,
    writer: &'a AvroSchema,
    /// What has been compared, or is being compared: types that contain themselves are met again.
    known: HashMap<(TypeId, TypeId), bool>,
    found: Vec<String>,
    budget: Budget,
}

impl Comparison<'_> {
    fn reads(&mut self, reader: TypeId, writer: TypeId, at: &str) -> Result<bool, String> {
        if let Some(known) = self.known.get(&(reader, writer)) {
            return Ok(*known);
        }
        self.budget.enter()?;
        self.known.insert((reader, writer), true);
        let reads = self.compare(reader, writer, at)?;
        self.budget.leave();
        self.known.insert((reader, writer), reads);
        Ok(reads)
    }

    fn refuse(&mut self, rule: &str, at: &str, why: &str) -> Result<bool, String> {
        self.found.push(format!("{rule} at {at}: {why}"));
        Ok(false)
    }

    fn compare(&mut self, reader: TypeId, writer: TypeId, at: &str) -> Result<bool, String> {
        let (read, written) = (self.reader.get(reader), self.writer.get(writer));
        match (read, written) {
            (_, Type::Union(branches)) => {
                let mut reads = true;
                for branch in branches {
                    reads &= self.reads(reader, *branch, at)?;
                }
                Ok(reads)
            }
            (Type::Union(branches), _) => self.some_branch(branches, writer, at),
            (Type::Null, Type::Null)
            | (Type::Boolean, Type::Boolean)
            | (Type::Int(_), Type::Int(_))
            | (Type::Long(_), Type::Long(_) | Type::Int(_))
            | (Type::Float, Type::Float | Type::Int(_) | Type::Long(_))
            | (Type::Double, Type::Double | Type::Float | Type::Int(_) | Type::Long(_))
            | (Type::Bytes(_) | Type::String, Type::Bytes(_) | Type::String) => Ok(true),
            (Type::Array(read), Type::Array(written)) => self.reads(*read, *written, &format!("{at}items/")),
            (Type::Map(read), Type::Map(written)) => self.reads(*read, *written, &format!("{at}values/")),
            (Type::Record { name, fields }, Type::Record { name: written_name, fields: written }) => {
                if !same_name(name, written_name) {
                    let why = format!("the record was \"{}\" and is \"{}\"", written_name.full, name.full);
                    return self.refuse("NAME_MISMATCH", at, &why);
                }
                self.record(fields, written, at)
            }
            (Type::Enum { name, symbols, default }, Type::Enum { name: written_name, symbols: written, .. }) => {
                if !same_name(name, written_name) {
                    let why = format!("the enum was \"{}\" and is \"{}\"", written_name.full, name.full);
                    return self.refuse("NAME_MISMATCH", at, &why);
                }
                let known: HashSet<&String> = symbols.iter().collect();
                let missing = written.iter().filter(|symbol| !known.contains(symbol));
                let missing: Vec<&str> = missing.map(String::as_str).take(MISSING_TOLD_MAX).collect();
                if missing.is_empty() || default.is_some() {
                    return Ok(true);
                }
                let why = format!("the enum \"{}\" lacks {} and has no default", name.full, missing.join(", "));
                self.refuse("MISSING_ENUM_SYMBOLS", at, &why)
            }
            (Type::Fixed { name, size, .. }, Type::Fixed { name: written_name, size: written, .. }) => {
                if !same_name(name, written_name) {
                    let why = format!("the fixed was \"{}\" and is \"{}\"", written_name.full, name.full);
                    return self.refuse("NAME_MISMATCH", at, &why);
                }
                if size == written {
                    return Ok(true);
                }
                let why = format!("the fixed \"{}\" had {written} bytes and has {size}", name.full);
                self.refuse("FIXED_SIZE_MISMATCH", at, &why)
            }
            _ => {
                let why = format!("a {} is not read as a {}", self.writer.kind(writer), self.reader.kind(reader));
                self.refuse("TYPE_MISMATCH", at, &why)
            }
        }
    }

    /// Some branch of a union must read it.
    fn some_branch(&mut self, branches: &[TypeId], writer: TypeId, at: &str) -> Result<bool, String> {
        let before = self.found.len();
        for branch in branches {
            if self.reads(*branch, writer, at)? {
                self.found.truncate(before);
                return Ok(true);
            }
        }
        self.found.truncate(before);
        let why = format!("no branch of the union reads a {}", self.writer.kind(writer));
        self.refuse("MISSING_UNION_BRANCH", at, &why)
    }

    fn record(&mut self, fields: &[Field], written: &[Field], at: &str) -> Result<bool, String> {
        let mut reads = true;
        let by_name: HashMap<&str, &Field> = written.iter().map(|field| (field.name.as_str(), field)).collect();
        for field in fields {
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let other = names.into_iter().find_map(|name| by_name.get(name.as_str()));
            reads &= match other {
                Some(other) => self.reads(field.of, other.of, &format!("{at}{}/", field.name))?,
                None if field.has_default => true,
                None => {
                    let why = format!("the field \"{}\" is new and has no default", field.name);
                    self.refuse("READER_FIELD_MISSING_DEFAULT_VALUE", &format!("{at}{}", field.name), &why)?
                }
            };
        }
        Ok(reads)
    }
}

/// Namespaces may differ: only the last part of a name is compared, or an alias.
fn same_name(reader: &Name, writer: &Name) -> bool {
    reader.short() == writer.short() || reader.aliases.contains(&writer.full)
}
