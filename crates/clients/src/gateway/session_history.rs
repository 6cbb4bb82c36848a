//! Reads the items of a session by the first way that the gateway opens.
//!
//! Current gateways show a session at `/sessions/{key}/history`. Others refuse this path or serve an HTML page there. They
//! may offer the tool `sessions_history` instead, if their configuration allows it (spec §11.4, §12.3).

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::HttpGateway;
use super::query::{NoAnswer, Query, RawAnswer, ask};
use mcr_core::gateway::codec::TurnFailure;
use mcr_core::gateway::history::{self, Item, Page, TurnMark, reaches, read_tool};
use mcr_core::gateway::{Class, Why};

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
/// A history may fail briefly while the gateway does its housekeeping: how often to retry, after which pause.
const HISTORY_RETRIES_MAX: u32 = 3;
const HISTORY_RETRY_PAUSE: Duration = Duration::from_millis(300);

/// What the session shows.
pub(super) struct SessionItems {
    pub(super) items: Vec<Item>,
    pub(super) whole: bool,
}

/// Why the history is not available.
pub(super) enum HistoryUnavailable {
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

/// Reads the session back to the turn, by the first way that is open.
pub(super) fn read(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    match over_http(gateway, key, mark) {
        Err(HistoryUnavailable::Refused) => over_tool(gateway, key, mark),
        other => other,
    }
}

/// Reads the last items of the session, by the first way that is open.
pub(super) fn read_last(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
) -> Result<Vec<Item>, HistoryUnavailable> {
    match page(gateway, &format!("/sessions/{}/history?limit={FIRST_PAGE_ITEMS}", encoded(key))) {
        Err(HistoryUnavailable::Refused) => over_tool(gateway, key, mark).map(|shown| shown.items),
        other => other.map(|page| page.items),
    }
}

/// Reads the session backwards until it reaches the turn.
fn over_http(
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
fn over_tool(
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

/// Calls one of the gateway's tools.
pub(super) fn invoke(
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
