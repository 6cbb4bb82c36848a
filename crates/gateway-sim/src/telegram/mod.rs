//! A stand-in for Telegram's Bot API, with a book of every message that reached a chat.
//!
//! It applies the rules that a worker meets: the length of a text without its markup, the markup itself, unknown tokens,
//! blocked chats. [`TelegramFault`]s make it refuse for a time, fail, or cut connections before or after it has taken a
//! message.

mod markup;
mod multipart;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::ToSocketAddrs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use mcr_http::message::{Method, Reply, Request};
use mcr_http::server::{Server, ServerLimits};
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::limits::chars;

use multipart::Form;

/// The longest text of a message without its markup.
const TEXT_CHARS: usize = 4_096;
/// The longest caption.
const CAPTION_CHARS: usize = 1_024;
/// The longest secret of a webhook.
const SECRET_CHARS: usize = 256;
/// The largest request.
const BODY_BYTES: usize = 64 * 1024 * 1024;

/// How the next message goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TelegramFault {
    /// There are too many messages: none before this many seconds have passed.
    RetryAfter(u64),
    /// The connection is cut and the message is not taken.
    CutBefore,
    /// The message is taken and the connection is cut instead of an answer.
    CutAfter,
    /// The Bot API answers with this status and reason.
    Fails(u16, &'static str),
    /// A proxy answers with this status, without JSON.
    Proxy(u16),
    /// The group has become another chat.
    Moved(i64),
}

/// A message in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Its id.
    pub id: i64,
    /// The token of the bot that sent it.
    pub token: String,
    /// The chat.
    pub chat: String,
    /// The text as the chat shows it.
    pub text: String,
    /// Whether the text came with markup.
    pub has_markup: bool,
    /// The method, the name and the content of its file, if it is one.
    pub file: Option<(String, String, Vec<u8>)>,
    /// When it came.
    pub at: Millis,
}

/// Where a bot's updates are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotWebhook {
    /// The address.
    pub url: String,
    /// The secret that proves that an update comes from here.
    pub secret: String,
}

/// The Bot API. Clones share one instance.
#[derive(Clone, Default)]
pub struct ScriptedTelegram {
    inner: Arc<Mutex<TelegramState>>,
}

#[derive(Default)]
struct TelegramState {
    tokens: BTreeSet<String>,
    blocked: BTreeSet<String>,
    messages: Vec<ChatMessage>,
    actions: Vec<(String, String)>,
    /// The calls of methods that send something, also the refused ones.
    attempts: usize,
    faults: VecDeque<TelegramFault>,
    /// The end of the last refusal for too many messages.
    not_before: Option<Millis>,
    /// Messages that came before that end.
    too_early: usize,
    files: BTreeMap<String, Vec<u8>>,
    /// The webhook of each token.
    webhooks: BTreeMap<String, BotWebhook>,
}

/// What a person sees, and whether it had markup.
type Shown = (String, bool);

impl ScriptedTelegram {
    /// An API without bots.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves the API at this address.
    pub fn serve(&self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let limits =
            ServerLimits { body_bytes: BODY_BYTES, answer_bytes: BODY_BYTES, ..ServerLimits::default() };
        let api = self.clone();
        Server::bind(address, limits, move |request: Request| api.answer(&request))
    }

    /// Adds a bot.
    pub fn add_bot(&self, token: &str) {
        self.lock().tokens.insert(token.to_owned());
    }

    /// The person of this chat blocks all bots.
    pub fn block(&self, chat: &str) {
        self.lock().blocked.insert(chat.to_owned());
    }

    /// Stores a file that a person has sent.
    pub fn put_file(&self, file_id: &str, content: Vec<u8>) {
        self.lock().files.insert(file_id.to_owned(), content);
    }

    /// Plans a fault for the next message that has none yet.
    pub fn plan(&self, fault: TelegramFault) {
        self.lock().faults.push_back(fault);
    }

    /// All messages that reached a chat, in order.
    pub fn messages(&self) -> Vec<ChatMessage> {
        self.lock().messages.clone()
    }

    /// The texts that reached a chat, in order.
    pub fn texts(&self, chat: &str) -> Vec<String> {
        self.lock().messages.iter().filter(|m| m.chat == chat).map(|m| m.text.clone()).collect()
    }

    /// The chats and actions that were shown, such as typing.
    pub fn actions(&self) -> Vec<(String, String)> {
        self.lock().actions.clone()
    }

    /// The webhook of the bot with this token.
    pub fn webhook(&self, token: &str) -> Option<BotWebhook> {
        self.lock().webhooks.get(token).cloned()
    }

    /// How many calls tried to send something.
    pub fn attempts(&self) -> usize {
        self.lock().attempts
    }

    /// How many messages came although the API had asked to wait.
    pub fn too_early(&self) -> usize {
        self.lock().too_early
    }

    fn lock(&self) -> MutexGuard<'_, TelegramState> {
        // A panicking test has failed already.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one HTTP request.
    pub fn answer(&self, request: &Request) -> Reply {
        let path = request.path().into_owned();
        if let Some(rest) = path.strip_prefix("/file/bot") {
            let (token, file) = rest.split_once('/').unwrap_or((rest, ""));
            let state = self.lock();
            let content = state.files.get(file.strip_prefix("files/").unwrap_or(file));
            return match content.filter(|_| state.tokens.contains(token)) {
                Some(content) => Reply::whole("application/octet-stream", content.clone()),
                None => Reply::empty(404),
            };
        }
        let Some((token, method)) = path.strip_prefix("/bot").and_then(|rest| rest.rsplit_once('/')) else {
            return refusal(404, "Not Found", &json!({}));
        };
        if *request.method() != Method::Post || !self.lock().tokens.contains(token) {
            return refusal(401, "Unauthorized", &json!({}));
        }
        let Some(form) = Form::of(request) else {
            return refusal(400, "Bad Request: can't parse the request", &json!({}));
        };
        match method {
            "sendMessage" | "sendAudio" | "sendPhoto" | "sendDocument" => self.send(token, method, &form),
            "sendChatAction" => {
                self.lock().actions.push((form.text("chat_id"), form.text("action")));
                accepted(&json!(true))
            }
            "getFile" => {
                let id = form.text("file_id");
                if self.lock().files.contains_key(&id) {
                    accepted(&json!({"file_id": id, "file_path": format!("files/{id}")}))
                } else {
                    refusal(400, "Bad Request: file not found", &json!({}))
                }
            }
            "getMe" => {
                let id = token.split(':').next().and_then(|id| id.parse::<i64>().ok()).unwrap_or_default();
                accepted(&json!({"id": id, "is_bot": true, "username": format!("the_{id}_bot")}))
            }
            "setWebhook" => self.set_webhook(token, &form),
            "getWebhookInfo" => {
                let url = self.webhook(token).map(|webhook| webhook.url).unwrap_or_default();
                accepted(&json!({"url": url, "has_custom_certificate": false, "pending_update_count": 0}))
            }
            _ => refusal(404, "Not Found", &json!({})),
        }
    }

    fn set_webhook(&self, token: &str, form: &Form) -> Reply {
        let (url, secret) = (form.text("url"), form.text("secret_token"));
        if !url.starts_with("https://") {
            let words = "Bad Request: bad webhook: An HTTPS URL must be provided for webhook";
            return refusal(400, words, &json!({}));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if chars(&secret) > SECRET_CHARS || !secret.chars().all(is_plain) {
            return refusal(400, "Bad Request: secret token contains unallowed characters", &json!({}));
        }
        self.lock().webhooks.insert(token.to_owned(), BotWebhook { url, secret });
        accepted(&json!(true))
    }

    fn send(&self, token: &str, method: &str, form: &Form) -> Reply {
        let mut state = self.lock();
        state.attempts += 1;
        let now = SystemClock.now();
        if state.not_before.is_some_and(|end| now < end) {
            state.too_early += 1;
        }
        let fault = state.faults.pop_front();
        match &fault {
            Some(TelegramFault::RetryAfter(seconds)) => {
                state.not_before = Some(now + std::time::Duration::from_secs(*seconds));
                let words = format!("Too Many Requests: retry after {seconds}");
                return refusal(429, &words, &json!({"retry_after": seconds}));
            }
            Some(TelegramFault::CutBefore) => return Reply::abrupt(Vec::new()),
            Some(TelegramFault::Fails(status, words)) => return refusal(*status, words, &json!({})),
            Some(TelegramFault::Proxy(status)) => return Reply::html("<h1>Bad</h1>").with_status(*status),
            Some(TelegramFault::Moved(chat)) => {
                let words = "Bad Request: group chat was upgraded to a supergroup chat";
                return refusal(400, words, &json!({"migrate_to_chat_id": chat}));
            }
            Some(TelegramFault::CutAfter) | None => {}
        }
        let chat = form.text("chat_id");
        if state.blocked.contains(&chat) {
            return refusal(403, "Forbidden: bot was blocked by the user", &json!({}));
        }
        let (text, has_markup) = match shown(method, form) {
            Ok(shown) => shown,
            Err(words) => return refusal(400, &words, &json!({})),
        };
        let id = i64::try_from(state.messages.len()).unwrap_or(0) + 1;
        let file = form.file().map(|(name, content)| (method.to_owned(), name.to_owned(), content.to_vec()));
        let token = token.to_owned();
        state.messages.push(ChatMessage { id, token, chat, text, has_markup, file, at: now });
        if fault == Some(TelegramFault::CutAfter) {
            return Reply::abrupt(Vec::new());
        }
        accepted(&json!({"message_id": id, "date": now.0 / 1000}))
    }
}

/// The text as the chat shows it, or why it is refused.
fn shown(method: &str, form: &Form) -> Result<Shown, String> {
    let is_text = method == "sendMessage";
    let (text, most) =
        if is_text { (form.text("text"), TEXT_CHARS) } else { (form.text("caption"), CAPTION_CHARS) };
    let mode = form.text("parse_mode");
    let (text, has_markup) = match mode.as_str() {
        "" => (text, false),
        "HTML" => (markup::shown(&text)?, true),
        other => return Err(format!("Bad Request: unsupported parse_mode {other}")),
    };
    if is_text && text.trim().is_empty() {
        return Err("Bad Request: message text is empty".to_owned());
    }
    if chars(&text) > most {
        let what = if is_text { "message is too long" } else { "message caption is too long" };
        return Err(format!("Bad Request: {what}"));
    }
    if !is_text && form.file().is_none() {
        return Err("Bad Request: there is no file in the request".to_owned());
    }
    Ok((text, has_markup))
}

fn accepted(result: &Value) -> Reply {
    Reply::json_of(&json!({"ok": true, "result": result}))
}

fn refusal(status: u16, words: &str, parameters: &Value) -> Reply {
    let body = json!({"ok": false, "error_code": status, "description": words, "parameters": parameters});
    Reply::json_of(&body).with_status(status)
}
