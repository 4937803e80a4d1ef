//! What the fuzz target in `fuzz/` feeds: everything here that reads bytes of somebody who has not logged in, or who may
//! send what they like.

use std::fmt::Debug;

use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use futures::executor::block_on;
use polder_door::scram::{self, Exchange};

use crate::copy::read::CopyReader;
use crate::sql::copy_options::{self, CopyFormat, CopyOptions};
use crate::sql::{command, scan};
use crate::startup;
use crate::types::{Column, Format, Kind, parameters};
use crate::wire::Wire;
use crate::wire::frontend::{Bind, Fields, Message};

/// Of a password that nobody has.
const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
                        wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

/// The options of the copies that are read.
const COPIES: &[&str] =
    &["", "(FORMAT csv)", "(FORMAT csv, HEADER MATCH, FORCE_NULL (a))", "(DELIMITER ';', NULL 'x')", "(FORMAT binary)"];

/// Columns of these types, by OID: one of each way to read a value.
const KINDS: &[u32] = &[25, 16, 17, 20, 1007, 1700, 1186, 1184, 3802, 2950, 1231, 701, 1083];

/// Reads bytes; the first one chooses the reader and the size of the pieces in which they come.
///
/// # Panics
/// Where a reader panics, and where it reads something else of the same bytes in other pieces.
pub fn read(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let piece = usize::from(choice >> 2) + 1;
    match choice & 3 {
        0 => conversation(data, piece),
        1 => start_up(data),
        2 => login(data),
        _ => copy(data, piece),
    }
}

/// The same for bytes that come at once and in pieces; an error is compared by its text.
fn same_in_pieces<T: Debug + PartialEq>(data: &[u8], piece: usize, read: impl Fn(usize) -> T) -> T {
    let whole = read(data.len().max(1));
    assert_eq!(whole, read(piece), "pieces of {piece} bytes are read in another way");
    whole
}

/// Messages after the login, to the first that is none.
fn messages(data: &[u8], piece: usize) -> Vec<Result<Message, String>> {
    let mut wire = Wire::new(Box::new(tokio::io::empty()));
    let mut read = Vec::new();
    for part in data.chunks(piece) {
        wire.receive(part);
        while let Some(message) = wire.buffered(None) {
            let broken = message.is_err();
            read.push(message.map_err(|error| error.to_string()));
            if broken {
                return read;
            }
        }
    }
    read
}

fn conversation(data: &[u8], piece: usize) {
    for message in same_in_pieces(data, piece, |piece| messages(data, piece)).into_iter().flatten() {
        match message {
            Message::Query(sql) | Message::Parse { sql, .. } => {
                for statement in scan::statements(&sql) {
                    // Whether it is understood is no matter here, nor below.
                    let _ = command::of(&statement, &sql);
                }
            }
            Message::Bind(bind) => values(&bind),
            _ => {}
        }
    }
}

/// Each value as one of each type, in both formats.
fn values(bind: &Bind) {
    for value in &bind.values {
        for oid in KINDS {
            for format in [Format::Text, Format::Binary] {
                let _ = parameters::parameter(*oid, format, value.clone());
            }
        }
    }
}

fn start_up(data: &[u8]) {
    let mut wire = Wire::new(Box::new(tokio::io::empty()));
    wire.receive(data);
    while let Ok(Some(body)) = block_on(wire.early()) {
        let mut fields = Fields(body);
        if let Ok(version) = fields.i32()
            && let Ok(parameters) = startup::read_parameters(&mut BytesMut::new(), version, fields)
        {
            let _ = startup::wanted(&parameters);
        }
    }
}

/// Two messages with a zero between them.
fn login(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, last) = text.split_once('\0').unwrap_or((text, ""));
    for (mechanism, certificate) in [(scram::SHA_256, None), (scram::SHA_256_PLUS, Some(&b"hash"[..]))] {
        let Ok(exchange) = Exchange::begin(mechanism, first, VERIFIER, certificate) else { continue };
        let nonce = exchange.server_first().split(',').next().unwrap_or_default().to_owned();
        for last in [last.to_owned(), format!("c=biws,{nonce},{last}")] {
            let proven = exchange.finish(&last).is_ok_and(|proof| proof.is_some());
            assert!(!proven, "a password that nobody has was proven");
        }
    }
}

fn rows(options: &CopyOptions, columns: usize, data: &[u8], piece: usize) -> Result<Vec<RecordBatch>, String> {
    let column = |(at, oid): (usize, &u32)| {
        let kind = Kind::of_oid(*oid).ok()?;
        Some(Column { name: char::from(b'a' + u8::try_from(at).ok()?).into(), kind, modifier: -1, origin: (0, 0) })
    };
    let mut reader =
        CopyReader::new(options.clone(), KINDS.iter().enumerate().take(columns).filter_map(column).collect());
    let mut batches = Vec::new();
    for part in data.chunks(piece) {
        batches.extend(reader.feed(part).map_err(|error| error.to_string())?);
    }
    batches.extend(reader.finish().map_err(|error| error.to_string())?);
    Ok(batches)
}

fn copy(data: &[u8], piece: usize) {
    let Some((choice, data)) = data.split_first() else { return };
    let choice = usize::from(*choice);
    let Some(text) = COPIES.get(choice % COPIES.len()) else { return };
    let columns = 1 + choice / COPIES.len() % KINDS.len();
    if let Ok(options) = copy_options::read(&scan::scan(text), false) {
        // A row alone in its binary form, without the head that a mutation seldom gets right.
        if options.format == CopyFormat::Binary {
            let headed = [crate::copy::SIGNATURE, &[0; 8], data].concat();
            let _ = same_in_pieces(&headed, piece, |piece| rows(&options, columns, &headed, piece));
        }
        let _ = same_in_pieces(data, piece, |piece| rows(&options, columns, data, piece));
    }
    let _ = parameters::parameter(KINDS[0], Format::Binary, Some(Bytes::copy_from_slice(data)));
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::read;

    /// What clients send, each with the byte that chooses its reader.
    const SEEDS: &[&[u8]] = &[
        include_bytes!("../../../fuzz/seeds/query"),
        include_bytes!("../../../fuzz/seeds/extended"),
        include_bytes!("../../../fuzz/seeds/copy_data"),
        include_bytes!("../../../fuzz/seeds/encryption"),
        include_bytes!("../../../fuzz/seeds/start_up"),
        include_bytes!("../../../fuzz/seeds/login"),
        include_bytes!("../../../fuzz/seeds/login_bound"),
        include_bytes!("../../../fuzz/seeds/copy_text"),
        include_bytes!("../../../fuzz/seeds/copy_csv"),
        include_bytes!("../../../fuzz/seeds/copy_header"),
        include_bytes!("../../../fuzz/seeds/copy_binary"),
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
