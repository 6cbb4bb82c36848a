//! A worker pool's backend for tests: the queue of an agent-factory deployment, without a database.
//!
//! It implements the sixteen functions that a worker calls (worker-pool B.2), with their validators, the rules of claims
//! and leases (B.3, B.4), the control state (B.5), snapshots and skills (B.9, B.10). `functions` lists them; `claims`,
//! `leases`, `conversations`, `snapshots` and `skills` carry them out on the rows of `rows`. [`PoolBackend::answer`] serves
//! them over HTTP as Convex does: every number has a fraction, and a failed function is a success of HTTP.
//!
//! Its own book is the oracle of the tests: every call with its result, every row, every history. [`PoolFault`]s lose
//! answers before or after a call has run.

mod claims;
mod conversations;
mod functions;
mod http;
mod leases;
mod producer;
mod question;
mod rows;
mod skills;
mod snapshots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

pub use functions::{FunctionKind, names};
pub use producer::{Enqueue, PoolAgent, SkillFile, SkillRelease};
pub use question::question;
pub use rows::{
    ConversationRow, PoolLock, QueuedMessage, SnapshotRow, WorkerAssignment, WorkerRow, WorkerStatus,
};

use mcr_model::clock::{Clock, SystemClock};
use rows::PoolState;

/// The policy of the queue (worker-pool C.1). The defaults are those of the component.
#[derive(Clone, Debug)]
pub struct PoolPolicy {
    /// The module that exports the functions.
    pub namespace: String,
    /// How long a lease lasts without a heartbeat, in milliseconds.
    pub lease_ms: i64,
    /// The age of a worker's heartbeat from which the worker is stale.
    pub stale_after_ms: i64,
    /// The idle time after which an empty worker shuts down.
    pub idle_timeout_ms: i64,
    /// The interval of the scheduled recovery of expired leases.
    pub reconcile_ms: i64,
    /// How many due rows a claim examines.
    pub claim_batch: usize,
    /// After how many failed attempts a message becomes a dead letter.
    pub max_attempts: i64,
    /// The text that is added to the end of each message.
    pub system_prompt: Option<String>,
}

impl Default for PoolPolicy {
    fn default() -> Self {
        Self {
            namespace: "agentFactory".to_owned(),
            lease_ms: 360_000,
            stale_after_ms: 420_000,
            idle_timeout_ms: 1_800_000,
            reconcile_ms: 300_000,
            claim_batch: 25,
            max_attempts: 5,
            system_prompt: None,
        }
    }
}

/// How one call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolFault {
    /// The function runs, and the connection is cut instead of its answer.
    LoseAnswer,
    /// The connection is cut before the function runs.
    Cut,
    /// The backend is overloaded (503), and the function does not run.
    Overload,
}

/// One call in the book.
#[derive(Clone, Debug)]
pub struct PoolCall {
    /// When it came, by the backend's clock.
    pub at: i64,
    /// The name of the function, without the namespace.
    pub function: String,
    /// Its arguments.
    pub args: Value,
    /// What it returned, or the text of its error.
    pub result: Result<Value, String>,
}

/// The backend. Clones share one instance.
#[derive(Clone)]
pub struct PoolBackend {
    shared: Arc<PoolShared>,
}

struct PoolShared {
    policy: PoolPolicy,
    clock: Arc<dyn Clock>,
    state: Mutex<PoolState>,
    book: Mutex<Vec<PoolCall>>,
    faults: Mutex<BTreeMap<String, VecDeque<PoolFault>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panicking test has failed already.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl PoolBackend {
    /// A backend with an empty queue, on the system's clock.
    pub fn new(policy: PoolPolicy) -> Self {
        Self::with_clock(policy, Arc::new(SystemClock))
    }

    /// A backend with an empty queue and this clock.
    pub fn with_clock(policy: PoolPolicy, clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(PoolState::new(clock.now().0));
        Self {
            shared: Arc::new(PoolShared {
                policy,
                clock,
                state,
                book: Mutex::default(),
                faults: Mutex::default(),
            }),
        }
    }

    /// Calls a function directly. Due recoveries of expired leases run first. The error is the function's text.
    pub fn call(&self, kind: FunctionKind, path: &str, args: &Map<String, Value>) -> Result<Value, String> {
        let now = self.now();
        let mut state = locked(&self.shared.state);
        state.reconcile_if_due(&self.shared.policy, now);
        let result = functions::run(&mut state, &self.shared.policy, kind, path, args, now);
        drop(state);
        let function = path.rsplit(':').next().unwrap_or(path).to_owned();
        let args = Value::Object(args.clone());
        locked(&self.shared.book).push(PoolCall { at: now, function, args, result: result.clone() });
        result
    }

    /// Plans a fault for the next call of this function that has none yet.
    pub fn plan(&self, function: &str, fault: PoolFault) {
        locked(&self.shared.faults).entry(function.to_owned()).or_default().push_back(fault);
    }

    /// Removes the planned faults of this function.
    pub fn unplan(&self, function: &str) {
        locked(&self.shared.faults).remove(function);
    }

    /// The calls so far, in order.
    pub fn calls(&self) -> Vec<PoolCall> {
        locked(&self.shared.book).clone()
    }

    /// The calls of one function so far, in order.
    pub fn calls_of(&self, function: &str) -> Vec<PoolCall> {
        locked(&self.shared.book).iter().filter(|call| call.function == function).cloned().collect()
    }

    /// A message of the queue.
    pub fn message(&self, id: &str) -> Option<QueuedMessage> {
        locked(&self.shared.state).messages.get(id).cloned()
    }

    /// All messages, in the order of their creation.
    pub fn messages(&self) -> Vec<QueuedMessage> {
        let mut found: Vec<_> = locked(&self.shared.state).messages.values().cloned().collect();
        found.sort_by_key(|message| message.number);
        found
    }

    /// A conversation.
    pub fn conversation(&self, id: &str) -> Option<ConversationRow> {
        locked(&self.shared.state).conversations.get(id).cloned()
    }

    /// A worker's row.
    pub fn worker(&self, id: &str) -> Option<WorkerRow> {
        locked(&self.shared.state).workers.get(id).cloned()
    }

    /// The snapshots, oldest first.
    pub fn snapshots(&self) -> Vec<SnapshotRow> {
        locked(&self.shared.state).snapshots.clone()
    }

    /// A stored file.
    pub fn stored(&self, id: &str) -> Option<Vec<u8>> {
        locked(&self.shared.state).files.get(id).cloned()
    }

    fn now(&self) -> i64 {
        self.shared.clock.now().0
    }

    fn fault_of(&self, function: &str) -> Option<PoolFault> {
        locked(&self.shared.faults).get_mut(function).and_then(VecDeque::pop_front)
    }
}
