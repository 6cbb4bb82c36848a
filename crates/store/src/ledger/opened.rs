//! The options of a ledger, what opening one returns, and its state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Ledger;
use super::image::Image;
use mcr_core::delivery::crash::Crash;
use mcr_core::delivery::dead_letters::DeadLetter;
use mcr_core::delivery::ledger_row::{LedgerRow, UnreadableRow};
use mcr_core::delivery::stopped_rows::StoppedRow;
use mcr_core::delivery::{End, Record};
use mcr_core::guardrails::team::Threads;
use mcr_core::heartbeat::memory::BeatMemory;
use mcr_core::work::{Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::{AccountId, AgentId, LedgerSync, Notification};

/// Variable with a number of milliseconds that delays every commit with a waiting note: measures what a slow disk
/// costs.
pub const SLOW_DISK: &str = "MCR_TEST_SLOW_DISK_MS";

/// How a ledger is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The account whose deliveries are recorded; rows of other accounts in the same folder are left unchanged.
    pub account: AccountId,
    /// When a note counts as written to the disk.
    pub sync: LedgerSync,
    /// Delay added to each commit with a waiting note.
    pub slow: Duration,
}

impl Options {
    /// Options for this account; the only delay is that of [`SLOW_DISK`].
    pub fn new(account: AccountId, sync: LedgerSync) -> Self {
        let slow = std::env::var(SLOW_DISK).ok().and_then(|text| text.parse().ok());
        Self { account, sync, slow: Duration::from_millis(slow.unwrap_or(0)) }
    }
}

/// The opened ledger, and what an earlier process has left in it.
pub struct Opened {
    /// The ledger, ready for new notes.
    pub ledger: Ledger,
    /// Open deliveries, in the order of their first notes.
    pub open: Vec<Remembered>,
    /// Rows that are not understood, open or closed. What was done for the open ones is unknown, so those deliveries
    /// must not simply start again.
    pub unreadable: Vec<UnreadableRow>,
    /// The crash that ended the last process, if it did not stop in order.
    pub crash: Option<Crash>,
    /// When the last process stopped in order with no call left, if it did and this machine has not rebooted since.
    pub stopped_at: Option<Millis>,
    /// Whether the last process worked in this folder, and not in another one of which this is a copy.
    pub is_original: bool,
    /// Closed deliveries that are kept, oldest first.
    pub closed: Vec<Closed>,
    /// Requests for a response among the deliveries that ended in the last hour of the earlier process.
    pub requests: Vec<Notification>,
    /// What the kept heartbeats mean for the next ones of their agents.
    pub beats: BTreeMap<AgentId, BeatMemory>,
    /// When turns that agents have caused were sent in the last minute.
    pub agent_turns: Vec<Millis>,
    /// Dead letters that still need a decision, oldest first.
    pub dead: Vec<DeadLetter>,
    /// Rows that the loop brake has stopped and that wait for a person, oldest first.
    pub stopped: Vec<StoppedRow>,
    /// The turns that agents have caused in each thread.
    pub threads: Threads,
    /// Number of open deliveries of other accounts in this folder.
    pub foreign: usize,
    /// When a damaged ledger was last set aside in this folder. Work created before may have been started in that
    /// ledger.
    pub set_aside: Option<Millis>,
    /// The values of other parts of the runtime, by key ([`Journal::keep`](mcr_core::delivery::journal::Journal::keep)).
    pub kept: BTreeMap<String, String>,
}

/// An open delivery, as the ledger recalls it.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The work, as last noted.
    pub work: Arc<Work>,
    /// What has been done for the work so far.
    pub record: Record,
    /// When it was first noted.
    pub first_seen: Millis,
    /// No attempt starts before this time.
    pub not_before: Option<Millis>,
}

impl Remembered {
    pub(super) fn of(image: &Image, row: LedgerRow) -> Self {
        let (work, record) = (Arc::new(row.work), row.record);
        Self { work, record, first_seen: image.first_seen, not_before: image.not_before }
    }
}

/// A delivery that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The id of its work.
    pub id: WorkId,
    /// When it was first noted.
    pub first_seen: Millis,
    /// When it ended.
    pub at: Millis,
    /// How it ended.
    pub end: End,
    /// Whether its source was asked to mark the end and had not confirmed it.
    pub unmarked: bool,
    /// What the delivery has created, if it ended in the last hour of the earlier process.
    pub made: Vec<String>,
}

/// The state of the ledger, for `/health` and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Why notes do not reach the disk, if they do not: the end of a sentence for `/health`.
    pub off: Option<String>,
    /// Whether no new work may start because of that: records exist, and the next steps could not be added to them.
    pub holds: bool,
    /// Number of open deliveries.
    pub open: usize,
    /// Number of notes taken.
    pub notes: u64,
    /// Number of transactions.
    pub commits: u64,
    /// Number of transactions that a note has waited for.
    pub synced: u64,
}
