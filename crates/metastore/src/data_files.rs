//! Checksums of data files, recorded when they are written and compared whenever one is read whole.

use polder_types::Result;

use crate::{Metastore, Row, Value, Write};

/// What a data file must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFileChecksum {
    pub data_file_id: i64,
    /// The algorithm's name, a colon and hexadecimal digits: `crc32:1c291ca3`.
    pub checksum: String,
    pub size_bytes: u64,
}

impl DataFileChecksum {
    /// Goes with the commit that names the file.
    #[must_use]
    pub fn write(&self) -> Write {
        Write::new(
            "INSERT INTO polder_data_file_checksum (data_file_id, checksum, size_bytes) VALUES ($1, $2, $3)",
            vec![self.data_file_id.into(), self.checksum.as_str().into(), Value::count(self.size_bytes)],
        )
    }
}

/// A view of the metastore: checksums of data files.
#[derive(Debug, Clone, Copy)]
pub struct DataFiles<'a>(&'a Metastore);

impl Metastore {
    #[must_use]
    pub fn data_files(&self) -> DataFiles<'_> {
        DataFiles(self)
    }
}

const SELECT: &str = "SELECT data_file_id, checksum, size_bytes FROM polder_data_file_checksum";

impl DataFiles<'_> {
    /// `None` for files that somebody else wrote.
    pub async fn checksum(&self, data_file_id: i64) -> Result<Option<DataFileChecksum>> {
        let rows = self.0.query(&format!("{SELECT} WHERE data_file_id = $1"), &[data_file_id.into()]).await?;
        rows.first().map(read).transpose()
    }

    /// All of them, by file.
    pub async fn checksums(&self) -> Result<Vec<DataFileChecksum>> {
        let rows = self.0.query(&format!("{SELECT} ORDER BY data_file_id"), &[]).await?;
        rows.iter().map(read).collect()
    }

    /// Goes with the commit that removes the file from the catalog.
    #[must_use]
    pub fn forget_write(data_file_id: i64) -> Write {
        Write::new("DELETE FROM polder_data_file_checksum WHERE data_file_id = $1", vec![data_file_id.into()])
    }
}

fn read(row: &Row) -> Result<DataFileChecksum> {
    Ok(DataFileChecksum {
        data_file_id: row.int(0)?,
        checksum: row.text(1)?.to_owned(),
        size_bytes: row.int(2)?.unsigned_abs(),
    })
}
