//! The writer thread: makes one commit after another until the ledger is closed.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::super::batch::{Batch, closed};
use super::super::database::LedgerDatabase;
use super::super::location::LedgerLocation;
use super::{Phase, Shared, WriterStep};
use mcr_core::delivery::journal::JournalError;

/// Stack of the thread. SQLite needs little.
const STACK_BYTES: usize = 512 * 1024;

/// Starts the writer thread.
pub(in crate::ledger) fn spawn(
    shared: Arc<Shared>,
    database: LedgerDatabase,
    place: Arc<LedgerLocation>,
) -> std::io::Result<JoinHandle<()>> {
    let write = move || {
        let farewell = EndGuard(&shared);
        run(&shared, database);
        drop(farewell);
        // The lock is released only after the file is closed.
        place.release();
    };
    thread::Builder::new().name("ledger".to_owned()).stack_size(STACK_BYTES).spawn(write)
}

fn run(shared: &Shared, mut database: LedgerDatabase) {
    loop {
        match shared.next() {
            WriterStep::End => {
                // A failure is ignored: an older version would then know fewer facts.
                let _ = database.finish();
                return;
            }
            WriterStep::Tidy => {
                // A failure is ignored here. If it matters, the next commit reports it.
                let more = database.tidy().unwrap_or(false);
                shared.lock().tidying = more;
            }
            WriterStep::Commit { mut images, removed, unowned, batch, waited } => {
                let promise = Promise(&batch);
                let done = database.commit(&mut images, &removed, &unowned.loose, &unowned.kept, waited);
                let mut inside = shared.lock();
                match &done {
                    Ok(()) => inside.written(&images, &removed, waited),
                    Err(why) => inside.failed(&images, unowned, why),
                }
                // The ledger is being closed, so a failed commit is not tried again.
                let over = inside.phase != Phase::Working && done.is_err();
                drop(inside);
                batch.finish(done.as_ref().map_err(JournalError::from).copied());
                drop(promise);
                if over {
                    return;
                }
            }
        }
    }
}

/// Answers the callers that wait for a batch, even if the writer panics during its commit.
struct Promise<'a>(&'a Batch);

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.0
            .finish(Err(JournalError("the writer of the ledger broke down; please report this".to_owned())));
    }
}

/// Marks the writer as ended, however it ends, so that no caller waits for it.
struct EndGuard<'a>(&'a Shared);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let mut inside = self.0.lock();
        if inside.phase == Phase::Working {
            inside.state.off = Some("the writer of the ledger broke down; please report this".to_owned());
            inside.state.holds = true;
        }
        inside.phase = Phase::Ended;
        inside.batch.finish(Err(closed()));
    }
}
