//! `demo`: Mission Control, a gateway and the runtime on this machine, without an account, a network or a
//! model.
//!
//! This process runs Mission Control in memory, with its page, and a scripted gateway with the team of
//! [`mcr_gateway_sim::team`]. The runtime itself is a child process ([`super::child_runtime`]), the same program
//! as in production. Everything on the page has passed through it. `scenes` scripts the person in the demo, and
//! `introduction` is the text that it prints.
//!
//! With `--gateway` a real OpenClaw replaces the scripted gateway. With `--chaos` the runtime is killed again and
//! again (`chaos`).

mod chaos;
mod gateway;
mod introduction;
mod scenes;

use std::io;
use std::mem;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};
use log::{LevelFilter, warn};
use serde_json::{Value, json};

pub use self::chaos::{Chaos, Fault, SECONDS};
pub use self::gateway::RealGateway;
pub(super) use self::gateway::ScriptedServer;
use self::scenes::Scenes;
use super::child_runtime::{self, GatewayAccess, Runtime, RuntimeEvent, Setting};
use super::embedded::{self, Board, BoardAccess, SWEEP};
use super::exit::Exit;
use super::{complain, nudge, print};
use crate::telemetry;
use mcr_clients::wire::Stop;
use mcr_config::{LogFormat, LogOutput};
use mcr_gateway_sim::team::{Member, Team};
use mcr_mission_control::{Caller, Data, DataLocation, Engine, Kind, Opening, Options, Seed};
use mcr_model::BaseUrl;
use mcr_model::redact::Redactor;

/// The default port of the board. The runtime's page has the next one.
pub const PORT: u16 = 3210;

/// The options that change the ports.
const OPTION: &str = "--port";
const RUNTIME_OPTION: &str = "--runtime-port";

/// The pause before a runtime that has ended is restarted. A shorter one would be busy where it cannot start
/// at all.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How long the introduction waits for the last line of the runtime's start.
const START_LIMIT: Duration = Duration::from_secs(2);

/// The runtime's own limit, which counts across restarts.
const TURNS_MAX: &str = "DELIVERY_MAX_TURNS";

/// The account's name on every page, so that no visitor takes the scripted answers for a model's.
const SCRIPTED_NAME: &str = "Scripted demo";

/// The command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demo {
    /// Shows the team at work.
    Play(Play),
    /// `--chaos`.
    Chaos(Chaos),
}

/// The demo with its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// `--port`.
    pub port: u16,
    /// `--runtime-port`.
    pub runtime_port: Option<u16>,
    /// `--gateway` and its options.
    pub gateway: Option<RealGateway>,
}

impl Play {
    /// The port of the runtime's page: the one after the board's unless it is given. 0 takes any free port.
    fn runtime_port(&self) -> u16 {
        self.runtime_port.unwrap_or(match self.port {
            0 | u16::MAX => 0,
            port => port + 1,
        })
    }
}

/// Runs until a signal stops it, or the kills are over and counted.
pub fn demo(wanted: &Demo) -> Exit {
    match wanted {
        Demo::Play(wanted) => play(wanted).map_or_else(|why| complain(&why), |()| Exit::Done),
        Demo::Chaos(wanted) => chaos::run(wanted),
    }
}

fn play(wanted: &Play) -> Result<(), String> {
    let real = wanted.gateway.as_ref().map(RealGateway::access).transpose()?;
    let listen = format!("127.0.0.1:{}", wanted.port);
    let data = open_in_memory(&listen, Seed::Demo, OPTION)?;
    child_runtime::check_port(wanted.runtime_port(), RUNTIME_OPTION)?;
    let is_real = real.is_some();
    let mut access = real.unwrap_or_else(GatewayAccess::scripted);
    start_log(LevelFilter::Info, &data, &access);
    let signals = embedded::signals()?;
    let (logged_in, visitors) = bounded(1);
    let board = Board::start(data, &listen, OPTION, BoardAccess::default(), move || {
        // A full channel already announces the visitors.
        let _ = logged_in.try_send(());
    })?;
    let scripted = if is_real { None } else { Some(start_team(&board, &mut access)?) };
    let mut setting = Setting::new(&board, &access, wanted.runtime_port())?;
    setting.pass_guardrails(|name| std::env::var(name).ok());
    if let Some(real) = &wanted.gateway {
        setting.set(TURNS_MAX, real.turns.to_string());
    }
    let scenes = Scenes::new(&board, visitors);
    let mut show = Show { setting, board, signals, scenes, wanted, is_introduced: false };
    let ended = show.run();
    if let Some(scripted) = scripted {
        scripted.stop();
    }
    show.board.stop();
    ended
}

/// Opens Mission Control in memory.
pub(super) fn open_in_memory(listen: &str, seed: Seed, option: &str) -> Result<Data, String> {
    let opening =
        Opening { location: DataLocation::Memory, seed, master_key: None, options: Options::default() };
    embedded::open(&opening, listen, option)
}

/// Starts the log, which shows no key.
fn start_log(level: LevelFilter, data: &Data, access: &GatewayAccess) {
    let secrets = [Some(&data.admin_key), data.service_token.as_ref(), Some(&access.token)];
    let redactor = Redactor::new(secrets.into_iter().flatten());
    telemetry::start(level, LogFormat::Text, LogOutput::Stderr, Arc::new(redactor));
}

/// Starts the scripted gateway with the demo team, and names the account accordingly.
fn start_team(board: &Board, access: &mut GatewayAccess) -> Result<ScriptedServer, String> {
    let renamed = json!({"_id": board.account, "name": SCRIPTED_NAME});
    board.engine.write_row("accounts", renamed).map_err(|why| why.to_string())?;
    let current_team = current_team(&board.engine, &board.account);
    let slugs: Vec<String> = current_team().into_iter().map(|member| member.slug).collect();
    ScriptedServer::start(access, slugs, Arc::new(Team::new(current_team)))
}

/// The running demo.
struct Show<'a> {
    setting: Setting,
    board: Board,
    signals: Receiver<()>,
    scenes: Scenes,
    wanted: &'a Play,
    is_introduced: bool,
}

/// How the wait for a runtime ended.
enum Ended {
    /// A person stopped the demo.
    Asked,
    /// The runtime ended.
    ByItself,
}

impl Show<'_> {
    /// Runs the runtime, and restarts it when it ends, until a signal.
    fn run(&mut self) -> Result<(), String> {
        loop {
            let runtime = Runtime::start(&self.setting, io::stderr())
                .map_err(|why| format!("the demo's runtime cannot be started: {why}"))?;
            match self.watch(&runtime) {
                Ended::Asked => {
                    runtime.stop();
                    return Ok(());
                }
                Ended::ByItself => {
                    if !mem::replace(&mut self.is_introduced, true) {
                        print(&self.introduction(None));
                    }
                    // The log is closed. Nothing else of the process is worth waiting for.
                    let status = runtime.reap();
                    let code = status.as_ref().ok().and_then(ExitStatus::code);
                    // These come back at every start: see the exit codes.
                    if let Some(code @ 2..=4) = code {
                        return Err(format!(
                            "the demo's runtime does not start (exit code {code}): its last log lines have the reason"
                        ));
                    }
                    let status = status.as_ref().map_or_else(ToString::to_string, ExitStatus::to_string);
                    warn!(status = status.as_str(); "The runtime has ended and is started again");
                    if self.signals.recv_timeout(RESTART_PAUSE).is_ok() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Waits for a runtime until it ends.
    fn watch(&mut self, runtime: &Runtime) -> Ended {
        let nudge_stop = Stop::new();
        let mut sweep = Instant::now() + SWEEP;
        let mut listening: Option<(BaseUrl, Instant)> = None;
        let ended = loop {
            let started_by = listening.as_ref().map(|(_, until)| *until);
            let until = [self.scenes.due(), started_by].into_iter().flatten().fold(sweep, Instant::min);
            select! {
                recv(self.signals) -> _ => break Ended::Asked,
                recv(runtime.news) -> news => match news {
                    Ok(RuntimeEvent::Listening(address)) => {
                        listening = Some((address, Instant::now() + START_LIMIT));
                    }
                    Ok(RuntimeEvent::Started) => {
                        if let Some((address, _)) = listening.take() {
                            self.started(address, &nudge_stop);
                        }
                    }
                    Ok(RuntimeEvent::TurnLimit) => {
                        print(introduction::TURN_LIMIT);
                    }
                    Err(_) => break Ended::ByItself,
                },
                recv(self.scenes.visitors) -> _ => self.scenes.welcome(),
                default(until.saturating_duration_since(Instant::now())) => {
                    self.scenes.play();
                    if let Some((address, _)) = listening.take_if(|(_, until)| *until <= Instant::now()) {
                        self.started(address, &nudge_stop);
                    }
                    if sweep <= Instant::now() {
                        self.board.sweep();
                        sweep = Instant::now() + SWEEP;
                    }
                }
            }
        };
        nudge_stop.close();
        ended
    }

    /// The runtime at this address works. The first one is introduced with all links; of a later one only the link
    /// can be new.
    fn started(&mut self, address: BaseUrl, nudge_stop: &Stop) {
        let live = self.setting.link(&address);
        self.board.runtime_page.set(address.clone());
        let is_known = mem::replace(&mut self.is_introduced, true);
        print(&if is_known { format!("  Live      {live}\n") } else { self.introduction(Some(&live)) });
        nudge_on_changes(&self.board, address, nudge_stop);
        self.scenes.begin();
    }

    fn introduction(&self, live: Option<&str>) -> String {
        introduction::text(&self.board, live, &self.setting.state_dir(), self.wanted.gateway.as_ref())
    }
}

/// Notifies the runtime of new rows at once, from now on.
fn nudge_on_changes(board: &Board, address: BaseUrl, nudge_stop: &Stop) {
    if let Err(why) = nudge::start(board.engine.clone(), address, nudge_stop.clone()) {
        warn!(reason:% = why; "The runtime is not notified of new rows and finds them by polling");
    }
}

/// The team on the board at the moment of the call.
fn current_team(engine: &Arc<Engine>, account: &str) -> impl Fn() -> Vec<Member> + Send + Sync + use<> {
    let (engine, account) = (engine.clone(), account.to_owned());
    move || {
        let args = json!({"accountId": account});
        let (_, answer) = engine.call(Kind::Query, "agents:list", &args, Caller::Person, "current_team");
        let agents = answer["value"].as_array().into_iter().flatten();
        let text = |agent: &Value, field: &str| agent[field].as_str().unwrap_or_default().to_owned();
        agents
            .map(|agent| Member {
                id: text(agent, "_id"),
                slug: text(agent, "slug"),
                name: text(agent, "name"),
            })
            .collect()
    }
}
