//! How a gateway is, asked without a turn (spec §2, §11.9).
//!
//! The gateway answers unknown paths with its control page and status 200, so an answer counts by its JSON, never by
//! its status. `/startupz` tells the version since 2026.9, `/readyz` whether turns are wanted; where neither is JSON,
//! `/health` is asked. The oldest release that is known answers all three with its control page. Only a gateway that says
//! that it is ready is shown our token.

use serde::Deserialize;

use super::HttpGateway;
use super::query::{self, NoAnswer, Query, ask};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::dialect::Dialect;
use mcr_core::gateway::{Class, Why};
use mcr_model::json;

/// An answer to one question; a control page may be larger than a state.
const ANSWER_BYTES: usize = 1024 * 1024;

const MODELS: &str = "/v1/models";

/// How a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Something answers at its address.
    pub reachable: bool,
    /// It takes turns.
    pub ready: bool,
    /// Its version, if it says so.
    pub version: Option<Box<str>>,
    /// What is known of its dialect.
    pub dialect: Dialect,
    /// Why it is not ready.
    pub why: Option<Why>,
    /// The other side's words on that, redacted.
    pub detail: Option<Box<str>>,
}

/// What any of the three paths may say.
#[derive(Default, Deserialize)]
struct ProbeBody {
    ok: Option<bool>,
    ready: Option<bool>,
    version: Option<String>,
    #[serde(default)]
    failing: Vec<String>,
}

/// An answer to one question.
enum ProbeAnswer {
    Json(ProbeBody),
    /// A page that calls itself OpenClaw's.
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
    };
    if let Err(failure) = fill(gateway, &mut probe) {
        probe.reachable = false;
        probe.why = Some(failure.why);
        probe.detail = failure.detail.map(|words| gateway.shared.words(&words).into());
    }
    probe.dialect = gateway.shared.memory().dialect();
    probe
}

fn fill(gateway: &HttpGateway, probe: &mut Probe) -> Result<(), TurnFailure> {
    if let ProbeAnswer::Json(ProbeBody { version: Some(version), .. }) = look(gateway, "/startupz")? {
        let version = gateway.shared.words(&version);
        gateway.shared.memory().heard_version(&version);
        probe.version = Some(version.into());
    }
    let not_yet = |probe: &mut Probe, state: &ProbeBody| {
        probe.why = Some(Why::Draining);
        let words = gateway.shared.words(&state.failing.join(", "));
        probe.detail = (!words.is_empty()).then(|| words.into());
    };
    if let ProbeAnswer::Json(state @ ProbeBody { ready: Some(ready), .. }) = look(gateway, "/readyz")? {
        probe.ready = ready;
        if ready {
            try_token(gateway, probe)?;
        } else {
            not_yet(probe, &state);
        }
        return Ok(());
    }
    match look(gateway, "/health")? {
        ProbeAnswer::Json(ProbeBody { ok: Some(true), .. }) | ProbeAnswer::ControlPage => probe.ready = true,
        ProbeAnswer::Json(state @ ProbeBody { ok: Some(false), .. }) => not_yet(probe, &state),
        ProbeAnswer::Json(_) | ProbeAnswer::Other => probe.why = Some(Why::NotAGateway),
    }
    Ok(())
}

/// Whether the gateway would let our turns in: its list of models is open to whoever they are open to (spec §2), and
/// gone where the endpoint is off (§8). Releases without that list say nothing.
fn try_token(gateway: &HttpGateway, probe: &mut Probe) -> Result<(), TurnFailure> {
    probe.why = closed(seen(gateway, MODELS, true)?.status);
    probe.ready = probe.why.is_none();
    Ok(())
}

/// Why a gateway whose list of models has this status would not take a turn.
fn closed(status: u16) -> Option<Why> {
    match status {
        401 => Some(Why::TokenRefused),
        404 => Some(Why::EndpointOff),
        _ => None,
    }
}

/// Whether the gateway says that it has one agent only; an error if it would not take a turn now.
pub(super) fn is_single(gateway: &HttpGateway) -> Result<bool, TurnFailure> {
    let seen = seen(gateway, MODELS, true)?;
    match closed(seen.status) {
        Some(why) => Err(TurnFailure::new(Class::Closed, why)),
        None => Ok(listed(&seen).is_some_and(|agents| agents.len() == 1)),
    }
}

/// The ids of the gateway's agents, if it tells them.
pub(super) fn agents(gateway: &HttpGateway) -> Option<Vec<String>> {
    listed(&seen(gateway, MODELS, true).ok()?)
}

/// The agents in a list of models: it has a model for each.
fn listed(seen: &query::RawAnswer) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Model>,
    }
    #[derive(Deserialize)]
    struct Model {
        id: String,
    }
    let list: List = serde_json::from_slice(&json::bytes(&seen.body)).ok().filter(|_| seen.status == 200)?;
    let ids = list.data.iter().filter_map(|model| model.id.strip_prefix("openclaw/"));
    let agents: Vec<String> = ids.filter(|id| *id != "default").map(str::to_owned).collect();
    (!agents.is_empty()).then_some(agents)
}

fn look(gateway: &HttpGateway, path: &str) -> Result<ProbeAnswer, TurnFailure> {
    let seen = seen(gateway, path, false)?;
    if let Ok(state) = serde_json::from_slice(&json::bytes(&seen.body)) {
        return Ok(ProbeAnswer::Json(state));
    }
    let ours = seen.page && String::from_utf8_lossy(&seen.body).to_ascii_lowercase().contains("openclaw");
    Ok(if ours { ProbeAnswer::ControlPage } else { ProbeAnswer::Other })
}

fn seen(gateway: &HttpGateway, path: &str, secret: bool) -> Result<query::RawAnswer, TurnFailure> {
    let limit = gateway.shared.limits.probe;
    ask(gateway, &Query { path, body: None, secret, limit, most: ANSWER_BYTES }).map_err(|blind| {
        match blind {
            NoAnswer::Away(failure) => failure,
            // A question that ran into its limit says as little as one that was never sent.
            NoAnswer::Hidden => {
                TurnFailure::new(Class::Closed, Why::Unreachable).with_detail("it does not answer in time")
            }
        }
    })
}
