//! The trace of one turn among the items of its session.

use super::TurnMark;
use super::page::{Item, Role, Stop};
use crate::gateway::{Reply, Usage, Why};

/// What stands before several results in one request (spec §3).
const SEVERAL: &str = "[Chat messages since your last reply - for context]\n";

/// What a session shows of a turn.
#[derive(Debug, Default)]
pub(super) struct Trace<'a> {
    /// What it said is there.
    pub(super) seen: bool,
    /// An earlier try of the same is there, whose fate was not known either; then this is its trace.
    pub(super) earlier: bool,
    /// What its own run did.
    pub(super) own: RunTrace<'a>,
    /// What the run did with which the gateway resumed it.
    pub(super) resumed: Option<RunTrace<'a>>,
    /// The last thing said in the session is a resumption that nothing has come of yet, of whatever turn.
    pub(super) resuming: bool,
}

/// What one run did.
#[derive(Debug, Default)]
pub(super) struct RunTrace<'a> {
    answer: Option<&'a Item>,
    /// Words of which it is not said why the model stopped behind them; mostly calls come next.
    words: Option<&'a Item>,
    called: Option<&'a Item>,
    /// Results of its last calls: of which call, and whether the client has it.
    results: Vec<(&'a str, bool)>,
    /// How often the model said nothing.
    pub(super) empties: u32,
    /// Why it failed, if it did.
    pub(super) failed: Option<Why>,
    /// The gateway has given up resuming it.
    pub(super) given_up: bool,
    usage: Option<Usage>,
}

/// What there is to adopt.
pub(super) enum Find<'a> {
    Answer(Reply),
    Calls(Reply),
    /// It is there, and not all of it is shown.
    Cut(&'a Item),
}

/// Which of these items holds the answer and does not show all of it: where the recipe says [`Cut`](super::Recovered::Cut).
pub fn cut_item(mark: &TurnMark<'_>, items: &[Item]) -> Option<usize> {
    let trace = Trace::of(mark, items);
    let found = trace.own.find(mark.run).or_else(|| trace.resumed.as_ref().and_then(|run| run.find(None)));
    let Some(Find::Cut(cut)) = found else { return None };
    items.iter().position(|item| std::ptr::eq(item, cut))
}

/// Whether the turn, or what was certainly said before it, is among these items; then no older ones are needed.
pub fn reaches(mark: &TurnMark<'_>, items: &[Item]) -> bool {
    items.iter().any(|item| item.role == Role::User && (is_said(mark, item) || has_a_marker(&item.text)))
}

/// Requests of ours have all ended before this one was sent, so one of them that is shown is older.
fn has_a_marker(text: &str) -> bool {
    let marker = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(marker, _)| marker);
    marker
        .and_then(|marker| marker.rsplit_once(" try "))
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// What was said is found by the marker at its beginning, results by the first of them.
fn is_said(mark: &TurnMark<'_>, item: &Item) -> bool {
    match mark.outputs {
        [] => item.text.starts_with(mark.marker),
        [first, ..] => {
            let text = item.text.strip_prefix(SEVERAL).unwrap_or(&item.text);
            let rest = text.strip_prefix("Tool:").and_then(|rest| rest.strip_prefix(first.call_id.as_str()));
            rest.is_some_and(|rest| rest.starts_with(':'))
        }
    }
}

impl<'a> Trace<'a> {
    pub(super) fn of(mark: &TurnMark<'_>, items: &'a [Item]) -> Self {
        let mut trace = Self { resuming: is_resuming(items), ..Self::default() };
        let said = |item: &Item| item.role == Role::User && is_said(mark, item);
        let ran = |item: &Item| mark.run.is_some() && item.run.as_deref() == mark.run;
        let earlier = |item: &Item| {
            item.role == Role::User && mark.earlier.is_some_and(|marker| item.text.starts_with(marker))
        };
        let from = if let Some(at) = items.iter().rposition(said) {
            trace.seen = true;
            at + 1
        } else if let Some(at) = items.iter().position(ran) {
            // A later request takes what was said out of the history, but not what was done.
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
                // Resumed again: only what came last can still go on.
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

    pub(super) fn is_there(&self) -> bool {
        self.seen || self.earlier
    }
}

/// Whether the last thing said is a resumption without a word behind it that could be its end.
fn is_resuming(items: &[Item]) -> bool {
    let Some(at) = items.iter().rposition(|item| item.role == Role::User) else { return false };
    let mut run = RunTrace::default();
    items[at + 1..].iter().for_each(|item| run.take(item));
    items[at].resumption().is_some() && !run.is_over()
}

impl<'a> RunTrace<'a> {
    fn take(&mut self, item: &'a Item) {
        if item.has_key(":failed-notice") {
            self.given_up = true;
            return;
        }
        if let Some(more) = item.usage {
            *self.usage.get_or_insert_default() += more;
        }
        match (item.role, item.stop) {
            (Role::ToolResult, _) => {
                if let Some(call) = &item.call {
                    self.results.push((call, item.is_delegated()));
                }
            }
            (Role::Assistant, Some(Stop::Error)) => self.failed = Some(Why::ProviderTrouble),
            (Role::Assistant, _) if item.has_key(":terminal-error") => {
                self.failed = Some(Why::ProviderTrouble);
            }
            (Role::Assistant, Some(Stop::Aborted)) => self.failed = Some(Why::Interrupted),
            (Role::Assistant, _) if !item.calls.is_empty() => {
                self.called = Some(item);
                self.results.clear();
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

    pub(super) fn is_over(&self) -> bool {
        self.answer.is_some() || self.failed.is_some() || self.given_up || self.empties >= 2
    }

    /// What it came to, if it is to be adopted.
    pub(super) fn find(&self, id: Option<&str>) -> Option<Find<'a>> {
        // Where no reasons are told, words behind which nothing was called are the answer.
        let answer = self.answer.or_else(|| self.words.filter(|_| self.called.is_none()));
        let reply = |text: Option<&Item>| Reply {
            id: text.or(self.called).and_then(|item| item.run.clone()).or_else(|| id.map(str::to_owned)),
            text: text.map(|item| item.text.clone()),
            cut: text.is_some_and(|item| item.stop == Some(Stop::Length)),
            usage: self.usage,
            ..Reply::default()
        };
        if let Some(cut) = answer.filter(|item| item.cut) {
            return Some(Find::Cut(cut));
        }
        if answer.is_some() {
            return Some(Find::Answer(reply(answer)));
        }
        let called = self.called?;
        let result = |id: &str| self.results.iter().find(|(call, _)| *call == id).map(|(_, ours)| *ours);
        let pending = called.calls.iter().any(|call| result(&call.call_id).is_none());
        let ours: Vec<_> =
            called.calls.iter().filter(|call| result(&call.call_id) == Some(true)).cloned().collect();
        if pending || ours.is_empty() {
            return None;
        }
        if called.cut {
            return Some(Find::Cut(called));
        }
        // Words before calls are beside the point, and a cut one is no loss.
        let words = self.words.filter(|words| !words.cut);
        Some(Find::Calls(Reply { calls: ours, ..reply(words) }))
    }
}
