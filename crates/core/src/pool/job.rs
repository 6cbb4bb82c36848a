//! What is checked before a job costs anything: whether its answer can be sent, and in which session the agent works.

use std::fmt;

use super::outbox::Destination;
use crate::digest::half_digest;
use crate::telegram::BotToken;
use mcr_model::{ConversationId, HydrationBundle, JobProvider, SessionKey, TelegramParseMode};

/// The digits of a conversation's digest in a session key.
const DIGEST_DIGITS: usize = 16;

/// Why a job is reported as failed without a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobRefusal {
    /// The queue has no bundle for the job.
    NotHydrated,
    /// The answer must be sent to Telegram, and the agent has no token.
    NoToken,
    /// The token does not have the form of one.
    BadToken,
    /// There is no chat to which the answer could be sent.
    NoChat,
}

impl JobRefusal {
    /// The reason for the queue, for operators to act on.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NotHydrated => {
                "hydration_missing: the queue has no bundle; its conversation or its agent's profile may be missing"
            }
            Self::NoToken => {
                "telegram_token_missing: the agent has no active bot token; import one for the agent"
            }
            Self::BadToken => {
                "telegram_token_malformed: the agent's bot token does not have the form NUMBER:KEY; import it again"
            }
            Self::NoChat => "telegram_chat_missing: the message names no chat and no person",
        }
    }
}

impl fmt::Display for JobRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

/// Where the answer goes: to the chat of a message from Telegram. A message of the system has no chat, so its answer is
/// only appended, and it needs no token. The same holds for a provider that this program does not know.
pub fn destination(
    bundle: &HydrationBundle,
    mode: TelegramParseMode,
) -> Result<Option<(BotToken, Destination)>, JobRefusal> {
    match bundle.payload.provider.known() {
        Some(JobProvider::Telegram) => {}
        Some(JobProvider::SystemPush) | None => return Ok(None),
    }
    let token = bundle.telegram_bot_token.as_ref().filter(|token| !token.expose().trim().is_empty());
    let token = BotToken::parse(token.ok_or(JobRefusal::NoToken)?).ok_or(JobRefusal::BadToken)?;
    let chat = bundle.payload.chat_id().trim();
    if chat.is_empty() {
        return Err(JobRefusal::NoChat);
    }
    Ok(Some((token, Destination::new(chat, mode))))
}

/// The session of a conversation: each has its own, so that several on one gateway do not mix.
pub fn session(agent: &str, prefix: &str, conversation: &ConversationId) -> SessionKey {
    let digest = half_digest(conversation.as_str());
    SessionKey::new(format!("agent:{agent}:{prefix}:{}", &digest[..DIGEST_DIGITS]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn bundle(provider: &str, user: &str, token: &Value) -> HydrationBundle {
        let bundle = json!({"messageId": "m", "conversationId": "c", "agentKey": "a",
            "payload": {"provider": provider, "providerUserId": user, "messageText": "hi"},
            "conversationState": {"contextHistory": [], "pendingToolCalls": []}, "telegramBotToken": token});
        serde_json::from_value(bundle).unwrap()
    }

    #[test]
    fn an_answer_that_cannot_be_sent_costs_no_turn() {
        let good = json!("12:abc");
        let rows = [
            ("telegram", "7", good.clone(), Ok(Some("7"))),
            ("telegram", "7", Value::Null, Err(JobRefusal::NoToken)),
            ("telegram", "7", json!("  "), Err(JobRefusal::NoToken)),
            ("telegram", "7", json!("12:a/b"), Err(JobRefusal::BadToken)),
            ("telegram", " ", good.clone(), Err(JobRefusal::NoChat)),
            ("system_push", "user-9", Value::Null, Ok(None)),
            ("system_push", "user-9", good.clone(), Ok(None)),
            ("carrier_pigeon", "7", Value::Null, Ok(None)),
        ];
        for (provider, user, token, expected) in rows {
            let found = destination(&bundle(provider, user, &token), TelegramParseMode::Plain);
            let chat = found.as_ref().map(|to| to.as_ref().map(|(_, to)| to.chat.as_str()));
            assert_eq!(chat, expected.as_ref().map(|chat| *chat), "{provider} {token}");
        }
    }

    #[test]
    fn each_conversation_has_a_session_of_its_own() {
        let key = |conversation: &str| {
            session("main", "af", &ConversationId::new(conversation)).expose().to_owned()
        };
        assert_eq!(key("telegram:1:2"), key("telegram:1:2"));
        assert_ne!(key("telegram:1:2"), key("telegram:1:3"));
        assert!(key("telegram:1:2").starts_with("agent:main:af:"));
        assert_eq!(key("x").len(), "agent:main:af:".len() + DIGEST_DIGITS);
    }
}
