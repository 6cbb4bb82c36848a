//! The jobs of a worker pool, as the queue of an agent-factory deployment hands them out (worker-pool B.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::secret::Secret;
use crate::word::{Word, words};
use crate::{ConversationId, JobId, LeaseId, StorageId, number};

words! {
    /// Where a message comes from, and its answer goes to.
    JobProvider {
        /// A chat of Telegram.
        Telegram = "telegram",
        /// The system itself: a scheduled message or a broadcast. There may be no chat.
        SystemPush = "system_push",
    }
}

words! {
    /// The kind of an attached file.
    AttachmentKind {
        /// A picture.
        Photo = "photo",
        /// A film.
        Video = "video",
        /// A piece of music.
        Audio = "audio",
        /// A spoken message.
        Voice = "voice",
        /// Any other file.
        Document = "document",
    }
}

words! {
    /// Whether an attached file can be had.
    AttachmentState {
        /// It is stored.
        Ready = "ready",
        /// It was stored for too long.
        Expired = "expired",
    }
}

words! {
    /// The author of a message in a conversation's history.
    ChatRole {
        /// The system.
        System = "system",
        /// The person.
        User = "user",
        /// The agent.
        Assistant = "assistant",
        /// A tool.
        Tool = "tool",
    }
}

/// A claimed message with its lease. A worker may work on it as long as it holds the lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedJob {
    /// The message in the queue.
    pub message_id: JobId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The agent.
    pub agent_key: String,
    /// The lease.
    pub lease_id: LeaseId,
    /// When the lease ends unless it is renewed, by the backend's clock.
    pub lease_expires_at: Millis,
    /// The message itself.
    pub payload: JobPayload,
}

/// What a person wrote, or the system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobPayload {
    /// Where it comes from.
    pub provider: Word<JobProvider>,
    /// The person, by the id of the provider. In a group it is not the chat.
    pub provider_user_id: String,
    /// The text.
    pub message_text: String,
    /// The id of the message at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_message_id: Option<String>,
    /// Further facts, such as the chat.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The attached files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<JobAttachment>,
}

impl JobPayload {
    /// The chat that gets the answer: the chat of the message. Only if that is unknown, the chat with the person.
    pub fn chat_id(&self) -> &str {
        let chat = self.metadata.get("telegramChatId").map(|chat| chat.trim());
        chat.filter(|chat| !chat.is_empty()).unwrap_or(&self.provider_user_id)
    }
}

/// An attached file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobAttachment {
    /// Its kind.
    pub kind: Word<AttachmentKind>,
    /// Whether it can be had.
    pub status: Word<AttachmentState>,
    /// The stored copy.
    pub storage_id: StorageId,
    /// The file at Telegram.
    pub telegram_file_id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its size.
    #[serde(default, deserialize_with = "number::optional", skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// When the stored copy is deleted.
    pub expires_at: Millis,
    /// Where the copy can be had. Only the hydration bundle has it, and only for a ready copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
}

/// Everything that a worker needs for a claimed job. `Debug` hides the token and the key.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HydrationBundle {
    /// The message in the queue.
    pub message_id: JobId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The agent.
    pub agent_key: String,
    /// The message itself, with the addresses of its files.
    pub payload: JobPayload,
    /// What was said before.
    pub conversation_state: ConversationState,
    /// The token of the agent's bot.
    #[serde(default, deserialize_with = "optional_secret")]
    pub telegram_bot_token: Option<Secret>,
    /// How skills call the application.
    #[serde(default)]
    pub bridge_runtime_config: Option<BridgeSettings>,
}

/// The state of a conversation.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationState {
    /// The last messages, oldest first.
    pub context_history: Vec<ContextMessage>,
    /// Tool calls that were not finished. No rule depends on them.
    #[serde(default)]
    pub pending_tool_calls: Vec<Value>,
}

/// A message of a conversation's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContextMessage {
    /// Its author.
    pub role: Word<ChatRole>,
    /// Its text.
    pub content: String,
    /// When it was written.
    pub at: Millis,
}

/// The settings of the bridge to the consumer's application. Absent ones come from the environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeSettings {
    /// The address of the application.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The addresses of several applications by their keys, as JSON.
    #[serde(default)]
    pub app_base_url_map_json: Option<String>,
    /// The id of the service.
    #[serde(default)]
    pub service_id: Option<String>,
    /// The application.
    #[serde(default)]
    pub app_key: Option<String>,
    /// The key of the service.
    #[serde(default, deserialize_with = "optional_secret")]
    pub service_key: Option<Secret>,
}

fn optional_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Secret::new))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn payload(metadata: &Value) -> JobPayload {
        let row =
            json!({"provider": "telegram", "providerUserId": "7", "messageText": "hi", "metadata": metadata});
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn an_answer_goes_to_the_chat_and_only_without_one_to_the_person() {
        let rows = [
            (json!({"telegramChatId": "-100123"}), "-100123"),
            (json!({"telegramChatId": "  "}), "7"),
            (json!({"telegramUserId": "9"}), "7"),
        ];
        for (metadata, chat) in rows {
            assert_eq!(payload(&metadata).chat_id(), chat, "{metadata}");
        }
    }

    #[test]
    fn a_bundle_hides_its_token_and_its_key() {
        let bundle: HydrationBundle = serde_json::from_value(json!({
            "messageId": "m", "conversationId": "c", "agentKey": "a",
            "payload": {"provider": "carrier_pigeon", "providerUserId": "7", "messageText": "hi"},
            "conversationState": {"contextHistory": [{"role": "user", "content": "x", "at": 1.0}],
                "pendingToolCalls": []},
            "telegramBotToken": "12:the-token",
            "bridgeRuntimeConfig": {"baseUrl": null, "serviceKey": "the-key", "botIdentity": null},
        }))
        .unwrap();
        let shown = format!("{bundle:?}");
        assert!(!shown.contains("the-token") && !shown.contains("the-key"), "{shown}");
        assert_eq!(bundle.payload.provider.known(), None);
        assert_eq!(bundle.telegram_bot_token.as_ref().map(Secret::expose), Some("12:the-token"));
    }
}
