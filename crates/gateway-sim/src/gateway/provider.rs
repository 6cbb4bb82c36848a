//! Turns whose provider refuses, disconnects or never answers (openclaw-gateway §7).

use std::time::Duration;

use super::failure::{failed, internal};
use super::release::ErrorForm;
use super::run::{Outcome, Turn, Watch};
use super::silence::NOTHING_SAID;
use super::transcript::{Item, StopReason};

/// The cool-down of an agent's provider after it refused the key.
const COOLDOWN: Duration = Duration::from_mins(1);

/// What a release before 2026.8 answers if the provider is silent.
const TIMED_OUT: &str = "Request timed out before a response was generated. Please try again, or increase \
    `agents.defaults.timeoutSeconds` in your config.";
/// What it answers if the conversation exceeds the model's context.
const OVERFLOW: &str = "Context overflow: prompt too large for the model. Try /reset (or /new) to start a fresh session, or \
    use a larger-context model.";

/// Whether the provider refuses because of the length of the conversation.
fn is_overflow(message: &str) -> bool {
    message.contains("context_length_exceeded")
}

impl Turn<'_> {
    /// The outcome after the provider refused (openclaw-gateway §7).
    pub(super) fn provider(&self, status: u16, message: &str, watch: &mut dyn Watch) -> Outcome {
        let own = format!("{status} {message}");
        let form = self.release().error_form();
        if form == ErrorForm::ProviderText {
            self.wrote(&own, Vec::new(), StopReason::Error);
            return Outcome::Said { text: own, cut: false };
        }
        let names_cause = matches!(form, ErrorForm::Failure | ErrorForm::FailureOrMessage);
        let warning =
            if names_cause { format!("⚠️ LLM request failed (HTTP {status}).") } else { own.clone() };
        let retried = status == 429 || status >= 500;
        if retried && !self.sleep(self.inner.options.provider_patience, watch) {
            return self.gone();
        }
        self.wrote(&warning, Vec::new(), StopReason::Error);
        match form {
            ErrorForm::Placeholder => return Outcome::FailedWithText(NOTHING_SAID.to_owned()),
            ErrorForm::FailureOrPlaceholder if is_overflow(message) => {
                return Outcome::FailedWithText(NOTHING_SAID.to_owned());
            }
            ErrorForm::FailureOrMessage if is_overflow(message) => {
                self.write(Item::Notice(OVERFLOW.to_owned()));
                return Outcome::FailedWithText(OVERFLOW.to_owned());
            }
            ErrorForm::FailureOrPlaceholder => return internal(),
            ErrorForm::ProviderText | ErrorForm::FailureOrMessage | ErrorForm::Failure => {}
        }
        match status {
            401 | 403 => {
                self.inner.cool(self.agent, COOLDOWN);
                failed(status, "authentication_error", own)
            }
            402 => {
                self.inner.cool(self.agent, COOLDOWN);
                failed(status, "insufficient_quota", own)
            }
            429 => failed(429, "rate_limit_error", own),
            503 => failed(503, "api_error", "upstream provider overloaded"),
            500.. => failed(502, "api_error", "upstream provider error"),
            _ => failed(status, "invalid_request_error", own),
        }
    }

    pub(super) fn dropped(&self, watch: &mut dyn Watch) -> Outcome {
        let form = self.release().error_form();
        if form == ErrorForm::ProviderText {
            let text = "Connection error.".to_owned();
            self.wrote(&text, Vec::new(), StopReason::Error);
            return Outcome::Said { text, cut: false };
        }
        if !self.sleep(self.inner.options.provider_patience, watch) {
            return self.gone();
        }
        let names_cause = matches!(form, ErrorForm::Failure | ErrorForm::FailureOrMessage);
        let why = if names_cause { "⚠️ LLM request timed out." } else { "Connection error." };
        self.wrote(why, Vec::new(), StopReason::Error);
        match form {
            ErrorForm::Placeholder => return Outcome::FailedWithText(NOTHING_SAID.to_owned()),
            ErrorForm::FailureOrPlaceholder => return internal(),
            ErrorForm::ProviderText | ErrorForm::FailureOrMessage | ErrorForm::Failure => {}
        }
        failed(408, "api_error", "upstream provider timeout")
    }

    pub(super) fn hang(&self, watch: &mut dyn Watch) -> Outcome {
        if !self.sleep(self.inner.options.run_timeout, watch) {
            return self.gone();
        }
        self.wrote("", Vec::new(), StopReason::Aborted);
        let text = match self.release().error_form() {
            ErrorForm::Failure => return internal(),
            ErrorForm::ProviderText => TIMED_OUT.to_owned(),
            ErrorForm::Placeholder | ErrorForm::FailureOrPlaceholder => NOTHING_SAID.to_owned(),
            ErrorForm::FailureOrMessage => format!("LLM request failed.\n\n{TIMED_OUT}"),
        };
        Outcome::Said { text, cut: false }
    }
}
