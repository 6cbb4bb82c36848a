//! Browsers that are logged in, and the event streams that are open for them. Both are few: what is too much ends what
//! is oldest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcr_model::secret::same;

/// Browsers that are logged in at the same time; the oldest is forgotten first.
const LOGINS: usize = 64;

/// Event streams at the same time; the oldest is ended first, and its browser comes again. Far fewer than the server has
/// connections, as a stream takes one for as long as it runs.
pub(super) const STREAMS: usize = 64;

/// Streams with those that are ended and have not noticed yet.
const STREAMS_AND_ENDED: usize = 2 * STREAMS;

/// Who is logged in. A restart forgets them all.
#[derive(Default)]
pub(super) struct Logins(Mutex<Vec<Login>>);

/// What a browser has of its login. It shows the cookie to every port of the host, also where an agent listens; the
/// proof is only for the page, which shows it to nobody else.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) cookie: String,
    pub(super) proof: String,
}

impl Login {
    fn has(&self, cookie: &str) -> bool {
        same(self.cookie.as_bytes(), cookie.as_bytes())
    }

    fn is(&self, cookie: &str, proof: &str) -> bool {
        self.has(cookie) & same(self.proof.as_bytes(), proof.as_bytes())
    }
}

impl Logins {
    /// Somebody is, from now on.
    pub(super) fn add(&self) -> Login {
        let login = Login { cookie: random_hex() + &random_hex(), proof: random_hex() + &random_hex() };
        let mut logins = lock(&self.0);
        if logins.len() >= LOGINS {
            logins.remove(0);
        }
        logins.push(login.clone());
        login
    }

    /// Whoever shows these is it no more.
    pub(super) fn remove(&self, cookie: &str, proof: &str) {
        lock(&self.0).retain(|login| !login.is(cookie, proof));
    }

    /// Whether the cookie belongs to somebody: enough to be told that something has changed, for nothing else.
    pub(super) fn has(&self, cookie: &str) -> bool {
        lock(&self.0).iter().any(|login| login.has(cookie))
    }

    /// Whether it is the page of somebody who is.
    pub(super) fn proves(&self, cookie: &str, proof: &str) -> bool {
        lock(&self.0).iter().any(|login| login.is(cookie, proof))
    }
}

/// The streams that are open.
#[derive(Default)]
pub(super) struct Streams(Mutex<Open>);

#[derive(Default)]
struct Open {
    last: u64,
    /// Those that may go on, oldest first.
    kept: Vec<u64>,
    running: usize,
}

/// One stream's place among them, until it is dropped.
pub(super) struct StreamSlot {
    streams: Arc<Streams>,
    number: u64,
}

impl Streams {
    /// A place for one more; the oldest loses its own if there are too many. None while those have not left yet.
    pub(super) fn enter(self: &Arc<Self>) -> Option<StreamSlot> {
        let mut open = lock(&self.0);
        if open.running >= STREAMS_AND_ENDED {
            return None;
        }
        if open.kept.len() >= STREAMS {
            open.kept.remove(0);
        }
        open.running += 1;
        open.last += 1;
        let number = open.last;
        open.kept.push(number);
        Some(StreamSlot { streams: self.clone(), number })
    }
}

impl StreamSlot {
    /// Whether the stream may go on.
    pub(super) fn is_kept(&self) -> bool {
        lock(&self.streams.0).kept.contains(&self.number)
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = lock(&self.streams.0);
        open.running -= 1;
        open.kept.retain(|number| *number != self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 16 hex digits that nobody can guess: request ids, nonces, halves of logins.
pub(super) fn random_hex() -> String {
    let mut random = [0_u8; 8];
    // Without randomness there is nothing that could be given out: the handler's panic becomes a 500.
    getrandom::fill(&mut random).expect("the system has randomness once it runs");
    format!("{:016x}", u64::from_le_bytes(random))
}
