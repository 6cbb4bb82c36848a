//! A delivery that an agent is at work on, as its calls over HTTP find it.
//!
//! Each part of the record has one owner. The tool log is owned here: worker and agent change it here, and the job's
//! record has none until the delivery is let go. The rest of the record is owned by the job. A note of the worker gets
//! the tool log here; a note of a call carries the tool log alone. Notes are taken one at a time, so that none carries an
//! older tool log than the one before it. Writing calls of one delivery are made one at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{debug, info};

use super::reading::Reading;
use mcr_core::delivery::journal::{Journal, JournalError, Note, Step, Wait};
use mcr_core::delivery::tool_log::{Before, Intent, ToolLog, digest_of, half_digest};
use mcr_core::delivery::{Record, Stamp, UnknownFields, policy};
use mcr_core::tools::{ToolName, ToolRequest};
use mcr_core::work::{Work, WorkId};
use mcr_model::clock::{Clock, Millis};
use mcr_model::{BehaviorFlags, DeliveryContext, Task};

/// What an agent may do in a delivery, by its context.
#[derive(Clone, Debug)]
pub struct AgentRights {
    /// The task that it is about.
    pub task: Option<Task>,
    /// What it may do.
    pub flags: BehaviorFlags,
    /// Whether it leads.
    pub leads: bool,
    /// Whether the backend lets it close tasks.
    pub may_close: bool,
}

/// A delivery that an agent is at work on.
#[derive(Debug)]
pub struct ActiveDelivery {
    /// Whoever makes a writing call has it.
    calls: Mutex<()>,
    /// A person has stopped the work on its task.
    stopped: AtomicBool,
    /// The list because of which it was last looked at.
    looked: AtomicU64,
    over: AtomicBool,
    /// Locked while a note is taken. The state is not: nothing waits for the disk to read it.
    notes: Mutex<()>,
    inside: Mutex<ActiveState>,
}

#[derive(Debug)]
struct ActiveState {
    work: Arc<Work>,
    /// What the agent has done with its tools, whichever way the calls came.
    tool_log: ToolLog,
    asked: Asked,
    /// When this process sent the turn that is not settled, by the monotonic clock.
    sent: Option<Instant>,
    reading: Reading,
    standing: Option<AgentRights>,
    /// Whether its calls are noted no longer.
    closed: bool,
}

/// What the agent was asked, as last noted.
#[derive(Debug, Default)]
struct Asked {
    heard: Option<Stamp>,
    began_paused: bool,
    since: Millis,
}

impl Asked {
    fn of(record: &Record) -> Self {
        Self { heard: record.heard.clone(), began_paused: record.began_paused, since: record.since }
    }
}

/// The tool log in a record, for as long as the worker changes both. It goes back even if that panics.
struct LentLog<'a> {
    inside: MutexGuard<'a, ActiveState>,
    record: &'a mut Record,
}

impl Drop for LentLog<'_> {
    fn drop(&mut self) {
        std::mem::swap(&mut self.inside.tool_log, &mut self.record.effects);
    }
}

/// Where calls are noted, and when.
#[derive(Clone, Copy)]
pub struct JournalHandle<'a> {
    /// The ledger.
    pub journal: &'a dyn Journal,
    /// What time it is.
    pub clock: &'a dyn Clock,
}

/// A writing call, and what is to be done about it.
pub enum Turnout<'a> {
    /// Nothing: it was carried out before, and brought this.
    Known(String),
    /// It is made, or settled where it may have been made.
    Make(Making<'a>),
    /// Nothing: there were too many.
    TooMany(u32),
    /// Nothing: it cannot be noted before it happens, so a crash could let it happen twice.
    NotNoted(String),
    /// Nothing: a person has stopped the work on the task.
    Stopped,
    /// The delivery is over; the call belongs to nothing.
    Over,
}

/// A writing call under way; no other of the same delivery is.
pub struct Making<'a> {
    held: &'a ActiveDelivery,
    handle: JournalHandle<'a>,
    intent: Intent,
    tool: ToolName,
    /// Whether it was begun before, and may have been carried out then.
    pub again: bool,
    _alone: MutexGuard<'a, ()>,
}

impl ActiveDelivery {
    /// Takes the tool log out of the record.
    pub(super) fn new(work: Arc<Work>, record: &mut Record) -> Self {
        let (tool_log, asked) = (std::mem::take(&mut record.effects), Asked::of(record));
        let reading = Reading::default();
        let inside =
            ActiveState { work, tool_log, asked, sent: None, reading, standing: None, closed: false };
        Self {
            calls: Mutex::default(),
            stopped: AtomicBool::new(false),
            looked: AtomicU64::new(0),
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

    /// What the agent is at work on.
    pub fn work(&self) -> Arc<Work> {
        Arc::clone(&self.lock().work)
    }

    /// What the agent may do in it; none where no context was read since the process began.
    pub fn standing(&self) -> Option<AgentRights> {
        self.lock().standing.clone()
    }

    /// From now on its agent's calls are refused, and no turn of it is sent.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether a person has stopped the work on its task.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Its context was read.
    pub(super) fn is_read(&self, reading: Reading) {
        self.lock().reading = reading;
    }

    /// The last reading of its context.
    pub(super) fn reading(&self) -> Reading {
        self.lock().reading.clone()
    }

    /// It is looked at because of this list.
    pub(super) fn is_looked_at(&self, list: u64) {
        self.looked.store(list, Ordering::Release);
    }

    /// Because of which list it was last looked at.
    pub(super) fn looked(&self) -> u64 {
        self.looked.load(Ordering::Acquire)
    }

    /// Whether a person has stopped what its agent is at work on, by a context read just now. None while it is not known
    /// yet what the agent hears.
    pub(super) fn is_stopped_in(&self, context: &DeliveryContext) -> Option<bool> {
        let inside = self.lock();
        let heard = inside.asked.heard.as_ref()?;
        Some(policy::is_stopped(context, heard, inside.asked.began_paused))
    }

    /// The agent is put to work on it, perhaps once more after another delivery had taken its place. A later list may
    /// have renewed the work since.
    pub(super) fn stands(&self, work: &Arc<Work>, record: &Record, standing: AgentRights, reading: Reading) {
        let mut inside = self.lock();
        inside.work.clone_from(work);
        inside.asked = Asked::of(record);
        (inside.standing, inside.reading, inside.closed) = (Some(standing), reading, false);
        self.over.store(false, Ordering::Release);
    }

    /// Reads or changes the worker's record while it has the tool log.
    pub(super) fn with_log<T>(&self, record: &mut Record, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut inside = self.lock();
        std::mem::swap(&mut inside.tool_log, &mut record.effects);
        let lent = LentLog { inside, record };
        change(&mut *lent.record)
    }

    /// Whether this was made in the delivery.
    pub(super) fn has_made(&self, id: &str) -> bool {
        self.lock().tool_log.has_made(id)
    }

    /// A turn is sent now.
    pub(super) fn is_sent(&self) {
        self.lock().sent = Some(Instant::now());
    }

    /// How long ago this process sent the turn that is not settled.
    pub(super) fn sent_ago(&self) -> Option<Duration> {
        self.lock().sent.map(|sent| sent.elapsed())
    }

    /// Notes how far the delivery is, with the tool log.
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

    /// Notes the tool log before anything else is done, unless the calls belong to nothing any more.
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

    /// From now on calls belong to nothing. What is being called is not waited for, and not noted any more.
    pub(super) fn forget(&self) {
        self.over.store(true, Ordering::Release);
        // No note is under way behind this lock.
        let _notes = self.lock_notes();
        self.lock().closed = true;
    }

    /// Waits for what is being called, forgets the delivery, and gives the tool log away.
    pub(super) fn let_go(&self) -> ToolLog {
        // Those that queue behind it find that it is over.
        self.over.store(true, Ordering::Release);
        drop(self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        self.forget();
        std::mem::take(&mut self.lock().tool_log)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Its agent calls: what it was told before, it has heard. That is noted before anything else is done, since from
    /// then on the same call once more is another one.
    pub fn hears(&self, handle: JournalHandle<'_>) {
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
            // A ledger that cannot be written says so of itself; the work goes on without it.
            debug!("{}: not noted: {error}", self.work().id);
        }
    }

    /// A writing call comes; `name` is what the agent has named it, so that it is not made twice. Waits for the one
    /// before it. What is to be made is on the disk then, as begun.
    pub fn begin<'a>(
        &'a self,
        request: &ToolRequest,
        name: Option<&str>,
        calls_max: u32,
        handle: JournalHandle<'a>,
    ) -> Turnout<'a> {
        let alone = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // A stopped delivery is over soon, and its agent may go on calling.
        if self.is_stopped() {
            return Turnout::Stopped;
        }
        if self.is_over() {
            return Turnout::Over;
        }
        let name = name.map(half_digest);
        let mut inside = self.lock();
        let since = inside.asked.since;
        let (call, at, extra) = (digest_of(request), handle.clock.now(), UnknownFields::default());
        let mut intent = Intent { call, name, since, at, extra };
        let effects = &mut inside.tool_log;
        let again = match effects.begin(intent.clone()) {
            Before::Done(output) => return Turnout::Known(output),
            Before::Begun(before) => {
                intent = before;
                true
            }
            Before::Nothing if effects.count() > calls_max as usize => {
                effects.came_to_nothing(&intent);
                return Turnout::TooMany(calls_max);
            }
            Before::Nothing => false,
        };
        drop(inside);
        let making = Making { held: self, handle, intent, tool: request.name(), again, _alone: alone };
        // What changes the board is noted before it happens.
        if let (Err(error), false) = (making.noted(Step::ToolIntent), again) {
            self.lock().tool_log.came_to_nothing(&making.intent);
            return Turnout::NotNoted(error.to_string());
        }
        Turnout::Make(making)
    }
}

impl Making<'_> {
    /// The newest instant of the backend that was known before it was begun.
    pub fn since(&self) -> Millis {
        self.intent.since
    }

    /// How long ago it was begun, or its answer lost.
    pub fn age(&self) -> Duration {
        self.handle.clock.now().since(self.intent.at)
    }

    /// Whether this was made in the same delivery.
    pub fn has_made(&self, id: &str) -> bool {
        self.held.has_made(id)
    }

    /// Its answer was lost just now; what became of it is to be settled.
    pub fn is_lost(&mut self) {
        let now = self.handle.clock.now();
        self.held.lock().tool_log.lost(&self.intent, now);
        self.intent.at = now;
        self.note(Step::ToolIntent);
    }

    /// It was carried out. Noted before the agent hears of it: whoever has heard may call the same once more and mean it.
    pub fn carried_out(self, output: &str, made: Vec<String>) {
        let mut inside = self.held.lock();
        let effects = &mut inside.tool_log;
        effects.carried_out(&self.intent, output);
        for id in made {
            effects.made(id);
        }
        drop(inside);
        self.note(Step::ToolResult);
    }

    /// It certainly did nothing.
    pub fn came_to_nothing(self) {
        self.held.lock().tool_log.came_to_nothing(&self.intent);
        self.note(Step::ToolResult);
    }

    fn note(&self, step: Step) {
        self.held.log_failure(self.noted(step));
    }

    fn noted(&self, step: Step) -> Result<(), JournalError> {
        self.held.note_log(Some((step, &format!("{} over HTTP", self.tool))), self.handle)
    }
}

/// What is left open at the end of a turn, for people who ask why.
pub(super) fn tell_of_doubts(work: &WorkId, effects: &ToolLog) {
    if effects.is_in_doubt() {
        info!("{work}: a call over HTTP was begun, and its agent never asked what became of it");
    }
}
