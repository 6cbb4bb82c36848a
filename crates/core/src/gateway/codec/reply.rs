//! Assembles the reply from the events of a stream or from one JSON body (spec §5, §6, §9).
//!
//! People see assistant messages only: no reasoning, no commentary, no unknown items. If the last event
//! contains the whole output, it replaces everything streamed before. Text deltas count only as signs of
//! life.
//!
//! No call runs twice under one id: of calls with the same id, the first counts. A call without an id or a
//! name can be neither run nor answered and is left out. If the reply has nothing else, it counts as not
//! understood.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::gateway_texts::failure_in;
use super::super::{Progress, Reply, ToolCall, Usage};
use super::events::StreamEvent;
use super::failure::{ErrorFields, run_failed};
use super::texts::{shortest, text_of};
use super::{Class, TurnFailure, Why};
use mcr_model::json;

/// The most text of one reply; a message at the backend has at most 100,000 characters.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;
const TEXT_TOO_LARGE: &str = "its text exceeds 4 MiB";

/// The most calls of one reply.
const CALLS_MAX: usize = 256;

/// The gateway's notice, on the last line, that a text is truncated.
const CUT_NOTICE: &str = "Reply truncated at the model's output token limit";

/// A response: the body of a plain answer, and the content of the first and the last event.
#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct ItemType<'a> {
    #[serde(borrow)]
    pub(super) r#type: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WithId<'a> {
    #[serde(borrow)]
    response: Option<Id<'a>>,
}

#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WithItem<'a> {
    #[serde(borrow)]
    item: &'a RawValue,
}

#[derive(Deserialize)]
struct WithResponse<'a> {
    #[serde(borrow)]
    response: Response<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow)]
    phase: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct FunctionCall<'a> {
    #[serde(borrow)]
    call_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// A reply under assembly.
#[derive(Default)]
pub(crate) struct Assembly {
    run: Option<String>,
    streamed: Output,
    end: Option<Result<Reply, TurnFailure>>,
}

impl Assembly {
    /// Whether an event of this name carries more than a sign of life.
    pub(crate) fn reads(name: &[u8]) -> bool {
        matches!(
            name,
            b"" | b"message"
                | b"error"
                | b"response.created"
                | b"response.queued"
                | b"response.in_progress"
                | b"response.output_item.done"
                | b"response.completed"
                | b"response.incomplete"
                | b"response.failed"
        )
    }

    /// Whether the reply, or its failure, is complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// The id of the run, once it is known.
    pub(crate) fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// Takes the next event. Events after the last one are ignored.
    pub(crate) fn event(
        &mut self,
        event: StreamEvent<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), TurnFailure> {
        if self.end.is_some() || event.data == b"[DONE]" {
            return Ok(());
        }
        let kind = match event.name {
            b"" | b"message" => {
                // A name needs no repair, and most events are parsed no further.
                let kind =
                    serde_json::from_slice::<ItemType<'_>>(event.data).ok().and_then(|kind| kind.r#type);
                Cow::Owned(kind.map_or(String::new(), Cow::into_owned).into_bytes())
            }
            name => Cow::Borrowed(name),
        };
        match &*kind {
            b"response.created" | b"response.queued" | b"response.in_progress" if self.run.is_none() => {
                let data = json::bytes(event.data);
                let read = serde_json::from_slice::<WithId<'_>>(&data).ok();
                match read.and_then(|read| read.response).and_then(|response| response.id) {
                    Some(id) => progress(Progress::TurnAccepted(self.run.insert(id.into_owned()))),
                    None => progress(Progress::Alive),
                }
            }
            b"response.output_item.done" => {
                progress(Progress::Alive);
                match serde_json::from_slice::<WithItem<'_>>(&json::bytes(event.data)) {
                    Ok(with) => self.streamed.add(with.item)?,
                    Err(error) => self.streamed.is_broken(&error),
                }
            }
            b"response.completed" | b"response.incomplete" | b"response.failed" => {
                progress(Progress::Alive);
                self.end = Some(self.last_event(&kind, event.data));
            }
            b"error" => {
                let data = json::bytes(event.data);
                let fields: ErrorFields<'_> = serde_json::from_slice(&data).unwrap_or_default();
                self.end = Some(Err(run_failed(200, &fields)));
            }
            _ => progress(Progress::Alive),
        }
        Ok(())
    }

    fn last_event(&mut self, kind: &[u8], data: &[u8]) -> Result<Reply, TurnFailure> {
        let data = json::bytes(data);
        let with: WithResponse<'_> = serde_json::from_slice(&data).map_err(|error| not_understood(&error))?;
        let ending = match (kind, with.response.status.as_deref()) {
            (b"response.failed", _) | (_, Some("failed")) => Ending::Failed,
            (b"response.incomplete", _) | (_, Some("incomplete")) => Ending::Cut,
            _ => Ending::Whole,
        };
        let streamed = std::mem::take(&mut self.streamed);
        read(with.response, ending, Some(streamed))
    }

    /// Ends the stream and returns the reply, or why there is none. Without the last event the answer is
    /// lost.
    pub(crate) fn finish(self) -> Result<Reply, TurnFailure> {
        let run = self.run;
        match self.end {
            Some(Ok(reply)) => Ok(Reply { id: reply.id.or(run), ..reply }),
            Some(Err(failure)) => Err(failure.with_run(run)),
            None => Err(TurnFailure::new(Class::Lost, Why::LostAnswer).with_run(run)),
        }
    }
}

/// The reply of a gateway that does not stream, from its whole body.
pub fn from_json(body: &[u8]) -> Result<Reply, TurnFailure> {
    let body = json::bytes(body);
    let response: Response<'_> = serde_json::from_slice(&body).map_err(|error| not_understood(&error))?;
    let ending = match (response.status.as_deref(), response.output.is_some()) {
        (Some("failed"), _) => Ending::Failed,
        (Some("incomplete"), true) => Ending::Cut,
        (Some("completed") | None, true) => Ending::Whole,
        (status, _) => {
            let words = format!("no output, status {}", status.unwrap_or("missing"));
            let run = response.id.map(Cow::into_owned);
            return Err(TurnFailure::new(Class::Lost, Why::NotUnderstood).with_detail(words).with_run(run));
        }
    };
    read(response, ending, None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
    Failed,
}

fn read(response: Response<'_>, ending: Ending, streamed: Option<Output>) -> Result<Reply, TurnFailure> {
    let id = response.id.map(Cow::into_owned);
    let usage = response.usage.and_then(|usage| serde_json::from_str::<Tokens>(usage.get()).ok());
    let usage = usage.map(|tokens| Usage {
        input_tokens: tokens.input_tokens,
        output_tokens: tokens.output_tokens,
        ..Usage::default()
    });
    if ending == Ending::Failed {
        let spoke = usage.is_some_and(|usage| usage.output_tokens > 0);
        let failure = match response.error {
            Some(error) => run_failed(200, &serde_json::from_str(error.get()).unwrap_or_default()),
            None => failed_without_error(&response.output.unwrap_or_default()),
        };
        return Err(TurnFailure { spoke, usage, ..failure.with_run(id) });
    }
    let output = match (response.output, streamed) {
        (Some(items), _) => {
            let mut output = Output::default();
            for item in items {
                output.add(item).map_err(|failure| failure.with_run(id.clone()))?;
            }
            output
        }
        (None, Some(streamed)) => streamed,
        (None, None) => Output::default(),
    };
    output.into_reply(id, ending == Ending::Cut, usage)
}

/// Releases up to 2026.7 report a failed run without an error object: the output is a message about it, or a placeholder
/// (measured on 2026.3.31 and 2026.7.1).
fn failed_without_error(items: &[&RawValue]) -> TurnFailure {
    let contents =
        items.iter().filter_map(|item| serde_json::from_str::<Message<'_>>(item.get()).ok()?.content);
    let texts: Vec<String> = contents.filter_map(|content| text_of(content.get()).ok()).collect();
    let text = texts.join("\n\n");
    failure_in(&text)
        .map_or_else(|| run_failed(200, &ErrorFields::default()), |why| TurnFailure::ended(why, &text))
}

#[derive(Deserialize)]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
}

/// The relevant items of a response.
#[derive(Default)]
struct Output {
    text: String,
    calls: Vec<ToolCall>,
    ids: HashSet<String>,
    /// Calls without an id or a name, which can be neither run nor answered.
    unusable: usize,
    /// Why an item could not be decoded. Its content is unknown, so the reply is unknown too.
    broken: Option<String>,
}

impl Output {
    fn add(&mut self, item: &RawValue) -> Result<(), TurnFailure> {
        // An item without a type does not belong to this protocol.
        let kind = serde_json::from_str::<ItemType<'_>>(item.get()).ok().and_then(|kind| kind.r#type);
        match kind.as_deref() {
            Some("message") => self.add_message(item.get()),
            Some("function_call") => self.add_call(item.get()),
            _ => Ok(()),
        }
    }

    fn is_broken(&mut self, error: &serde_json::Error) {
        self.broken.get_or_insert_with(|| error.to_string());
    }

    fn add_message(&mut self, item: &str) -> Result<(), TurnFailure> {
        let message = match serde_json::from_str::<Message<'_>>(item) {
            Ok(message) => message,
            Err(error) => {
                self.is_broken(&error);
                return Ok(());
            }
        };
        let for_people = message.role.is_none_or(|role| role == "assistant")
            && message.phase.is_none_or(|phase| phase != "commentary");
        let Some(content) = message.content.filter(|_| for_people) else { return Ok(()) };
        // A text that is certainly too large is not decoded.
        if content.get().len() > TEXT_BYTES_MAX && shortest(content.get()) > TEXT_BYTES_MAX {
            return Err(too_large(TEXT_TOO_LARGE));
        }
        let text = match text_of(content.get()) {
            Ok(text) => text,
            Err(error) => {
                self.is_broken(&error);
                return Ok(());
            }
        };
        if text.trim().is_empty() {
            return Ok(());
        }
        if self.text.len() + text.len() > TEXT_BYTES_MAX {
            return Err(too_large(TEXT_TOO_LARGE));
        }
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
        self.text.push_str(&text);
        Ok(())
    }

    fn add_call(&mut self, item: &str) -> Result<(), TurnFailure> {
        let named = match serde_json::from_str::<FunctionCall<'_>>(item) {
            Ok(call) => {
                let named =
                    call.call_id.zip(call.name).filter(|(id, name)| !id.is_empty() && !name.is_empty());
                named.map(|(id, name)| (id.into_owned(), name.into_owned(), call.arguments))
            }
            Err(error) => {
                self.is_broken(&error);
                return Ok(());
            }
        };
        let Some((call_id, name, arguments)) = named else {
            self.unusable += 1;
            return Ok(());
        };
        if self.calls.len() == CALLS_MAX {
            return Err(too_large("it has more than 256 calls"));
        }
        if self.ids.insert(call_id.clone()) {
            let arguments = arguments.map_or("{}", RawValue::get);
            // A string contains JSON text; an object is passed on as it is.
            let arguments =
                serde_json::from_str::<String>(arguments).unwrap_or_else(|_| arguments.to_owned());
            self.calls.push(ToolCall { call_id, name, arguments });
        }
        Ok(())
    }

    fn into_reply(self, id: Option<String>, cut: bool, usage: Option<Usage>) -> Result<Reply, TurnFailure> {
        let Self { mut text, calls, unusable, broken, .. } = self;
        if let Some(error) = broken {
            let words = format!("an item of it cannot be decoded: {error}");
            return Err(TurnFailure::new(Class::Lost, Why::NotUnderstood).with_detail(words).with_run(id));
        }
        if cut {
            without_notice(&mut text);
        }
        if text.is_empty() && calls.is_empty() && unusable > 0 {
            let words = format!("{unusable} calls in it have no id or no name");
            return Err(TurnFailure::new(Class::Lost, Why::NotUnderstood).with_detail(words).with_run(id));
        }
        Ok(Reply { id, text: (!text.is_empty()).then_some(text), calls, cut, usage })
    }
}

/// Removes the gateway's own last line from a truncated text.
fn without_notice(text: &mut String) {
    let last = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
    // A warning sign, in one of two forms, precedes the words.
    let line = text[last..].trim_start_matches(|c: char| !c.is_alphanumeric());
    if line.starts_with(CUT_NOTICE) {
        text.truncate(text[..last].trim_end().len());
    }
}

fn not_understood(error: &serde_json::Error) -> TurnFailure {
    TurnFailure::new(Class::Lost, Why::NotUnderstood).with_detail(format!("broken JSON: {error}"))
}

fn too_large(words: &str) -> TurnFailure {
    TurnFailure::new(Class::Lost, Why::AnswerTooLarge).with_detail(words)
}
