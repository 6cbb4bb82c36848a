//! The open connections, and which of them is evicted when a new one needs its place.
//!
//! A connection's own thread and the accepting thread agree through one atomic word per connection, so a request takes
//! no lock. The word changes only by compare-and-swap, so exactly one of the two wins:
//!
//! ```text
//!            first byte            whole request           reply               taken
//!   Idle ───────────────► Reading ───────────────► Busy ───────────► Sending ───────────► Idle …
//!     └──────► Evicted ◄─────┘ (too slow)                               │
//!                 ▲─────────────────────────────────────────────────────┘ (the peer does not take the reply)
//! ```
//!
//! An eviction shuts down the *reading* side of the connection, which still delivers the bytes received before. A
//! request that arrived at that moment is therefore served, and then the connection is closed. A peer that does not
//! take its reply is cut off in the middle of it.
//!
//! Beyond the cap there is a reserve of places. A connection there is served only if it requests one of
//! [`ServerLimits::reserved_paths`]; every other request gets 503. Probes are thus answered while other clients hold
//! every place. The same eviction rules apply inside the reserve. `limits` explains the policy.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::ServerLimits;

/// How many evicted connections that are still open may exceed the cap and the reserve.
const EVICTED_AT_ONCE: usize = 32;
/// How long the acceptor may wait for an evicted connection to end.
const EVICTION_WAIT: Duration = Duration::from_millis(20);

/// What a connection does at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Waiting for the first byte of a request, or for the client to hang up.
    Idle,
    /// Receiving a request.
    Reading,
    /// Making a reply.
    Busy,
    /// Waiting for the peer to take a piece of a reply.
    Sending,
    /// Evicted: the connection ends after the present reply.
    Evicted,
}

impl Activity {
    const ALL: [Self; 5] = [Self::Idle, Self::Reading, Self::Busy, Self::Sending, Self::Evicted];

    /// The activity and its start in one word: three low bits, and the milliseconds above them.
    fn encode(self, millis: u64) -> u64 {
        (millis << 3) | self as u64
    }

    fn decode(word: u64) -> (Self, u64) {
        // `encode` made every word that is decoded.
        (Self::ALL[(word & 7) as usize], word >> 3)
    }
}

/// One connection as the other threads see it.
struct Slot {
    stream: TcpStream,
    activity: AtomicU64,
    /// Beyond the cap, for reserved paths.
    reserved: bool,
}

/// All connections.
pub(super) struct Registry {
    slots: Mutex<Slots>,
    /// A connection ended, or the acceptor did.
    ended: Condvar,
    started: Instant,
    cap: usize,
    reserve: usize,
    patience: Duration,
}

struct Slots {
    open: BTreeMap<u64, Arc<Slot>>,
    next: u64,
    closed: bool,
    accepting: bool,
}

/// The result of admitting a new connection.
pub(super) enum Admission {
    /// The connection has a place until this value is dropped.
    Admitted(Place),
    /// Requests in progress take every place, including the reserve.
    Full,
    /// The server is stopping.
    Closed,
}

/// A connection's place, held by its thread.
pub(super) struct Place {
    /// Declared before `entry`, so that it is dropped first.
    slot: Arc<Slot>,
    entry: Entry,
    /// The word this thread wrote last. Another word in the slot means an eviction.
    mine: Cell<u64>,
    pub(super) peer: SocketAddr,
}

/// A connection's entry in the registry, removed when dropped.
struct Entry {
    registry: Arc<Registry>,
    id: u64,
}

impl Registry {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        let slots = Slots { open: BTreeMap::new(), next: 0, closed: false, accepting: true };
        Self {
            slots: Mutex::new(slots),
            ended: Condvar::new(),
            started: Instant::now(),
            cap: limits.connections,
            reserve: limits.reserve,
            patience: limits.patience,
        }
    }

    /// Gives a new connection a place. If none is free, it evicts the connection that needs its place least.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Admission {
        let mut slots = self.lock();
        let reserved = slots.open.len() >= self.cap && !self.make_room(&slots, self.cap, Some(false));
        if reserved && !self.make_room(&slots, self.reserve, Some(true)) {
            return Admission::Full;
        }
        let most = self.cap + self.reserve + EVICTED_AT_ONCE;
        if slots.open.len() >= most {
            let crowded = |slots: &mut Slots| slots.open.len() >= most;
            let waited = self.ended.wait_timeout_while(slots, EVICTION_WAIT, crowded);
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if slots.closed {
            return Admission::Closed;
        }
        if slots.open.len() >= most {
            return Admission::Full;
        }
        let word = Activity::Idle.encode(self.millis());
        let slot = Arc::new(Slot { stream, activity: AtomicU64::new(word), reserved });
        let id = slots.next;
        slots.next += 1;
        slots.open.insert(id, Arc::clone(&slot));
        let entry = Entry { registry: Arc::clone(self), id };
        Admission::Admitted(Place { slot, entry, mine: Cell::new(word), peer })
    }

    /// Frees descriptors and threads when the machine has run out of them. Evicts an eighth of the idle connections, or
    /// one slow one, and waits until any has ended, at most 20 ms.
    ///
    /// While a connection evicted less than 20 ms ago is still open, it only waits and evicts no more.
    pub(super) fn free_resources(&self) {
        let slots = self.lock();
        let (now, before) = (self.millis(), slots.open.len());
        let (mut idle, mut evicting) = (0_usize, false);
        for (activity, since) in slots.open.values().map(|slot| slot.activity()) {
            idle += usize::from(activity == Activity::Idle);
            evicting |= activity == Activity::Evicted
                && u128::from(now.saturating_sub(since)) < EVICTION_WAIT.as_millis();
        }
        if !evicting {
            let _ = (0..idle.div_ceil(8).max(1)).all(|_| self.make_room(&slots, 0, None));
        }
        let all_stay = |slots: &mut Slots| slots.open.len() >= before && !slots.closed;
        drop(self.ended.wait_timeout_while(slots, EVICTION_WAIT, all_stay));
    }

    /// Cuts off the peer that has stalled longest on its reply, and waits until a connection has ended, at most 20 ms.
    /// Returns whether there was a connection to wait for.
    pub(super) fn cut_off_stalled(&self) -> bool {
        let slots = self.lock();
        let (before, now) = (slots.open.len(), self.millis());
        let sending = slots.open.values().filter_map(|slot| {
            let word = slot.activity.load(Ordering::Acquire);
            let (activity, since) = Activity::decode(word);
            (activity == Activity::Sending && self.is_late(since, now)).then_some((since, word, slot))
        });
        let stalled = sending.min_by_key(|(since, ..)| *since);
        let evicting = slots.open.values().any(|slot| slot.activity().0 == Activity::Evicted);
        if !stalled.is_some_and(|(_, word, slot)| slot.evict(word, now)) && !evicting {
            return false;
        }
        let all_stay = |slots: &mut Slots| slots.open.len() >= before && !slots.closed;
        drop(self.ended.wait_timeout_while(slots, EVICTION_WAIT, all_stay));
        true
    }

    fn is_late(&self, since: u64, now: u64) -> bool {
        u128::from(now.saturating_sub(since)) >= self.patience.as_millis()
    }

    /// Evicts one connection if `cap` are open, and returns whether there is room for one more. First goes the one idle
    /// longest, for `patience` at least; then the slowest request or stalled reply; then a connection idle for less time.
    /// Busy connections are never evicted; evicted ones do not count. `reserved` selects the reserve, all other places,
    /// or (`None`) both.
    fn make_room(&self, slots: &Slots, cap: usize, reserved: Option<bool>) -> bool {
        let now = self.millis();
        // A candidate may become busy between the look and the swap. Then the loop tries the next one.
        loop {
            let mut staying = 0;
            let mut best: Option<((u8, u64), u64, &Slot)> = None;
            for slot in slots.open.values().filter(|slot| reserved.is_none_or(|is| slot.reserved == is)) {
                let word = slot.activity.load(Ordering::Acquire);
                let (activity, since) = Activity::decode(word);
                let rank = match (activity, self.is_late(since, now)) {
                    (Activity::Evicted, _) => continue,
                    (Activity::Idle, true) => Some((0, since)),
                    (Activity::Reading | Activity::Sending, true) => Some((1, since)),
                    // Usually a new connection whose request is still on its way.
                    (Activity::Idle, false) => Some((2, since)),
                    (Activity::Reading | Activity::Sending | Activity::Busy, _) => None,
                };
                staying += 1;
                match (rank, best) {
                    (Some(rank), Some((least, ..))) if rank >= least => {}
                    (Some(rank), _) => best = Some((rank, word, slot)),
                    (None, _) => {}
                }
            }
            if staying < cap {
                return true;
            }
            let Some((_, word, slot)) = best else { return false };
            if slot.evict(word, now) {
                return true;
            }
        }
    }

    /// Admits no new connections. Open ones read no further request, so they end after their present reply.
    pub(super) fn close(&self) {
        let mut slots = self.lock();
        slots.closed = true;
        for slot in slots.open.values() {
            let _ = slot.stream.shutdown(Shutdown::Read);
        }
    }

    /// Cuts off the remaining connections and returns their number.
    pub(super) fn cut_off(&self) -> usize {
        let slots = self.lock();
        for slot in slots.open.values() {
            let _ = slot.stream.shutdown(Shutdown::Both);
        }
        slots.open.len()
    }

    /// Waits until every connection has ended, or until `until`.
    pub(super) fn wait_until_empty(&self, until: Instant) {
        drop(self.wait(until, |slots| !slots.open.is_empty()));
    }

    /// Waits until the acceptor has ended, or until `until`. Returns whether it has ended.
    pub(super) fn wait_for_acceptor(&self, until: Instant) -> bool {
        !self.wait(until, |slots| slots.accepting).accepting
    }

    /// The acceptor has ended and its port is free.
    pub(super) fn acceptor_ended(&self) {
        self.lock().accepting = false;
        self.ended.notify_all();
    }

    /// The number of open connections.
    pub(super) fn open(&self) -> usize {
        self.lock().open.len()
    }

    fn wait(&self, until: Instant, still: impl Fn(&Slots) -> bool) -> MutexGuard<'_, Slots> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.ended.wait_timeout_while(self.lock(), left, |slots| still(slots));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // No code under this lock can panic half-way, so a poisoned lock is still consistent.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Slot {
    /// Evicts the connection if its word is still this one.
    fn evict(&self, word: u64, now: u64) -> bool {
        let evicted = Activity::Evicted.encode(now);
        if self.activity.compare_exchange(word, evicted, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        // A peer that does not take its reply is cut off. Every other connection still handles received bytes.
        let how = if Activity::decode(word).0 == Activity::Sending { Shutdown::Both } else { Shutdown::Read };
        // An error means that the client has already disconnected.
        let _ = self.stream.shutdown(how);
        true
    }

    fn activity(&self) -> (Activity, u64) {
        Activity::decode(self.activity.load(Ordering::Acquire))
    }
}

impl Place {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.slot.stream
    }

    /// Records the present activity. Has no effect after an eviction.
    pub(super) fn enter(&self, activity: Activity) {
        self.write(activity.encode(self.entry.registry.millis()));
    }

    fn write(&self, word: u64) {
        let swapped =
            self.slot.activity.compare_exchange(self.mine.get(), word, Ordering::AcqRel, Ordering::Relaxed);
        if swapped.is_ok() {
            self.mine.set(word);
        }
    }

    /// Runs `send` as the sending of one piece of a reply, then restores the previous activity.
    pub(super) fn while_sending<T>(&self, send: impl FnOnce() -> T) -> T {
        let (before, _) = Activity::decode(self.mine.get());
        self.enter(Activity::Sending);
        let result = send();
        self.enter(before);
        result
    }

    /// Marks the connection as done: it is evicted before any other.
    pub(super) fn mark_finished(&self) {
        self.write(Activity::Idle.encode(0));
    }

    /// Whether this place is one of the reserve.
    pub(super) fn is_reserved(&self) -> bool {
        self.slot.reserved
    }

    /// Whether the connection ends after the present reply.
    pub(super) fn is_evicted(&self) -> bool {
        self.slot.activity().0 == Activity::Evicted
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut slots = self.registry.lock();
        // The place has dropped its reference to the slot, so this closes the socket. A thread that waits for a
        // connection to end needs the connection's descriptor.
        drop(slots.open.remove(&self.id));
        drop(slots);
        self.registry.ended.notify_all();
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
