//! Slots for pipelined requests: those sent before the client has read the previous reply.
//!
//! A client that pipelines and never reads causes useless work. The server handles only a few such requests at once, so
//! many such clients leave the processor to all others.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::registry::{Activity, Place};

/// Maximum pipelined requests handled at once.
const AT_ONCE: usize = 4;
/// How often a waiting connection checks whether it is evicted.
const EVICTION_CHECK: Duration = Duration::from_millis(20);

/// The pipelining slots of one server.
#[derive(Default)]
pub(super) struct PipelineSlots {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// One slot, until dropped.
pub(super) struct PipelineSlot<'a>(&'a PipelineSlots);

impl PipelineSlots {
    /// Waits for a slot. The place can be evicted meanwhile, like one whose peer does not take its reply. Then the
    /// result is `None`.
    pub(super) fn take(&self, place: &Place) -> Option<PipelineSlot<'_>> {
        place.enter(Activity::Sending);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken >= AT_ONCE {
            if place.is_evicted() {
                return None;
            }
            taken = self.freed.wait_timeout(taken, EVICTION_CHECK).unwrap_or_else(PoisonError::into_inner).0;
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
