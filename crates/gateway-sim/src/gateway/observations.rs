//! What the gateway received, for tests that check the runtime. Bounded, and separate from all decisions.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::scripted_model::Tokens;

/// The maximum number of markers with counts of their own. Further markers are not counted.
const MARKERS: usize = 1_000_000;
/// The marker must end within this many characters of a text.
const MARKER_CHARS: usize = 200;

/// The observations of one gateway.
pub struct Observations {
    pages: Mutex<Pages>,
    keep: usize,
}

#[derive(Default)]
struct Pages {
    posts: u64,
    runs: u64,
    in_flight: usize,
    most_at_once: usize,
    overlaps: u64,
    busy: HashMap<String, usize>,
    turns: HashMap<String, u64>,
    spent: Tokens,
    spent_by: HashMap<String, Tokens>,
    markers: HashMap<String, Marks>,
    seen: VecDeque<Arc<Seen>>,
    followers: usize,
    most_followers: usize,
    /// The number of crashes. Requests from before a crash have ended with it.
    life: u64,
}

/// A parsed request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The id of its response.
    pub run: String,
    /// Its agent.
    pub agent: String,
    /// Its session, by the gateway's name.
    pub session: String,
    /// Its instructions, including its system messages.
    pub instructions: String,
    /// The names of its tools, whether offered or not.
    pub tools: Vec<String>,
    /// Its input as one text.
    pub text: String,
    /// Whether it requests events.
    pub stream: bool,
}

/// The counts of one marker. A text that starts with `[word …]` has the marker `word`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Requests.
    pub posts: u64,
    /// Calls of the model.
    pub runs: u64,
    /// Answers in the history.
    pub answers: u64,
    /// Runs with which a restarted gateway resumed a turn. Each may leave one more answer.
    pub resumptions: u64,
}

/// The marker at the start of a text.
pub fn marker(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?;
    let end = rest.char_indices().take(MARKER_CHARS).find(|(_, c)| *c == ']')?.0;
    rest[..end].split(' ').next().filter(|word| !word.is_empty())
}

impl Observations {
    pub(super) fn new(keep: usize) -> Self {
        Self { pages: Mutex::default(), keep }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the start of a request. It ends when the value is dropped.
    pub(super) fn enter(self: &Arc<Self>, seen: Seen) -> Visit {
        let mut pages = self.pages();
        pages.posts += 1;
        pages.in_flight += 1;
        pages.most_at_once = pages.most_at_once.max(pages.in_flight);
        let here = pages.busy.entry(seen.session.clone()).or_default();
        *here += 1;
        let overlaps = *here > 1 && !seen.session.is_empty();
        pages.overlaps += u64::from(overlaps);
        pages.note(&seen.text, |marks| marks.posts += 1);
        let seen = Arc::new(seen);
        if self.keep > 0 {
            if pages.seen.len() == self.keep {
                pages.seen.pop_front();
            }
            pages.seen.push_back(Arc::clone(&seen));
        }
        let life = pages.life;
        drop(pages);
        Visit { observations: Arc::clone(self), seen, life, by_client: true, spent: Cell::default() }
    }

    /// Records a WebSocket client that follows sessions, until the value is dropped.
    pub(super) fn follow(this: &Arc<Self>) -> Follower {
        let mut pages = this.pages();
        pages.followers += 1;
        pages.most_followers = pages.most_followers.max(pages.followers);
        drop(pages);
        Follower(Arc::clone(this))
    }

    /// The number of WebSocket clients that follow sessions.
    pub fn followers(&self) -> usize {
        self.pages().followers
    }

    /// The maximum number of WebSocket clients that followed sessions at once.
    pub fn most_followers(&self) -> usize {
        self.pages().most_followers
    }

    /// Records a crash: no request is in progress any more.
    pub(super) fn killed(&self) {
        let mut pages = self.pages();
        pages.life += 1;
        pages.in_flight = 0;
        pages.busy.clear();
    }

    /// Records the start of a resumed turn, which no client requested.
    pub(super) fn resume(self: &Arc<Self>, seen: Seen) -> Visit {
        let mut pages = self.pages();
        pages.note(&seen.text, |marks| marks.resumptions += 1);
        let life = pages.life;
        drop(pages);
        let spent = Cell::default();
        Visit { observations: Arc::clone(self), seen: Arc::new(seen), life, by_client: false, spent }
    }

    /// The last parsed requests, oldest first.
    pub fn requests(&self) -> Vec<Arc<Seen>> {
        self.pages().seen.iter().cloned().collect()
    }

    /// The number of parsed requests.
    pub fn posts(&self) -> u64 {
        self.pages().posts
    }

    /// The number of calls of the model.
    pub fn runs(&self) -> u64 {
        self.pages().runs
    }

    /// The number of turns of a session that called the model.
    pub fn turns(&self, session: &str) -> u64 {
        self.pages().turns.get(session).copied().unwrap_or(0)
    }

    /// The number of requests in progress.
    pub fn in_flight(&self) -> usize {
        self.pages().in_flight
    }

    /// The maximum number of concurrent requests.
    pub fn most_at_once(&self) -> usize {
        self.pages().most_at_once
    }

    /// The number of requests to a session with a request in progress. It is 0 if the client serializes its sessions.
    pub fn overlaps(&self) -> u64 {
        self.pages().overlaps
    }

    /// The reported usage of all finished model calls.
    pub fn spent(&self) -> Tokens {
        self.pages().spent
    }

    /// The reported usage of an agent's finished model calls.
    pub fn spent_by(&self, agent: &str) -> Tokens {
        self.pages().spent_by.get(agent).copied().unwrap_or_default()
    }

    /// The counts of a marker.
    pub fn marks(&self, marker: &str) -> Marks {
        self.pages().markers.get(marker).copied().unwrap_or_default()
    }

    /// The counts of all markers.
    pub fn markers(&self) -> HashMap<String, Marks> {
        self.pages().markers.clone()
    }
}

impl Pages {
    fn note(&mut self, text: &str, change: impl FnOnce(&mut Marks)) {
        let Some(word) = marker(text) else { return };
        if let Some(marks) = self.markers.get_mut(word) {
            change(marks);
        } else if self.markers.len() < MARKERS {
            change(self.markers.entry(word.to_owned()).or_default());
        }
    }
}

/// A WebSocket client that follows sessions.
pub(super) struct Follower(Arc<Observations>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.pages().followers -= 1;
    }
}

/// A request in progress.
pub(super) struct Visit {
    observations: Arc<Observations>,
    seen: Arc<Seen>,
    /// The lifetime of the gateway in which the request started.
    life: u64,
    /// Whether a client requested it.
    by_client: bool,
    /// The reported usage of its model calls.
    spent: Cell<Tokens>,
}

impl Visit {
    /// Records a call of the model. A repeated call for the same turn does not count as a turn.
    pub(super) fn asked(&self, again: bool) {
        let mut pages = self.observations.pages();
        pages.runs += 1;
        if !again {
            *pages.turns.entry(self.seen.session.clone()).or_default() += 1;
        }
        pages.note(&self.seen.text, |marks| marks.runs += 1);
    }

    /// Records the reported usage of a finished model call.
    pub(super) fn spent(&self, tokens: Tokens) {
        self.spent.set(self.spent.get().plus(tokens));
        let mut pages = self.observations.pages();
        pages.spent = pages.spent.plus(tokens);
        let by_agent = pages.spent_by.entry(self.seen.agent.clone()).or_default();
        *by_agent = by_agent.plus(tokens);
    }

    /// The reported usage of the request so far.
    pub(super) fn all_spent(&self) -> Tokens {
        self.spent.get()
    }

    /// Records an answer in the history. An answer from before a crash is in no history and does not count.
    pub(super) fn answered(&self) {
        let mut pages = self.observations.pages();
        if self.life == pages.life {
            pages.note(&self.seen.text, |marks| marks.answers += 1);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut pages = self.observations.pages();
        if !self.by_client || self.life != pages.life {
            return;
        }
        pages.in_flight -= 1;
        if let Some(here) = pages.busy.get_mut(&self.seen.session) {
            *here -= 1;
            if *here == 0 {
                pages.busy.remove(&self.seen.session);
            }
        }
    }
}
