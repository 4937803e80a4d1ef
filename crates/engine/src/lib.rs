//! SQL: sessions and their transactions, statements, the catalog as DataFusion sees it, system tables, and the record
//! of what ran.
//!
//! A statement is parsed ([`parse`]), given a scope (one snapshot, or a transaction's own view of it), planned and run
//! by DataFusion; statements that change the lake are carried out on a `polder_lake::Transaction`.

mod accounts;
mod catalog;
mod engine;
mod error;
mod parse;
mod record;
mod saved;
mod scope;
mod session;
mod statement;
mod stream;
mod system;
mod yielding;

pub use accounts::StoredAccounts;
pub use engine::{Engine, EngineOptions};
pub use saved::StoredQueries;
