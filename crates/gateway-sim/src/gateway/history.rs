//! `GET /sessions/{key}/history`: the history of a session, once or as a stream (openclaw-gateway §11.3).

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::{body, refusal};
use super::sessions::{Session, SessionView};
use super::turn_request::session_named;
use super::{Inner, Phase, Release, draining};
use mcr_http::message::{Method, Reply, Request, Sink};

/// The maximum number of items per page.
const PAGE: u64 = 1_000;
/// The interval of keepalive comments on a quiet stream.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// The interval at which a stream checks that its client is still connected.
const QUIET: Duration = Duration::from_millis(200);

/// The session key in a history path.
pub(super) fn key_of(path: &str) -> Option<String> {
    let key = path.strip_prefix("/sessions/")?.strip_suffix("/history")?;
    Some(decoded(key)).filter(|key| !key.is_empty() && !key.contains('/'))
}

/// Handles the request.
pub(super) fn answer(inner: &Arc<Inner>, request: &Request, key: &str) -> Reply {
    if *request.method() != Method::Get {
        return Reply::text("Method Not Allowed").with_status(405).with_header("Allow", "GET");
    }
    if !inner.is_authorized(request) {
        return refusal(401, "unauthorized", "Unauthorized");
    }
    if inner.phase() == Phase::Draining {
        return draining();
    }
    if !inner.options.release.shows_history() {
        let error = json!({"type": "forbidden", "message": "missing scope: operator.read"});
        return body(403, &json!({"ok": false, "error": error}));
    }
    if inner.faults.hides_history() {
        return Reply::text("Internal Server Error").with_status(500);
    }
    let (mut limit, mut cursor) = (None, None);
    for (name, value) in
        request.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='))
    {
        let (place, value) = match name {
            "limit" => (&mut limit, value.to_owned()),
            "cursor" => (&mut cursor, decoded(value).trim_start_matches("seq:").to_owned()),
            _ => continue,
        };
        match value.parse::<u64>() {
            Ok(number @ 1..) => *place = Some(number),
            _ => return refusal(400, "invalid_request_error", &format!("{name} must be a positive integer")),
        }
    }
    let first = inner.options.agents.first().map_or("main", String::as_str);
    let named = session_named(key, first, &inner.options);
    if named.is_none() && !key.to_ascii_lowercase().starts_with("agent:") {
        return Reply::text("Internal Server Error").with_status(500);
    }
    let Some(session) = named.and_then(|name| inner.sessions.find(&name)) else {
        let message = format!("Session not found: {}", key.to_lowercase());
        return body(404, &json!({"ok": false, "error": {"type": "not_found", "message": message}}));
    };
    let wants_events = request.header("Accept").is_some_and(|accept| accept.contains("text/event-stream"));
    if wants_events {
        let inner = Arc::clone(inner);
        return Reply::events(move |sink| follow(&inner, &session, limit, sink));
    }
    body(200, &page(&session.name, &session.view(), (limit, cursor), inner.options.release))
}

/// The last items, or the last ones before a cursor.
fn page(
    name: &str,
    view: &SessionView,
    (limit, cursor): (Option<u64>, Option<u64>),
    release: Release,
) -> Value {
    let last = view.last();
    let end = cursor.map_or(last, |cursor| last.min(cursor - 1));
    let first = view.dropped;
    let at =
        |seq: u64| usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX).min(view.entries.len());
    let mut begin = limit.map_or(first, |limit| end.saturating_sub(limit.min(PAGE)).max(first));
    // Hidden entries do not count, so the page extends until it is full.
    let shown = |begin: u64| {
        view.entries[at(begin)..at(end.max(begin))].iter().filter(|entry| !entry.is_hidden(release)).count()
    };
    while limit.is_some_and(|limit| (shown(begin) as u64) < limit.min(PAGE)) && begin > first {
        begin -= 1;
    }
    let entries = &view.entries[at(begin)..at(end.max(begin))];
    let items: Vec<Value> =
        (begin + 1..).zip(entries).flat_map(|(seq, entry)| entry.shown(seq, release)).collect();
    let more = begin > first;
    let mut page = json!({"sessionKey": name, "items": items, "messages": items, "hasMore": more});
    if more {
        page["nextCursor"] = json!((begin + 1).to_string());
    }
    page
}

/// Sends the whole history and then new entries. Sends the whole history again after a retraction.
fn follow(inner: &Inner, session: &Session, limit: Option<u64>, sink: &mut dyn Sink) -> io::Result<()> {
    let mut seen = session.view();
    let everything = |view: &SessionView| {
        format!(
            "event: history\ndata: {}\n\n",
            page(&session.name, view, (limit, None), inner.options.release)
        )
    };
    sink.send(format!("retry: 1000\n\n{}", everything(&seen)).as_bytes())?;
    let mut last_sent = Instant::now();
    while sink.is_open() && inner.is_running() {
        let now = session.wait_for_more(&seen, QUIET);
        let mut news = String::new();
        if now.era == seen.era {
            let from = usize::try_from(seen.last().saturating_sub(now.dropped)).unwrap_or(usize::MAX);
            let fresh = now.entries.iter().skip(from).zip(now.dropped.max(seen.last()) + 1..);
            for (entry, seq) in fresh.filter(|(entry, _)| entry.is_streamed()) {
                for message in entry.shown(seq, inner.options.release) {
                    let id = message["__openclaw"]["id"].clone();
                    let data = json!({"sessionKey": session.name, "message": message, "messageId": id, "messageSeq": seq});
                    let _ = write!(news, "event: message\ndata: {data}\n\n");
                }
            }
        } else {
            news = everything(&now);
        }
        seen = now;
        if news.is_empty() && last_sent.elapsed() >= KEEPALIVE {
            ": keepalive\n\n".clone_into(&mut news);
        }
        if !news.is_empty() {
            last_sent = Instant::now();
            sink.send(news.as_bytes())?;
        }
    }
    Ok(())
}

/// Decodes the percent signs of a path segment.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
