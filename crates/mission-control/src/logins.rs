//! Logged-in browsers and their open event streams. Both numbers are limited: a new one ends the oldest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcr_model::secret::same;

/// The maximum number of logins. A further one removes the oldest.
const LOGINS: usize = 64;

/// The maximum number of event streams. A further one ends the oldest, whose browser reconnects. The limit is far
/// below the server's limit of connections, because each stream occupies a connection while it runs.
pub(super) const STREAMS: usize = 64;

/// The maximum number of streams including ended ones whose threads have not noticed it yet.
const STREAMS_AND_ENDED: usize = 2 * STREAMS;

/// The current logins. A restart ends them all.
#[derive(Default)]
pub(super) struct Logins(Mutex<Vec<Login>>);

/// The credentials of a browser. The browser sends the cookie to every port of the host, including those of agents.
/// Only the page knows the proof, and sends it only to this server.
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
    /// Adds a login.
    pub(super) fn add(&self) -> Login {
        let login = Login { cookie: random_hex() + &random_hex(), proof: random_hex() + &random_hex() };
        let mut logins = lock(&self.0);
        if logins.len() >= LOGINS {
            logins.remove(0);
        }
        logins.push(login.clone());
        login
    }

    /// Removes the login with this cookie and proof.
    pub(super) fn remove(&self, cookie: &str, proof: &str) {
        lock(&self.0).retain(|login| !login.is(cookie, proof));
    }

    /// Whether a login has this cookie. That is sufficient to receive the numbers of changes, and nothing else.
    pub(super) fn has(&self, cookie: &str) -> bool {
        lock(&self.0).iter().any(|login| login.has(cookie))
    }

    /// Whether a login has this cookie and this proof, so the request comes from its page.
    pub(super) fn proves(&self, cookie: &str, proof: &str) -> bool {
        lock(&self.0).iter().any(|login| login.is(cookie, proof))
    }
}

/// The open event streams.
#[derive(Default)]
pub(super) struct Streams(Mutex<OpenStreams>);

#[derive(Default)]
struct OpenStreams {
    last: u64,
    /// The streams that may continue, oldest first.
    kept: Vec<u64>,
    running: usize,
}

/// One stream's entry among the open streams, removed on drop.
pub(super) struct StreamSlot {
    streams: Arc<Streams>,
    number: u64,
}

impl Streams {
    /// Registers a stream. If there are too many, the oldest must end. Returns `None` while too many ended streams
    /// are still running.
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
    /// Whether the stream may continue.
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

/// 16 random hex digits, for request ids, nonces and halves of credentials.
pub(super) fn random_hex() -> String {
    let mut random = [0_u8; 8];
    // Without randomness no credential can be issued. The panic of the handler becomes a 500.
    getrandom::getrandom(&mut random).expect("the system has randomness once it runs");
    format!("{:016x}", u64::from_le_bytes(random))
}
