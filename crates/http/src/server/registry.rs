//! Who is connected, and who has to go when somebody new comes.
//!
//! A connection's own thread and the accepting thread agree by one atomic word per connection, so that a request
//! costs no lock. The word only changes by compare-and-swap, so exactly one of the two wins:
//!
//! ```text
//!            first byte            whole request           answer              taken
//!   Idle ───────────────► Reading ───────────────► Busy ───────────► Sending ───────────► Idle …
//!     └──────► Leaving ◄─────┘ (too slow)                               │
//!                 ▲─────────────────────────────────────────────────────┘ (the peer does not take the answer)
//! ```
//!
//! Whoever is told to leave has its *reading* side shut down: it still finds the bytes that had already come. A
//! request that arrived in that very moment is therefore served, and only then is the connection closed. A peer that
//! does not take its answer is cut off in the middle of it.
//!
//! Beyond the cap there is a reserve of places. A connection there is served only if it asks for one of
//! [`ServerLimits::reserved_paths`]; all others hear that the server is full. So probes are answered while others hold every
//! place. The same rules of eviction hold inside the reserve.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::ServerLimits;

/// Connections above the cap while those told to leave are still on their way out.
const LEAVING_AT_ONCE: usize = 32;
/// How long the acceptor may wait for one of those.
const WAY_OUT: Duration = Duration::from_millis(20);

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Waiting for the first byte of a request, or for the client to hang up.
    Idle,
    /// Receiving a request.
    Reading,
    /// Making an answer.
    Busy,
    /// Waiting for the peer to take a piece of an answer.
    Sending,
    /// Told to leave.
    Leaving,
}

impl Doing {
    const ALL: [Self; 5] = [Self::Idle, Self::Reading, Self::Busy, Self::Sending, Self::Leaving];

    /// What, and since when: the three low bits and the milliseconds above them.
    fn since(self, millis: u64) -> u64 {
        (millis << 3) | self as u64
    }

    fn read(word: u64) -> (Self, u64) {
        // Only words of `since` are read.
        (Self::ALL[(word & 7) as usize], word >> 3)
    }
}

/// One connection as others see it.
struct Seat {
    stream: TcpStream,
    doing: AtomicU64,
    /// Beyond the cap, for probes.
    reserved: bool,
}

/// All connections.
pub(super) struct Registry {
    seats: Mutex<Seats>,
    /// A connection ended, or the acceptor did.
    ended: Condvar,
    born: Instant,
    cap: usize,
    reserve: usize,
    patience: Duration,
}

struct Seats {
    open: BTreeMap<u64, Arc<Seat>>,
    next: u64,
    closed: bool,
    accepting: bool,
}

/// What became of a new connection.
pub(super) enum Admission {
    /// It has a place, held until this value is dropped.
    Admitted(Place),
    /// Every place is taken by a request in progress, those of the reserve too.
    Full,
    /// The server is stopping.
    Closed,
}

/// A connection's place, held by its thread.
pub(super) struct Place {
    /// Before `entry`, so that it is dropped before it.
    seat: Arc<Seat>,
    entry: Entry,
    /// The word we wrote last; another word there means that we are told to leave.
    mine: Cell<u64>,
    pub(super) peer: SocketAddr,
}

/// A connection's line in the registry, struck out when dropped.
struct Entry {
    registry: Arc<Registry>,
    id: u64,
}

impl Registry {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        let seats = Seats { open: BTreeMap::new(), next: 0, closed: false, accepting: true };
        Self {
            seats: Mutex::new(seats),
            ended: Condvar::new(),
            born: Instant::now(),
            cap: limits.connections,
            reserve: limits.reserve,
            patience: limits.patience,
        }
    }

    /// Gives a new connection a place, at the cost of the connection that needs its own least.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Admission {
        let mut seats = self.lock();
        let reserved = seats.open.len() >= self.cap && !self.make_room(&seats, self.cap, Some(false));
        if reserved && !self.make_room(&seats, self.reserve, Some(true)) {
            return Admission::Full;
        }
        let most = self.cap + self.reserve + LEAVING_AT_ONCE;
        if seats.open.len() >= most {
            let crowded = |seats: &mut Seats| seats.open.len() >= most;
            let waited = self.ended.wait_timeout_while(seats, WAY_OUT, crowded);
            seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if seats.closed {
            return Admission::Closed;
        }
        if seats.open.len() >= most {
            return Admission::Full;
        }
        let word = Doing::Idle.since(self.millis());
        let seat = Arc::new(Seat { stream, doing: AtomicU64::new(word), reserved });
        let id = seats.next;
        seats.next += 1;
        seats.open.insert(id, Arc::clone(&seat));
        let entry = Entry { registry: Arc::clone(self), id };
        Admission::Admitted(Place { seat, entry, mine: Cell::new(word), peer })
    }

    /// Gets back some of what connections hold when the machine has no more of it (descriptors, threads): sends
    /// away an eighth of the idle, or one too slow, and waits until any has ended, 20 ms at most.
    ///
    /// Whoever was sent away by the last call is waited for before anybody else has to go.
    pub(super) fn make_way(&self) {
        let seats = self.lock();
        let (now, before) = (self.millis(), seats.open.len());
        let (mut idle, mut going) = (0_usize, false);
        for (doing, since) in seats.open.values().map(|seat| seat.doing()) {
            idle += usize::from(doing == Doing::Idle);
            going |= doing == Doing::Leaving && u128::from(now.saturating_sub(since)) < WAY_OUT.as_millis();
        }
        if !going {
            let _ = (0..idle.div_ceil(8).max(1)).all(|_| self.make_room(&seats, 0, None));
        }
        let all_stay = |seats: &mut Seats| seats.open.len() >= before && !seats.closed;
        drop(self.ended.wait_timeout_while(seats, WAY_OUT, all_stay));
    }

    /// Cuts off the peer that has not taken its answer for longest, and waits until a connection has ended, 20 ms at
    /// most. Says whether there was one to wait for.
    pub(super) fn cut_off_stalled(&self) -> bool {
        let seats = self.lock();
        let (before, now) = (seats.open.len(), self.millis());
        let sending = seats.open.values().filter_map(|seat| {
            let word = seat.doing.load(Ordering::Acquire);
            let (doing, since) = Doing::read(word);
            (doing == Doing::Sending && self.is_late(since, now)).then_some((since, word, seat))
        });
        let stalled = sending.min_by_key(|(since, ..)| *since);
        let going = seats.open.values().any(|seat| seat.doing().0 == Doing::Leaving);
        if !stalled.is_some_and(|(_, word, seat)| seat.leave(word, now)) && !going {
            return false;
        }
        let all_stay = |seats: &mut Seats| seats.open.len() >= before && !seats.closed;
        drop(self.ended.wait_timeout_while(seats, WAY_OUT, all_stay));
        true
    }

    fn is_late(&self, since: u64, now: u64) -> bool {
        u128::from(now.saturating_sub(since)) >= self.patience.as_millis()
    }

    /// Makes room for one more if there is none: the longest idle goes first; then the one whose peer has been sending a
    /// request, or not taking its answer, for longest; then who has just come and says nothing yet. Whoever already leaves
    /// does not count. Looks at the reserve, at all but the reserve, or at all.
    fn make_room(&self, seats: &Seats, cap: usize, reserved: Option<bool>) -> bool {
        let now = self.millis();
        // A candidate may get busy between the look and the swap; then the next best is tried.
        loop {
            let mut staying = 0;
            let mut best: Option<((u8, u64), u64, &Seat)> = None;
            for seat in seats.open.values().filter(|seat| reserved.is_none_or(|is| seat.reserved == is)) {
                let word = seat.doing.load(Ordering::Acquire);
                let (doing, since) = Doing::read(word);
                let rank = match (doing, self.is_late(since, now)) {
                    (Doing::Leaving, _) => continue,
                    (Doing::Idle, true) => Some((0, since)),
                    (Doing::Reading | Doing::Sending, true) => Some((1, since)),
                    // Mostly a newcomer whose request is on its way.
                    (Doing::Idle, false) => Some((2, since)),
                    (Doing::Reading | Doing::Sending | Doing::Busy, _) => None,
                };
                staying += 1;
                match (rank, best) {
                    (Some(rank), Some((least, ..))) if rank >= least => {}
                    (Some(rank), _) => best = Some((rank, word, seat)),
                    (None, _) => {}
                }
            }
            if staying < cap {
                return true;
            }
            let Some((_, word, seat)) = best else { return false };
            if seat.leave(word, now) {
                return true;
            }
        }
    }

    /// No new connections; those that are open hear nothing new, so they end when they have answered.
    pub(super) fn close(&self) {
        let mut seats = self.lock();
        seats.closed = true;
        for seat in seats.open.values() {
            let _ = seat.stream.shutdown(Shutdown::Read);
        }
    }

    /// Cuts off whoever is left, and says how many.
    pub(super) fn cut_off(&self) -> usize {
        let seats = self.lock();
        for seat in seats.open.values() {
            let _ = seat.stream.shutdown(Shutdown::Both);
        }
        seats.open.len()
    }

    /// Waits until nobody is left, or `until`.
    pub(super) fn wait_until_empty(&self, until: Instant) {
        drop(self.wait(until, |seats| !seats.open.is_empty()));
    }

    /// Waits until the acceptor has ended, or `until`; says whether it has.
    pub(super) fn wait_for_acceptor(&self, until: Instant) -> bool {
        !self.wait(until, |seats| seats.accepting).accepting
    }

    /// The acceptor has ended and its port is free.
    pub(super) fn acceptor_ended(&self) {
        self.lock().accepting = false;
        self.ended.notify_all();
    }

    /// How many connections have a place.
    pub(super) fn open(&self) -> usize {
        self.lock().open.len()
    }

    fn wait(&self, until: Instant, still: impl Fn(&Seats) -> bool) -> MutexGuard<'_, Seats> {
        let left = until.saturating_duration_since(Instant::now());
        let waited = self.ended.wait_timeout_while(self.lock(), left, |seats| still(seats));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing under this lock can panic half-way, so a poisoned one is as good as any.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Seat {
    /// Tells it to leave, if it still does what this word says.
    fn leave(&self, word: u64, now: u64) -> bool {
        let leaving = Doing::Leaving.since(now);
        if self.doing.compare_exchange(word, leaving, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return false;
        }
        // Nobody waits for a peer that does not take its answer; all others finish what has come.
        let how = if Doing::read(word).0 == Doing::Sending { Shutdown::Both } else { Shutdown::Read };
        // An error means that the client has left by itself.
        let _ = self.stream.shutdown(how);
        true
    }

    fn doing(&self) -> (Doing, u64) {
        Doing::read(self.doing.load(Ordering::Acquire))
    }
}

impl Place {
    pub(super) fn stream(&self) -> &TcpStream {
        &self.seat.stream
    }

    /// Says what we do now. Without effect once we are told to leave.
    pub(super) fn now(&self, doing: Doing) {
        self.write(doing.since(self.entry.registry.millis()));
    }

    fn write(&self, word: u64) {
        let swapped =
            self.seat.doing.compare_exchange(self.mine.get(), word, Ordering::AcqRel, Ordering::Relaxed);
        if swapped.is_ok() {
            self.mine.set(word);
        }
    }

    /// Says that a piece of an answer is sent while this runs; afterwards we do again what we did before.
    pub(super) fn while_sending<T>(&self, send: impl FnOnce() -> T) -> T {
        let (before, _) = Doing::read(self.mine.get());
        self.now(Doing::Sending);
        let result = send();
        self.now(before);
        result
    }

    /// Says that we have answered for the last time: this place is given up before any other.
    pub(super) fn is_spent(&self) {
        self.write(Doing::Idle.since(0));
    }

    /// Whether this place is one of the reserve.
    pub(super) fn is_reserved(&self) -> bool {
        self.seat.reserved
    }

    /// Whether this connection is to end after the present answer.
    pub(super) fn is_leaving(&self) -> bool {
        self.seat.doing().0 == Doing::Leaving
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut seats = self.registry.lock();
        // The place's own hold on the seat is gone already, so this closes the socket: who waits for a connection
        // to end waits for its descriptor.
        drop(seats.open.remove(&self.id));
        drop(seats);
        self.registry.ended.notify_all();
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
