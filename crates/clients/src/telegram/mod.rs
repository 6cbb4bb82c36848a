//! The client of Telegram's Bot API: sends the messages of an agent's bot and fetches the files of people.
//!
//! A bot cannot read a chat, so a message whose answer is lost can never be looked for. Each call is therefore sent once,
//! on a connection of its own: a kept connection may be closing, and a request that is lost there has an unknown outcome.
//! [`TelegramError`] says whether the message may be in the chat. The caller decides about repeats.
//!
//! The token is a part of every address. No error and no log line has an address.

mod bots;
mod files;

use std::sync::Arc;
use std::time::{Duration, Instant};

use log::debug;
use serde::{Deserialize, Serialize};
use ureq::{Agent, SendBody, http};

use crate::wire::{self, Fault, Outgoing, Phases, Registration, Roots, Sent, Stop};
use mcr_core::telegram::{BotToken, RenderedText, TelegramError, TelegramProblem, TelegramResult, read};
use mcr_model::BaseUrl;
use mcr_model::memory::{ByteBudget, Pool};

pub use bots::{BotProfile, WebhookInfo};
pub use files::FileToSend;

/// The largest answer that is no file.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Time and size limits. The defaults are for production; tests use shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct TelegramLimits {
    /// The limits of the phases of one call.
    pub phases: Phases,
    /// The limit of one call of a method without a file.
    pub call: Duration,
    /// The limit of sending or fetching one file.
    pub file: Duration,
    /// The largest file, in both directions. Bots cannot fetch larger ones.
    pub file_bytes: usize,
}

impl Default for TelegramLimits {
    fn default() -> Self {
        let phases = Phases {
            connect: Duration::from_secs(10),
            send: Duration::from_mins(2),
            answer: Duration::from_secs(30),
            body: Duration::from_mins(2),
            idle: Duration::ZERO,
            idle_connections: 0,
        };
        Self {
            phases,
            call: Duration::from_secs(30),
            file: Duration::from_mins(2),
            file_bytes: 20 * 1024 * 1024,
        }
    }
}

/// The Bot API as all threads share it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TelegramEndpoint(Arc<TelegramShared>);

#[derive(Debug)]
struct TelegramShared {
    base: BaseUrl,
    roots: Roots,
    limits: TelegramLimits,
    /// The memory for files.
    memory: Pool,
}

impl TelegramEndpoint {
    /// The Bot API at this address.
    pub fn new(base: BaseUrl, roots: &Roots, limits: TelegramLimits) -> Self {
        let memory = ByteBudget::default().requests;
        Self(Arc::new(TelegramShared { base, roots: roots.clone(), limits, memory }))
    }

    /// A client for one thread. `stop` ends its calls.
    pub fn client(&self, stop: &Stop) -> TelegramClient {
        let agent = wire::agent(&self.0.base, &self.0.roots, &self.0.limits.phases);
        let registration = stop.register(&agent);
        TelegramClient { agent, shared: Arc::clone(&self.0), stop: stop.clone(), _registration: registration }
    }
}

/// A thread's client of the Bot API.
#[derive(Debug)]
pub struct TelegramClient {
    agent: Agent,
    shared: Arc<TelegramShared>,
    stop: Stop,
    /// Unregisters the agent when this client is dropped.
    _registration: Registration,
}

#[derive(Serialize)]
struct SendMessage<'a> {
    chat_id: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<&'a str>,
}

#[derive(Serialize)]
struct SendChatAction<'a> {
    chat_id: &'a str,
    action: &'a str,
}

/// Says whether a request is sent after all.
type Ready<'a> = &'a mut dyn FnMut() -> bool;

fn body_of(arguments: &impl Serialize) -> TelegramResult<Vec<u8>> {
    serde_json::to_vec(arguments)
        .map_err(|why| TelegramError::certain(TelegramProblem::Refused, why.to_string()))
}

/// A message that Telegram has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct SentMessage {
    /// Its id in the chat.
    pub message_id: i64,
}

impl TelegramClient {
    /// Sends one message.
    pub fn send_text(&self, bot: &BotToken, chat: &str, text: &RenderedText) -> TelegramResult<SentMessage> {
        self.send_text_when(bot, chat, text, &mut || true)
    }

    /// Sends one message, if `ready` says so when the connection is open: a step that is recorded then is in doubt only for
    /// the moment of the request itself.
    pub fn send_text_when(
        &self,
        bot: &BotToken,
        chat: &str,
        text: &RenderedText,
        ready: Ready<'_>,
    ) -> TelegramResult<SentMessage> {
        let message = SendMessage { chat_id: chat, text: &text.text, parse_mode: text.parse_mode };
        let body = body_of(&message)?;
        self.post(bot, "sendMessage", "application/json", &body, (self.shared.limits.call, ready))
    }

    /// Shows in the chat for five seconds that the bot types.
    pub fn send_typing(&self, bot: &BotToken, chat: &str) -> TelegramResult<()> {
        let action = SendChatAction { chat_id: chat, action: "typing" };
        self.call::<bool>(bot, "sendChatAction", &action).map(|_| ())
    }

    fn call<T: for<'de> Deserialize<'de>>(
        &self,
        bot: &BotToken,
        method: &'static str,
        arguments: &impl Serialize,
    ) -> TelegramResult<T> {
        let body = body_of(arguments)?;
        self.post(bot, method, "application/json", &body, (self.shared.limits.call, &mut || true))
    }

    /// Posts a body once, and decodes the result.
    fn post<T: for<'de> Deserialize<'de>>(
        &self,
        bot: &BotToken,
        method: &'static str,
        content_type: &str,
        body: &[u8],
        when: (Duration, Ready<'_>),
    ) -> TelegramResult<T> {
        let begun = Instant::now();
        let result =
            self.post_once(bot, method, content_type, body, when).map_err(|error| error.without(bot));
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let outcome = if result.is_ok() { "accepted" } else { "failed" };
        debug!(method, duration_ms = took, outcome; "Call of Telegram ended");
        result
    }

    fn post_once<T: for<'de> Deserialize<'de>>(
        &self,
        bot: &BotToken,
        method: &str,
        content_type: &str,
        body: &[u8],
        (limit, ready): (Duration, Ready<'_>),
    ) -> TelegramResult<T> {
        if self.stop.is_closed() {
            return Err(TelegramError::certain(TelegramProblem::Stopped, ""));
        }
        let mut outgoing = Outgoing::new(body).after(ready);
        let sent = self
            .agent
            .post(self.shared.base.join(&format!("/bot{}/{method}", bot.expose())))
            .config()
            .timeout_global(Some(limit))
            .build()
            .header(http::header::CONTENT_TYPE, content_type)
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONTENT_LENGTH, body.len())
            .send(SendBody::from_reader(&mut outgoing));
        let response = sent.map_err(|error| self.broken(&Fault::of(&error), outgoing.sent()))?;
        let status = response.status().as_u16();
        let answer = self
            .content_of(response, ANSWER_BYTES_MAX, limit)
            .map_err(|fault| self.broken(&fault, Sent::Whole))?;
        let result = read(status, &answer)?;
        serde_json::from_str(result.get())
            .map_err(|why| TelegramError::in_doubt(TelegramProblem::NotUnderstood, why.to_string()))
    }

    /// Reads a body to its end, within the memory for files.
    fn content_of(
        &self,
        response: http::Response<ureq::Body>,
        bytes_max: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, Fault> {
        if response.body().content_length().is_some_and(|length| length > bytes_max as u64) {
            return Err(Fault::BodyTooLarge);
        }
        let mut share = self.shared.memory.share(bytes_max, limit);
        let mut body = Vec::new();
        let mut reader = response.into_body().into_with_config().limit(bytes_max as u64 + 1).reader();
        share.read_to_end(&mut reader, &mut body).map_err(|error| Fault::of_io(&error))?;
        if body.len() > bytes_max { Err(Fault::BodyTooLarge) } else { Ok(body) }
    }

    /// What a broken connection means. Telegram cannot act on a request that lacks a byte.
    fn broken(&self, fault: &Fault, sent: Sent) -> TelegramError {
        let is_stopped = self.stop.is_closed();
        let (why, detail) = match fault {
            _ if is_stopped => (TelegramProblem::Stopped, String::new()),
            Fault::Unreachable(words) | Fault::Proxy(words) | Fault::NoTls(words)
                if sent == Sent::Nothing =>
            {
                (TelegramProblem::Unreachable, words.clone())
            }
            Fault::Certificate(fault) => {
                (TelegramProblem::Unreachable, format!("the certificate {}", fault.explain()))
            }
            Fault::NameNotFound => (TelegramProblem::Unreachable, "the host name has no address".to_owned()),
            Fault::BodyTooLarge => (TelegramProblem::TooLarge, String::new()),
            Fault::TooSlow if sent == Sent::Nothing => {
                (TelegramProblem::Unreachable, "no answer in time".to_owned())
            }
            Fault::TooSlow => (TelegramProblem::LostAnswer, "no answer in time".to_owned()),
            // The library's words about a request could have its address.
            Fault::BadRequest(_) => (TelegramProblem::Refused, "the request cannot be made".to_owned()),
            Fault::Lost
            | Fault::NotHttp
            | Fault::HeadTooLarge
            | Fault::Crowded
            | Fault::Unreachable(_)
            | Fault::Proxy(_)
            | Fault::NoTls(_) => (TelegramProblem::LostAnswer, String::new()),
        };
        match sent {
            Sent::Nothing | Sent::Part => TelegramError::certain(why, detail),
            Sent::Whole => TelegramError::in_doubt(why, detail),
        }
    }
}
