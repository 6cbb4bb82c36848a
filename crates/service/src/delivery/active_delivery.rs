//! A delivery that an agent is at work on, as its calls over HTTP find it.
//!
//! The record belongs to the worker's job; what is held here is the record as it was last noted, and the live tool log.
//! Worker and agent change that log here only; the worker's copy is brought up to date with each change of its own and
//! when the delivery is let go. Every note of such a delivery passes here, one at a time, with the live log, so that no
//! note carries an older record than the one before it. Writing calls of one delivery are made one at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use log::{debug, info};

use mcr_core::delivery::journal::{Journal, JournalError, Note, Step, Wait};
use mcr_core::delivery::tool_log::{Before, Intent, ToolLog, digest_of, half_digest};
use mcr_core::delivery::{Record, Stamp, UnknownFields, policy};
use mcr_core::tools::{ToolName, ToolRequest};
use mcr_core::work::{Work, WorkId};
use mcr_model::clock::{Clock, Millis};
use mcr_model::{BehaviorFlags, DeliveryContext, MessageId, Task};

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
    inside: Mutex<ActiveState>,
}

/// The last reading of a delivery's context.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// How many lists had come before it.
    pub(super) lists: u64,
    /// The last message of the thread, and when it was written.
    latest: Option<(MessageId, Millis)>,
    /// When the task last changed.
    changed: Option<Millis>,
}

impl Reading {
    /// One that shows nothing.
    pub(super) fn blind(lists: u64) -> Self {
        Self { lists, ..Self::default() }
    }

    pub(super) fn of(context: &DeliveryContext, lists: u64) -> Self {
        let latest = context.thread.last().map(|item| (item.message_id.clone(), item.created_at));
        Self { lists, latest, changed: context.task.as_ref().map(|task| task.updated_at) }
    }

    /// Whether it shows what a row tells of, or something later: a row that waited behind the end of a list is listed
    /// long after its message was written or its task was changed.
    pub(super) fn shows(&self, stamp: &Stamp) -> bool {
        let told = |(id, at): &(MessageId, Millis)| stamp.message.as_ref() == Some(id) || stamp.at < *at;
        self.latest.as_ref().is_some_and(told) || self.changed.is_some_and(|at| stamp.at <= at)
    }
}

#[derive(Debug)]
struct ActiveState {
    work: Arc<Work>,
    /// As it was last noted; its tool log is the live one.
    record: Record,
    /// When this process sent the turn that is not settled, by the monotonic clock.
    sent: Option<Instant>,
    reading: Reading,
    not_before: Option<Millis>,
    standing: Option<AgentRights>,
    /// Whether its notes are nobody's business any more.
    closed: bool,
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
    pub(super) fn new(work: Arc<Work>, record: Record) -> Self {
        let reading = Reading::default();
        let inside = ActiveState {
            work,
            record,
            sent: None,
            reading,
            not_before: None,
            standing: None,
            closed: false,
        };
        Self {
            calls: Mutex::default(),
            stopped: AtomicBool::new(false),
            looked: AtomicU64::new(0),
            over: AtomicBool::new(false),
            inside: Mutex::new(inside),
        }
    }

    fn lock(&self) -> MutexGuard<'_, ActiveState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
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
        let heard = inside.record.heard.as_ref()?;
        Some(policy::is_stopped(context, heard, inside.record.began_paused))
    }

    /// The agent is put to work on it, perhaps once more after another delivery had taken its place. A later list may
    /// have renewed the work since.
    pub(super) fn stands(&self, work: &Arc<Work>, record: &Record, standing: AgentRights, reading: Reading) {
        let mut inside = self.lock();
        inside.work.clone_from(work);
        inside.follow(record);
        (inside.standing, inside.reading, inside.closed) = (Some(standing), reading, false);
        self.over.store(false, Ordering::Release);
    }

    /// Changes the live tool log by changing the worker's record, which has it meanwhile.
    pub(super) fn with_log<T>(&self, record: &mut Record, change: impl FnOnce(&mut Record) -> T) -> T {
        let mut inside = self.lock();
        record.effects.clone_from(&inside.record.effects);
        let changed = change(record);
        inside.record.effects.clone_from(&record.effects);
        changed
    }

    /// The live tool log, as it is now.
    pub(super) fn effects(&self) -> ToolLog {
        self.lock().record.effects.clone()
    }

    /// A turn is sent now.
    pub(super) fn is_sent(&self) {
        self.lock().sent = Some(Instant::now());
    }

    /// How long ago this process sent the turn that is not settled.
    pub(super) fn sent_ago(&self) -> Option<Duration> {
        self.lock().sent.map(|sent| sent.elapsed())
    }

    /// Notes how far the delivery is.
    pub(super) fn note(
        &self,
        note: &Note<'_>,
        journal: &dyn Journal,
        wait: Wait,
    ) -> Result<(), JournalError> {
        let mut inside = self.lock();
        if let Some(record) = note.record {
            inside.follow(record);
        }
        inside.not_before = note.not_before;
        journal.note(&Note { record: note.record.map(|_| &inside.record), ..note.clone() }, wait)
    }

    /// From now on calls belong to nothing. What is being called is not waited for, and not noted any more.
    pub(super) fn forget(&self) {
        self.over.store(true, Ordering::Release);
        // No note is under way behind this lock.
        self.lock().closed = true;
    }

    /// The same, once what is being called has come to its end.
    pub(super) fn let_go(&self) {
        // Those that queue behind it find that it is over.
        self.over.store(true, Ordering::Release);
        drop(self.calls.lock().unwrap_or_else(PoisonError::into_inner));
        self.forget();
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Its agent calls: what it was told before, it has heard. That is noted before anything else is done, since from
    /// then on the same call once more is another one.
    pub fn hears(&self, handle: JournalHandle<'_>) {
        let mut inside = self.lock();
        if inside.closed || !inside.record.effects.results_received() {
            return;
        }
        let note = Note::of(&inside.work, handle.clock.now()).record(&inside.record);
        write(&note.rests(inside.not_before), handle.journal, Wait::ForDisk);
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
        let since = inside.record.since;
        let (call, at, extra) = (digest_of(request), handle.clock.now(), UnknownFields::default());
        let mut intent = Intent { call, name, since, at, extra };
        let effects = &mut inside.record.effects;
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
            self.lock().record.effects.came_to_nothing(&making.intent);
            return Turnout::NotNoted(error.to_string());
        }
        Turnout::Make(making)
    }
}

impl ActiveState {
    /// Takes over the worker's record, but for its tool log: the live one is here.
    fn follow(&mut self, record: &Record) {
        let effects = std::mem::take(&mut self.record.effects);
        self.record = Record { effects, ..record.clone() };
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
        self.held.lock().record.effects.has_made(id)
    }

    /// Its answer was lost just now; what became of it is to be settled.
    pub fn is_lost(&mut self) {
        let now = self.handle.clock.now();
        self.held.lock().record.effects.lost(&self.intent, now);
        self.intent.at = now;
        self.note(Step::ToolIntent);
    }

    /// It was carried out. Noted before the agent hears of it: whoever has heard may call the same once more and mean it.
    pub fn carried_out(self, output: &str, made: Vec<String>) {
        let mut inside = self.held.lock();
        let effects = &mut inside.record.effects;
        effects.carried_out(&self.intent, output);
        for id in made {
            effects.made(id);
        }
        drop(inside);
        self.note(Step::ToolResult);
    }

    /// It certainly did nothing.
    pub fn came_to_nothing(self) {
        self.held.lock().record.effects.came_to_nothing(&self.intent);
        self.note(Step::ToolResult);
    }

    fn note(&self, step: Step) {
        if let Err(error) = self.noted(step) {
            // A ledger that cannot be written says so of itself; the work goes on without it.
            debug!("{}: not noted: {error}", self.held.work().id);
        }
    }

    fn noted(&self, step: Step) -> Result<(), JournalError> {
        let inside = self.held.lock();
        if inside.closed {
            return Ok(());
        }
        let words = format!("{} over HTTP", self.tool);
        let note = Note::of(&inside.work, self.handle.clock.now()).record(&inside.record).step(step, &words);
        self.handle.journal.note(&note.rests(inside.not_before), Wait::ForDisk)
    }
}

fn write(note: &Note<'_>, journal: &dyn Journal, wait: Wait) {
    // A ledger that cannot be written says so of itself; the work goes on without it.
    if let Err(error) = journal.note(note, wait) {
        debug!("{}: not noted: {error}", note.work.id);
    }
}

/// What is left open at the end of a turn, for people who ask why.
pub(super) fn tell_of_doubts(work: &WorkId, effects: &ToolLog) {
    if effects.is_in_doubt() {
        info!("{work}: a call over HTTP was begun, and its agent never asked what became of it");
    }
}
