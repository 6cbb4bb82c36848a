//! Calls that a run delegates to the client (openclaw-gateway §5, §12.3).

use std::time::Duration;

use super::Release;
use super::faults::Fault;
use super::run::{Issued, Outcome, Turn, Watch};
use super::scripted_model::{Call, InputItem, Prompt};
use super::transcript::{Item, StopReason, delegated};

/// What a run has delegated to the client so far, where the model is called again without waiting for the results.
#[derive(Default)]
pub(super) struct Delegated {
    text: String,
    calls: Vec<Issued>,
}

impl Delegated {
    /// Takes the calls of an outcome. Returns whether it has calls.
    pub(super) fn takes(&mut self, outcome: &Outcome) -> bool {
        let Outcome::Called { preamble, calls } = outcome else { return false };
        self.text.push_str(preamble);
        self.calls.extend_from_slice(calls);
        true
    }

    /// The outcome of the run: calls count, whatever follows them.
    pub(super) fn end(mut self, outcome: Outcome, release: Release) -> Outcome {
        if self.calls.is_empty() || matches!(outcome, Outcome::Gone) {
            return outcome;
        }
        if let Outcome::Said { text, .. } = outcome {
            self.text.push_str(&text);
        }
        // The others are in the transcript only.
        let lost = if release.hands_out_all_calls() { 0 } else { self.calls.len() - 1 };
        Outcome::Called { preamble: self.text, calls: self.calls.split_off(lost) }
    }
}

/// The results of a prompt as one text.
pub(super) fn results_in(prompt: &Prompt) -> String {
    let lines = prompt.outputs().map(|(id, output)| format!("Tool:{id}: {output}"));
    lines.collect::<Vec<_>>().join("\n")
}

impl Turn<'_> {
    /// Delegates the calls to the client.
    pub(super) fn delegate(
        &self,
        prompt: &mut Prompt,
        preamble: String,
        calls: Vec<Call>,
        drip: Duration,
        watch: &mut dyn Watch,
    ) -> Outcome {
        if !self.speak(&preamble, drip, watch) {
            return self.gone();
        }
        let named =
            |call: &Call| (self.inner.ids.named("call_model"), call.name.clone(), call.arguments.clone());
        let own: Vec<_> = calls.iter().map(named).collect();
        self.wrote(&preamble, own.clone(), StopReason::ToolUse);
        (prompt.waits, prompt.said) = (true, Vec::new());
        for (id, tool, _) in own {
            let text = delegated(&tool);
            prompt.said.push(InputItem::Output { call_id: id.clone(), output: text.clone() });
            self.write(Item::ToolResult { run: self.run.to_owned(), call: id, tool, text, error: false });
        }
        prompt.text = results_in(prompt);
        if !self.release().asks_again() {
            self.count_answer();
        }
        let mut calls: Vec<Issued> = calls
            .into_iter()
            .map(|call| Issued { call_id: self.inner.ids.call(), name: call.name, arguments: call.arguments })
            .collect();
        match self.fault {
            Some(Fault::SameCallIds) => {
                if let [only] = calls.as_slice() {
                    calls.push(only.clone());
                }
                let first = calls[0].call_id.clone();
                for call in &mut calls {
                    call.call_id.clone_from(&first);
                }
            }
            Some(Fault::BrokenArguments) => {
                for call in &mut calls {
                    "{\"taskId\": \"t-1\", status".clone_into(&mut call.arguments);
                }
            }
            _ => {}
        }
        Outcome::Called { preamble, calls }
    }
}
