//! What the drivers of a database protocol need of SQL beyond a text and its answer.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{FieldRef, SchemaRef};
use polder_types::{Error, Result};

use crate::{Answer, BatchStream, Caller, SqlRunner, SqlSession, StatementRequest};

/// The version of PostgreSQL whose catalog and functions clients find: the newest that their own queries are answered for.
pub const POSTGRES_VERSION: &str = "15.14";

/// The key of a field's metadata that names a type of PostgreSQL's catalog (`oid`, `name`, `char`, `int2vector`, …) for
/// which Arrow has none: numbers of 64 bits, texts and lists stand for them.
pub const CATALOG_TYPE: &str = "polder:catalog_type";

/// The key of a field's metadata that says which column of which table a column is, as it is: the table's object id and the
/// column's number, such as `16512.2`.
pub const ORIGIN: &str = "polder:origin";

/// A value for a parameter (`$1`, `$2`, …) of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As SQL names it, such as `bigint` or `timestamptz[]`. `None`: the text is of no type yet, as one in quotes is.
    pub type_name: Option<String>,
    /// As PostgreSQL writes the value; `None`: NULL.
    pub text: Option<String>,
}

/// What a statement takes and gives.
#[derive(Debug, Clone)]
pub struct Description {
    /// One for each parameter. What may be of any type is a text.
    pub parameters: Vec<FieldRef>,
    /// The columns of its rows; `None` if it gives none.
    pub schema: Option<SchemaRef>,
}

/// Whether a transaction is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionState {
    #[default]
    None,
    Open,
    /// An error has happened: only ROLLBACK is taken.
    Failed,
}

/// How a session stands between two statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStatus {
    pub transaction: TransactionState,
    pub time_zone: String,
    /// The session's user: whoever logged in, unless that was changed.
    pub user: String,
    /// Whether the role whose rights its statements have may do everything.
    pub is_superuser: bool,
    /// Whether its transactions change nothing unless they say so.
    pub read_only: bool,
    /// How long a statement may take, which the server of the protocol minds: it knows when somebody waits for a cursor.
    pub statement_timeout: Option<Duration>,
}

/// Rows on their way into a table.
pub struct RowsIn {
    /// The table's name, as written in a statement.
    pub table: String,
    /// Names of columns, as written in a statement. Empty: all that take values.
    pub columns: Vec<String>,
    /// The condition of the rows that are taken, as written in a statement.
    pub filter: Option<String>,
    /// Columns of texts, in that order, as PostgreSQL writes values. A batch with fewer columns is of a row that is cut off:
    /// what is wrong with its values is told, and no more comes of it. Behind them there may be a column with the rows' lines,
    /// by which errors say where they are: [`crate::copy_lines_field`].
    pub rows: BatchStream,
}

/// A statement that a client keeps under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStatement {
    pub name: String,
    /// The statement that made it: DECLARE, PREPARE, or what a message of the protocol prepares.
    pub sql: String,
    pub kind: KeptAs,
}

/// As what a client keeps a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptAs {
    Cursor {
        /// It stays after its transaction.
        is_held: bool,
        is_binary: bool,
        /// It goes back, too.
        is_scrollable: bool,
    },
    Prepared {
        /// Of its parameters, as SQL names them.
        types: Vec<String>,
        /// By PREPARE, and not by a message of the protocol.
        is_from_sql: bool,
    },
}

/// Stands for a statement that is kept, which is gone when this is dropped.
pub trait Kept: Send + Sync {}

/// A session that a driver of a database protocol talks to. Its answers keep the types that text would lose (UUIDs).
#[async_trait::async_trait]
pub trait DriverSession: SqlSession {
    /// Looks at one statement without running it. `types`: those of the first parameters that are known, as SQL names
    /// them; the others are found out.
    ///
    /// # Errors
    /// As running it would, as far as planning goes.
    async fn describe(&self, sql: &str, types: &[Option<String>]) -> Result<Description>;

    /// The answer to a statement without values, if it is known at once: without waiting, without computing. So are those to
    /// `SELECT 1` and its like. `None` says nothing: run it.
    fn known(&self, request: &StatementRequest) -> Option<Answer>;

    /// As [`SqlSession::run`], with values for parameters. An answer of it may be dropped before its end, as a cursor is
    /// closed: that fails no transaction.
    async fn run_with(&self, request: StatementRequest, values: Vec<Parameter>) -> Result<Answer>;

    /// The columns that rows for a table have; `filter` is the condition of those that are taken.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a column that takes no values, and for what is no condition.
    async fn columns_of(&self, table: &str, columns: &[String], filter: Option<&str>) -> Result<Vec<FieldRef>>;

    /// Inserts rows, in the open transaction or as one of its own. `request` has the statement for the record.
    ///
    /// # Errors
    /// That of the first row that is refused; nothing is inserted then.
    async fn insert_rows(&self, request: StatementRequest, rows: RowsIn) -> Result<Answer>;

    /// The session begins: what is set by now is what RESET goes back to.
    async fn begin(&self);

    fn status(&self) -> SessionStatus;

    /// Until somebody asks that the session end, as `pg_terminate_backend` does.
    async fn ended(&self);

    /// Tells of a statement that the client keeps from now on, for those who ask for the session's cursors and prepared statements.
    fn keep(&self, statement: KeptStatement) -> Box<dyn Kept>;

    /// Records a statement that the server of the protocol has carried out by itself, such as FETCH, or has refused: how long
    /// it took, and how many rows it gave, or why there are none. `start`: where it begins in the text that was sent, in bytes.
    fn record(&self, text: &str, start: usize, elapsed: Duration, done: Result<u64, &Error>);

    /// Something beside a statement went wrong: an open transaction has failed.
    fn fail_transaction(&self);
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encryption {
    /// `TLSv1.3`
    pub version: &'static str,
    /// As OpenSSL calls it, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// Of the cipher's key.
    pub bits: i32,
}

/// Opens sessions for drivers.
pub trait DriverSql: SqlRunner {
    /// `encryption`: of the connection; `None`: it is not encrypted.
    fn open_driver_session(&self, caller: Caller, encryption: Option<Encryption>) -> Arc<dyn DriverSession>;
}
