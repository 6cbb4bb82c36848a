//! The thread that renews the lease of one job, and fences the job when the lease is lost.
//!
//! The thread only renews, so neither a long turn nor a slow send delays a renewal. A renewal without an answer is cut off
//! in time for the fence. The clock is steady: a change of the system's clock neither prolongs nor ends a lease.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use log::{debug, warn};

use crate::clock::SteadyClock;
use mcr_clients::pool::{HeldLease, PoolClient, RenewLease};
use mcr_core::pool::lease::{FenceReason, Lease, LeaseTimes};
use mcr_model::clock::{Clock as _, Millis};
use mcr_model::{JobId, LeaseId, WorkerId};

/// The longest renewal.
const CALL_MAX: Duration = Duration::from_secs(5);

/// The shortest time that a renewal gets.
const CALL_LEAST: Duration = Duration::from_millis(250);

/// The watch over the lease of one job. Dropping it ends the renewals.
pub struct LeaseWatch {
    shared: Arc<WatchedLease>,
}

struct WatchedLease {
    state: Mutex<WatchState>,
    ended: Condvar,
    clock: SteadyClock,
}

struct WatchState {
    lease: Lease,
    is_ended: bool,
}

/// The queue's answer to the question whether a lease is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseCheck {
    /// The lease is held.
    Held,
    /// The job is fenced, for this reason.
    Fenced(FenceReason),
    /// The queue does not answer, and the lease may still be held.
    Silent,
}

/// The names in a renewal.
struct LeaseNames {
    worker: WorkerId,
    job: JobId,
    lease: LeaseId,
}

/// When a claim was sent, on the clock of its watch.
#[derive(Clone, Copy, Debug)]
pub struct ClaimTime {
    clock: SteadyClock,
    at: Millis,
}

impl ClaimTime {
    /// The claim is sent now.
    pub fn now() -> Self {
        let clock = SteadyClock::new();
        Self { at: clock.now(), clock }
    }
}

impl LeaseWatch {
    /// Renews the lease of a claim from now on. `fenced` is called once, from the thread, when the job is fenced; it
    /// aborts the run of the agent. The client belongs to the thread.
    pub fn start(
        pool: PoolClient,
        lease: HeldLease<'_>,
        claimed: ClaimTime,
        times: LeaseTimes,
        fenced: impl FnOnce(FenceReason) + Send + 'static,
    ) -> io::Result<Self> {
        let state = Mutex::new(WatchState { lease: Lease::new(claimed.at, times), is_ended: false });
        let shared = Arc::new(WatchedLease { state, ended: Condvar::new(), clock: claimed.clock });
        let names = LeaseNames {
            worker: lease.worker_id.clone(),
            job: lease.message_id.clone(),
            lease: lease.lease_id.clone(),
        };
        let watched = Arc::clone(&shared);
        thread::Builder::new().name("lease".to_owned()).spawn(move || {
            if let Some(reason) = watched.renew_until_fenced(&pool, &names) {
                let (job, reason_text) = (names.job.as_str(), reason.explain());
                warn!(job, reason = reason_text; "Lease of a job lost");
                fenced(reason);
            }
        })?;
        Ok(Self { shared })
    }

    /// Asks the queue whether the lease is held now. Right before an effect that others can see: an older confirmation does
    /// not show whether another worker has the message since.
    pub fn confirm(&self, pool: &PoolClient, lease: HeldLease<'_>) -> LeaseCheck {
        if let Some(reason) = self.fence() {
            return LeaseCheck::Fenced(reason);
        }
        let sent = self.shared.clock.now();
        let answer = pool.ask_within(CALL_MAX, &RenewLease { lease });
        let is_silent = answer.is_err();
        if let Ok(is_held) = answer {
            self.shared.lock().lease.answered_beside(sent, is_held, self.shared.clock.now());
        }
        match self.fence() {
            Some(reason) => LeaseCheck::Fenced(reason),
            None if is_silent => LeaseCheck::Silent,
            None => LeaseCheck::Held,
        }
    }

    /// Why the job is fenced now, if it is.
    pub fn fence(&self) -> Option<FenceReason> {
        let now = self.shared.clock.now();
        self.shared.lock().lease.fence(now)
    }
}

impl Drop for LeaseWatch {
    fn drop(&mut self) {
        self.shared.lock().is_ended = true;
        // A renewal on its way ends by its own limit, and changes nothing for an ended job.
        self.shared.ended.notify_all();
    }
}

impl WatchedLease {
    fn lock(&self) -> MutexGuard<'_, WatchState> {
        // No code under this lock panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reason of the fence, or none if the watch ends.
    fn renew_until_fenced(&self, pool: &PoolClient, names: &LeaseNames) -> Option<FenceReason> {
        let mut state = self.lock();
        loop {
            let now = self.clock.now();
            if state.is_ended {
                return None;
            }
            if let Some(reason) = state.lease.fence(now) {
                return Some(reason);
            }
            let end = state.lease.fenced_from();
            // Between two turns of this loop no renewal is on its way.
            let due = state.lease.renewal_due().unwrap_or(end);
            if due > now {
                let wait = due.min(end).since(now);
                state = self.ended.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.lease.renewing(now);
            drop(state);
            let held = renew(pool, names, end.since(now).clamp(CALL_LEAST, CALL_MAX));
            state = self.lock();
            state.lease.answered(held, self.clock.now());
        }
    }
}

/// Whether the lease is held; none without an answer.
fn renew(pool: &PoolClient, names: &LeaseNames, limit: Duration) -> Option<bool> {
    let lease = HeldLease { worker_id: &names.worker, message_id: &names.job, lease_id: &names.lease };
    let answer = pool.ask_within(limit, &RenewLease { lease });
    answer.inspect_err(|error| debug!(job = names.job.as_str(), error:%; "Lease not renewed")).ok()
}
