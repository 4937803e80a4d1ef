//! Processes of the real binary.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(8);

/// A command to be run.
pub struct Polder {
    command: Command,
    input: Option<String>,
}

pub fn polder(arguments: &[&str]) -> Polder {
    let mut command = Command::new(env!("CARGO_BIN_EXE_polder"));
    command.args(arguments);
    // What the developer has set must not decide a test.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("POLDER_")) {
        command.env_remove(name);
    }
    Polder { command, input: None }
}

impl Polder {
    pub fn data(mut self, data: &Path) -> Self {
        self.command.env("POLDER_DATA", data);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn stdin(mut self, input: &str) -> Self {
        self.input = Some(input.to_owned());
        self
    }

    fn output(mut self) -> Output {
        let input = self.input.take();
        self.command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(input) = input {
            // A process that refuses its input early is judged by its exit code.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        }
        child.wait_with_output().unwrap()
    }

    pub fn run(self) -> Ended {
        self.output().into()
    }

    pub fn run_bytes(self) -> Vec<u8> {
        let output = self.output();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    pub fn spawn(mut self) -> Running {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(self.command.spawn().unwrap())
    }

    /// The shell on a pseudo-terminal, typed into; gives all that it showed.
    pub fn terminal(data: &Path, input: &str) -> String {
        let config = tempfile::tempdir().unwrap();
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &format!("{} sql", env!("CARGO_BIN_EXE_polder")), "/dev/null"])
            .env("POLDER_DATA", data)
            .env("XDG_CONFIG_HOME", config.path())
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for line in input.lines() {
            std::thread::sleep(Duration::from_millis(300));
            // A shell that has left early is judged by what it showed.
            let _ = writeln!(stdin, "{line}").and_then(|()| stdin.flush());
        }
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

pub struct Running(Child);

impl Running {
    /// Ctrl-C.
    pub fn interrupt(self) -> Ended {
        signal("-INT", self.0.id());
        self.0.wait_with_output().unwrap().into()
    }
}

pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// What it printed, if it went well.
    pub fn done(&self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout.clone()
    }

    pub fn failed(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert!(!self.stderr.is_empty(), "a failure says why");
    }
}

/// A running server and its directory.
pub struct Server {
    child: Child,
    data: Option<TempDir>,
    pub address: String,
    pub ready_after: Duration,
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), arguments)
    }

    pub fn start_on(data: TempDir, arguments: &[&str]) -> Self {
        let started = Instant::now();
        let Polder { mut command, .. } = polder(&[
            "up",
            "--http",
            "127.0.0.1:0",
            "--postgres",
            "127.0.0.1:0",
            "--kafka",
            "127.0.0.1:0",
            "--aws",
            "127.0.0.1:0",
        ])
        .data(data.path());
        let log = |name: &str| File::create(data.path().join(name)).unwrap();
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log("stdout.log"))
            .stderr(log("stderr.log"))
            .spawn()
            .unwrap();
        let endpoints = data.path().join("endpoints.json");
        loop {
            let known = fs::read_to_string(&endpoints)
                .ok()
                .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
            if let Some(address) = known.as_ref().and_then(|known| known["http"].as_str()) {
                let address = address.to_owned();
                return Self { child, data: Some(data), address, ready_after: started.elapsed() };
            }
            let ended = child.try_wait().unwrap();
            let said = fs::read_to_string(data.path().join("stderr.log")).unwrap();
            assert!(ended.is_none(), "the server ended: {said}");
            if started.elapsed() > START_MAX {
                child.kill().unwrap();
                panic!("the server does not start: {said}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn data(&self) -> &Path {
        self.data.as_ref().unwrap().path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far. The greeting comes just after the server is ready.
    pub fn said(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let said = fs::read_to_string(self.data().join("stdout.log")).unwrap();
            if said.contains("Ctrl-C") || Instant::now() > deadline {
                return said;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn sql(&self, sql: &str, format: &str) -> String {
        polder(&["sql", "-c", sql, "--format", format]).data(self.data()).run().done()
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) -> TempDir {
        signal("-TERM", self.child.id());
        let deadline = Instant::now() + STOP_MAX;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the server does not stop");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "{status}: {}", fs::read_to_string(self.data().join("stderr.log")).unwrap());
        self.data.take().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}
