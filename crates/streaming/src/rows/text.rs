//! Bytes as text and JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use polder_kernels::json::Json;
use polder_kernels::json::bytes::text;
use polder_topic_log::format::Headers;
use polder_types::Result;

/// Headers as a JSON object.
///
/// # Errors
/// `Corrupt`.
pub fn headers(headers: Headers<'_>) -> Result<String> {
    let mut named: BTreeMap<&[u8], Vec<Json>> = BTreeMap::new();
    for header in headers.to_vec()? {
        let value = header.value.map_or(Json::Null, |value| Json::Text(text_or_hex(value)));
        named.entry(header.name.as_bytes()).or_default().push(value);
    }
    let entries = named.into_iter().map(|(name, mut values)| {
        let value = match values.pop() {
            Some(only) if values.is_empty() => only,
            last => Json::Array(values.into_iter().chain(last).collect()),
        };
        (text_or_hex(name), value)
    });
    Ok(Json::object(entries.collect()).to_string())
}

fn text_or_hex(bytes: &[u8]) -> String {
    text(bytes).map_or_else(
        || {
            bytes.iter().fold("\\x".to_owned(), |mut to, byte| {
                // A string takes all that is written.
                let _ = write!(to, "{byte:02x}");
                to
            })
        },
        str::to_owned,
    )
}

/// The text that a key of JSON stands for: of a string its text, of anything else the JSON.
pub fn key_of_json(json: String) -> String {
    match json.starts_with('"').then(|| Json::parse(&json)) {
        Some(Ok(Json::Text(text))) => text,
        _ => json,
    }
}
