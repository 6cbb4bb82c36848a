//! The updates of Telegram (worker-pool C.7; F.7, F.31, F.33).
//!
//! The secret of the request names the bot and proves that Telegram sends it. After that, each answer has the status 2xx,
//! because Telegram repeats an update until it gets one. A repeated update gets the first answer again, and has no effect.

use serde::Deserialize;
use serde_json::{Value, json};

use super::actions::{self, SECRET_PREFIX};
use super::files::UploadError;
use super::pairing::{ShownCode, consume};
use super::queue::{self, NewMessage};
use super::rows::{Binding, Payload, PoolAttachment, ReceivedUpdate, Texts};
use super::times::KEPT_MS;
use super::{agents, bindings, secrets, settings};
use crate::answer::Refusal;
use crate::auth::{self, same};
use crate::call::Call;
use crate::engine::Engine;
use crate::store::{Doc, POOL_UPDATE, StoreError, Tx};

/// The largest file that a bot can fetch.
const FILE_BYTES: usize = 20 * 1024 * 1024;
const CODE_CHARS: std::ops::RangeInclusive<usize> = 4..=128;

#[derive(Deserialize)]
struct Update {
    update_id: Option<i64>,
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "message_id")]
    id: Option<i64>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    caption: String,
    chat: Option<TelegramParty>,
    from: Option<TelegramParty>,
    #[serde(default)]
    photo: Vec<Media>,
    video: Option<Media>,
    audio: Option<Media>,
    voice: Option<Media>,
    document: Option<Media>,
}

#[derive(Deserialize)]
struct TelegramParty {
    id: Value,
}

impl TelegramParty {
    fn id(party: Option<&Self>) -> Option<String> {
        match &party?.id {
            Value::String(id) if !id.is_empty() => Some(id.clone()),
            Value::Number(id) if id.as_i64().is_some_and(|id| id != 0) => Some(id.to_string()),
            _ => None,
        }
    }
}

#[derive(Clone, Deserialize)]
struct Media {
    file_id: String,
    file_name: Option<String>,
    mime_type: Option<String>,
    file_size: Option<u32>,
}

/// What a message of a bound user becomes.
struct Accepted {
    text: String,
    media: Vec<(&'static str, Media)>,
    person: String,
    chat: String,
    message_id: String,
}

/// The answer to an update: status and body.
type Answered = (u16, Value);

impl Engine {
    /// Receives an update of Telegram with the secret of its header.
    pub fn receive_update(&self, secret: &str, body: &[u8]) -> Answered {
        let received = self.bot_of(secret).and_then(|bot| match bot {
            Some(bot) => self.received_from(&bot, body),
            None => {
                Ok((403, json!({"ok": false, "error": "missing or invalid telegram webhook secret token"})))
            }
        });
        // Telegram repeats the update after a fault of this server.
        received.unwrap_or_else(|why| (500, json!({"ok": false, "error": why.to_string()})))
    }

    /// The bot whose secret this is. Hashes are compared in constant time.
    fn bot_of(&self, secret: &str) -> Result<Option<String>, Refusal> {
        let rest = secret.strip_prefix(SECRET_PREFIX).unwrap_or_default();
        let identity = rest.split_once('_').map_or(rest, |(identity, _)| identity);
        let given = auth::hash(secret);
        self.pool_read(|call| {
            let Some(bot) = actions::bot(call.tx, identity)? else { return Ok(None) };
            let mut known = bot.row.unconfirmed_hashes.iter().flatten().chain([&bot.row.secret_hash]);
            let is_known = known.any(|hash| same(hash.as_bytes(), given.as_bytes()));
            Ok(is_known.then_some(bot.row.bot_identity))
        })
    }

    fn received_from(&self, bot: &str, body: &[u8]) -> Result<Answered, Refusal> {
        let ignored = |why: &str| Ok((200, json!({"ok": true, "ignored": true, "reason": why})));
        let Ok(update) = serde_json::from_slice::<Update>(body) else { return ignored("not understood") };
        let (Some(update_id), Some(message)) = (update.update_id, update.message) else {
            return ignored("no message");
        };
        let parties = TelegramParty::id(message.chat.as_ref()).zip(TelegramParty::id(message.from.as_ref()));
        let Some((chat, person)) = parties else { return ignored("no chat or no sender") };
        let update_id = update_id.to_string();
        if let Some(first) = self.pool_read(|call| Ok(first_answer(call.tx, bot, &update_id)?))? {
            return Ok(first);
        }
        let text = message.text.trim().to_owned();
        if text.starts_with("/start") {
            return self.pool_write(|call| started(call.tx, bot, &update_id, &text, &person, &chat));
        }
        let media = media_of(&message);
        let message_id = message.id.unwrap_or_default().to_string();
        let text = text_of(&text, message.caption.trim(), &media);
        if text.is_empty() {
            return ignored("no text and no media");
        }
        let accepted = Accepted { text, media, person, chat, message_id };
        let bound = self.pool_read(|call| resolved(call.tx, bot, &accepted))?;
        if bound.is_none() {
            // A person without a binding reaches no agent, and Telegram has no reason to repeat the update.
            return ignored("no active binding");
        }
        let raw = String::from_utf8_lossy(body).into_owned();
        let (attachments, failed) = self.fetched(bot, &accepted)?;
        self.pool_write(|call| enqueued(call, bot, &update_id, &accepted, &raw, &attachments, &failed))
    }

    /// Copies the files of a message. A file that cannot be had is named, and the message goes on without it (F.7).
    fn fetched(&self, bot: &str, message: &Accepted) -> Result<(Vec<PoolAttachment>, Vec<String>), Refusal> {
        let (mut stored, mut failed) = (Vec::new(), Vec::new());
        if message.media.is_empty() {
            return Ok((stored, failed));
        }
        let (token, kept_ms, expires_at) = self.pool_read(|call| {
            let bound = resolved(call.tx, bot, message)?;
            let agent = bound.map(|bound| agents::find(call.tx, &bound.row.agent_key)).transpose()?.flatten();
            let token = agent.map(|agent| secrets::bot_token(call, &agent.row)).transpose()?.flatten();
            let kept = settings::read(call.tx)?.telegram_attachment_retention_ms.unwrap_or(KEPT_MS);
            Ok((token.map(|(_, token)| token), kept, call.now() + kept))
        })?;
        for (kind, media) in &message.media {
            let content = match (&self.telegram, &token) {
                _ if media.file_size.is_some_and(|bytes| bytes as usize > FILE_BYTES) => {
                    Err(format!("the file is larger than {FILE_BYTES} bytes"))
                }
                (Some(telegram), Some(token)) => telegram.fetch_file(token, &media.file_id),
                (None, _) => Err("this server has no client of Telegram".to_owned()),
                (_, None) => Err("the agent has no token".to_owned()),
            };
            let mime_type = mime_of(kind, media);
            let kept = content.and_then(|content| {
                let kept = self.keep_file(&mime_type, &content, kept_ms, |_| Ok(()));
                let size = u32::try_from(content.len()).map_err(|_| "the file is too large".to_owned())?;
                kept.map(|id| (id, size)).map_err(|why| match why {
                    UploadError::Failed(why) => why,
                    UploadError::NoAddress => "the file was refused".to_owned(),
                })
            });
            match kept {
                Ok((storage_id, size)) => {
                    stored.push(PoolAttachment {
                        kind: (*kind).to_owned(),
                        status: "ready".to_owned(),
                        storage_id,
                        telegram_file_id: media.file_id.clone(),
                        expires_at,
                        file_name: media.file_name.clone(),
                        mime_type: Some(mime_type),
                        size_bytes: Some(f64::from(size)),
                        download_url: None,
                    });
                }
                Err(why) => failed.push(format!("{kind}: {why}")),
            }
        }
        Ok((stored, failed))
    }
}

fn resolved(tx: &Tx<'_>, bot: &str, message: &Accepted) -> Result<Option<Doc<Binding>>, Refusal> {
    let bound = bindings::resolve(tx, Some(bot), Some(&message.person), Some(&message.chat))?;
    let Some(bound) = bound else { return Ok(None) };
    // The agent may have another bot by now, or be disabled.
    let agent = agents::find(tx, &bound.row.agent_key)?;
    let serves =
        agent.is_some_and(|agent| agent.row.enabled && agent.row.bot_identity.as_deref() == Some(bot));
    Ok(serves.then_some(bound))
}

/// The answer that an update got when it came first.
fn first_answer(tx: &Tx<'_>, bot: &str, update_id: &str) -> Result<Option<Answered>, StoreError> {
    let found = tx.find::<ReceivedUpdate>(POOL_UPDATE, &[Some(bot), Some(update_id)]).first()?;
    let Some(found) = found else { return Ok(None) };
    let body = serde_json::from_str(&found.row.answer);
    let body = body.map_err(|why| StoreError::Corrupt(format!("row {}: {why}", found.id)))?;
    Ok(Some((if found.row.status > 200.0 { 202 } else { 200 }, body)))
}

fn keep_answer(tx: &Tx<'_>, bot: &str, update_id: &str, answer: Answered) -> Result<Answered, Refusal> {
    tx.insert(ReceivedUpdate {
        bot_identity: bot.to_owned(),
        update_id: update_id.to_owned(),
        status: answer.0.into(),
        answer: answer.1.to_string(),
    })?;
    Ok(answer)
}

/// The code of `/start`, with an optional name of the bot.
fn start_code(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("/start")?;
    let rest = match rest.strip_prefix('@') {
        Some(named) => {
            let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            named.get(end..).filter(|_| end > 0)?
        }
        None => rest,
    };
    let code = rest.trim();
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let fits = rest.starts_with(char::is_whitespace)
        && CODE_CHARS.contains(&code.len())
        && code.chars().all(letters);
    fits.then_some(code)
}

fn started(
    tx: &Tx<'_>,
    bot: &str,
    update_id: &str,
    text: &str,
    person: &str,
    chat: &str,
) -> Result<Answered, Refusal> {
    if let Some(first) = first_answer(tx, bot, update_id)? {
        return Ok(first);
    }
    let paired = match start_code(text) {
        Some(code) => consume(
            tx,
            ShownCode {
                code: code.to_owned(),
                bot_identity: Some(bot.to_owned()),
                telegram_user_id: person.to_owned(),
                telegram_chat_id: chat.to_owned(),
            },
        ),
        None => Err(Refusal::thrown("missing or invalid pairing code in /start command")),
    };
    let pairing = match paired {
        Ok(code) => json!({
            "status": code.row.status, "consumerUserId": code.row.consumer_user_id, "agentKey": code.row.agent_key,
        }),
        Err(Refusal::Thrown(why)) => json!({"status": "failed", "error": why}),
        Err(why) => return Err(why),
    };
    keep_answer(tx, bot, update_id, (200, json!({"ok": true, "pairing": pairing})))
}

/// The media of a message: the largest photo, and the others.
fn media_of(message: &Message) -> Vec<(&'static str, Media)> {
    let largest = message.photo.iter().max_by_key(|photo| photo.file_size.unwrap_or_default());
    let all = [
        ("photo", largest),
        ("video", message.video.as_ref()),
        ("audio", message.audio.as_ref()),
        ("voice", message.voice.as_ref()),
        ("document", message.document.as_ref()),
    ];
    all.into_iter().filter_map(|(kind, media)| Some((kind, media?.clone()))).collect()
}

fn text_of(text: &str, caption: &str, media: &[(&str, Media)]) -> String {
    match (text, caption, media) {
        ("", "", []) => String::new(),
        ("", "", media) => format!("[telegram media] {} message", kinds(media, " + ")),
        ("", caption, _) => caption.to_owned(),
        (text, ..) => text.to_owned(),
    }
}

fn kinds(media: &[(&str, Media)], separator: &str) -> String {
    media.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(separator)
}

/// The type of a file: as given, unless it says nothing; else by the ending of the name.
fn mime_of(kind: &str, media: &Media) -> String {
    const OCTETS: &str = "application/octet-stream";
    let by_name = media.file_name.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, ending)| {
        match ending.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => "image/jpeg",
            "png" => "image/png",
            "pdf" => "application/pdf",
            "txt" => "text/plain",
            "mp4" => "video/mp4",
            "mp3" => "audio/mpeg",
            "ogg" | "oga" => "audio/ogg",
            _ => OCTETS,
        }
    });
    let given = media.mime_type.as_deref().filter(|mime| *mime != OCTETS);
    let by_kind = if kind == "photo" { "image/jpeg" } else { OCTETS };
    given.or(by_name).unwrap_or(by_kind).to_owned()
}

fn enqueued(
    call: &Call<'_>,
    bot: &str,
    update_id: &str,
    message: &Accepted,
    raw: &str,
    attachments: &[PoolAttachment],
    failed: &[String],
) -> Result<Answered, Refusal> {
    // The same update may have come twice at once, and the user may have been revoked meanwhile.
    if let Some(first) = first_answer(call.tx, bot, update_id)? {
        return Ok(first);
    }
    let Some(bound) = resolved(call.tx, bot, message)? else {
        return Ok((200, json!({"ok": true, "ignored": true, "reason": "no active binding"})));
    };
    let mut metadata = Texts::from([
        ("telegramBotIdentity".to_owned(), bot.to_owned()),
        ("telegramChatId".to_owned(), message.chat.clone()),
        ("telegramUserId".to_owned(), message.person.clone()),
    ]);
    if !message.media.is_empty() {
        metadata.insert("telegramMediaType".to_owned(), kinds(&message.media, "+"));
    }
    for (kind, media) in &message.media {
        let (first, rest) = kind.split_at(1);
        metadata.insert(format!("telegram{}{rest}FileId", first.to_ascii_uppercase()), media.file_id.clone());
    }
    if !failed.is_empty() {
        metadata.insert("telegramMediaError".to_owned(), failed.join("; "));
    }
    let new = NewMessage {
        conversation_id: &bound.row.conversation_id,
        agent_key: &bound.row.agent_key,
        payload: Payload {
            provider: "telegram".to_owned(),
            provider_user_id: message.person.clone(),
            message_text: message.text.clone(),
            external_message_id: Some(message.message_id.clone()),
            raw_update_json: Some(raw.to_owned()),
            metadata: Some(metadata),
            attachments: (!attachments.is_empty()).then(|| attachments.to_vec()),
        },
        priority: None,
        scheduled_for: None,
        max_attempts: None,
    };
    // A message that the queue refuses would be refused each time.
    let answer = match queue::add(call.tx, &call.times, new) {
        Ok(_) => (202, json!({"ok": true})),
        Err(Refusal::Thrown(why)) => (200, json!({"ok": true, "ignored": true, "reason": why})),
        Err(why) => return Err(why),
    };
    keep_answer(call.tx, bot, update_id, answer)
}
