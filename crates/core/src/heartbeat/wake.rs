//! Holds the events that wait for agents, and decides when to wake them. Plain data; the time is an argument.
//!
//! An endpoint determines the recipient with [`whose`] and adds the event with [`WakeQueues::take`]. The
//! heartbeat loop reads [`WakeQueues::due`], shows the agent [`WakeQueues::waiting`], and confirms with
//! [`WakeQueues::shown`]. The queues are stored in between ([`WakeQueues::stored`]). An event is deleted only
//! after a heartbeat has shown it.

mod owners;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::{AgentKey, Naming, event_queue};
use super::text::{is_exec_completion, is_exec_notice};
use mcr_model::clock::Millis;
use mcr_model::{AccountId, AgentId, SessionKey};

/// The most waiting events of one agent. More displace the oldest, which are counted.
pub const EVENTS_MAX: usize = 20;

/// The most waiting events of all agents. All of them are in memory and are written as a whole.
pub const EVENTS_OF_ALL_MAX: usize = 4_000;

/// The longest text of an event.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// The longest reason; more is cut.
pub const REASON_CHARS_MAX: usize = 200;

/// The pause between two wakes of one agent.
pub const PAUSE: Duration = Duration::from_secs(10);

/// The version of the stored form.
const VERSION: u32 = 1;

/// What the caller requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeKind {
    /// To show the agent an event: at its next heartbeat, or at once if a command has finished.
    Event,
    /// To show the agent an event at once.
    Wake,
}

/// The caller.
#[derive(Clone, Copy)]
pub struct WakeCaller<'a> {
    /// The agent's slug.
    pub slug: &'a str,
    /// The key of its session.
    pub session: &'a str,
    /// Whether it is the orchestrator, which may wake any agent.
    pub leads: bool,
}

/// A request to show an event.
#[derive(Clone, Copy)]
pub struct WakeRequest<'a> {
    /// Event or wake.
    pub kind: WakeKind,
    /// The text for the agent.
    pub text: &'a str,
    /// Why, in a word.
    pub reason: Option<&'a str>,
    /// The session of the event, in the backend's or the gateway's spelling; by default the caller's own.
    pub session: Option<&'a str>,
    /// The naming of sessions.
    pub naming: Naming<'a>,
    /// The caller's name for the event. While an event with this name waits, another one is not added.
    pub name: Option<&'a str>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeRefusal {
    /// The text is missing.
    Empty,
    /// The text is longer than [`TEXT_BYTES_MAX`].
    TooLong,
    /// The agent does not exist.
    UnknownAgent,
    /// The session belongs to another agent.
    Forbidden,
}

impl WakeRefusal {
    /// What is wrong, as a sentence for the caller.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Empty => "text is required: the message for the agent",
            Self::TooLong => "text must be at most 4096 bytes: put the rest into a document or a task",
            Self::UnknownAgent => {
                "Not found: sessionKey names an agent that this account does not have; get_agent_skills \
                 lists all agents"
            }
            Self::Forbidden => {
                "Forbidden: sessionKey names another agent, and only the orchestrator may wake other \
                 agents. Omit it to wake yourself, or use response_request to ask another agent"
            }
        }
    }

    /// The field with the error, if it is one field.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::TooLong => Some("text"),
            Self::UnknownAgent | Self::Forbidden => Some("sessionKey"),
        }
    }
}

/// Checks the text of an event.
pub fn sound(text: &str) -> Result<(), WakeRefusal> {
    match text {
        _ if text.trim().is_empty() => Err(WakeRefusal::Empty),
        _ if text.len() > TEXT_BYTES_MAX => Err(WakeRefusal::TooLong),
        _ => Ok(()),
    }
}

/// The agent that this session names, if the caller may wake it. `knows` tells whether an agent with this
/// slug exists.
pub fn whose(
    session: Option<&str>,
    caller: WakeCaller<'_>,
    knows: &dyn Fn(&str) -> bool,
) -> Result<String, WakeRefusal> {
    let own = caller.slug.to_lowercase();
    let agent = session.and_then(agent_of).unwrap_or_else(|| own.clone());
    // A caller without the right to wake others does not learn which agents exist.
    if agent != own && !caller.leads {
        return Err(WakeRefusal::Forbidden);
    }
    if agent != own && !knows(&agent) {
        return Err(WakeRefusal::UnknownAgent);
    }
    Ok(agent)
}

/// When the agent is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// Not before this instant, because it was woken recently.
    At(Millis),
    /// Not woken: the next heartbeat shows the event.
    NextBeat,
}

/// The result of an accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The recipient.
    pub agent: String,
    /// When the agent is woken.
    pub when: When,
    /// How many events now wait for it.
    pub waiting: usize,
    /// Whether an older event was displaced.
    pub dropped: bool,
}

/// An event that waits for an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentEvent {
    /// Its number, unique across all agents and increasing.
    pub number: u64,
    /// When it happened.
    pub at: Millis,
    /// The text.
    pub text: String,
    /// Why it was sent, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The queue that it was sent to.
    pub queue: SessionKey,
    /// The slug of the sender.
    pub by: String,
    /// The sender's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The waiting events of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inbox {
    /// The agent, which keeps its events when its slug changes. Unknown until a roster has named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentId>,
    events: VecDeque<AgentEvent>,
    /// How many were displaced since the last heartbeat.
    dropped: u64,
    woken: Option<Millis>,
    /// When to wake the agent, if at all.
    due: Option<Millis>,
}

/// The waiting events of all agents.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WakeQueues {
    version: u32,
    /// The account of the agents.
    account: AccountId,
    /// The number of the last event.
    last: u64,
    /// How many events were ever displaced.
    dropped: u64,
    /// How many events ever requested a wake.
    asked: u64,
    agents: BTreeMap<String, Inbox>,
    /// How many changes were made since this value was created or loaded.
    #[serde(skip)]
    changes: u64,
}

/// Counts of waiting and past events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Waiting events of all agents.
    pub waiting: usize,
    /// Agents that are to be woken.
    pub due: usize,
    /// Events ever accepted.
    pub taken: u64,
    /// Events that requested a wake.
    pub asked: u64,
    /// Events displaced before a heartbeat showed them.
    pub dropped: u64,
}

impl WakeQueues {
    /// Empty queues of this account.
    pub fn of(account: &AccountId) -> Self {
        let account = account.clone();
        Self { version: VERSION, account, last: 0, dropped: 0, asked: 0, agents: BTreeMap::new(), changes: 0 }
    }

    /// Loads the stored queues of this account; `None` for another account or unreadable text. A clock that
    /// was set back delays no wake by more than [`PAUSE`].
    pub fn recall(text: &str, account: &AccountId, now: Millis) -> Option<Self> {
        let mut wakes: Self = serde_json::from_str(text).ok()?;
        if wakes.version != VERSION || wakes.account != *account {
            return None;
        }
        for inbox in wakes.agents.values_mut() {
            inbox.woken = inbox.woken.map(|at| at.min(now));
            inbox.due = inbox.due.map(|at| at.min(now + PAUSE));
        }
        Some(wakes)
    }

    /// The queues as text, to be stored.
    pub fn stored(&self) -> String {
        serde_json::to_string(self).expect("plain fields and text keys always make JSON")
    }

    /// Accepts an event or a wake. `knows` tells whether an agent with this slug exists.
    pub fn take(
        &mut self,
        request: &WakeRequest<'_>,
        caller: WakeCaller<'_>,
        knows: &dyn Fn(&str) -> bool,
        now: Millis,
    ) -> Result<Queued, WakeRefusal> {
        sound(request.text)?;
        let agent = whose(request.session, caller, knows)?;
        let queue = event_queue(request.session.unwrap_or(caller.session), request.naming).into_owned();
        let by = caller.slug.to_lowercase();
        let inbox = self.agents.entry(agent.clone()).or_default();
        let same = |event: &AgentEvent| {
            event.by == by && event.name.as_deref() == request.name && event.text == request.text
        };
        if request.name.is_some() && inbox.events.iter().any(same) {
            return Ok(Queued { agent, when: inbox.when(now), waiting: inbox.events.len(), dropped: false });
        }
        self.make_room();
        self.changes += 1;
        self.last += 1;
        let reason =
            request.reason.map(|reason| reason.trim().chars().take(REASON_CHARS_MAX).collect::<String>());
        let event = AgentEvent {
            number: self.last,
            at: now,
            text: request.text.to_owned(),
            reason: reason.filter(|reason| !reason.is_empty()),
            queue: SessionKey::new(queue),
            by,
            name: request.name.map(str::to_owned),
        };
        let inbox = self.agents.entry(agent.clone()).or_default();
        let before = inbox.dropped;
        // An earlier version may have stored more events than this one keeps.
        while inbox.events.len() >= EVENTS_MAX {
            inbox.events.pop_front();
            inbox.dropped += 1;
            self.dropped += 1;
        }
        let dropped = inbox.dropped > before;
        inbox.events.push_back(event);
        let when = if wakes(request.kind, request.text) {
            self.asked += 1;
            inbox.wake(now)
        } else {
            When::NextBeat
        };
        Ok(Queued { agent, when, waiting: inbox.events.len(), dropped })
    }

    /// Deletes the oldest events if the limit for all agents is reached.
    fn make_room(&mut self) {
        let waiting = |agents: &BTreeMap<String, Inbox>| -> usize {
            agents.values().map(|inbox| inbox.events.len()).sum()
        };
        while waiting(&self.agents) >= EVENTS_OF_ALL_MAX {
            let oldest = |inbox: &&mut Inbox| inbox.events.front().map_or(u64::MAX, |event| event.number);
            let Some(inbox) = self.agents.values_mut().min_by_key(oldest) else { return };
            inbox.events.pop_front();
            inbox.dropped += 1;
            self.dropped += 1;
        }
    }

    /// The agents to wake now. Each is returned once.
    pub fn due(&mut self, now: Millis) -> Vec<String> {
        let mut due = Vec::new();
        for (agent, inbox) in &mut self.agents {
            if inbox.due.is_some_and(|at| at <= now) {
                (inbox.due, inbox.woken) = (None, Some(now));
                due.push(agent.clone());
            }
        }
        self.changes += u64::from(!due.is_empty());
        due
    }

    /// When the next agent is to be woken.
    pub fn wake_at(&self) -> Option<Millis> {
        self.agents.values().filter_map(|inbox| inbox.due).min()
    }

    /// The waiting events of an agent, oldest first, and how many were displaced since its last heartbeat.
    pub fn waiting(&self, agent: &str) -> (Vec<&AgentEvent>, u64) {
        let inbox = self.agents.get(&agent.to_lowercase());
        inbox.map_or((Vec::new(), 0), |inbox| (inbox.events.iter().collect(), inbox.dropped))
    }

    /// A heartbeat has shown the agent all events up to this number. They are deleted and cause no further
    /// wake.
    pub fn shown(&mut self, agent: &str, last: u64) {
        let agent = agent.to_lowercase();
        let Some(inbox) = self.agents.get_mut(&agent) else { return };
        self.changes += 1;
        inbox.events.retain(|event| event.number > last);
        inbox.dropped = 0;
        if inbox.events.is_empty() {
            inbox.due = None;
        }
    }

    /// How many changes were made. A higher number means that the queues must be stored again.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Counts of waiting and past events.
    pub fn figures(&self) -> Figures {
        let inboxes = || self.agents.values();
        Figures {
            waiting: inboxes().map(|inbox| inbox.events.len()).sum(),
            due: inboxes().filter(|inbox| inbox.due.is_some()).count(),
            taken: self.last,
            asked: self.asked,
            dropped: self.dropped,
        }
    }
}

impl Inbox {
    fn wake(&mut self, now: Millis) -> When {
        // A clock that went back delays no wake by more than the pause.
        let earliest = self.woken.map_or(now, |at| (at.min(now) + PAUSE).max(now));
        let at = self.due.map_or(earliest, |due| due.min(earliest));
        self.due = Some(at);
        self.when(now)
    }

    /// When the agent is woken, in the present state.
    fn when(&self, now: Millis) -> When {
        match self.due {
            Some(at) if at <= now => When::Now,
            Some(at) => When::At(at),
            None => When::NextBeat,
        }
    }
}

/// Whether the text wakes the agent. A command that is still running or was denied does not.
fn wakes(kind: WakeKind, text: &str) -> bool {
    match kind {
        WakeKind::Event => is_exec_completion(text),
        WakeKind::Wake => !is_exec_notice(text),
    }
}

/// The slug of the agent that a session key names, in either spelling.
pub fn agent_of(key: &str) -> Option<String> {
    let ours = || SessionKey::new(key.trim()).agent_slug().map(str::to_lowercase);
    AgentKey::parse(key).map(|key| key.agent).or_else(ours)
}
