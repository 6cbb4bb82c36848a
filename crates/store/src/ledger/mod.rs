//! The ledger: a crash-safe record of every delivery, so that a restart continues at the last recorded step.
//!
//! # The problem
//!
//! The process can end between any two steps of a delivery, and the machine can lose power. A step that is forgotten is
//! a step that is done twice. A sync per step is too slow, because fifty workers may wait for the disk at once. Files
//! can be damaged too: SQLite takes a log that was cut, or in which a byte has changed, for one that ends earlier, and
//! reports nothing. Finally, an older version may find rows of a newer one.
//!
//! # The policy
//!
//! ```text
//! worker ─ note ─┐                         ┌─► ledger.sqlite (one row for each delivery)
//! worker ─ note ─┼─► entries ─► writer ────┤
//! worker ─ note ─┘   (memory)   (thread)   └─► ledger.mark (number of the last commit that a note has waited for)
//! ```
//!
//! 1. **One writer thread, group commit.** A note changes the `entry` of its delivery in memory, and returns or waits.
//!    The `writer` takes all changed entries and writes each of them once, in one transaction. Fifty waiting workers
//!    cost one sync. A commit that no note waits for is not synced; with `LEDGER_SYNC=normal`, none is.
//! 2. **Bounded memory.** There is no queue. A delivery is one entry however often it is noted, and its step history is
//!    bounded. The number of deliveries under way therefore bounds the memory.
//! 3. **No disk, no new work.** Changes that could not be written stay in memory and are tried again. A note that waits
//!    returns the error, and [`State::holds`] stops new work until a commit succeeds.
//! 4. **Every loss is noticed.** Opening checks the whole `database`: its pages, and two checksums per row, one over
//!    the row and one over its id. The `commit_marker` has the number of the last commit that a note has waited for. A
//!    database whose last commit is an earlier one has lost its end.
//! 5. **Damage is never repaired by guessing.** A damaged row with an intact id is reported ([`Opened::unreadable`])
//!    and not recalled. Before it is overwritten, its original is copied to the table `originals`. A database with any
//!    other damage is refused ([`LedgerError::Damaged`]) and left unchanged. Only a person decides to continue without
//!    it ([`set_aside`]).
//! 6. **A newer version's rows outlive an older version.** Fields that this version does not know are ignored and kept
//!    ([`UnknownFields`](mcr_core::delivery::UnknownFields)), and form 1 is imported. What any other row means is
//!    decided by [`ledger_row`](mcr_core::delivery::ledger_row). A row that is not understood is never removed. Its
//!    work and record are not overwritten unless its delivery ends here.
//! 7. **Closed deliveries are kept for `why`, within limits.** The limits are [`KEPT_MAX`], [`KEPT_AGE`] and
//!    [`KEPT_BYTES`]; the oldest go first. The latest dead letters stay until they are too old. What is known about
//!    their tasks stays longer (`task_facts`).
//! 8. **A long text is written once.** While a delivery is open, its long texts are in a table of their own
//!    (`long_texts`), and its row refers to them.
//! 9. **A crash differs from a stop.** `active_file` lists the active deliveries. The next process
//!    reads it to tell a crash from a stop.

mod active_file;
mod batch;
mod commit_marker;
mod database;
mod entry;
mod error;
mod image;
mod kept_values;
mod location;
mod long_texts;
mod memory_ledger;
mod note_text;
mod opened;
mod read;
mod row_extra;
mod step_history;
mod task_facts;
mod writer;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use error::LedgerError;
pub use location::{SetAside, is_in, last_set_aside, may_be_off, owner, set_aside};
pub use memory_ledger::MemoryLedger;
pub use opened::{Closed, Opened, Options, Remembered, SLOW_DISK, State};
pub use read::{DeliveryHistory, Read, read};
pub use task_facts::{TASKS_MAX, task_facts};

pub use mcr_core::delivery::journal::RecordedStep;

use log::warn;

use active_file::{ActiveFile, LastProcess};
use database::LedgerDatabase;
use entry::LedgerEntry;
use image::{Found, Image};
use location::LedgerLocation;
use mcr_core::delivery::End;
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::agent_limits;
use mcr_core::delivery::dead_letters::{self, DeadLetter};
use mcr_core::delivery::journal::{ActiveGuard, Journal, JournalError, Note, Step, Wait};
use mcr_core::delivery::ledger_row::{LedgerRow, UnreadableRow};
use mcr_core::delivery::stopped_rows::StopHistory;
use mcr_core::guardrails::team::Threads;
use mcr_core::heartbeat::memory::BeatMemory;
use mcr_core::work::WorkId;
use mcr_files::Folder;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::{AccountId, AgentId, Notification, NotificationType};
use step_history::StepHistory;
use writer::Shared;

/// Maximum number of closed deliveries kept for `why`.
pub const KEPT_MAX: usize = 2_000;
/// Maximum age of a closed delivery that is kept.
pub const KEPT_AGE: Duration = Duration::from_hours(7 * 24);
/// Maximum bytes of all closed deliveries that are kept.
pub const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// How long after its end a delivery's creations matter: other deliveries may look for the same things. Time without a
/// working process does not count.
const MOMENT: Duration = Duration::from_hours(1);

/// The ledger of all deliveries, as a [`Journal`]: on the disk, or off.
pub struct Ledger(Inner);

enum Inner {
    On {
        shared: Arc<Shared>,
        writer: Mutex<Option<JoinHandle<()>>>,
        place: Arc<LedgerLocation>,
        active_file: OnceLock<Arc<ActiveFile>>,
    },
    /// With the reason, and the lock of the folder if it could be taken.
    Off(String, Option<LedgerLocation>),
}

impl Ledger {
    /// Opens the ledger in this folder, or creates it.
    pub fn open(folder: &Arc<Folder>, options: &Options) -> Result<Opened, LedgerError> {
        let opened = Self::open_here(folder, options);
        opened.map_err(|why| if why.is_of_the_place() { location::stuck(folder, why) } else { why })
    }

    fn open_here(folder: &Arc<Folder>, options: &Options) -> Result<Opened, LedgerError> {
        let place = Arc::new(location::claim(folder)?);
        let mut recall = Recovery { next: 1, ..Recovery::default() };
        let database = LedgerDatabase::open(&place, options.sync, options.slow, |found| {
            recall.take(found, &options.account);
        })?;
        let kept = database.kept()?;
        recall.look_back();
        let set_aside = place.last_set_aside();
        let LastProcess { crash, stopped_at, is_original } = place.last_process();
        recall.closed.sort_by_key(|(_, closed, _)| closed.at);
        let closed = recall.closed.iter().map(|(_, closed, _)| closed.clone()).collect();
        recall.dead.sort_by_key(|dead| dead.at);
        let too_many = recall.dead.len().saturating_sub(dead_letters::MOST);
        let dead = recall.dead.split_off(too_many);
        let (open, foreign) = (std::mem::take(&mut recall.open), recall.foreign);
        let (stopped, threads) =
            (std::mem::take(&mut recall.stops).waiting(), std::mem::take(&mut recall.threads));
        let requests = std::mem::take(&mut recall.requests);
        let beats = recall.take_beats();
        let agent_turns = std::mem::take(&mut recall.agent_turns);
        let unreadable = std::mem::take(&mut recall.unreadable);
        let shared = Arc::new(Shared::new(recall, options.account.clone()));
        let writer = writer::spawn(shared.clone(), database, place.clone())
            .map_err(|why| LedgerError::Disk(format!("its thread did not start: {why}")))?;
        let writer = Mutex::new(Some(writer));
        let ledger = Self(Inner::On { shared, writer, place, active_file: OnceLock::new() });
        Ok(Opened {
            ledger,
            open,
            unreadable,
            crash,
            stopped_at,
            is_original,
            closed,
            requests,
            beats,
            agent_turns,
            dead,
            stopped,
            threads,
            foreign,
            set_aside,
            kept,
        })
    }

    /// A ledger that records nothing and reports this reason. Only crash recovery is lost.
    pub fn off(reason: impl Into<String>) -> Self {
        Self(Inner::Off(reason.into(), None))
    }

    /// A ledger that records nothing because it is switched off. An error if the folder has deliveries under way.
    pub fn switched_off(folder: Option<&Arc<Folder>>) -> Result<Self, LedgerError> {
        let why = LedgerError::Off.to_string();
        let Some(folder) = folder else { return Ok(Self::off(why)) };
        may_be_off(folder)?;
        let place = match location::claim(folder) {
            Err(locked @ LedgerError::Locked { .. }) => return Err(locked),
            // No other process has a lock in a folder that cannot be written.
            claimed => claimed.ok(),
        };
        Ok(Self(Inner::Off(why, place)))
    }

    /// Why the path of the folder no longer leads to this ledger, if it does not. Another process could then start a
    /// ledger at that path, so no new work may start here.
    pub fn displaced(&self) -> Option<String> {
        match &self.0 {
            Inner::On { place, .. } => place.displaced(),
            Inner::Off(_, place) => place.as_ref()?.displaced(),
        }
    }

    /// Marks this process as working. If the process ends before [`Ledger::stops`], the next one reports a crash.
    pub fn works(&self, now: Millis) {
        let Inner::On { place, active_file, .. } = &self.0 else { return };
        match place
            .active_file()
            .map_err(|why| why.to_string())
            .and_then(|file| ActiveFile::begin(file, now).map_err(|why| why.to_string()))
        {
            // Set once, at the start.
            Ok(begun) => drop(active_file.set(Arc::new(begun))),
            Err(why) => warn!(reason = why.as_str(); "The next start cannot distinguish a crash from a stop"),
        }
    }

    /// Marks this process as stopping: its active deliveries then do not count as interrupted by a crash.
    pub fn stops(&self) {
        let Inner::On { active_file, .. } = &self.0 else { return };
        active_file.get().inspect(|active_file| active_file.end());
    }

    /// Marks this process as stopped: it makes no more calls. Call it after [`Ledger::close`].
    pub fn stopped(&self, now: Millis) {
        let Inner::On { active_file, .. } = &self.0 else { return };
        active_file.get().inspect(|active_file| active_file.stopped(now));
    }

    /// The current state.
    pub fn state(&self) -> State {
        match &self.0 {
            Inner::On { shared, .. } => shared.state(),
            Inner::Off(why, _) => State { off: Some(why.clone()), ..State::default() },
        }
    }

    /// Writes the remaining changes and closes the file. Later notes are refused.
    pub fn close(&self) {
        let Inner::On { shared, writer, .. } = &self.0 else { return };
        shared.stop();
        if let Some(writer) = writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // After a panic its guard has already answered all waiting notes.
            let _ = writer.join();
            self.stops();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.close();
    }
}

impl Journal for Ledger {
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        match &self.0 {
            Inner::On { shared, .. } => shared.note(note, wait),
            Inner::Off(..) => Ok(()),
        }
    }

    fn keep(&self, changes: Vec<(String, Option<String>)>, wait: Wait) -> Result<(), JournalError> {
        match &self.0 {
            Inner::On { shared, .. } => shared.keep(changes, wait),
            Inner::Off(..) => Ok(()),
        }
    }

    fn drop_unreadable(&self, id: &WorkId, at: Millis, wait: Wait) -> Result<(), JournalError> {
        match &self.0 {
            Inner::On { shared, .. } => shared.drop_unreadable(id, at, wait),
            Inner::Off(..) => Ok(()),
        }
    }

    fn acted(&self, agent: &str, acts: &[Act]) -> Result<(), JournalError> {
        match &self.0 {
            Inner::On { shared, .. } => shared.acted(agent, acts),
            Inner::Off(..) => Ok(()),
        }
    }

    fn mark_active(&self, work: &WorkId, now: Millis) -> ActiveGuard {
        match &self.0 {
            Inner::On { active_file, .. } => {
                active_file.get().map_or_else(ActiveGuard::default, |active_file| active_file.take(work, now))
            }
            Inner::Off(..) => ActiveGuard::default(),
        }
    }
}

/// The rows found on the disk, sorted by what they mean for this process.
#[derive(Default)]
struct Recovery {
    entries: Vec<LedgerEntry>,
    open: Vec<Remembered>,
    unreadable: Vec<UnreadableRow>,
    /// Each with the number and the size of its row.
    closed: Vec<(i64, Closed, usize)>,
    requests: Vec<Notification>,
    /// Closed heartbeats, each with the time of its end.
    beats: Vec<(Millis, Box<LedgerRow>, End)>,
    /// When turns that agents have caused were sent in the last minute.
    agent_turns: Vec<Millis>,
    dead: Vec<DeadLetter>,
    stops: StopHistory,
    threads: Threads,
    foreign: usize,
    next: i64,
    /// The latest end of a delivery.
    newest: Millis,
    /// Deliveries that ended at most [`MOMENT`] before that, each with its index in `closed`.
    lately: VecDeque<(usize, LedgerRow)>,
}

impl Recovery {
    fn take(&mut self, found: Found, account: &AccountId) {
        self.next = self.next.max(found.number() + 1);
        match found {
            Found::Whole(image) if image.account != account.as_str() => {
                self.foreign += usize::from(image.closed.is_none());
            }
            Found::Whole(image) => match image.read() {
                Ok(mut row) => {
                    if let (Some(notification), Some(team)) = (row.work.notification(), &row.record.team) {
                        self.threads.recall(notification, team);
                    }
                    self.count_turns(&image, &row);
                    self.stops.take(&row.work, &row.record, image.closed.zip(row.end.as_ref()));
                    if let (Some(at), Some(end)) = (image.closed, row.end.take()) {
                        self.close(&image, row, at, end);
                    } else {
                        self.entries.push(LedgerEntry::of(image.clone(), &row));
                        self.open.push(Remembered::of(&image, row));
                    }
                }
                Err(row) => {
                    self.entries.push(LedgerEntry::unreadable(image, row.is_newer()));
                    self.unreadable.push(*row);
                }
            },
            Found::Damaged { number, row } => {
                self.entries.push(LedgerEntry::damaged(number, row.id.clone(), row.closed));
                self.unreadable.push(row);
            }
        }
    }

    /// Counts the turns that this delivery has sent in the last minute, if an agent has caused it.
    fn count_turns(&mut self, image: &Image, row: &LedgerRow) {
        let since = SystemClock.now() - agent_limits::WINDOW;
        let is_recent = row.record.requests > 0 && image.closed.is_none_or(|at| at > since);
        if !is_recent || !agent_limits::is_by_agent(&row.work, &row.record) {
            return;
        }
        let (steps, _) = StepHistory::from_text(&image.history).recorded();
        let sent = steps.iter().filter(|step| step.step == Step::TurnSent.name() && step.at > since);
        self.agent_turns.extend(sent.map(|step| step.at));
    }

    /// Takes a row whose delivery has ended.
    fn close(&mut self, image: &Image, row: LedgerRow, at: Millis, end: End) {
        if let End::Dead(why) = &end {
            let (work, record, why) = (Arc::new(row.work.clone()), row.record.clone(), why.clone());
            self.dead.push(DeadLetter { at, work, record, why });
        }
        if row.record.beat.is_some() {
            self.beats.push((at, Box::new(row.clone()), end.clone()));
        }
        let (id, first_seen) = (WorkId::new(&*image.id), image.first_seen);
        let (unmarked, made) = (row.record.unmarked, Vec::new());
        self.closed.push((image.number, Closed { id, first_seen, at, end, unmarked, made }, image.bytes()));
        self.newest = self.newest.max(at);
        self.lately.push_back((self.closed.len() - 1, row));
        let since = self.lately_since();
        while self.lately.front().is_some_and(|(place, _)| self.closed[*place].1.at < since) {
            self.lately.pop_front();
        }
    }

    /// What the closed heartbeats mean for the next ones, in the order of their ends.
    fn take_beats(&mut self) -> BTreeMap<AgentId, BeatMemory> {
        let mut memories: BTreeMap<AgentId, BeatMemory> = BTreeMap::new();
        self.beats.sort_by_key(|(at, ..)| *at);
        for (_, row, end) in std::mem::take(&mut self.beats) {
            if let Some(beat) = &row.record.beat {
                let memory = memories.entry(AgentId::new(&row.work.track.agent)).or_default();
                memory.add(beat, &end, row.record.asked() > 0);
            }
        }
        memories
    }

    /// Where that hour starts. The clock may have been ahead when the last delivery ended, so now is the upper bound.
    fn lately_since(&self) -> Millis {
        self.newest.min(SystemClock.now()) - MOMENT
    }

    /// Recalls what deliveries have created that ended in the last hour of the earlier process, however long ago that
    /// was: a call whose effect was unknown then is still in doubt.
    fn look_back(&mut self) {
        let since = self.lately_since();
        for (place, row) in std::mem::take(&mut self.lately) {
            let closed = &mut self.closed[place].1;
            if closed.at < since {
                continue;
            }
            closed.made = row.record.effects.all_made().to_vec();
            let row = row.work.notification();
            self.requests.extend(row.filter(|row| row.kind == NotificationType::ResponseRequest).cloned());
        }
    }
}
