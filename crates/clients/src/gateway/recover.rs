//! Looking for a lost turn: is the gateway there, what does the session show, how does its run stand; and then the
//! recipe ([`decide`]) says what that means.
//!
//! Today's gateways show a session at `/sessions/{key}/history`. Those that refuse it, or have a page for people there,
//! may show it as the tool `sessions_history`, if their configuration allows that (spec §11.4, §11.9). How a run stands,
//! and whether the session was touched at all, only the tool `sessions_list` says. Where that is not allowed, a gateway
//! that talks to us over its WebSocket is new enough to end a run whose client is gone; else the history alone decides.
//! Long texts it shows cut: the whole of an answer is asked for over the WebSocket.

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
    self, Glance, Item, Listed, Page, Recovered, Running, Sight, Status, TurnMark, cut_item, decide, glance,
    reaches, read_listed, read_tool,
};
use mcr_core::gateway::{Class, Why};
use mcr_model::SessionKey;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::json;

/// One question; while a gateway starts, the first one takes seconds (spec §11.3).
const PATIENCE: Duration = Duration::from_secs(10);
/// One page of a history, every text in it cut and each item in it twice.
const PAGE_BYTES: usize = 32 * 1024 * 1024;
/// Items of the first page; mostly the turn is among them.
const FIRST_PAGE: u32 = 50;
/// Items of the pages behind it, and how many of those.
const NEXT_PAGE: u32 = 200;
const NEXT_PAGES: u32 = 7;
/// The most that the tool is asked for.
const TOOL_PAGE: u32 = 1_000;
/// Sessions that a list shows, at most.
const LISTED_MOST: usize = 200;
/// A history may answer with an error at a moment when the gateway tidies up.
const HICCUPS: u32 = 3;
const HICCUP: Duration = Duration::from_millis(300);

/// What the session shows.
struct Shown {
    items: Vec<Item>,
    whole: bool,
}

/// Why it shows nothing.
enum HistoryUnavailable {
    Away(TurnFailure),
    /// Not at this moment.
    Hiccup,
    /// Not on this way.
    Closed,
}

impl From<NoAnswer> for HistoryUnavailable {
    fn from(blind: NoAnswer) -> Self {
        match blind {
            NoAnswer::Away(failure) => Self::Away(failure),
            NoAnswer::Hidden => Self::Hiccup,
        }
    }
}

/// Looks once.
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
        Ok(life) => life.up,
        Err(NoAnswer::Hidden) => None,
        Err(NoAnswer::Away(failure)) => return Err(failure),
    };
    let shown = match history(gateway, &key, mark) {
        Err(HistoryUnavailable::Closed) => tool_history(gateway, &key, mark),
        other => other,
    };
    let mut shown = match shown {
        Ok(shown) => shown,
        Err(HistoryUnavailable::Away(failure)) => return Err(failure),
        Err(HistoryUnavailable::Hiccup) => return Ok(Recovered::Running(Running::unreadable())),
        Err(HistoryUnavailable::Closed) => return Ok(Recovered::Unknown),
    };
    if let Some(at) = cut_item(mark, &shown.items) {
        let last = shown.items.last().map(|item| item.seq);
        match whole(gateway, &key, &shown.items[at]) {
            Ok(item) => shown.items[at] = item,
            Err(SocketFailure::Away(failure)) => return Err(failure),
            Err(SocketFailure::Hiccup(words)) => {
                warn!("the whole of an answer cannot be read yet: {}", gateway.shared.words(&words));
                return Ok(Recovered::Running(Running { last, ..Running::fetching() }));
            }
            // It stays cut.
            Err(SocketFailure::Declined(words)) => {
                warn!("the whole of an answer cannot be read: {}", gateway.shared.words(&words));
            }
        }
    }
    let dialect = gateway.shared.memory().dialect();
    let sight = Sight {
        items: &shown.items,
        whole: shown.whole,
        status: None,
        untouched: false,
        up,
        ends_unheard: dialect.ends_unheard(),
        now: SystemClock.now(),
    };
    let verdict = match decide(mark, &sight) {
        // What the history alone does not settle.
        Recovered::Running(_) | Recovered::Absent { .. } => decide(mark, &closer(gateway, &key, mark, sight)),
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

/// Takes a look at a turn under way; nothing where the gateway does not show it.
pub(super) fn look(
    gateway: &HttpGateway,
    session: &SessionKey,
    agent: &str,
    mark: &TurnMark<'_>,
) -> Result<Option<Glance>, TurnFailure> {
    let agent = codec::agent_id(agent)?;
    let key = gateway.name(session, &agent)?;
    let page = page(gateway, &format!("/sessions/{}/history?limit={FIRST_PAGE}", encoded(&key)));
    let items = match page.map(|page| page.items) {
        Err(HistoryUnavailable::Closed) => tool_history(gateway, &key, mark).map(|shown| shown.items),
        other => other,
    };
    match items {
        Ok(items) => {
            let seen = glance(mark, &items);
            let queued = !seen.begun && status(gateway, &key) == Some(Status::Running);
            Ok(Some(Glance { queued, ..seen }))
        }
        Err(HistoryUnavailable::Away(failure)) => Err(failure),
        Err(HistoryUnavailable::Hiccup | HistoryUnavailable::Closed) => Ok(None),
    }
}

/// An item of which the history shows only the beginning, from where it is shown whole.
fn whole(gateway: &HttpGateway, key: &str, item: &Item) -> Result<Item, SocketFailure> {
    let Some(id) = &item.id else { return Err(SocketFailure::Declined("the item has no id".to_owned())) };
    let mut conversation = Conversation::begin(gateway)?;
    let answer = conversation.ask("chat.message.get", &message_params(key, id))?;
    conversation.end();
    let found =
        read_message(&answer).map_err(|why| SocketFailure::Declined(format!("chat.message.get: {why}")))?;
    if found.cut {
        return Err(SocketFailure::Declined("it is longer than the gateway shows".to_owned()));
    }
    // Of where it stands in the session the history knows more.
    Ok(Item { text: found.text, calls: found.calls, cut: false, ..item.clone() })
}

/// What `/startupz` or `/readyz` tells.
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
    let mut life = StartupState::default();
    for path in ["/startupz", "/readyz"] {
        let limit = gateway.shared.limits.probe;
        let seen = ask(gateway, &Query { path, body: None, secret: false, limit, most: 64 * 1024 })?;
        let state: ReadyState = serde_json::from_slice(&json::bytes(&seen.body)).unwrap_or_default();
        if let Some(version) = state.version {
            let version = gateway.shared.words(&version);
            gateway.shared.memory().heard_version(&version);
        }
        life.starting |= state.status.as_deref() == Some("starting");
        life.up = state.uptime_ms.map(Duration::from_millis);
        if life.starting || life.up.is_some() {
            break;
        }
    }
    Ok(life)
}

/// The session, read backwards until the turn is reached.
fn history(gateway: &HttpGateway, key: &str, mark: &TurnMark<'_>) -> Result<Shown, HistoryUnavailable> {
    let path = format!("/sessions/{}/history", encoded(key));
    let mut items = Vec::new();
    let mut page = page(gateway, &format!("{path}?limit={FIRST_PAGE}"))?;
    for _ in 0..=NEXT_PAGES {
        let reached = reaches(mark, &page.items);
        items.splice(0..0, page.items);
        let Some(older) = page.older.filter(|_| !reached) else { return Ok(Shown { items, whole: true }) };
        page = self::page(gateway, &format!("{path}?limit={NEXT_PAGE}&cursor={}", encoded(&older)))?;
    }
    Ok(Shown { items, whole: false })
}

fn page(gateway: &HttpGateway, path: &str) -> Result<Page, HistoryUnavailable> {
    let question = Query { path, body: None, secret: true, limit: PATIENCE, most: PAGE_BYTES };
    for _ in 1..HICCUPS {
        match read_page(&ask(gateway, &question)?) {
            Err(HistoryUnavailable::Hiccup) if !gateway.stop.wait(HICCUP) => {}
            other => return other,
        }
    }
    read_page(&ask(gateway, &question)?)
}

fn read_page(seen: &RawAnswer) -> Result<Page, HistoryUnavailable> {
    let away =
        |why| Err(HistoryUnavailable::Away(TurnFailure::new(Class::Closed, why).with_status(seen.status)));
    let json = seen.body.trim_ascii_start().first() == Some(&b'{');
    match (seen.status, json) {
        _ if seen.page => Err(HistoryUnavailable::Closed),
        (200, true) => history::read(&seen.body).ok_or(HistoryUnavailable::Closed),
        // There is no such session.
        (404, true) => Ok(Page::default()),
        (401, _) => away(Why::TokenRefused),
        (429, _) => away(Why::TooManyLogins),
        (503, true) => away(Why::Draining),
        (502..=504 | 520..=524, _) => away(Why::Unreachable),
        (408 | 500.., _) => Err(HistoryUnavailable::Hiccup),
        _ => Err(HistoryUnavailable::Closed),
    }
}

/// The same through the tool that agents have for it.
fn tool_history(gateway: &HttpGateway, key: &str, mark: &TurnMark<'_>) -> Result<Shown, HistoryUnavailable> {
    for limit in [FIRST_PAGE, TOOL_PAGE] {
        let args = json!({"sessionKey": key, "limit": limit, "includeTools": true});
        let seen = invoke(gateway, "sessions_history", key, &args)?;
        let items = match seen.status {
            200 if !seen.page => read_tool(&seen.body).ok_or(HistoryUnavailable::Closed)?.items,
            500.. => return Err(HistoryUnavailable::Hiccup),
            _ => return Err(HistoryUnavailable::Closed),
        };
        let all = items.len() < limit as usize;
        if all || reaches(mark, &items) {
            return Ok(Shown { items, whole: true });
        }
    }
    Err(HistoryUnavailable::Closed)
}

/// With what the gateway says of its sessions.
fn closer<'a>(gateway: &HttpGateway, key: &str, mark: &TurnMark<'_>, sight: Sight<'a>) -> Sight<'a> {
    if let Some(listed) = listed(gateway, key) {
        let untouched = listed.untouched_since(sight.now - mark.age);
        return Sight { status: listed.status, untouched, ..sight };
    }
    let in_the_dark = sight.items.is_empty() && !sight.ends_unheard;
    Sight { ends_unheard: sight.ends_unheard || (in_the_dark && rests(gateway, key)), ..sight }
}

/// Whether the gateway says over its WebSocket that nothing runs in this session. Those that let the token alone in there
/// are of 2026.5.7 or later, and end a run whose client is gone (spec §11.9, §12.3).
fn rests(gateway: &HttpGateway, key: &str) -> bool {
    let ask = || -> Result<bool, SocketFailure> {
        let mut conversation = Conversation::begin(gateway)?;
        let answer = conversation.ask("chat.history", &in_flight_params(key))?;
        conversation.end();
        Ok(read_in_flight(&answer).is_none())
    };
    // One that does not talk to us is taken for one whose runs go on.
    ask().unwrap_or(false)
}

/// What the gateway's list of sessions says of this one, if it shows us that list.
fn listed(gateway: &HttpGateway, key: &str) -> Option<Listed> {
    let seen = invoke(gateway, "sessions_list", key, &json!({"limit": LISTED_MOST})).ok()?;
    if seen.status == 200 { read_listed(&seen.body, key, LISTED_MOST) } else { None }
}

/// How the last run of the session stands, if the gateway tells us.
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
    ask(gateway, &Query { path: "/tools/invoke", body, secret: true, limit: PATIENCE, most: PAGE_BYTES })
}

/// As a part of a path.
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
