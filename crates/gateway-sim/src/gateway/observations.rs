//! What the gateway saw, for whoever checks the runtime: kept apart from everything that decides, and bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Markers counted apart; those above are not counted.
const MARKERS: usize = 1_000_000;
/// Characters of a text in which its marker must end.
const MARKER_CHARS: usize = 200;

/// The books of one gateway.
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
    markers: HashMap<String, Marks>,
    seen: VecDeque<Arc<Seen>>,
    /// How often the gateway was killed: requests of an earlier life have ended with it.
    life: u64,
}

/// A request that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The id of its response.
    pub run: String,
    /// Its agent.
    pub agent: String,
    /// Its session, as the gateway names it.
    pub session: String,
    /// Its instructions, with its system messages.
    pub instructions: String,
    /// The names of its tools, whether they are offered or not.
    pub tools: Vec<String>,
    /// What it says, as one text.
    pub text: String,
    /// Whether it wants events.
    pub stream: bool,
}

/// What happened under one marker: a text that begins with `[word …]` is of the marker `word`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Requests.
    pub posts: u64,
    /// Times that the model was asked.
    pub runs: u64,
    /// Answers that are in the history.
    pub answers: u64,
}

/// The word of the marker that a text begins with.
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

    /// A request begins; it ends with the value.
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
        Visit { books: Arc::clone(self), seen, life, asked_for: true }
    }

    /// The gateway was killed: nothing is under way any more.
    pub(super) fn killed(&self) {
        let mut pages = self.pages();
        pages.life += 1;
        pages.in_flight = 0;
        pages.busy.clear();
    }

    /// A turn begins that nobody has asked for.
    pub(super) fn resume(self: &Arc<Self>, seen: Seen) -> Visit {
        let life = self.pages().life;
        Visit { books: Arc::clone(self), seen: Arc::new(seen), life, asked_for: false }
    }

    /// The last requests that were understood, oldest first.
    pub fn requests(&self) -> Vec<Arc<Seen>> {
        self.pages().seen.iter().cloned().collect()
    }

    /// How many requests were understood.
    pub fn posts(&self) -> u64 {
        self.pages().posts
    }

    /// How often the model was asked.
    pub fn runs(&self) -> u64 {
        self.pages().runs
    }

    /// How many turns of a session the model was asked for.
    pub fn turns(&self, session: &str) -> u64 {
        self.pages().turns.get(session).copied().unwrap_or(0)
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> usize {
        self.pages().in_flight
    }

    /// How many requests there were at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.pages().most_at_once
    }

    /// How often a request came to a session that already had one: always 0, if the client keeps its promise.
    pub fn overlaps(&self) -> u64 {
        self.pages().overlaps
    }

    /// What happened under a marker.
    pub fn marks(&self, marker: &str) -> Marks {
        self.pages().markers.get(marker).copied().unwrap_or_default()
    }

    /// What happened under every marker.
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

/// A request under way.
pub(super) struct Visit {
    books: Arc<Observations>,
    seen: Arc<Seen>,
    /// The life of the gateway in which it began.
    life: u64,
    /// A client asked for it.
    asked_for: bool,
}

impl Visit {
    /// The model is asked; a second time for the same turn is no turn.
    pub(super) fn asked(&self, again: bool) {
        let mut pages = self.books.pages();
        pages.runs += 1;
        if !again {
            *pages.turns.entry(self.seen.session.clone()).or_default() += 1;
        }
        pages.note(&self.seen.text, |marks| marks.runs += 1);
    }

    /// The answer is in the history. What a killed gateway's model still says is in no history, and does not count.
    pub(super) fn answered(&self) {
        let mut pages = self.books.pages();
        if self.life == pages.life {
            pages.note(&self.seen.text, |marks| marks.answers += 1);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut pages = self.books.pages();
        if !self.asked_for || self.life != pages.life {
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
