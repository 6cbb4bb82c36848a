//! What `/health` and `/version` say (http-and-tools §3.1, §3.2): the fields of the original, with truth in them.
//!
//! The answer is always 200 while the process lives: a health check that restarts it would only interrupt turns.

mod heartbeat;
mod process;
mod ready;
mod report;
mod storage;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub use heartbeat::HeartbeatHealth;
pub use process::{Infrastructure, Memory, PanicHealth, Versions};
pub use ready::Ready;
pub use storage::{DiskHealth, LedgerHealth};

use mcr_core::ops::{HealthReason, Paused, TurnState};
use mcr_model::clock::Millis;

/// `GET /version`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Ours.
    pub runtime_service_version: String,
    /// The gateway's, or `unknown`.
    pub openclaw_version: String,
    /// The machine.
    pub droplet_id: String,
    /// Where it stands.
    pub region: String,
}

/// `GET /health`.
#[derive(Clone, Debug, Serialize)]
pub struct Health {
    /// How it is, in a word.
    pub status: Status,
    /// Why it is not healthy.
    pub reasons: Vec<HealthReason>,
    /// In seconds.
    pub uptime: f64,
    /// Ours and the gateway's.
    pub versions: Versions,
    /// The machine.
    pub infrastructure: Infrastructure,
    /// The way to the agents.
    pub gateway: GatewayHealth,
    /// The rows.
    pub delivery: DeliveryHealth,
    /// The agents' own rhythm.
    pub heartbeat: HeartbeatHealth,
    /// The roster.
    #[serde(rename = "agentSync")]
    pub agent_sync: RosterHealth,
    /// The way to Mission Control.
    pub backend: BackendHealth,
    /// What survives a crash.
    pub ledger: LedgerHealth,
    /// Where it lies.
    pub disk: DiskHealth,
    /// Panics of the threads, which go on.
    pub panics: PanicHealth,
    /// Who begins no turns, because people want it so.
    pub paused: Paused,
    /// Of this process.
    pub memory: Memory,
    /// Now.
    pub timestamp: Millis,
}

/// How the service is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It does not know yet how things stand.
    #[default]
    Starting,
    /// All is well.
    Healthy,
    /// It works, and somebody should look.
    Degraded,
    /// It was told to stop, and what runs is brought to its end.
    Draining,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Starting, Self::Healthy, Self::Degraded, Self::Draining];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
        }
    }
}

/// The way to the agents.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the fields of the answer, each for itself")]
pub struct GatewayHealth {
    /// Whether there is one to be spoken to.
    pub configured: bool,
    /// Whether turns are sent.
    pub running: bool,
    /// Why not, if not.
    pub closed: Option<String>,
    /// The reason for that.
    #[serde(skip)]
    pub trouble: Option<HealthReason>,
    /// Whether nothing is sent until it is back.
    pub breaker_open: bool,
    /// Its release, if it has told.
    pub version: Option<String>,
    /// How it wants tools: `flat` since 2026.3.31, `nested` before.
    pub dialect: &'static str,
    /// Whether its agents cannot call our tools.
    pub too_old: bool,
    /// How many sessions were spoken in since the start.
    pub sessions: usize,
    /// When a turn last brought a reply.
    pub last_send_at: Option<Millis>,
    /// What went wrong with the last turn, redacted; none if nothing did.
    pub last_send_error: Option<String>,
}

/// The rows.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryHealth {
    /// Whether rows are listed and given to workers.
    pub running: bool,
    /// When a cycle was last completed: a row was settled, or a list came back, with or without work.
    pub last_delivery: Option<Millis>,
    /// How many were.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Those without a success between.
    pub consecutive_failures: u64,
    /// How many of the last lists have failed, one after another.
    pub list_failures: u32,
    /// When something last failed.
    pub last_error_at: Option<Millis>,
    /// What, redacted.
    pub last_error_message: Option<String>,
    /// Silences that need not be broken.
    pub no_response_terminal_skip_count: u64,
    /// Silences that should have been broken and were not.
    pub required_notification_retry_exhausted_count: u64,
    /// How many rows ended in each way.
    pub ended: BTreeMap<&'static str, u64>,
    /// Why agents did not hear of rows.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Replies without a thread to stand in.
    pub task_less_replies: u64,
    /// Rows that are not settled.
    pub waiting: usize,
    /// What was given up and waits for a person's decision.
    pub dead: usize,
    /// Open rows of the ledger that are not understood, what waits behind them, and what to do: sentences.
    pub unreadable: Vec<String>,
    /// Those that are worked on.
    pub in_flight: usize,
    /// The turns of these, and those that are stuck.
    pub turns: Vec<TurnHealth>,
    /// How many lists were begun.
    pub lists: u64,
    /// What tells of another runtime on the account, if anything does: then nothing begins.
    pub foreign_instance: Option<String>,
    /// When the oldest of them was created.
    pub oldest_unsettled_at: Option<Millis>,
    /// How many seconds ago that was.
    pub oldest_unsettled_seconds: Option<f64>,
    /// What it is set to.
    pub config: DeliveryConfig,
}

/// A turn under way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnHealth {
    /// For which row.
    pub notification_id: String,
    /// Whose; none of one that is no longer waited for.
    pub agent: Option<String>,
    /// How it does.
    pub state: TurnState,
    /// When it was sent, or found to be stuck.
    pub since: Millis,
    /// How many seconds ago it showed the last sign of life.
    pub quiet_seconds: f64,
}

/// What the delivery is set to. `without_effect` names the fields that rule nothing here.
#[derive(Clone, Copy, Debug, Default, Serialize)]
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
    pub without_effect: &'static [&'static str],
}

/// Fields of [`DeliveryConfig`] whose variables have no effect.
pub const WITHOUT_EFFECT: &[&str] = &["streamTimeoutMs", "contextFetchBatchSize"];

/// The roster.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterHealth {
    /// Whether it is fetched now and then.
    pub running: bool,
    /// When it last was.
    pub last_sync_at: Option<Millis>,
    /// What went wrong, redacted; none if nothing did.
    pub last_error: Option<String>,
    /// Who was new in the last one.
    pub added_count: usize,
    /// Who was gone.
    pub removed_count: usize,
    /// Whether the last one is older than three intervals, or there was none.
    pub stale: bool,
    /// How many there are.
    pub agents: usize,
}

/// The way to Mission Control.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendHealth {
    /// Whether it answers as Mission Control does, whatever it says; none before the first call.
    pub reachable: Option<bool>,
    /// Whether it does what the service asks for; none where it does not answer.
    pub accepted: Option<bool>,
    /// Whether any call has succeeded so far.
    #[serde(skip)]
    pub once_accepted: bool,
    /// Whether it says that it does not accept our token.
    #[serde(skip)]
    pub token_refused: bool,
    /// When a call last came back, well or not.
    pub checked_at: Option<Millis>,
    /// What went wrong with the last call, redacted; none if nothing did.
    pub last_error: Option<String>,
    /// When it last took our report.
    pub last_report_at: Option<Millis>,
    /// Why it did not take the last one, redacted; none if it did.
    pub last_report_error: Option<String>,
    /// By how many milliseconds its clock is ahead of ours; none if it has not told.
    pub clock_ahead_ms: Option<i64>,
}

/// So many failures in a row are no accident.
const FAILING: u64 = 3;

/// Less than this is soon nothing.
const DISK_LOW_BYTES: u64 = 100 * 1024 * 1024;

/// The backend counts a runtime whose report is 90 s old, by our clock, as gone.
const SKEW_MS: u64 = 30_000;

/// What is known of the parts.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in `Health`")]
pub struct Parts {
    pub gateway: GatewayHealth,
    pub delivery: DeliveryHealth,
    pub roster: RosterHealth,
    pub backend: BackendHealth,
    pub ledger: LedgerHealth,
    pub disk: DiskHealth,
    pub panics: PanicHealth,
}

impl Parts {
    /// What speaks against being healthy; of what is not known yet, nothing.
    pub fn reasons(&self) -> Vec<HealthReason> {
        let Self { gateway, delivery, roster, backend, ledger, disk, panics } = self;
        let holds = |reason: HealthReason| match reason {
            HealthReason::GatewayTooOld => gateway.too_old,
            HealthReason::BackendUnreachable => backend.reachable == Some(false),
            HealthReason::BackendRefusedToken => backend.accepted == Some(false) && backend.token_refused,
            HealthReason::BackendRefusesAll => backend.accepted == Some(false) && !backend.token_refused,
            HealthReason::DeliveryFailing => {
                delivery.consecutive_failures.max(delivery.list_failures.into()) >= FAILING
            }
            HealthReason::BreakerOpen => gateway.configured && gateway.breaker_open,
            HealthReason::DeadLetters => delivery.dead > 0,
            HealthReason::UnreadableRows => !delivery.unreadable.is_empty(),
            HealthReason::StuckTurns => delivery.turns.iter().any(|turn| turn.state == TurnState::Stuck),
            HealthReason::RosterStale => roster.stale,
            // Where nothing gets through, the report is not what is wrong.
            HealthReason::ReportFailing => {
                backend.accepted == Some(true) && backend.last_report_error.is_some()
            }
            HealthReason::LedgerOff => ledger.off.is_some(),
            HealthReason::StateDirMoved => ledger.displaced.is_some(),
            HealthReason::DiskLow => disk.free_bytes.is_some_and(|free| free < DISK_LOW_BYTES),
            HealthReason::ClockSkew => {
                backend.clock_ahead_ms.is_some_and(|ahead| ahead.unsigned_abs() > SKEW_MS)
            }
            HealthReason::ForeignInstance => delivery.foreign_instance.is_some(),
            HealthReason::ThreadPanicked => panics.recent,
            HealthReason::ProfilesUnwritable => false,
            HealthReason::GatewayUnreachable
            | HealthReason::GatewayRefusedToken
            | HealthReason::GatewayEndpointOff
            | HealthReason::NoGateway => gateway.trouble == Some(reason),
        };
        HealthReason::ALL.iter().copied().filter(|reason| holds(*reason)).collect()
    }

    /// Whether it is too early for a judgement.
    pub fn is_starting(&self) -> bool {
        let roster_asked = self.roster.last_sync_at.is_some() || self.roster.last_error.is_some();
        !self.delivery.running || self.backend.checked_at.is_none() || !roster_asked
    }
}

/// In seconds, to the millisecond.
pub fn seconds(up: Duration) -> f64 {
    (up.as_secs_f64() * 1000.0).round() / 1000.0
}

impl Health {
    /// Indented by two spaces, as the original answers.
    pub fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain fields and text keys always make JSON")
    }
}
