//! Finds out the version of a gateway and its open way to the history (spec §12.3), at the start and after each loss of
//! contact. Releases before 2026.8 do not name their version at `/startupz`. The configuration of the web page names it on most
//! of them. The tool `session_status` names it on all, on the oldest only for a session that exists.

use std::time::Duration;

use log::{info, warn};
use serde::Deserialize;
use serde_json::json;

use super::HttpGateway;
use super::query::{Query, ask};
use super::session_history::{invoke, open_way};
use mcr_core::gateway::dialect::HistoryWay;
use mcr_model::json;

/// The configuration of the web page.
const PAGE: &str = "/__openclaw/control-ui-config.json";
/// The time limit of the request for it.
const TIMEOUT: Duration = Duration::from_secs(5);
const PAGE_BYTES_MAX: usize = 64 * 1024;
/// What precedes the version in the answer of `session_status`.
const NAME: &str = "OpenClaw ";

/// Asks for what is not known since the last loss of contact. Call it for a gateway that is ready.
pub(super) fn identify(gateway: &HttpGateway) {
    if gateway.shared.memory().is_identified() {
        return;
    }
    let agents = gateway.agent_list();
    let agents = agents.listed().unwrap_or_default();
    let agent = agents.first().map_or("main", String::as_str);
    // A session of this name does not exist, so nothing of any conversation is read.
    let session = format!("agent:{agent}:runtime-probe");
    // A process that names its version at `/startupz` was heard by the probe already.
    if gateway.shared.memory().dialect().release.is_none()
        && let Some(version) =
            of_page(gateway).or_else(|| of_session(gateway, &format!("agent:{agent}:main")))
    {
        heard(gateway, &version);
    }
    let Ok(way) = open_way(gateway, &session) else { return };
    gateway.shared.memory().found_history(way);
    if way == HistoryWay::Closed {
        warn!(remedy = HistoryWay::REMEDY; "The gateway shows no session, so a lost answer cannot be found");
    } else {
        info!(way = way.name(); "The gateway shows its sessions");
    }
}

/// Asks after an answered turn: for everything if contact was lost before it, and for the version by this session if no other
/// source named it.
pub(super) fn identify_by(gateway: &HttpGateway, session: &str) {
    if !gateway.shared.memory().dialect().probed {
        return;
    }
    identify(gateway);
    if gateway.shared.memory().dialect().release.is_none()
        && gateway.shared.memory().may_ask_session()
        && let Some(version) = of_session(gateway, session)
    {
        heard(gateway, &version);
    }
}

fn heard(gateway: &HttpGateway, version: &str) {
    let version = gateway.shared.words(version);
    let mut memory = gateway.shared.memory();
    let before = memory.dialect().history;
    memory.heard_version(&version, None);
    // It is the same gateway, only its name is new.
    if let Some(way) = before {
        memory.found_history(way);
    }
}

/// The version in the configuration of the web page.
fn of_page(gateway: &HttpGateway) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        server_version: String,
    }
    let query =
        Query { path: PAGE, body: None, with_token: true, timeout: TIMEOUT, bytes_max: PAGE_BYTES_MAX };
    let answer = ask(gateway, &query).ok().filter(|answer| answer.status == 200)?;
    serde_json::from_slice::<Config>(&json::bytes(&answer.body)).ok().map(|config| config.server_version)
}

/// The version in the state of a session.
fn of_session(gateway: &HttpGateway, session: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Invoked {
        result: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        content: Vec<Part>,
    }
    #[derive(Deserialize)]
    struct Part {
        text: Option<String>,
    }
    let answer = invoke(gateway, "session_status", session, &json!({})).ok()?;
    let invoked: Invoked =
        serde_json::from_slice(&json::bytes(&answer.body)).ok().filter(|_| answer.status == 200)?;
    let text = invoked.result.content.into_iter().find_map(|part| part.text)?;
    let version = text.lines().next()?.split_once(NAME)?.1;
    version.split_whitespace().next().map(str::to_owned)
}
