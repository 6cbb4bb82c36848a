//! The texts with which a gateway speaks of itself in place of the agent (spec §12.3, §9).
//!
//! Releases up to 2026.7 report a failed run as a completed reply whose text is an error message. Such a message must never
//! be posted. [`failure_in`] recognises the known messages. A text counts only if each of its paragraphs is known, so an
//! answer that quotes a message is still an answer. Other messages are recognised by the session's history
//! ([`crate::gateway::authorship`]).

use super::Why;

/// How a paragraph is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchedPart {
    /// The whole paragraph.
    Whole,
    /// Its beginning.
    Begins,
    /// Its beginning, after a warning sign.
    Warning,
}

use MatchedPart::{Begins, Warning, Whole};

/// The known messages, with the releases whose package has them. The first row that matches counts.
const KNOWN: &[(MatchedPart, &str, Why)] = &[
    // 3.31 to 7.35
    (Whole, "LLM request timed out.", Why::ProviderTrouble),
    // 6.11, 7.1
    (Begins, "LLM request timed out. The model did not produce a response", Why::ProviderTrouble),
    // 5.7 to 7.1
    (Begins, "The model did not produce a response before the model idle timeout.", Why::ProviderTrouble),
    // 2.19 to 7.1
    (Begins, "Request timed out before a response was generated.", Why::ProviderTrouble),
    // 5.7 to 7.1
    (
        Whole,
        "LLM request failed: provider rejected the request schema or tool payload.",
        Why::ProviderRejected,
    ),
    // 3.31 to 7.1
    (Whole, "LLM request failed.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Whole, "LLM request failed with an unknown error.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Whole, "LLM request failed: connection refused by the provider endpoint.", Why::ProviderTrouble),
    (Whole, "LLM request failed: DNS lookup for the provider endpoint failed.", Why::ProviderTrouble),
    (Whole, "LLM request failed: network connection error.", Why::ProviderTrouble),
    (Whole, "LLM request failed: network connection was interrupted.", Why::ProviderTrouble),
    (Whole, "LLM request failed: provider reported a network error.", Why::ProviderTrouble),
    (
        Whole,
        "LLM request failed: provider returned an invalid streaming response. Please try again.",
        Why::ProviderTrouble,
    ),
    (
        Whole,
        "LLM request failed: proxy or tunnel configuration blocked the provider request.",
        Why::ProviderTrouble,
    ),
    (Whole, "LLM request failed: the provider endpoint is unreachable from this host.", Why::ProviderTrouble),
    // 9.6
    (Warning, "LLM request failed (HTTP 400).", Why::ProviderRejected),
    // 9.6
    (Warning, "LLM request failed (HTTP 401).", Why::ProviderRefused),
    // 9.6
    (Warning, "LLM request failed (HTTP", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Begins, "LLM request rejected:", Why::ProviderRejected),
    // 3.31 to 7.1
    (Whole, "LLM request unauthorized.", Why::ProviderRefused),
    // 3.31 to 7.1
    (Whole, "LLM request rate limited.", Why::ProviderTrouble),
    // 5.7 to 7.1
    (Begins, "LLM streaming response contained a malformed fragment.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Begins, "The AI service is temporarily", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Begins, "The AI service returned an error.", Why::ProviderTrouble),
    // 7.1
    (Begins, "The AI service returned an internal error.", Why::ProviderTrouble),
    // 7.1, in the history
    (Whole, "The agent run failed before producing a reply.", Why::ProviderTrouble),
    // 5.7, in the history
    (Whole, "[assistant turn failed before producing content]", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Begins, "Agent couldn't generate a response.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Begins, "Request failed after repeated internal retries.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (
        Begins,
        "The model stopped because the provider returned an unhandled stop reason:",
        Why::ProviderTrouble,
    ),
    // 2.19
    (Whole, "Connection error.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Warning, "API rate limit reached", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Warning, "All models are temporarily rate-limited.", Why::ProviderTrouble),
    // 3.31 to 7.1
    (Warning, "Rate-limited — ready in", Why::ProviderTrouble),
    // 5.7 to 7.1
    (Warning, "Selected model is at capacity.", Why::ProviderTrouble),
    // 7.1
    (Warning, "The model provider returned", Why::ProviderTrouble),
    // 7.1
    (Warning, "I couldn't reach the configured model backend", Why::ProviderTrouble),
    // 5.7 to 7.1
    (Warning, "Model switch could not be completed.", Why::ProviderTrouble),
    // 7.1
    (Warning, "The model provider rejected the conversation state.", Why::ProviderRejected),
    // 7.1
    (Warning, "The configured model is unavailable from the provider", Why::ProviderRejected),
    // 3.31 to 7.1
    (Begins, "Image too large for the model", Why::ProviderRejected),
    // 3.31 to 7.1
    (Warning, "API provider returned a billing error", Why::ProviderRefused),
    // 5.7 to 7.1
    (Warning, "Missing API key for", Why::ProviderRefused),
    // 5.7 to 7.1
    (Warning, "Model login", Why::ProviderRefused),
    // 3.31 to 7.1
    (Begins, "Context overflow:", Why::ContextTooLong),
    // 3.31 to 7.1
    (Warning, "Context overflow —", Why::ContextTooLong),
    // 3.31 to 7.1
    (Warning, "Context limit exceeded", Why::ContextTooLong),
    // 3.31
    (Begins, "To prevent this, increase your compaction buffer by setting", Why::ContextTooLong),
    // 7.1
    (Warning, "Context is too large and auto-compaction could not recover this turn.", Why::ContextTooLong),
    // 7.1
    (Warning, "Auto-compaction could not recover this turn.", Why::ContextTooLong),
    // 9.6
    (Begins, "I couldn't continue this session after a gateway restart.", Why::Interrupted),
    // 5.7
    (Warning, "Previous run is still shutting down.", Why::Interrupted),
    // 5.7 to 7.1
    (Warning, "Gateway is restarting.", Why::Interrupted),
    // 5.7 to 7.1
    (Begins, "Something went wrong while processing your", Why::Internal),
    // 7.1
    (Warning, "Something went wrong. Please try again.", Why::Internal),
    // 3.31 to 7.1
    (Warning, "Agent failed before reply:", Why::Internal),
    // 7.1
    (Warning, "Codex app-server", Why::Internal),
    // 7.1
    (Warning, "CLI subprocess", Why::Internal),
    // 3.31 to 7.1
    (Begins, "Message ordering conflict", Why::Internal),
    // 3.31 to 7.1
    (Begins, "Session history looks corrupted", Why::Internal),
    // 5.7 to 7.1
    (Begins, "Session history or replay state is invalid.", Why::Internal),
    // 3.31, 5.7
    (Warning, "Session history was corrupted.", Why::Internal),
    // 5.7
    (Warning, "Session history got out of sync.", Why::Internal),
];

/// The line that our briefings ask for if there is nothing to say. It is posted nowhere, and releases before 2026.8 hide it in
/// the history. A current gateway answers `NO_REPLY` with an error, so that word is accepted but never taught.
pub const SILENCE: &str = "HEARTBEAT_OK";

/// What a gateway sends if the agent wrote nothing, or if the model failed (spec §5, §12.3).
pub const PLACEHOLDERS: [&str; 3] =
    ["No response from OpenClaw.", "No reply from agent.", "No response from agent."];

/// Phrases of providers for a request that exceeds the model's context.
const OVERFLOWS: [&str; 5] = [
    "context_length_exceeded",
    "maximum context length",
    "prompt is too long",
    "exceeds the context window",
    "Context overflow",
];

/// The failure that a text reports in place of the agent's answer, if each paragraph is a known message. The last paragraph
/// is the most exact one.
pub fn failure_in(text: &str) -> Option<Why> {
    let mut last = None;
    for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        last = Some(known(paragraph)?);
    }
    last
}

fn known(paragraph: &str) -> Option<Why> {
    let bare = paragraph.trim_start_matches(['\u{26a0}', '\u{fe0f}']);
    let warns = bare.len() < paragraph.len();
    let bare = bare.trim_start();
    let matches = |form, message: &str| match form {
        Whole => bare == message,
        Begins => bare.starts_with(message),
        Warning => warns && bare.starts_with(message),
    };
    KNOWN.iter().find(|(form, message, _)| matches(*form, message)).map(|(_, _, why)| *why)
}

/// The failure that a text reports as a status and a message: `400 bad`. Releases before 2026.3.31 send provider errors so;
/// later ones show them in the history.
pub(super) fn status_in(text: &str) -> Option<Why> {
    let (digits, rest) = text.split_at_checked(3)?;
    let status: u16 =
        Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
    match status {
        _ if !rest.starts_with(' ') => None,
        400..600 if is_overflow(text) => Some(Why::ContextTooLong),
        400 | 404 => Some(Why::ProviderRejected),
        401..=403 => Some(Why::ProviderRefused),
        400..600 => Some(Why::ProviderTrouble),
        _ => None,
    }
}

/// Why a model call failed, by the message that the history has of it.
pub(super) fn why_failed(message: &str) -> Why {
    let message = message.trim();
    match failure_in(message).or_else(|| status_in(message)) {
        Some(why) => why,
        None if is_overflow(message) => Why::ContextTooLong,
        None => Why::ProviderTrouble,
    }
}

/// Whether a provider's message says that the request exceeds the model's context.
pub(super) fn is_overflow(message: &str) -> bool {
    OVERFLOWS.iter().any(|phrase| message.contains(phrase))
}

/// Whether the text stands for an answer without text.
pub(super) fn is_placeholder(text: &str) -> bool {
    PLACEHOLDERS.contains(&text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole message for each row of the table, in its order.
    const MESSAGES: &[&str] = &[
        "LLM request timed out.",
        "LLM request timed out. The model did not produce a response before the model idle timeout. Please try again, or increase `models.providers.<id>.timeoutSeconds`.",
        "The model did not produce a response before the model idle timeout.",
        "Request timed out before a response was generated. Please try again, or increase `agents.defaults.timeoutSeconds` in your config.",
        "LLM request failed: provider rejected the request schema or tool payload.",
        "LLM request failed.",
        "LLM request failed with an unknown error.",
        "LLM request failed: connection refused by the provider endpoint.",
        "LLM request failed: DNS lookup for the provider endpoint failed.",
        "LLM request failed: network connection error.",
        "LLM request failed: network connection was interrupted.",
        "LLM request failed: provider reported a network error.",
        "LLM request failed: provider returned an invalid streaming response. Please try again.",
        "LLM request failed: proxy or tunnel configuration blocked the provider request.",
        "LLM request failed: the provider endpoint is unreachable from this host.",
        "⚠️ LLM request failed (HTTP 400).",
        "⚠️ LLM request failed (HTTP 401).",
        "⚠️ LLM request failed (HTTP 500).",
        "LLM request rejected: messages.0: invalid",
        "LLM request unauthorized.",
        "LLM request rate limited.",
        "LLM streaming response contained a malformed fragment. Please try again.",
        "The AI service is temporarily overloaded. Please try again in a moment.",
        "The AI service returned an error. Please try again.",
        "The AI service returned an internal error. Please try again in a moment.",
        "The agent run failed before producing a reply.",
        "[assistant turn failed before producing content]",
        "⚠️ Agent couldn't generate a response. Please try again.",
        "Request failed after repeated internal retries. Please try again, or use /new to start a fresh session.",
        "The model stopped because the provider returned an unhandled stop reason: refusal. Please rephrase and try again.",
        "Connection error.",
        "⚠️ API rate limit reached. Please try again later.",
        "⚠️ All models are temporarily rate-limited. Please try again in a few minutes.",
        "⚠️ Rate-limited — ready in ~12s. Please wait a moment.",
        "⚠️ Selected model is at capacity. Try a different model, or wait and retry.",
        "⚠️ The model provider returned a temporary internal error before replying. Try again in a moment, or switch to another model if it keeps happening.",
        "⚠️ I couldn't reach the configured model backend mock/a. Fallback used mock/b, but it produced no visible reply.",
        "⚠️ Model switch could not be completed. The requested model may be temporarily unavailable. Please try again shortly.",
        "⚠️ The model provider rejected the conversation state. Please try again, or use /new to start a fresh session.",
        "⚠️ The configured model is unavailable from the provider — it may have been renamed, retired, or is not offered on this account.",
        "Image too large for the model (max 5 MB). Please compress or resize the image and try again.",
        "⚠️ API provider returned a billing error — check your account for subscription or usage limits, then try again.",
        "⚠️ Missing API key for the selected provider on the gateway. Configure provider auth, then try again.",
        "⚠️ Model login expired on the gateway for openai. Log in again with `openclaw models auth login` in a terminal, then try again.",
        "Context overflow: prompt too large for the model. Try /reset (or /new) to start a fresh session, or use a larger-context model.",
        "⚠️ Context overflow — this conversation is too large for the model. Use /new to start a fresh session.",
        "⚠️ Context limit exceeded. I've reset our conversation to start fresh - please try again.",
        "To prevent this, increase your compaction buffer by setting `agents.defaults.compaction.reserveTokensFloor`.",
        "⚠️ Context is too large and auto-compaction could not recover this turn.",
        "⚠️ Auto-compaction could not recover this turn. I kept this conversation mapped to the current session. Please try again, use /compact, or use /new to start a fresh session.",
        "I couldn't continue this session after a gateway restart.",
        "⚠️ Previous run is still shutting down. Please try again in a moment.",
        "⚠️ Gateway is restarting. Please wait a few seconds and try again.",
        "⚠️ Something went wrong while processing your request. Please try again, or use /new to start a fresh session.",
        "⚠️ Something went wrong. Please try again.",
        "⚠️ Agent failed before reply: spawn failed.\nLogs: openclaw logs --follow",
        "⚠️ Codex app-server connection closed before this turn finished.",
        "⚠️ CLI subprocess for claude-cli ended.",
        "Message ordering conflict - please try again. If this persists, use /new to start a fresh session.",
        "Session history looks corrupted (tool call input missing). Use /new to start a fresh session.",
        "Session history or replay state is invalid. Use /new to start a fresh session and try again.",
        "⚠️ Session history was corrupted. I've reset the conversation - please try again!",
        "⚠️ Session history got out of sync. Please try again, or use /new to start a fresh session.",
    ];

    #[test]
    fn each_known_message_is_a_failure_and_a_quotation_of_it_is_none() {
        assert_eq!(MESSAGES.len(), KNOWN.len());
        for (message, (form, begin, why)) in MESSAGES.iter().zip(KNOWN) {
            assert_eq!(failure_in(message), Some(*why), "{message}");
            assert!(message.contains(begin), "{message}");
            for quoted in [
                format!("The log says: {message}"),
                format!("“{message}”"),
                format!("{message}\n\nI tried it again, and it works now."),
                format!("I found this in the log:\n\n{message}"),
            ] {
                assert!(failure_in(&quoted).is_none(), "{quoted}");
            }
            if *form == Whole {
                assert!(failure_in(&format!("{message} Nothing was lost.")).is_none(), "{message}");
            }
            if *form == Warning {
                assert!(failure_in(begin).is_none(), "{begin}: without the sign");
            }
        }
    }

    /// Measured on 2026.7.1.
    #[test]
    fn the_last_of_several_messages_names_the_failure() {
        let text =
            "LLM request failed.\n\nRequest timed out before a response was generated. Please try again.";
        assert_eq!(failure_in(text), Some(Why::ProviderTrouble));
        let text = "LLM request failed.\n\nContext overflow: prompt too large for the model.";
        assert_eq!(failure_in(text), Some(Why::ContextTooLong));
        for text in ["", "\n\n", "Hello."] {
            assert!(failure_in(text).is_none(), "{text:?}");
        }
    }

    /// spec §9: the old release.
    #[test]
    fn an_error_may_arrive_as_a_status_with_a_message() {
        let rows = [
            ("400 bad", Some(Why::ProviderRejected)),
            ("401 Incorrect API key", Some(Why::ProviderRefused)),
            ("429 slow down", Some(Why::ProviderTrouble)),
            ("500 oops", Some(Why::ProviderTrouble)),
            ("400", None),
            ("4000 rows", None),
            ("200 fine", None),
            ("600 things", None),
            ("4ü0 x", None),
            ("The answer is 404 x", None),
            ("", None),
        ];
        for (text, expected) in rows {
            assert_eq!(status_in(text), expected, "{text}");
        }
    }

    /// Measured on 2026.3.31: `errorMessage` of the failed model call.
    #[test]
    fn the_message_of_a_failed_model_call_names_its_cause() {
        let overflow = "400 This model maximum context length is 128000 tokens. context_length_exceeded";
        let rows = [
            ("400 bad thing", Why::ProviderRejected),
            ("401 bad key", Why::ProviderRefused),
            ("402 pay", Why::ProviderRefused),
            ("429 slow down", Why::ProviderTrouble),
            ("500 oops", Why::ProviderTrouble),
            (overflow, Why::ContextTooLong),
            ("⚠️ LLM request failed (HTTP 400).", Why::ProviderRejected),
            ("Connection error.", Why::ProviderTrouble),
            ("Something that no release says yet", Why::ProviderTrouble),
            ("", Why::ProviderTrouble),
        ];
        for (message, why) in rows {
            assert_eq!(why_failed(message), why, "{message}");
        }
    }
}
