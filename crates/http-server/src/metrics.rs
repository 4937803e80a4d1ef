//! Counters in Prometheus' text format (version 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use parking_lot::Mutex;
use polder_capability::topics::StoreCounts;

/// Upper bounds of the latency histogram, in seconds.
const BUCKETS: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

/// What the server has done since it started.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<RequestKey, u64>>,
    latencies: Mutex<BTreeMap<&'static str, Histogram>>,
    in_flight: AtomicUsize,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
}

/// `route` is the pattern, never the path, so the number of keys is bounded by the code.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RequestKey {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Default)]
struct Histogram {
    counts: [u64; BUCKETS.len()],
    count: u64,
    sum_seconds: f64,
}

/// Numbers that are asked for at the moment of the scrape.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub statements_running: usize,
    pub loads_running: usize,
    pub sessions: usize,
    pub uploads: usize,
    /// `None`: this server has no topics.
    pub log: Option<StoreCounts>,
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

impl Metrics {
    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn request_started(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// The head of the answer is on its way.
    pub(crate) fn request_answered(&self, route: &str, method: &Method, status: StatusCode) {
        let key = RequestKey { route: route.to_owned(), method: method_label(method), status: status.as_u16() };
        *self.requests.lock().entry(key).or_default() += 1;
    }

    /// The last byte of the answer was handed over, or the client is gone.
    pub(crate) fn request_ended(&self, method: &Method, elapsed: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut latencies = self.latencies.lock();
        let histogram = latencies.entry(method_label(method)).or_default();
        let seconds = elapsed.as_secs_f64();
        for (count, bound) in histogram.counts.iter_mut().zip(BUCKETS) {
            if seconds <= bound {
                *count += 1;
            }
        }
        histogram.count += 1;
        histogram.sum_seconds += seconds;
    }

    pub(crate) fn render(&self, gauges: &Gauges) -> String {
        let mut out = String::with_capacity(4096);
        // Writing to a string cannot fail; the result is there because the trait asks for it.
        let _ = self.write(&mut out, gauges);
        out
    }

    fn write(&self, out: &mut String, gauges: &Gauges) -> std::fmt::Result {
        head(out, "polder_http_requests_total", "counter", "Requests answered.")?;
        for (key, count) in &*self.requests.lock() {
            let RequestKey { route, method, status } = key;
            let route = escape(route);
            writeln!(
                out,
                "polder_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
            )?;
        }
        let name = "polder_http_request_duration_seconds";
        head(out, name, "histogram", "Time from the head of a request to the last byte of its answer.")?;
        for (method, histogram) in &*self.latencies.lock() {
            for (bound, count) in BUCKETS.iter().zip(histogram.counts) {
                writeln!(out, "{name}_bucket{{method=\"{method}\",le=\"{bound}\"}} {count}")?;
            }
            writeln!(out, "{name}_bucket{{method=\"{method}\",le=\"+Inf\"}} {}", histogram.count)?;
            writeln!(out, "{name}_sum{{method=\"{method}\"}} {}", histogram.sum_seconds)?;
            writeln!(out, "{name}_count{{method=\"{method}\"}} {}", histogram.count)?;
        }
        let in_flight = self.in_flight.load(Ordering::Relaxed) as u64;
        single(out, "polder_http_requests_in_flight", "gauge", "Requests being answered.", in_flight)?;
        let received = self.received_bytes.load(Ordering::Relaxed);
        single(out, "polder_http_received_bytes_total", "counter", "Bytes read from connections.", received)?;
        let sent = self.sent_bytes.load(Ordering::Relaxed);
        single(out, "polder_http_sent_bytes_total", "counter", "Bytes written to connections.", sent)?;
        let statements = gauges.statements_running as u64;
        single(out, "polder_statements_running", "gauge", "Statements running, by any protocol.", statements)?;
        single(out, "polder_loads_running", "gauge", "Loads running.", gauges.loads_running as u64)?;
        single(out, "polder_http_sessions", "gauge", "SQL sessions kept for clients.", gauges.sessions as u64)?;
        single(out, "polder_uploads", "gauge", "Uploaded files that wait for a load.", gauges.uploads as u64)?;
        if let Some(log) = gauges.log {
            write_log(out, &log)?;
        }
        if let Some(bytes) = resident_bytes() {
            single(out, "process_resident_memory_bytes", "gauge", "Resident memory of the process.", bytes)?;
        }
        Ok(())
    }
}

fn write_log(out: &mut String, log: &StoreCounts) -> std::fmt::Result {
    single(out, "polder_log_written_bytes_total", "counter", "Bytes written to the log of topics.", log.written_bytes)?;
    single(out, "polder_log_appends_total", "counter", "Writes to the log of topics.", log.appends)?;
    single(out, "polder_log_syncs_total", "counter", "Times that the log of topics was synced.", log.syncs)?;
    let name = "polder_log_read_bytes_total";
    head(out, name, "counter", "Bytes read from the log of topics.")?;
    writeln!(out, "{name}{{from=\"cache\"}} {}", log.cache_read_bytes)?;
    writeln!(out, "{name}{{from=\"disk\"}} {}", log.disk_read_bytes)?;
    let help = "Segments of the log of topics that are known to be damaged.";
    single(out, "polder_log_damaged_segments", "gauge", help, log.damaged_segments)?;
    let help = "Bytes of topics beyond their retention, held for histories that have not kept them.";
    single(out, "polder_log_held_bytes", "gauge", help, log.held_bytes)
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: u64) -> std::fmt::Result {
    head(out, name, kind, help)?;
    writeln!(out, "{name} {value}")
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Resident memory, where the system tells it (Linux).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests;
