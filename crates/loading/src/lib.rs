//! Files of any kind into lake tables.
//!
//! A load goes through five steps: *find* the files (`source`), *unpack* and *sniff* them, *infer* the types over
//! everything that is there (`infer`), *read* the rows in lanes into the table's writers, and *commit* all of it at
//! once. A row that cannot be read is kept beside the table with its file, line and reason; so is nothing lost and
//! nothing silent.
//!
//! Types: `bigint`, `double`, `boolean`, `date`, `timestamp`, `timestamptz`, `decimal(38, 0)` for integers too long for
//! 64 bits, else `text`; JSON, Parquet and Avro keep their own. Words such as `NA` mean "missing" only where the rest
//! of a column has a type; in text, only an empty cell without quotes is missing. Digits with leading zeros or a plus
//! stay text. The order of `01/02/2015` is decided over the whole column, then over the whole table; with no proof, the
//! day is first (the month, where times have AM and PM), and a remark says so; `date mdy` or `date dmy` as a column's
//! type overrides it.

mod error;
mod filling;
mod format;
mod given;
mod group;
mod infer;
mod load;
mod loader;
mod names;
mod output;
mod parted;
mod plan;
mod preview;
mod progress;
mod rejects;
mod sink;
mod sniff;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod text;

pub use loader::{FileLoader, LoaderOptions};
