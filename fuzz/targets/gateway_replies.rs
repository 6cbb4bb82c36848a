//! The first line of the input states the format. `200 text/event-stream 2026.9.6` is a response body with this status, type
//! and release, `history running` a page of a session's history, and `frames` bytes of a WebSocket.

use std::io::{self, Read};
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::gateway::client::dry_run::{Raw, rehearse};
use mission_control_runtime::gateway::dialect::{Dialect, Release, ToolShape};
use mission_control_runtime::gateway::history::{
    Item, Recovered, Role, SessionEvidence, Status, TurnMark, cut_item, decide, reaches, read, read_listed,
    read_tool, turn_progress,
};
use mission_control_runtime::gateway::{
    Class, GatewayError, Progress, Reply, ToolCall, ToolOutput, Usage, Why,
};
use mission_control_runtime::http::websocket::{
    Broken, Incoming, Kind, Reader, Side, WebSocketLimits, frame,
};

use super::pieces::{cut, dice_of};

/// More calls than any input contains.
const MOST: usize = 1 << 20;
/// The maximum length of an error sentence: the other side's text, the runtime's text, and the advice.
const SENTENCE_CHARS: usize = 700;
/// The maximum number of calls in one reply.
const CALLS: usize = 256;
/// The gateway's mark for a turn it no longer resumes.
const GIVEN_UP: &str = ":failed-notice";
/// The maximum pause that a gateway may demand.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Checks that a gateway's bytes are parsed as specified.
pub(crate) fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let body = bytes.get(end + 1..).unwrap_or_default();
    let head = String::from_utf8_lossy(&bytes[..end]);
    let words: Vec<&str> = head.split(' ').collect();
    match words.as_slice() {
        ["history", status] => history(body, status),
        ["frames", ..] => frames(body, Side::Client),
        ["frames-of-a-gateway", ..] => frames(body, Side::Server),
        [status, kind, release @ ..] => {
            let Ok(status) = status.parse::<u16>() else { return };
            let release = release.first().and_then(|text| Release::parse(text));
            answer(body, &Head { status, kind, release });
        }
        _ => {}
    }
}

/// The parsed first line.
struct Head<'a> {
    status: u16,
    kind: &'a str,
    release: Option<Release>,
}

/// The result of a response.
struct Outcome {
    result: Result<Reply, GatewayError>,
    /// The run ids of the turns that the gateway reported as accepted.
    taken: Vec<String>,
}

fn outcome(head: &Head<'_>, pieces: Vec<&[u8]>) -> Outcome {
    let nested = head.release.is_some_and(Release::too_old_for_tools);
    let tools = if nested { ToolShape::Nested } else { ToolShape::Flat };
    let mut taken = Vec::new();
    let mut progress = |sign: Progress<'_>| {
        if let Progress::TurnAccepted(id) = sign {
            taken.push(id.to_owned());
        }
    };
    let mut body = Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect());
    body.0.reverse();
    let raw =
        Raw { status: head.status, kind: head.kind, retry_after: Some("7"), body: &mut body, most: MOST };
    let result = rehearse(raw, Dialect { release: head.release, tools, ..Dialect::default() }, &mut progress);
    Outcome { result, taken }
}

/// The pieces of input in reverse order: the last one is read first.
struct Pieces<'a>(Vec<&'a [u8]>);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.pop() else { return Ok(0) };
        let (now, later) = piece.split_at(piece.len().min(into.len()));
        into[..now.len()].copy_from_slice(now);
        if !later.is_empty() {
            self.0.push(later);
        }
        Ok(now.len())
    }
}

/// The common part of two outcomes.
fn same(one: &Outcome, other: &Outcome, why: &str) {
    assert_eq!(one.taken, other.taken, "{why}");
    match (&one.result, &other.result) {
        (Ok(one), Ok(other)) => assert_eq!(one, other, "{why}"),
        (Err(one), Err(other)) => {
            let of = |error: &GatewayError| {
                let GatewayError { class, why, status, run, spoke, usage, not_before, sentence } =
                    error.clone();
                (class, why, status, run, spoke, usage, not_before, sentence)
            };
            assert_eq!(of(one), of(other), "{why}");
        }
        (one, other) => panic!("{why}: {one:?} and {other:?}"),
    }
}

fn answer(body: &[u8], head: &Head<'_>) {
    let mut dice = dice_of(body);
    let whole = outcome(head, vec![body]);
    same(&whole, &outcome(head, cut(body, &mut dice)), "pieces do not matter");
    assert!(whole.taken.len() <= 1, "a turn is taken once");
    let stream = head.kind.to_ascii_lowercase().starts_with("text/event-stream");
    // An escaped letter hides a word from this search.
    let plain = !body.contains(&b'\\');
    let has = |word: &str| body.windows(word.len()).any(|window| window == word.as_bytes());
    match &whole.result {
        Ok(reply) => {
            assert_eq!(head.status, 200, "only a success is an answer");
            said(reply, body, plain);
            let completed = has("response.completed") || has("response.incomplete");
            assert!(!plain || completed || (!stream && has("output")), "nothing said that it was complete");
        }
        Err(error) => {
            refused(error, head);
            let ends = ["response.completed", "response.incomplete", "response.failed", "error"];
            if head.status == 200 && stream && plain && !ends.into_iter().any(has) {
                assert_eq!(error.class, Class::Lost, "the turn was taken and may have run: {error}");
            }
        }
    }
    // A truncated answer is not an answer, unless it contains everything essential. Bytes after a JSON body invalidate it.
    let part = &body[..dice.index(body.len() + 1)];
    let begun = outcome(head, vec![part]);
    let counts = if stream { part.ends_with(b"\n\n") } else { whole.result.is_ok() };
    if begun.result.is_ok() && counts {
        same(&begun, &whole, "what comes behind the end does not count");
    }
}

/// A reply contains only what was sent.
fn said(reply: &Reply, body: &[u8], plain: bool) {
    let Reply { id, text, calls, cut: _, usage: _ } = reply;
    let length =
        text.as_ref().map_or(0, String::len) + calls.iter().map(|c| c.arguments.len()).sum::<usize>();
    assert!(length <= body.len() + 2 * calls.len(), "more than was sent");
    assert!(text.as_ref().is_none_or(|text| !text.is_empty()));
    assert!(calls.len() <= CALLS);
    let sent = |text: &str| body.windows(text.len()).any(|window| window == text.as_bytes());
    for (at, call) in calls.iter().enumerate() {
        assert!(!call.call_id.is_empty() && !call.name.is_empty());
        assert!(calls[..at].iter().all(|other| other.call_id != call.call_id), "it would run twice");
        assert!(!plain || (sent(&call.call_id) && sent(&call.name)), "unexpected call of {}", call.name);
    }
    assert!(!plain || id.as_ref().is_none_or(|id| id.is_empty() || sent(id)));
}

fn refused(error: &GatewayError, head: &Head<'_>) {
    assert_eq!(error.status, Some(head.status));
    assert!(error.sentence.chars().count() <= SENTENCE_CHARS, "{}", error.sentence);
    assert!(!error.sentence.contains(['\n', '\r']), "{}", error.sentence);
    assert!(error.run.as_ref().is_none_or(|run| run.chars().count() <= 301));
    assert!(error.not_before.is_none_or(|pause| pause <= LONGEST_PAUSE));
    if head.status == 200 {
        let away = error.class == Class::Closed;
        assert_eq!(away, error.why == Why::NotAGateway, "only what is no gateway has not run it: {error}");
    }
}

/// Everything adopted from a session is in the session.
fn history(body: &[u8], status: &str) {
    let statuses = [
        ("running", Status::Running),
        ("done", Status::Done),
        ("killed", Status::Killed),
        ("failed", Status::Failed),
    ];
    let status = statuses.into_iter().find(|(word, _)| *word == status).map(|(_, status)| status);
    let _ = read_listed(body, "agent:qa:task:t:a:v1", 200);
    let Some(page) = read(body).or_else(|| read_tool(body)) else { return };
    let items = page.items;
    let shown: usize = items.iter().map(|item| item.text.len()).sum();
    assert!(shown <= body.len(), "more than was sent");
    let output = "[n-1 try 1 result 1.1]\n{}".to_owned();
    let outputs = [ToolOutput { call_id: "call_1".to_owned(), output }];
    let sent = Millis(1_767_225_600_000);
    let begun = TurnMark { marker: "[n-1 try 1]", run: Some("resp_1"), lost: sent, ..TurnMark::default() };
    let marks = [
        begun,
        TurnMark { run: None, earlier: Some("[n-1 try 0]"), ..begun },
        TurnMark { marker: "", outputs: &outputs, ..begun },
        TurnMark { failed: true, spoke: true, looked: Some(sent), ..begun },
    ];
    for mark in marks {
        for asks_again in [false, true] {
            let seen = turn_progress(&mark, &items, asks_again);
            assert_eq!(seen.last, items.last().map_or(0, |item| item.seq));
            assert!(seen.promised as usize <= items.len());
        }
        let cut = cut_item(&mark, &items);
        assert!(cut.is_none_or(|at| items[at].cut));
        let whole = reaches(&mark, &items);
        for (late, ends_unheard, untouched, asks_again) in [
            (false, true, false, false),
            (true, true, false, true),
            (true, false, false, false),
            (true, false, true, true),
        ] {
            let now = Millis(sent.0 + if late { 60_000 } else { 10 });
            let evidence = SessionEvidence {
                items: &items,
                whole,
                status,
                untouched,
                up: None,
                ends_unheard,
                idle: ends_unheard,
                asks_again,
                now,
            };
            let found = decide(&mark, &evidence);
            assert_eq!(found, decide(&mark, &evidence));
            adopted(&found, &items);
            let absent = matches!(found, Recovered::Absent { .. });
            // Unless the gateway itself reports that it has given up.
            let given_up =
                items.iter().any(|item| item.key.as_ref().is_some_and(|key| key.ends_with(GIVEN_UP)));
            assert!(late || given_up || !absent, "too early to send it again");
        }
    }
}

fn adopted(found: &Recovered, items: &[Item]) {
    let (Recovered::Answered(reply) | Recovered::Calls(reply) | Recovered::Elsewhere(reply)) = found else {
        return;
    };
    let agents = items.iter().filter(|item| item.role == Role::Assistant && !item.cut);
    if let Some(text) = &reply.text {
        assert!(agents.clone().any(|item| item.text == *text), "the agent did not say {text:?}");
    }
    assert_eq!(matches!(found, Recovered::Calls(_)), !reply.calls.is_empty());
    let wanted = |call: &ToolCall| agents.clone().any(|item| item.calls.contains(call));
    assert!(reply.calls.iter().all(wanted), "unexpected calls");
    let sum = items.iter().filter_map(|item| item.usage).fold(Usage::default(), |mut sum, usage| {
        sum += usage;
        sum
    });
    assert!(reply.usage.is_none_or(|usage| usage.output_tokens <= sum.output_tokens));
}

/// Frames yield the same messages in any fragmentation, and no more than was sent.
fn frames(bytes: &[u8], side: Side) {
    let mut dice = dice_of(bytes);
    let whole = heard(&[bytes], side);
    assert_eq!(heard(&cut(bytes, &mut dice), side), whole, "pieces do not matter");
    let mask = (side == Side::Client).then_some([7, 0, 255, 1]);
    let mut again = Vec::new();
    for incoming in &whole.0 {
        match incoming {
            Incoming::Text(text) => again.extend(frame(Kind::Text, true, text.as_bytes(), mask)),
            Incoming::Ping(payload) => {
                assert!(payload.len() <= 125);
                again.extend(frame(Kind::Ping, true, payload, mask));
            }
            Incoming::Pong => again.extend(frame(Kind::Pong, true, b"", mask)),
            Incoming::Close(code) => {
                let code = code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec());
                again.extend(frame(Kind::Close, true, &code, mask));
            }
        }
    }
    assert!(again.len() <= bytes.len() + 2 * whole.0.len() * 8);
    assert_eq!(heard(&[&again], side), (whole.0, None), "received messages can be sent again");
}

fn heard(pieces: &[&[u8]], side: Side) -> (Vec<Incoming>, Option<Broken>) {
    let mut reader = Reader::new(side, WebSocketLimits { message_bytes: 1024, frames: 16 });
    let mut heard = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.take() {
                Ok(Some(incoming)) => heard.push(incoming),
                Ok(None) => break,
                Err(broken) => return (heard, Some(broken)),
            }
        }
    }
    (heard, None)
}
