//! Looks for a lost turn. It reads the gateway's uptime, the session's history and the state of its run;
//! [`decide`] then says what they mean.
//!
//! Current gateways show a session at `/sessions/{key}/history`. Others refuse this path or serve an HTML
//! page there. They may offer the tool `sessions_history` instead, if their configuration allows it (spec
//! §11.4, §11.9). Only the tool `sessions_list` shows the state of a run, and whether the session was touched
//! at all. If that tool is not allowed, our WebSocket is tried. A gateway that accepts it is new enough to
//! end a run whose client is gone. Otherwise the history alone decides. The history shortens long texts: the
//! WebSocket returns the whole answer.

use std::fmt::Write as _;
use std::time::Duration;

use log::warn;
use serde::Deserialize;
use serde_json::json;

use super::HttpGateway;
use super::conversation::Conversation;
use super::query::{NoAnswer, Query, RawAnswer, ask};
use super::socket::SocketFailure;
use mcr_core::gateway::codec::{
    self, TurnFailure, error_as_text, in_flight_params, message_params, read_in_flight, read_message,
};
use mcr_core::gateway::history::{
    self, Item, Listed, Page, Recovered, Running, SessionEvidence, Status, TurnMark, TurnProgress, cut_item,
    decide, reaches, read_listed, read_tool, turn_progress,
};
use mcr_core::gateway::{Class, ModelCall, Why};
use mcr_model::SessionKey;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::json;

/// The time limit of one request. While a gateway starts, the first one takes seconds (spec §11.3).
const QUERY_TIMEOUT: Duration = Duration::from_secs(10);
/// The size limit of one history page, in which every text is shortened and every item comes twice.
const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The number of items on the first page. It usually includes the turn.
const FIRST_PAGE_ITEMS: u32 = 50;
/// The number of items on each later page, and the number of later pages.
const NEXT_PAGE_ITEMS: u32 = 200;
const NEXT_PAGES_MAX: u32 = 7;
/// The number of items requested from the tool.
const TOOL_PAGE_ITEMS: u32 = 1_000;
/// The largest number of sessions in a list.
const LISTED_SESSIONS_MAX: usize = 200;
/// A history may fail briefly while the gateway does its housekeeping: how often to retry, after which pause.
const HISTORY_RETRIES_MAX: u32 = 3;
const HISTORY_RETRY_PAUSE: Duration = Duration::from_millis(300);

/// What the session shows.
struct SessionItems {
    items: Vec<Item>,
    whole: bool,
}

/// Why the history is not available.
enum HistoryUnavailable {
    Away(TurnFailure),
    /// Not at this moment.
    Temporary,
    /// Not by this route.
    Refused,
}

impl From<NoAnswer> for HistoryUnavailable {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Away(failure) => Self::Away(failure),
            NoAnswer::Inconclusive => Self::Temporary,
        }
    }
}

/// Looks for the turn once.
pub(super) fn recover(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    mark: &TurnMark<'_>,
) -> Result<Recovered, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let up = match uptime(gateway) {
        Ok(StartupState { starting: true, .. }) => return Ok(Recovered::Running(Running::starting())),
        Ok(state) => state.up,
        Err(NoAnswer::Inconclusive) => None,
        Err(NoAnswer::Away(failure)) => return Err(failure),
    };
    let shown = match history(gateway, &key, mark) {
        Err(HistoryUnavailable::Refused) => tool_history(gateway, &key, mark),
        other => other,
    };
    let mut shown = match shown {
        Ok(shown) => shown,
        Err(HistoryUnavailable::Away(failure)) => return Err(failure),
        Err(HistoryUnavailable::Temporary) => return Ok(Recovered::Running(Running::unreadable())),
        Err(HistoryUnavailable::Refused) => return Ok(Recovered::Unknown),
    };
    if let Some(at) = cut_item(mark, &shown.items) {
        let last = shown.items.last().map(|item| item.seq);
        match fetch_in_full(gateway, &key, &shown.items[at]) {
            Ok(item) => shown.items[at] = item,
            Err(SocketFailure::Away(failure)) => return Err(failure),
            Err(SocketFailure::Temporary(words)) => {
                warn!(agent:%, reason = gateway.shared.words(&words).as_str(); "A shortened answer cannot be read in full yet");
                return Ok(Recovered::Running(Running { last, ..Running::fetching() }));
            }
            // The answer stays shortened.
            Err(SocketFailure::Declined(words)) => {
                warn!(agent:%, reason = gateway.shared.words(&words).as_str(); "A shortened answer cannot be read in full");
            }
        }
    }
    let dialect = gateway.shared.memory().dialect();
    let evidence = SessionEvidence {
        items: &shown.items,
        whole: shown.whole,
        status: None,
        untouched: false,
        up,
        ends_unheard: dialect.ends_unheard(),
        now: SystemClock.now(),
    };
    let verdict = match decide(mark, &evidence) {
        // The history alone does not settle these.
        Recovered::Running(_) | Recovered::Absent { .. } => {
            decide(mark, &with_session_list(gateway, &key, mark, evidence))
        }
        verdict => verdict,
    };
    Ok(match verdict {
        Recovered::Answered(reply) if dialect.errors_may_be_texts() => {
            let failure = reply.text.as_deref().and_then(error_as_text);
            failure.map_or(Recovered::Answered(reply), |failure| Recovered::Failed {
                why: failure.why,
                marker_seen: true,
            })
        }
        verdict => verdict,
    })
}

/// Looks at a running turn. `None` where the gateway does not show it.
pub(super) fn look(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    mark: &TurnMark<'_>,
) -> Result<Option<TurnProgress>, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let page = page(gateway, &format!("/sessions/{}/history?limit={FIRST_PAGE_ITEMS}", encoded(&key)));
    let items = match page.map(|page| page.items) {
        Err(HistoryUnavailable::Refused) => tool_history(gateway, &key, mark).map(|shown| shown.items),
        other => other,
    };
    match items {
        Ok(items) => {
            let found = turn_progress(mark, &items);
            let queued = !found.begun && status(gateway, &key) == Some(Status::Running);
            Ok(Some(TurnProgress { queued, ..found }))
        }
        Err(HistoryUnavailable::Away(failure)) => Err(failure),
        Err(HistoryUnavailable::Temporary | HistoryUnavailable::Refused) => Ok(None),
    }
}

/// Reads the finished model calls of a turn. `None` where the gateway does not show them.
pub(super) fn model_calls(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    mark: &TurnMark<'_>,
) -> Result<Option<Vec<ModelCall>>, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let shown = match history(gateway, &key, mark) {
        Err(HistoryUnavailable::Refused) => tool_history(gateway, &key, mark),
        other => other,
    };
    match shown {
        Ok(shown) => Ok(Some(history::model_calls(mark, &shown.items))),
        Err(HistoryUnavailable::Away(failure)) => Err(failure),
        Err(HistoryUnavailable::Temporary | HistoryUnavailable::Refused) => Ok(None),
    }
}

/// Reads an item in full that the history shows shortened.
fn fetch_in_full(gateway: &HttpGateway, key: &str, item: &Item) -> Result<Item, SocketFailure> {
    let Some(id) = &item.id else {
        return Err(SocketFailure::Declined("the gateway names no id for it".to_owned()));
    };
    let mut conversation = Conversation::begin(gateway)?;
    let answer = conversation.request("chat.message.get", &message_params(key, id))?;
    conversation.end();
    let found =
        read_message(&answer).map_err(|why| SocketFailure::Declined(format!("chat.message.get: {why}")))?;
    if found.cut {
        return Err(SocketFailure::Declined(
            "it is longer than the gateway's limit: read it in the agent's session".to_owned(),
        ));
    }
    // The item's place in the session is kept from the history, which has it more exactly.
    Ok(Item { text: found.text, calls: found.calls, cut: false, ..item.clone() })
}

/// What `/startupz` or `/readyz` shows.
#[derive(Default)]
struct StartupState {
    starting: bool,
    up: Option<Duration>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ReadyState {
    status: Option<String>,
    version: Option<String>,
    uptime_ms: Option<u64>,
}

fn uptime(gateway: &HttpGateway) -> Result<StartupState, NoAnswer> {
    let mut state = StartupState::default();
    for path in ["/startupz", "/readyz"] {
        let timeout = gateway.shared.limits.probe;
        let answer =
            ask(gateway, &Query { path, body: None, with_token: false, timeout, bytes_max: 64 * 1024 })?;
        let answer: ReadyState = serde_json::from_slice(&json::bytes(&answer.body)).unwrap_or_default();
        if let Some(version) = answer.version {
            let version = gateway.shared.words(&version);
            gateway.shared.memory().heard_version(&version);
        }
        state.starting |= answer.status.as_deref() == Some("starting");
        state.up = answer.uptime_ms.map(Duration::from_millis);
        if state.starting || state.up.is_some() {
            break;
        }
    }
    Ok(state)
}

/// Reads the session backwards until it reaches the turn.
fn history(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    let path = format!("/sessions/{}/history", encoded(key));
    let mut items = Vec::new();
    let mut page = page(gateway, &format!("{path}?limit={FIRST_PAGE_ITEMS}"))?;
    for _ in 0..=NEXT_PAGES_MAX {
        let reached = reaches(mark, &page.items);
        items.splice(0..0, page.items);
        let Some(older) = page.older.filter(|_| !reached) else {
            return Ok(SessionItems { items, whole: true });
        };
        page = self::page(gateway, &format!("{path}?limit={NEXT_PAGE_ITEMS}&cursor={}", encoded(&older)))?;
    }
    Ok(SessionItems { items, whole: false })
}

fn page(gateway: &HttpGateway, path: &str) -> Result<Page, HistoryUnavailable> {
    let question =
        Query { path, body: None, with_token: true, timeout: QUERY_TIMEOUT, bytes_max: PAGE_BYTES_MAX };
    for _ in 1..HISTORY_RETRIES_MAX {
        match read_page(&ask(gateway, &question)?) {
            Err(HistoryUnavailable::Temporary) if !gateway.stop.wait(HISTORY_RETRY_PAUSE) => {}
            other => return other,
        }
    }
    read_page(&ask(gateway, &question)?)
}

fn read_page(answer: &RawAnswer) -> Result<Page, HistoryUnavailable> {
    let away =
        |why| Err(HistoryUnavailable::Away(TurnFailure::new(Class::Closed, why).with_status(answer.status)));
    let json = answer.body.trim_ascii_start().first() == Some(&b'{');
    match (answer.status, json) {
        _ if answer.page => Err(HistoryUnavailable::Refused),
        (200, true) => history::read(&answer.body).ok_or(HistoryUnavailable::Refused),
        // There is no such session.
        (404, true) => Ok(Page::default()),
        (401, _) => away(Why::TokenRefused),
        (429, _) => away(Why::TooManyLogins),
        (503, true) => away(Why::Draining),
        (502..=504 | 520..=524, _) => away(Why::Unreachable),
        (408 | 500.., _) => Err(HistoryUnavailable::Temporary),
        _ => Err(HistoryUnavailable::Refused),
    }
}

/// Reads the history through the tool that agents have for it.
fn tool_history(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    for limit in [FIRST_PAGE_ITEMS, TOOL_PAGE_ITEMS] {
        let args = json!({"sessionKey": key, "limit": limit, "includeTools": true});
        let answer = invoke(gateway, "sessions_history", key, &args)?;
        let items = match answer.status {
            200 if !answer.page => read_tool(&answer.body).ok_or(HistoryUnavailable::Refused)?.items,
            500.. => return Err(HistoryUnavailable::Temporary),
            _ => return Err(HistoryUnavailable::Refused),
        };
        let all = items.len() < limit as usize;
        if all || reaches(mark, &items) {
            return Ok(SessionItems { items, whole: true });
        }
    }
    Err(HistoryUnavailable::Refused)
}

/// Adds what the gateway's session list or its WebSocket shows.
fn with_session_list<'a>(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
    evidence: SessionEvidence<'a>,
) -> SessionEvidence<'a> {
    if let Some(listed) = listed(gateway, key) {
        let untouched = listed.untouched_since(evidence.now - mark.age);
        return SessionEvidence { status: listed.status, untouched, ..evidence };
    }
    let nothing_known = evidence.items.is_empty() && !evidence.ends_unheard;
    SessionEvidence {
        ends_unheard: evidence.ends_unheard || (nothing_known && is_idle(gateway, key)),
        ..evidence
    }
}

/// Whether the gateway reports over its WebSocket that nothing runs in this session. Gateways that accept the
/// token alone there are of 2026.5.7 or later. They end a run whose client is gone (spec §11.9, §12.3).
fn is_idle(gateway: &HttpGateway, key: &str) -> bool {
    let ask = || -> Result<bool, SocketFailure> {
        let mut conversation = Conversation::begin(gateway)?;
        let answer = conversation.request("chat.history", &in_flight_params(key))?;
        conversation.end();
        Ok(read_in_flight(&answer).is_none())
    };
    // A gateway that does not answer here may continue its runs.
    ask().unwrap_or(false)
}

/// The entry of this session in the gateway's list, if the gateway shows us that list.
fn listed(gateway: &HttpGateway, key: &str) -> Option<Listed> {
    let answer = invoke(gateway, "sessions_list", key, &json!({"limit": LISTED_SESSIONS_MAX})).ok()?;
    if answer.status == 200 { read_listed(&answer.body, key, LISTED_SESSIONS_MAX) } else { None }
}

/// The state of the session's last run, if the gateway shows it.
fn status(gateway: &HttpGateway, key: &str) -> Option<Status> {
    listed(gateway, key)?.status
}

fn invoke(
    gateway: &HttpGateway,
    tool: &str,
    key: &str,
    args: &serde_json::Value,
) -> Result<RawAnswer, NoAnswer> {
    let body = json!({"tool": tool, "args": args, "sessionKey": key}).to_string();
    let body = Some(body.as_bytes());
    ask(
        gateway,
        &Query {
            path: "/tools/invoke",
            body,
            with_token: true,
            timeout: QUERY_TIMEOUT,
            bytes_max: PAGE_BYTES_MAX,
        },
    )
}

/// Percent-encodes a text as one path segment.
fn encoded(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}
