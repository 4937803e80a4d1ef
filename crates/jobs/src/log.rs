//! The log of a run while it runs.

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A log ends here; what comes after is counted.
const LOG_BYTES_MAX: usize = 256 << 10;

/// A line as it is kept. Breaks within the message become lines of their own, set in.
pub(crate) fn line(time: DateTime<Utc>, message: &str) -> String {
    let message = message.trim_end().replace('\0', "\u{FFFD}").replace('\n', "\n    ");
    format!("{} {message}\n", time.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
}

/// Lines in memory, on their way to the metastore.
#[derive(Debug, Default)]
pub(crate) struct LiveLog {
    inner: Mutex<Inner>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    text: String,
    left_out: u64,
}

impl LiveLog {
    /// A log that goes on after what there is.
    pub fn after(text: String) -> Self {
        Self { inner: Mutex::new(Inner { text, left_out: 0 }), added: Notify::new() }
    }

    pub fn add(&self, time: DateTime<Utc>, message: &str) {
        let mut inner = self.inner.lock();
        let line = line(time, message);
        if inner.text.len() + line.len() > LOG_BYTES_MAX {
            inner.left_out += 1;
            return;
        }
        inner.text.push_str(&line);
        drop(inner);
        self.added.notify_one();
    }

    /// The last line, past the limit of the log's length.
    pub fn finish(&self, time: DateTime<Utc>, message: Option<&str>) {
        let mut inner = self.inner.lock();
        if inner.left_out > 0 {
            let left_out = format!("the log is full: {} more lines were left out", inner.left_out);
            inner.text.push_str(&line(time, &left_out));
            inner.left_out = 0;
        }
        if let Some(message) = message {
            inner.text.push_str(&line(time, message));
        }
    }

    /// Waits until a line was added.
    pub async fn added(&self) {
        self.added.notified().await;
    }

    pub fn text(&self) -> String {
        self.inner.lock().text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::{LOG_BYTES_MAX, LiveLog};

    #[test]
    fn it_grows_to_its_limit_and_says_so() {
        let time = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let log = LiveLog::after("before\n".to_owned());
        log.add(time, "one\ntwo\n");
        assert_eq!(log.text(), "before\n2026-01-02T03:04:05.678Z one\n    two\n");
        for _ in 0..3 {
            log.add(time, &"x".repeat(LOG_BYTES_MAX / 2));
        }
        log.finish(time, Some("failed"));
        let text = log.text();
        assert!(text.len() < LOG_BYTES_MAX + 200);
        assert!(
            text.ends_with("2 more lines were left out\n2026-01-02T03:04:05.678Z failed\n"),
            "{}",
            &text[text.len() - 200..]
        );
    }
}
