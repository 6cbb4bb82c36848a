//! The account and the webhook of a bot.

use serde::Deserialize;
use serde_json::{Value, json};

use super::TelegramClient;
use mcr_core::telegram::{BotToken, TelegramResult};
use mcr_model::secret::Secret;

/// The account of a bot.
#[derive(Clone, Debug, Deserialize)]
pub struct BotProfile {
    /// Its number.
    pub id: i64,
    /// Its user name.
    pub username: Option<String>,
}

/// The webhook of a bot, as Telegram knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookInfo {
    /// The address; empty without a webhook.
    pub url: String,
    /// The updates that wait to be sent.
    #[serde(default)]
    pub pending_update_count: u32,
    /// The last error of Telegram's calls.
    pub last_error_message: Option<String>,
    /// When the last error occurred, in seconds since 1970.
    pub last_error_date: Option<u32>,
}

impl TelegramClient {
    /// The account of the bot.
    pub fn get_me(&self, bot: &BotToken) -> TelegramResult<BotProfile> {
        self.call(bot, "getMe", &json!({}))
    }

    /// Tells Telegram where to send updates, and which secret to show there. Only messages are sent.
    pub fn set_webhook(&self, bot: &BotToken, url: &str, secret: &Secret) -> TelegramResult<()> {
        let wanted = json!({"url": url, "secret_token": secret.expose(), "allowed_updates": ["message"]});
        self.call::<Value>(bot, "setWebhook", &wanted).map(drop)
    }

    /// Where Telegram sends updates.
    pub fn webhook_info(&self, bot: &BotToken) -> TelegramResult<WebhookInfo> {
        self.call(bot, "getWebhookInfo", &json!({}))
    }
}
