//! Folders that are named after a value: `city=Delft`, as Hive lays files out and `COPY … PARTITION_BY` writes them.

use xxhash_rust::xxh3::Xxh3;

use super::Listing;
use super::http::decode_percent;
use super::spool::hash_name;

/// The folder of the rows that have no value.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// A column that is the same in all rows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub name: String,
    /// `None`: it is missing.
    pub value: Option<String>,
}

/// `between`: the names of the folders between what was given and the file. Files whose folders differ in nothing but
/// values make one table, which has the name of the folder that these are in.
pub(super) fn listing(location: &str, directory: &str, name: &str, given_name: &str, between: &[&str]) -> Listing {
    let folders: Vec<Folder> = between.iter().filter_map(|folder| read(folder)).collect();
    if folders.is_empty() {
        return Listing { key: format!("{location}\n{directory}"), name: name.to_owned(), folders };
    }
    let without_value = |folder: &str| match split(folder) {
        Some((name, _)) => format!("{name}="),
        None => folder.to_owned(),
    };
    let place: Vec<String> = between.iter().map(|folder| without_value(folder)).collect();
    let around = between.iter().rev().copied().find(|folder| split(folder).is_none());
    let name = around.unwrap_or(given_name).to_owned();
    Listing { key: format!("{location}\n{}", place.join("/")), name, folders }
}

fn split(folder: &str) -> Option<(&str, &str)> {
    folder.split_once('=').filter(|(name, _)| !name.is_empty())
}

fn read(folder: &str) -> Option<Folder> {
    let (name, value) = split(folder)?;
    Some(Folder { name: decode(name), value: (value != NO_VALUE).then(|| decode(value)) })
}

/// What would be no text stays as it is written.
fn decode(text: &str) -> String {
    let decoded = decode_percent(text);
    if decoded.contains(['\0', char::REPLACEMENT_CHARACTER]) { text.to_owned() } else { decoded }
}

/// Whether the folders around this place end with these.
pub(crate) fn lies_in(place: &str, folders: &[Folder]) -> bool {
    let around = place.rsplit_once('/').map_or("", |(directory, _)| directory);
    let around: Vec<Folder> = around.split('/').filter_map(read).collect();
    around.ends_with(folders)
}

/// The hash of a content under these folders: equal files of two folders are different rows.
pub(crate) fn marked(hash: String, folders: &[Folder]) -> String {
    if folders.is_empty() {
        return hash;
    }
    let mut values = Xxh3::new();
    for Folder { name, value } in folders {
        values.update(name.as_bytes());
        values.update(if value.is_some() { b"\0=" } else { b"\0-" });
        values.update(value.as_deref().unwrap_or_default().as_bytes());
        values.update(b"\0");
    }
    format!("{hash}/{}", hash_name(&values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(folder: &str, expected: Option<(&str, Option<&str>)>) {
        let expected = expected.map(|(name, value)| Folder { name: name.to_owned(), value: value.map(str::to_owned) });
        assert_eq!(read(folder), expected, "{folder}");
    }

    #[test]
    fn folders_are_read_as_hive_writes_them() {
        check("city=Delft", Some(("city", Some("Delft"))));
        check("city=a%2Fb%3D%25=c", Some(("city", Some("a/b=%=c"))));
        check("my%20city=%C3%A9", Some(("my city", Some("é"))));
        check("city=__HIVE_DEFAULT_PARTITION__", Some(("city", None)));
        check("city=", Some(("city", Some(""))));
        check("share=5%+1", Some(("share", Some("5%+1"))));
        check("bytes=%00", Some(("bytes", Some("%00"))));
        check("bytes=%FF", Some(("bytes", Some("%FF"))));
        check("=x", None);
        check("2024", None);
    }

    #[test]
    fn files_whose_folders_differ_in_values_belong_together() {
        let listing = |between: &[&str]| listing("in", "/in/x", "x", "in", between);
        let (a, b) = (listing(&["trips", "k=1", "j=x"]), listing(&["trips", "k=2", "j=y"]));
        assert_eq!((&a.key, a.name.as_str()), (&b.key, "trips"));
        assert_ne!(a.key, listing(&["trips", "k=1"]).key);
        assert_eq!(listing(&["k=1"]).name, "in");
        assert_eq!((listing(&["x"]).key.as_str(), listing(&["x"]).name.as_str()), ("in\n/in/x", "x"));
        assert_ne!(marked("h".into(), &a.folders), marked("h".into(), &b.folders));
        assert_eq!(marked("h".into(), &[]), "h");
        assert!(lies_in("/in/trips/k=1/j=x/a.csv", &a.folders) && lies_in("i=0/k=1/y/j=x/a.csv", &a.folders));
        assert!(!lies_in("/in/trips/k=1/j=y/a.csv", &a.folders) && !lies_in("k=1/j=x", &a.folders));
    }
}
