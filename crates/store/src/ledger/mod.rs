//! The ledger: what has been done for every delivery, on the disk, so that a restart goes on at the last step.
//!
//! ```text
//! worker ─ note ─┐                         ┌─► ledger.sqlite (one row for each delivery)
//! worker ─ note ─┼─► entries ─► writer ────┤
//! worker ─ note ─┘   (memory)   (thread)   └─► ledger.mark (how many commits somebody has waited for)
//! ```
//!
//! A note changes its delivery's `entry` in memory and returns, or waits. The `writer` takes all entries that have
//! changed and writes each of them once, in one transaction: what fifty workers wait for costs one sync. Commits that
//! nobody waits for are not synced at all. There is no queue: a delivery is one entry however often it is noted, its
//! story is bounded, so the memory is bounded by the number of deliveries under way.
//!
//! **Nothing is forgotten unnoticed.** A step that is forgotten is a step that is done twice, so the `database` is checked
//! as a whole when it is opened: its pages, a checksum over each row and over its id, and the `commit_marker`: a log that was
//! cut or flipped in a byte ends earlier than what was promised, and SQLite itself would not say so. A row that is
//! damaged, but whose id is not, is reported ([`Opened::unreadable`]) and not recalled; before it is written over, the
//! original is put aside in the table `originals`. A book of which anything else is
//! wrong is refused ([`LedgerError::Damaged`]) and left alone. Going on without it is somebody's decision
//! ([`set_aside`]).
//!
//! **A newer version's rows outlive an older version.** Fields that this version does not know are ignored and kept
//! ([`UnknownFields`](mcr_core::delivery::UnknownFields)), and form 1 is imported. What any other row means is decided by
//! [`ledger_row`](mcr_core::delivery::ledger_row). A row that is not understood is never removed, and what it says of the
//! work and of what was done is not written over, unless its delivery ends here.
//!
//! What a process has in hand is in `in_hand_file`, so that the next one can tell a crash from a stop.

mod batch;
mod commit_marker;
mod database;
mod entry;
mod error;
mod in_hand_file;
mod location;
mod memory_ledger;
mod read;
mod row_extra;
mod step_history;
mod writer;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use error::LedgerError;
pub use location::{SetAside, is_in, last_set_aside, owner, set_aside};
pub use memory_ledger::MemoryLedger;
pub use read::{DeliveryHistory, Read, read};

pub use mcr_core::delivery::journal::RecordedStep;

use log::warn;

use database::LedgerDatabase;
use entry::{Found, Image, LedgerEntry};
use in_hand_file::InHandFile;
use location::LedgerLocation;
use mcr_core::delivery::crash::Crash;
use mcr_core::delivery::dead_letters::{self, DeadLetter};
use mcr_core::delivery::journal::{Hand, Journal, JournalError, Note, Wait};
use mcr_core::delivery::ledger_row::{LedgerRow, UnreadableRow};
use mcr_core::delivery::{End, Record};
use mcr_core::work::{Work, WorkId};
use mcr_files::Folder;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::{AccountId, LedgerSync, Notification, NotificationType};
use writer::Shared;

/// So many closed deliveries are kept for `why`, at most.
pub const KEPT_MAX: usize = 2_000;
/// So long.
pub const KEPT_AGE: Duration = Duration::from_hours(7 * 24);
/// And so many bytes of them.
pub const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// Makes every commit that somebody waits for take so many milliseconds longer: for measuring what a slow disk costs.
pub const SLOW_DISK: &str = "MCR_TEST_SLOW_DISK_MS";

/// How a ledger is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose deliveries; others in the same place are left alone.
    pub account: AccountId,
    /// When a note counts as on the disk.
    pub sync: LedgerSync,
    /// Added to each commit that somebody waits for.
    pub slow: Duration,
}

impl Options {
    /// For this account, with nothing added but what [`SLOW_DISK`] says.
    pub fn new(account: AccountId, sync: LedgerSync) -> Self {
        let slow = std::env::var(SLOW_DISK).ok().and_then(|text| text.parse().ok());
        Self { account, sync, slow: Duration::from_millis(slow.unwrap_or(0)) }
    }
}

/// What came back from the disk.
pub struct Opened {
    /// The ledger, for new notes.
    pub ledger: Ledger,
    /// Deliveries that are not over, in the order in which they were first noted.
    pub open: Vec<Remembered>,
    /// Rows that are not understood, open or closed. What was done for the open ones is not known: they must not simply
    /// begin again.
    pub unreadable: Vec<UnreadableRow>,
    /// How the last process ended, if it was a crash.
    pub crash: Option<Crash>,
    /// What ended last, oldest first.
    pub closed: Vec<Closed>,
    /// Requests for a response among the last to end.
    pub requests: Vec<Notification>,
    /// What was given up and nobody has decided on since, oldest first.
    pub dead: Vec<DeadLetter>,
    /// How many open deliveries of other accounts lie here.
    pub foreign: usize,
    /// When a damaged ledger was last set aside here: what was created before then may have been begun in it.
    pub set_aside: Option<Millis>,
}

/// A delivery that is not over.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// What is to be done, as it was last noted.
    pub work: Arc<Work>,
    /// What has been done for it.
    pub record: Record,
    /// When it was first noted.
    pub first_seen: Millis,
    /// Until when it rests.
    pub not_before: Option<Millis>,
}

impl Remembered {
    fn of(image: &Image, row: LedgerRow) -> Self {
        let (work, record) = (Arc::new(row.work), row.record);
        Self { work, record, first_seen: image.first_seen, not_before: image.not_before }
    }
}

/// A delivery that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub id: WorkId,
    /// When it was first noted.
    pub first_seen: Millis,
    /// When it ended.
    pub at: Millis,
    /// How.
    pub end: End,
    /// Whether its source was asked to mark the end and had not confirmed that.
    pub unmarked: bool,
    /// What it has made, if it was among the last to end.
    pub made: Vec<String>,
}

/// So long after its end it matters what a delivery has made: others may look for the same. Time in which no process
/// works does not count.
const MOMENT: Duration = Duration::from_hours(1);

/// How the ledger does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Why notes do not reach the disk, if so: the end of a sentence for `/health`.
    pub off: Option<String>,
    /// Whether nothing new begins because of that: there are records, and what is done next could not be among them.
    pub holds: bool,
    /// Deliveries that are not over.
    pub open: usize,
    /// Notes taken.
    pub notes: u64,
    /// Transactions.
    pub commits: u64,
    /// Those that somebody waited for.
    pub synced: u64,
}

/// The record of all deliveries.
pub struct Ledger(Inner);

enum Inner {
    On {
        shared: Arc<Shared>,
        writer: Mutex<Option<JoinHandle<()>>>,
        place: Arc<LedgerLocation>,
        hands: OnceLock<Arc<InHandFile>>,
    },
    /// With the lock of the folder, where it can be had.
    Off(String, Option<LedgerLocation>),
}

impl Ledger {
    /// Opens the ledger in this folder; made where there is none.
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
        recall.look_back();
        let set_aside = place.last_set_aside();
        let crash = in_hand_file::read(&place.hands_text());
        recall.closed.sort_by_key(|(_, closed, _)| closed.at);
        let closed = recall.closed.iter().map(|(_, closed, _)| closed.clone()).collect();
        recall.dead.sort_by_key(|dead| dead.at);
        let too_many = recall.dead.len().saturating_sub(dead_letters::MOST);
        let dead = recall.dead.split_off(too_many);
        let (open, foreign) = (std::mem::take(&mut recall.open), recall.foreign);
        let requests = std::mem::take(&mut recall.requests);
        let unreadable = std::mem::take(&mut recall.unreadable);
        let shared = Arc::new(Shared::new(recall, options.account.clone()));
        let writer = writer::spawn(shared.clone(), database, place.clone())
            .map_err(|why| LedgerError::Disk(format!("its thread did not start: {why}")))?;
        let writer = Mutex::new(Some(writer));
        let ledger = Self(Inner::On { shared, writer, place, hands: OnceLock::new() });
        Ok(Opened { ledger, open, unreadable, crash, closed, requests, dead, foreign, set_aside })
    }

    /// One that keeps nothing, and says so: only crash recovery is lost.
    pub fn off(reason: impl Into<String>) -> Self {
        Self(Inner::Off(reason.into(), None))
    }

    /// One that keeps nothing because it is switched off. An error while deliveries in the folder are under way.
    pub fn switched_off(folder: Option<&Arc<Folder>>) -> Result<Self, LedgerError> {
        let why = LedgerError::Off.to_string();
        let Some(folder) = folder else { return Ok(Self::off(why)) };
        may_be_off(folder)?;
        let place = match location::claim(folder) {
            Err(locked @ LedgerError::Locked { .. }) => return Err(locked),
            // In a folder that cannot be written nobody else has a lock.
            claimed => claimed.ok(),
        };
        Ok(Self(Inner::Off(why, place)))
    }

    /// Why the path of the folder no longer leads to this ledger, if so. Then another process could begin a ledger
    /// there, and nothing new may begin here.
    pub fn displaced(&self) -> Option<String> {
        match &self.0 {
            Inner::On { place, .. } => place.displaced(),
            Inner::Off(_, place) => place.as_ref()?.displaced(),
        }
    }

    /// This process works from now on: if it ends before it is told to stop ([`Ledger::stops`]), that is a crash.
    pub fn works(&self, now: Millis) {
        let Inner::On { place, hands, .. } = &self.0 else { return };
        match place
            .hands()
            .map_err(|why| why.to_string())
            .and_then(|file| InHandFile::begin(file, now).map_err(|why| why.to_string()))
        {
            // It is set once, by the one who starts.
            Ok(begun) => drop(hands.set(Arc::new(begun))),
            Err(why) => warn!("a crash will not be told from a stop: {why}"),
        }
    }

    /// This process was told to stop: what it has in hand is not cut off by a crash.
    pub fn stops(&self) {
        let Inner::On { hands, .. } = &self.0 else { return };
        hands.get().inspect(|hands| hands.end());
    }

    /// How it does.
    pub fn state(&self) -> State {
        match &self.0 {
            Inner::On { shared, .. } => shared.state(),
            Inner::Off(why, _) => State { off: Some(why.clone()), ..State::default() },
        }
    }

    /// Writes what is left and closes the file; later notes are refused.
    pub fn close(&self) {
        let Inner::On { shared, writer, .. } = &self.0 else { return };
        shared.stop();
        if let Some(writer) = writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // If it has panicked, its guard has told all who waited.
            let _ = writer.join();
        }
        self.stops();
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

    fn drop_unreadable(&self, id: &WorkId, at: Millis, wait: Wait) -> Result<(), JournalError> {
        match &self.0 {
            Inner::On { shared, .. } => shared.drop_unreadable(id, at, wait),
            Inner::Off(..) => Ok(()),
        }
    }

    fn in_hand(&self, work: &WorkId, now: Millis) -> Hand {
        match &self.0 {
            Inner::On { hands, .. } => hands.get().map_or_else(Hand::default, |hands| hands.take(work, now)),
            Inner::Off(..) => Hand::default(),
        }
    }
}

/// Whether a service without a ledger may use this folder: not while deliveries in it are under way.
pub fn may_be_off(folder: &Folder) -> Result<(), LedgerError> {
    let found = location::stuck(folder, LedgerError::Off);
    if found.is_of_the_place() { Ok(()) } else { Err(found) }
}

/// What was found, sorted.
#[derive(Default)]
struct Recovery {
    entries: Vec<LedgerEntry>,
    open: Vec<Remembered>,
    unreadable: Vec<UnreadableRow>,
    /// With number and size.
    closed: Vec<(i64, Closed, usize)>,
    requests: Vec<Notification>,
    dead: Vec<DeadLetter>,
    foreign: usize,
    next: i64,
    /// When the last one ended.
    newest: Millis,
    /// What ended shortly before, with its place among the closed.
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

    /// What is over.
    fn close(&mut self, image: &Image, row: LedgerRow, at: Millis, end: End) {
        if let End::Dead(why) = &end {
            let (work, record, why) = (Arc::new(row.work.clone()), row.record.clone(), why.clone());
            self.dead.push(DeadLetter { at, work, record, why });
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

    /// The clock may have been ahead when the last one ended.
    fn lately_since(&self) -> Millis {
        self.newest.min(SystemClock.now()) - MOMENT
    }

    /// What the deliveries have made that ended in the last hour of the earlier process, however long ago that was: a call
    /// that was in doubt then still is.
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
