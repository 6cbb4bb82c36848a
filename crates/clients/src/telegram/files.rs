//! Files in both directions.

use serde::Deserialize;
use serde_json::json;

use super::{SentMessage, TelegramClient};
use crate::wire::{Fault, Sent};
use mcr_core::telegram::{BotToken, OutgoingKind, TelegramError, TelegramProblem, TelegramResult};
use mcr_model::random;

/// A file to send.
#[derive(Clone, Copy, Debug)]
pub struct FileToSend<'a> {
    /// How it is shown.
    pub kind: OutgoingKind,
    /// Its name, with safe characters only.
    pub name: &'a str,
    /// Its content.
    pub content: &'a [u8],
    /// The text below it, if any.
    pub caption: Option<&'a str>,
}

/// Where Telegram keeps a file for an hour.
#[derive(Deserialize)]
struct FilePlace {
    file_path: String,
}

impl TelegramClient {
    /// The largest file in both directions.
    pub fn file_bytes_max(&self) -> usize {
        self.shared.limits.file_bytes
    }

    /// Sends one file.
    pub fn send_file(
        &self,
        bot: &BotToken,
        chat: &str,
        file: &FileToSend<'_>,
    ) -> TelegramResult<SentMessage> {
        self.send_file_when(bot, chat, file, &mut || true)
    }

    /// Sends one file, if `ready` says so when the connection is open.
    pub fn send_file_when(
        &self,
        bot: &BotToken,
        chat: &str,
        file: &FileToSend<'_>,
        ready: &mut dyn FnMut() -> bool,
    ) -> TelegramResult<SentMessage> {
        let limits = &self.shared.limits;
        if file.content.len() > limits.file_bytes {
            let detail = format!("{} bytes; the limit is {}", file.content.len(), limits.file_bytes);
            return Err(TelegramError::certain(TelegramProblem::TooLarge, detail));
        }
        let (method, field) = match file.kind {
            OutgoingKind::Audio => ("sendAudio", "audio"),
            OutgoingKind::Photo => ("sendPhoto", "photo"),
            OutgoingKind::Document => ("sendDocument", "document"),
        };
        let boundary = format!("mcr-{}", random::hex::<16>());
        let mut body = Vec::with_capacity(file.content.len() + 1024);
        let mut part = |head: &str, content: &[u8]| {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        };
        part("name=\"chat_id\"", chat.as_bytes());
        if let Some(caption) = file.caption {
            part("name=\"caption\"", caption.as_bytes());
        }
        let name: String = file.name.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
        part(&format!("name=\"{field}\"; filename=\"{name}\""), file.content);
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        self.post(bot, method, &content_type, &body, (limits.file, ready))
    }

    /// Fetches a file that a person has sent to the bot.
    pub fn fetch_file(&self, bot: &BotToken, file_id: &str) -> TelegramResult<Vec<u8>> {
        let place: FilePlace = self.call(bot, "getFile", &json!({"file_id": file_id}))?;
        let path = place.file_path.trim_start_matches('/');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
        if path.split('/').any(|part| part == "..") || !path.chars().all(is_plain) {
            return Err(TelegramError::certain(TelegramProblem::NotUnderstood, "an unusable path of a file"));
        }
        let limits = &self.shared.limits;
        let url = self.shared.base.join(&format!("/file/bot{}/{path}", bot.expose()));
        // Fetching changes nothing, so it is never in doubt.
        let lost = |fault: &Fault| self.broken(fault, Sent::Nothing);
        let request = self.agent.get(url).config().timeout_global(Some(limits.file)).build();
        let response = request.call().map_err(|error| lost(&Fault::of(&error)))?;
        let status = response.status().as_u16();
        if status != 200 {
            let why = if status < 500 { TelegramProblem::Refused } else { TelegramProblem::ServerFault };
            return Err(TelegramError::certain(why, format!("status {status}")));
        }
        self.content_of(response, limits.file_bytes, limits.file).map_err(|fault| lost(&fault))
    }
}
