//! Finds the trace of one turn among the items of its session.

use super::page::{Item, Role, Stop, uncut};
use super::{ModelCall, TextSource, TurnMark};
use crate::gateway::gateway_texts::failure_in;
use crate::gateway::{Reply, ToolCall, Usage, Why, marker};
use crate::work::WorkId;

/// The prefix of a request with several results (spec §3).
const SEVERAL_RESULTS: &str = "[Chat messages since your last reply - for context]\n";

/// What a session shows of a turn.
#[derive(Debug, Default)]
pub(super) struct Trace<'a> {
    /// The turn's input is there.
    pub(super) seen: bool,
    /// Only the input of an earlier try is there, whose outcome was unknown too. The trace is that try's.
    pub(super) earlier: bool,
    /// What the turn's own run did.
    pub(super) own: RunTrace<'a>,
    /// What the run did with which the gateway resumed the turn.
    pub(super) resumed: Option<RunTrace<'a>>,
    /// The session's last input is a resumption, of any turn, without an outcome so far.
    pub(super) resuming: bool,
}

/// What one run did.
#[derive(Debug, Default)]
pub(super) struct RunTrace<'a> {
    answer: Option<&'a Item>,
    /// All texts of the model since its last failed call, also those before a call of a tool.
    texts: Vec<&'a Item>,
    /// Whether the model's last text is not followed by calls: the model has answered.
    has_answered: bool,
    /// Text without a stop reason; usually calls follow.
    words: Option<&'a Item>,
    /// The items with calls, and their results.
    called: Vec<CallsOfItem<'a>>,
    /// How many empty messages the model wrote.
    pub(super) empties: u32,
    /// Why the run failed, if it did.
    pub(super) failed: Option<Why>,
    /// The gateway has given up resuming the turn.
    pub(super) given_up: bool,
    model_calls: Vec<ModelCall>,
}

/// An item with calls. Each result has the id of its call, and whether the client runs that call.
#[derive(Debug)]
struct CallsOfItem<'a> {
    item: &'a Item,
    results: Vec<(&'a str, bool)>,
}

/// An adoptable result.
pub(super) enum TurnResult<'a> {
    Answer(Reply),
    Calls(Reply),
    /// An answer exists, but not all of it is shown.
    Cut(&'a Item),
}

/// The index of the item with the incomplete answer, where [`decide`](super::decide) returns
/// [`Cut`](super::Recovered::Cut).
pub fn cut_item(mark: &TurnMark<'_>, items: &[Item]) -> Option<usize> {
    let trace = Trace::of(mark, items);
    let found = trace.own.find(mark.run).or_else(|| trace.resumed.as_ref().and_then(|run| run.find(None)));
    let Some(TurnResult::Cut(cut)) = found else { return None };
    items.iter().position(|item| std::ptr::eq(item, cut))
}

/// Who wrote the text with which a turn has just been answered. Gateways change an answer: they remove control words.
pub fn source_of(mark: &TurnMark<'_>, text: &str, items: &[Item]) -> TextSource {
    let trace = Trace::of(mark, items);
    if !trace.seen {
        return TextSource::Unknown;
    }
    let run = trace.resumed.as_ref().unwrap_or(&trace.own);
    match (&run.texts[..], run.failed) {
        ([], Some(why)) => TextSource::Gateway(why),
        ([], None) if run.empties > 0 => TextSource::Silence,
        (texts, _) if texts.iter().any(|item| is_part_of(&item.text, text)) => TextSource::Model,
        (_, _) if run.has_answered => TextSource::ModelsOtherText,
        (_, _) => TextSource::NoAnswer,
    }
}

/// Whether an answer contains this text of a history. Blanks do not count.
fn is_part_of(shown: &str, answer: &str) -> bool {
    let dense = |text: &str| text.split_whitespace().collect::<String>();
    dense(answer).contains(&dense(uncut(shown)))
}

/// Whether the items include the turn, or an input that is certainly older. Then no older items are needed.
pub fn reaches(mark: &TurnMark<'_>, items: &[Item]) -> bool {
    // All our requests ended before this one was sent, so any other marker belongs to an older request.
    let is_ours = |item: &Item| is_input_of(mark, item) || marker::first(received(&item.text).1).is_some();
    items.iter().any(|item| item.role == Role::User && is_ours(item))
}

/// Whether the items include this message of ours, or results of its calls.
pub fn has_question(message: &str, items: &[Item]) -> bool {
    let is_of_question = |item: &Item| {
        marker::first(received(&item.text).1).is_some_and(|found| marker::belongs_to(found, message))
    };
    items.iter().any(|item| item.role == Role::User && is_of_question(item))
}

/// The last attempt of this work whose message, or a result of whose calls, is among the items.
pub fn last_attempt(work: &WorkId, items: &[Item]) -> Option<u32> {
    let inputs = items.iter().filter(|item| item.role == Role::User);
    let markers = inputs.filter_map(|item| marker::first(received(&item.text).1));
    markers.filter_map(|marker| marker::attempt_of(marker, work)).max()
}

/// Identifies an input by the marker at its beginning. Results are also identified by the id of the first call, because an
/// older version wrote no markers in front of them.
fn is_input_of(mark: &TurnMark<'_>, item: &Item) -> bool {
    let [first, ..] = mark.outputs else { return item.text.starts_with(mark.marker) };
    let (call, text) = received(&item.text);
    call == Some(first.call_id.as_str())
        || marker::of_result(&first.output).is_some_and(|marker| text.starts_with(marker))
}

/// An input without what the gateway puts in front of results: the id of the first call, and the text. A single result has no id
/// up to 2026.8.
fn received(text: &str) -> (Option<&str>, &str) {
    let result = text.strip_prefix(SEVERAL_RESULTS).unwrap_or(text);
    match result.strip_prefix("Tool:").and_then(|rest| rest.split_once(':')) {
        Some((call, rest)) if !call.contains(char::is_whitespace) => {
            (Some(call), rest.strip_prefix(' ').unwrap_or(rest))
        }
        _ => (None, result),
    }
}

impl<'a> Trace<'a> {
    pub(super) fn of(mark: &TurnMark<'_>, items: &'a [Item]) -> Self {
        let mut trace = Self { resuming: is_resuming(items), ..Self::default() };
        let input = |item: &Item| item.role == Role::User && is_input_of(mark, item);
        let ran = |item: &Item| mark.run.is_some() && item.run.as_deref() == mark.run;
        let earlier = |item: &Item| {
            item.role == Role::User && mark.earlier.is_some_and(|marker| item.text.starts_with(marker))
        };
        let from = if let Some(at) = items.iter().rposition(input) {
            trace.seen = true;
            at + 1
        } else if let Some(at) = items.iter().position(ran) {
            // A later request removes the input from the history, but not the run's items.
            trace.seen = true;
            at
        } else if let Some(at) = items.iter().rposition(earlier) {
            trace.earlier = true;
            at + 1
        } else {
            return trace;
        };
        let mut resumed_as = None;
        for item in &items[from..] {
            if item.role == Role::User {
                let Some(run) = item.resumption() else { break };
                // Resumed again: only the last resumption can still be active.
                resumed_as = Some(run);
                trace.resumed = Some(RunTrace::default());
                continue;
            }
            let of = |run: Option<&str>| item.run.is_none() || run.is_none() || item.run.as_deref() == run;
            match (&mut trace.resumed, resumed_as) {
                (Some(resumed), Some(run)) if of(Some(run).filter(|run| !run.is_empty())) => {
                    resumed.take(item);
                }
                (_, None) if trace.earlier || of(mark.run) => trace.own.take(item),
                _ => {}
            }
        }
        trace
    }

    /// The items as those of one run.
    pub(super) fn of_run(items: &'a [Item]) -> RunTrace<'a> {
        let mut run = RunTrace::default();
        for item in items {
            run.take(item);
        }
        run
    }

    /// The finished model calls of the turn, also of the run with which the gateway resumed it.
    pub(super) fn into_model_calls(self) -> Vec<ModelCall> {
        let resumed = self.resumed.map(|run| run.model_calls);
        self.own.model_calls.into_iter().chain(resumed.into_iter().flatten()).collect()
    }

    /// The reply of this trace. A usage that is counted already is left out.
    pub(super) fn without_counted_usage(&self, mark: &TurnMark<'_>, reply: Reply) -> Reply {
        let is_counted = self.earlier && mark.earlier_charged;
        Reply { usage: reply.usage.filter(|_| !is_counted), ..reply }
    }

    pub(super) fn is_there(&self) -> bool {
        self.seen || self.earlier
    }
}

/// Whether the last input is a resumption and no later item can be its end.
fn is_resuming(items: &[Item]) -> bool {
    let Some(at) = items.iter().rposition(|item| item.role == Role::User) else { return false };
    items[at].resumption().is_some() && !Trace::of_run(&items[at + 1..]).is_over()
}

impl<'a> RunTrace<'a> {
    fn take(&mut self, item: &'a Item) {
        if item.has_key(":failed-notice") {
            self.given_up = true;
            return;
        }
        if item.role == Role::Assistant && item.is_gateways(self.failed.is_some()) {
            // Its message is more exact than the failed call before it.
            self.failed = failure_in(&item.text).or(self.failed);
            self.failed = self.failed.or(Some(Why::GatewayText));
            return;
        }
        // A failed or aborted call reports zeros.
        let has_failed = matches!(item.stop, Some(Stop::Error | Stop::Aborted));
        if let Some(usage) = item.usage.filter(|usage| usage.tokens() > 0 || !has_failed) {
            self.model_calls.push(ModelCall { model: item.model.clone(), usage });
        }
        if has_failed || item.has_key(":terminal-error") {
            self.texts.clear();
            self.has_answered = false;
        } else if item.role == Role::Assistant && !item.text.trim().is_empty() {
            self.texts.push(item);
            self.has_answered = item.calls.is_empty() && item.stop != Some(Stop::ToolUse);
        } else if !item.calls.is_empty() {
            self.has_answered = false;
        }
        match (item.role, item.stop) {
            (Role::ToolResult, _) => {
                if let (Some(call), Some(called)) = (&item.call, self.called.last_mut()) {
                    called.results.push((call, item.is_delegated()));
                }
            }
            (Role::Assistant, Some(Stop::Error)) => self.failed = Some(item.why_failed()),
            (Role::Assistant, _) if item.has_key(":terminal-error") => {
                self.failed = Some(item.why_failed());
            }
            (Role::Assistant, Some(Stop::Aborted)) => self.failed = Some(Why::Interrupted),
            (Role::Assistant, _) if !item.calls.is_empty() => {
                self.called.push(CallsOfItem { item, results: Vec::new() });
            }
            (Role::Assistant, Some(Stop::ToolUse)) => {}
            (Role::Assistant, Some(_)) if item.text.trim().is_empty() => self.empties += 1,
            (Role::Assistant, Some(_)) => {
                self.answer.get_or_insert(item);
            }
            (Role::Assistant, None) if !item.text.trim().is_empty() => self.words = Some(item),
            (Role::Assistant | Role::User | Role::Other, _) => {}
        }
    }

    /// The usage of all its model calls, if it is reported.
    fn usage(&self) -> Option<Usage> {
        self.model_calls.iter().map(|call| call.usage).reduce(|mut sum, usage| {
            sum += usage;
            sum
        })
    }

    /// The reply of a run that wrote nothing.
    pub(super) fn silence(&self) -> Reply {
        Reply { usage: self.usage(), ..Reply::default() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.answer.is_some() || self.failed.is_some() || self.given_up || self.empties >= 2
    }

    /// The run's result, if it can be adopted.
    pub(super) fn find(&self, id: Option<&str>) -> Option<TurnResult<'a>> {
        // Without stop reasons, text that is not followed by calls is the answer.
        let answer = self.answer.or_else(|| self.words.filter(|_| self.called.is_empty()));
        let last = self.called.last();
        let reply = |text: Option<&Item>| Reply {
            id: text
                .or_else(|| last.map(|last| last.item))
                .and_then(|item| item.run.clone())
                .or_else(|| id.map(str::to_owned)),
            text: text.map(|item| item.text.clone()),
            cut: text.is_some_and(|item| item.stop == Some(Stop::Length)),
            usage: self.usage(),
            ..Reply::default()
        };
        let ours = self.client_calls();
        // A run with calls for the client is answered by these calls. Up to 2026.5.7 the model writes on while they wait.
        if let Some(answer) = answer.filter(|_| ours.is_empty()) {
            return Some(if answer.cut {
                TurnResult::Cut(answer)
            } else {
                TurnResult::Answer(reply(Some(answer)))
            });
        }
        let CallsOfItem { item, results } = last?;
        let is_pending = |call: &ToolCall| results.iter().all(|(id, _)| *id != call.call_id);
        if ours.is_empty() || item.calls.iter().any(is_pending) {
            return None;
        }
        if let Some(cut) = self.called.iter().find(|called| called.item.cut) {
            return Some(TurnResult::Cut(cut.item));
        }
        // Text before calls is not the answer, so a cut one is dropped.
        let words = answer.or(self.words).filter(|words| !words.cut);
        Some(TurnResult::Calls(Reply { calls: ours, ..reply(words) }))
    }

    /// The calls that the client runs, in order. Up to 2026.5.7 a model may repeat calls in a later item, because their results
    /// are not there yet: such repetitions are left out.
    pub(super) fn client_calls(&self) -> Vec<ToolCall> {
        let mut calls: Vec<ToolCall> = Vec::new();
        for CallsOfItem { item, results } in &self.called {
            let ours = item.calls.iter().filter(|call| results.contains(&(call.call_id.as_str(), true)));
            let new: Vec<_> = ours.filter(|call| !calls.iter().any(|known| known.is_same(call))).collect();
            calls.extend(new.into_iter().cloned());
        }
        calls
    }

    /// How many results the model was promised, and has not received.
    pub(super) fn promised(&self) -> u32 {
        let results = self.called.iter().flat_map(|called| &called.results);
        u32::try_from(results.filter(|(_, ours)| *ours).count()).unwrap_or(u32::MAX)
    }
}
