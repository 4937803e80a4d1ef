//! Rows as one object.

use std::io::Write;

use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use polder_capability::deliveries::{Compression, ObjectFormat};
use polder_types::{Error, Result};

use super::super::rows::{self, Texts};
use super::super::{Lot, Refused};

/// What Hadoop packs at once.
const HADOOP_BLOCK_BYTES: usize = 256 << 10;

/// Refuses a format that cannot be packed so.
pub(super) fn check(format: ObjectFormat, compression: Compression) -> Result<()> {
    let fits = match (format, compression) {
        (ObjectFormat::Parquet, Compression::Zip | Compression::HadoopSnappy) => false,
        (ObjectFormat::Parquet | ObjectFormat::Raw | ObjectFormat::JsonLines, _) => true,
    };
    if fits { Ok(()) } else { Err(Error::invalid("Parquet is packed with gzip, snappy or zstd, or not at all")) }
}

/// What objects' names end with.
pub(super) fn extension(format: ObjectFormat, compression: Compression) -> String {
    let of_format = match format {
        ObjectFormat::Parquet => return ".parquet".to_owned(),
        ObjectFormat::JsonLines => ".json",
        ObjectFormat::Raw => "",
    };
    let of_compression = match compression {
        Compression::None => "",
        Compression::Gzip => ".gz",
        Compression::Zip => ".zip",
        Compression::Snappy => ".snappy",
        Compression::HadoopSnappy => ".hsnappy",
        Compression::Zstd => ".zst",
    };
    format!("{of_format}{of_compression}")
}

/// The object, and rows that have no place in it. `None`: there would be nothing in it.
pub(super) fn pack(lot: &Lot, format: ObjectFormat, compression: Compression) -> Result<(Option<Bytes>, Vec<Refused>)> {
    let mut refused = Vec::new();
    let texts = match format {
        ObjectFormat::Parquet if lot.rows.num_rows() == 0 => return Ok((None, refused)),
        ObjectFormat::Parquet => return Ok((Some(parquet(lot, compression)?), refused)),
        ObjectFormat::Raw => rows::raw(lot)?,
        ObjectFormat::JsonLines => {
            let (texts, wrong) = rows::json(lot)?;
            refused = wrong;
            texts
        }
    };
    let behind = if format == ObjectFormat::JsonLines { "\n" } else { "" };
    let unpacked = joined(&texts, behind);
    if unpacked.is_empty() {
        return Ok((None, refused));
    }
    let packed =
        compress(unpacked, compression).map_err(|error| Error::internal(format!("packing an object: {error}")))?;
    Ok((Some(packed.into()), refused))
}

fn joined(texts: &Texts, behind: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for (_, text) in texts.iter() {
        all.extend_from_slice(text);
        all.extend_from_slice(behind.as_bytes());
    }
    all
}

fn compress(bytes: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes),
        Compression::Gzip => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            to.write_all(&bytes)?;
            to.finish()
        }
        Compression::Zip => {
            let mut to = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
            to.start_file("records", zip::write::SimpleFileOptions::default())?;
            to.write_all(&bytes)?;
            Ok(to.finish()?.into_inner())
        }
        Compression::Snappy => {
            let mut to = snap::write::FrameEncoder::new(Vec::new());
            to.write_all(&bytes)?;
            to.into_inner().map_err(|error| std::io::Error::other(error.to_string()))
        }
        Compression::HadoopSnappy => hadoop_snappy(&bytes),
        Compression::Zstd => zstd::stream::encode_all(bytes.as_slice(), 0),
    }
}

/// Blocks, each behind its length and that of what it was packed into.
fn hadoop_snappy(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    let mut all = Vec::new();
    for block in bytes.chunks(HADOOP_BLOCK_BYTES) {
        let packed = encoder.compress_vec(block).map_err(std::io::Error::other)?;
        for length in [block.len(), packed.len()] {
            all.extend_from_slice(&u32::try_from(length).map_err(std::io::Error::other)?.to_be_bytes());
        }
        all.extend_from_slice(&packed);
    }
    Ok(all)
}

fn parquet(lot: &Lot, compression: Compression) -> Result<Bytes> {
    let failed = |error| Error::internal(format!("writing Parquet: {error}"));
    let codec = match compression {
        Compression::Gzip => Codec::GZIP(GzipLevel::default()),
        Compression::Snappy => Codec::SNAPPY,
        Compression::Zstd => Codec::ZSTD(ZstdLevel::default()),
        Compression::None | Compression::Zip | Compression::HadoopSnappy => Codec::UNCOMPRESSED,
    };
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), lot.rows.schema(), Some(properties)).map_err(failed)?;
    writer.write(&lot.rows).map_err(failed)?;
    writer.into_inner().map(Bytes::from).map_err(failed)
}
