//! The places of the connections.
//!
//! Anyone who reaches the port can open a connection. So a client that has not run a query with success is a *stranger*: it
//! keeps its place for a limited time only, and loses it earlier if all places are taken. The oldest stranger goes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most connections at once. Each occupies a thread of the server.
const CONNECTIONS_MAX: usize = 64;

/// The most evicted connections that have not ended yet.
const ENDING_MAX: usize = 64;

/// All places.
#[derive(Debug, Default)]
pub(super) struct Slots(Arc<Mutex<Occupied>>);

#[derive(Debug, Default)]
struct Occupied {
    /// By the order of arrival.
    open: BTreeMap<u64, Arc<SlotState>>,
    next: u64,
    /// The number of evicted connections that have not ended yet.
    ending: usize,
}

#[derive(Debug, Default)]
struct SlotState {
    is_trusted: AtomicBool,
    is_evicted: AtomicBool,
}

/// The place of one connection, returned on drop.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    state: Arc<SlotState>,
    slots: Arc<Mutex<Occupied>>,
}

fn locked(slots: &Mutex<Occupied>) -> MutexGuard<'_, Occupied> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slots {
    /// Takes a place. If all are taken, the oldest stranger is evicted.
    pub(super) fn enter(&self) -> Option<Slot> {
        let mut occupied = locked(&self.0);
        if occupied.open.len() >= CONNECTIONS_MAX {
            let is_stranger = |state: &SlotState| !state.is_trusted.load(Ordering::Acquire);
            let oldest =
                occupied.open.iter().find(|(_, state)| is_stranger(state)).map(|(number, _)| *number)?;
            if occupied.ending >= ENDING_MAX {
                return None;
            }
            if let Some(state) = occupied.open.remove(&oldest) {
                state.is_evicted.store(true, Ordering::Release);
                occupied.ending += 1;
            }
        }
        let (number, state) = (occupied.next, Arc::new(SlotState::default()));
        occupied.next += 1;
        occupied.open.insert(number, state.clone());
        drop(occupied);
        Some(Slot { number, state, slots: self.0.clone() })
    }
}

impl Slot {
    /// The client is no stranger: a query has run with success.
    pub(super) fn trust(&self) {
        self.state.is_trusted.store(true, Ordering::Release);
    }

    pub(super) fn is_trusted(&self) -> bool {
        self.state.is_trusted.load(Ordering::Acquire)
    }

    /// Whether the connection must end, because another one has the place.
    pub(super) fn is_evicted(&self) -> bool {
        self.state.is_evicted.load(Ordering::Acquire)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut occupied = locked(&self.slots);
        if occupied.open.remove(&self.number).is_none() {
            occupied.ending -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(slots: &Slots) -> Vec<Slot> {
        (0..CONNECTIONS_MAX).map(|_| slots.enter().unwrap()).collect()
    }

    #[test]
    fn the_oldest_stranger_makes_room() {
        let slots = Slots::default();
        let mut open = full(&slots);
        open[0].trust();
        open.remove(2);
        open.push(slots.enter().unwrap());
        assert!(open.iter().all(|slot| !slot.is_evicted()), "the place of a connection that ended is free");
        let newest = slots.enter().unwrap();
        let evicted: Vec<usize> =
            open.iter().enumerate().filter(|(_, slot)| slot.is_evicted()).map(|(at, _)| at).collect();
        assert_eq!(evicted, [1], "the first one is trusted");
        assert!(!newest.is_evicted() && !newest.is_trusted());
    }

    #[test]
    fn trusted_connections_keep_their_places() {
        let slots = Slots::default();
        let mut open = full(&slots);
        open.iter().for_each(Slot::trust);
        assert!(slots.enter().is_none());
        open.pop();
        assert!(slots.enter().is_some());
    }

    /// Each occupies a thread until it has ended.
    #[test]
    fn evicted_connections_that_do_not_end_are_limited() {
        let slots = Slots::default();
        let mut open = full(&slots);
        open.extend((0..ENDING_MAX).map(|_| slots.enter().unwrap()));
        assert!(slots.enter().is_none());
        assert!(open.remove(0).is_evicted());
        assert!(slots.enter().is_some());
    }
}
