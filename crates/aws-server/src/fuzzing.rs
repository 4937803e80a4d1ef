//! What the fuzz target in `fuzz/` feeds: bodies and signatures, as anybody may send them.

use axum::http::Request;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use crate::cbor;
use crate::input::Input;
use crate::kinesis;
use crate::signature::{Signature, decoded, encoded};
use crate::value::{Value, read_json, write_json};

/// Reads bytes; the first one chooses the reader.
///
/// # Panics
/// Where a reader panics, where what was read is written and read as something else, and where what is signed is much larger
/// than the request.
pub fn read(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    match choice & 3 {
        0 => body(data, |data| read_json(data).ok(), write_json),
        1 => body(data, |data| cbor::read(data).ok(), cbor::write),
        2 => request(data),
        _ => tokens(data),
    }
}

fn body(data: &[u8], read: fn(&[u8]) -> Option<Value>, write: fn(&Value) -> Vec<u8>) {
    let Some(value) = read(data) else { return };
    // By their bytes: what is no number is not equal to itself.
    let again = read(&write(&value)).map(|again| write(&rounded(&again)));
    assert_eq!(again, Some(write(&rounded(&value))), "{value:?}");
    if let Ok(input) = Input::of(&value) {
        members(input);
    }
}

/// With twelve digits of each float: JSON's reader may take a neighbour of the nearest one.
fn rounded(value: &Value) -> Value {
    match value {
        Value::Float(float) => Value::Text(format!("{float:.11e}")),
        Value::List(items) => Value::List(items.iter().map(rounded).collect()),
        Value::Map(members) => Value::Map(members.iter().map(|(name, value)| (name.clone(), rounded(value))).collect()),
        other => other.clone(),
    }
}

/// Asks for each member as each kind.
fn members(input: Input<'_>) {
    for name in ["StreamName", "Records", "ShardFilter", "Tags", "Timestamp", "Limit"] {
        let _ = (input.text(name), input.bounded(name, 1..=10), input.bool(name), input.time(name));
        let _ = (input.needs_blob(name), input.texts(name), input.pairs(name));
        for item in input.list(name).ok().flatten().unwrap_or_default() {
            if let Ok(item) = Input::of(item) {
                let _ = (item.needs_text("PartitionKey"), item.needs_blob("Data"), item.only(&["Data"]));
            }
        }
    }
    if let Ok(Some(part)) = input.part("ShardFilter") {
        let _ = (part.needs_text("Type"), part.time("Timestamp"));
    }
}

/// The head of a request and what is behind it, as in HTTP/1.1.
fn parsed(data: &[u8]) -> Option<(Parts, &[u8])> {
    let end = data.windows(2).position(|two| two == b"\n\n");
    let (head, body) = data.split_at(end.unwrap_or(data.len()));
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let mut request = Request::builder().method(first.next()?).uri(first.next()?);
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(at);
        request = request.header(name, &value[1..]);
    }
    Some((request.body(()).ok()?.into_parts().0, body))
}

fn request(data: &[u8]) {
    let Some((parts, body)) = parsed(data) else { return };
    let Ok(Some(signature)) = Signature::of(&parts) else { return };
    // That of the seeds.
    let now = DateTime::<Utc>::from_timestamp(1_440_938_160, 0).unwrap_or_default();
    if signature.check_time(now).and_then(|()| signature.check_headers(&parts)).is_err() {
        return;
    }
    let bytes = data.len();
    let canonical = signature.canonical(&parts, body).map(|text| text.len()).unwrap_or_default();
    assert!(canonical <= 8 * bytes + 1_024, "{bytes} bytes become {canonical}, which are signed");
}

fn tokens(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert_eq!(decoded(&encoded(&text)), text);
    kinesis::fuzzing(&text);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::read;

    const SEEDS: &[&[u8]] = &[
        include_bytes!("../../../fuzz/aws_seeds/json"),
        include_bytes!("../../../fuzz/aws_seeds/cbor"),
        include_bytes!("../../../fuzz/aws_seeds/signed"),
        include_bytes!("../../../fuzz/aws_seeds/presigned"),
        include_bytes!("../../../fuzz/aws_seeds/token"),
        include_bytes!("../../../fuzz/aws_seeds/repeated"),
    ];

    #[test]
    fn what_clients_send_is_read() {
        SEEDS.iter().for_each(|seed| read(seed));
    }

    proptest! {
        /// A seed with a few bytes changed, and cut.
        #[test]
        fn what_is_damaged_is_refused(
            seed in 0..SEEDS.len(),
            changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
            length in any::<proptest::sample::Index>(),
        ) {
            let mut data = SEEDS[seed].to_vec();
            for (at, byte) in changes {
                let at = at.index(data.len());
                data[at] = byte;
            }
            data.truncate(length.index(data.len() + 1));
            read(&data);
        }
    }
}
