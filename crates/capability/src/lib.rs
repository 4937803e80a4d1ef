//! The contracts between floors: capabilities implement them, servers call them, neither knows the other.

mod accounts;
mod backup;
mod command;
mod copying;
pub mod deliveries;
mod driver;
mod jobs;
pub mod json;
mod loading;
mod saved;
pub mod schemas;
mod sql;
pub mod topics;

pub use accounts::{Accounts, ApiToken, Caller, NewApiToken, Origin, ProvenLogins, Reach, SigningKeys, SigningRefusal};
pub use backup::{BackupPart, PartChecked, PartProblem};
pub use command::{Setting, SettingKind, millis};
pub use copying::{copied_columns, copy_lines_field, place_of_line, place_of_value};
pub use driver::{
    CATALOG_TYPE, Description, DriverSession, DriverSql, Encryption, Kept, KeptAs, KeptStatement, ORIGIN,
    POSTGRES_VERSION, Parameter, RowsIn, SessionStatus, TransactionState,
};
pub use jobs::{
    CatchUp, IfExists, JobDefinition, JobKind, JobRun, JobStatus, Jobs, LogPart, RunFilter, RunLog, RunReason,
    RunRecord, RunState,
};
pub use loading::{
    ColumnChoice, ColumnPreview, CopyTerms, LoadColumns, LoadMode, LoadOptions, LoadProgress, LoadReport, LoadRequest,
    LoadSource, LoadState, LoadStatus, Loader, Preview, RejectSample, SourceReport, TablePreview, TableReport,
    loaded_table,
};
pub use saved::{SavedQueries, SavedQuery};
pub use sql::{
    Answer, BatchStream, CommandTag, Notice, QueryError, QueryProgress, QueryRecord, QueryState, Sent, SqlRunner,
    SqlSession, StatementRequest,
};
