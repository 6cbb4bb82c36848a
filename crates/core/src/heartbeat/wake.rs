//! What waits for agents, and when they are woken: plain data, with the time as an argument.
//!
//! Whoever hears of something calls [`WakeQueues::take`]; [`whose`] says beforehand for whom. Whoever beats asks [`WakeQueues::due`], shows the agent what
//! [`WakeQueues::waiting`] has, and says so with [`WakeQueues::shown`]. In between it is written down ([`WakeQueues::stored`]), and an
//! event is gone only once a beat has shown it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::session::{AgentKey, Naming, event_queue};
use super::text::{is_exec_completion, is_exec_notice};
use mcr_model::clock::Millis;
use mcr_model::{AccountId, SessionKey};

/// So many events wait for one agent; the oldest make room, and are counted.
pub const EVENTS_MAX: usize = 20;

/// So many wait for all agents together: they stand in memory, and are written as a whole.
pub const EVENTS_OF_ALL_MAX: usize = 4_000;

/// The longest text of one.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// The longest reason; more is cut.
pub const REASON_CHARS_MAX: usize = 200;

/// Between two wakes of one agent.
pub const PAUSE: Duration = Duration::from_secs(10);

/// The form in which it is stored.
const VERSION: u32 = 1;

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeKind {
    /// That the agent hears of it: at its next beat, or at once if a command is over.
    Event,
    /// That the agent hears of it at once.
    Wake,
}

/// Who wants it.
#[derive(Clone, Copy)]
pub struct WakeCaller<'a> {
    /// The slug of the agent.
    pub slug: &'a str,
    /// The key of the session that it speaks in.
    pub session: &'a str,
    /// Whether it is the orchestrator, who may wake anybody.
    pub leads: bool,
}

/// What is wanted.
#[derive(Clone, Copy)]
pub struct WakeRequest<'a> {
    /// Event or wake.
    pub errand: WakeKind,
    /// What the agent is to hear.
    pub text: &'a str,
    /// Why, in a word.
    pub reason: Option<&'a str>,
    /// The session in which it happened, in the backend's spelling or the gateway's; otherwise it is the caller's own.
    pub session: Option<&'a str>,
    /// How sessions are named.
    pub naming: Naming<'a>,
    /// What the caller calls it: under the same name it is taken once, as long as it waits.
    pub name: Option<&'a str>,
}

/// Why it is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeRefusal {
    /// There is no text.
    Empty,
    /// The text is longer than [`TEXT_BYTES_MAX`].
    TooLong,
    /// There is no such agent.
    UnknownAgent,
    /// It is somebody else's agent.
    Forbidden,
}

impl WakeRefusal {
    /// What is wrong, as a sentence for the caller.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Empty => "text is required: what the agent is to hear",
            Self::TooLong => "text must be at most 4096 bytes: say the rest in a document or a task",
            Self::UnknownAgent => {
                "Not found: sessionKey names an agent that this account does not have; get_agent_skills lists all"
            }
            Self::Forbidden => {
                "Forbidden: sessionKey names another agent, and only the orchestrator may wake those. Leave it out to \
                 wake yourself, or use response_request to ask another agent"
            }
        }
    }

    /// The field that is to blame, where it is one.
    pub fn field(self) -> Option<&'static str> {
        match self {
            Self::Empty | Self::TooLong => Some("text"),
            Self::UnknownAgent | Self::Forbidden => Some("sessionKey"),
        }
    }
}

/// Whether an agent can be told this.
pub fn sound(text: &str) -> Result<(), WakeRefusal> {
    match text {
        _ if text.trim().is_empty() => Err(WakeRefusal::Empty),
        _ if text.len() > TEXT_BYTES_MAX => Err(WakeRefusal::TooLong),
        _ => Ok(()),
    }
}

/// The agent that is meant where this session is named, if the caller may turn to it. `knows` says whether there is an
/// agent with this slug.
pub fn whose(
    session: Option<&str>,
    caller: WakeCaller<'_>,
    knows: &dyn Fn(&str) -> bool,
) -> Result<String, WakeRefusal> {
    let own = caller.slug.to_lowercase();
    let agent = session.and_then(agent_of).unwrap_or_else(|| own.clone());
    // Who may not wake others does not learn who there is, either.
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
    /// Not before then, since it was woken a moment ago.
    At(Millis),
    /// It hears of it at its next beat.
    NextBeat,
}

/// What was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// For whom.
    pub agent: String,
    /// When the agent is woken.
    pub when: When,
    /// How many events wait for it now.
    pub waiting: usize,
    /// Whether an older one had to go.
    pub dropped: bool,
}

/// Something that an agent is to hear of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentEvent {
    /// Its number, counted up for all agents.
    pub number: u64,
    /// When it happened.
    pub at: Millis,
    /// In words.
    pub text: String,
    /// Why it was sent, in a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The queue that it was sent to.
    pub queue: SessionKey,
    /// The slug of who sent it.
    pub by: String,
    /// What that agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// What waits for one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Inbox {
    events: VecDeque<AgentEvent>,
    /// How many had to go since the last beat.
    dropped: u64,
    woken: Option<Millis>,
    /// When it is to be woken, if it is.
    due: Option<Millis>,
}

/// What waits for all agents.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WakeQueues {
    version: u32,
    /// Whose agents these are.
    account: AccountId,
    /// The number of the last event.
    last: u64,
    /// How many events had to go, ever.
    dropped: u64,
    /// How many wanted somebody woken, ever.
    asked: u64,
    agents: BTreeMap<String, Inbox>,
    /// How often something was changed since it was made or recalled.
    #[serde(skip)]
    changes: u64,
}

/// How much waits, and how much there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events that wait, of all agents.
    pub waiting: usize,
    /// Agents that are to be woken.
    pub due: usize,
    /// Events that were taken, ever.
    pub taken: u64,
    /// Those that wanted somebody woken.
    pub asked: u64,
    /// Those that had to go before anybody saw them.
    pub dropped: u64,
}

impl WakeQueues {
    /// Nothing yet, of this account.
    pub fn of(account: &AccountId) -> Self {
        let account = account.clone();
        Self { version: VERSION, account, last: 0, dropped: 0, asked: 0, agents: BTreeMap::new(), changes: 0 }
    }

    /// What was stored of this account; nothing where it is another's, or cannot be understood. A clock that was set back
    /// meanwhile makes nobody wait longer than [`PAUSE`].
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

    /// To be stored.
    pub fn stored(&self) -> String {
        serde_json::to_string(self).expect("plain fields and text keys always make JSON")
    }

    /// Takes an event or a wake. `knows` says whether there is an agent with this slug.
    pub fn take(
        &mut self,
        wish: &WakeRequest<'_>,
        caller: WakeCaller<'_>,
        knows: &dyn Fn(&str) -> bool,
        now: Millis,
    ) -> Result<Queued, WakeRefusal> {
        sound(wish.text)?;
        let agent = whose(wish.session, caller, knows)?;
        let queue = event_queue(wish.session.unwrap_or(caller.session), wish.naming).into_owned();
        let by = caller.slug.to_lowercase();
        let inbox = self.agents.entry(agent.clone()).or_default();
        let same = |event: &AgentEvent| {
            event.by == by && event.name.as_deref() == wish.name && event.text == wish.text
        };
        if wish.name.is_some() && inbox.events.iter().any(same) {
            return Ok(Queued { agent, when: inbox.when(now), waiting: inbox.events.len(), dropped: false });
        }
        self.make_room();
        self.changes += 1;
        self.last += 1;
        let reason =
            wish.reason.map(|reason| reason.trim().chars().take(REASON_CHARS_MAX).collect::<String>());
        let event = AgentEvent {
            number: self.last,
            at: now,
            text: wish.text.to_owned(),
            reason: reason.filter(|reason| !reason.is_empty()),
            queue: SessionKey::new(queue),
            by,
            name: wish.name.map(str::to_owned),
        };
        let inbox = self.agents.entry(agent.clone()).or_default();
        let before = inbox.dropped;
        // An earlier version may have left more than this one keeps.
        while inbox.events.len() >= EVENTS_MAX {
            inbox.events.pop_front();
            inbox.dropped += 1;
            self.dropped += 1;
        }
        let dropped = inbox.dropped > before;
        inbox.events.push_back(event);
        let when = if wakes(wish.errand, wish.text) {
            self.asked += 1;
            inbox.wake(now)
        } else {
            When::NextBeat
        };
        Ok(Queued { agent, when, waiting: inbox.events.len(), dropped })
    }

    /// Where as many wait as may wait for all together, the oldest go.
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

    /// Who is to be woken now. Each is told once.
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

    /// When somebody is to be woken next.
    pub fn wake_at(&self) -> Option<Millis> {
        self.agents.values().filter_map(|inbox| inbox.due).min()
    }

    /// What waits for an agent, oldest first, and how many had to go since its last beat.
    pub fn waiting(&self, agent: &str) -> (Vec<&AgentEvent>, u64) {
        let inbox = self.agents.get(&agent.to_lowercase());
        inbox.map_or((Vec::new(), 0), |inbox| (inbox.events.iter().collect(), inbox.dropped))
    }

    /// A beat has shown the agent everything up to this number: it is gone, and nobody is woken for it any more.
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

    /// Forgets agents that are not there any more, and what is empty and old.
    pub fn tidy(&mut self, knows: &dyn Fn(&str) -> bool, now: Millis) {
        let before = self.agents.len();
        self.agents.retain(|agent, inbox| {
            let recent = inbox.woken.is_some_and(|at| now.since(at) < PAUSE);
            knows(agent) && (recent || inbox.due.is_some() || !inbox.events.is_empty())
        });
        self.changes += u64::from(self.agents.len() != before);
    }

    /// How often something was changed: what is to be stored is another one after each of them.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How much waits, and how much there was.
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
        // A clock that went back makes nobody wait longer than the pause.
        let earliest = self.woken.map_or(now, |at| (at.min(now) + PAUSE).max(now));
        let at = self.due.map_or(earliest, |due| due.min(earliest));
        self.due = Some(at);
        self.when(now)
    }

    /// When it is woken, as things stand.
    fn when(&self, now: Millis) -> When {
        match self.due {
            Some(at) if at <= now => When::Now,
            Some(at) => When::At(at),
            None => When::NextBeat,
        }
    }
}

/// Whether the agent is woken for it: a command that goes on, or was not allowed, is no reason for anybody.
fn wakes(errand: WakeKind, text: &str) -> bool {
    match errand {
        WakeKind::Event => is_exec_completion(text),
        WakeKind::Wake => !is_exec_notice(text),
    }
}

/// The slug of the agent that a session key names, in either spelling.
pub fn agent_of(key: &str) -> Option<String> {
    let ours = || SessionKey::new(key.trim()).agent_slug().map(str::to_lowercase);
    AgentKey::parse(key).map(|key| key.agent).or_else(ours)
}
