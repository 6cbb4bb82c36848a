//! The rows of the pool's backend, and the recovery of expired leases.

use std::collections::{BTreeMap, BTreeSet};

use mcr_model::words;
use serde_json::Value;

use super::PoolPolicy;
use super::producer::{PoolAgent, SkillRelease};

words! {
    /// The life of a worker (worker-pool B.5). It only moves forward.
    WorkerStatus {
        /// It may claim.
        Active = "active",
        /// It must stop claiming.
        Draining = "draining",
        /// Its snapshot is ready.
        Stopping = "stopping",
        /// Its machine is gone.
        Stopped = "stopped",
    }
}

words! {
    /// The state of a message in the queue.
    MessageStatus {
        /// It waits to be claimed.
        Queued = "queued",
        /// A worker holds its lease.
        Processing = "processing",
        /// It is completed.
        Done = "done",
        /// It failed too often.
        DeadLetter = "dead_letter",
    }
}

words! {
    /// The state of a snapshot.
    SnapshotStatus {
        /// Its file is not there yet.
        Uploading = "uploading",
        /// It can be restored.
        Ready = "ready",
        /// Its upload failed.
        Failed = "failed",
    }
}

/// A message of the queue.
#[derive(Clone, Debug)]
pub struct QueuedMessage {
    /// Its id.
    pub id: String,
    /// Its place in the order of creation.
    pub number: u64,
    /// Its conversation.
    pub conversation_id: String,
    /// The agent that must answer.
    pub agent_key: String,
    /// The payload of the job.
    pub payload: Value,
    /// Its state.
    pub status: MessageStatus,
    /// 0 to 100; high comes first.
    pub priority: i64,
    /// It is not due before this time.
    pub scheduled_for: i64,
    /// The failed attempts.
    pub attempts: i64,
    /// The limit of failed attempts.
    pub max_attempts: i64,
    /// The worker that holds the lease.
    pub claimed_by: Option<String>,
    /// The lease.
    pub lease_id: Option<String>,
    /// The end of the lease.
    pub lease_expires_at: Option<i64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it became a dead letter.
    pub dead_lettered_at: Option<i64>,
    /// How often it was claimed.
    pub claims: u64,
}

/// The lock of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolLock {
    /// The lease.
    pub lease_id: String,
    /// Its holder.
    pub worker_id: String,
    /// The end of the lease.
    pub lease_expires_at: i64,
    /// The last heartbeat.
    pub heartbeat_at: i64,
    /// The claimed message.
    pub claimed_message_id: String,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct ConversationRow {
    /// Its agent.
    pub agent_key: String,
    /// The lock of the worker that has claimed one of its messages.
    pub lock: Option<PoolLock>,
    /// All messages, oldest first.
    pub history: Vec<Value>,
    /// The key and the last messages of the cache, once a history was appended with a workspace.
    pub cache: Option<(String, Vec<Value>)>,
    /// Tool calls that are not done.
    pub pending_tool_calls: Vec<Value>,
}

/// To which conversation a worker belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerAssignment {
    /// The conversation.
    pub conversation_id: String,
    /// Its agent.
    pub agent_key: String,
    /// The lease that last confirmed it.
    pub lease_id: String,
    /// When the worker was assigned.
    pub assigned_at: i64,
}

/// A worker.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    /// Its state.
    pub status: WorkerStatus,
    /// How many messages it works on.
    pub load: i64,
    /// Its last sign of life.
    pub heartbeat_at: i64,
    /// Its last claim.
    pub last_claim_at: Option<i64>,
    /// When it must shut down.
    pub scheduled_shutdown_at: Option<i64>,
    /// Its conversation.
    pub assignment: Option<WorkerAssignment>,
    /// Its last finished snapshot.
    pub last_snapshot_id: Option<String>,
}

impl WorkerRow {
    pub(super) fn new(now: i64) -> Self {
        Self {
            status: WorkerStatus::Active,
            load: 0,
            heartbeat_at: now,
            last_claim_at: None,
            scheduled_shutdown_at: None,
            assignment: None,
            last_snapshot_id: None,
        }
    }

    /// What follows the end of one of its messages, however it ended.
    pub(super) fn let_go(&mut self, idle_timeout_ms: i64, now: i64) {
        self.load = (self.load - 1).max(0);
        self.heartbeat_at = now;
        if self.load == 0 {
            let due = self.last_claim_at.unwrap_or(now) + idle_timeout_ms;
            self.scheduled_shutdown_at.get_or_insert(due);
        }
    }
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotRow {
    /// Its id.
    pub id: String,
    /// The workspace, the agent and the conversation.
    pub key: (String, String, String),
    /// The worker that makes it.
    pub worker_id: String,
    /// Why the worker makes it.
    pub reason: String,
    /// Its state.
    pub status: SnapshotStatus,
    /// Its file.
    pub file: Option<String>,
    /// The digest of the archive.
    pub sha256: Option<String>,
    /// The size of the archive.
    pub size_bytes: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was prepared.
    pub created_at: i64,
    /// When it expires.
    pub expires_at: i64,
}

/// All tables.
pub(super) struct PoolState {
    pub(super) messages: BTreeMap<String, QueuedMessage>,
    pub(super) conversations: BTreeMap<String, ConversationRow>,
    pub(super) workers: BTreeMap<String, WorkerRow>,
    pub(super) agents: BTreeMap<String, PoolAgent>,
    pub(super) snapshots: Vec<SnapshotRow>,
    pub(super) skills: Vec<SkillRelease>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Where files are served.
    pub(super) base_url: String,
    /// When expired leases are looked for next, besides the regular times.
    pub(super) watchdogs: BTreeSet<i64>,
    last_reconcile: i64,
    next_id: u64,
}

impl PoolState {
    pub(super) fn new(now: i64) -> Self {
        Self {
            messages: BTreeMap::new(),
            conversations: BTreeMap::new(),
            workers: BTreeMap::new(),
            agents: BTreeMap::new(),
            snapshots: Vec::new(),
            skills: Vec::new(),
            files: BTreeMap::new(),
            base_url: "http://pool.invalid".to_owned(),
            watchdogs: BTreeSet::new(),
            last_reconcile: now,
            next_id: 0,
        }
    }

    /// An id as Convex makes them: 32 lower-case letters and digits.
    pub(super) fn new_id(&mut self, prefix: char) -> (String, u64) {
        self.next_id += 1;
        (format!("{prefix}{:031}", self.next_id), self.next_id)
    }

    /// Recovers expired leases if a watchdog or the schedule says so.
    pub(super) fn reconcile_if_due(&mut self, policy: &PoolPolicy, now: i64) {
        let is_scheduled = now - self.last_reconcile >= policy.reconcile_ms;
        if is_scheduled || self.watchdogs.first().is_some_and(|due| *due <= now) {
            self.watchdogs.retain(|due| *due > now);
            self.last_reconcile = now;
            self.release_expired(now);
        }
    }

    /// Queues every message whose lease has expired (worker-pool C.3). An expired lease counts as no attempt.
    pub(super) fn release_expired(&mut self, now: i64) -> usize {
        let is_lost = |message: &&mut QueuedMessage| {
            message.status == MessageStatus::Processing
                && (message.lease_id.is_none()
                    || message.claimed_by.is_none()
                    || message.lease_expires_at.is_none_or(|end| end <= now))
        };
        let mut released = 0;
        for message in self.messages.values_mut().filter(is_lost) {
            released += 1;
            message.status = MessageStatus::Queued;
            message.scheduled_for = now;
            message.last_error = Some("lease expired".to_owned());
            (message.lease_id, message.lease_expires_at) = (None, None);
            let claimer = message.claimed_by.take();
            if let Some(conversation) = self.conversations.get_mut(&message.conversation_id) {
                conversation.lock = None;
            }
            if let Some(worker) = claimer.and_then(|id| self.workers.get_mut(&id)) {
                worker.load = (worker.load - 1).max(0);
                worker.heartbeat_at = now;
                if worker.load == 0 {
                    worker.assignment = None;
                }
            }
        }
        released
    }
}
