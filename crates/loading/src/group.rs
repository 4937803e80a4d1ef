//! Which files go into which table.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::SchemaRef;
use polder_capability::{LoadOptions, LoadSource};
use polder_types::{Error, ErrorKind, Result};

use crate::format::Opened;
use crate::names::{self, TableRef, Unique};
use crate::parted::with_folders;
use crate::progress::{Job, Phase};
use crate::sniff;
use crate::source::folders::{Folder, lies_in, marked};
use crate::source::unpack::{Part, unpack};
use crate::source::{Found, Listing};

/// One table's worth of content, opened.
pub(crate) struct Document {
    pub opened: Opened,
    /// Of the content, and of the sheet in it.
    pub content_hash: String,
    /// Of these and the folders: what is remembered.
    pub hash: String,
    pub listing: Option<Listing>,
    /// As unpacked.
    pub bytes: u64,
}

impl Document {
    /// Whether a table has it already. `known`: hashes of what it has, and where that came from. Before folders were read,
    /// they were no part of the hash, so such a content is known by it and the folders that it came from.
    pub(crate) fn is_known(&self, known: &HashMap<String, String>) -> bool {
        known.contains_key(&self.hash)
            || known.get(&self.content_hash).is_some_and(|source| lies_in(source, self.folders()))
    }

    /// Those of its folders that are named after a value.
    fn folders(&self) -> &[Folder] {
        self.listing.as_ref().map_or(&[][..], |listing| listing.folders.as_slice())
    }
}

/// Files that make one table.
pub(crate) struct Group {
    pub table: TableRef,
    pub documents: Vec<Document>,
}

/// Unpacks and opens what was found. Files of a directory that hold no table are left out, with a remark.
pub(crate) fn open_all(found: &[Found], options: &LoadOptions, job: &Job) -> Result<(Vec<Document>, Vec<String>)> {
    let mut documents = Vec::new();
    let mut remarks = Vec::new();
    // From here on it is known how much there is to unpack and to hash.
    job.progress.enter(Phase::Fetching, Some(found.iter().map(|file| file.body.len()).sum()));
    for file in found {
        job.check()?;
        job.progress.set_source(&file.label);
        for part in unpack(&file.label, &file.name, &file.body, None, job)? {
            open_part(part, file.listing.as_ref(), options, job, &mut documents, &mut remarks)?;
        }
    }
    if documents.is_empty() {
        let label = found.first().map_or("the source", |file| file.label.as_str());
        return Err(Error::invalid(format!("no file with a table is found, beginning with {label}"))
            .with_hint(remarks.join("; ")));
    }
    Ok((documents, remarks))
}

fn open_part(
    part: Part,
    listing: Option<&Listing>,
    options: &LoadOptions,
    job: &Job,
    documents: &mut Vec<Document>,
    remarks: &mut Vec<String>,
) -> Result<()> {
    let by_chance = listing.is_some() || part.listed;
    if by_chance && part.body.len() == 0 {
        remarks.push(format!("{} is empty and is left out", part.label));
        return Ok(());
    }
    let opened = match sniff::open(&part, options, job) {
        Ok(opened) => opened,
        Err(error) if by_chance && error.kind() == ErrorKind::Unsupported => {
            remarks.push(format!("left out: {}", error.message()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for table in opened {
        if by_chance && !table.sure {
            remarks.push(format!("{} is text without columns and is left out; name it to load it", table.label));
            continue;
        }
        let hash = match table.section.as_str() {
            "" => part.hash.clone(),
            section => format!("{}#{section}", part.hash),
        };
        let folders = listing.map_or(&[][..], |listing| listing.folders.as_slice());
        documents.push(Document {
            opened: with_folders(table, folders),
            hash: marked(hash.clone(), folders),
            content_hash: hash,
            listing: listing.cloned(),
            bytes: part.body.len(),
        });
    }
    Ok(())
}

/// Where files were found together, and the names of their columns.
type Shape = (String, BTreeSet<String>);

/// Puts files of one directory with the same columns together, or all of them when a table is named.
pub(crate) fn group(documents: Vec<Document>, into: Option<TableRef>) -> Result<Vec<Group>> {
    if let Some(table) = into {
        refuse_strangers(&documents)?;
        return Ok(vec![Group { table, documents }]);
    }
    let mut groups: Vec<(Option<Shape>, Vec<Document>)> = Vec::new();
    for document in documents {
        let shape = document.listing.as_ref().map(|listing| (listing.key.clone(), names_of(&document)));
        let known = shape.as_ref().and_then(|shape| groups.iter_mut().find(|(known, _)| known.as_ref() == Some(shape)));
        match known {
            Some((_, together)) => together.push(document),
            None => groups.push((shape, vec![document])),
        }
    }
    let mut unique = Unique::default();
    Ok(groups
        .into_iter()
        .map(|(_, documents)| Group { table: TableRef::public(unique.add(table_name(&documents))), documents })
        .collect())
}

fn names_of(document: &Document) -> BTreeSet<String> {
    names::columns(&document.opened.reader.columns()).into_iter().collect()
}

fn table_name(documents: &[Document]) -> String {
    let stems: Vec<&str> = documents.iter().map(|document| names::stem(&document.opened.name)).collect();
    let directory =
        documents.first().and_then(|document| document.listing.as_ref()).map(|listing| listing.name.as_str());
    match stems.as_slice() {
        _ if documents.first().is_some_and(|document| !document.folders().is_empty()) => {
            names::safe(directory.unwrap_or_default()).unwrap_or_else(|| names::table("files"))
        }
        [stem] => names::table(stem),
        stems => names::common(stems, directory.unwrap_or("files")),
    }
}

/// Files for one table must have something in common.
fn refuse_strangers(documents: &[Document]) -> Result<()> {
    let Some((first, rest)) = documents.split_first() else { return Ok(()) };
    let columns = names_of(first);
    match rest.iter().find(|other| !columns.is_empty() && columns.is_disjoint(&names_of(other))) {
        Some(other) => Err(Error::invalid(format!(
            "{} and {} have no column in common, so they make no one table",
            first.opened.label, other.opened.label
        ))
        .with_hint("load them apart, or without a table's name to make one table each")),
        None => Ok(()),
    }
}

/// Folders that are columns must be the same ones for all files of a table: what lies beside them would lack a value, and
/// nobody could say which. `existing`: the table that the rows are added to, which leaves out those that it has no column for.
pub(crate) fn refuse_uneven_folders(documents: &[Document], existing: Option<&SchemaRef>) -> Result<()> {
    let is_column =
        |name: &str| existing.is_none_or(|schema| schema.fields().iter().any(|field| names::same(field.name(), name)));
    let names = |document: &Document| -> Vec<String> {
        let folders = document.folders().iter().filter(|folder| is_column(&folder.name));
        let safe = |name: &str| names::safe(name).unwrap_or_else(|| name.to_owned());
        let mut names: Vec<String> = folders.map(|folder| format!("`{}=…`", safe(&folder.name))).collect();
        names.sort();
        names
    };
    let Some((first, rest)) = documents.split_first() else { return Ok(()) };
    let expected = names(first);
    let shown = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if let Some(twice) = expected.windows(2).find(|pair| pair.first() == pair.last()) {
        return Err(Error::invalid(format!(
            "{} is in two folders {}",
            first.opened.label,
            shown(twice.get(..1).unwrap_or_default())
        ))
        .with_hint("a column has one value; rename one of the folders"));
    }
    match rest.iter().map(|other| (other, names(other))).find(|(_, names)| *names != expected) {
        Some((other, found)) => Err(Error::invalid(format!(
            "folders that are named after a value must be the same for all files of a table: {} has {}, and {} has {}",
            first.opened.label,
            shown(&expected),
            other.opened.label,
            shown(&found)
        ))
        .with_hint("load the others apart")),
        None => Ok(()),
    }
}

/// The words of a source, as a report names it.
pub(crate) fn shown(source: &LoadSource) -> &str {
    match source {
        LoadSource::Location(location) => location,
        LoadSource::Spooled { name, .. } => name,
    }
}
