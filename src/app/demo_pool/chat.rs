//! The chat page of the fake Telegram: a person writes, and sees the replies that reached the chat.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::Book;
use super::pairing::{AGENT, USER, call};
use super::{BOT, LAST_ANSWERS};
use mcr_gateway_sim::telegram::ScriptedTelegram;
use mcr_http::hosts::{Hosts, Meant, REFUSED};
use mcr_http::message::{Method, Reply, Request};
use mcr_http::page::page;
use mcr_http::server::{Server, ServerLimits};
use mcr_mission_control::{Engine, Kind};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::limits::chars;
use mcr_model::random;

const PAGE: &str = include_str!("chat.html");

/// The person's id at Telegram, which is that of the chat, too.
pub(super) const PERSON: i64 = 4242;

/// The longest message of the person.
const TEXT_CHARS: usize = 500;

/// Only a page of this origin can send this header, so no foreign page acts here.
const HEADER: &str = "X-Demo-Chat";

/// A worker as the page shows it. Clones share one state.
#[derive(Clone)]
pub(super) struct WorkerView {
    ids: PathBuf,
    state: Arc<Mutex<WorkerState>>,
}

#[derive(Default)]
struct WorkerState {
    process: Option<u32>,
    starts: u32,
    kills: u32,
}

impl WorkerView {
    /// A worker that keeps its ids in this file.
    pub(super) fn new(ids: PathBuf) -> Self {
        Self { ids, state: Arc::default() }
    }

    pub(super) fn started(&self, process: u32) {
        let mut state = locked(&self.state);
        state.process = Some(process);
        state.starts += 1;
    }

    pub(super) fn ended(&self, is_kill: bool) {
        let mut state = locked(&self.state);
        state.process = None;
        state.kills += u32::from(is_kill);
    }

    /// `owner` is the worker that the queue has given the conversation to.
    fn shown(&self, owner: Option<&str>) -> Value {
        let state = locked(&self.state);
        let ids = fs::read_to_string(&self.ids).unwrap_or_default();
        let serves = owner.is_some_and(|owner| ids.contains(owner));
        json!({"process": state.process, "starts": state.starts, "kills": state.kills, "serves": serves})
    }
}

fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A message of the person that the queue has confirmed.
struct Said {
    text: String,
    at: i64,
}

/// The parts that only the whole demo has.
struct Pool {
    engine: Arc<Engine>,
    book: Book,
    workers: Vec<WorkerView>,
    kill: Sender<usize>,
}

/// The page and what it shows.
pub(super) struct Chat {
    telegram: ScriptedTelegram,
    pool: Option<Pool>,
    said: Mutex<Vec<Said>>,
}

/// Delivers a text as Telegram does: with the secret that the bot's webhook has.
pub(super) fn deliver(
    engine: &Engine,
    telegram: &ScriptedTelegram,
    bot: &str,
    update: usize,
    text: &str,
) -> Result<(u16, Value), String> {
    let webhook = telegram.webhook(bot).ok_or("the bot has no webhook: start the demo again")?;
    let chat = json!({"id": PERSON, "type": "private"});
    let message = json!({"message_id": update, "text": text, "chat": chat, "from": {"id": PERSON}});
    let body = json!({"update_id": update, "message": message}).to_string();
    Ok(engine.receive_update(&webhook.secret, body.as_bytes()))
}

impl Chat {
    pub(super) fn of_pool(
        telegram: ScriptedTelegram,
        engine: Arc<Engine>,
        book: Book,
        workers: Vec<WorkerView>,
        kill: Sender<usize>,
    ) -> Self {
        let pool = Pool { engine, book, workers, kill };
        Self { telegram, pool: Some(pool), said: Mutex::default() }
    }

    /// A page that only shows what bots write.
    pub(super) fn of_stand_ins(telegram: ScriptedTelegram) -> Self {
        Self { telegram, pool: None, said: Mutex::default() }
    }

    /// Serves the page on this machine.
    pub(super) fn serve(self, port: u16, option: &str) -> Result<Server, String> {
        let answer = move |request: Request| self.answer(&request);
        Server::bind((Ipv4Addr::LOCALHOST, port), ServerLimits::default(), answer).map_err(|why| {
            format!("the chat cannot listen on 127.0.0.1:{port}: {why}. Choose another port with {option}")
        })
    }

    fn answer(&self, request: &Request) -> Reply {
        if Hosts::default().meant(request) == Meant::Elsewhere {
            return Reply::error(403, REFUSED).no_store();
        }
        match (request.method(), request.path().as_ref()) {
            (Method::Get, "/") => page(PAGE, &random::hex::<16>()),
            (Method::Get, "/state") => self.state().unwrap_or_else(|why| Reply::error(500, &why)).no_store(),
            (Method::Post, "/say" | "/kill") if request.header(HEADER).is_none() => {
                Reply::error(403, &format!("The header {HEADER} is missing")).no_store()
            }
            (Method::Post, "/say") => done(self.say(request.body())),
            (Method::Post, "/kill") => done(self.kill(request.body())),
            (_, "/" | "/state" | "/say" | "/kill") => Reply::error(405, "Method Not Allowed").no_store(),
            _ => Reply::empty(404).no_store(),
        }
    }

    fn state(&self) -> Result<Reply, String> {
        let said = locked(&self.said);
        let asked: Vec<String> = said.iter().map(|said| said.text.clone()).collect();
        let mut lines: Vec<(i64, Value)> =
            said.iter().map(|said| (said.at, json!({"from": "person", "text": said.text}))).collect();
        drop(said);
        lines.extend(self.telegram.messages().into_iter().map(|message| {
            let text = message.file.map_or(message.text, |(_, name, _)| format!("[{name}]"));
            (message.at.0, json!({"from": "bot", "text": text, "chat": message.chat}))
        }));
        lines.sort_by_key(|(at, _)| *at);
        let lines: Value = lines.into_iter().map(|(_, line)| line).collect();
        let Some(pool) = &self.pool else { return Ok(Reply::json_of(&json!({"lines": lines}))) };
        let user = json!({"conversationId": format!("user-agent:{AGENT}:{USER}")});
        let overview = call(&pool.engine, Kind::Query, "getPoolOverview", &json!({}))?;
        let talks = overview["conversations"].as_array().into_iter().flatten();
        let mut owner = talks.filter(|talk| talk["conversationId"] == user["conversationId"]);
        let owner = owner.next().and_then(|talk| talk["workerId"].as_str());
        let workers: Value = pool.workers.iter().map(|worker| worker.shown(owner)).collect();
        let typing = self.telegram.actions().len();
        let book = pool.book.count(&asked)?;
        Ok(Reply::json_of(&json!({"lines": lines, "workers": workers, "book": book, "typing": typing})))
    }

    fn pool(&self) -> Result<&Pool, String> {
        self.pool.as_ref().ok_or_else(|| {
            "No queue is running: --stand-ins has none. Add a message to your own queue, such as with `enqueue`".to_owned()
        })
    }

    fn say(&self, body: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct SayRequest {
            text: String,
        }
        let pool = self.pool()?;
        let wanted: SayRequest =
            serde_json::from_slice(body).map_err(|why| format!("The body is not understood: {why}"))?;
        // One line, so that the scripted model finds all of it in its prompt.
        let text = wanted.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() || chars(&text) > TEXT_CHARS {
            return Err(format!("Write a message of 1 to {TEXT_CHARS} characters"));
        }
        let mut said = locked(&self.said);
        // The first update was that of the pairing.
        let (status, answer) = deliver(&pool.engine, &self.telegram, BOT, said.len() + 2, &text)?;
        if status != 202 && answer["ok"] != true {
            return Err(format!("The queue did not take the message: {answer}"));
        }
        said.push(Said { text, at: SystemClock.now().0 });
        Ok(())
    }

    fn kill(&self, body: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct KillRequest {
            worker: usize,
        }
        let pool = self.pool()?;
        let wanted: KillRequest =
            serde_json::from_slice(body).map_err(|why| format!("The body is not understood: {why}"))?;
        let Some(worker) = wanted.worker.checked_sub(1).filter(|at| pool.workers.get(*at).is_some()) else {
            return Err(format!(
                "There is no worker {}: the workers are 1 to {}",
                wanted.worker,
                pool.workers.len()
            ));
        };
        if locked(&pool.workers[worker].state).process.is_none() {
            return Err(format!(
                "The worker {} does not run now: it is started again in a second",
                wanted.worker
            ));
        }
        pool.kill
            .send_timeout(worker, LAST_ANSWERS)
            .map_err(|_| "The demo is busy or ending: try again".to_owned())
    }
}

fn done(result: Result<(), String>) -> Reply {
    match result {
        Ok(()) => Reply::json_of(&json!({"ok": true})).no_store(),
        Err(why) => Reply::error(400, &why).no_store(),
    }
}
