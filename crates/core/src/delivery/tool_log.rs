//! Logs what an agent has done with its tools in one delivery, by tool calls or over HTTP.
//!
//! A repeated turn may make the agent repeat its calls under other ids. Every executed writing call is
//! therefore kept with its result. A repeated call gets that result instead of a second execution. Calls are
//! the same if tool, arguments, and position among equal calls since the last repetition agree.
//!
//! A call over HTTP is an intent from before its execution until its outcome is known. An intent left by a
//! crash is settled when the agent calls again. If the process died before the agent certainly had the
//! result, the result is returned once more. While a turn runs, worker and agent both change the log; the
//! service then holds the live copy.

use serde::{Deserialize, Serialize};

use super::UnknownFields;
use super::acts::{Act, Acts};
use crate::digest::half_digest;
use crate::tools::ToolRequest;
use mcr_model::clock::Millis;

/// The executed calls, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolLog {
    done: Vec<LoggedCall>,
    /// Ids of created tasks, documents and messages.
    made: Vec<String>,
    /// Calls over HTTP with an unknown outcome.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<Intent>,
    /// What the calls and answers have done to tasks.
    #[serde(skip_serializing_if = "Acts::is_empty")]
    acts: Acts,
    /// Fields of newer versions.
    #[serde(flatten)]
    extra: UnknownFields,
}

/// An executed writing call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct LoggedCall {
    /// Digest of the tool and its arguments.
    call: String,
    /// The result for the agent.
    output: String,
    /// Whether the agent has made the call since the turn was last repeated.
    called: bool,
    /// The call came over HTTP, and the agent may not have received the result.
    #[serde(rename = "unheard", default, skip_serializing_if = "is_false")]
    result_unconfirmed: bool,
    /// Digest of the agent's name for the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    extra: UnknownFields,
}

impl LoggedCall {
    fn new(call: String, output: &str) -> Self {
        let (output, extra) = (output.to_owned(), UnknownFields::default());
        Self { call, output, called: true, result_unconfirmed: false, name: None, extra }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A writing call over HTTP that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Digest of the tool and its arguments.
    pub call: String,
    /// Digest of the agent's name for the call.
    pub name: Option<String>,
    /// The newest instant of the backend that was known before.
    pub since: Millis,
    /// When the call was started, or its answer was lost.
    pub at: Millis,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

/// What is known about a call before its execution.
#[derive(Debug, PartialEq, Eq)]
pub enum Before {
    /// The call was executed, with this result.
    Done(String),
    /// The call was started, and may have been executed.
    Begun(Intent),
    /// Nothing: the call is now recorded as started.
    Nothing,
}

impl ToolLog {
    /// The result of the same call of an earlier attempt, once for each time it was made.
    pub fn recall(&mut self, call: &str) -> Option<String> {
        self.recall_as(call, None)
    }

    /// Records an executed call.
    pub fn keep(&mut self, call: String, output: &str) {
        self.done.push(LoggedCall::new(call, output));
    }

    /// Records that the agent calls again and therefore has the earlier results. Returns whether that is new.
    pub fn results_received(&mut self) -> bool {
        let unconfirmed = self.done.iter_mut().filter(|effect| effect.called && effect.result_unconfirmed);
        unconfirmed.map(|effect| effect.result_unconfirmed = false).count() > 0
    }

    /// Records that a call is about to be made over HTTP.
    pub fn begin(&mut self, intent: Intent) -> Before {
        let Intent { call, name, .. } = &intent;
        let named = |other: &Option<String>| name.is_some() && other == name;
        if let Some(effect) = self.done.iter_mut().find(|effect| named(&effect.name) && effect.call == *call)
        {
            effect.called = true;
            return Before::Done(effect.output.clone());
        }
        if let Some(output) = self.recall_as(call, name.as_deref()) {
            return Before::Done(output);
        }
        let may_be = |open: &&Intent| {
            open.call == *call && (open.name == *name || open.name.is_none() || name.is_none())
        };
        if let Some(begun) = self.open.iter().find(may_be) {
            return Before::Begun(begun.clone());
        }
        self.open.push(intent);
        Before::Nothing
    }

    /// Records that it was executed.
    pub fn carried_out(&mut self, intent: &Intent, output: &str) {
        self.close(intent);
        let effect = LoggedCall::new(intent.call.clone(), output);
        self.done.push(LoggedCall { result_unconfirmed: true, name: intent.name.clone(), ..effect });
    }

    /// Records that it certainly had no effect.
    pub fn had_no_effect(&mut self, intent: &Intent) {
        self.close(intent);
    }

    /// Records that its answer was lost at this instant.
    pub fn lost(&mut self, intent: &Intent, at: Millis) {
        if let Some(open) = self.open.iter_mut().find(|open| *open == intent) {
            open.at = at;
        }
    }

    /// How many calls the log contains.
    pub fn count(&self) -> usize {
        self.done.len() + self.open.len()
    }

    /// Whether the agent has acted over HTTP since the turn was last repeated.
    pub fn has_acted(&self) -> bool {
        self.done.iter().any(|effect| effect.called)
    }

    /// Whether the outcome of any call is unknown.
    pub fn is_in_doubt(&self) -> bool {
        !self.open.is_empty()
    }

    /// The process that wrote the log has ended. Results that its agent may not have received are returned
    /// again on request.
    pub fn outlived(&mut self) {
        for effect in self.done.iter_mut().filter(|effect| effect.result_unconfirmed) {
            effect.called = false;
        }
    }

    /// For a new process: calls that were active when the last one ended may still be on their way to the
    /// backend.
    pub(super) fn recalled(&mut self, now: Millis) {
        self.open.iter_mut().for_each(|intent| intent.at = now);
    }

    /// Records the id of a created object or posted message.
    pub fn made(&mut self, id: String) {
        self.made.push(id);
    }

    /// Records an act.
    pub fn act(&mut self, act: Act) {
        self.acts.push(act);
    }

    /// The acts of the delivery.
    pub fn acts(&self) -> &Acts {
        &self.acts
    }

    /// The created ids and the acts, without the calls.
    pub(super) fn only_made(&self) -> Self {
        Self {
            made: self.made.clone(),
            acts: self.acts.clone(),
            extra: self.extra.clone(),
            ..Self::default()
        }
    }

    /// Whether this id was created in this delivery.
    pub fn has_made(&self, id: &str) -> bool {
        self.made.iter().any(|made| made == id)
    }

    /// All ids created in this delivery.
    pub fn all_made(&self) -> &[String] {
        &self.made
    }

    /// The turn is repeated: the agent may repeat any earlier call.
    pub(super) fn sent_again(&mut self) {
        for effect in &mut self.done {
            (effect.called, effect.result_unconfirmed) = (false, false);
        }
    }

    fn recall_as(&mut self, call: &str, name: Option<&str>) -> Option<String> {
        // Under another name it is another call, unless the whole turn was repeated.
        let other = |effect: &LoggedCall| {
            effect.result_unconfirmed
                && name.is_some_and(|name| effect.name.as_deref().is_some_and(|kept| kept != name))
        };
        let effect =
            self.done.iter_mut().find(|effect| !effect.called && effect.call == call && !other(effect))?;
        effect.called = true;
        Some(effect.output.clone())
    }

    fn close(&mut self, intent: &Intent) {
        let same = |open: &Intent| open.call == intent.call && open.name == intent.name;
        if let Some(at) = self.open.iter().position(same) {
            self.open.remove(at);
        }
    }
}

/// The digest that identifies a call: its tool and its arguments in canonical form.
pub fn digest_of(request: &ToolRequest) -> String {
    half_digest(&format!("{} {}", request.name(), request.arguments()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th call of a kind gets the n-th result; calls beyond that are new.
    #[test]
    fn a_repeated_call_is_answered_once_per_execution() {
        let mut effects = ToolLog::default();
        assert_eq!(effects.recall("a"), None);
        effects.keep("a".to_owned(), "first");
        effects.keep("b".to_owned(), "other");
        effects.keep("a".to_owned(), "second");
        assert_eq!(effects.recall("a"), None, "this attempt has called them itself");
        for _ in 0..2 {
            effects.sent_again();
            assert_eq!(effects.recall("a").as_deref(), Some("first"));
            assert_eq!(effects.recall("a").as_deref(), Some("second"));
            assert_eq!(effects.recall("a"), None);
            assert_eq!(effects.recall("b").as_deref(), Some("other"));
        }
    }

    fn intent(call: &str, name: Option<&str>) -> Intent {
        let (call, name) = (call.to_owned(), name.map(str::to_owned));
        Intent { call, name, since: Millis(1), at: Millis(2), extra: UnknownFields::default() }
    }

    /// Makes a call; returns whether it was really executed.
    fn makes(effects: &mut ToolLog, call: &str, name: Option<&str>) -> bool {
        effects.results_received();
        let intent = intent(call, name);
        let new = effects.begin(intent.clone()) == Before::Nothing;
        if new {
            effects.carried_out(&intent, "output");
        }
        new
    }

    #[test]
    fn over_http_equal_calls_are_separate_and_a_lost_result_is_returned_again() {
        let mut effects = ToolLog::default();
        assert!(makes(&mut effects, "a", None) && makes(&mut effects, "a", None), "meant twice");
        effects.outlived();
        assert!(!makes(&mut effects, "a", None), "only the last may not have been heard");
        assert!(makes(&mut effects, "a", None));
        effects.sent_again();
        for _ in 0..3 {
            assert!(!makes(&mut effects, "a", None));
        }
        assert!(makes(&mut effects, "a", None));
    }

    #[test]
    fn a_named_call_is_executed_once_per_name() {
        let mut effects = ToolLog::default();
        assert!(makes(&mut effects, "a", Some("k")) && !makes(&mut effects, "a", Some("k")));
        assert!(makes(&mut effects, "a", Some("l")), "another name, another call");
        effects.outlived();
        assert!(makes(&mut effects, "a", Some("m")) && !makes(&mut effects, "a", Some("l")));
        effects.sent_again();
        assert!(!makes(&mut effects, "a", Some("n")), "the same call of the turn that is sent again");
    }

    #[test]
    fn a_begun_call_is_found_until_its_outcome_is_known() {
        let mut effects = ToolLog::default();
        assert_eq!(effects.begin(intent("a", None)), Before::Nothing);
        assert!(effects.is_in_doubt() && !effects.has_acted());
        assert_eq!(effects.begin(intent("a", None)), Before::Begun(intent("a", None)));
        assert_eq!(effects.begin(intent("b", None)), Before::Nothing);
        effects.had_no_effect(&intent("b", None));
        let text = serde_json::to_string(&effects).unwrap();
        let mut back: ToolLog = serde_json::from_str(&text).unwrap();
        assert!(back == effects && back.begin(intent("a", None)) != Before::Nothing);
        effects.carried_out(&intent("a", None), "output");
        assert!(!effects.is_in_doubt() && effects.has_acted() && effects.count() == 1);
    }
}
