//! A ledger in memory, for tests of crashes. A note with a waiting caller is on the simulated disk, with all earlier
//! notes. The other notes are pending (in `table`), and a crash may lose any number of the latest of them.
//!
//! Recalled deliveries are serialized and parsed as in the real ledger.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Remembered;
use super::entry::LedgerEntry;
use super::note_text::NoteText;
use mcr_core::delivery::End;
use mcr_core::delivery::journal::{Journal, JournalError, Note, Wait};
use mcr_core::work::WorkId;

/// A ledger that simulates its disk in memory.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<MemoryState>);

#[derive(Debug, Default)]
struct MemoryState {
    disk: HashMap<WorkId, LedgerEntry>,
    /// The entry after each pending note, in the order of the notes.
    table: Vec<LedgerEntry>,
    next: i64,
    refusing: bool,
    waited: u64,
}

impl MemoryState {
    fn latest(&self, id: &WorkId) -> Option<&LedgerEntry> {
        self.table.iter().rev().find(|entry| entry.id == *id).or_else(|| self.disk.get(id))
    }

    fn settle(&mut self, count: usize) {
        for entry in self.table.drain(..count) {
            self.disk.insert(entry.id.clone(), entry);
        }
    }
}

impl MemoryLedger {
    fn lock(&self) -> MutexGuard<'_, MemoryState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Simulates a crash: of the pending notes, only the first `survive` have reached the disk. Returns the open
    /// deliveries as a new process finds them.
    pub fn crash(&self, survive: usize) -> Vec<Remembered> {
        let mut inner = self.lock();
        let count = survive.min(inner.table.len());
        inner.settle(count);
        inner.table.clear();
        let open = inner.disk.values_mut().filter(|entry| entry.closed.is_none());
        let by_number: BTreeMap<i64, &mut LedgerEntry> = open.map(|entry| (entry.number, entry)).collect();
        let images = by_number.into_values().map(|entry| entry.image(""));
        images
            .map(|image| Remembered::of(&image, image.read().expect("what was just written is understood")))
            .collect()
    }

    /// The closed deliveries on the simulated disk, each with its end.
    pub fn closed(&self) -> HashMap<WorkId, End> {
        let mut inner = self.lock();
        let closed = inner.disk.values_mut().filter(|entry| entry.closed.is_some());
        closed
            .map(|entry| {
                let row = entry.image("").read().expect("what was just written is understood");
                (entry.id.clone(), row.end.expect("it is closed"))
            })
            .collect()
    }

    /// Number of pending notes, which a crash could lose.
    pub fn on_the_table(&self) -> usize {
        self.lock().table.len()
    }

    /// Number of notes with a waiting caller.
    pub fn waited(&self) -> u64 {
        self.lock().waited
    }

    /// Sets whether the simulated disk refuses writes from now on.
    pub fn refuse(&self, refusing: bool) {
        self.lock().refusing = refusing;
    }
}

impl Journal for MemoryLedger {
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        let news = NoteText::of(note).map_err(|why| JournalError(why.to_string()))?;
        let mut inner = self.lock();
        let mut entry = inner
            .latest(&note.work.id)
            .cloned()
            .unwrap_or_else(|| LedgerEntry::new(i64::MAX, note.work.id.clone(), note.at));
        if entry.number == i64::MAX {
            entry.number = inner.next;
            inner.next += 1;
        }
        entry.take(note, news);
        inner.table.push(entry);
        if wait == Wait::Not {
            return Ok(());
        }
        inner.waited += 1;
        if inner.refusing {
            return Err(JournalError(
                "the disk is full, so nothing more is recorded: free space on it".to_owned(),
            ));
        }
        let all = inner.table.len();
        inner.settle(all);
        Ok(())
    }
}
