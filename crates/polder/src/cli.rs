//! The commands and their options, and how a command ends.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::failure::{self, Failure};
use crate::{load, maintain, sql, tokens, up};

/// Done.
pub const EXIT_DONE: u8 = 0;
/// The work failed; the reason is on standard error.
pub const EXIT_FAILED: u8 = 1;
/// The command was not understood.
pub const EXIT_USAGE: u8 = 2;
/// Ctrl-C, as a shell counts it: 128 + SIGINT.
pub const EXIT_INTERRUPTED: u8 = 130;

const ABOUT: &str = "The data cloud that you own: from raw files to an answer, in one binary.";

const EXAMPLES: &str = "\
Examples:
  polder up                              start the server; the console's address is printed
  polder load flights.csv                make a table of a file (CSV, JSON, Parquet, Excel, …)
  polder sql                             open the SQL shell
  polder sql -c 'SELECT count(*) FROM flights'

Everything lives in one directory, ./polder-data unless --data or POLDER_DATA says otherwise.
`polder sql` and `polder load` talk to the server of that directory, or open it themselves when none runs.
Each command explains itself: polder load --help";

#[derive(Debug, Parser)]
#[command(name = "polder", version, about = ABOUT, after_help = EXAMPLES, max_term_width = 110)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server: the console, the HTTP API, and PostgreSQL's and Kafka's protocols
    #[command(after_help = UP_EXAMPLES)]
    Up(UpArgs),
    /// Run SQL, or open the SQL shell
    #[command(after_help = SQL_EXAMPLES)]
    Sql(SqlArgs),
    /// Load files into tables
    #[command(after_help = LOAD_EXAMPLES)]
    Load(LoadArgs),
    /// Read every file of every table and name those that are damaged
    #[command(after_help = maintain::CHECK_EXAMPLES)]
    Check(maintain::CheckArgs),
    /// Copy everything into a directory, while the server goes on
    #[command(after_help = maintain::BACKUP_EXAMPLES)]
    Backup(maintain::BackupArgs),
    /// Make a data directory of a backup
    #[command(after_help = maintain::RESTORE_EXAMPLES)]
    Restore(maintain::RestoreArgs),
    /// Make, list and delete API tokens
    Token(TokenArgs),
    /// Give the user of the data directory a new password
    #[command(after_help = PASSWORD_EXAMPLES)]
    Password(PasswordArgs),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
}

/// Which data directory, and where its parts are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Data directory")]
pub struct DirectoryArgs {
    /// The directory that holds everything; made when it is not there
    #[arg(long, value_name = "DIR", env = "POLDER_DATA", default_value = "./polder-data")]
    pub data: PathBuf,
    /// Keep the catalog in a PostgreSQL database instead of a SQLite file in the directory
    #[arg(long, value_name = "postgres://…", env = "POLDER_METASTORE", hide_env_values = true)]
    pub metastore: Option<String>,
    /// Keep the tables' Parquet files there instead of in the directory
    #[arg(long, value_name = "s3://…|DIR", env = "POLDER_TABLES")]
    pub tables: Option<String>,
    /// Memory for queries and loads, such as 2GiB [default: half of the machine's]
    #[arg(long, value_name = "BYTES", env = "POLDER_MEMORY")]
    pub memory: Option<String>,
}

/// A server elsewhere.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Another server")]
pub struct ServerArgs {
    /// Talk to this server, whatever runs here
    #[arg(long, value_name = "http://HOST:PORT", env = "POLDER_URL")]
    pub url: Option<String>,
    /// The API token for it; see `polder token --help`
    #[arg(long, value_name = "TOKEN", env = "POLDER_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

const UP_EXAMPLES: &str = "\
Examples:
  polder up                              start on 127.0.0.1:7400, data in ./polder-data
  psql postgres://polder@127.0.0.1:7432/polder    what PostgreSQL's clients then connect to
  kcat -b 127.0.0.1:7492 -L              and Kafka's
  polder up --demo                       with the flights of New York in 2013 and six saved queries
  polder up --http 127.0.0.1:0           on a free port; see polder-data/endpoints.json
  polder up --tables s3://bucket/prefix  Parquet files in an object store (AWS_* variables)

The first start makes the user `polder` and writes its password to polder-data/credentials.toml.
Ctrl-C or SIGTERM stops the server; what was acknowledged is kept.";

#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub directory: DirectoryArgs,
    /// Where the console and the HTTP API listen; port 0 picks a free one
    #[arg(long, value_name = "ADDR", env = "POLDER_HTTP", default_value = "127.0.0.1:7400")]
    pub http: String,
    /// Where PostgreSQL's clients connect; port 0 picks a free one, `off` takes none
    #[arg(long, value_name = "ADDR", env = "POLDER_POSTGRES", default_value = "127.0.0.1:7432")]
    pub postgres: String,
    /// Where Kafka's clients connect; port 0 picks a free one, `off` takes none
    #[arg(long, value_name = "ADDR", env = "POLDER_KAFKA", default_value = "127.0.0.1:7492")]
    pub kafka: String,
    /// When records of topics are acknowledged: once they are on the disk, or once the system has them, which loses the last second in a crash of the machine
    #[arg(long, value_enum, env = "POLDER_TOPICS_SYNC", default_value_t = TopicsSync::Disk)]
    pub topics_sync: TopicsSync,
    /// Where AWS' SDKs connect for Kinesis and Firehose; port 0 picks a free one, `off` takes none
    #[arg(long, value_name = "ADDR", env = "POLDER_AWS", default_value = "127.0.0.1:7466")]
    pub aws: String,
    /// The certificate for TLS, in PEM [default: one of its own, made at the first start]
    #[arg(long, value_name = "FILE", env = "POLDER_TLS_CERTIFICATE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The key of that certificate, in PEM
    #[arg(long, value_name = "FILE", env = "POLDER_TLS_KEY", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Seconds in which a message of PostgreSQL's or Kafka's protocol, or a request of an AWS SDK, that has begun must go on; then its connection ends
    #[arg(long, value_name = "SECONDS", env = "POLDER_MESSAGE_TIMEOUT", default_value_t = 120,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub message_timeout: u64,
    /// `trust` lets everyone in without a password; only on loopback addresses
    #[arg(long, value_enum, env = "POLDER_AUTH", default_value_t = AuthChoice::Password)]
    pub auth: AuthChoice,
    /// Load the demo's tables and saved queries at the first start
    #[arg(long, env = "POLDER_DEMO", action = ArgAction::SetTrue, value_parser = clap::builder::FalseyValueParser::new())]
    pub demo: bool,
    /// Read the console from this folder instead of the embedded files, while it is developed
    #[arg(long, value_name = "DIR", env = "POLDER_CONSOLE", hide = true)]
    pub console: Option<PathBuf>,
    /// How to write the log, which goes to standard error; RUST_LOG chooses what
    #[arg(long, value_enum, env = "POLDER_LOG", default_value_t = LogChoice::Text)]
    pub log: LogChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuthChoice {
    Password,
    Trust,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum TopicsSync {
    #[default]
    Disk,
    PageCache,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogChoice {
    Text,
    Json,
}

const SQL_EXAMPLES: &str = "\
Examples:
  polder sql                                            the shell; \\? lists its commands
  polder sql -c 'SELECT 1'
  polder sql -c 'SELECT * FROM flights' --format csv > flights.csv
  polder sql -f report.sql --format parquet --output report.parquet
  echo 'SHOW TABLES' | polder sql --format json

Statements run in the order given, in one conversation, and stop at the first error. `table` and `markdown`
show every answer; the other formats are one document and hold the answer of the last statement.
Exit codes: 0 done, 1 a statement failed, 2 wrong usage, 130 interrupted.";

#[derive(Debug, Args)]
pub struct SqlArgs {
    /// SQL to run; may be given several times
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    pub commands: Vec<String>,
    /// A file of SQL to run, `-` for standard input; may be given several times
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write the answer to this file; it appears once it is whole
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Rows to show at most [default: 500 for tables on a terminal, otherwise all]
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,
    #[command(flatten)]
    pub directory: DirectoryArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people
    Table,
    /// Comma-separated, with a header
    Csv,
    /// One array of row objects
    Json,
    /// One row object a line
    Ndjson,
    /// A Markdown table
    Markdown,
    /// A Parquet file
    Parquet,
    /// An Arrow IPC stream
    Arrow,
}

const LOAD_EXAMPLES: &str = "\
Examples:
  polder load flights.csv                          makes the table `flights`
  polder load 'logs/*.gz' --into weblog            many files, one table
  polder load https://example.org/data.json
  curl -s https://example.org/x.csv | polder load - --into x
  polder load sales.csv --append                   add to the table that is there
  polder load zips.csv --type zip=text --nulls 'NA,-'

Format, separator, quotes, header, encoding and types are found out; options correct them. A row that cannot be
read goes to `<table>__rejects` with its file, line and reason. A load is one transaction: all of it, or nothing.";

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Files, directories, globs, s3://…, http(s)://…, or `-` for standard input
    #[arg(value_name = "SOURCE", required = true)]
    pub sources: Vec<String>,
    /// The table to load into [default: named after each file]
    #[arg(long, value_name = "NAME")]
    pub into: Option<String>,
    /// Add to the table that is there
    #[arg(long, conflicts_with = "replace")]
    pub append: bool,
    /// Put this in the place of what the table holds
    #[arg(long)]
    pub replace: bool,
    /// Refuse the whole load at the first row that cannot be read
    #[arg(long)]
    pub strict: bool,
    /// Load again what was loaded before
    #[arg(long)]
    pub again: bool,
    /// Print the report as JSON, without progress
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub corrections: CorrectionArgs,
    #[command(flatten)]
    pub directory: DirectoryArgs,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What to believe instead of what is found out.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Corrections")]
pub struct CorrectionArgs {
    /// csv, json, parquet, avro, excel, ods, blanks or weblog
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// What separates the columns: one character, or `tab`
    #[arg(long, value_name = "CHAR")]
    pub delimiter: Option<String>,
    /// What encloses a field
    #[arg(long, value_name = "CHAR")]
    pub quote: Option<char>,
    /// The first row holds the names
    #[arg(long, conflicts_with = "no_header")]
    pub header: bool,
    /// The first row is data
    #[arg(long)]
    pub no_header: bool,
    /// Such as utf-8, utf-16le or windows-1252
    #[arg(long, value_name = "LABEL")]
    pub encoding: Option<String>,
    /// Cells that mean "missing", separated by commas
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',')]
    pub nulls: Option<Vec<String>>,
    /// A column's type: bigint, double, decimal(p, s), text, boolean, date, timestamp or timestamptz
    #[arg(long = "type", value_name = "COLUMN=TYPE")]
    pub types: Vec<String>,
    /// A column's name in the table
    #[arg(long = "rename", value_name = "COLUMN=NAME")]
    pub renames: Vec<String>,
    /// Leave a column out
    #[arg(long = "skip", value_name = "COLUMN")]
    pub skips: Vec<String>,
}

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(subcommand)]
    pub action: TokenAction,
}

#[derive(Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token; it is shown once
    Create {
        /// What it is for
        name: String,
        /// Days until it stops working [default: never]
        #[arg(long, value_name = "N")]
        days: Option<u32>,
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the tokens
    List {
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete a token; it stops working at once
    Delete {
        /// As `polder token list` shows it
        id: String,
        #[command(flatten)]
        directory: DirectoryArgs,
        #[command(flatten)]
        server: ServerArgs,
    },
}

const PASSWORD_EXAMPLES: &str = "\
Examples:
  polder password                        a new random password, written to polder-data/credentials.toml
  polder password --stdin < secret.txt   this one

With a running server the old password is taken from credentials.toml; if it no longer holds, stop the server
first: whoever owns the directory may then set a new one.";

#[derive(Debug, Args)]
pub struct PasswordArgs {
    /// Read the new password from standard input instead of making one
    #[arg(long)]
    pub stdin: bool,
    #[command(flatten)]
    pub directory: DirectoryArgs,
}

/// Parses, runs, reports; gives the exit code.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let done = match cli.command {
        Command::Up(args) => up::main(&args),
        Command::Sql(args) => sql::main(&args, matches.subcommand_matches("sql")),
        Command::Load(args) => load::main(&args),
        Command::Check(args) => maintain::check(&args),
        Command::Backup(args) => maintain::backup(&args),
        Command::Restore(args) => maintain::restore(&args),
        Command::Token(args) => tokens::main(&args),
        Command::Password(args) => tokens::password(&args),
        Command::Openapi => openapi(),
    };
    ExitCode::from(failure::exit_code(done))
}

fn openapi() -> Result<u8> {
    use std::io::Write;
    let document = crate::wiring::openapi()?;
    writeln!(std::io::stdout().lock(), "{document}").map_err(Failure::output)?;
    Ok(EXIT_DONE)
}

#[cfg(test)]
mod tests;
