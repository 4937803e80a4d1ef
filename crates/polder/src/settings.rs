//! Options and environment, checked and made into what the rest of the program works with.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cli::{AuthChoice, DirectoryArgs, TopicsSync, UpArgs};
use crate::credentials::write_private;
use crate::failure::Failure;

/// Remembers where the parts of a directory are, so that they need to be named once.
const FILE: &str = "settings.toml";

/// Below this a single sort or join cannot work.
const MEMORY_BYTES_MIN: u64 = 64 << 20;

/// Assumed when the machine does not say how much it has.
const MEMORY_BYTES_UNKNOWN: u64 = 4 << 30;

/// A data directory and where its parts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    pub data: PathBuf,
    /// `postgres://…`, or `None` for the SQLite file in the directory.
    pub metastore: Option<String>,
    /// A directory or the URL of an object store.
    pub tables: String,
    /// For queries and loads together.
    pub memory_bytes: u64,
}

/// What is written to [`FILE`].
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    #[serde(skip_serializing_if = "Option::is_none")]
    metastore: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<String>,
}

impl Directory {
    /// # Errors
    /// A usage error for an option that cannot be, a failure when what is remembered cannot be read.
    pub fn from_args(args: &DirectoryArgs) -> Result<Self> {
        let data = std::path::absolute(&args.data)
            .map_err(|error| Failure::usage(format!("--data {}: {error}", args.data.display())))?;
        let remembered = remembered(&data)?;
        let metastore = args.metastore.clone().or(remembered.metastore);
        if let Some(url) = &metastore
            && !url.starts_with("postgres://")
            && !url.starts_with("postgresql://")
        {
            return Err(Failure::usage("--metastore names no PostgreSQL database")
                .with_hint("write postgres://user:password@host:5432/database")
                .into());
        }
        let tables = match args.tables.clone().or(remembered.tables) {
            Some(url) if url.contains("://") => url,
            Some(directory) => std::path::absolute(&directory)
                .map_err(|error| Failure::usage(format!("--tables {directory}: {error}")))?
                .to_string_lossy()
                .into_owned(),
            None => data.join("tables").to_string_lossy().into_owned(),
        };
        let memory_bytes = match &args.memory {
            Some(text) => memory_bytes(text)?,
            None => machine_memory_bytes() / 2,
        };
        Ok(Self { data, metastore, tables, memory_bytes: memory_bytes.max(MEMORY_BYTES_MIN) })
    }

    /// True if there is something to open.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.data.is_dir()
    }

    /// Keeps where the parts are, once the directory has been opened with them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&self) -> Result<()> {
        let usual = self.data.join("tables").to_string_lossy() == self.tables;
        let wanted = Remembered { metastore: self.metastore.clone(), tables: (!usual).then(|| self.tables.clone()) };
        if wanted == remembered(&self.data)? {
            return Ok(());
        }
        write_private(&self.data.join(FILE), &toml::to_string(&wanted)?)
    }
}

fn remembered(data: &Path) -> Result<Remembered> {
    let path = data.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| {
            Failure::new(format!("{} cannot be read: {}", path.display(), error.message()))
                .with_hint("mend it, or delete it and name --metastore and --tables again")
                .into()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Remembered::default()),
        Err(error) => Err(Failure::new(format!("{} cannot be read: {error}", path.display())).into()),
    }
}

/// What `polder up` was asked for.
#[derive(Debug, Clone)]
pub struct Up {
    pub directory: Directory,
    pub http: SocketAddr,
    /// `None`: switched off.
    pub postgres: Option<SocketAddr>,
    /// `None`: switched off.
    pub kafka: Option<SocketAddr>,
    pub topics_sync: TopicsSync,
    /// `None`: switched off.
    pub aws: Option<SocketAddr>,
    /// Certificate and key; `None`: those of the data directory.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub message_timeout: Duration,
    pub auth: AuthChoice,
    pub demo: bool,
    pub console: Option<PathBuf>,
}

impl Up {
    /// # Errors
    /// A usage error, also for trust on an address that others can reach.
    pub fn from_args(args: &UpArgs) -> Result<Self> {
        let http = address("--http", &args.http)?;
        let postgres = address_or_off("--postgres", &args.postgres)?;
        let kafka = address_or_off("--kafka", &args.kafka)?;
        let aws = address_or_off("--aws", &args.aws)?;
        let loopback = [
            ("--http 127.0.0.1:7400", Some(http)),
            ("--postgres 127.0.0.1:7432", postgres),
            ("--kafka 127.0.0.1:7492", kafka),
            ("--aws 127.0.0.1:7466", aws),
        ];
        for (option, listens) in loopback {
            if args.auth == AuthChoice::Trust
                && let Some(address) = listens.filter(|address| !address.ip().is_loopback())
            {
                let message = format!("--auth trust lets everyone in, and {address} is not a loopback address");
                return Err(Failure::usage(message).with_hint(format!("use {option}, or --auth password")).into());
            }
        }
        let tls = args.tls_certificate.clone().zip(args.tls_key.clone());
        let directory = Directory::from_args(&args.directory)?;
        Ok(Self {
            directory,
            http,
            postgres,
            kafka,
            topics_sync: args.topics_sync,
            aws,
            tls,
            message_timeout: Duration::from_secs(args.message_timeout),
            auth: args.auth,
            demo: args.demo,
            console: args.console.clone(),
        })
    }
}

fn address_or_off(option: &str, text: &str) -> Result<Option<SocketAddr>> {
    if text == "off" { Ok(None) } else { address(option, text).map(Some) }
}

/// `host:port`; of several addresses the first of IPv4.
fn address(option: &str, text: &str) -> Result<SocketAddr> {
    let refused = |reason: String| {
        Failure::usage(format!("{option} {text}: {reason}")).with_hint("write HOST:PORT, such as 127.0.0.1:7400")
    };
    let found: Vec<SocketAddr> = text.to_socket_addrs().map_err(|error| refused(error.to_string()))?.collect();
    let chosen = found.iter().find(|address| address.is_ipv4()).or(found.first()).copied();
    Ok(chosen.ok_or_else(|| refused("no such address".to_owned()))?)
}

/// `1073741824`, `512MB`, `2GiB`. Decimal and binary units alike mean powers of 1024, as people mean them for memory.
fn memory_bytes(text: &str) -> Result<u64> {
    let refused = || {
        Failure::usage(format!("--memory {text} is no amount of memory"))
            .with_hint("write 2GiB, 512MiB, or a number of bytes")
    };
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(refused().into()),
    };
    let number: f64 = number.parse().map_err(|_| refused())?;
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an amount"
    )]
    let bytes = (number * scale as f64) as u64;
    if bytes < MEMORY_BYTES_MIN {
        return Err(Failure::usage(format!("--memory {text} is too little")).with_hint("give 64MiB or more").into());
    }
    Ok(bytes)
}

/// The machine's memory, or what the container may use of it.
fn machine_memory_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib << 10)
    });
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    match (machine, container) {
        (Some(machine), Some(container)) => machine.min(container),
        (Some(bytes), None) | (None, Some(bytes)) => bytes,
        (None, None) => MEMORY_BYTES_UNKNOWN,
    }
}

#[cfg(test)]
mod tests;
