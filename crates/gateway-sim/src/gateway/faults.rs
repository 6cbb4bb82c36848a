//! How the gateway is told to misbehave: once, for one session, or from now on.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One way to misbehave, and how far the turn gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing is run: 200 with a web page.
    Html,
    /// Nothing is run: a proxy's `502 Bad Gateway`.
    BadGateway,
    /// Nothing is run: 429 with `Retry-After`, as after too many failed logins.
    TooManyLogins(Duration),
    /// Nothing is run, and the connection ends without an answer.
    HangUp,
    /// The request waits for [`Faults::release`] before anything is run.
    StallBefore,
    /// All of it is run, and the connection ends without an answer.
    LoseAnswer,
    /// All of it is run, and the connection ends after half of the answer.
    HalfAnswer,
    /// All of it is run, and the connection ends after so many events; without events as [`Fault::HalfAnswer`].
    CutAfter(usize),
    /// All of it is run, and the answer waits for [`Faults::release`]; of events the first four come.
    StallAfter,
    /// All of it is run, and the first byte comes so much later.
    SlowFirstByte(Duration),
    /// All of it is run, and the text of the answer has so many bytes more.
    Huge(usize),
    /// All of it is run, and the answer never ends.
    Endless,
    /// All of it is run, and the answer is no JSON.
    NotJson,
    /// All of it is run, and an event stream says that it failed, since text was taken back.
    AppendOnly,
    /// All of it is run, and the answer says that it failed: code and message.
    Failed(&'static str, &'static str),
    /// All of it is run, and there are reasoning and commentary besides the answer.
    ExtraItems,
    /// The model is not asked: the answer is this error, as if the agent had said it.
    ErrorAsText(&'static str),
    /// The model is not asked: it calls a tool that nobody offered.
    UnknownTool,
    /// The calls of the model all have the same id; a single one is made twice.
    SameCallIds,
    /// The arguments of the model's calls are no JSON.
    BrokenArguments,
}

/// What is to go wrong.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<FaultPlan>,
    released: Condvar,
}

#[derive(Default)]
struct FaultPlan {
    next: VecDeque<Fault>,
    next_in: HashMap<String, VecDeque<Fault>>,
    always: Option<Fault>,
    always_in: HashMap<String, Fault>,
    releases: u64,
    ended: bool,
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, FaultPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the next request that nothing else is planned for; several are taken in order.
    pub fn next(&self, fault: Fault) {
        self.plan().next.push_back(fault);
    }

    /// For the next request of a session, as the gateway names it.
    pub fn next_in(&self, session: &str, fault: Fault) {
        self.plan().next_in.entry(session.to_lowercase()).or_default().push_back(fault);
    }

    /// For every request from now on that nothing else is planned for.
    pub fn always(&self, fault: Fault) {
        self.plan().always = Some(fault);
    }

    /// For every request of a session from now on.
    pub fn always_in(&self, session: &str, fault: Fault) {
        self.plan().always_in.insert(session.to_lowercase(), fault);
    }

    /// No more faults; who waits goes on waiting.
    pub fn clear(&self) {
        let mut plan = self.plan();
        *plan = FaultPlan { releases: plan.releases, ended: plan.ended, ..FaultPlan::default() };
    }

    /// Lets go of everybody who waits at this moment.
    pub fn release(&self) {
        self.plan().releases += 1;
        self.released.notify_all();
    }

    /// Lets go of everybody for good.
    pub(super) fn end(&self) {
        self.plan().ended = true;
        self.released.notify_all();
    }

    /// What is planned for a request; what is planned for a session comes first.
    pub(super) fn take(&self, session: Option<&str>) -> Option<Fault> {
        let mut plan = self.plan();
        if let Some(session) = session {
            if let Some(fault) = plan.next_in.get_mut(session).and_then(VecDeque::pop_front) {
                return Some(fault);
            }
            if let Some(fault) = plan.always_in.get(session) {
                return Some(fault.clone());
            }
        }
        plan.next.pop_front().or_else(|| plan.always.clone())
    }

    /// Waits until it is let go, or until nobody is there any more.
    pub(super) fn wait(&self, mut is_open: impl FnMut() -> bool) {
        let mut plan = self.plan();
        let before = plan.releases;
        while plan.releases == before && !plan.ended {
            let waited = self.released.wait_timeout(plan, super::LOOK);
            plan = waited.unwrap_or_else(PoisonError::into_inner).0;
            if plan.releases == before && !is_open() {
                return;
            }
        }
    }
}
