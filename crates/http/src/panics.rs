//! Panics of long-lived threads: caught, so that the thread continues, and recorded for `/health`.
//!
//! The log has the panic's message.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long `/health` reports a panic.
const RECENT: Duration = Duration::from_mins(10);

/// The panics of this process. Clones share one record.
#[derive(Clone, Debug, Default)]
pub struct Panics(Arc<Mutex<Option<Last>>>);

/// The last panic.
#[derive(Clone, Debug)]
pub struct Last {
    /// The thread that panicked.
    pub thread: &'static str,
    /// How many panics there were so far.
    pub count: u64,
    at: Instant,
}

impl Last {
    /// The time since this panic.
    pub fn ago(&self) -> Duration {
        self.at.elapsed()
    }

    /// Whether `/health` reports this panic now.
    pub fn is_recent(&self) -> bool {
        self.ago() < RECENT
    }
}

impl Panics {
    /// Runs `work` on the named thread. Returns `None` if it panics.
    pub fn catch<T>(&self, thread: &'static str, work: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(work)).inspect_err(|_| self.note(thread)).ok()
    }

    /// Records that this thread panicked.
    pub fn note(&self, thread: &'static str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = last.as_ref().map_or(0, |last| last.count) + 1;
        *last = Some(Last { thread, count, at: Instant::now() });
    }

    /// The last panic, if there was one.
    pub fn last(&self) -> Option<Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
