//! The changes since the start: numbers to wait for, and the changed rows for pages that request only changes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{StoreError, Table, TableSet};
use crate::vault;

/// The number of changed rows that are kept. A page that missed more reloads everything, which is cheaper then.
pub(crate) const ROWS: usize = 8_192;
/// The maximum number of different rows in one response.
const DIFFERENT: usize = 1_000;

/// A row that was added, changed or removed. Notifications have no id here: pages only need to know that there was one.
pub(crate) type Touched = (Table, String);

/// The changes of one store. A writer publishes before it lets the next writer begin.
pub(super) struct ChangeFeed {
    /// Identifies this run of the program, because the numbers restart with each run.
    run: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of calls that changed data since the start.
    changes: u64,
    /// How many notifications were added since the start.
    notifications: u64,
    /// The number of the last change of each table.
    last_of: Vec<u64>,
    /// The last creation time that was assigned. It never decreases, and no two rows share one.
    last_instant: f64,
    /// The changed rows, each with the number of its change; the oldest first.
    rows: VecDeque<(u64, Touched)>,
    /// All rows of the changes after this number are kept.
    complete_after: u64,
}

impl State {
    fn has_changed(&self, tables: TableSet, seen: u64) -> bool {
        tables.tables().any(|table| self.last_of[table as usize] > seen)
    }
}

/// What one transaction changed.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// How many notifications were added.
    pub(super) notifications: u64,
    tables: TableSet,
    rows: Vec<Touched>,
    /// A notification was added, changed or removed.
    notified: bool,
    /// There were more rows than are kept.
    overflowed: bool,
}

impl Written {
    /// Notes a row.
    pub(super) fn note(&mut self, table: Table, id: &str) {
        self.tables = self.tables.with(table);
        match table {
            Table::Notifications => self.notified = true,
            table if !table.is_on_pages() => {}
            _ if self.rows.len() >= ROWS => self.overflowed = true,
            _ => self.rows.push((table, id.to_owned())),
        }
    }
}

impl ChangeFeed {
    pub(super) fn new(last_instant: f64) -> Result<Self, StoreError> {
        let random: [u8; 8] = vault::random().map_err(|why| StoreError::Fault(why.to_string()))?;
        let state =
            Mutex::new(State { last_instant, last_of: vec![0; Table::ALL.len()], ..State::default() });
        Ok(Self { run: vault::hex(&random), state, changed: Condvar::new() })
    }

    /// The number of the last change, and the last creation time that was assigned.
    pub(super) fn state(&self) -> (u64, f64) {
        let state = self.lock();
        (state.changes, state.last_instant)
    }

    /// Publishes a committed transaction.
    pub(super) fn publish(&self, last_instant: f64, written: Option<Written>) {
        let mut state = self.lock();
        state.last_instant = last_instant;
        let Some(written) = written else { return };
        state.changes += 1;
        state.notifications += written.notifications;
        let number = state.changes;
        for table in written.tables.tables() {
            state.last_of[table as usize] = number;
        }
        let notified = written.notified.then(|| (Table::Notifications, String::new()));
        state.rows.extend(written.rows.into_iter().chain(notified).map(|row| (number, row)));
        if written.overflowed {
            state.rows.clear();
            state.complete_after = number;
        }
        while state.rows.len() > ROWS {
            if let Some((forgotten, _)) = state.rows.pop_front() {
                state.complete_after = forgotten;
            }
        }
        self.changed.notify_all();
    }

    /// The revision with this number, in the form for pages.
    pub(super) fn revision(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// The rows that changed after a revision, each once. None if that is not known: the revision is of another run,
    /// too old, or too much has changed.
    pub(super) fn since(&self, revision: &str) -> Option<Vec<Touched>> {
        let (run, number) = revision.split_once('-')?;
        let number: u64 = number.parse().ok().filter(|_| run == self.run)?;
        let state = self.lock();
        if number < state.complete_after || number > state.changes {
            return None;
        }
        let first = state.rows.partition_point(|(change, _)| *change <= number);
        let mut seen = HashSet::new();
        let rows = state.rows.range(first..).map(|(_, row)| row).filter(|row| seen.insert(*row));
        let rows: Vec<Touched> = rows.take(DIFFERENT + 1).cloned().collect();
        (rows.len() <= DIFFERENT).then_some(rows)
    }

    /// Waits for a change after `seen`, or for the timeout. Returns the number of the last change.
    pub(super) fn wait_for_change(&self, seen: u64, timeout: Duration) -> u64 {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |state| state.changes <= seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.changes
    }

    /// Whether one of these tables has changed after `seen`.
    pub(super) fn has_changed(&self, tables: TableSet, seen: u64) -> bool {
        self.lock().has_changed(tables, seen)
    }

    /// Waits until one of these tables changes after `seen`, or for the timeout.
    pub(super) fn wait_for_change_of(&self, tables: TableSet, seen: u64, timeout: Duration) {
        let unchanged = |state: &mut State| !state.has_changed(tables, seen);
        drop(self.changed.wait_timeout_while(self.lock(), timeout, unchanged));
    }

    /// Waits for more than `seen` notifications, or for the timeout. Returns their number.
    pub(super) fn wait_for_notification(&self, seen: u64, timeout: Duration) -> u64 {
        let waited =
            self.changed.wait_timeout_while(self.lock(), timeout, |state| state.notifications <= seen);
        waited.unwrap_or_else(PoisonError::into_inner).0.notifications
    }

    /// A panic leaves no partial change here, so a poisoned lock is valid.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
