//! Slots for requests that were sent before the answer to the last one was taken.
//!
//! A client that pipelines and never reads makes the server work for nothing. Only a few such requests are handled at once,
//! so a crowd of these clients leaves the processor to everybody else.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::registry::{Doing, Place};

/// Pipelined requests handled at once.
const AT_ONCE: usize = 4;
/// How soon a waiting connection notices that it has to leave.
const NOTICE: Duration = Duration::from_millis(20);

/// The turns of one server.
#[derive(Default)]
pub(super) struct PipelineSlots {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One turn, until dropped.
pub(super) struct PipelineSlot<'a>(&'a PipelineSlots);

impl PipelineSlots {
    /// Waits for a turn. Meanwhile the place can be given up, like one whose peer does not take its answer; then there is no
    /// turn.
    pub(super) fn take(&self, place: &Place) -> Option<PipelineSlot<'_>> {
        place.now(Doing::Sending);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= AT_ONCE {
            if place.is_leaving() {
                return None;
            }
            taken = self.freed.wait_timeout(taken, NOTICE).unwrap_or_else(PoisonError::into_inner).0;
        }
        *taken += 1;
        Some(PipelineSlot(self))
    }
}

impl Drop for PipelineSlot<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}
