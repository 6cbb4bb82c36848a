//! The agent API (http-and-tools §2, §4, §9.3, §9.10) over a real socket, against an embedded Mission Control that states or
//! hides its reasons for a refusal.

/// The bridge to a consumer's application.
mod bridge;
/// Every endpoint: its result and its permitted callers.
mod endpoints;
/// Valid and invalid request bodies.
mod fields;
/// Rate limits and idempotency keys.
mod limits;
/// Authorization, and the order of the checks.
mod order;
/// Session keys: formats, restarts, tokens.
mod sessions;
/// Open endpoints, and the token for every spelling of a key.
mod tokens;
/// A backend that is unreachable, slow, or loses replies.
mod trouble;
/// Wakes and events: the queue, the woken agent, and what is kept.
mod wakes;

use mission_control_runtime::bridge::BridgeClient;
use mission_control_runtime::clock::{Clock, Millis, SystemClock};
use mission_control_runtime::convex::{Convex, ConvexEndpoint};
use mission_control_runtime::delivery::deps::RecentIds;
use mission_control_runtime::delivery::inflight::InFlight;
use mission_control_runtime::heartbeat::keeper::Keeper;
use mission_control_runtime::http::agent_api::network_guard::NetworkGuard;
use mission_control_runtime::http::agent_api::{AgentApi, AgentApiSetup, Bridge, DOCUMENT_BYTES};
use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::routes::{Route, route};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::local::Options;
use mission_control_runtime::metrics::Metrics;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{
    AccountId, BaseUrl, BridgeSettings, SessionKey, SessionScope, TaskId, ToolEndpoints,
};
use mission_control_runtime::redact::Redactor;
use mission_control_runtime::roster;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::sessions::Sessions;
use mission_control_runtime::tools::access::ToolAccess;
use mission_control_runtime::wire::{Roots, Stop};
use mission_control_runtime::work::Track;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tempfile::TempDir;

use crate::support::beats;
use crate::support::board::agent;
use crate::support::program::private;
use crate::support::team::Team;

/// All endpoints, and which ones only the orchestrator may call.
const ENDPOINTS: [(&str, bool); 17] = [
    ("task-status", false),
    ("task-update", false),
    ("task-create", false),
    ("task-assign", true),
    ("response-request", false),
    ("document", false),
    ("document-list", false),
    ("task-message", true),
    ("task-list", true),
    ("task-get", true),
    ("task-thread", true),
    ("task-search", true),
    ("task-load", false),
    ("get-agent-skills", false),
    ("task-delete", true),
    ("task-link-pr", true),
    ("task-history", false),
];

/// Endpoints that are not tools, although they are called like one.
const TELLS: [&str; 2] = ["wake", "event"];

/// Function tools are off, so agents call over HTTP.
const WITHOUT_TOOLS: ToolAccess = ToolAccess { endpoints: ToolEndpoints::Auto, client_tools: false };

/// The configuration of a test stand.
#[derive(Default)]
struct Plan {
    options: Options,
    tokens: bool,
    /// Whether the tools' endpoints are open; by default function tools are off.
    access: Option<ToolAccess>,
    /// Whether the gateway does not show function tools.
    hides_tools: Arc<AtomicBool>,
    /// Replaces the board's own backend.
    convex: Option<Arc<dyn Convex>>,
    /// The listening address, if not the usual loopback address.
    bind: &'static str,
    /// The session names of the gateway, if not the usual ones.
    naming: (Option<&'static str>, SessionScope),
    /// The state folder of an earlier stand.
    folder: Option<TempDir>,
    /// The bridge of the environment.
    bridge: BridgeSettings,
}

/// The machine's clock, which tests can advance.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn pass(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Millis {
        Millis(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

/// A board with a team, and the agent API in front of it.
struct Stand {
    team: Team,
    hands: Hands,
    server: Server,
    sessions: Arc<Sessions>,
    inflight: InFlight,
    /// The holder of the roster.
    roster: roster::Team,
    wakes: Arc<Keeper>,
    metrics: Arc<Metrics>,
    folder: TempDir,
}

/// A reply.
#[derive(Debug)]
struct Answer {
    status: u16,
    retry_after: Option<u64>,
    body: Value,
}

impl Answer {
    fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

impl Stand {
    fn new() -> Self {
        Self::with(Plan::default())
    }

    fn with(mut plan: Plan) -> Self {
        let team = Team::with(std::mem::take(&mut plan.options));
        Self::on(team, plan)
    }

    /// Replaces this process by another one with the same state.
    fn again(self) -> Self {
        let Self { team, folder, server, .. } = self;
        drop(server);
        Self::on(team, Plan { folder: Some(folder), ..Plan::default() })
    }

    fn on(team: Team, plan: Plan) -> Self {
        let secret = Secret::new(team.board.token.as_str());
        let redactor = Arc::new(Redactor::new([&secret]));
        let account = AccountId::new(&team.board.account);
        let convex = plan.convex.unwrap_or_else(|| {
            let base = BaseUrl::parse(&team.board.url()).unwrap();
            Arc::new(
                ConvexEndpoint::new(base, &Roots::load(None).unwrap(), redactor.clone()).client(&Stop::new()),
            )
        });
        let sessions = Arc::new(Sessions::in_memory(account.clone()));
        let hands = Hands::default();
        let folder = plan.folder.unwrap_or_else(|| tempfile::tempdir().unwrap());
        let wakes = Arc::new(Keeper::open(&private(folder.path()), &account, hands.now()));
        let metrics = Arc::new(Metrics::new([]));
        let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
        let roster = roster::Team::default();
        let setup = AgentApiSetup {
            mission: Mission::new(convex, account, secret),
            team: roster.clone(),
            sessions: sessions.clone(),
            inflight: inflight.clone(),
            journal: Arc::new(MemoryLedger::default()),
            made: Arc::new(RecentIds::default()),
            clock: Arc::new(hands.clone()),
            written: Box::new(|| ()),
            wait: Box::new(|_| ()),
            guard: NetworkGuard::new(&[], Hosts::new(["runtime"])),
            tokens: plan.tokens,
            access: plan.access.unwrap_or(WITHOUT_TOOLS),
            shows_tools: Box::new(move || !plan.hides_tools.load(Ordering::SeqCst)),
            calls_max: 32,
            redactor,
            metrics: metrics.clone(),
            beats: beats::with_events(wakes.clone()),
            main_session: plan.naming.0.unwrap_or("main").to_owned(),
            session_scope: plan.naming.1,
            bridge: Bridge {
                client: BridgeClient::new(&Roots::load(None).unwrap(), &Stop::new()),
                environment: plan.bridge,
            },
        };
        let api = Arc::new(AgentApi::new(setup));
        let admitting = api.clone();
        let admit = move |request: &Request| match route(request) {
            Route::Agent(endpoint) => admitting.refuse(endpoint, request),
            Route::Refused(reply) => Some(reply),
            _ => None,
        };
        let limits = ServerLimits { stack_bytes: 1024 * 1024, ..ServerLimits::default() }
            .with_body_limit("/agent/document", DOCUMENT_BYTES);
        let address = if plan.bind.is_empty() { "127.0.0.1:0" } else { plan.bind };
        let server = Server::bind_admitting(address, limits, admit, move |request| match route(&request) {
            Route::Agent(door) => api.answer(door, &request),
            Route::Refused(reply) => reply,
            _ => Reply::text("else"),
        });
        Self { team, hands, server: server.unwrap(), sessions, inflight, roster, wakes, metrics, folder }
    }

    /// The agent's system session key.
    fn own(&self, slug: &str) -> String {
        format!("system:agent:{slug}:{}:v1", self.team.board.account)
    }

    /// The agent's key for a task, as if a notification had been delivered in it.
    fn key(&self, slug: &str, agent: &str, task: &str) -> String {
        let key = format!("task:{task}:agent:{slug}:{}:v1", self.team.board.account);
        let track = Track::new(agent, Some(TaskId::new(task)));
        self.sessions.issue(&SessionKey::new(key.as_str()), slug, &track, SystemClock.now());
        key
    }

    /// Ben's key for a task assigned to him.
    fn ben_at(&self, status: &str) -> (String, String) {
        let task = self.team.task(status, &[&self.team.ben]);
        (self.key("ben", &self.team.ben, &task), task)
    }

    fn post(&self, endpoint: &str, key: &str, body: &Value) -> Answer {
        self.send(endpoint, &[("x-openclaw-session-key", key)], &body.to_string())
    }

    /// [`Stand::post`] that must succeed.
    fn done(&self, endpoint: &str, key: &str, body: &Value) -> Value {
        let answer = self.post(endpoint, key, body);
        assert_eq!((answer.status, &answer.body["success"]), (200, &json!(true)), "{endpoint}: {answer:?}");
        answer.body
    }

    fn send(&self, endpoint: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let url = format!("http://{}/agent/{endpoint}", self.server.local_addr());
        let mut request = agent().post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body).unwrap();
        let retry_after =
            answer.headers().get("Retry-After").map(|secs| secs.to_str().unwrap().parse().unwrap());
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(!text.contains(&self.team.board.token), "{text}");
        Answer { status: answer.status().as_u16(), retry_after, body: serde_json::from_str(&text).unwrap() }
    }
}
