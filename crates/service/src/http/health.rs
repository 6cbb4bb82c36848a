//! The bodies of `/health` and `/version` (http-and-tools §3.1, §3.2): the old runtime's fields with true values.
//!
//! The status is always 200 while the process lives. A health check that restarts the process would only interrupt
//! turns.

mod agent_limits;
mod guardrails;
mod heartbeat;
mod process;
mod ready;
mod report;
mod requests;
mod roster;
mod storage;
mod wake_query;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use agent_limits::{AgentLimitsHealth, BacklogHealth};
pub use guardrails::{Guardrail, Guardrails, GuardrailsConfig, GuardrailsHealth, stopped_by};
pub use heartbeat::{AgentBeats, BeatCounts, HeartbeatHealth};
pub use process::{Infrastructure, Memory, PanicHealth, Version, Versions};
pub use ready::Ready;
pub use requests::{OperationHealth, RequestsHealth};
pub use roster::{PROBLEMS_SHOWN_MAX, RosterHealth};
pub use storage::{DiskHealth, LedgerHealth};
pub use wake_query::WakeQueryHealth;

use crate::gateway_child::health::ChildHealth;
use crate::gateway_keys::health::GatewayKeysHealth;
use crate::workspace::health::WorkspaceHealth;
use mcr_core::gateway::dialect::{Behaviour, HistoryWay};
use mcr_core::guardrails::budget;
use mcr_core::ops::{HealthReason, MissingAgentsReport, Paused, TurnState};
use mcr_model::clock::Millis;

/// `GET /health`.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// The state in one word.
    pub status: Status,
    /// Why the service is not healthy.
    pub reasons: Vec<HealthReason>,
    /// Seconds since the start.
    pub uptime: f64,
    /// The versions of the runtime and of the gateway.
    pub versions: Versions,
    /// The machine.
    pub infrastructure: Infrastructure,
    /// The gateway.
    pub gateway: GatewayHealth,
    /// The deliveries.
    pub delivery: DeliveryHealth,
    /// Every variable of the guardrails with its value and state.
    pub guardrails: Guardrails,
    /// The heartbeats of agents.
    pub heartbeat: HeartbeatHealth,
    /// The HTTP API for agents.
    #[serde(rename = "agentApi")]
    pub agent_api: AgentApiHealth,
    /// The roster.
    #[serde(rename = "agentSync")]
    pub agent_sync: RosterHealth,
    /// The agents' workspaces.
    pub workspaces: WorkspaceHealth,
    /// The keys that are stored in Mission Control.
    #[serde(rename = "gatewayKeys")]
    pub gateway_keys: GatewayKeysHealth,
    /// The backend, Mission Control.
    pub backend: BackendHealth,
    /// The ledger.
    pub ledger: LedgerHealth,
    /// The daily budgets; absent if none is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<budget::Report>,
    /// Restarts and upgrades that people request.
    pub requests: RequestsHealth,
    /// The disk of the ledger.
    pub disk: DiskHealth,
    /// Panics of threads that went on.
    pub panics: PanicHealth,
    /// The agents for which an operator paused new turns.
    pub paused: Paused,
    /// The memory of this process.
    pub memory: Memory,
    /// When this report was made.
    pub timestamp: Millis,
}

/// The state of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The first answers of the backend are missing, so there is no judgement yet. The reasons say why, if known.
    #[default]
    Starting,
    /// There is no reason for another status.
    Healthy,
    /// The service works, and a person should look at the reasons.
    Degraded,
    /// The service is stopping: running work is being finished.
    Draining,
}

impl Status {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Healthy, Self::Degraded, Self::Draining];

    /// The name in JSON and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
        }
    }
}

/// The state of the HTTP API for agents.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentApiHealth {
    /// Whether the tool endpoints are open.
    pub tool_endpoints_open: bool,
    /// Why they are open or closed.
    pub why: &'static str,
    /// Whether calls need the token of the session.
    pub tokens: bool,
}

/// The state of the gateway.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "independent fields of the response")]
pub struct GatewayHealth {
    /// Whether a gateway is configured.
    pub configured: bool,
    /// Whether turns are sent.
    pub running: bool,
    /// Why no turns are sent, if so.
    pub closed: Option<String>,
    /// The health reason for that.
    #[serde(skip)]
    pub trouble: Option<HealthReason>,
    /// Whether the breaker holds new turns back until the gateway answers again.
    pub breaker_open: bool,
    /// Its release, if known.
    pub version: Option<String>,
    /// The form of tool definitions that it accepts: `flat` since 2026.3.31, `nested` before.
    pub dialect: &'static str,
    /// The open way to the history of a session, by which a lost answer is found; none if unknown.
    pub history: Option<HistoryWay>,
    /// Why the release is doubted, if so. The strictest behaviour is then assumed.
    pub doubt: Option<&'static str>,
    /// What the runtime assumes of the release; none before the first probe.
    pub behaviour: Option<Behaviour>,
    /// Whether its agents cannot call our tools.
    pub too_old: bool,
    /// Whether it lists its agents; unknown until it has answered.
    pub lists_agents: Option<bool>,
    /// The agents of the account that its list lacks.
    pub missing_agents: MissingAgentsReport,
    /// The agents whose turns all fail inside the gateway.
    pub blocked_agents: Vec<String>,
    /// How many sessions had a turn since the start.
    pub sessions: usize,
    /// When the last reply to a turn arrived.
    pub last_send_at: Option<Millis>,
    /// The error of the last turn, redacted; none if it succeeded.
    pub last_send_error: Option<String>,
    /// Its process, if the runtime runs it.
    pub child: Option<ChildHealth>,
}

/// The state of the deliveries. A row is a notification.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryHealth {
    /// Whether rows are listed and given to workers.
    pub running: bool,
    /// When a cycle last completed: a row was settled, or a list arrived, with or without rows.
    pub last_delivery: Option<Millis>,
    /// How many rows were delivered.
    pub delivered: u64,
    /// How many attempts failed.
    pub failed: u64,
    /// How many attempts failed since the last success.
    pub consecutive_failures: u64,
    /// How many lists failed since the last that arrived.
    pub list_failures: u32,
    /// When an attempt or a list last failed.
    pub last_error_at: Option<Millis>,
    /// Its error, redacted.
    pub last_error_message: Option<String>,
    /// Turns without an answer where none was required.
    pub no_response_terminal_skip_count: u64,
    /// Notifications that required an answer and got none after all retries.
    pub required_notification_retry_exhausted_count: u64,
    /// How many rows ended in each way.
    pub ended: BTreeMap<&'static str, u64>,
    /// How many rows were skipped for each reason, without a turn.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Replies to rows without a task, which have no thread to be posted in.
    pub task_less_replies: u64,
    /// How many rows are not settled.
    pub waiting: usize,
    /// The rows that wait, if Mission Control has more of them than a list shows.
    pub backlog: Option<BacklogHealth>,
    /// The limits for turns that agents have caused.
    pub limits: AgentLimitsHealth,
    /// How many dead letters wait for a person's decision.
    pub dead: usize,
    /// What the guardrails have stopped.
    pub guardrails: GuardrailsHealth,
    /// Open rows of the ledger that this version does not understand, what waits behind them, and what to do.
    pub unreadable: Vec<String>,
    /// How many rows a worker has.
    pub in_flight: usize,
    /// Running turns and stuck turns.
    pub turns: Vec<TurnHealth>,
    /// How many lists were requested.
    pub lists: u64,
    /// Whether lists come at `DELIVERY_INTERVAL` only, because the calls of the backend exceed `BACKEND_CALLS_MONTHLY`.
    pub lists_limited: bool,
    /// The sign of another runtime on this account, if any: then no work starts.
    pub foreign_instance: Option<String>,
    /// When the oldest unsettled row was created.
    pub oldest_unsettled_at: Option<Millis>,
    /// The age of that row in seconds.
    pub oldest_unsettled_seconds: Option<f64>,
    /// Whether lists follow the wake query.
    pub wake_query: WakeQueryHealth,
    /// The settings of the delivery.
    pub config: DeliveryConfig,
}

/// A turn under way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnHealth {
    /// The row of the turn.
    pub notification_id: String,
    /// The agent; none for a turn that no worker waits for.
    pub agent: Option<String>,
    /// Its state.
    pub state: TurnState,
    /// When it was sent or found to be stuck.
    pub since: Millis,
    /// Seconds since its last sign of life.
    pub quiet_seconds: f64,
}

/// The settings of the delivery. `without_effect` names the fields that this runtime ignores.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "these are the variables' names")]
pub struct DeliveryConfig {
    pub max_concurrent_sessions: usize,
    pub stream_timeout_ms: u128,
    pub context_fetch_batch_size: usize,
    pub list_limit: usize,
    pub interval_ms: u128,
    pub idle_interval_ms: u128,
    pub backoff_base_ms: u128,
    pub backoff_max_ms: u128,
    pub wake_on: String,
    pub fold_max: usize,
    pub guardrails: GuardrailsConfig,
    pub without_effect: &'static [&'static str],
}

/// Fields of [`DeliveryConfig`] whose variables have no effect.
pub const WITHOUT_EFFECT: &[&str] = &["streamTimeoutMs", "contextFetchBatchSize"];

/// The state of the backend, Mission Control.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendHealth {
    /// Whether Mission Control answers, even with an error; none before the first call.
    pub reachable: Option<bool>,
    /// Whether it accepts the service's calls; none if it does not answer.
    pub accepted: Option<bool>,
    /// Whether any call has succeeded so far.
    #[serde(skip)]
    pub once_accepted: bool,
    /// Whether it refuses our token.
    #[serde(skip)]
    pub token_refused: bool,
    /// When a call last ended, with or without an error.
    pub checked_at: Option<Millis>,
    /// The error of the last call, redacted; none if it succeeded.
    pub last_error: Option<String>,
    /// When it last accepted our status report.
    pub last_report_at: Option<Millis>,
    /// Why it did not accept the last report, redacted; none if it did.
    pub last_report_error: Option<String>,
    /// By how many milliseconds its clock is ahead of ours; none if unknown.
    pub clock_ahead_ms: Option<i64>,
}

/// How long the status may be `starting` because of Mission Control.
pub const START_PATIENCE: Duration = Duration::from_mins(2);

/// This many consecutive failures are a health reason.
const FAILING: u64 = 3;

/// Less free space than this is a health reason.
const DISK_LOW_BYTES: u64 = 100 * 1024 * 1024;

/// A third of the limit after which the backend counts a runtime as gone: a report that is 90 s old by our clock.
const SKEW_MS: u64 = 30_000;

/// The states of all parts, from which the reasons follow.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in `Health`")]
pub struct Parts {
    pub gateway: GatewayHealth,
    pub delivery: DeliveryHealth,
    pub roster: RosterHealth,
    pub workspaces: WorkspaceHealth,
    pub keys: GatewayKeysHealth,
    pub backend: BackendHealth,
    pub ledger: LedgerHealth,
    pub budget: Option<budget::Report>,
    /// Whether the thread that checks the budgets has stopped.
    pub budget_stalled: bool,
    /// Whether the service starts, and nothing but the first answers is missing.
    pub is_pending: bool,
    pub disk: DiskHealth,
    pub panics: PanicHealth,
}

impl Parts {
    /// The reasons why the service is not healthy. A state that is not known yet is no reason.
    pub fn reasons(&self) -> Vec<HealthReason> {
        let Self {
            gateway, delivery, roster, workspaces, keys, backend, ledger, budget, disk, panics, ..
        } = self;
        let holds = |reason: HealthReason| match reason {
            HealthReason::GatewayTooOld => gateway.too_old,
            HealthReason::AgentsMissing => gateway.missing_agents.count > 0,
            HealthReason::AgentsBlocked => !gateway.blocked_agents.is_empty(),
            HealthReason::GatewayHistoryClosed => gateway.history == Some(HistoryWay::Closed),
            HealthReason::BackendUnreachable => backend.reachable == Some(false),
            HealthReason::BackendRefusedToken => backend.accepted == Some(false) && backend.token_refused,
            HealthReason::BackendRefusesAll => backend.accepted == Some(false) && !backend.token_refused,
            HealthReason::DeliveryFailing => {
                delivery.consecutive_failures.max(delivery.list_failures.into()) >= FAILING
            }
            // At the limit of turns the breaker is not the cause, and waiting does not help.
            HealthReason::BreakerOpen if gateway.trouble == Some(HealthReason::TurnLimitReached) => false,
            HealthReason::BreakerOpen => gateway.configured && gateway.breaker_open,
            HealthReason::Backlog => delivery.backlog.is_some(),
            HealthReason::AgentTurnsLimited => delivery.limits.agent_turns_resume_at.is_some(),
            HealthReason::DeadLetters => delivery.dead > 0,
            HealthReason::UnreadableRows => !delivery.unreadable.is_empty(),
            HealthReason::StuckTurns => delivery.turns.iter().any(|turn| turn.state == TurnState::Stuck),
            HealthReason::RosterStale => roster.stale,
            HealthReason::AgentsUnusable => roster.problem_count > 0,
            // If the backend accepts no call at all, that is the reason, not the report.
            HealthReason::ReportFailing => {
                backend.accepted == Some(true) && backend.last_report_error.is_some()
            }
            HealthReason::BudgetReached => budget.as_ref().is_some_and(budget::Report::is_reached),
            HealthReason::BudgetUncounted => budget.as_ref().is_some_and(budget::Report::misses_dollars),
            HealthReason::BudgetStalled => self.budget_stalled,
            HealthReason::BackendPending => self.is_pending,
            HealthReason::LedgerOff => ledger.off.is_some(),
            HealthReason::StateDirMoved => ledger.displaced.is_some(),
            HealthReason::DiskLow => disk.free_bytes.is_some_and(|free| free < DISK_LOW_BYTES),
            HealthReason::ClockSkew => {
                backend.clock_ahead_ms.is_some_and(|ahead| ahead.unsigned_abs() > SKEW_MS)
            }
            HealthReason::ForeignInstance => delivery.foreign_instance.is_some(),
            HealthReason::ThreadPanicked => panics.recent,
            HealthReason::GatewayProcessFailing => {
                gateway.child.as_ref().is_some_and(|child| child.reason.is_some())
            }
            HealthReason::KeysNotSynced => keys.needs_attention,
            HealthReason::ProfilesUnwritable => workspaces.is_failing(),
            HealthReason::GatewayUnreachable
            | HealthReason::GatewayRefusedToken
            | HealthReason::GatewayEndpointOff
            | HealthReason::TurnLimitReached
            | HealthReason::NoGateway => gateway.trouble == Some(reason),
        };
        HealthReason::ALL.iter().copied().filter(|reason| holds(*reason)).collect()
    }
}

/// A duration in seconds, rounded to milliseconds.
pub fn seconds(up: Duration) -> f64 {
    (up.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Health {
    /// JSON indented by two spaces, as the old runtime answers.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain fields and text keys always make JSON")
    }
}
