//! A real PostgreSQL on a free loopback port, from Debian's package.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct PostgresServer {
    bin: PathBuf,
    directory: tempfile::TempDir,
    owner: Option<(u32, u32)>,
    pub port: u16,
    databases: AtomicU32,
}

impl PostgresServer {
    pub fn start() -> Self {
        let bin = newest_installation().expect("PostgreSQL is not installed: apt-get install postgresql");
        let directory = tempfile::tempdir().unwrap();
        // The server refuses to run as root.
        let owner = unprivileged_owner(directory.path());
        let server = Self { bin, directory, owner, port: free_port(), databases: AtomicU32::new(0) };
        server.run(
            "initdb",
            &["-D", &server.data(), "-U", "polder", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        );
        server.start_again();
        server
    }

    pub fn start_again(&self) {
        let options =
            format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=on", self.port);
        let log = self.directory.path().join("log");
        self.run(
            "pg_ctl",
            &["-D", &self.data(), "-w", "-t", "60", "-l", log.to_str().unwrap(), "-o", &options, "start"],
        );
    }

    pub fn stop(&self, mode: &str) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-t", "60", "-m", mode, "stop"]);
    }

    pub fn create_database(&self) -> String {
        let name = format!("case_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let port = self.port.to_string();
        self.run("createdb", &["-h", "127.0.0.1", "-p", &port, "-U", "polder", &name]);
        name
    }

    pub fn url(&self, database: &str) -> String {
        self.url_through(self.port, database)
    }

    pub fn url_through(&self, port: u16, database: &str) -> String {
        format!("postgres://polder@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    fn data(&self) -> String {
        self.directory.path().join("data").to_str().unwrap().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        let status = command.status().unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        assert!(status.success(), "{program} {arguments:?} failed: {}", self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let mut command = Command::new(self.bin.join("pg_ctl"));
        command.args(["-D", &self.data(), "-w", "-m", "immediate", "stop"]).current_dir("/");
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        // It may be stopped already.
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn newest_installation() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.filter_map(|entry| Some(entry.ok()?.path())).max_by_key(version)?;
    Some(newest.join("bin")).filter(|bin| bin.join("initdb").exists())
}

/// When the tests run as root: the user and group `postgres`, who then owns the directory.
fn unprivileged_owner(directory: &Path) -> Option<(u32, u32)> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&id.stdout).trim() != "0" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line =
        users.lines().find(|line| line.starts_with("postgres:")).expect("no user postgres: apt-get install postgresql");
    let fields: Vec<_> = line.split(':').collect();
    let owner = (fields[2].parse().unwrap(), fields[3].parse().unwrap());
    chown(directory, Some(owner.0), Some(owner.1)).unwrap();
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)).unwrap();
    Some(owner)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
