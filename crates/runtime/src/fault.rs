//! Named places where a test makes the process die, to prove that nothing acknowledged is lost.
//!
//! `POLDER_FAULT=name:n` aborts the process, as `kill -9` would, the `n`th time (from 1) that
//! [`point`] is passed with that name; `POLDER_FAULT=*:n` counts every point. Unset, a point costs one
//! load of a pointer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Plan {
    name: String,
    countdown: AtomicU64,
}

static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

fn parse(text: &str) -> Option<Plan> {
    let (name, count) = text.rsplit_once(':')?;
    Some(Plan { name: name.to_owned(), countdown: AtomicU64::new(count.parse().ok()?) })
}

fn plan() -> Option<&'static Plan> {
    PLAN.get_or_init(|| parse(&std::env::var("POLDER_FAULT").ok()?)).as_ref()
}

/// Whether a death is planned at a point whose name begins so. What is done in several ways takes the one with these points
/// then.
#[must_use]
pub fn is_planned_in(family: &str) -> bool {
    plan().is_some_and(|plan| plan.name.starts_with(family))
}

/// Passes through, or aborts the process if the environment says so.
pub fn point(name: &str) {
    let Some(plan) = plan() else {
        return;
    };
    if (plan.name == "*" || plan.name == name) && plan.countdown.fetch_sub(1, Ordering::SeqCst) == 1 {
        // The message lets a test tell a planned death from an unplanned one.
        eprintln!("fault point {name}: aborting");
        std::process::abort();
    }
}
