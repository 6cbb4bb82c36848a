//! The response of a turn: one body, or a sequence of events (openclaw-gateway §5 and §6).

use std::cell::Cell;
use std::io;

use serde_json::{Value, json};

use super::failure::Failure;
use super::faults::Fault;
use super::run::{Issued, Outcome, Watch};
use super::scripted_model::Tokens;
use super::{Inner, Release};
use mcr_http::message::{Reply, Sink};

/// Appended to a truncated answer that is sent as one body.
const TRUNCATED: &str = "⚠️ Reply truncated at the model's output token limit. The text above is partial — ask to \
    continue it.";
/// The error of a stream whose answer was retracted.
const NOT_APPENDED: &str = "Assistant output cannot be represented as an append-only response stream.";

/// The fields that all parts of one response share.
pub(super) struct Frame {
    pub(super) id: String,
    message: String,
    created: i64,
    model: String,
    has_phases: bool,
    /// Whether one body leaves out the text before calls.
    leaves_out_preambles: bool,
    /// The status of an answer with calls.
    word_of_calls: &'static str,
    /// The reported usage of its model calls.
    pub(super) spent: Cell<Tokens>,
}

/// The contents of a finished response.
struct Finished {
    status: u16,
    word: &'static str,
    output: Vec<Value>,
    error: Option<(String, String)>,
    written: usize,
}

impl Frame {
    pub(super) fn new(inner: &Inner, model: &str) -> Self {
        Self {
            id: inner.ids.named("resp"),
            message: inner.ids.named("msg"),
            created: inner.options.clock.now().0 / 1000,
            model: model.to_owned(),
            has_phases: inner.options.release >= Release::V2026_5_7,
            leaves_out_preambles: inner.options.release >= Release::V2026_8_2,
            word_of_calls: if inner.options.release < Release::V2026_8_2 {
                "incomplete"
            } else {
                "completed"
            },
            spent: Cell::default(),
        }
    }

    fn resource(
        &self,
        word: &str,
        output: &[Value],
        tokens: Tokens,
        error: Option<&(String, String)>,
    ) -> Value {
        let Tokens { read, written, .. } = tokens;
        let mut resource = json!({
            "id": self.id, "object": "response", "created_at": self.created, "status": word, "model": self.model,
            "output": output,
            "usage": {"input_tokens": read, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": written, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": read + written},
        });
        if let Some((code, message)) = error {
            resource["error"] = json!({"code": code, "message": message});
        }
        if word == "incomplete" {
            resource["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        resource
    }

    fn said(&self, text: &str, phase: &str, status: &str) -> Value {
        let content = json!([{"type": "output_text", "text": text}]);
        let mut item = json!({"type": "message", "id": self.message, "role": "assistant", "content": content, "status": status});
        if self.has_phases {
            item["phase"] = json!(phase);
        }
        item
    }

    fn call(&self, call: &Issued, number: usize) -> Value {
        let id = self.message.replacen("msg", "call", 1);
        json!({"type": "function_call", "id": format!("{id}-{number}"), "call_id": call.call_id, "name": call.name,
            "arguments": call.arguments})
    }

    fn failed(failure: &Failure) -> Finished {
        let error = Some((failure.code.to_owned(), failure.message.clone()));
        let written = usize::from(failure.spoke);
        Finished { status: failure.status, word: "failed", output: Vec::new(), error, written }
    }

    fn finished(&self, finished: &Finished) -> Value {
        let wrote = finished.error.is_none() || finished.written > 0;
        let tokens = if wrote { self.spent.get() } else { Tokens::default() };
        self.resource(finished.word, &finished.output, tokens, finished.error.as_ref())
    }

    /// The answer as one body.
    pub(super) fn whole(&self, outcome: &Outcome, fault: Option<&Fault>) -> (u16, Value) {
        let mut finished = match outcome {
            Outcome::Said { text, cut } => {
                let status = if *cut { "incomplete" } else { "completed" };
                let text = if *cut { format!("{text}\n\n{TRUNCATED}") } else { text.clone() };
                let text = enlarged(text, fault);
                let written = text.len();
                let output = vec![self.said(&text, "final_answer", status)];
                Finished { status: 200, word: status, output, error: None, written }
            }
            Outcome::Called { preamble, calls } => {
                let calls = calls.iter().enumerate().map(|(at, call)| self.call(call, at));
                let mut output = Vec::new();
                if !self.leaves_out_preambles && !preamble.is_empty() {
                    output.push(self.said(preamble, "commentary", "completed"));
                }
                output.extend(calls);
                Finished { status: 200, word: self.word_of_calls, output, error: None, written: 1 }
            }
            Outcome::FailedWithText(text) => {
                let output = vec![self.said(text, "commentary", "completed")];
                Finished { status: 200, word: "failed", output, error: None, written: 0 }
            }
            Outcome::Failed(failure) => Self::failed(failure),
            Outcome::Gone => Self::failed(&Failure {
                status: 500,
                code: "api_error",
                message: "internal error".into(),
                spoke: false,
            }),
        };
        match fault {
            Some(Fault::Failed(code, message)) => {
                finished = Self::failed(&Failure {
                    status: 500,
                    code,
                    message: (*message).to_owned(),
                    spoke: false,
                });
            }
            Some(Fault::ExtraItems) => {
                finished.output.splice(0..0, self.extra_items());
            }
            _ => {}
        }
        (finished.status, self.finished(&finished))
    }

    /// Additional output items of an answer.
    fn extra_items(&self) -> Vec<Value> {
        let id = self.message.replacen("msg", "rs", 1);
        let reasoning =
            json!({"type": "reasoning", "id": id, "summary": [{"type": "summary_text", "text": "I think."}]});
        let mut aside = self.said("An aside.", "commentary", "completed");
        aside["id"] = json!(format!("{}-0", self.message));
        vec![reasoning, aside]
    }
}

fn enlarged(mut text: String, fault: Option<&Fault>) -> String {
    if let Some(Fault::Huge(bytes)) = fault {
        text.extend(std::iter::repeat_n('x', *bytes));
    }
    text
}

/// An error in the gateway's other format, for a request refused before its run.
pub(super) fn refusal(status: u16, kind: &str, message: &str) -> Reply {
    body(status, &json!({"error": {"message": message, "type": kind}}))
}

/// JSON as the gateway sends it.
pub(super) fn body(status: u16, value: &Value) -> Reply {
    Reply::whole("application/json; charset=utf-8", written(value).into_bytes()).with_status(status)
}

/// Marks the first half of an emoji that JavaScript has cut. A Rust text cannot contain that half itself.
pub const HALF_EMOJI: char = '\u{fdd0}';

/// JSON as JavaScript writes it, which escapes half an emoji.
pub(super) fn written(value: &Value) -> String {
    value.to_string().replace(HALF_EMOJI, "\\ud83d")
}

/// An event stream to a client.
pub(super) struct Events<'a> {
    frame: &'a Frame,
    sink: &'a mut dyn Sink,
    /// The text sent so far.
    said: String,
    /// Events not sent yet.
    queued: String,
    sent: usize,
    /// The number of events after which the connection is cut.
    cut: usize,
    error: Option<io::Error>,
    /// Text is withheld until the end.
    pub(super) muted: bool,
}

impl Watch for Events<'_> {
    fn is_open(&mut self) -> bool {
        // A caller asks before it waits, so pending events are sent now.
        self.flush();
        self.error.is_none() && self.sink.is_open()
    }

    fn words(&mut self, text: &str) {
        if text.is_empty() || self.muted {
            return;
        }
        self.said.push_str(text);
        let message = &self.frame.message;
        let data = json!({"item_id": message, "output_index": 0, "content_index": 0, "delta": text});
        self.event("response.output_text.delta", data);
    }
}

impl<'a> Events<'a> {
    pub(super) fn new(frame: &'a Frame, sink: &'a mut dyn Sink, fault: Option<&Fault>) -> Self {
        let cut = match fault {
            Some(Fault::CutAfter(events)) => *events,
            Some(Fault::HalfAnswer) => 5,
            _ => usize::MAX,
        };
        let error = (cut == 0).then(cut_off);
        Self { frame, sink, said: String::new(), queued: String::new(), sent: 0, cut, error, muted: false }
    }

    fn event(&mut self, kind: &str, mut data: Value) {
        data["type"] = json!(kind);
        self.raw(&format!("event: {kind}\ndata: {}\n\n", written(&data)));
    }

    /// Queues one raw event.
    pub(super) fn raw(&mut self, text: &str) {
        if self.error.is_some() {
            return;
        }
        self.queued.push_str(text);
        self.sent += 1;
        if self.sent == self.cut {
            self.flush();
            self.error = Some(cut_off());
        }
    }

    /// Sends the queued events in one piece.
    fn flush(&mut self) {
        if self.error.is_none() && !self.queued.is_empty() {
            self.error = self.sink.send(self.queued.as_bytes()).err();
        }
        self.queued.clear();
    }

    /// Sends the first four events.
    pub(super) fn begin(&mut self) {
        let resource = self.frame.resource("in_progress", &[], Tokens::default(), None);
        self.event("response.created", json!({"response": resource}));
        self.event("response.in_progress", json!({"response": resource}));
        let message = self.frame.message.clone();
        let item = json!({"type": "message", "id": message, "role": "assistant", "content": [], "status": "in_progress"});
        self.event("response.output_item.added", json!({"output_index": 0, "item": item}));
        let part = json!({"type": "output_text", "text": ""});
        self.event(
            "response.content_part.added",
            json!({"item_id": message, "output_index": 0, "content_index": 0, "part": part}),
        );
        self.flush();
    }

    /// Sends all remaining events.
    pub(super) fn end(mut self, outcome: &Outcome, fault: Option<&Fault>) -> io::Result<()> {
        let failure = match (fault, outcome) {
            (Some(Fault::AppendOnly), _) => Some(("server_error", NOT_APPENDED, true)),
            (Some(Fault::Failed(code, message)), _) => Some((*code, *message, false)),
            (_, Outcome::Failed(failure)) => Some((failure.code, failure.message.as_str(), failure.spoke)),
            (_, Outcome::Gone) => return Err(self.error.unwrap_or_else(cut_off)),
            _ => None,
        };
        if let Some((code, message, spoke)) = failure {
            let failure = Failure { status: 200, code, message: message.to_owned(), spoke };
            let resource = self.frame.finished(&Frame::failed(&failure));
            self.event("response.failed", json!({"response": resource}));
        } else {
            self.close(outcome, fault);
        }
        self.raw("data: [DONE]\n\n");
        self.flush();
        self.error.map_or(Ok(()), Err)
    }

    fn close(&mut self, outcome: &Outcome, fault: Option<&Fault>) {
        let (calls, text, cut): (&[Issued], _, _) = match outcome {
            Outcome::Said { text, cut } => (&[], text.clone(), *cut),
            Outcome::Called { preamble, calls } => (calls, preamble.clone(), false),
            Outcome::FailedWithText(text) => (&[], text.clone(), false),
            Outcome::Failed(_) | Outcome::Gone => return,
        };
        self.muted = false;
        let text = enlarged(text, fault);
        let rest = text.strip_prefix(self.said.as_str()).unwrap_or_default().to_owned();
        self.words(&rest);
        let message = self.frame.message.clone();
        let at = |rest: Value| {
            let mut data = json!({"item_id": message, "output_index": 0, "content_index": 0});
            if let (Value::Object(data), Value::Object(rest)) = (&mut data, rest) {
                data.extend(rest);
            }
            data
        };
        self.event("response.output_text.done", at(json!({"text": text})));
        self.event("response.content_part.done", at(json!({"part": {"type": "output_text", "text": text}})));
        let status = if cut { "incomplete" } else { "completed" };
        let failed = matches!(outcome, Outcome::FailedWithText(_));
        let has_calls = !calls.is_empty();
        let phase = if calls.is_empty() && !failed { "final_answer" } else { "commentary" };
        let mut output = vec![self.frame.said(&text, phase, status)];
        self.event("response.output_item.done", json!({"output_index": 0, "item": output[0]}));
        let extra = if fault == Some(&Fault::ExtraItems) { self.frame.extra_items() } else { Vec::new() };
        let calls = calls.iter().enumerate().map(|(at, call)| self.frame.call(call, at));
        for mut item in extra.into_iter().chain(calls) {
            let index = output.len();
            self.event("response.output_item.added", json!({"output_index": index, "item": item}));
            item["status"] = json!("completed");
            self.event("response.output_item.done", json!({"output_index": index, "item": item}));
            output.push(item);
        }
        // The event says "completed", the response in it "failed".
        let word = match (failed, has_calls) {
            (true, _) => "failed",
            (false, true) => self.frame.word_of_calls,
            (false, false) => status,
        };
        let finished = Finished { status: 200, word, output, error: None, written: text.len() };
        let resource = self.frame.finished(&finished);
        // With calls, the status is only in the response.
        self.event(&format!("response.{status}"), json!({"response": resource}));
    }

    /// Sends events until the client disconnects.
    pub(super) fn endless(mut self) -> io::Result<()> {
        let piece = "x".repeat(1024);
        while self.is_open() {
            let message = self.frame.message.clone();
            let data = json!({"item_id": message, "output_index": 0, "content_index": 0, "delta": piece});
            self.event("response.output_text.delta", data);
            self.flush();
        }
        Err(self.error.unwrap_or_else(cut_off))
    }
}

/// The error that cuts a stream off.
pub(super) fn cut_off() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}
