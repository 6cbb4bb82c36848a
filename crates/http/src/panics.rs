//! Panics of long-lived threads: caught, so that the thread goes on, and remembered for `/health`.
//!
//! What a panic said stands in the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long `/health` complains about a panic.
const RECENT: Duration = Duration::from_mins(10);

/// The panics of this process. Clones are the same.
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
    /// How long ago it was.
    pub fn ago(&self) -> Duration {
        self.at.elapsed()
    }

    /// Whether somebody should hear of it now.
    pub fn is_recent(&self) -> bool {
        self.ago() < RECENT
    }
}

impl Panics {
    /// Does this on the thread of this name; nothing if it panics.
    pub fn catch<T>(&self, thread: &'static str, work: impl FnOnce() -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(work)).inspect_err(|_| self.note(thread)).ok()
    }

    /// A panic of this thread was caught.
    pub fn note(&self, thread: &'static str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = last.as_ref().map_or(0, |last| last.count) + 1;
        *last = Some(Last { thread, count, at: Instant::now() });
    }

    /// The last one, if there was any.
    pub fn last(&self) -> Option<Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
