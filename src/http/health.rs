//! What `/health` and `/version` say (http-and-tools §3.1, §3.2): the fields of the original, with truth in them.
//!
//! The answer is always 200 while the process lives: a health check that restarts it would only interrupt turns.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Millis;
use crate::ops::Paused;

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
    /// `healthy`, or `degraded` for the reasons that follow.
    pub status: &'static str,
    /// Each a word.
    pub reasons: Vec<&'static str>,
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
    /// The roster.
    #[serde(rename = "agentSync")]
    pub agent_sync: RosterHealth,
    /// The way to Mission Control.
    pub backend: BackendHealth,
    /// What survives a crash.
    pub ledger: LedgerHealth,
    /// Who begins no turns, because people want it so.
    pub paused: Paused,
    /// Of this process.
    pub memory: Memory,
    /// Now.
    pub timestamp: Millis,
}

/// Versions.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// Ours.
    pub runtime_service: String,
    /// The gateway's.
    pub openclaw: String,
}

/// The machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Infrastructure {
    /// Its id.
    pub droplet_id: String,
    /// Its address.
    pub ip_address: String,
    /// Where it stands.
    pub region: String,
}

/// The way to the agents.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayHealth {
    /// Whether there is one to be spoken to.
    pub configured: bool,
    /// Whether turns are sent.
    pub running: bool,
    /// Why not, if not.
    pub closed: Option<String>,
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
    /// When a row was last settled.
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
    /// `working`, `waiting`, `quiet` or `stuck`.
    pub state: &'static str,
    /// When it was sent, or found to be stuck.
    pub since: Millis,
    /// How many seconds ago it showed the last sign of life.
    pub quiet_seconds: f64,
}

/// What the delivery is set to.
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
}

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
    /// Whether it answered, whatever it said; none before the first call.
    pub reachable: Option<bool>,
    /// Whether it knows account and token; none where it did not answer.
    pub accepted: Option<bool>,
    /// When that was.
    pub checked_at: Option<Millis>,
    /// What went wrong, redacted; none if nothing did.
    pub last_error: Option<String>,
}

/// What survives a crash.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LedgerHealth {
    /// Why nothing does, if so.
    pub off: Option<String>,
    /// Deliveries that are not over.
    pub open: usize,
    /// Transactions since the start.
    pub commits: u64,
}

/// Of this process, in bytes; the original's other fields are a garbage collector's.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// What is resident.
    pub rss: u64,
}

/// So many failures in a row are no accident.
const FAILING: u64 = 3;

/// What speaks against being healthy, in words that dashboards can count.
pub fn reasons(
    gateway: &GatewayHealth,
    delivery: &DeliveryHealth,
    roster: &RosterHealth,
    backend: &BackendHealth,
    ledger: &LedgerHealth,
) -> Vec<&'static str> {
    let rows = [
        (!gateway.configured, "no_gateway"),
        (gateway.configured && !gateway.running, "gateway_unreachable"),
        (backend.reachable != Some(true), "backend_unreachable"),
        (backend.reachable == Some(true) && backend.accepted != Some(true), "backend_refuses"),
        (delivery.consecutive_failures.max(delivery.list_failures.into()) >= FAILING, "delivery_failing"),
        (delivery.turns.iter().any(|turn| turn.state == "stuck"), "stuck_turns"),
        (delivery.foreign_instance.is_some(), "foreign_instance"),
        (roster.stale, "roster_stale"),
        (ledger.off.is_some(), "ledger_off"),
    ];
    rows.into_iter().filter_map(|(holds, name)| holds.then_some(name)).collect()
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
