//! The lake on SQLite and on PostgreSQL, with DuckDB beside it.

mod bet;
mod support;
