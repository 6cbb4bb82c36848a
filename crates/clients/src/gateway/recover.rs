//! Looks for a lost turn. It reads the gateway's uptime, the session's history and the state of its run;
//! [`decide`] then says what they mean.
//!
//! [`session_history`] reads the items. Only the tool `sessions_list` shows the state of a run, and whether the session was touched
//! at all. If that tool is not allowed, our WebSocket is tried. A gateway that accepts it is new enough to
//! end a run whose client is gone. Otherwise the history alone decides. The history shortens long texts: the
//! WebSocket returns the whole answer.

use std::time::Duration;

use log::warn;
use serde::Deserialize;
use serde_json::json;

use super::HttpGateway;
use super::conversation::Conversation;
use super::query::{NoAnswer, Query, ask};
use super::session_history::{self, HistoryUnavailable, invoke};
use super::socket::SocketFailure;
use mcr_core::gateway::authorship::adopted;
use mcr_core::gateway::codec::{
    self, TurnFailure, in_flight_params, message_params, read_in_flight, read_message,
};
use mcr_core::gateway::history::{
    self, Item, Listed, Recovered, Running, SessionEvidence, Status, TurnMark, TurnProgress, Waiting,
    cut_item, decide, read_listed, turn_progress,
};
use mcr_core::gateway::{ModelCall, ShownAttempts, Why};
use mcr_core::work::WorkId;
use mcr_model::SessionKey;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::json;

/// The largest number of sessions in a list.
const LISTED_SESSIONS_MAX: usize = 200;
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
    read_verdict(gateway, &key, &agent, mark, up, None)
}

/// What the gateway reports about the session beside its history.
#[derive(Clone, Copy, Default)]
struct ReportedState {
    /// The state of its last run.
    status: Option<Status>,
    /// Whether nothing has touched it since the turn was sent.
    untouched: bool,
    /// Whether no run is active in it.
    idle: bool,
    /// The last item of the history before this report.
    last: Option<u64>,
}

impl ReportedState {
    /// Whether a run has ended, so that its answer may be newer than the history that was read before this report.
    fn is_over(self) -> bool {
        self.idle || !matches!(self.status, None | Some(Status::Running))
    }
}

/// Reads the session and decides. `reported` is what the gateway has reported before this reading.
fn read_verdict(
    gateway: &HttpGateway,
    key: &str,
    agent: &str,
    mark: &TurnMark<'_>,
    up: Option<Duration>,
    reported: Option<ReportedState>,
) -> Result<Recovered, TurnFailure> {
    let mut shown = match session_history::read(gateway, key, mark) {
        Ok(shown) => shown,
        Err(HistoryUnavailable::Away(failure)) => return Err(failure),
        Err(HistoryUnavailable::Temporary) => return Ok(Recovered::Running(Running::unreadable())),
        // The gateway itself has reported the end of the run.
        Err(HistoryUnavailable::Refused) if mark.failed => {
            return Ok(Recovered::Failed { why: Why::Internal, marker_seen: true });
        }
        Err(HistoryUnavailable::Refused) => return Ok(Recovered::Unknown),
    };
    if let Some(at) = cut_item(mark, &shown.items) {
        let last = shown.items.last().map(|item| item.seq);
        match fetch_in_full(gateway, key, &shown.items[at]) {
            Ok(item) => shown.items[at] = item,
            Err(SocketFailure::Away(failure)) => return Err(failure),
            Err(SocketFailure::Temporary(words)) => {
                warn!(agent:%, reason = gateway.shared.words(&words).as_str(); "A shortened answer cannot be read in full yet");
                return Ok(Recovered::Running(Running { last, ..Running::fetching() }));
            }
            // The answer stays shortened. Calls are taken as they are: the agent is told which of them are incomplete.
            Err(SocketFailure::Declined(words)) => {
                shown.items[at].cut &= shown.items[at].calls.is_empty();
                warn!(agent:%, reason = gateway.shared.words(&words).as_str(); "A shortened answer cannot be read in full");
            }
        }
    }
    let dialect = gateway.shared.memory().dialect();
    let last = shown.items.last().map(|item| item.seq);
    let ReportedState { status, untouched, .. } = reported.unwrap_or_default();
    // What was written since the report belongs to a run that the report does not cover.
    let idle = reported.is_some_and(|reported| reported.idle && reported.last == last);
    let evidence = SessionEvidence {
        items: &shown.items,
        whole: shown.whole,
        status,
        untouched,
        up,
        ends_unheard: dialect.ends_unheard() || idle,
        idle,
        asks_again: dialect.asks_again(),
        now: SystemClock.now(),
    };
    let verdict = match decide(mark, &evidence) {
        // Only time helps: the gateway may not have noticed yet that the client is gone.
        verdict @ Recovered::Running(Running { why: Waiting::WindingUp, .. }) => verdict,
        // The history alone does not settle these.
        Recovered::Running(_) | Recovered::Absent { .. } | Recovered::ToolsMissing(_)
            if reported.is_none() =>
        {
            let reported = ReportedState { last, ..report(gateway, key, mark, &evidence) };
            if reported.is_over() {
                return read_verdict(gateway, key, agent, mark, up, Some(reported));
            }
            let ReportedState { status, untouched, .. } = reported;
            decide(mark, &SessionEvidence { status, untouched, ..evidence })
        }
        verdict => verdict,
    };
    Ok(match verdict {
        Recovered::Answered(reply) => adopted(reply, dialect)
            .map_or_else(|why| Recovered::Failed { why, marker_seen: true }, Recovered::Answered),
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
    let dialect = gateway.shared.memory().dialect();
    let may_loop = dialect.may_ask_again();
    let shown = if may_loop {
        // Every call of the turn counts.
        session_history::read(gateway, &key, mark).map(|shown| shown.items)
    } else {
        session_history::read_last(gateway, &key, mark)
    };
    match shown {
        Ok(items) => {
            let found = turn_progress(mark, &items, dialect.asks_again());
            let promised = if may_loop { found.promised } else { 0 };
            let queued = !found.begun && status(gateway, &key) == Some(Status::Running);
            Ok(Some(TurnProgress { queued, promised, ..found }))
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
    match session_history::read(gateway, &key, mark) {
        Ok(shown) => Ok(Some(history::model_calls(mark, &shown.items))),
        Err(HistoryUnavailable::Away(failure)) => Err(failure),
        Err(HistoryUnavailable::Temporary | HistoryUnavailable::Refused) => Ok(None),
    }
}

/// Whether the session has this message of ours, or results of its calls. `None` where the gateway does not show all of it.
pub(super) fn has_question(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    marker: &str,
) -> Result<Option<bool>, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    match session_history::read(gateway, &key, &TurnMark { marker, ..TurnMark::default() }) {
        Ok(shown) => {
            let found = history::has_question(marker, &shown.items);
            Ok((found || shown.whole).then_some(found))
        }
        Err(HistoryUnavailable::Away(failure)) => Err(failure),
        Err(HistoryUnavailable::Temporary | HistoryUnavailable::Refused) => Ok(None),
    }
}

/// The attempts of this work in the session. Messages of other works may be newer than the last attempt, so only a message of
/// this work ends the search early.
pub(super) fn last_attempt(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    work: &WorkId,
) -> Result<ShownAttempts, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let last = |items: &[Item]| history::last_attempt(work, items);
    match session_history::read_until(gateway, &key, &|items| last(items).is_some()) {
        Ok(shown) => Ok(match last(&shown.items) {
            Some(attempt) => ShownAttempts::Last(attempt),
            None if shown.whole => ShownAttempts::Nothing,
            None => ShownAttempts::NotShown,
        }),
        Err(HistoryUnavailable::Away(failure)) => Err(failure),
        Err(HistoryUnavailable::Temporary) => Ok(ShownAttempts::Unreadable),
        Err(HistoryUnavailable::Refused) => Ok(ShownAttempts::NotShown),
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

/// What `/startupz` or `/readyz` shows, else the WebSocket.
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
            gateway.shared.memory().heard_version(&version, answer.uptime_ms.map(Duration::from_millis));
        }
        state.starting |= answer.status.as_deref() == Some("starting");
        state.up = answer.uptime_ms.map(Duration::from_millis);
        if state.starting || state.up.is_some() {
            break;
        }
    }
    if !state.starting && state.up.is_none() {
        state.up = uptime_over_socket(gateway);
    }
    Ok(state)
}

/// 2026.2.19 shows its uptime to a client of its WebSocket only. Without it, a turn that a restart has ended looks like one
/// that goes on.
fn uptime_over_socket(gateway: &HttpGateway) -> Option<Duration> {
    let conversation = Conversation::begin(gateway).ok()?;
    let up = conversation.uptime();
    conversation.end();
    up
}

/// What the gateway's session list shows, else its WebSocket.
fn report(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
    evidence: &SessionEvidence<'_>,
) -> ReportedState {
    if let Some(listed) = listed(gateway, key) {
        let untouched = listed.untouched_since(evidence.now - mark.age);
        return ReportedState { status: listed.status, untouched, ..ReportedState::default() };
    }
    let idle = (evidence.ends_unheard || evidence.items.is_empty()) && is_idle(gateway, key);
    ReportedState { idle, ..ReportedState::default() }
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
