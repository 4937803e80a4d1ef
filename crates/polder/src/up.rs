//! `polder up`: the server, from its start to its stop.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use polder_runtime::Shutdown;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::cli::{AuthChoice, EXIT_DONE, EXIT_INTERRUPTED, LogChoice, UpArgs};
use crate::connection;
use crate::credentials::{self, Credentials, USER};
use crate::endpoints::{Endpoints, reachable};
use crate::settings::Up;
use crate::wiring::{Auth, DATABASE, House, Listening};
use crate::{demo, first_start, output, terminal};

/// From the signal to the end of the process, whatever still runs.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Of these, what running requests get. The rest, and what they leave of it, is for closing.
const REQUESTS_STOP_MAX: Duration = Duration::from_secs(4);
const LINK_LIFETIME: chrono::Duration = chrono::Duration::hours(1);

/// To answer takes little; a second one helps when one waits for the disk.
const SERVER_THREADS: usize = 2;

/// Trees of thousands of operators are walked by functions that call themselves. Memory is taken only when used.
pub(crate) const STACK_BYTES: usize = 64 << 20;

/// What the log holds unless RUST_LOG says otherwise.
const LOG_FILTER: &str = "warn,polder=info";

pub fn main(args: &UpArgs) -> Result<u8> {
    let started = Instant::now();
    let settings = Up::from_args(args)?;
    log(args.log);
    let servers =
        Builder::new_multi_thread().worker_threads(SERVER_THREADS).thread_name("server").enable_all().build()?;
    let workers =
        Builder::new_multi_thread().thread_name("worker").thread_stack_size(STACK_BYTES).enable_all().build()?;
    let done = servers.block_on(serve(&settings, workers.handle(), started));
    // What does not end by itself ends with the process: every acknowledged write is on disk.
    connection::end(workers);
    connection::end(servers);
    done
}

fn log(choice: LogChoice) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match choice {
        LogChoice::Text => log.with_ansi(terminal::color_stderr()).init(),
        LogChoice::Json => log.json().init(),
    }
}

async fn serve(settings: &Up, workers: &Handle, started: Instant) -> Result<u8> {
    let mut signals = Signals::listen()?;
    let data = &settings.directory.data;
    let house = House::open_with(&settings.directory, settings.topics_sync).await?;
    // Left by a process that was killed: from here on the directory is ours.
    Endpoints::remove(data)?;
    let is_first = first_start::prepare(&house, data).await?;
    let user = Credentials::read(data)?.map_or_else(|| USER.to_owned(), |known| known.user);
    if settings.demo {
        tokio::select! {
            done = demo::prepare(&house, &user) => done?,
            () = signals.next() => {
                house.close().await;
                return Ok(EXIT_INTERRUPTED);
            }
        }
    }
    let shutdown = Shutdown::new();
    let auth = match settings.auth {
        AuthChoice::Password => Auth::Password,
        AuthChoice::Trust => Auth::Trust { user: user.clone() },
    };
    let listening = Listening {
        http: settings.http,
        postgres: settings.postgres,
        kafka: settings.kafka,
        aws: settings.aws,
        tls: settings.tls.clone(),
        message_timeout: settings.message_timeout,
        auth,
        console: settings.console.clone(),
    };
    let servers = house.listen(&listening, workers, &shutdown).await?;
    let addresses = Endpoints {
        instance: servers.instance(),
        http: servers.http_address(),
        postgres: servers.postgres_address(),
        kafka: servers.kafka_address(),
        aws: servers.aws_address(),
    };
    let address = addresses.http;
    house.metastore.set_holder_note(&reachable(address).to_string()).await?;
    house.start_topics(&shutdown);
    house.start_jobs(workers);
    let running = tokio::spawn(servers.serve());
    addresses.write(data)?;
    greet(settings, &house, &user, &addresses, is_first, started).await?;
    let (stopped, took) = until_stopped(running, &mut signals, &shutdown).await;
    // A server that died by itself has told nobody.
    shutdown.start();
    let removed = Endpoints::remove(data);
    close(&house, &mut signals, STOP_MAX.saturating_sub(took)).await;
    stopped.and(removed).map(|()| EXIT_DONE)
}

/// Until a signal comes and running requests have had their time, or the servers end by themselves. Gives how long requests took
/// from the signal on.
async fn until_stopped(
    mut running: tokio::task::JoinHandle<Result<()>>,
    signals: &mut Signals,
    shutdown: &Shutdown,
) -> (Result<()>, Duration) {
    tokio::select! {
        ended = &mut running => {
            return (ended.context("the server died").and_then(|ended| ended), Duration::ZERO);
        }
        () = signals.next() => {}
    }
    tracing::info!("stopping");
    let told = Instant::now();
    shutdown.start();
    let stopped = tokio::select! {
        ended = tokio::time::timeout(REQUESTS_STOP_MAX, &mut running) => match ended {
            Ok(ended) => ended.context("the server died").and_then(|ended| ended),
            Err(_) => {
                tracing::warn!("requests that still run are cut off");
                running.abort();
                Ok(())
            }
        },
        // A second signal: at once.
        () = signals.next() => Ok(()),
    };
    (stopped, told.elapsed())
}

/// Closes the house in the time that is left. Of that jobs get half: after them the log and the metastore are to be closed.
async fn close(house: &House, signals: &mut Signals, left: Duration) {
    let left = left.max(STOP_MAX - REQUESTS_STOP_MAX);
    tokio::select! {
        closed = tokio::time::timeout(left, house.close_within(left / 2)) => {
            if closed.is_err() {
                tracing::warn!("stopped before everything had ended; what was acknowledged is kept");
            }
        }
        () = signals.next() => {}
    }
}

/// Says where to go. A link that logs in is for a terminal, and for the first start wherever that is read.
async fn greet(
    settings: &Up,
    house: &House,
    user: &str,
    addresses: &Endpoints,
    is_first: bool,
    started: Instant,
) -> Result<()> {
    let address = addresses.http;
    let base = format!("http://{}", reachable(address));
    let data = &settings.directory.data;
    let mut lines =
        vec![format!("Polder {} is ready ({})", env!("CARGO_PKG_VERSION"), output::seconds(started.elapsed()))];
    lines.push(String::new());
    let link = settings.auth == AuthChoice::Password && (is_first || terminal::stdout());
    if link {
        let token = house.metastore.principals().create_link(user, LINK_LIFETIME).await?;
        lines.push(format!("  console  {base}/login?token={token}"));
        lines.push("           logs in once, within the hour".to_owned());
        lines.push(format!("  address  {base}"));
    } else {
        lines.push(format!("  console  {base}"));
    }
    if let Some(address) = addresses.postgres {
        lines.push(format!("  psql     postgres://{user}@{}/{DATABASE}", reachable(address)));
    }
    if let Some(address) = addresses.kafka {
        lines.push(format!("  kafka    {}", reachable(address)));
    }
    if let Some(address) = addresses.aws {
        lines.push(format!("  kinesis  http://{}", reachable(address)));
    }
    lines.push(format!("  data     {}", data.display()));
    match settings.auth {
        AuthChoice::Password => {
            lines.push(format!("  user     {user}, password in {}", shown(&credentials::path(data))));
        }
        AuthChoice::Trust => lines.push(format!("  user     {user}; everyone on this computer is let in")),
    }
    lines.push(String::new());
    lines.push("Ctrl-C stops it. In another terminal: polder load FILE, polder sql".to_owned());
    // Started without anyone to read this, it runs all the same.
    let _ = writeln!(std::io::stdout().lock(), "{}", lines.join("\n"));
    let postgres = addresses.postgres.map(tracing::field::display);
    let kafka = addresses.kafka.map(tracing::field::display);
    let aws = addresses.aws.map(tracing::field::display);
    tracing::info!(address = %address, postgres, kafka, aws, data = %data.display(), "ready");
    Ok(())
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string()
}

/// What asks a server to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
