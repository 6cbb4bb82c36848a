//! The settings: the typed result, grouped by subject.

mod log;

pub use log::{LogFormat, LogLevel, LogOutput};

use std::path::PathBuf;
use std::time::Duration;

use super::address::{self, bracketed, is_everywhere};
use super::choices::{done_policy, ledger, ledger_sync, log_format, log_level, log_output, no_response_note};
use super::credentials;
use super::gateway_child::{self, GatewayChildSettings};
use super::gateway_keys::{self, GatewayKeys};
use super::guardrails;
use super::heartbeats::{self, Heartbeats};
use super::network::Network;
use super::reader::Reader;
use super::report::{EffectiveRow, Report};
use super::table::{
    AGENT_SYNC_INTERVAL, AGENT_TURNS_PER_MINUTE, BACKEND_CALLS_MONTHLY, BUDGET_AGENTS, BUDGET_DAILY_TOKENS,
    BUDGET_DAILY_USD, BUDGET_PRICES, BUDGET_TIME_ZONE, DELIVERY_BACKOFF_BASE_MS, DELIVERY_BACKOFF_MAX_MS,
    DELIVERY_CONTEXT_FETCH_BATCH_SIZE, DELIVERY_IDLE_INTERVAL, DELIVERY_INTERVAL, DELIVERY_LIST_LIMIT,
    DELIVERY_MAX_AGE_MS, DELIVERY_MAX_ATTEMPTS, DELIVERY_MAX_CONCURRENT_SESSIONS, DELIVERY_MAX_TURNS,
    DELIVERY_STREAM_TIMEOUT_MS, DRAIN_TIMEOUT_MS, DROPLET_ID, DROPLET_IP, DROPLET_REGION, FOLD_MAX,
    HEALTH_CHECK_INTERVAL, LEDGER, OPENCLAW_MAX_CONCURRENT, OPENCLAW_PROFILE_SYNC, OPENCLAW_VERSION,
    OPENCLAW_WORKSPACE_ROOT, PEOPLE_RESERVE, RECEIVE_MEMORY_MB, RUNTIME_VERSION, SSL_CERT_FILE, STATE_DIR,
    TOOL_MAX_CALLS, TOOL_MAX_ROUNDS, WAKE_ON, WAKE_QUERY,
};
use super::upgrades::{self, Upgrades};
use super::value;
use super::worker::{self, WorkerSettings};
use mcr_model::secret::Secret;
use mcr_model::spending::{Budgets, Limits};
use mcr_model::{
    BaseUrl, DonePolicy, LedgerSync, NoResponseNote, SessionScope, TeamLimits, ToolEndpoints, WakeRules,
};

/// The time between two polls of the roster while the account is idle, unless `AGENT_SYNC_INTERVAL` is set.
const IDLE_SYNC_INTERVAL: Duration = Duration::from_mins(5);

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account and its backend.
    pub account: Account,
    /// The runtime's own HTTP server.
    pub http: HttpServer,
    /// The OpenClaw gateway.
    pub gateway: Gateway,
    /// The gateway that the runtime runs itself, if it does.
    pub gateway_child: Option<GatewayChildSettings>,
    /// The keys for the gateway that are stored in Mission Control.
    pub gateway_keys: GatewayKeys,
    /// Polling and delivery.
    pub delivery: Delivery,
    /// The daily budgets.
    pub budgets: Budgets,
    /// The roster of agents.
    pub agents: Agents,
    /// The heartbeats of agents.
    pub heartbeats: Heartbeats,
    /// The reaction to requests for a restart or an upgrade.
    pub upgrades: Upgrades,
    /// This machine, for reports.
    pub droplet: Droplet,
    /// The time between two status reports.
    pub report_interval: Duration,
    /// The version this runtime reports.
    pub runtime_version: String,
    /// The version to report for OpenClaw; `None` to detect it.
    pub openclaw_version: Option<String>,
    /// The directory for state that must survive a crash.
    pub state_dir: PathBuf,
    /// Whether the steps of deliveries are recorded.
    pub ledger: LedgerSwitch,
    /// When a step counts as recorded.
    pub ledger_sync: LedgerSync,
    /// The memory for large incoming messages, in bytes.
    pub receive_bytes: usize,
    /// Certificate authorities to trust, instead of the system's.
    pub ssl_cert_file: Option<PathBuf>,
    /// The lowest level of log lines that are written.
    pub log_level: LogLevel,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// The stream of log lines.
    pub log_output: LogOutput,
    /// The settings of a pool's worker; none for other commands.
    pub worker: Option<WorkerSettings>,
    /// The variables of the guardrails with their effective values.
    pub guardrails: Vec<EffectiveRow>,
    secrets: Vec<Secret>,
}

/// The account and its backend.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account's id.
    pub id: String,
    /// The backend.
    pub convex_url: BaseUrl,
    /// The key for every backend call; for this account.
    pub service_token: Secret,
}

/// The runtime's HTTP server.
#[derive(Clone, Debug)]
pub struct HttpServer {
    /// An address or host name, without brackets.
    pub host: String,
    /// The port; 0 means a free one.
    pub port: u16,
    /// The networks, besides this machine, from which agents may call.
    pub agents_from: Vec<Network>,
    /// The networks, besides this machine, from which operators may call.
    pub operators_from: Vec<Network>,
    /// Whether agents may call tools over HTTP.
    pub tool_endpoints: ToolEndpoints,
    /// Whether calls of agents need the token of the session.
    pub session_tokens: bool,
    /// The address of Mission Control's pages for people.
    pub board: Option<BaseUrl>,
    pub(super) base_url: Option<BaseUrl>,
}

impl HttpServer {
    /// The URL for agents, if the server listens on this port.
    pub fn base_url(&self, port: u16) -> BaseUrl {
        match &self.base_url {
            Some(url) => url.clone(),
            None => BaseUrl::parse(&format!("http://{}:{}", bracketed(self.connect_host()), port.max(1)))
                .expect("a checked host and a port make an address"),
        }
    }

    /// The host at which this machine reaches the server.
    pub fn connect_host(&self) -> &str {
        if is_everywhere(&self.host) { "127.0.0.1" } else { &self.host }
    }
}

/// The OpenClaw gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its URL. If it is `None`, there is no gateway, and nothing is sent to agents.
    pub url: Option<BaseUrl>,
    /// Its bearer token; `None` sends no `Authorization` header.
    pub token: Option<Secret>,
    /// The longest time without a sign of life before a turn counts as stuck.
    pub silence_max: Duration,
    /// Whether agents get function tools.
    pub client_tools: bool,
    /// The name of main sessions at the gateway.
    pub main_session: String,
    /// Whether each agent has its own sessions at the gateway.
    pub session_scope: SessionScope,
}

/// Polling and delivery.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The time between two polls for new notifications.
    pub interval: Duration,
    /// The first pause after a failed poll.
    pub backoff_base: Duration,
    /// The longest pause after failed polls.
    pub backoff_max: Duration,
    /// The number of turns that may run at once.
    pub concurrent_sessions_max: usize,
    /// The time between two polls after a while without activity.
    pub idle_interval: Duration,
    /// How many backend calls a month are intended.
    pub calls_monthly: u64,
    /// Whether to subscribe to the wake query, where the backend has it.
    pub wake_query: bool,
    /// The number of notifications that one poll requests.
    pub list_limit: usize,
    /// The number of tool rounds in one delivery.
    pub tool_rounds_max: u32,
    /// The number of tool calls in one delivery.
    pub tool_calls_max: u32,
    /// The number of failures of one cause after which a delivery is given up.
    pub attempts_max: u32,
    /// The number of turns after which no more are sent; `None` sets no limit.
    pub turns_max: Option<u64>,
    /// The longest time for which a failing delivery is retried.
    pub age_max: Duration,
    /// When the thread gets a note that an agent did not answer.
    pub no_response_note: NoResponseNote,
    /// Which notifications wake each agent.
    pub wake_on: WakeRules,
    /// How far agents may go in a thread without a person.
    pub team: TeamLimits,
    /// The share of the workers that is kept for notifications that people have caused, in percent.
    pub people_reserve_percent: usize,
    /// The number of waiting notifications of one agent on one task that one turn answers.
    pub fold_max: usize,
    /// The number of requests to the gateway that agents may cause in a minute; 0 sets no limit.
    pub agent_turns_per_minute: usize,
    /// What happens to a task whose status and facts differ.
    pub done_policy: DonePolicy,
    /// How long running turns may continue after a stop signal.
    pub drain: Duration,
    /// A time limit of the TypeScript runtime. It has no effect; `/health` shows it.
    pub stream_timeout: Duration,
    /// The number of contexts that the TypeScript runtime fetched at once. It has no effect; `/health` shows it.
    pub context_fetch_batch_size: usize,
}

/// The roster of agents, and their workspaces.
#[derive(Clone, Debug)]
pub struct Agents {
    /// The time between two polls of the roster.
    pub sync_interval: Duration,
    /// The same while the account is idle.
    pub idle_sync_interval: Duration,
    /// Whether workspaces are written.
    pub profile_sync: bool,
    /// The directory of the workspaces.
    pub workspace_root: PathBuf,
}

/// This machine, for reports.
#[derive(Clone, Debug)]
pub struct Droplet {
    /// Its id.
    pub id: String,
    /// Its address.
    pub ip: String,
    /// Its region.
    pub region: String,
}

/// Whether steps of deliveries are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerSwitch {
    /// They are recorded.
    On,
    /// They are not recorded: a crash loses the deliveries in progress.
    Off,
}

impl Settings {
    /// Every configured secret, including those that only the gateway container reads.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secrets.iter()
    }

    pub(super) fn with_report(mut self, report: &Report) -> Self {
        self.secrets.clone_from(&report.secrets);
        self.guardrails = report.guardrails().cloned().collect();
        self
    }
}

/// Reads all settings, the account first.
pub(super) fn assemble(reader: &mut Reader) -> Option<Settings> {
    let account = credentials::account(reader);
    let http = address::http_server(reader);
    let gateway = address::gateway(reader, &http);
    let delivery = delivery(reader, &gateway);
    let budgets = budgets(reader);
    let runtime_version = runtime_version(reader);
    let (agents, state_dir) = (agents(reader), state_dir(reader));
    let (worker, gateway) = worker::read(reader, gateway);
    let settings = Settings {
        http,
        gateway_child: gateway_child::read(reader, &gateway),
        gateway,
        delivery,
        budgets,
        gateway_keys: gateway_keys::read(reader, &state_dir, &agents.workspace_root),
        agents,
        heartbeats: heartbeats::read(reader),
        upgrades: upgrades::read(reader),
        droplet: Droplet {
            id: reader.text(&DROPLET_ID),
            ip: reader.text(&DROPLET_IP),
            region: reader.text(&DROPLET_REGION),
        },
        report_interval: reader.millis(&HEALTH_CHECK_INTERVAL),
        runtime_version,
        openclaw_version: reader.given_text(&OPENCLAW_VERSION),
        state_dir,
        ledger: ledger(reader),
        ledger_sync: ledger_sync(reader),
        receive_bytes: count(reader.number(&RECEIVE_MEMORY_MB)).saturating_mul(1024 * 1024),
        ssl_cert_file: reader.given_text(&SSL_CERT_FILE).map(PathBuf::from),
        log_level: log_level(reader),
        log_format: log_format(reader),
        log_output: log_output(reader),
        worker,
        secrets: Vec::new(),
        guardrails: Vec::new(),
        account: account?,
    };
    Some(settings)
}

fn delivery(reader: &mut Reader, gateway: &Gateway) -> Delivery {
    let backoff_base_ms = reader.number(&DELIVERY_BACKOFF_BASE_MS);
    let concurrent_sessions_max = reader.number(&DELIVERY_MAX_CONCURRENT_SESSIONS);
    let interval_ms = reader.number(&DELIVERY_INTERVAL);
    let idle_ms = reader.number(&DELIVERY_IDLE_INTERVAL).max(interval_ms);
    if idle_ms == interval_ms {
        reader.derive(&DELIVERY_IDLE_INTERVAL, &interval_ms.to_string(), "DELIVERY_INTERVAL");
    }
    let delivery = Delivery {
        interval: Duration::from_millis(interval_ms),
        idle_interval: Duration::from_millis(idle_ms),
        calls_monthly: reader.number(&BACKEND_CALLS_MONTHLY),
        backoff_base: Duration::from_millis(backoff_base_ms),
        backoff_max: Duration::from_millis(reader.number_from(&DELIVERY_BACKOFF_MAX_MS, backoff_base_ms)),
        concurrent_sessions_max: count(concurrent_sessions_max),
        wake_query: reader.text(&WAKE_QUERY) == "auto",
        list_limit: count(reader.number(&DELIVERY_LIST_LIMIT)),
        tool_rounds_max: small(reader.number(&TOOL_MAX_ROUNDS)),
        tool_calls_max: small(reader.number(&TOOL_MAX_CALLS)),
        attempts_max: small(reader.number(&DELIVERY_MAX_ATTEMPTS)),
        turns_max: Some(reader.number(&DELIVERY_MAX_TURNS)).filter(|most| *most > 0),
        age_max: reader.millis(&DELIVERY_MAX_AGE_MS),
        no_response_note: no_response_note(reader),
        wake_on: reader.wake_rules(&WAKE_ON),
        team: guardrails::team_limits(reader),
        people_reserve_percent: count(reader.number(&PEOPLE_RESERVE)),
        fold_max: count(reader.number(&FOLD_MAX)),
        agent_turns_per_minute: count(reader.number(&AGENT_TURNS_PER_MINUTE)),
        done_policy: done_policy(reader),
        drain: reader.millis(&DRAIN_TIMEOUT_MS),
        stream_timeout: stream_timeout(reader, gateway),
        context_fetch_batch_size: count(reader.number(&DELIVERY_CONTEXT_FETCH_BATCH_SIZE)),
    };
    let gateway_turns = reader.number(&OPENCLAW_MAX_CONCURRENT);
    let is_chosen =
        reader.is_given(&OPENCLAW_MAX_CONCURRENT) && !reader.was_refused(&OPENCLAW_MAX_CONCURRENT);
    if is_chosen && gateway_turns < concurrent_sessions_max {
        reader.warn(
            &OPENCLAW_MAX_CONCURRENT,
            format!(
                "OPENCLAW_MAX_CONCURRENT is {gateway_turns}, less than DELIVERY_MAX_CONCURRENT_SESSIONS \
                 ({concurrent_sessions_max}): turns will wait at the gateway. Set both to one value."
            ),
        );
    }
    delivery
}

fn agents(reader: &mut Reader) -> Agents {
    let sync_interval = reader.millis(&AGENT_SYNC_INTERVAL);
    // An interval that is set by hand always holds.
    let is_given = reader.is_given(&AGENT_SYNC_INTERVAL);
    Agents {
        sync_interval,
        idle_sync_interval: if is_given { sync_interval } else { IDLE_SYNC_INTERVAL },
        profile_sync: reader.flag(&OPENCLAW_PROFILE_SYNC),
        workspace_root: PathBuf::from(reader.text(&OPENCLAW_WORKSPACE_ROOT)),
    }
}

fn budgets(reader: &mut Reader) -> Budgets {
    let budgets = Budgets {
        account: Limits {
            tokens: reader.parsed(&BUDGET_DAILY_TOKENS, value::tokens),
            nano_dollars: reader.parsed(&BUDGET_DAILY_USD, value::dollars),
        },
        agents: reader.parsed(&BUDGET_AGENTS, value::agent_budgets).unwrap_or_default(),
        zone: reader.parsed(&BUDGET_TIME_ZONE, value::zone).unwrap_or_default(),
        prices: reader.parsed(&BUDGET_PRICES, value::prices).unwrap_or_default(),
    };
    // Without a ledger each process would start with a full budget.
    if budgets.are_set() && ledger(reader) == LedgerSwitch::Off {
        reader.refuse(&LEDGER, "a budget needs LEDGER=on, or each restart would count from zero.");
    }
    budgets
}

/// The value that is set, or the default of the TypeScript runtime.
fn stream_timeout(reader: &mut Reader, gateway: &Gateway) -> Duration {
    const CEILING: Duration = Duration::from_mins(5);
    let set = reader.millis(&DELIVERY_STREAM_TIMEOUT_MS);
    let derived = (2 * gateway.silence_max).min(CEILING);
    let shown = derived.as_millis().to_string();
    reader.derive(&DELIVERY_STREAM_TIMEOUT_MS, &shown, "OPENCLAW_REQUEST_TIMEOUT_MS");
    if set.is_zero() { derived } else { set }
}

fn runtime_version(reader: &mut Reader) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let given = reader.given_text(&RUNTIME_VERSION);
    reader.derive(&RUNTIME_VERSION, version, "this binary");
    given.unwrap_or_else(|| version.to_owned())
}

fn state_dir(reader: &mut Reader) -> PathBuf {
    if let Some(given) = reader.given_text(&STATE_DIR) {
        return PathBuf::from(given);
    }
    let Some((dir, from)) = reader.state_directory() else {
        if !reader.was_refused(&STATE_DIR) {
            reader.lacks(
                &STATE_DIR,
                "STATE_DIR is not set, and none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is an absolute path. Set \
                 STATE_DIR to a directory that belongs to the user of the service.",
            );
        }
        return PathBuf::new();
    };
    reader.derive(&STATE_DIR, &dir, from);
    PathBuf::from(dir)
}

/// The ranges in the table are small, so no count is cut.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
