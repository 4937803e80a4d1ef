//! The lake on SQLite and on PostgreSQL, with DuckDB beside it.

mod access;
mod bet;
mod compaction;
mod conflicts;
mod crash;
mod files;
mod group;
mod layout;
mod mixed;
mod plans;
mod s3;
mod shapes;
mod support;
mod travel;
mod types;
mod vacuum;
