//! The sessions: what each remembers, and one turn at a time in each (openclaw-gateway §8).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::LOOK;
use super::transcript::{Entry, Item};

/// All sessions of a gateway.
pub(super) struct Sessions {
    named: Mutex<HashMap<String, Arc<Session>>>,
    /// How many entries each keeps at least, if it has had as many.
    keep: usize,
}

/// One session.
pub(super) struct Session {
    pub(super) name: String,
    keep: usize,
    state: Mutex<State>,
    /// Something was written, or a turn has ended.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: Arc<Vec<Entry>>,
    /// How many were forgotten.
    dropped: u64,
    /// Moves when an entry is taken back.
    era: u64,
    /// The last entry is of a turn that the client gave up.
    abandoned: bool,
    seat: Seated,
    /// The run that the model is asked for.
    run: Option<String>,
    /// Somebody has ended it.
    aborted: bool,
    /// How the last run stands, if there was one.
    status: Option<Status>,
    /// A restart has cut the last run off; it is resumed unless somebody asks for something first.
    cut_off: bool,
    finished: u64,
    arrived: u64,
    waiting: VecDeque<u64>,
}

/// Whose run is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Seated {
    #[default]
    Nobody,
    /// Somebody asked for it.
    Client,
    /// The gateway has resumed it.
    Recovery,
}

/// How a session's last run stands, in the words of `sessions_list` (openclaw-gateway §11.4).
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

/// What a session remembers at one moment.
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

/// Why there is no turn.
pub(super) enum NoTurn {
    /// A first turn has just begun, or one is being resumed, and the session is not ready for another.
    Conflict,
    /// The client is gone.
    Gone,
}

impl Sessions {
    pub(super) fn new(keep: usize) -> Self {
        Self { named: Mutex::default(), keep }
    }

    /// The session of this name, made if there is none.
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
        // Without a memory, one that nobody can ask for again need not be found.
        if self.keep > 0 || !name.contains(":openresponses:") {
            named.insert(name.to_owned(), Arc::clone(&session));
        }
        session
    }

    /// The sessions as they are at this moment, for a gateway that takes the place of this one: what runs is cut off.
    pub(super) fn inherited(&self) -> Self {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let heir = |session: &Arc<Session>| {
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
        let heirs = named.iter().map(|(name, session)| (name.clone(), heir(session))).collect();
        Self { named: Mutex::new(heirs), keep: self.keep }
    }

    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = named.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The session of this name, if it has anything to remember.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Session>> {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.get(name).filter(|session| session.view().last() > 0).cloned()
    }
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn, in the order of arrival. With `fresh_conflicts`, a turn that meets a first one fails.
    pub(super) fn enter(
        &self,
        fresh_conflicts: bool,
        is_open: &mut dyn FnMut() -> bool,
    ) -> Result<Seat<'_>, NoTurn> {
        let mut state = self.state();
        if state.seat == Seated::Recovery {
            return Err(NoTurn::Conflict);
        }
        if fresh_conflicts && state.seat == Seated::Client && state.finished == 0 && state.dropped == 0 {
            return Err(NoTurn::Conflict);
        }
        state.arrived += 1;
        let ticket = state.arrived;
        state.waiting.push_back(ticket);
        while state.seat != Seated::Nobody || state.waiting.front() != Some(&ticket) {
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            if !is_open() {
                state.waiting.retain(|waiting| *waiting != ticket);
                self.changed.notify_all();
                return Err(NoTurn::Gone);
            }
        }
        state.waiting.pop_front();
        state.seat = Seated::Client;
        // Whoever comes first replaces the recovery, and what was cut off is as good as abandoned.
        if std::mem::take(&mut state.cut_off) {
            state.abandoned = true;
        }
        Ok(Seat { session: self })
    }

    /// Takes its seat for a run that was cut off, unless somebody was here since.
    pub(super) fn resume(&self) -> Option<Seat<'_>> {
        let mut state = self.state();
        if state.seat != Seated::Nobody || !std::mem::take(&mut state.cut_off) {
            return None;
        }
        state.seat = Seated::Recovery;
        Some(Seat { session: self })
    }

    /// How its last run stands.
    pub(super) fn status(&self) -> Option<Status> {
        self.state().status
    }

    /// The run that is under way.
    pub(super) fn in_flight(&self) -> Option<String> {
        self.state().run.clone()
    }

    /// Ends the run that is under way, if it is this one; which it was.
    pub(super) fn abort(&self, run: Option<&str>) -> Option<String> {
        let mut state = self.state();
        let found = state.run.clone().filter(|now| run.is_none_or(|run| run == now));
        state.aborted |= found.is_some();
        found
    }

    /// What it remembers.
    pub(super) fn view(&self) -> SessionView {
        let state = self.state();
        SessionView { entries: Arc::clone(&state.entries), dropped: state.dropped, era: state.era }
    }

    /// Waits until there is more than was seen, or for so long.
    pub(super) fn wait_for_more(&self, seen: &SessionView, longest: Duration) -> SessionView {
        let same = |state: &mut State| {
            state.era == seen.era && state.dropped + state.entries.len() as u64 == seen.last()
        };
        let waited = self.changed.wait_timeout_while(self.state(), longest, same);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.view()
    }
}

/// The one turn of a session that is under way.
pub(super) struct Seat<'a> {
    session: &'a Session,
}

impl Seat<'_> {
    /// What the session remembers.
    pub(super) fn remembered(&self) -> Arc<Vec<Entry>> {
        self.session.view().entries
    }

    /// Takes back what an abandoned turn had said, if that was the last thing.
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

    /// The model is asked for this run from now on.
    pub(super) fn runs(&self, run: &str) {
        let mut state = self.session.state();
        state.run = Some(run.to_owned());
        state.aborted = false;
    }

    /// Whether somebody has ended the run.
    pub(super) fn is_aborted(&self) -> bool {
        self.session.state().aborted
    }

    /// How the run stands from now on.
    pub(super) fn stands(&self, status: Status) {
        self.session.state().status = Some(status);
    }

    /// The client has given this turn up.
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
            let forgotten = entries.len() - keep;
            entries.drain(..forgotten);
            state.dropped += forgotten as u64;
        }
        drop(state);
        self.session.changed.notify_all();
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.seat = Seated::Nobody;
        state.run = None;
        state.finished += 1;
        drop(state);
        self.session.changed.notify_all();
    }
}

/// How many runs there may be at once, over all sessions.
pub(super) struct Slots {
    free: Mutex<usize>,
    more: Condvar,
}

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self { free: Mutex::new(most.max(1)), more: Condvar::new() }
    }

    /// Waits for a place; nothing if the client is gone before.
    pub(super) fn enter(&self, is_open: &mut dyn FnMut() -> bool) -> Option<Slot<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            free = self.more.wait_timeout(free, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            if *free == 0 && !is_open() {
                return None;
            }
        }
        *free -= 1;
        Some(Slot { slots: self })
    }
}

/// A place among the runs.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.slots.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.slots.more.notify_one();
    }
}
