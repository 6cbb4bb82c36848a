//! An agent's plan for one delivery: a sequence of calls and a reply.

use std::collections::VecDeque;

use serde_json::Value;

use super::SILENCE;

/// The placeholder in arguments and replies for the document written in the same delivery.
pub(super) const DOCUMENT: &str = "{document}";

/// The results of the calls so far.
#[derive(Default)]
pub(super) struct Results {
    document: Option<String>,
    tasks: Vec<Value>,
}

impl Results {
    pub(super) fn take(&mut self, result: &Value) {
        if let Some(document) = result["documentId"].as_str() {
            self.document = Some(document.to_owned());
        }
        if let Some(tasks) = result["data"]["tasks"].as_array() {
            self.tasks.clone_from(tasks);
        }
    }

    /// The tasks of the last list.
    pub(super) fn tasks(&self) -> &[Value] {
        &self.tasks
    }

    fn fill(&self, text: &str) -> String {
        text.replace(DOCUMENT, self.document.as_deref().unwrap_or_default())
    }

    fn fill_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.fill(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.fill_in(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.fill_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

type ReplyWriter = Box<dyn Fn(&Results) -> String + Send>;

/// The remaining calls and the reply.
pub(super) struct AgentPlan {
    calls: VecDeque<(&'static str, Value)>,
    reply: ReplyWriter,
}

impl AgentPlan {
    /// Does nothing and sends no message.
    pub(super) fn nothing() -> Self {
        Self::say(SILENCE)
    }

    /// Only a reply.
    pub(super) fn say(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { calls: VecDeque::new(), reply: Box::new(move |results| results.fill(&text)) }
    }

    /// A reply that depends on the results of the calls.
    pub(super) fn tell(reply: impl Fn(&Results) -> String + Send + 'static) -> Self {
        Self { calls: VecDeque::new(), reply: Box::new(reply) }
    }

    /// Adds a call before all others.
    #[must_use]
    pub(super) fn after(mut self, tool: &'static str, arguments: Value) -> Self {
        self.calls.push_front((tool, arguments));
        self
    }

    /// Adds these calls before all others, in their order.
    #[must_use]
    pub(super) fn after_all(self, calls: Vec<(&'static str, Value)>) -> Self {
        calls.into_iter().rev().fold(self, |plan, (tool, arguments)| plan.after(tool, arguments))
    }

    /// The next call, or the reply if no call is left.
    pub(super) fn next(&mut self, results: &Results) -> Result<(&'static str, Value), String> {
        match self.calls.pop_front() {
            Some((tool, mut arguments)) => {
                results.fill_in(&mut arguments);
                Ok((tool, arguments))
            }
            None => Err((self.reply)(results)),
        }
    }
}
