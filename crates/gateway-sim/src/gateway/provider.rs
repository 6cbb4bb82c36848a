//! Turns whose provider refuses, disconnects or never answers (openclaw-gateway §7).

use std::time::Duration;

use super::failure::{failed, internal};
use super::run::{Outcome, Turn, Watch};
use super::transcript::StopReason;

/// The cool-down of an agent's provider after it refused the key.
const COOLDOWN: Duration = Duration::from_mins(1);

impl Turn<'_> {
    /// The outcome after the provider refused (openclaw-gateway §7).
    pub(super) fn provider(&self, status: u16, message: &str, watch: &mut dyn Watch) -> Outcome {
        let own = format!("{status} {message}");
        if !self.is_new() {
            self.wrote(&own, Vec::new(), StopReason::Stop);
            return Outcome::Said { text: own, cut: false };
        }
        let warning = format!("⚠️ LLM request failed (HTTP {status}).");
        let retried = status == 429 || status >= 500;
        if retried && !self.sleep(self.inner.options.provider_patience, watch) {
            return self.gone();
        }
        self.wrote(&warning, Vec::new(), StopReason::Error);
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
        if !self.is_new() {
            return self.say("Connection error.".to_owned(), StopReason::Stop, Duration::ZERO, watch);
        }
        if !self.sleep(self.inner.options.provider_patience, watch) {
            return self.gone();
        }
        self.wrote("⚠️ LLM request timed out.", Vec::new(), StopReason::Error);
        failed(408, "api_error", "upstream provider timeout")
    }

    pub(super) fn hang(&self, watch: &mut dyn Watch) -> Outcome {
        if !self.sleep(self.inner.options.run_timeout, watch) {
            return self.gone();
        }
        self.wrote("", Vec::new(), StopReason::Aborted);
        if self.is_new() {
            return internal();
        }
        let text = "Request timed out before a response was generated.".to_owned();
        Outcome::Said { text, cut: false }
    }
}
