//! The sessions: a transcript for each, and one turn at a time in each (openclaw-gateway §8).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::POLL_INTERVAL;
use super::transcript::{Entry, Item};

/// All sessions of a gateway.
pub(super) struct Sessions {
    named: Mutex<HashMap<String, Arc<Session>>>,
    /// The minimum number of entries each session keeps.
    keep: usize,
}

/// One session.
pub(super) struct Session {
    pub(super) name: String,
    keep: usize,
    state: Mutex<State>,
    /// An entry was written, or a turn has ended.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: Arc<Vec<Entry>>,
    /// The number of discarded entries.
    dropped: u64,
    /// Incremented when an entry is retracted.
    era: u64,
    /// The last entry belongs to a turn that the client abandoned.
    abandoned: bool,
    session_slot: RunningFor,
    /// The run in progress.
    run: Option<String>,
    /// A client has aborted the run.
    aborted: bool,
    /// The status of the last run, if there was one.
    status: Option<Status>,
    /// A restart has interrupted the last run. It is resumed unless a client sends a request first.
    cut_off: bool,
    finished: u64,
    arrived: u64,
    waiting: VecDeque<u64>,
}

/// Who started the run in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RunningFor {
    #[default]
    None,
    /// A client requested it.
    Client,
    /// The gateway resumed it.
    Recovery,
}

/// The status of a session's last run, in the words of `sessions_list` (openclaw-gateway §11.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Queued,
    Running,
    Done,
    Killed,
    Failed,
    Timeout,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Killed => "killed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
        }
    }
}

/// A snapshot of a session's transcript.
#[derive(Clone)]
pub(super) struct SessionView {
    pub(super) entries: Arc<Vec<Entry>>,
    pub(super) dropped: u64,
    pub(super) era: u64,
}

impl SessionView {
    /// The number of the last entry.
    pub(super) fn last(&self) -> u64 {
        self.dropped + self.entries.len() as u64
    }
}

/// Why a turn cannot start.
pub(super) enum NoTurn {
    /// A first turn or a resumed turn is in progress, and the session is not ready for another.
    Conflict,
    /// The client has disconnected.
    Gone,
}

impl Sessions {
    pub(super) fn new(keep: usize) -> Self {
        Self { named: Mutex::default(), keep }
    }

    /// The session of this name. It is created if it is missing.
    pub(super) fn of(&self, name: &str) -> Arc<Session> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = named.get(name) {
            return Arc::clone(session);
        }
        let session = Arc::new(Session {
            name: name.to_owned(),
            keep: self.keep,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        // Without transcripts, an anonymous session cannot be requested again and need not be found.
        if self.keep > 0 || !name.contains(":openresponses:") {
            named.insert(name.to_owned(), Arc::clone(&session));
        }
        session
    }

    /// A copy of all sessions for a restarted gateway. Running turns are marked as interrupted.
    pub(super) fn inherited(&self) -> Self {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let successor = |session: &Arc<Session>| {
            let state = session.state();
            let cut_off = state.status == Some(Status::Running);
            let state = State {
                entries: Arc::clone(&state.entries),
                dropped: state.dropped,
                era: state.era,
                abandoned: state.abandoned,
                status: state.status,
                cut_off,
                finished: state.finished.max(1),
                ..State::default()
            };
            Arc::new(Session {
                name: session.name.clone(),
                keep: session.keep,
                state: Mutex::new(state),
                changed: Condvar::new(),
            })
        };
        let successors = named.iter().map(|(name, session)| (name.clone(), successor(session))).collect();
        Self { named: Mutex::new(successors), keep: self.keep }
    }

    /// All sessions, by name.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = named.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The session of this name, if it has entries.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Session>> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.get(name).filter(|session| session.view().last() > 0).cloned()
    }
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn, in order of arrival. With `fresh_conflicts`, a turn during the session's first turn fails.
    pub(super) fn enter(
        &self,
        fresh_conflicts: bool,
        is_open: &mut dyn FnMut() -> bool,
    ) -> Result<SessionSlot<'_>, NoTurn> {
        let mut state = self.state();
        if state.session_slot == RunningFor::Recovery {
            return Err(NoTurn::Conflict);
        }
        if fresh_conflicts
            && state.session_slot == RunningFor::Client
            && state.finished == 0
            && state.dropped == 0
        {
            return Err(NoTurn::Conflict);
        }
        state.arrived += 1;
        let ticket = state.arrived;
        state.waiting.push_back(ticket);
        while state.session_slot != RunningFor::None || state.waiting.front() != Some(&ticket) {
            state = self.changed.wait_timeout(state, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
            if !is_open() {
                state.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(NoTurn::Gone);
            }
        }
        state.waiting.pop_front();
        state.session_slot = RunningFor::Client;
        // The first request replaces the recovery. The interrupted turn counts as abandoned.
        if std::mem::take(&mut state.cut_off) {
            state.abandoned = true;
        }
        Ok(SessionSlot { session: self })
    }

    /// Starts the recovery of an interrupted run, unless another run started since.
    pub(super) fn resume(&self) -> Option<SessionSlot<'_>> {
        let mut state = self.state();
        if state.session_slot != RunningFor::None || !std::mem::take(&mut state.cut_off) {
            return None;
        }
        state.session_slot = RunningFor::Recovery;
        Some(SessionSlot { session: self })
    }

    /// The status of its last run.
    pub(super) fn status(&self) -> Option<Status> {
        self.state().status
    }

    /// The run in progress.
    pub(super) fn in_flight(&self) -> Option<String> {
        self.state().run.clone()
    }

    /// Aborts the run in progress, if it is this one. Returns its id.
    pub(super) fn abort(&self, run: Option<&str>) -> Option<String> {
        let mut state = self.state();
        let found = state.run.clone().filter(|now| run.is_none_or(|run| run == now));
        state.aborted |= found.is_some();
        found
    }

    /// A snapshot of its transcript.
    pub(super) fn view(&self) -> SessionView {
        let state = self.state();
        SessionView { entries: Arc::clone(&state.entries), dropped: state.dropped, era: state.era }
    }

    /// Waits for new entries, at most for this time.
    pub(super) fn wait_for_more(&self, seen: &SessionView, longest: Duration) -> SessionView {
        let same = |state: &mut State| {
            state.era == seen.era && state.dropped + state.entries.len() as u64 == seen.last()
        };
        let waited = self.changed.wait_timeout_while(self.state(), longest, same);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.view()
    }
}

/// The one turn in progress of a session.
pub(super) struct SessionSlot<'a> {
    session: &'a Session,
}

impl SessionSlot<'_> {
    /// The transcript of the session.
    pub(super) fn remembered(&self) -> Arc<Vec<Entry>> {
        self.session.view().entries
    }

    /// Retracts the text of an abandoned turn, if it is the last entry.
    pub(super) fn take_abandoned(&self) -> Option<String> {
        let mut state = self.session.state();
        let was = std::mem::take(&mut state.abandoned);
        let Some(Item::User(text)) = state.entries.last().map(|entry| &entry.item).filter(|_| was) else {
            return None;
        };
        let text = text.clone();
        Arc::make_mut(&mut state.entries).pop();
        state.era += 1;
        Some(text)
    }

    /// Records the start of this run.
    pub(super) fn runs(&self, run: &str) {
        let mut state = self.session.state();
        state.run = Some(run.to_owned());
        state.aborted = false;
    }

    /// Whether a client has aborted the run.
    pub(super) fn is_aborted(&self) -> bool {
        self.session.state().aborted
    }

    /// Sets the status of the run.
    pub(super) fn set_status(&self, status: Status) {
        self.session.state().status = Some(status);
    }

    /// Records that the client abandoned this turn.
    pub(super) fn abandon(&self) {
        self.session.state().abandoned = true;
    }

    /// Writes an entry.
    pub(super) fn write(&self, entry: Entry) {
        let keep = self.session.keep;
        if keep == 0 {
            return;
        }
        let mut state = self.session.state();
        let entries = Arc::make_mut(&mut state.entries);
        entries.push(entry);
        if entries.len() >= keep.saturating_mul(2) {
            let discarded = entries.len() - keep;
            entries.drain(..discarded);
            state.dropped += discarded as u64;
        }
        drop(state);
        self.session.changed.notify_all();
    }
}

impl Drop for SessionSlot<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.session_slot = RunningFor::None;
        state.run = None;
        state.finished += 1;
        drop(state);
        self.session.changed.notify_all();
    }
}

/// Bounds the number of concurrent runs over all sessions.
pub(super) struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self { free: Mutex::new(most.max(1)), freed: Condvar::new() }
    }

    /// Waits for a slot. Returns `None` if the client disconnects first.
    pub(super) fn enter(&self, is_open: &mut dyn FnMut() -> bool) -> Option<Slot<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.freed.wait_timeout(free, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner).0;
            if *free == 0 && !is_open() {
                return None;
            }
        }
        *free -= 1;
        Some(Slot { slots: self })
    }
}

/// A slot for one run.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.slots.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.slots.freed.notify_one();
    }
}
