//! The command: reads the environment and the account's agents, starts the scripted model, and prints the result.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::LevelFilter;

use super::{Candidate, CandidateProcess, Staging, rehearse_with};
use crate::app::child_runtime::GatewayAccess;
use crate::app::command_env::CommandEnv;
use crate::app::embedded;
use crate::app::exit::Exit;
use crate::app::{fail, print};
use crate::telemetry;
use mcr_clients::convex::Backoff;
use mcr_clients::mission::ListAgents;
use mcr_clients::wire::{Roots, Stop};
use mcr_config::{Configuration, LogFormat, LogOutput, Origin, table};
use mcr_gateway_sim::gateway::Directives;
use mcr_gateway_sim::mock_provider::MockProvider;
use mcr_gateway_sim::model_book::{ModelBook, RecordedModel};
use mcr_gateway_sim::rehearsal::CaseReport;
use mcr_model::BaseUrl;
use mcr_model::visible;

/// The default port of the scripted model.
pub const MODEL_PORT: u16 = 18_790;

/// The time limit of the question for the account's agents.
const BACKEND_PATIENCE: Duration = Duration::from_secs(10);

/// The time limit of a case. The first turn of a gateway takes up to half a minute.
const PATIENCE: Duration = Duration::from_mins(2);

/// The time limit of a case whose provider fails. A gateway retries for three minutes.
const PROVIDER_PATIENCE: Duration = Duration::from_mins(6);

/// How long the candidate may take to start again.
const RESTART_LIMIT: Duration = Duration::from_mins(5);

/// The pause between two checks whether the program of `--restart` has ended.
const RESTART_POLL_PAUSE: Duration = Duration::from_millis(50);

/// The options of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearse {
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
    /// `--gateway`.
    pub gateway: BaseUrl,
    /// `--token-file`.
    pub token_file: Option<PathBuf>,
    /// `--agents`.
    pub agents: Vec<String>,
    /// `--cases`: the ids of the cases to play; empty for all.
    pub cases: Vec<String>,
    /// `--model-port`.
    pub model_port: u16,
    /// `--real-model`.
    pub real_model: bool,
    /// `--restart`: kills the candidate and starts it again.
    pub restart: Option<PathBuf>,
    /// `--live`: accepts the gateway that is in use.
    pub live: bool,
    /// `--json`.
    pub json: bool,
}

/// Rehearses with a candidate and prints the result. The exit code is 1 unless the candidate may be used.
pub fn rehearse(wanted: &Rehearse) -> Exit {
    let env = CommandEnv::load(wanted.env_file.as_deref());
    // The result contains what the log would show.
    telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
    run(wanted, &env).unwrap_or_else(|why| fail(wanted.json, Exit::Failed, &[env.redactor.clean(&why)]))
}

fn run(wanted: &Rehearse, env: &CommandEnv) -> Result<Exit, String> {
    refuse_gateway_in_use(wanted, env)?;
    let access = access(wanted, env)?;
    let agents = agents(wanted, env)?;
    let stop = Stop::new();
    let signals = embedded::signals()?;
    let on_signal = stop.clone();
    let watch = thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.recv().is_ok() {
            on_signal.close();
        }
    });
    watch.map_err(|why| format!("the thread that waits for signals cannot be started: {why}"))?;
    let book = ModelBook::default();
    let _provider = if wanted.real_model { None } else { Some(provider(wanted.model_port, &book)?) };
    let ssl_cert_file =
        env.configuration.settings.as_ref().and_then(|settings| settings.ssl_cert_file.clone());
    let staging = Staging {
        book,
        real_model: wanted.real_model,
        cases: wanted.cases.clone(),
        patience: PATIENCE,
        provider_patience: PROVIDER_PATIENCE,
        program: None,
        roots: Roots::load(ssl_cert_file.as_deref()).map_err(|why| why.to_string())?,
        ssl_cert_file,
        stop,
    };
    let restart = |file: PathBuf| Arc::new(RestartProgram { file, stop: staging.stop.clone() }) as _;
    let process = wanted.restart.clone().map(restart);
    let candidate = Candidate { url: wanted.gateway.clone(), token: access.token, agents, process };
    let show = |case: &CaseReport| {
        if !wanted.json {
            // The lines show the progress. The result follows, and the exit code.
            let _ = write!(std::io::stdout(), "{}", visible::lines(&case.line()));
        }
    };
    let report = rehearse_with(&staging, &candidate, &show)?;
    let printed = print(&if wanted.json { report.json() } else { report.summary() });
    Ok(if report.is_go() { printed } else { Exit::Failed })
}

/// The configured gateway.
fn gateway_in_use(env: &CommandEnv) -> Option<BaseUrl> {
    let row = env.configuration.report.row(table::OPENCLAW_GATEWAY_URL.name)?;
    BaseUrl::parse(row.value.as_deref()?).ok()
}

fn is_same_host(one: &BaseUrl, other: &BaseUrl) -> bool {
    one.host() == other.host() || (one.is_loopback() && other.is_loopback())
}

/// The cases would take turns of the gateway that people use.
fn refuse_gateway_in_use(wanted: &Rehearse, env: &CommandEnv) -> Result<(), String> {
    let is_same =
        |in_use: &BaseUrl| is_same_host(in_use, &wanted.gateway) && in_use.port() == wanted.gateway.port();
    match gateway_in_use(env) {
        Some(in_use) if is_same(&in_use) && !wanted.live => Err(format!(
            "{} is the gateway in use (OPENCLAW_GATEWAY_URL): name a candidate with its own port and state, or add --live to \
             rehearse with the gateway in use",
            wanted.gateway
        )),
        _ => Ok(()),
    }
}

/// The option with the file of the candidate's token.
const TOKEN_FILE: &str = "--token-file";

/// The token of `OPENCLAW_GATEWAY_TOKEN` opens the gateway in use, so it is sent to that gateway's host and to this machine only.
fn access(wanted: &Rehearse, env: &CommandEnv) -> Result<GatewayAccess, String> {
    let Configuration { settings, report, .. } = &env.configuration;
    let of_settings = settings.as_ref().and_then(|settings| settings.gateway.token.clone());
    let variable = table::OPENCLAW_GATEWAY_TOKEN.name;
    let given = report.row(variable).filter(|row| row.origin.is_given());
    if wanted.token_file.is_some() || given.is_none() {
        return GatewayAccess::real(&wanted.gateway, wanted.token_file.as_deref(), TOKEN_FILE);
    }
    let is_trusted = wanted.gateway.is_loopback()
        || gateway_in_use(env).is_some_and(|in_use| is_same_host(&in_use, &wanted.gateway));
    if !is_trusted {
        return Err(format!(
            "{variable} is not sent to {}, which is neither this machine nor the host of OPENCLAW_GATEWAY_URL. Write the \
             candidate's token into a file, and name the file with {TOKEN_FILE}",
            wanted.gateway.host()
        ));
    }
    match (of_settings.filter(|token| !token.is_empty()), given.map(|row| &row.origin)) {
        (Some(token), _) => Ok(GatewayAccess { url: wanted.gateway.to_string(), token }),
        (None, Some(origin @ (Origin::File { .. } | Origin::NameFile { .. }))) => Err(format!(
            "{variable} ({origin}) is read from a valid configuration only, and `doctor` says why this one is not. Name a file \
             that contains the token with {TOKEN_FILE} to rehearse without it"
        )),
        (None, _) => GatewayAccess::real(&wanted.gateway, None, TOKEN_FILE),
    }
}

/// The agents that the candidate must have. Empty if neither an option nor an account names them.
fn agents(wanted: &Rehearse, env: &CommandEnv) -> Result<Vec<String>, String> {
    let report = &env.configuration.report;
    let is_configured = report.row(table::ACCOUNT_ID.name).is_some_and(|row| row.value.is_some());
    if !wanted.agents.is_empty() || !is_configured {
        return Ok(wanted.agents.clone());
    }
    let settings = env.configuration.settings.as_ref().ok_or_else(|| {
        let mistake = report.errors().next().map_or_else(|| ".".to_owned(), |found| format!(": {found}"));
        format!(
            "the configuration of the account is invalid{mistake} Name the agents with --agents to rehearse without it"
        )
    })?;
    let way = env.connect(settings, Backoff::never()).map_err(|why| why.to_string())?;
    let mission = way.mission(settings, &Stop::new());
    let rows = mission.ask_within(BACKEND_PATIENCE, &ListAgents {}).map_err(|why| {
        format!(
            "Mission Control did not list the agents: {why}. Name the agents with --agents to rehearse without it"
        )
    })?;
    Ok(rows.agents.into_iter().map(|agent| agent.slug).collect())
}

fn provider(port: u16, book: &ModelBook) -> Result<MockProvider, String> {
    MockProvider::start(port, Arc::new(RecordedModel::new(Directives, book.clone()))).map_err(|why| {
        format!(
            "the scripted model cannot listen on 127.0.0.1:{port}: {why}. Another rehearsal may hold the port. Wait for it, or \
             choose another port with --model-port, and name it in the candidate's configuration"
        )
    })
}

/// The program of `--restart`.
struct RestartProgram {
    file: PathBuf,
    stop: Stop,
}

impl CandidateProcess for RestartProgram {
    fn kill_and_start(&self) -> Result<(), String> {
        let file = self.file.display();
        let mut program = Command::new(&self.file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|why| format!("the program {file} of --restart cannot be started: {why}"))?;
        let until = Instant::now() + RESTART_LIMIT;
        loop {
            match program.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the program {file} of --restart failed: {status}")),
                Ok(None) if Instant::now() < until && !self.stop.wait(RESTART_POLL_PAUSE) => {}
                Ok(None) | Err(_) => {
                    // It may have ended meanwhile.
                    let _ = program.kill();
                    let _ = program.wait();
                    return Err(format!("the program {file} of --restart did not end in time"));
                }
            }
        }
    }
}
