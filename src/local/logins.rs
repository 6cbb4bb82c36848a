//! Browsers that are logged in, and the event streams that are open for them. Both are few: what is too much ends what
//! is oldest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::auth::same;

/// Browsers that are logged in at the same time; the oldest is forgotten first.
const LOGINS: usize = 64;

/// Event streams at the same time; the oldest is ended first, and its browser comes again. Far fewer than the server has
/// connections, as a stream takes one for as long as it runs.
pub(super) const STREAMS: usize = 64;

/// Streams with those that are ended and have not noticed yet.
const STREAMS_AND_ENDED: usize = 2 * STREAMS;

/// Who is logged in. A restart forgets them all.
#[derive(Default)]
pub(super) struct Logins(Mutex<Vec<String>>);

impl Logins {
    /// Somebody is, and shows it by this from now on.
    pub(super) fn add(&self) -> String {
        let login = random_hex() + &random_hex();
        let mut logins = lock(&self.0);
        if logins.len() >= LOGINS {
            logins.remove(0);
        }
        logins.push(login.clone());
        login
    }

    /// Nobody is by this any more.
    pub(super) fn remove(&self, shown: &str) {
        lock(&self.0).retain(|login| !same(login.as_bytes(), shown.as_bytes()));
    }

    /// Whether somebody is.
    pub(super) fn has(&self, shown: &str) -> bool {
        lock(&self.0).iter().any(|login| same(login.as_bytes(), shown.as_bytes()))
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
pub(super) struct Place {
    streams: Arc<Streams>,
    number: u64,
}

impl Streams {
    /// A place for one more; the oldest loses its own if there are too many. None while those have not left yet.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
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
        Some(Place { streams: self.clone(), number })
    }
}

impl Place {
    /// Whether the stream may go on.
    pub(super) fn is_kept(&self) -> bool {
        lock(&self.streams.0).kept.contains(&self.number)
    }
}

impl Drop for Place {
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
