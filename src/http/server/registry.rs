//! Who is connected, and who has to go when somebody new comes.
//!
//! A connection's own thread and the accepting thread agree by one atomic word per connection, so that a request
//! costs no lock. The word only changes by compare-and-swap, so exactly one of the two wins:
//!
//! ```text
//!            first byte            whole request             answered
//!   Idle ───────────────► Reading ───────────────► Busy ───────────────► Idle …
//!     └──────► Leaving ◄─────┘ (too slow)
//! ```
//!
//! Whoever is told to leave has its *reading* side shut down: it still finds the bytes that had already come. A
//! request that arrived in that very moment is therefore served, and only then is the connection closed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::limits::Limits;

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
    /// Making or sending an answer.
    Busy,
    /// Told to leave.
    Leaving,
}

impl Doing {
    const ALL: [Self; 4] = [Self::Idle, Self::Reading, Self::Busy, Self::Leaving];

    /// What, and since when: the two low bits and the milliseconds above them.
    fn since(self, millis: u64) -> u64 {
        (millis << 2) | self as u64
    }

    fn read(word: u64) -> (Self, u64) {
        (Self::ALL[(word & 3) as usize], word >> 2)
    }
}

/// One connection as others see it.
struct Seat {
    stream: TcpStream,
    doing: AtomicU64,
}

/// All connections.
pub(super) struct Registry {
    seats: Mutex<Seats>,
    /// A connection ended, or the acceptor did.
    ended: Condvar,
    born: Instant,
    cap: usize,
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
    /// Every place is taken by a request in progress.
    Full(TcpStream),
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
    pub(super) fn new(limits: &Limits) -> Self {
        let seats = Seats { open: BTreeMap::new(), next: 0, closed: false, accepting: true };
        Self {
            seats: Mutex::new(seats),
            ended: Condvar::new(),
            born: Instant::now(),
            cap: limits.connections,
            patience: limits.patience,
        }
    }

    /// Gives a new connection a place, at the cost of the connection that needs its own least.
    pub(super) fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> Admission {
        let mut seats = self.lock();
        if seats.open.len() >= self.cap && !self.make_room(&seats, self.cap) {
            return Admission::Full(stream);
        }
        if seats.open.len() >= self.cap + LEAVING_AT_ONCE {
            let crowded = |seats: &mut Seats| seats.open.len() >= self.cap + LEAVING_AT_ONCE;
            let waited = self.ended.wait_timeout_while(seats, WAY_OUT, crowded);
            seats = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if seats.closed {
            return Admission::Closed;
        }
        if seats.open.len() >= self.cap + LEAVING_AT_ONCE {
            return Admission::Full(stream);
        }
        let word = Doing::Idle.since(self.millis());
        let seat = Arc::new(Seat { stream, doing: AtomicU64::new(word) });
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
            let _ = (0..idle.div_ceil(8).max(1)).all(|_| self.make_room(&seats, 0));
        }
        let all_stay = |seats: &mut Seats| seats.open.len() >= before && !seats.closed;
        drop(self.ended.wait_timeout_while(seats, WAY_OUT, all_stay));
    }

    /// Makes room for one more if there is none: the longest idle goes first; if none is idle, the one that has
    /// been sending one request for longest. Whoever already leaves does not count.
    fn make_room(&self, seats: &Seats, cap: usize) -> bool {
        let now = self.millis();
        let patience = u64::try_from(self.patience.as_millis()).unwrap_or(u64::MAX);
        // A candidate may get busy between the look and the swap; then the next best is tried.
        loop {
            let mut staying = 0;
            let mut best: Option<((u8, u64), u64, &Seat)> = None;
            for seat in seats.open.values() {
                let word = seat.doing.load(Ordering::Acquire);
                let (doing, since) = Doing::read(word);
                let rank = match doing {
                    Doing::Leaving => continue,
                    Doing::Idle => Some((0, since)),
                    Doing::Reading if now.saturating_sub(since) >= patience => Some((1, since)),
                    Doing::Reading | Doing::Busy => None,
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
            let leaving = Doing::Leaving.since(now);
            if seat.doing.compare_exchange(word, leaving, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                // An error means that the client has left by itself.
                let _ = seat.stream.shutdown(Shutdown::Read);
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
        let word = doing.since(self.entry.registry.millis());
        let swapped =
            self.seat.doing.compare_exchange(self.mine.get(), word, Ordering::AcqRel, Ordering::Relaxed);
        if swapped.is_ok() {
            self.mine.set(word);
        }
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
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A registry of two places that loses patience after `patience`.
    fn two_places(patience: Duration) -> (Arc<Registry>, TcpListener) {
        let limits = Limits { connections: 2, patience, ..Limits::default() };
        (Arc::new(Registry::new(&limits)), TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// A new client, and the place it gets.
    fn come(registry: &Arc<Registry>, listener: &TcpListener) -> (TcpStream, Option<Place>) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        match registry.admit(stream, peer) {
            Admission::Admitted(place) => (client, Some(place)),
            Admission::Full(_) | Admission::Closed => (client, None),
        }
    }

    /// A later millisecond than now, so that ages differ.
    fn grow_older(registry: &Registry) {
        let now = registry.millis();
        while registry.millis() == now {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_longest_idle_leaves_and_the_busy_stay() {
        let (registry, listener) = two_places(Duration::MAX);
        let (_one, Some(first)) = come(&registry, &listener) else { panic!("no place") };
        grow_older(&registry);
        let (_two, Some(second)) = come(&registry, &listener) else { panic!("no place") };
        first.now(Doing::Busy);
        let (_three, Some(third)) = come(&registry, &listener) else { panic!("no place") };
        assert_eq!((first.is_leaving(), second.is_leaving()), (false, true));
        third.now(Doing::Reading);
        let (_four, none) = come(&registry, &listener);
        assert!(none.is_none(), "one is busy, one is sending a request, one leaves already");
        drop(second);
        assert!(come(&registry, &listener).1.is_none(), "two stay, and that is the cap");
        drop(first);
        assert!(come(&registry, &listener).1.is_some());
    }

    #[test]
    fn a_slow_request_makes_room_only_when_nobody_is_idle() {
        let (registry, listener) = two_places(Duration::ZERO);
        let (_one, Some(slow)) = come(&registry, &listener) else { panic!("no place") };
        slow.now(Doing::Reading);
        grow_older(&registry);
        let (_two, Some(idle)) = come(&registry, &listener) else { panic!("no place") };
        let (_three, Some(third)) = come(&registry, &listener) else { panic!("no place") };
        assert_eq!((slow.is_leaving(), idle.is_leaving()), (false, true));
        third.now(Doing::Busy);
        assert!(come(&registry, &listener).1.is_some());
        assert!(slow.is_leaving());
    }

    #[test]
    fn a_request_that_had_come_is_still_read_by_who_has_to_leave() {
        let (registry, listener) = two_places(Duration::MAX);
        let (mut client, Some(place)) = come(&registry, &listener) else { panic!("no place") };
        client.write_all(b"request").unwrap();
        place.stream().peek(&mut [0]).unwrap();
        registry.make_way();
        place.now(Doing::Reading);
        assert!(place.is_leaving(), "what was decided stays decided");
        let mut heard = Vec::new();
        place.stream().read_to_end(&mut heard).unwrap();
        assert_eq!(heard, b"request");
        place.stream().write_all(b"answer").unwrap();
        drop(place);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(registry.open(), 0);
    }

    #[test]
    fn making_way_costs_an_eighth_of_the_idle_and_waits_for_one_to_end() {
        let limits = Limits { connections: 100, patience: Duration::MAX, ..Limits::default() };
        let registry = Arc::new(Registry::new(&limits));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let come = || {
            grow_older(&registry);
            come(&registry, &listener)
        };
        let (clients, mut places): (Vec<_>, Vec<_>) = (0..17).map(|_| come()).unzip();
        let leaving = |places: &[Option<Place>]| {
            places.iter().flatten().map(|place| usize::from(place.is_leaving())).sum::<usize>()
        };
        let start = Instant::now();
        registry.make_way();
        assert!(start.elapsed() >= WAY_OUT, "nobody ended");
        assert_eq!(leaving(&places[..3]), 3, "the three oldest of seventeen");
        assert_eq!(leaving(&places), 3);
        // Now they are late, so others have to go: two of fourteen. The first to end ends the wait.
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| registry.make_way());
            while leaving(&places[3..]) < 2 {
                std::thread::yield_now();
            }
            places[3] = None;
            waiting.join().unwrap();
        });
        assert_eq!(leaving(&places[3..]), 1, "the other one of the two; nobody else");
        drop(clients);
    }

    #[test]
    fn what_and_since_when_fit_one_word() {
        for doing in Doing::ALL {
            assert_eq!(Doing::read(doing.since(1234)), (doing, 1234));
        }
    }
}
