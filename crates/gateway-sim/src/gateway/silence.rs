//! Turns whose agent says nothing (openclaw-gateway §5).

use super::failure::Failure;
use super::run::{Outcome, Turn};
use super::scripted_model::{Act, Prompt};
use super::transcript::{SILENT_REPLY, StopReason};

/// The answer of a silent agent, and of a failing provider, on old releases.
pub(super) const NOTHING_SAID: &str = "No response from OpenClaw.";

impl Turn<'_> {
    pub(super) fn is_silence(&self, act: &Act) -> bool {
        let text = match act {
            Act::Nothing => "",
            Act::Say(text) => text.trim(),
            _ => return false,
        };
        text.is_empty()
            || if self.release().fails_on_silence() {
                text == SILENT_REPLY
            } else {
                text.ends_with(SILENT_REPLY)
            }
    }

    /// Handles an empty answer: calls the model once more, or ends the turn.
    pub(super) fn silence(&self, prompt: &mut Prompt, act: &Act) -> Option<Outcome> {
        let word = matches!(act, Act::Say(text) if text.trim() == SILENT_REPLY);
        let shown = if word && !self.release().is_oldest() { SILENT_REPLY } else { "" };
        self.wrote(shown, Vec::new(), StopReason::Stop);
        if !self.release().fails_on_silence() {
            return Some(Outcome::Said { text: NOTHING_SAID.to_owned(), cut: false });
        }
        if prompt.nudged {
            let message = "internal error".to_owned();
            return Some(Outcome::Failed(Failure { status: 500, code: "api_error", message, spoke: true }));
        }
        prompt.nudged = true;
        None
    }
}
