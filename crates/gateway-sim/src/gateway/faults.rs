//! Faults to inject: once, for one session, or permanently.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One fault, and how far the turn gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing runs: 200 with an HTML page.
    Html,
    /// Nothing runs: `502 Bad Gateway` from a proxy.
    BadGateway,
    /// Nothing runs: 429 with `Retry-After`, as after too many failed logins.
    TooManyLogins(Duration),
    /// Nothing runs, and the connection ends without a response.
    HangUp,
    /// The request waits for [`Faults::release`] before anything runs.
    StallBefore,
    /// The turn runs completely, and the connection ends without a response.
    LoseAnswer,
    /// The turn runs completely, and the connection ends after half of the response.
    HalfAnswer,
    /// The turn runs completely, and the connection ends after this many events. Without events it is [`Fault::HalfAnswer`].
    CutAfter(usize),
    /// The turn runs completely, and the response waits for [`Faults::release`]. A stream sends its first four events.
    StallAfter,
    /// The turn runs completely, and the first byte is delayed by this time.
    SlowFirstByte(Duration),
    /// The turn runs completely, and the answer's text has this many additional bytes.
    Huge(usize),
    /// The turn runs completely, and the response never ends.
    Endless,
    /// The turn runs completely, and the response is not JSON.
    NotJson,
    /// The turn runs completely, and an event stream reports failure because text was retracted.
    AppendOnly,
    /// The turn runs completely, and the response reports failure with this code and message.
    Failed(&'static str, &'static str),
    /// The turn runs completely, and the answer also contains reasoning and commentary.
    ExtraItems,
    /// The model is not called: the answer is this error as the agent's text.
    ErrorAsText(&'static str),
    /// The model call fails, and the answer is this text of the gateway. The history has it as the agent's.
    GatewayText(&'static str),
    /// The model is not called: it "calls" a tool that was not offered.
    UnknownTool,
    /// All calls of the model have the same id. A single call is duplicated.
    SameCallIds,
    /// The arguments of the model's calls are not JSON.
    BrokenArguments,
}

/// The planned faults of a gateway.
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
    /// Agents whose turns fail inside the gateway.
    blocked: HashSet<String>,
    /// The history cannot be read.
    history_hidden: bool,
    /// Sessions cannot be followed.
    refuses_followers: bool,
    /// How many connections of followers end at the next event.
    followers_lost: u32,
    releases: u64,
    ended: bool,
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, FaultPlan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans a fault for the next request without another planned fault. Several apply in order.
    pub fn next(&self, fault: Fault) {
        self.plan().next.push_back(fault);
    }

    /// Plans a fault for the next request of a session, by the gateway's name of the session.
    pub fn next_in(&self, session: &str, fault: Fault) {
        self.plan().next_in.entry(session.to_lowercase()).or_default().push_back(fault);
    }

    /// Plans a fault for every further request without another planned fault.
    pub fn always(&self, fault: Fault) {
        self.plan().always = Some(fault);
    }

    /// Plans a fault for every further request of a session.
    pub fn always_in(&self, session: &str, fault: Fault) {
        self.plan().always_in.insert(session.to_lowercase(), fault);
    }

    /// Every turn of this agent fails inside the gateway until its restart, like after `Agent database execution admission is
    /// closed` in the log of 2026.9.6.
    pub fn block(&self, agent: &str) {
        self.plan().blocked.insert(agent.to_owned());
    }

    pub(super) fn blocks(&self, agent: &str) -> bool {
        self.plan().blocked.contains(agent)
    }

    /// Requests for a session's history fail from now on.
    pub fn hide_history(&self) {
        self.plan().history_hidden = true;
    }

    pub(super) fn hides_history(&self) -> bool {
        self.plan().history_hidden
    }

    /// WebSocket clients may not follow sessions from now on.
    pub fn refuse_followers(&self) {
        self.plan().refuses_followers = true;
    }

    pub(super) fn refuses_followers(&self) -> bool {
        self.plan().refuses_followers
    }

    /// The connections of this many followers of sessions end in place of an event.
    pub fn lose_followers(&self, count: u32) {
        self.plan().followers_lost = count;
    }

    /// How many followers are still to be lost.
    pub fn followers_to_lose(&self) -> u32 {
        self.plan().followers_lost
    }

    pub(super) fn loses_follower(&self) -> bool {
        let mut plan = self.plan();
        let loses = plan.followers_lost > 0;
        plan.followers_lost -= u32::from(loses);
        loses
    }

    /// Removes all planned faults. Stalled requests keep waiting.
    pub fn clear(&self) {
        let mut plan = self.plan();
        *plan = FaultPlan { releases: plan.releases, ended: plan.ended, ..FaultPlan::default() };
    }

    /// Releases all requests that are stalled now.
    pub fn release(&self) {
        self.plan().releases += 1;
        self.released.notify_all();
    }

    /// Releases all requests permanently.
    pub(super) fn end(&self) {
        self.plan().ended = true;
        self.released.notify_all();
    }

    /// The fault for a request. Faults of the session take precedence.
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

    /// Waits for a release, or until the client is gone.
    pub(super) fn wait(&self, mut is_open: impl FnMut() -> bool) {
        let mut plan = self.plan();
        let before = plan.releases;
        while plan.releases == before && !plan.ended {
            let waited = self.released.wait_timeout(plan, super::POLL_INTERVAL);
            plan = waited.unwrap_or_else(PoisonError::into_inner).0;
            if plan.releases == before && !is_open() {
                return;
            }
        }
    }
}
