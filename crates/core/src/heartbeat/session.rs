//! Determines the queue of an event and the agent to wake (worker-pool D.1–D.4), from a session key in the
//! gateway's spelling.
//!
//! A heartbeat drains the agent's main queue, or the one global queue if sessions are global. An event queued
//! under the key of a scheduled run would never be shown. A wake of that run would interrupt a running job.
//! Both therefore go to the queue that the heartbeat reads.

use std::borrow::Cow;

use mcr_model::SessionScope;

/// The default name of main sessions.
const MAIN: &str = "main";

/// The queue shared by all agents if sessions are global.
const GLOBAL: &str = "global";

/// The longest id of an agent.
const ID_CHARS: usize = 64;

/// The gateway's naming of sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Naming<'a> {
    /// The name of main sessions, if it is not the default (`OPENCLAW_SESSION_MAIN_KEY`).
    pub main: Option<&'a str>,
    /// Whether each agent has its own sessions.
    pub scope: SessionScope,
}

/// A key of the form `agent:<id>:<rest>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentKey {
    /// The agent's id, in lower case.
    pub agent: String,
    /// The rest, in lower case except for the names of some groups.
    pub rest: String,
}

impl AgentKey {
    /// Parses a key; `None` if it names no agent (D.1).
    pub fn parse(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.trim().split(':').filter(|part| !part.is_empty()).collect();
        let [first, agent, rest @ ..] = parts.as_slice() else { return None };
        if rest.is_empty() || !first.eq_ignore_ascii_case("agent") {
            return None;
        }
        let lower = |part: &str| part.to_lowercase();
        // These names are case-sensitive.
        let kept = match rest.get(..2).map(|two| [lower(two[0]), lower(two[1])]) {
            Some([channel, kind]) => {
                let cased = (channel == "signal" && kind == "group")
                    || (channel == "matrix" && ["channel", "group"].contains(&kind.as_str()));
                if cased { 2 } else { rest.len() }
            }
            None => rest.len(),
        };
        let rest = rest.iter().enumerate().map(
            |(place, part)| {
                if place < kept { lower(part) } else { (*part).to_owned() }
            },
        );
        Some(Self { agent: lower(agent), rest: rest.collect::<Vec<_>>().join(":") })
    }

    /// Whether the key belongs to a run of a schedule, or to something inside such a run (D.2).
    pub fn is_cron_run(&self) -> bool {
        let mut parts = self.rest.split(':');
        let [first, job, third, run] = [parts.next(), parts.next(), parts.next(), parts.next()];
        first == Some("cron") && job.is_some() && third == Some("run") && run.is_some()
    }

    /// The key of the agent's main session.
    pub fn main(&self, naming: Naming<'_>) -> String {
        main_key(&self.agent, naming.main)
    }
}

/// `agent:<id>:<main>`, with both parts in the gateway's spelling.
pub fn main_key(agent: &str, main: Option<&str>) -> String {
    let main = main.map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty());
    format!("agent:{}:{}", agent_id(agent), main.as_deref().unwrap_or(MAIN))
}

/// An agent's id in the gateway's spelling.
fn agent_id(text: &str) -> String {
    let text = text.trim();
    let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let sound = text.len() <= ID_CHARS
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inside);
    if sound {
        return text.to_ascii_lowercase();
    }
    let mut id = String::new();
    for c in text.to_lowercase().chars() {
        if inside(c) {
            id.push(c);
        } else if !id.ends_with('-') {
            id.push('-');
        }
    }
    let id: String = id.trim_matches('-').chars().take(ID_CHARS).collect();
    if id.is_empty() { MAIN.to_owned() } else { id }
}

/// The queue for an event that names this session (D.3).
pub fn event_queue<'a>(key: &'a str, naming: Naming<'_>) -> Cow<'a, str> {
    match AgentKey::parse(key).filter(AgentKey::is_cron_run) {
        None => Cow::Borrowed(key),
        Some(_) if naming.scope == SessionScope::Global => Cow::Borrowed(GLOBAL),
        Some(run) => Cow::Owned(run.main(naming)),
    }
}

/// The agent or session to wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WakeTarget<'a> {
    /// Any agent: the key names none.
    Anybody,
    /// This agent, whatever its session.
    Agent(String),
    /// This session.
    Session(Cow<'a, str>),
}

/// The target of a wake for an event that names this session (D.4): always the reader of the queue of
/// [`event_queue`].
pub fn whom_to_wake<'a>(key: &'a str, naming: Naming<'_>) -> WakeTarget<'a> {
    match AgentKey::parse(key) {
        None => WakeTarget::Anybody,
        Some(agent) if !agent.is_cron_run() => WakeTarget::Session(Cow::Borrowed(key)),
        Some(run) if naming.scope == SessionScope::Global => WakeTarget::Agent(run.agent),
        Some(run) => WakeTarget::Session(Cow::Owned(run.main(naming))),
    }
}
