//! Bounds on what comes from outside, in one place. Each has its reason.

/// A statement's text. Larger ones are data in disguise: load them as a file.
pub const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// An uploaded file: a whole data set of a small team, not a way to fill the disk unseen.
pub const UPLOAD_BYTES_MAX: u64 = 64 << 30;

/// One field of a text file. A longer one is nearly always a quote that was never closed.
pub const FIELD_BYTES_MAX: usize = 16 << 20;

/// What a compressed file may grow to, as a multiple of its size, once past
/// [`DECOMPRESSED_BYTES_FREE`].
pub const DECOMPRESSION_RATIO_MAX: u64 = 200;

/// Decompressed size below which the ratio is not looked at.
pub const DECOMPRESSED_BYTES_FREE: u64 = 256 << 20;

/// How deep JSON may nest.
pub const JSON_DEPTH_MAX: usize = 64;

/// Clients of PostgreSQL's protocol at once: each may hold a transaction and a few batches of rows.
pub const SESSIONS_MAX: usize = 500;

/// Columns of one table.
pub const COLUMNS_MAX: usize = 4096;

/// A name of a table, column or schema, as PostgreSQL counts (bytes), but roomier.
pub const NAME_BYTES_MAX: usize = 255;

/// A workbook (Excel, ODS) is read as a whole, so its size is bounded.
pub const WORKBOOK_BYTES_MAX: u64 = 100 << 20;
