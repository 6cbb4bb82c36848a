//! The thread that makes a pool's calls on time, and what became of each. Each call is off unless it is enabled.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use log::{info, warn};
use serde::Serialize;

use mcr_clients::convex::{CallClass, Ran};
use mcr_clients::pool::PoolClient;
use mcr_clients::wire::Stop;
use mcr_core::pool::scheduled::ScheduledCall;
use mcr_http::panics::Panics;
use mcr_model::clock::{Clock, Millis};

/// The name of the thread.
const THREAD: &str = "scheduled-calls";

/// The limit of one call: a clean-up deletes machines one after the other.
const DEADLINE: Duration = Duration::from_mins(9);

/// The longest wait, so that a clock that was set is noticed.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The pause after a panic.
const PANIC_PAUSE: Duration = Duration::from_secs(1);

/// The longest excerpt of a result in `/health`.
const RESULT_CHARS_MAX: usize = 500;

/// One call in `/health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledCallHealth {
    /// Its name.
    pub name: &'static str,
    /// When it is due next.
    pub next_at: Millis,
    /// When it last ran; null before the first time.
    pub last_at: Option<Millis>,
    /// Whether it succeeded.
    pub succeeded: Option<bool>,
    /// What it returned, or why it failed.
    pub result: Option<String>,
}

/// What became of the calls. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct ScheduledCallsStatus(Arc<Mutex<Vec<ScheduledCallHealth>>>);

impl ScheduledCallsStatus {
    /// The calls that are enabled.
    pub fn now(&self) -> Vec<ScheduledCallHealth> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, at: usize, row: ScheduledCallHealth) {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match rows.get_mut(at) {
            Some(place) => *place = row,
            None => rows.push(row),
        }
    }
}

/// The calls of a process.
pub struct ScheduledCalls {
    /// The queue.
    pub pool: PoolClient,
    /// The calls that are enabled.
    pub calls: Vec<ScheduledCall>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Ends the thread.
    pub stop: Stop,
    /// Where the results are shown.
    pub status: ScheduledCallsStatus,
    /// Where a panic is noted.
    pub panics: Panics,
}

impl ScheduledCalls {
    /// Starts the thread, unless no call is enabled.
    pub fn start(self) -> io::Result<()> {
        if self.calls.is_empty() {
            return Ok(());
        }
        let mut due = self.begin();
        thread::Builder::new().name(THREAD.to_owned()).spawn(move || {
            while self.panics.catch(THREAD, || self.run(&mut due)).is_none() && !self.stop.is_closed() {
                self.stop.wait(PANIC_PAUSE);
            }
        })?;
        Ok(())
    }

    /// When each call is first due.
    fn begin(&self) -> Vec<Millis> {
        let now = self.clock.now();
        let due: Vec<Millis> = self.calls.iter().map(|call| call.first(now)).collect();
        for (at, (call, next_at)) in self.calls.iter().zip(&due).enumerate() {
            let (name, next_at) = (call.name(), *next_at);
            let row = ScheduledCallHealth { name, next_at, last_at: None, succeeded: None, result: None };
            self.status.set(at, row);
        }
        due
    }

    fn run(&self, due: &mut [Millis]) {
        loop {
            let now = self.clock.now();
            let next = due.iter().copied().min().unwrap_or(now + WAIT_MAX);
            if self.stop.wait(next.since(now).min(WAIT_MAX)) {
                return;
            }
            self.make_due_calls(due);
        }
    }

    fn make_due_calls(&self, due: &mut [Millis]) {
        for (at, call) in self.calls.iter().enumerate() {
            let now = self.clock.now();
            if due[at] > now || self.stop.is_closed() {
                continue;
            }
            // A call that panics is not repeated at once.
            due[at] = call.next(now, false);
            let made = self.pool.run_scheduled(*call, DEADLINE);
            let after = self.clock.now();
            let is_lost =
                made.as_ref().is_err_and(|error| error.class == CallClass::Transient && error.ran == Ran::No);
            due[at] = call.next(after, is_lost);
            let name = call.name();
            let (succeeded, result) = match made {
                Ok(value) => {
                    info!(name; "A call on schedule was made");
                    (true, value.to_string())
                }
                Err(error) => {
                    warn!(name, error:%; "A call on schedule failed");
                    (false, error.to_string())
                }
            };
            let result = Some(result.chars().take(RESULT_CHARS_MAX).collect());
            let (next_at, last_at, succeeded) = (due[at], Some(now), Some(succeeded));
            self.status.set(at, ScheduledCallHealth { name, next_at, last_at, succeeded, result });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use mcr_clients::convex::{Call, CallError, CallReason, Convex};
    use serde_json::value::RawValue;

    use super::*;

    /// A deployment that notes its calls, and refuses to start workers.
    #[derive(Default)]
    struct Book {
        calls: Mutex<Vec<(String, String)>>,
    }

    impl Convex for Book {
        fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
            let row = (format!("{:?} {}", call.kind, call.path), call.args.get().to_owned());
            self.calls.lock().unwrap().push(row);
            if call.path.ends_with("startWorkers") {
                return Err(CallError::new(CallClass::Refused, CallReason::Unknown, "", "no token"));
            }
            Ok(RawValue::from_string(r#"{"spawned":1}"#.to_owned()).unwrap())
        }
    }

    struct SetClock(AtomicI64);

    impl Clock for SetClock {
        fn now(&self) -> Millis {
            Millis(self.0.load(Ordering::Relaxed))
        }
    }

    /// Each function is called at its time, with its kind and no argument, and the last result is shown.
    #[test]
    fn calls_are_made_on_time_and_their_results_are_shown() {
        let start = Millis::from_rfc3339("2026-03-01T02:58:00Z").unwrap();
        let (book, clock) = (Arc::new(Book::default()), Arc::new(SetClock(AtomicI64::new(start.0))));
        let scheduled = ScheduledCalls {
            pool: PoolClient::new(book.clone(), "agentFactory", Duration::from_secs(1)),
            calls: ScheduledCall::ALL.to_vec(),
            clock: clock.clone(),
            stop: Stop::new(),
            status: ScheduledCallsStatus::default(),
            panics: Panics::default(),
        };
        let mut due = scheduled.begin();
        assert!(scheduled.status.now().iter().all(|row| row.last_at.is_none()));
        let mut made = Vec::new();
        for minute in 0..8 {
            clock.0.store((start + minute * Duration::from_mins(1)).0, Ordering::Relaxed);
            scheduled.make_due_calls(&mut due);
            let calls = std::mem::take(&mut *book.calls.lock().unwrap());
            made.extend(calls.into_iter().map(|(path, args)| (minute, path, args)));
        }
        let row = |minute: u32, path: &str| (minute, path.to_owned(), "{}".to_owned());
        let expected = [
            row(0, "Action agentFactory:startWorkers"),
            row(0, "Mutation agentFactory:dispatchDuePushJobs"),
            row(2, "Action agentFactory:startWorkers"),
            row(2, "Mutation agentFactory:dispatchDuePushJobs"),
            row(2, "Action agentFactory:runFlyCleanup"),
            row(7, "Action agentFactory:startWorkers"),
        ];
        assert_eq!(made, expected);
        let rows = scheduled.status.now();
        assert_eq!(rows[0].succeeded, Some(false));
        assert!(rows[0].result.as_ref().unwrap().contains("no token"), "{rows:?}");
        assert_eq!(rows[2].result.as_deref(), Some(r#"{"spawned":1}"#));
        assert_eq!(rows[2].next_at, Millis::from_rfc3339("2026-03-02T03:00:00Z").unwrap());
    }

    #[test]
    fn without_an_enabled_call_there_is_no_thread() {
        let book = Arc::new(Book::default());
        let scheduled = ScheduledCalls {
            pool: PoolClient::new(book.clone(), "x", Duration::from_secs(1)),
            calls: Vec::new(),
            clock: Arc::new(SetClock(AtomicI64::new(0))),
            stop: Stop::new(),
            status: ScheduledCallsStatus::default(),
            panics: Panics::default(),
        };
        scheduled.start().unwrap();
        assert_eq!(Arc::strong_count(&book), 1, "the thread would hold the client");
    }
}
