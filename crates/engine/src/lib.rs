//! SQL: sessions and their transactions, statements, the catalog as DataFusion sees it, system tables, and the record
//! of what ran.
//!
//! A statement is parsed ([`parse`]), given a scope (one snapshot, or a transaction's own view of it), planned and run
//! by DataFusion; statements that change the lake are carried out on a `polder_lake::Transaction`.

mod accounts;
mod asof;
mod audit;
mod authz;
mod backends;
mod catalog;
mod computed;
mod deliveries;
mod dialect;
mod engine;
mod error;
mod foreign_settings;
mod forms;
mod functions;
mod identity;
mod inline;
mod keeper;
mod limits;
mod loads;
mod opaque;
mod parse;
mod passwords;
mod planning;
mod policies;
mod record;
mod rewrite;
mod saved;
mod scope;
mod semantics;
mod session;
mod setops;
mod statement;
mod stream;
mod system;
mod topic_grants;
mod topic_rights;
mod topics;
mod unique_names;
mod units;
mod unnest;
mod upkeep;
mod yielding;

pub use accounts::StoredAccounts;
pub use engine::{Engine, EngineOptions};
pub use saved::StoredQueries;
pub use upkeep::{CleanupKind, CompactionKind, ScrubKind};
