//! Probes a gateway's state without a turn (spec §2, §11.9).
//!
//! The gateway answers unknown paths with its control page and status 200. So only an answer's JSON counts,
//! never its status. `/startupz` shows the version since 2026.9, and `/readyz` whether the gateway accepts
//! turns. Where neither is JSON, `/health` decides. The oldest known release answers all three with its
//! control page. Our token is sent only to a gateway that reports itself ready.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::HttpGateway;
use super::query::{self, NoAnswer, Query, ask};
use mcr_core::gateway::agents;
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::dialect::Dialect;
use mcr_core::gateway::{Class, Why};
use mcr_model::json;

/// The most bytes of an answer. A control page may be larger than a state.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

const MODELS: &str = "/v1/models";

/// A gateway's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// A server answers at the gateway's address.
    pub reachable: bool,
    /// The gateway accepts turns.
    pub ready: bool,
    /// The gateway's version, if it shows one.
    pub version: Option<Box<str>>,
    /// What is known of the gateway's dialect.
    pub dialect: Dialect,
    /// Why the gateway is not ready.
    pub why: Option<Why>,
    /// The gateway's own words about that, redacted.
    pub detail: Option<Box<str>>,
    /// The gateway's agents.
    pub agents: AgentList,
}

/// The agents that a gateway lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AgentList {
    /// The list was not requested, or the request was not answered.
    #[default]
    Unknown,
    /// The gateway answers without a list, or with an empty one, which proves nothing: every gateway has an agent.
    NotShown,
    /// Their ids.
    Listed(Arc<[String]>),
}

impl AgentList {
    /// The ids, if there is a list.
    pub fn listed(&self) -> Option<&[String]> {
        match self {
            Self::Listed(agents) => Some(agents),
            Self::Unknown | Self::NotShown => None,
        }
    }

    /// Whether the list has this agent, or cannot show whether the gateway has it.
    pub fn has(&self, slug: &str) -> bool {
        match self {
            Self::Unknown => false,
            Self::NotShown => true,
            Self::Listed(agents) => agents::is_named(agents, slug),
        }
    }

    /// Whether there is a list, and this agent is not in it.
    pub fn lacks(&self, slug: &str) -> bool {
        self.listed().is_some_and(|agents| !agents::is_named(agents, slug))
    }

    /// Reads the answer to a request for the list of models. An answer that refuses us for now is no answer.
    fn of(answer: &query::RawAnswer) -> Self {
        match (answer.status, listed_agents(answer)) {
            (200, Some(agents)) => Self::Listed(agents.into()),
            (401 | 404 | 408 | 429 | 500.., _) => Self::Unknown,
            _ => Self::NotShown,
        }
    }
}

/// The fields that any of the three paths may return.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProbeBody {
    uptime_ms: Option<u64>,
    ok: Option<bool>,
    ready: Option<bool>,
    version: Option<String>,
    #[serde(default)]
    failing: Vec<String>,
}

/// The answer to one request of the probe.
enum ProbeAnswer {
    Json(ProbeBody),
    /// An HTML page that names OpenClaw.
    ControlPage,
    Other,
}

pub(super) fn probe(gateway: &HttpGateway) -> Probe {
    let mut probe = Probe {
        reachable: true,
        ready: false,
        version: None,
        dialect: Dialect::default(),
        why: None,
        detail: None,
        agents: AgentList::Unknown,
    };
    match run(gateway, &mut probe) {
        Ok(()) => gateway.shared.memory().was_probed(),
        Err(failure) => {
            gateway.shared.memory().lost_contact();
            probe.reachable = false;
            probe.why = Some(failure.why);
            probe.detail = failure.detail.map(|words| gateway.shared.words(&words).into());
        }
    }
    let memory = gateway.shared.memory();
    probe.dialect = memory.dialect();
    probe.version = memory.version().map(Into::into);
    drop(memory);
    probe
}

fn run(gateway: &HttpGateway, probe: &mut Probe) -> Result<(), TurnFailure> {
    if let ProbeAnswer::Json(ProbeBody { version: Some(version), uptime_ms: up, .. }) =
        fetch_state(gateway, "/startupz")?
    {
        let version = gateway.shared.words(&version);
        gateway.shared.memory().heard_version(&version, up.map(Duration::from_millis));
    }
    let not_ready = |probe: &mut Probe, state: &ProbeBody| {
        probe.why = Some(Why::Draining);
        let words = gateway.shared.words(&state.failing.join(", "));
        probe.detail = (!words.is_empty()).then(|| words.into());
    };
    if let ProbeAnswer::Json(state @ ProbeBody { ready: Some(ready), .. }) = fetch_state(gateway, "/readyz")?
    {
        gateway.shared.memory().heard_uptime(state.uptime_ms.map(Duration::from_millis));
        probe.ready = ready;
        if ready {
            try_token(gateway, probe)?;
        } else {
            not_ready(probe, &state);
        }
        return Ok(());
    }
    match fetch_state(gateway, "/health")? {
        // These releases have no list of models.
        ProbeAnswer::Json(ProbeBody { ok: Some(true), .. }) | ProbeAnswer::ControlPage => {
            (probe.ready, probe.agents) = (true, AgentList::NotShown);
        }
        ProbeAnswer::Json(state @ ProbeBody { ok: Some(false), .. }) => not_ready(probe, &state),
        ProbeAnswer::Json(_) | ProbeAnswer::Other => probe.why = Some(Why::NotAGateway),
    }
    Ok(())
}

/// Whether the gateway would accept our turns. Its list of models requires the same token as a turn (spec
/// §2). It is missing where the endpoint is off (§8). Releases without that list prove nothing.
fn try_token(gateway: &HttpGateway, probe: &mut Probe) -> Result<(), TurnFailure> {
    let answer = fetch(gateway, MODELS, true)?;
    probe.why = refusal_reason(answer.status);
    probe.agents = AgentList::of(&answer);
    probe.ready = probe.why.is_none();
    Ok(())
}

/// Why a gateway whose list of models has this status would not accept a turn.
fn refusal_reason(status: u16) -> Option<Why> {
    match status {
        401 => Some(Why::TokenRefused),
        404 => Some(Why::EndpointOff),
        _ => None,
    }
}

/// Whether the gateway lists exactly one agent. An error if it would not accept a turn now.
pub(super) fn is_single(gateway: &HttpGateway) -> Result<bool, TurnFailure> {
    let answer = fetch(gateway, MODELS, true)?;
    match refusal_reason(answer.status) {
        Some(why) => Err(TurnFailure::new(Class::Closed, why)),
        None => Ok(listed_agents(&answer).is_some_and(|agents| agents.len() == 1)),
    }
}

/// The gateway's agents.
pub(super) fn agent_list(gateway: &HttpGateway) -> AgentList {
    fetch(gateway, MODELS, true).map_or(AgentList::Unknown, |answer| AgentList::of(&answer))
}

/// Reads the agents from a list of models, which has one model per agent.
fn listed_agents(answer: &query::RawAnswer) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let list: List =
        serde_json::from_slice(&json::bytes(&answer.body)).ok().filter(|_| answer.status == 200)?;
    agents::listed(list.data.iter().map(|model| model.id.as_str()))
}

fn fetch_state(gateway: &HttpGateway, path: &str) -> Result<ProbeAnswer, TurnFailure> {
    let answer = fetch(gateway, path, false)?;
    if let Ok(state) = serde_json::from_slice(&json::bytes(&answer.body)) {
        return Ok(ProbeAnswer::Json(state));
    }
    let is_control_page =
        answer.page && String::from_utf8_lossy(&answer.body).to_ascii_lowercase().contains("openclaw");
    Ok(if is_control_page { ProbeAnswer::ControlPage } else { ProbeAnswer::Other })
}

fn fetch(gateway: &HttpGateway, path: &str, with_token: bool) -> Result<query::RawAnswer, TurnFailure> {
    let timeout = gateway.shared.limits.probe;
    ask(gateway, &Query { path, body: None, with_token, timeout, bytes_max: ANSWER_BYTES_MAX }).map_err(
        |no_answer| {
            match no_answer {
                NoAnswer::Away(failure) => failure,
                // A timeout proves as little as a request that was never sent.
                NoAnswer::Inconclusive => TurnFailure::new(Class::Closed, Why::Unreachable)
                    .with_detail("it does not answer in time"),
            }
        },
    )
}
