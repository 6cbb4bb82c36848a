//! What a worker says about itself: `/livez`, `/readyz`, `/health` and `/metrics`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use log::{error, info};
use serde_json::{Value, json};

use super::super::gateway_health::GatewayStatus;
use super::super::{agent_api_setup, machine};
use super::setup::{WorkerParts, mode};
use crate::app::exit::Exit;
use mcr_config::Settings;
use mcr_core::digest::half_digest;
use mcr_core::pool::lane::WorkerMode;
use mcr_http::hosts::Meant;
use mcr_http::message::{Method, Reply, Request};
use mcr_http::panics::Panics;
use mcr_http::server::Server;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::memory::ByteBudget;
use mcr_service::delivery::service::View;
use mcr_service::pool::{ClaimedJobs, LaneFacts, LaneIds, LaneStatus};
use mcr_service::scheduled_calls::ScheduledCallsStatus;
use mcr_store::ledger::Ledger;

/// The digits of a conversation's digest: its id may name a person.
const DIGEST_DIGITS: usize = 12;

/// The media type of the metrics.
const METRICS_TYPE: &str = "text/plain; version=0.0.4";

/// The health of a worker.
pub(super) struct WorkerHealth {
    began: Instant,
    mode: WorkerMode,
    lanes: Vec<Arc<LaneStatus>>,
    view: View,
    gateway: Arc<GatewayStatus>,
    claimed_jobs: ClaimedJobs,
    ids: Arc<LaneIds>,
    ledger: Arc<Ledger>,
    scheduled: ScheduledCallsStatus,
    panics: Panics,
    is_stopping: AtomicBool,
}

impl WorkerHealth {
    pub(super) fn new(
        parts: &WorkerParts<'_>,
        view: View,
        ledger: Arc<Ledger>,
        scheduled: ScheduledCallsStatus,
    ) -> Self {
        Self {
            began: Instant::now(),
            mode: mode(parts.own),
            lanes: (0..parts.own.lanes).map(|_| Arc::default()).collect(),
            view,
            gateway: parts.gateway.clone(),
            claimed_jobs: parts.claimed_jobs.clone(),
            ids: parts.ids.clone(),
            ledger,
            scheduled,
            panics: parts.panics.clone(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// The status of a lane; lanes are counted from 1.
    pub(super) fn lane(&self, number: usize) -> Arc<LaneStatus> {
        self.lanes[number - 1].clone()
    }

    /// The worker takes no more jobs.
    pub(super) fn stops(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Why the worker is not fully at work, in the order of importance.
    fn reasons(&self, lanes: &[LaneFacts]) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.is_stopping.load(Ordering::Relaxed) {
            reasons.push("the worker stops".to_owned());
        }
        if let Some(why) = self.view.state().breaker_open {
            reasons.push(format!("the gateway takes no turns: {why}"));
        }
        if let Some(why) = lanes.iter().find_map(|lane| lane.trouble.as_ref()) {
            reasons.push(format!("the queue does not answer: {why}"));
        }
        let ledger = self.ledger.state();
        reasons.extend(ledger.off.map(|why| format!("jobs do not survive a crash: {why}")));
        reasons
    }

    fn json(&self) -> Value {
        let lanes: Vec<LaneFacts> = self.lanes.iter().map(|lane| lane.now()).collect();
        let (state, now) = (self.view.state(), SystemClock.now());
        let age = |at: Option<Millis>| at.map(|at| now.since(at).as_secs());
        let reasons = self.reasons(&lanes);
        let leases: Vec<Value> = self
            .claimed_jobs
            .held()
            .iter()
            .map(|held| {
                json!({"job": held.job.claimed.message_id.as_str(), "fenced": held.fence().is_some(),
                "claimedSecondsAgo": now.since(held.job.claimed_at).as_secs()})
            })
            .collect();
        let rows: Vec<Value> = lanes
            .iter()
            .enumerate()
            .map(|(at, lane)| {
                let conversation = lane.conversation.as_ref();
                json!({
                    "lane": at + 1,
                    "workerId": lane.worker.as_ref().map(mcr_model::WorkerId::as_str),
                    "conversation": conversation.map(|id| half_digest(id.as_str())[..DIGEST_DIGITS].to_owned()),
                    "isWorking": lane.is_working,
                    "claims": lane.claims,
                    "lastClaimSecondsAgo": age(lane.last_claim),
                    "lastAnswerSecondsAgo": age(lane.last_answer),
                    "failedCalls": lane.failed_calls,
                    "lastError": lane.trouble,
                    "ended": lane.ended.map(|end| format!("{end:?}").to_lowercase()),
                })
            })
            .collect();
        json!({
            "status": if reasons.is_empty() { "ok" } else { "degraded" },
            "reasons": reasons,
            "mode": match self.mode { WorkerMode::Pool => "pool", WorkerMode::Droplet => "droplet" },
            "uptimeSeconds": self.began.elapsed().as_secs(),
            "version": env!("CARGO_PKG_VERSION"),
            "lanes": rows,
            "restingIds": self.ids.resting(),
            "leases": leases,
            "jobs": {"known": state.known, "running": state.running, "ended": state.stats.ended,
                "failed": state.stats.failed, "lastError": state.stats.last_error},
            "scheduledCalls": self.scheduled.now(),
            "gateway": {"version": self.gateway.version(), "closed": state.breaker_open},
            "lastPanicSecondsAgo": self.panics.last().map(|last| last.ago().as_secs()),
        })
    }

    fn metrics(&self) -> String {
        let lanes: Vec<LaneFacts> = self.lanes.iter().map(|lane| lane.now()).collect();
        let state = self.view.state();
        let mut page = String::new();
        let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
            // A text takes every write.
            let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            for (labels, value) in rows {
                let _ = writeln!(page, "{name}{labels} {value}");
            }
        };
        let per_lane = |read: fn(&LaneFacts) -> u64| -> Vec<(String, u64)> {
            let row = |(at, lane): (usize, &LaneFacts)| (format!("{{lane=\"{}\"}}", at + 1), read(lane));
            lanes.iter().enumerate().map(row).collect()
        };
        let one = |value: u64| vec![(String::new(), value)];
        family("worker_claims_total", "counter", "Claimed jobs.", &per_lane(|lane| lane.claims));
        family(
            "worker_failed_calls_total",
            "counter",
            "Failed calls of the queue by lanes.",
            &per_lane(|lane| lane.failed_calls),
        );
        family(
            "worker_busy",
            "gauge",
            "Whether a job is in work.",
            &per_lane(|lane| u64::from(lane.is_working)),
        );
        let ended: Vec<_> =
            state.stats.ended.iter().map(|(end, count)| (format!("{{end=\"{end}\"}}"), *count)).collect();
        family("worker_jobs_total", "counter", "Ended jobs by their end.", &ended);
        family(
            "worker_resting_ids",
            "gauge",
            "Worker ids whose conversations have no due message.",
            &one(self.ids.resting() as u64),
        );
        family(
            "worker_gateway_open",
            "gauge",
            "Whether the gateway takes turns.",
            &one(u64::from(state.breaker_open.is_none())),
        );
        family(
            "worker_uptime_seconds",
            "gauge",
            "Seconds since the start.",
            &one(self.began.elapsed().as_secs()),
        );
        family(
            "worker_resident_bytes",
            "gauge",
            "The memory of the process.",
            &one(machine::resident_bytes()),
        );
        page
    }

    fn answer(&self, request: &Request) -> Reply {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Reply::empty(405);
        }
        match &*request.path() {
            "/livez" => Reply::text("ok\n"),
            "/readyz" => {
                let is_ready = !self.is_stopping.load(Ordering::Relaxed);
                if is_ready { Reply::text("ok\n") } else { Reply::text("stopping\n").with_status(503) }
            }
            "/health" => Reply::json_of(&self.json()),
            "/metrics" => Reply::whole(METRICS_TYPE, self.metrics()),
            _ => Reply::empty(404),
        }
    }
}

/// Serves the health.
pub(super) fn listen(
    settings: &Settings,
    memory: &ByteBudget,
    health: &Arc<WorkerHealth>,
) -> Result<Server, Exit> {
    let hosts = agent_api_setup::hosts_of(settings);
    let (answering, panics) = (health.clone(), health.panics.clone());
    let address = (settings.http.host.as_str(), settings.http.port);
    let bound = Server::bind(address, agent_api_setup::limits(memory), move |request: Request| {
        match hosts.meant(&request) {
            Meant::Elsewhere => Reply::error(403, "Forbidden: the request is meant for another host"),
            Meant::Here | Meant::Unsaid => answering.answer(&request),
        }
    });
    let server = bound.map_err(|why| {
        let (host, port) = (&settings.http.host, settings.http.port);
        error!(host, port, reason:% = why; "Not started: cannot listen; see HEALTH_HOST and HEALTH_PORT");
        Exit::Failed
    })?;
    server.notes_panics(panics);
    info!(url = format!("http://{}", server.local_addr()); "Listening");
    Ok(server)
}
