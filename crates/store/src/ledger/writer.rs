//! The writer: takes all changed entries and writes them to the disk in one transaction.
//!
//! A caller that waits for the disk waits for the batch of its note. While one transaction is synced, the next batch
//! fills. Notes that no caller waits for are written after [`LINGER`], without a sync. Changes that could not be
//! written stay in memory. They are tried again with the next note that a caller waits for, or after [`AGAIN`].

mod thread;
mod unowned;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use thread::spawn;

use log::{error, info};

use super::batch::{Batch, closed};
use super::entry::{LedgerEntry, StoredState};
use super::error::LedgerError;
use super::image::Image;
use super::note_text::NoteText;
use super::{Closed, KEPT_AGE, KEPT_BYTES, KEPT_MAX, Recovery, State};
use mcr_core::delivery::journal::{JournalError, Note, Wait};
use mcr_core::delivery::{End, dead_letters};
use mcr_core::work::WorkId;
use mcr_model::AccountId;
use mcr_model::clock::Millis;
use unowned::Unowned;

/// How long notes are collected while no caller waits.
const LINGER: Duration = Duration::from_millis(20);
/// Pause after a failed commit until the next attempt, if no caller waits earlier.
const AGAIN: Duration = Duration::from_secs(5);
/// Pause between two steps that return empty pages, while there is nothing to write.
const TIDY: Duration = Duration::from_millis(50);
/// Maximum number of old deliveries removed by one commit.
const REMOVED_AT_ONCE: usize = 64;

/// The state shared by the writer and the threads that note.
pub(super) struct Shared {
    inside: Mutex<WriterState>,
    /// Wakes the writer.
    changed: Condvar,
    account: AccountId,
}

struct WriterState {
    /// Deliveries that are open, or whose end is not yet on the disk.
    entries: HashMap<WorkId, LedgerEntry>,
    /// Changed entries, in the order of their first change.
    dirty: Vec<WorkId>,
    dirty_since: Instant,
    unowned: Unowned,
    /// The batch of all notes since the writer took the last one, and (`waited`) whether a caller waits for it.
    batch: Arc<Batch>,
    waited: bool,
    next_number: i64,
    /// Closed deliveries on the disk, oldest first.
    kept: VecDeque<ClosedDelivery>,
    /// Number and first note of each delivery in `kept`.
    kept_numbers: HashMap<WorkId, (i64, Millis)>,
    kept_bytes: usize,
    /// How many of them are dead letters, which wait for a person's decision.
    kept_dead: usize,
    /// The latest time of any note.
    now: Millis,
    tidying: bool,
    phase: Phase,
    state: State,
}

/// Whether the writer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It takes notes and writes them.
    Working,
    /// It writes the remaining changes and takes no more notes.
    Stopping,
    /// It has ended.
    Ended,
}

impl Phase {
    fn stop(&mut self) {
        if *self == Self::Working {
            *self = Self::Stopping;
        }
    }
}

struct ClosedDelivery {
    number: i64,
    id: WorkId,
    first_seen: Millis,
    at: Millis,
    bytes: usize,
    dead: bool,
}

/// The next action of the writer.
enum WriterStep {
    Commit { images: Vec<Image>, removed: Vec<i64>, unowned: Unowned, batch: Arc<Batch>, waited: bool },
    Tidy,
    End,
}

impl Shared {
    pub(super) fn new(recall: Recovery, account: AccountId) -> Self {
        let entries: HashMap<_, _> =
            recall.entries.into_iter().map(|entry| (entry.id.clone(), entry)).collect();
        let open = entries.values().filter(|entry| entry.closed.is_none()).count();
        let mut inside = WriterState {
            state: State { open, ..State::default() },
            entries,
            dirty: Vec::new(),
            dirty_since: Instant::now(),
            unowned: Unowned::default(),
            batch: Arc::default(),
            waited: false,
            next_number: recall.next,
            kept: VecDeque::new(),
            kept_numbers: HashMap::new(),
            kept_bytes: 0,
            kept_dead: 0,
            now: Millis(i64::MIN),
            tidying: true,
            phase: Phase::Working,
        };
        for (number, Closed { id, first_seen, at, end, .. }, bytes) in recall.closed {
            let dead = matches!(end, End::Dead(_));
            inside.keep(ClosedDelivery { number, id, first_seen, at, bytes, dead });
        }
        Self { inside: Mutex::new(inside), changed: Condvar::new(), account }
    }

    fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        self.lock().state.clone()
    }

    pub(super) fn stop(&self) {
        self.lock().phase.stop();
        self.changed.notify_all();
    }

    pub(super) fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        // Serialized before the lock is taken.
        let news = NoteText::of(note).map_err(|why| {
            JournalError(format!("the note cannot be written as JSON ({why}); please report this as a bug"))
        })?;
        self.change(wait, |inside| inside.take(note, news))
    }

    pub(super) fn drop_unreadable(&self, id: &WorkId, at: Millis, wait: Wait) -> Result<(), JournalError> {
        self.change(wait, |inside| inside.drop_unreadable(id, at))
    }

    /// Changes an entry, and waits for the disk if the caller asks for it. Only a caller that waits gets an error.
    fn change(
        &self,
        wait: Wait,
        change: impl FnOnce(&mut WriterState) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let batch = {
            let mut inside = self.lock();
            let changed = if inside.phase == Phase::Working { change(&mut inside) } else { Err(closed()) };
            if changed.is_err() {
                return if wait == Wait::ForDisk { changed } else { Ok(()) };
            }
            inside.waited |= wait == Wait::ForDisk;
            inside.batch.clone()
        };
        self.changed.notify_one();
        if wait == Wait::ForDisk { batch.wait() } else { Ok(()) }
    }

    /// Waits for the next action of the writer.
    fn next(&self) -> WriterStep {
        let mut inside = self.lock();
        loop {
            let wait = if inside.is_clean() {
                if inside.phase != Phase::Working {
                    if inside.put_texts_back() {
                        continue;
                    }
                    return WriterStep::End;
                }
                inside.tidying.then_some(TIDY)
            } else {
                let patience = if inside.state.off.is_some() { AGAIN } else { LINGER };
                let left = patience.saturating_sub(inside.dirty_since.elapsed());
                if inside.waited || inside.phase != Phase::Working || left.is_zero() {
                    return inside.gather(&self.account);
                }
                Some(left)
            };
            let Some(wait) = wait else {
                inside = self.changed.wait(inside).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (back, timeout) =
                self.changed.wait_timeout(inside, wait).unwrap_or_else(PoisonError::into_inner);
            inside = back;
            if timeout.timed_out() && inside.is_clean() && inside.tidying {
                return WriterStep::Tidy;
            }
        }
    }
}

impl WriterState {
    fn take(&mut self, note: &Note<'_>, news: NoteText) -> Result<(), JournalError> {
        self.state.notes += 1;
        self.now = self.now.max(note.at);
        let id = &note.work.id;
        if !self.entries.contains_key(id) {
            let entry = self.begin(id, note.at);
            self.entries.insert(id.clone(), entry);
            self.state.open += 1;
        }
        self.change(id, |entry| {
            if entry.take(note, news) {
                return Ok(());
            }
            Err(JournalError(match entry.trace {
                StoredState::Newer => "its record belongs to a newer version".to_owned(),
                _ => "its record is damaged, and only its end is recorded".to_owned(),
            }))
        })
    }

    fn drop_unreadable(&mut self, id: &WorkId, at: Millis) -> Result<(), JournalError> {
        self.now = self.now.max(at);
        let end = End::Dropped("this version does not understand its row".to_owned());
        let end = serde_json::to_string(&end).map_err(|why| JournalError(why.to_string()))?;
        self.change(id, |entry| {
            if entry.drop_unreadable(at, end, dead_letters::DROPPED_STEP) {
                return Ok(());
            }
            Err(JournalError(format!("there is no open row of {id} that is not understood")))
        })
    }

    /// Changes an entry and marks it as dirty.
    fn change(
        &mut self,
        id: &WorkId,
        change: impl FnOnce(&mut LedgerEntry) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let entry = self
            .entries
            .get_mut(id)
            .ok_or_else(|| JournalError(format!("there is no open row of {id} that is not understood")))?;
        let was_open = entry.closed.is_none();
        change(entry)?;
        match (was_open, entry.closed.is_none()) {
            (true, false) => self.state.open = self.state.open.saturating_sub(1),
            (false, true) => self.state.open += 1,
            _ => {}
        }
        if !entry.dirty {
            entry.dirty = true;
            self.begins_to_change();
            self.dirty.push(id.clone());
        }
        Ok(())
    }

    /// Marks the deliveries whose long texts are stored apart as dirty, so that an older version can continue them.
    /// Returns whether there are any.
    fn put_texts_back(&mut self) -> bool {
        for entry in self.entries.values_mut().filter(|entry| entry.has_texts_apart()) {
            entry.dirty = true;
            self.dirty.push(entry.id.clone());
        }
        !self.dirty.is_empty()
    }

    /// Whether there is nothing to write.
    fn is_clean(&self) -> bool {
        self.dirty.is_empty() && self.unowned.loose.is_empty() && self.unowned.kept.is_empty()
    }

    fn begins_to_change(&mut self) {
        if self.is_clean() {
            self.dirty_since = Instant::now();
        }
    }

    /// The entry of a new delivery, or of a closed one that continues under its old number and first note.
    fn begin(&mut self, id: &WorkId, at: Millis) -> LedgerEntry {
        let Some((number, first_seen)) = self.kept_numbers.remove(id) else {
            self.next_number += 1;
            return LedgerEntry::new(self.next_number - 1, id.clone(), at);
        };
        self.let_go(number);
        LedgerEntry::resuming(number, id.clone(), first_seen)
    }

    /// Collects all changed entries for a commit, with the old rows to remove.
    fn gather(&mut self, account: &AccountId) -> WriterStep {
        let mut images = Vec::with_capacity(self.dirty.len());
        for id in std::mem::take(&mut self.dirty) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.dirty = false;
                let mut image = entry.image(account.as_str());
                image.apart &= self.phase == Phase::Working;
                images.push(image);
            }
        }
        // A commit without rows has no number, so it removes none.
        let removed = if images.is_empty() { Vec::new() } else { self.removed() };
        let batch = std::mem::take(&mut self.batch);
        let unowned = std::mem::take(&mut self.unowned);
        WriterStep::Commit { images, removed, unowned, batch, waited: std::mem::take(&mut self.waited) }
    }

    /// Numbers of the closed deliveries beyond a limit of age, count or bytes. The latest dead letters are removed only
    /// by age.
    fn removed(&self) -> Vec<i64> {
        let (mut left, mut bytes, mut dead) = (self.kept.len(), self.kept_bytes, self.kept_dead);
        let mut removed = Vec::new();
        for kept in &self.kept {
            let old = self.now.since(kept.at) > KEPT_AGE;
            let goes = old || left > KEPT_MAX || bytes > KEPT_BYTES;
            if !goes || removed.len() == REMOVED_AT_ONCE {
                break;
            }
            // `dead` counts this delivery and the later ones.
            if old || !kept.dead || dead > dead_letters::MOST {
                left -= 1;
                bytes -= kept.bytes;
                removed.push(kept.number);
            }
            dead -= usize::from(kept.dead);
        }
        removed
    }

    /// Removes a delivery from `kept`: its row is removed, or it continues.
    fn let_go(&mut self, number: i64) {
        let at = self.kept.iter().position(|kept| kept.number == number);
        let Some(kept) = at.and_then(|at| self.kept.remove(at)) else { return };
        self.kept_bytes -= kept.bytes;
        self.kept_dead -= usize::from(kept.dead);
        self.kept_numbers.remove(&kept.id);
    }

    fn keep(&mut self, kept: ClosedDelivery) {
        self.kept_bytes += kept.bytes;
        self.kept_dead += usize::from(kept.dead);
        self.kept_numbers.insert(kept.id.clone(), (kept.number, kept.first_seen));
        self.kept.push_back(kept);
    }

    /// Updates the state after a commit that succeeded.
    fn written(&mut self, images: &[Image], removed: &[i64], waited: bool) {
        self.state.commits += 1;
        self.state.synced += u64::from(waited);
        self.state.holds = false;
        if self.state.off.take().is_some() {
            info!("The ledger can be written again");
        }
        for number in removed {
            self.let_go(*number);
        }
        self.tidying |= !removed.is_empty();
        for image in images {
            let id = WorkId::new(&*image.id);
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.settle(image, true);
            // A row that only a newer version understands never becomes the start of another row, and is never removed.
            if !entry.dirty
                && entry.trace != StoredState::Newer
                && let Some((at, _)) = &entry.closed
            {
                let (at, bytes, dead) = (*at, image.bytes(), image.is_dead());
                self.entries.remove(&id);
                self.keep(ClosedDelivery {
                    number: image.number,
                    id,
                    first_seen: image.first_seen,
                    at,
                    bytes,
                    dead,
                });
            }
        }
    }

    /// Updates the state after a commit that failed. A closed delivery that was never on the disk is forgotten, so that
    /// a full disk does not fill the memory too. It has left no row that could mislead a later process.
    fn failed(&mut self, images: &[Image], unowned: Unowned, why: &LedgerError) {
        if self.state.off.is_none() {
            error!(reason:% = why; "Nothing new starts until the ledger can be written again");
        }
        (self.state.off, self.state.holds) = (Some(why.to_string()), true);
        let newer = std::mem::replace(&mut self.unowned, unowned);
        self.unowned.loose.extend(newer.loose);
        self.unowned.kept.extend(newer.kept);
        let newer = std::mem::take(&mut self.dirty);
        for image in images {
            let id = WorkId::new(&*image.id);
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            entry.settle(image, false);
            if entry.closed.is_some() && entry.trace == StoredState::None && !entry.dirty {
                self.entries.remove(&id);
            } else if !entry.dirty {
                entry.dirty = true;
                self.dirty.push(id);
            }
        }
        self.dirty.extend(newer);
        self.dirty_since = Instant::now();
    }
}
