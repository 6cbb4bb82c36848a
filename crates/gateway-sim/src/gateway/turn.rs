//! `POST /v1/responses`: from the request to the reply, with the planned faults.

use std::sync::Arc;
use std::thread;

use serde_json::Value;

use super::answer::{Events, Frame, body, cut_off, refusal};
use super::faults::Fault;
use super::ids::uuid;
use super::observations::{Seen, Visit};
use super::run::{Watch, run};
use super::turn_request::{self, TurnRequest};
use super::{BODY_BYTES, Inner, Phase, ScriptedGateway, draining, probes};
use mcr_http::message::{Method, Reply, Request};

/// Handles one turn.
pub(super) fn answer(inner: &Arc<Inner>, request: &Request) -> Reply {
    let wanted = request.header("x-openclaw-session-key").map(|key| key.trim().to_lowercase());
    let is_post = *request.method() == Method::Post;
    let fault = if is_post { inner.faults.take(wanted.as_deref()) } else { None };
    match &fault {
        Some(Fault::Html) => return Reply::html("<!doctype html><html><body>Welcome</body></html>"),
        Some(Fault::BadGateway) => return Reply::text("502 Bad Gateway").with_status(502),
        Some(Fault::TooManyLogins(wait)) => {
            let seconds = wait.as_secs().to_string();
            return refusal(
                429,
                "rate_limited",
                "Too many failed authentication attempts. Please try again later.",
            )
            .with_header("Retry-After", &seconds);
        }
        Some(Fault::HangUp) => return Reply::abrupt(""),
        Some(Fault::StallBefore) => inner.faults.wait(|| true),
        Some(Fault::SlowFirstByte(time)) => thread::sleep(*time),
        _ => {}
    }
    if !inner.options.endpoint {
        return probes::not_found();
    }
    if !is_post {
        return probes::not_allowed("POST");
    }
    if !inner.is_authorized(request) {
        return refusal(401, "unauthorized", "Unauthorized");
    }
    if inner.phase() == Phase::Draining {
        return draining();
    }
    if request.body().len() > BODY_BYTES {
        return ScriptedGateway::refuse(413, "");
    }
    let mut ask = match turn_request::read(request, &inner.options, || uuid(inner.ids.next())) {
        Ok(ask) => ask,
        Err(why) => return refusal(400, "invalid_request_error", &why),
    };
    if let Some(session) = inner.session_of(&ask) {
        ask.session = Some(session);
    }
    let frame = Frame::new(inner, &ask.model);
    inner.remember(&frame.id, &ask);
    let visit = inner.observations.enter(Seen {
        run: frame.id.clone(),
        agent: ask.agent.clone(),
        session: ask.session.clone().unwrap_or_default(),
        instructions: ask.instructions.clone(),
        tools: ask.tools.iter().map(|tool| tool.name.clone()).collect(),
        text: ask.text.clone(),
        stream: ask.stream,
    });
    if ask.stream {
        streamed(inner, ask, frame, visit, fault)
    } else {
        whole(inner, &ask, &frame, &visit, fault.as_ref())
    }
}

/// The watcher of a turn that no client follows, or whose disconnect is not noticed.
pub(super) struct NoWatcher;

impl Watch for NoWatcher {
    fn is_open(&mut self) -> bool {
        true
    }

    fn words(&mut self, _: &str) {}
}

fn whole(
    inner: &Arc<Inner>,
    ask: &TurnRequest,
    frame: &Frame,
    visit: &Visit,
    fault: Option<&Fault>,
) -> Reply {
    let outcome = run(inner, ask, &frame.id, visit, fault, &mut NoWatcher);
    frame.spent.set(visit.all_spent());
    let (status, answer) = frame.whole(&outcome, fault);
    match fault {
        Some(Fault::LoseAnswer) => Reply::abrupt(""),
        Some(Fault::HalfAnswer | Fault::CutAfter(_)) => half(status, &answer),
        Some(Fault::StallAfter) => {
            inner.faults.wait(|| true);
            body(status, &answer)
        }
        Some(Fault::NotJson) => {
            Reply::whole("application/json; charset=utf-8", "{\"id\":\"resp_1\",\"object\":\"response\",")
        }
        Some(Fault::Endless) => Reply::stream("application/json; charset=utf-8", |sink| {
            let blanks = [b' '; 16 * 1024];
            sink.send(b"{")?;
            while sink.is_open() {
                sink.send(&blanks)?;
            }
            Err(cut_off())
        }),
        _ => body(status, &answer),
    }
}

/// The head, and half of the body it announces.
fn half(status: u16, answer: &Value) -> Reply {
    let text = answer.to_string();
    let mut bytes = format!(
        "HTTP/1.1 {status} Half\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        text.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&text.as_bytes()[..text.len() / 2]);
    Reply::abrupt(bytes)
}

fn streamed(inner: &Arc<Inner>, ask: TurnRequest, frame: Frame, visit: Visit, fault: Option<Fault>) -> Reply {
    // For these faults the turn runs first, since it must run completely and little of the response is sent.
    let before = matches!(
        fault,
        Some(Fault::LoseAnswer | Fault::HalfAnswer | Fault::CutAfter(_) | Fault::NotJson | Fault::Endless)
    );
    let mut outcome = before.then(|| run(inner, &ask, &frame.id, &visit, fault.as_ref(), &mut NoWatcher));
    if fault == Some(Fault::LoseAnswer) {
        return Reply::abrupt("");
    }
    let inner = Arc::clone(inner);
    Reply::events(move |sink| {
        let fault = fault.as_ref();
        let mut events = Events::new(&frame, sink, fault);
        // Only the end decides whether the answer counts.
        events.muted = ask.must_call.is_some();
        events.begin();
        match fault {
            Some(Fault::NotJson) => events.raw("event: response.output_text.delta\ndata: {\"type\":\n\n"),
            Some(Fault::Endless) => {
                // The turn has ended. Only its response continues.
                drop(visit);
                return events.endless();
            }
            _ => {}
        }
        let outcome = outcome.take().unwrap_or_else(|| {
            // A withheld response is not streamed while it grows.
            let watch: &mut dyn Watch =
                if fault == Some(&Fault::StallAfter) { &mut NoWatcher } else { &mut events };
            run(&inner, &ask, &frame.id, &visit, fault, watch)
        });
        frame.spent.set(visit.all_spent());
        drop(visit);
        if fault == Some(&Fault::StallAfter) {
            inner.faults.wait(|| events.is_open());
        }
        events.end(&outcome, fault)
    })
}
