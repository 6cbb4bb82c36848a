//! Reads the answers of the Bot API, and says what a failure means for the message.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::BotToken;
use mcr_model::redact::Redactor;
use mcr_model::{json, visible};

/// The pause after a refusal for too many messages that names no time.
const WAIT: Duration = Duration::from_secs(5);

/// The longest part of Telegram's own words in an error.
const WORDS_CHARS: usize = 200;

/// Why a call of the Bot API returned nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TelegramProblem {
    /// There is no connection to Telegram.
    Unreachable,
    /// The connection ended before the answer.
    LostAnswer,
    /// There are too many messages: none may be sent before this time has passed.
    Wait(Duration),
    /// Telegram, or a proxy in front of it, failed.
    ServerFault,
    /// Telegram cannot read the markup of the text.
    Markup,
    /// The chat has another id now.
    Moved(String),
    /// The token is wrong or revoked.
    TokenRefused,
    /// The bot may not write to the chat.
    ChatRefused,
    /// Telegram refuses the message for another reason.
    Refused,
    /// A file is larger than the limit.
    TooLarge,
    /// The answer has an unexpected form.
    NotUnderstood,
    /// This program stops.
    Stopped,
}

impl TelegramProblem {
    /// What failed, and what to do.
    pub fn explain(&self) -> &'static str {
        match self {
            Self::Unreachable => "Telegram is unreachable. Check the network and the proxies",
            Self::LostAnswer => "The connection to Telegram ended before its answer",
            Self::Wait(_) => "Telegram limits the number of messages. The message is sent later",
            Self::ServerFault => "Telegram failed. The call is repeated",
            Self::Markup => "Telegram cannot read the markup of the text. The text is sent without markup",
            Self::Moved(_) => "The chat has another id now",
            Self::TokenRefused => "Telegram refuses the bot's token. Import a valid token for the agent",
            Self::ChatRefused => {
                "The bot may not write to this chat. The person must start the bot, or add it to the group again"
            }
            Self::Refused => "Telegram refuses the message",
            Self::TooLarge => "The file is larger than the limit",
            Self::NotUnderstood => "Telegram's answer has an unexpected form",
            Self::Stopped => "The program is stopping",
        }
    }

    /// Whether the same call may succeed later.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable | Self::LostAnswer | Self::Wait(_) | Self::ServerFault | Self::Stopped => true,
            Self::Markup
            | Self::Moved(_)
            | Self::TokenRefused
            | Self::ChatRefused
            | Self::Refused
            | Self::TooLarge
            | Self::NotUnderstood => false,
        }
    }
}

/// A failed call of the Bot API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramError {
    /// Why it failed.
    pub why: TelegramProblem,
    /// Whether the message may be in the chat nevertheless. Bots cannot read a chat.
    pub is_in_doubt: bool,
    /// Telegram's own words, without secrets.
    pub detail: String,
}

impl TelegramError {
    /// An error of a call that certainly had no effect.
    pub fn certain(why: TelegramProblem, detail: impl Into<String>) -> Self {
        Self { why, is_in_doubt: false, detail: detail.into() }
    }

    /// The error without this token, which Telegram or a proxy may repeat.
    #[must_use]
    pub fn without(self, bot: &BotToken) -> Self {
        Self { detail: self.detail.replace(bot.key(), "***"), ..self }
    }

    /// An error of a call that may have had its effect.
    pub fn in_doubt(why: TelegramProblem, detail: impl Into<String>) -> Self {
        Self { why, is_in_doubt: true, detail: detail.into() }
    }
}

impl fmt::Display for TelegramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.why.explain())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

impl std::error::Error for TelegramError {}

/// What a call of the Bot API returned.
pub type TelegramResult<T> = Result<T, TelegramError>;

#[derive(Deserialize)]
struct ApiAnswer<'a> {
    ok: bool,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: ApiParameters,
}

#[derive(Default, Deserialize)]
struct ApiParameters {
    retry_after: Option<f64>,
    migrate_to_chat_id: Option<i64>,
}

/// The result of a complete answer, as JSON, or what its failure means. An answer of the Bot API itself is certain. Any
/// other answer may come from a proxy that has passed the message on.
pub fn read(status: u16, body: &[u8]) -> TelegramResult<Box<RawValue>> {
    let text = json::bytes(body);
    let Ok(answer) = serde_json::from_slice::<ApiAnswer<'_>>(&text) else {
        let detail = format!("status {status}, not an answer of the Bot API");
        return Err(match status {
            429 => TelegramError::certain(TelegramProblem::Wait(WAIT), detail),
            400..500 => TelegramError::certain(TelegramProblem::NotUnderstood, detail),
            500.. => TelegramError::in_doubt(TelegramProblem::ServerFault, detail),
            _ => TelegramError::in_doubt(TelegramProblem::NotUnderstood, detail),
        });
    };
    if answer.ok {
        let result = answer.result.unwrap_or(RawValue::NULL);
        return Ok(result.to_owned());
    }
    Err(TelegramError::certain(problem(status, &answer), words(&answer.description)))
}

fn problem(status: u16, answer: &ApiAnswer<'_>) -> TelegramProblem {
    let says = |words: &str| answer.description.to_ascii_lowercase().contains(words);
    if let Some(chat) = answer.parameters.migrate_to_chat_id {
        return TelegramProblem::Moved(chat.to_string());
    }
    match status {
        429 => {
            let seconds =
                answer.parameters.retry_after.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
            let wait = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            TelegramProblem::Wait(wait.unwrap_or(WAIT))
        }
        500.. => TelegramProblem::ServerFault,
        401 => TelegramProblem::TokenRefused,
        // The Bot API answers 404 for an unknown token.
        404 if says("not found") && !says("chat") => TelegramProblem::TokenRefused,
        403 => TelegramProblem::ChatRefused,
        400 if says("can't parse entities") => TelegramProblem::Markup,
        400 if says("chat not found") || says("not enough rights") || says("have no rights") => {
            TelegramProblem::ChatRefused
        }
        _ => TelegramProblem::Refused,
    }
}

/// Telegram's words on one line, shortened and without secrets.
fn words(text: &str) -> String {
    let mut line = String::new();
    visible::push_line(&mut line, &Redactor::default().excerpt(text, WORDS_CHARS));
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let secs = Duration::from_secs;
        let rows = [
            (
                429,
                r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 3","parameters":{"retry_after":3}}"#,
                TelegramProblem::Wait(secs(3)),
                false,
            ),
            (429, r#"{"ok":false,"description":"Too Many Requests"}"#, TelegramProblem::Wait(secs(5)), false),
            (429, "<html>", TelegramProblem::Wait(secs(5)), false),
            (
                400,
                r#"{"ok":false,"description":"Bad Request: can't parse entities: Unsupported start tag"}"#,
                TelegramProblem::Markup,
                false,
            ),
            (
                400,
                r#"{"ok":false,"description":"Bad Request: chat not found"}"#,
                TelegramProblem::ChatRefused,
                false,
            ),
            (
                400,
                r#"{"ok":false,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1001}}"#,
                TelegramProblem::Moved("-1001".to_owned()),
                false,
            ),
            (
                400,
                r#"{"ok":false,"description":"Bad Request: message is too long"}"#,
                TelegramProblem::Refused,
                false,
            ),
            (401, r#"{"ok":false,"description":"Unauthorized"}"#, TelegramProblem::TokenRefused, false),
            (404, r#"{"ok":false,"description":"Not Found"}"#, TelegramProblem::TokenRefused, false),
            (
                403,
                r#"{"ok":false,"description":"Forbidden: bot was blocked by the user"}"#,
                TelegramProblem::ChatRefused,
                false,
            ),
            (
                500,
                r#"{"ok":false,"description":"Internal Server Error"}"#,
                TelegramProblem::ServerFault,
                false,
            ),
            (502, "<html>Bad Gateway</html>", TelegramProblem::ServerFault, true),
            (404, "no such page", TelegramProblem::NotUnderstood, false),
            (200, "no JSON", TelegramProblem::NotUnderstood, true),
        ];
        for (status, body, why, is_in_doubt) in rows {
            let error = read(status, body.as_bytes()).expect_err("a failure");
            assert_eq!((error.why, error.is_in_doubt), (why, is_in_doubt), "{status} {body}");
        }
        let sent = read(200, br#"{"ok":true,"result":{"message_id":5}}"#).expect("a result");
        assert_eq!(sent.get(), r#"{"message_id":5}"#);
    }

    #[test]
    fn only_what_passes_is_worth_a_repeat() {
        assert!(TelegramProblem::Wait(WAIT).passes() && TelegramProblem::ServerFault.passes());
        assert!(!TelegramProblem::ChatRefused.passes() && !TelegramProblem::TokenRefused.passes());
    }

    proptest! {
        #[test]
        fn any_answer_is_read(status in 100_u16..1000, body in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(status, &body).is_err());
        }
    }
}
