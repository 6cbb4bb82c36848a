//! The jobs that this process has claimed: their leases, and who waits for their ends.
//!
//! A lane claims a job, puts it here and offers it to the dispatcher. The delivery asks here whether the lease is held.
//! When the delivery has ended, the lane goes on. A job that an earlier process has left is here from the start.
//!
//! Some ended jobs may be claimed again: after a failure, or because the queue has not heard of the end. Their records are
//! kept, so that the next claim continues where the last one stopped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::lease_watch::{ClaimTime, LeaseCheck, LeaseWatch};
use mcr_clients::convex::CallError;
use mcr_clients::pool::{HeldLease, PoolClient, RenewLease};
use mcr_core::delivery::Record;
use mcr_core::pool::lease::{FenceReason, LeaseTimes};
use mcr_core::work::{PoolJob, WorkId};
use mcr_model::{ConversationId, LeaseId, WorkerId};

/// How many records of ended jobs are kept.
const EARLIER_MAX: usize = 2_000;

/// The shortest lease that is believed: the queue's clock may differ from ours.
const LEASE_LEAST: Duration = Duration::from_secs(3);

/// The longest renewal before a job of an earlier process continues.
const RENEW_MAX: Duration = Duration::from_secs(5);

/// Ends a work whose lease is lost.
type EndTurns = Box<dyn Fn(&WorkId) + Send + Sync>;

/// A claimed job with its lease.
pub struct HeldJob {
    /// The job, as it was claimed last.
    pub job: PoolJob,
    watch: LeaseWatch,
}

impl HeldJob {
    /// Why the job is fenced now, if it is.
    pub fn fence(&self) -> Option<FenceReason> {
        self.watch.fence()
    }

    /// Asks the queue whether the lease is held now.
    pub(crate) fn confirm(&self, client: &PoolClient) -> LeaseCheck {
        self.watch.confirm(client, self.lease())
    }

    /// The names that a call about the lease needs.
    pub fn lease(&self) -> HeldLease<'_> {
        lease_of(&self.job)
    }
}

fn lease_of(job: &PoolJob) -> HeldLease<'_> {
    let claimed = &job.claimed;
    HeldLease { worker_id: &job.worker, message_id: &claimed.message_id, lease_id: &claimed.lease_id }
}

/// All claimed jobs. Clones share one instance.
#[derive(Clone)]
pub struct ClaimedJobs(Arc<ClaimedJobsShared>);

struct ClaimedJobsShared {
    inside: Mutex<ClaimedJobsState>,
    /// Makes a client for the thread that renews a lease.
    renewer: Box<dyn Fn() -> PoolClient + Send + Sync>,
    /// The longest time between two renewals.
    renewal: Duration,
    /// Ends the running turn of a work, once the delivery has started.
    end_turns: OnceLock<EndTurns>,
}

#[derive(Default)]
struct ClaimedJobsState {
    jobs: HashMap<WorkId, ClaimedJobsEntry>,
    earlier: HashMap<WorkId, Record>,
    /// The keys of `earlier`, oldest first. A key may have been removed since.
    ages: VecDeque<WorkId>,
    /// The conversations whose session has had a turn of this process.
    spoken: HashSet<ConversationId>,
    is_closed: bool,
}

struct ClaimedJobsEntry {
    worker: WorkerId,
    /// None for a job of an earlier process whose lease was not renewed yet.
    held: Option<Arc<HeldJob>>,
    ended: Receiver<()>,
    /// Its drop tells the lane that the job has ended.
    _running: Sender<()>,
}

impl ClaimedJobsEntry {
    fn new(worker: &WorkerId, held: Option<Arc<HeldJob>>) -> Self {
        let (running, ended) = bounded(0);
        Self { worker: worker.clone(), held, ended, _running: running }
    }
}

/// Why a job of an earlier process does not continue now.
#[derive(Debug)]
pub enum NotResumed {
    /// The queue says that its lease is lost.
    Lost,
    /// The queue cannot be asked.
    Call(CallError),
    /// The thread that renews leases cannot be started.
    Thread(io::Error),
}

impl ClaimedJobs {
    /// No jobs. `renewer` makes a client for each thread that renews a lease.
    pub fn new(renewal: Duration, renewer: impl Fn() -> PoolClient + Send + Sync + 'static) -> Self {
        let renewer = Box::new(renewer);
        Self(Arc::new(ClaimedJobsShared {
            inside: Mutex::default(),
            renewer,
            renewal,
            end_turns: OnceLock::new(),
        }))
    }

    /// How a lost lease ends its job.
    pub(crate) fn connect(&self, end_turns: impl Fn(&WorkId) + Send + Sync + 'static) {
        // The delivery starts once.
        let _ = self.0.end_turns.set(Box::new(end_turns));
    }

    /// A job of an earlier process is open.
    pub fn recalled(&self, job: &PoolJob) {
        let id = PoolJob::work_id(&job.claimed.message_id);
        self.0.lock().jobs.insert(id, ClaimedJobsEntry::new(&job.worker, None));
    }

    /// Keeps the record of a job that ended in an earlier process.
    pub fn remember(&self, work: &WorkId, record: Record) {
        self.0.lock().remember(work, record);
    }

    /// A job was claimed at this time. Its lease is renewed from now on. The receiver disconnects when the job has ended.
    pub fn claimed(&self, job: PoolJob, at: ClaimTime) -> io::Result<Receiver<()>> {
        let id = PoolJob::work_id(&job.claimed.message_id);
        let held = self.watch(&id, job, at)?;
        let entry = ClaimedJobsEntry::new(&held.job.worker, Some(held.clone()));
        let ended = entry.ended.clone();
        let mut inside = self.0.lock();
        if !inside.is_closed {
            // The end of an entry with an older lease is the end for its lane.
            inside.jobs.insert(id, entry);
        }
        Ok(ended)
    }

    fn watch(&self, id: &WorkId, job: PoolJob, at: ClaimTime) -> io::Result<Arc<HeldJob>> {
        let length = job.claimed.lease_expires_at.since(job.claimed_at).max(LEASE_LEAST);
        let times = LeaseTimes::of(length);
        let times = LeaseTimes { renewal: times.renewal.min(self.0.renewal), ..times };
        let (claimed_jobs, work, lease) = (Arc::downgrade(&self.0), id.clone(), job.claimed.lease_id.clone());
        let fenced = move |_: FenceReason| is_fenced(&claimed_jobs, &work, &lease);
        let watch = LeaseWatch::start((self.0.renewer)(), lease_of(&job), at, times, fenced)?;
        Ok(Arc::new(HeldJob { job, watch }))
    }

    /// The job with its lease. A job of an earlier process first renews it.
    pub fn hold(&self, job: &PoolJob, client: &PoolClient) -> Result<Arc<HeldJob>, NotResumed> {
        let id = PoolJob::work_id(&job.claimed.message_id);
        if let Some(held) = self.0.lock().jobs.get(&id).and_then(|entry| entry.held.clone()) {
            return Ok(held);
        }
        let at = ClaimTime::now();
        match client.ask_within(RENEW_MAX, &RenewLease { lease: lease_of(job) }) {
            Ok(true) => {}
            Ok(false) => return Err(NotResumed::Lost),
            Err(error) => return Err(NotResumed::Call(error)),
        }
        let held = self.watch(&id, job.clone(), at).map_err(NotResumed::Thread)?;
        let mut inside = self.0.lock();
        let entry = inside.jobs.entry(id).or_insert_with(|| ClaimedJobsEntry::new(&job.worker, None));
        // A lane may have claimed the message meanwhile: the later lease holds.
        Ok(entry.held.get_or_insert(held).clone())
    }

    /// Whether the work is a job whose lease is lost.
    pub(crate) fn is_fenced(&self, work: &WorkId) -> bool {
        let held = self.0.lock().jobs.get(work).and_then(|entry| entry.held.clone());
        held.is_some_and(|held| held.fence().is_some())
    }

    /// A delivery has ended. Its record is kept, because the queue may hand the message out again.
    pub(crate) fn ended(&self, work: &WorkId, record: Record) {
        let mut inside = self.0.lock();
        inside.remember(work, record);
        inside.jobs.remove(work);
    }

    /// The record of an earlier claim of this message.
    pub(crate) fn earlier(&self, work: &WorkId) -> Option<Record> {
        self.0.lock().earlier.get(work).cloned()
    }

    /// Disconnects when the delivery of this message under an earlier lease has ended; none if there is no such delivery. A
    /// delivery that an earlier process has left goes on with the new lease.
    pub fn under_earlier_lease(&self, work: &WorkId) -> Option<Receiver<()>> {
        let inside = self.0.lock();
        inside.jobs.get(work).filter(|entry| entry.held.is_some()).map(|entry| entry.ended.clone())
    }

    /// Disconnects when the job of this worker id has ended; none if it has no job.
    pub fn job_of(&self, worker: &WorkerId) -> Option<Receiver<()>> {
        self.0.lock().jobs.values().find(|entry| entry.worker == *worker).map(|entry| entry.ended.clone())
    }

    /// The jobs with a lease, for `/health` and for the end of a machine.
    pub fn held(&self) -> Vec<Arc<HeldJob>> {
        self.0.lock().jobs.values().filter_map(|entry| entry.held.clone()).collect()
    }

    /// How many jobs are in work.
    pub fn count(&self) -> usize {
        self.0.lock().jobs.len()
    }

    /// Notes that the session of this conversation gets a turn; returns whether that is the first of this process.
    pub(crate) fn is_first_turn(&self, conversation: &ConversationId) -> bool {
        self.0.lock().spoken.insert(conversation.clone())
    }

    /// No lane waits any longer.
    pub fn close(&self) {
        let mut inside = self.0.lock();
        inside.is_closed = true;
        inside.jobs.clear();
    }
}

/// Ends the turn of a job, unless the message was claimed again since.
fn is_fenced(claimed_jobs: &Weak<ClaimedJobsShared>, work: &WorkId, lease: &LeaseId) {
    let Some(claimed_jobs) = claimed_jobs.upgrade() else { return };
    let held = claimed_jobs.lock().jobs.get(work).and_then(|entry| entry.held.clone());
    if held.is_some_and(|held| held.job.claimed.lease_id == *lease)
        && let Some(end_turns) = claimed_jobs.end_turns.get()
    {
        end_turns(work);
    }
}

impl ClaimedJobsShared {
    fn lock(&self) -> MutexGuard<'_, ClaimedJobsState> {
        // No code under this lock panics half-way.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClaimedJobsState {
    fn remember(&mut self, work: &WorkId, record: Record) {
        if self.earlier.insert(work.clone(), record).is_none() {
            self.ages.push_back(work.clone());
        }
        if self.ages.len() > EARLIER_MAX
            && let Some(oldest) = self.ages.pop_front()
        {
            self.earlier.remove(&oldest);
        }
    }
}
