//! A batch: notes that one transaction writes, and the callers that wait for it.

use std::sync::{Condvar, Mutex, PoisonError};

use mcr_core::delivery::journal::JournalError;

/// Notes that one transaction writes, with the result of that transaction.
#[derive(Default)]
pub(super) struct Batch {
    result: Mutex<Option<Result<(), JournalError>>>,
    done: Condvar,
}

impl Batch {
    pub(super) fn finish(&self, result: Result<(), JournalError>) {
        let mut finished = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        finished.get_or_insert(result);
        self.done.notify_all();
    }

    pub(super) fn wait(&self) -> Result<(), JournalError> {
        let unfinished = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.done.wait_while(unfinished, |result| result.is_none());
        // The wait ends only with a result.
        waited.unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(|| Err(closed()))
    }
}

/// The error of a note that comes after the ledger was closed.
pub(super) fn closed() -> JournalError {
    JournalError("the ledger is closed".to_owned())
}
