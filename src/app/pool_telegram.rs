//! The client of Telegram that the embedded Mission Control gets: for tokens, webhooks and files of bots.

use mcr_clients::telegram::{TelegramClient, TelegramEndpoint, TelegramLimits};
use mcr_clients::wire::{Roots, Stop};
use mcr_core::telegram::{BotToken, TelegramError};
use mcr_mission_control::{BotAccount, TelegramApi, WebhookState};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;

/// The Bot API.
pub(super) struct PoolTelegram(TelegramEndpoint);

impl PoolTelegram {
    /// The Bot API at the address of the variable, or the public one.
    pub(super) fn from_env() -> Result<Self, String> {
        let base = mcr_config::telegram_api(&|name| std::env::var(name).ok())?;
        Ok(Self::at(base))
    }

    /// The Bot API at this address.
    pub(super) fn at(base: BaseUrl) -> Self {
        Self(TelegramEndpoint::new(base, &Roots::default(), TelegramLimits::default()))
    }

    /// Makes calls with the token of a bot.
    fn with<T>(
        &self,
        token: &Secret,
        call: impl FnOnce(&TelegramClient, &BotToken) -> Result<T, TelegramError>,
    ) -> Result<T, String> {
        let bot = BotToken::parse(token).ok_or_else(|| "the token has not the form of a token".to_owned())?;
        call(&self.0.client(&Stop::new()), &bot).map_err(|why| why.to_string())
    }
}

impl TelegramApi for PoolTelegram {
    fn account(&self, token: &Secret) -> Result<BotAccount, String> {
        let profile = self.with(token, TelegramClient::get_me)?;
        Ok(BotAccount { id: profile.id.to_string(), username: profile.username })
    }

    fn set_webhook(&self, token: &Secret, url: &str, secret: &Secret) -> Result<(), String> {
        self.with(token, |client, bot| client.set_webhook(bot, url, secret))
    }

    fn webhook(&self, token: &Secret) -> Result<WebhookState, String> {
        let info = self.with(token, TelegramClient::webhook_info)?;
        Ok(WebhookState {
            url: Some(info.url).filter(|url| !url.is_empty()),
            pending: info.pending_update_count,
            last_error: info.last_error_message,
            last_error_at: info.last_error_date,
        })
    }

    fn fetch_file(&self, token: &Secret, file_id: &str) -> Result<Vec<u8>, String> {
        self.with(token, |client, bot| client.fetch_file(bot, file_id))
    }
}
