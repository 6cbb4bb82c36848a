//! `demo`: Mission Control, a gateway and the runtime on this machine, without an account, a network or a
//! model.
//!
//! This process runs Mission Control in memory, with its page, and a scripted gateway with the team of
//! [`mcr_gateway_sim::team`]. The runtime itself is a child process (`runtime`), the same program as in
//! production. Everything on the page has passed through it. `scenes` scripts the person in the demo.

mod runtime;
mod scenes;

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded, select};
use log::{LevelFilter, info, warn};
use serde_json::{Value, json};

use self::runtime::{Runtime, RuntimeEvent};
use self::scenes::Scenes;
use super::embedded::{self, Board, SWEEP};
use super::exit::Exit;
use super::{complain, nudge, print};
use crate::telemetry;
use mcr_clients::wire::Stop;
use mcr_config::{LogFormat, LogOutput};
use mcr_gateway_sim::gateway::{self, ScriptedGateway};
use mcr_gateway_sim::team::{Member, Team};
use mcr_http::hosts::Hosts;
use mcr_http::server::{Server, ServerLimits};
use mcr_mission_control::{Caller, Engine, Kind, Opening, Options, Seed, Whereabouts};
use mcr_model::BaseUrl;
use mcr_model::random;
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;

/// The default port of the page.
pub const PORT: u16 = 3210;

/// The option that changes the port.
const OPTION: &str = "--port";

/// The pause before a runtime that has ended is restarted. A shorter one would be busy where it cannot start
/// at all.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How long the gateway may take for requests that have arrived when the runtime is gone.
const LAST_REQUESTS_LIMIT: Duration = Duration::from_secs(1);

/// Runs until a signal stops it.
pub fn demo(port: u16) -> Exit {
    match play(port) {
        Ok(()) => Exit::Done,
        Err(why) => complain(&why),
    }
}

fn play(port: u16) -> Result<(), String> {
    let listen = format!("127.0.0.1:{port}");
    let opening = Opening {
        whereabouts: Whereabouts::Memory,
        seed: Seed::Demo,
        master_key: None,
        options: Options::default(),
    };
    let data = embedded::open(&opening, &listen, OPTION)?;
    let gateway_token = Secret::new(random::hex::<16>());
    let secrets = [Some(&data.admin_key), data.service_token.as_ref(), Some(&gateway_token)];
    telemetry::start(
        LevelFilter::Info,
        LogFormat::Text,
        LogOutput::Stderr,
        Arc::new(Redactor::new(secrets.into_iter().flatten())),
    );
    let signals = embedded::signals()?;
    let (logged_in, visitors) = bounded(1);
    let board = Board::start(data, &listen, OPTION, Hosts::default(), move || {
        // A full channel already announces the visitors.
        let _ = logged_in.try_send(());
    })?;
    let gateway = DemoGateway::start(&board, &gateway_token)?;
    let setting = runtime::Setting::new(&board, &gateway.url, &gateway_token)?;
    let mut scenes = Scenes::new(&board, visitors);
    let mut introduced = false;
    let ended = loop {
        let mut runtime = match Runtime::start(&setting) {
            Ok(runtime) => runtime,
            Err(why) => break Err(format!("the demo's runtime cannot be started: {why}")),
        };
        match wait_for_runtime(&runtime, &setting, &board, &signals, &mut scenes, &mut introduced) {
            Ended::Asked => {
                runtime.stop();
                break Ok(());
            }
            Ended::ByItself => {
                if !mem::replace(&mut introduced, true) {
                    print(&introduction(&board, ""));
                }
                warn!("the runtime has ended ({}); it is started again", runtime.exit_status());
                if signals.recv_timeout(RESTART_PAUSE).is_ok() {
                    break Ok(());
                }
            }
        }
    };
    gateway.stop();
    board.stop();
    ended
}

/// How the wait for a runtime ended.
enum Ended {
    /// A person stopped the demo.
    Asked,
    /// The runtime ended.
    ByItself,
}

/// Waits for a runtime until it ends. Once the first runtime listens, `introduced` prints all links. For a
/// later runtime only its link is new.
fn wait_for_runtime(
    runtime: &Runtime,
    setting: &runtime::Setting,
    board: &Board,
    signals: &Receiver<()>,
    scenes: &mut Scenes,
    introduced: &mut bool,
) -> Ended {
    let nudge_stop = Stop::new();
    let mut sweep = Instant::now() + SWEEP;
    let ended = loop {
        let until = scenes.due().map_or(sweep, |due| due.min(sweep));
        select! {
            recv(signals) -> _ => break Ended::Asked,
            recv(runtime.news) -> news => match news {
                Ok(RuntimeEvent::Listening(address)) => {
                    let live = format!("  Live      {}\n", setting.link(&address));
                    let known = mem::replace(introduced, true);
                    print(&if known { live } else { introduction(board, &live) });
                    nudge_on_changes(board, address, &nudge_stop);
                    scenes.begin();
                }
                Err(_) => break Ended::ByItself,
            },
            recv(scenes.visitors) -> _ => scenes.welcome(),
            default(until.saturating_duration_since(Instant::now())) => {
                scenes.play();
                if sweep <= Instant::now() {
                    board.sweep();
                    sweep = Instant::now() + SWEEP;
                }
            }
        }
    };
    nudge_stop.close();
    ended
}

/// Notifies the runtime of new rows at once, from now on.
fn nudge_on_changes(board: &Board, address: BaseUrl, nudge_stop: &Stop) {
    if let Err(why) = nudge::start(board.engine.clone(), address, nudge_stop.clone()) {
        warn!("the runtime is not notified of new rows and finds them by polling: {why}");
    }
}

/// The text that introduces the demo. `live` is the line with the link to the runtime's page, if it is known.
fn introduction(board: &Board, live: &str) -> String {
    format!(
        "Mission Control with a demo team. All of it runs on this machine, and nothing is kept.\n\n  \
         Open      {url}\n  Log in    with the ADMIN_KEY below\n{live}  Watch     Robin asks the team for something at \
         once, and again when you are in\n  Try       write in a task: \u{201c}@engineer, could you \u{2026}\u{201d}, or put \
         somebody on a new one\n  End       Ctrl-C\n\n{announcement}",
        url = board.url,
        announcement = board.announcement()
    )
}

/// The running scripted gateway.
struct DemoGateway {
    url: String,
    scripted: ScriptedGateway,
    server: Server,
}

impl DemoGateway {
    fn start(board: &Board, token: &Secret) -> Result<Self, String> {
        let current_team = current_team(&board.engine, &board.account);
        // Includes agents that a visitor hires.
        let agents = current_team()
            .into_iter()
            .map(|member| member.slug)
            .chain([gateway::ANY_AGENT.to_owned()])
            .collect();
        let options = gateway::Options {
            token: Some(token.expose().to_owned()),
            agents,
            fresh_sessions_conflict: false,
            ..gateway::Options::default()
        };
        let scripted = ScriptedGateway::new(options, Arc::new(Team::new(current_team)));
        let limits = ServerLimits::default().with_body_limit(gateway::PATH, gateway::BODY_BYTES);
        let doors = scripted.clone();
        let answer = move |request: mcr_http::message::Request| doors.answer(&request);
        let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, answer);
        let server =
            server.map_err(|why| format!("the demo's gateway cannot listen on this machine: {why}"))?;
        let url = format!("http://{}", server.local_addr());
        info!("the scripted gateway listens on {url}");
        Ok(Self { url, scripted, server })
    }

    fn stop(self) {
        self.scripted.end();
        self.server.stop(LAST_REQUESTS_LIMIT);
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
