//! `demo-pool`: a worker pool on this machine, with a chat, without an account, a network or a model.
//!
//! This process runs the queue (the embedded Mission Control in memory), a fake Telegram with a chat page (`chat`), and a
//! scripted gateway. The workers are child processes, the same program as in production. The page has a button that kills
//! one of them (SIGKILL); it is started again with its state, as a supervisor does. `book` counts what was lost or sent twice.
//!
//! With `--stand-ins` only Telegram and the gateway run, for a queue and workers that a person starts.

mod book;
mod chat;
mod pairing;

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};
use log::{LevelFilter, info, warn};

use self::book::Book;
use self::chat::{Chat, WorkerView};
use super::child_runtime::{GatewayAccess, Runtime, Setting};
use super::demo::{ScriptedServer, open_in_memory};
use super::embedded::{self, Board, BoardAccess, SWEEP};
use super::exit::Exit;
use super::{complain, print};
use crate::telemetry;
use mcr_config::{LogFormat, LogOutput};
use mcr_gateway_sim::gateway::{Prompt, Thought};
use mcr_gateway_sim::pool::question;
use mcr_gateway_sim::telegram::ScriptedTelegram;
use mcr_http::server::Server;
use mcr_mission_control::{PoolTimes, Seed};
use mcr_model::BaseUrl;
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_service::pool::WORKER_IDS;

/// The option that changes the ports.
const OPTION: &str = "--port";

/// The workers.
const WORKERS: usize = 2;

/// How long the scripted model thinks: long enough to kill the worker meanwhile.
const TURN: Duration = Duration::from_secs(2);

/// How long the queue waits for a killed worker, in milliseconds. A worker that was killed while it claimed a message does not
/// know of it, so the message waits until the lease has expired.
const LEASE_MS: u32 = 20_000;

/// The pause before a worker that has ended is restarted.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// The pause between two looks at the workers.
const LOOK: Duration = Duration::from_millis(200);

/// How long requests that have arrived may take after a stop signal.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The token of the fake bot, in the form of a real one. The fake Telegram alone accepts it.
const BOT: &str = "1000001:demo-bot-token-of-the-fake-telegram";

/// The command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemoPool {
    /// `--port`: the port of the queue's page. The chat has the next one.
    pub port: u16,
    /// `--stand-ins`: only Telegram and the gateway.
    pub only_stand_ins: bool,
}

impl DemoPool {
    fn chat_port(self) -> u16 {
        match self.port {
            0 | u16::MAX => 0,
            port => port + 1,
        }
    }
}

/// Runs until a signal stops it.
pub fn demo_pool(wanted: DemoPool) -> Exit {
    let done = if wanted.only_stand_ins { stand_ins(wanted) } else { play(wanted) };
    done.map_or_else(|why| complain(&why), |()| Exit::Done)
}

/// What the scripted model answers. `book` derives the same text from the question.
fn think(prompt: &Prompt) -> Thought {
    Thought::say(reply_to(&question(prompt).unwrap_or_default())).after(TURN)
}

/// The reply to a message.
fn reply_to(text: &str) -> String {
    format!("You wrote: {text}")
}

/// The fake Telegram and the scripted gateway.
struct StandIns {
    telegram: ScriptedTelegram,
    api: Server,
    api_url: String,
    gateway: ScriptedServer,
    access: GatewayAccess,
}

impl StandIns {
    fn start() -> Result<Self, String> {
        let telegram = ScriptedTelegram::new();
        telegram.add_bot(BOT);
        let api = telegram.serve((Ipv4Addr::LOCALHOST, 0));
        let api = api.map_err(|why| format!("the fake Telegram cannot listen on this machine: {why}"))?;
        let api_url = format!("http://{}", api.local_addr());
        let mut access = GatewayAccess::scripted();
        let gateway = ScriptedServer::start(&mut access, ["main".to_owned()], Arc::new(think))?;
        Ok(Self { telegram, api, api_url, gateway, access })
    }

    fn stop(self) {
        self.gateway.stop();
        self.api.stop(LAST_ANSWERS);
    }
}

fn start_log<'a>(secrets: impl IntoIterator<Item = &'a Secret>) {
    let redactor = Redactor::new(secrets);
    telemetry::start(LevelFilter::Info, LogFormat::Text, LogOutput::Stderr, Arc::new(redactor));
}

/// Only Telegram and the gateway: the variables of a worker are printed.
fn stand_ins(wanted: DemoPool) -> Result<(), String> {
    let signals = embedded::signals()?;
    let parts = StandIns::start()?;
    start_log([&parts.access.token]);
    let chat = Chat::of_stand_ins(parts.telegram.clone()).serve(wanted.port, OPTION)?;
    print(&format!(
        "\nA fake Telegram and a scripted gateway. Both run on this machine, and nothing is kept.\n\n\
         # The chat is at http://{}\nTELEGRAM_API_BASE_URL={}\nTELEGRAM_BOT_TOKEN={BOT}\nOPENCLAW_GATEWAY_URL={}\n\
         OPENCLAW_GATEWAY_TOKEN={}\n",
        chat.local_addr(),
        parts.api_url,
        parts.access.url,
        parts.access.token.expose()
    ));
    // An error means that the handler is gone, and nothing could stop the process any more.
    let _ = signals.recv();
    chat.stop(LAST_ANSWERS);
    parts.stop();
    Ok(())
}

fn play(wanted: DemoPool) -> Result<(), String> {
    let listen = format!("127.0.0.1:{}", wanted.port);
    let mut data = open_in_memory(&listen, Seed::Nothing, OPTION)?;
    data.engine = data.engine.with_pool_times(PoolTimes { lease: LEASE_MS, ..PoolTimes::default() });
    let worker_token = data.worker_token.clone();
    let parts = StandIns::start()?;
    start_log([&data.admin_key, &worker_token, &parts.access.token]);
    let signals = embedded::signals()?;
    let telegram = BaseUrl::parse(&parts.api_url)
        .map_err(|_| format!("the address of the fake Telegram is no address: {}", parts.api_url))?;
    let access = BoardAccess { telegram: Some(telegram), ..BoardAccess::default() };
    let board = Board::start(data, &listen, OPTION, access, || ())?;
    pairing::pair(&board.engine, &parts.telegram, BOT)?;
    let mut crew = Crew::start(&board, &worker_token, &parts)?;
    let (kill, kills) = bounded(WORKERS);
    let book = Book::new(board.engine.clone(), parts.telegram.clone());
    let chat = Chat::of_pool(parts.telegram.clone(), board.engine.clone(), book, crew.views(), kill);
    let chat = chat.serve(wanted.chat_port(), OPTION)?;
    print(&introduction(&board, &chat));
    crew.watch(&board, &signals, &kills);
    crew.stop();
    chat.stop(LAST_ANSWERS);
    parts.stop();
    board.stop();
    Ok(())
}

fn introduction(board: &Board, chat: &Server) -> String {
    let mut text =
        "\nA worker pool with a fake Telegram. All of it runs on this machine, and nothing is kept.\n\
                    The agent is scripted: no language model runs.\n\n"
            .to_owned();
    let mut entry = |name: &str, value: &str| {
        // A text in memory takes everything.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    entry("Chat", &format!("http://{}", chat.local_addr()));
    entry("Try", "write something, and kill the worker while it answers");
    entry("Pool", &format!("{}/pool", board.url));
    entry("End", "Ctrl-C");
    entry("Log in", "with this key:");
    text + &board.line_for_login()
}

/// The worker processes.
struct Crew(Vec<DemoWorker>);

/// A worker with its restarts.
struct DemoWorker {
    setting: Setting,
    process: Option<Runtime>,
    restart_at: Instant,
    view: WorkerView,
}

impl Crew {
    fn start(board: &Board, token: &Secret, parts: &StandIns) -> Result<Self, String> {
        let mut workers = Vec::new();
        for number in 1..=WORKERS {
            let mut setting = Setting::of_worker(&board.url, token, &parts.access, number)?;
            setting.set("TELEGRAM_API_BASE_URL", parts.api_url.clone());
            setting.set("POLL_INTERVAL_MS", "250".to_owned());
            let view = WorkerView::new(setting.state_dir().join(WORKER_IDS));
            let mut worker = DemoWorker { setting, process: None, restart_at: Instant::now(), view };
            worker.start().map_err(|why| format!("a worker of the demo cannot be started: {why}"))?;
            workers.push(worker);
        }
        Ok(Self(workers))
    }

    fn views(&self) -> Vec<WorkerView> {
        self.0.iter().map(|worker| worker.view.clone()).collect()
    }

    /// Kills workers on demand, and restarts those that have ended, until a signal.
    fn watch(&mut self, board: &Board, signals: &Receiver<()>, kills: &Receiver<usize>) {
        let mut sweep = Instant::now() + SWEEP;
        loop {
            select! {
                recv(signals) -> _ => return,
                recv(kills) -> number => if let Some(worker) = number.ok().and_then(|number| self.0.get_mut(number)) {
                    worker.kill();
                },
                default(LOOK) => {}
            }
            self.0.iter_mut().for_each(DemoWorker::look);
            if sweep <= Instant::now() {
                board.sweep();
                sweep = Instant::now() + SWEEP;
            }
        }
    }

    fn stop(self) {
        for process in self.0.into_iter().filter_map(|worker| worker.process) {
            process.stop();
        }
    }
}

impl DemoWorker {
    fn start(&mut self) -> io::Result<()> {
        let process = Runtime::start(&self.setting, io::stderr())?;
        self.view.started(process.id());
        self.process = Some(process);
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            let status = process.kill();
            info!(status = status.as_str(); "A worker was killed");
            self.ended(true);
        }
    }

    fn ended(&mut self, is_kill: bool) {
        self.restart_at = Instant::now() + RESTART_PAUSE;
        self.view.ended(is_kill);
    }

    /// Restarts the process if it has ended and its pause is over.
    fn look(&mut self) {
        if self.process.as_mut().is_some_and(Runtime::has_ended) {
            warn!("A worker has ended and is started again");
            self.process = None;
            self.ended(false);
        }
        if self.process.is_none()
            && self.restart_at <= Instant::now()
            && let Err(why) = self.start()
        {
            warn!(reason:% = why; "A worker cannot be started; the next attempt follows");
            self.restart_at = Instant::now() + RESTART_PAUSE;
        }
    }
}
