//! What this backend needs of Telegram's Bot API. The caller of the crate provides the client.

use mcr_model::secret::Secret;

/// A client of the Bot API. Errors are sentences without the token.
pub trait TelegramApi: Send + Sync {
    /// The account of a bot (`getMe`).
    fn account(&self, token: &Secret) -> Result<BotAccount, String>;

    /// Tells Telegram where to send updates, and which secret proves that they come from Telegram (`setWebhook`).
    fn set_webhook(&self, token: &Secret, url: &str, secret: &Secret) -> Result<(), String>;

    /// Where Telegram sends updates (`getWebhookInfo`).
    fn webhook(&self, token: &Secret) -> Result<WebhookState, String>;

    /// The content of a file that a person sent to the bot (`getFile`).
    fn fetch_file(&self, token: &Secret, file_id: &str) -> Result<Vec<u8>, String>;
}

/// The account of a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotAccount {
    /// Its numeric id.
    pub id: String,
    /// Its user name, which links use.
    pub username: Option<String>,
}

/// The webhook of a bot, as Telegram knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookState {
    /// The address; none without a webhook.
    pub url: Option<String>,
    /// The updates that wait to be sent.
    pub pending: u32,
    /// The last error of Telegram's calls.
    pub last_error: Option<String>,
    /// When the last error occurred, in seconds since 1970.
    pub last_error_at: Option<u32>,
}
