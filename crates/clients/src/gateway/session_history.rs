//! Reads the items of a session by the first way that the gateway opens.
//!
//! Current gateways show a session at `/sessions/{key}/history`. Others refuse this path or serve an HTML page there. They
//! may offer the tool `sessions_history` instead, if their configuration allows it, or `chat.history` over the WebSocket
//! to a client with the token alone (spec §11.4, §12.3).

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::HttpGateway;
use super::conversation::Conversation;
use super::query::{NoAnswer, Query, RawAnswer, ask};
use super::socket::SocketFailure;
use mcr_core::gateway::codec::{TurnFailure, history_params};
use mcr_core::gateway::dialect::HistoryWay;
use mcr_core::gateway::history::{
    self, Item, Page, TurnMark, reaches, read_not_found, read_socket, read_tool,
};
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
    /// Whether they reach back far enough, or to the session's beginning.
    pub(super) whole: bool,
}

/// Whether no items older than these are needed.
type Enough<'a> = &'a dyn Fn(&[Item]) -> bool;

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

/// The ways, in the order in which they are tried.
const WAYS: [HistoryWay; 3] = [HistoryWay::Http, HistoryWay::Tool, HistoryWay::Socket];

/// Reads the session back to the turn, by the first way that is open.
pub(super) fn read(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    read_until(gateway, key, &|items| reaches(mark, items))
}

/// Reads the session back to a page that is `enough`, or to its beginning, by the first way that is open.
pub(super) fn read_until(
    gateway: &HttpGateway,
    key: &str,
    enough: Enough<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    by_first_open(gateway, |way| match way {
        HistoryWay::Http => over_http(gateway, key, enough),
        HistoryWay::Tool => over_tool(gateway, key, enough),
        HistoryWay::Socket => over_socket(gateway, key, enough),
        HistoryWay::Closed => Err(HistoryUnavailable::Refused),
    })
}

/// Reads the last items of the session, by the first way that is open.
pub(super) fn read_last(
    gateway: &HttpGateway,
    key: &str,
    mark: &TurnMark<'_>,
) -> Result<Vec<Item>, HistoryUnavailable> {
    let enough: Enough<'_> = &|items| reaches(mark, items);
    by_first_open(gateway, |way| match way {
        HistoryWay::Http => page(gateway, key, &format!("limit={FIRST_PAGE_ITEMS}")).map(|page| page.items),
        HistoryWay::Tool => over_tool(gateway, key, enough).map(|shown| shown.items),
        HistoryWay::Socket => over_socket(gateway, key, enough).map(|shown| shown.items),
        HistoryWay::Closed => Err(HistoryUnavailable::Refused),
    })
}

/// Tries the way that the last probe found, then the others: a gateway's configuration may have changed since.
fn by_first_open<T>(
    gateway: &HttpGateway,
    read: impl Fn(HistoryWay) -> Result<T, HistoryUnavailable>,
) -> Result<T, HistoryUnavailable> {
    let known = gateway.shared.memory().dialect().history;
    let others = WAYS.into_iter().filter(|way| Some(*way) != known);
    for way in known.into_iter().chain(others) {
        match read(way) {
            Err(HistoryUnavailable::Refused) => {}
            other => return other,
        }
    }
    Err(HistoryUnavailable::Refused)
}

/// Finds the way that is open now. The session need not exist.
pub(super) fn open_way(gateway: &HttpGateway, key: &str) -> Result<HistoryWay, HistoryUnavailable> {
    // Only whether the way is open matters.
    let enough: Enough<'_> = &|_| true;
    for way in WAYS {
        let found = match way {
            HistoryWay::Http => page(gateway, key, "limit=1").map(|_| ()),
            HistoryWay::Tool => over_tool(gateway, key, enough).map(|_| ()),
            HistoryWay::Socket | HistoryWay::Closed => over_socket(gateway, key, enough).map(|_| ()),
        };
        match found {
            Ok(()) => return Ok(way),
            Err(HistoryUnavailable::Refused) => {}
            Err(unavailable) => return Err(unavailable),
        }
    }
    Ok(HistoryWay::Closed)
}

/// Reads the history over the WebSocket.
fn over_socket(
    gateway: &HttpGateway,
    key: &str,
    enough: Enough<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    let mut conversation = Conversation::begin(gateway)?;
    let mut shown = Err(HistoryUnavailable::Refused);
    for limit in [FIRST_PAGE_ITEMS, TOOL_PAGE_ITEMS] {
        let answer = conversation.request("chat.history", &history_params(key, limit))?;
        let Some(Page { items, .. }) = read_socket(&answer) else { break };
        if items.len() < limit as usize || enough(&items) {
            shown = Ok(SessionItems { items, whole: true });
            break;
        }
    }
    conversation.end();
    shown
}

impl From<SocketFailure> for HistoryUnavailable {
    fn from(failure: SocketFailure) -> Self {
        match failure {
            SocketFailure::Away(failure) => Self::Away(failure),
            SocketFailure::Temporary(_) => Self::Temporary,
            SocketFailure::Declined(_) => Self::Refused,
        }
    }
}

/// Reads the session backwards until it reaches the turn.
fn over_http(
    gateway: &HttpGateway,
    key: &str,
    enough: Enough<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    let mut items = Vec::new();
    let mut page = page(gateway, key, &format!("limit={FIRST_PAGE_ITEMS}"))?;
    for _ in 0..=NEXT_PAGES_MAX {
        let reached = enough(&page.items);
        items.splice(0..0, page.items);
        let Some(older) = page.older.filter(|_| !reached) else {
            return Ok(SessionItems { items, whole: true });
        };
        page = self::page(gateway, key, &format!("limit={NEXT_PAGE_ITEMS}&cursor={}", encoded(&older)))?;
    }
    Ok(SessionItems { items, whole: false })
}

fn page(gateway: &HttpGateway, key: &str, query: &str) -> Result<Page, HistoryUnavailable> {
    let path = &format!("/sessions/{}/history?{query}", encoded(key));
    let question =
        Query { path, body: None, with_token: true, timeout: QUERY_TIMEOUT, bytes_max: PAGE_BYTES_MAX };
    for _ in 1..HISTORY_RETRIES_MAX {
        match read_page(&ask(gateway, &question)?, key) {
            Err(HistoryUnavailable::Temporary) if !gateway.stop.wait(HISTORY_RETRY_PAUSE) => {}
            other => return other,
        }
    }
    read_page(&ask(gateway, &question)?, key)
}

/// Reads one page. A proxy that rewrites paths makes the gateway show another session: such a page is none of ours.
fn read_page(answer: &RawAnswer, key: &str) -> Result<Page, HistoryUnavailable> {
    let away =
        |why| Err(HistoryUnavailable::Away(TurnFailure::new(Class::Closed, why).with_status(answer.status)));
    let is_ours = |session: &str| session.eq_ignore_ascii_case(key);
    let json = answer.body.trim_ascii_start().first() == Some(&b'{');
    match (answer.status, json) {
        _ if answer.page => Err(HistoryUnavailable::Refused),
        (200, true) => history::read(&answer.body)
            .filter(|page| page.session.as_deref().is_none_or(is_ours))
            .ok_or(HistoryUnavailable::Refused),
        // There is no such session.
        (404, true) if read_not_found(&answer.body).is_some_and(|session| is_ours(&session)) => {
            Ok(Page::default())
        }
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
    enough: Enough<'_>,
) -> Result<SessionItems, HistoryUnavailable> {
    for limit in [FIRST_PAGE_ITEMS, TOOL_PAGE_ITEMS] {
        let args = json!({"sessionKey": key, "limit": limit, "includeTools": true});
        let answer = invoke(gateway, "sessions_history", key, &args)?;
        let Page { items, dropped, .. } = match answer.status {
            200 if !answer.page => read_tool(&answer.body).ok_or(HistoryUnavailable::Refused)?,
            500.. => return Err(HistoryUnavailable::Temporary),
            _ => return Err(HistoryUnavailable::Refused),
        };
        let all = items.len() < limit as usize && !dropped;
        if all || enough(&items) {
            return Ok(SessionItems { items, whole: true });
        }
        if dropped {
            // An answer of the tool has 80 KB at most, however many items are requested.
            return Ok(SessionItems { items, whole: false });
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
