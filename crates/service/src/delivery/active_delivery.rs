//! A delivery that an agent works on, as the agent's calls over HTTP see it.
//!
//! Each part of the record has one owner. This module owns the tool log: worker and agent change it here, and the job's
//! record has none until the agent's work ends. The job owns the rest of the record. A note of the worker gets the tool
//! log here; a note of a call carries the tool log alone. Notes are written one at a time, so no note carries an older
//! tool log than the note before it. Writing calls of one delivery run one at a time.

mod writing_call;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::Level;
use log::kv::Value;

use super::asked::Asked;
use super::log_item::LogItem;
use super::reading::Reading;
use mcr_core::delivery::Record;
use mcr_core::delivery::journal::{Journal, JournalError, Note, Step, Wait};
use mcr_core::delivery::tool_log::ToolLog;
use mcr_core::work::Work;
use mcr_model::clock::Clock;
use mcr_model::{BehaviorFlags, DeliveryContext, Task, TaskId, ThreadItem};

pub use writing_call::{CallAdmission, Making};

/// The rights of an agent in a delivery, from the delivery's context.
#[derive(Clone, Debug)]
pub struct AgentRights {
    /// The task of the delivery.
    pub task: Option<Task>,
    /// The agent's behaviour flags.
    pub flags: BehaviorFlags,
    /// Whether the agent is the orchestrator.
    pub leads: bool,
    /// Whether the backend lets the agent close tasks.
    pub may_close: bool,
}

/// A delivery that an agent works on.
#[derive(Debug)]
pub struct ActiveDelivery {
    /// Held during a writing call.
    calls: Mutex<()>,
    /// Whether a person stopped the work on the task.
    stopped: AtomicBool,
    /// The number of the list that last caused a check for stops.
    checked: AtomicU64,
    over: AtomicBool,
    /// Held while a note is written. The state has another lock, so readers never wait for the disk.
    notes: Mutex<()>,
    inside: Mutex<ActiveState>,
}

#[derive(Debug)]
struct ActiveState {
    work: Arc<Work>,
    /// The agent's tool calls, both in turns and over HTTP.
    tool_log: ToolLog,
    asked: Asked,
    /// When this process sent the unsettled turn, by the monotonic clock.
    sent: Option<Instant>,
    reading: Reading,
    rights: Option<AgentRights>,
    /// Whether its calls are no longer recorded.
    closed: bool,
}

/// The tool log in the worker's record while the worker changes both. Its drop returns the log, even after a panic.
struct LentLog<'a> {
    inside: MutexGuard<'a, ActiveState>,
    record: &'a mut Record,
}

impl Drop for LentLog<'_> {
    fn drop(&mut self) {
        std::mem::swap(&mut self.inside.tool_log, &mut self.record.effects);
    }
}

/// The ledger and the clock for records of calls.
#[derive(Clone, Copy)]
pub struct JournalHandle<'a> {
    /// The ledger.
    pub journal: &'a dyn Journal,
    /// The clock.
    pub clock: &'a dyn Clock,
}

impl ActiveDelivery {
    /// Takes the tool log out of the record.
    pub(super) fn new(work: Arc<Work>, record: &mut Record) -> Self {
        let (tool_log, asked) = (std::mem::take(&mut record.effects), Asked::of(record));
        let reading = Reading::default();
        let inside = ActiveState { work, tool_log, asked, sent: None, reading, rights: None, closed: false };
        Self {
            calls: Mutex::default(),
            stopped: AtomicBool::new(false),
            checked: AtomicU64::new(0),
            over: AtomicBool::new(false),
            notes: Mutex::default(),
            inside: Mutex::new(inside),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ActiveState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_notes(&self) -> MutexGuard<'_, ()> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work of the delivery.
    pub fn work(&self) -> Arc<Work> {
        Arc::clone(&self.lock().work)
    }

    /// The agent's rights; none if no context was read since the start of the process.
    pub fn rights(&self) -> Option<AgentRights> {
        self.lock().rights.clone()
    }

    /// From now on the agent's calls are refused, and no turn is sent.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether a person stopped the work on the task.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Stores the last reading of the context.
    pub(super) fn is_read(&self, reading: Reading) {
        self.lock().reading = reading;
    }

    /// The last reading of the context.
    pub(super) fn reading(&self) -> Reading {
        self.lock().reading.clone()
    }

    /// Records that this list caused a check for stops.
    pub(super) fn is_checked(&self, list: u64) {
        self.checked.store(list, Ordering::Release);
    }

    /// The list that last caused a check for stops.
    pub(super) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Acquire)
    }

    /// Whether a context that was read just now shows that a person stopped the work. None until the agent's question
    /// is recorded.
    pub(super) fn is_stopped_in(&self, context: &DeliveryContext) -> Option<bool> {
        self.lock().asked.is_stopped_in(context)
    }

    /// The tasks that it is about: that of a notification, or those that the question of a heartbeat names.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        let inside = self.lock();
        inside.work.track.task().map_or_else(|| inside.asked.tasks.clone(), |task| vec![task.clone()])
    }

    /// Whether a task that was read just now shows that a person stopped the work on it.
    pub(super) fn is_stopped_at(&self, task: &Task, thread: &[ThreadItem]) -> bool {
        self.lock().asked.is_stopped_at(task, thread)
    }

    /// The agent starts to work on this delivery, perhaps again after another delivery of its track. A later list may
    /// have renewed the work.
    pub(super) fn continue_with(
        &self,
        work: &Arc<Work>,
        record: &Record,
        rights: AgentRights,
        reading: Reading,
    ) {
        let mut inside = self.lock();
        inside.work.clone_from(work);
        inside.asked = Asked::of(record);
        (inside.rights, inside.reading, inside.closed) = (Some(rights), reading, false);
        self.over.store(false, Ordering::Release);
    }

    /// Reads or changes the worker's record with the tool log in it.
    pub(super) fn with_log<T>(&self, record: &mut Record, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut inside = self.lock();
        std::mem::swap(&mut inside.tool_log, &mut record.effects);
        let lent = LentLog { inside, record };
        change(&mut *lent.record)
    }

    /// Whether this delivery created the row with this id.
    pub(super) fn has_made(&self, id: &str) -> bool {
        self.lock().tool_log.has_made(id)
    }

    /// Records that a turn is sent now.
    pub(super) fn is_sent(&self) {
        self.lock().sent = Some(Instant::now());
    }

    /// The time since this process sent the unsettled turn.
    pub(super) fn sent_ago(&self) -> Option<Duration> {
        self.lock().sent.map(|sent| sent.elapsed())
    }

    /// Writes a note of the worker, with the current tool log.
    pub(super) fn note(
        &self,
        note: &Note<'_>,
        journal: &dyn Journal,
        wait: Wait,
    ) -> Result<(), JournalError> {
        let _notes = self.lock_notes();
        let record = note.record.map(|record| {
            let mut inside = self.lock();
            inside.asked = Asked::of(record);
            Record { effects: inside.tool_log.clone(), ..record.clone() }
        });
        journal.note(&Note { record: record.as_ref(), ..note.clone() }, wait)
    }

    /// Writes the tool log to the disk, unless the delivery's calls are no longer recorded.
    fn note_log(&self, step: Option<(Step, &str)>, handle: JournalHandle<'_>) -> Result<(), JournalError> {
        let _notes = self.lock_notes();
        let (work, tool_log) = {
            let inside = self.lock();
            if inside.closed {
                return Ok(());
            }
            (Arc::clone(&inside.work), inside.tool_log.clone())
        };
        let note = Note { step, ..Note::of(&work, handle.clock.now()).tool_log(&tool_log) };
        handle.journal.note(&note, Wait::ForDisk)
    }

    /// From now on calls belong to no delivery. A running call is not waited for and not recorded any more.
    pub(super) fn forget(&self) {
        self.over.store(true, Ordering::Release);
        // No note is being written once this lock is held.
        let _notes = self.lock_notes();
        self.lock().closed = true;
    }

    /// Waits for a running call, ends the delivery for further calls, and returns the tool log.
    pub(super) fn let_go(&self) -> ToolLog {
        // Calls that wait for the lock then find that the delivery has ended.
        self.over.store(true, Ordering::Release);
        drop(self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        self.forget();
        std::mem::take(&mut self.lock().tool_log)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The agent calls, so it has received all earlier results. That is recorded first: from now on the same call again
    /// is a new call.
    pub fn confirm_results(&self, handle: JournalHandle<'_>) {
        {
            let mut inside = self.lock();
            if inside.closed || !inside.tool_log.results_received() {
                return;
            }
        }
        self.log_failure(self.note_log(None, handle));
    }

    fn log_failure(&self, noted: Result<(), JournalError>) {
        if let Err(error) = noted {
            // The ledger itself reports that it cannot be written; the delivery continues without it.
            let error = ("error", Value::from_display(&error));
            LogItem::from(&*self.work()).log(Level::Debug, "Call over HTTP not recorded", &[error]);
        }
    }
}
