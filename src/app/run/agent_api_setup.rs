//! Sets up the agents' HTTP API for the running service, with what an earlier process has stored for it.

use std::sync::Arc;

use super::threads::ThreadSetup;
use mcr_clients::bridge::BridgeClient;
use mcr_clients::gateway::SessionNaming;
use mcr_config::Settings;
use mcr_core::tools::access::ToolAccess;
use mcr_files::Folder;
use mcr_http::hosts::Hosts;
use mcr_http::server::ServerLimits;
use mcr_model::clock::SystemClock;
use mcr_model::memory::ByteBudget;
use mcr_service::delivery::service::View;
use mcr_service::http::agent_api::network_guard::NetworkGuard;
use mcr_service::http::agent_api::{AgentApi, AgentApiSetup, Bridge, DOCUMENT_BYTES};
use mcr_service::http::health::AgentApiHealth;
use mcr_service::roster::Team;
use mcr_store::ledger::Ledger;
use mcr_store::sessions::names;

/// An agent's call may use TLS and parse the backend's nested JSON. Untouched stack memory costs nothing.
const STACK_BYTES: usize = 1024 * 1024;

/// The limits of the service's own server.
pub(super) fn limits(memory: &ByteBudget) -> ServerLimits {
    ServerLimits {
        stack_bytes: STACK_BYTES,
        reserved_paths: vec!["/livez", "/health"],
        bodies: memory.requests.clone(),
        ..ServerLimits::default()
    }
    .with_body_limit("/agent/document", DOCUMENT_BYTES)
}

/// How agents reach the tools, as configured.
pub(super) fn tool_access(settings: &Settings) -> ToolAccess {
    ToolAccess { endpoints: settings.http.tool_endpoints, client_tools: settings.gateway.client_tools }
}

/// The settings of the agents' HTTP API that `/health` shows.
pub(super) struct AgentApiConfig {
    access: ToolAccess,
    tokens: bool,
}

impl AgentApiConfig {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { access: tool_access(settings), tokens: settings.http.session_tokens }
    }

    /// `shown` tells whether the gateway shows function tools to its agents.
    pub(super) fn health(&self, shown: bool) -> AgentApiHealth {
        AgentApiHealth {
            tool_endpoints_open: self.access.is_open(shown, false),
            why: self.access.explain(shown),
            tokens: self.tokens,
        }
    }
}

/// The host names that the service accepts.
pub(super) fn hosts_of(settings: &Settings) -> Hosts {
    // The port does not matter.
    let base_url = settings.http.base_url(settings.http.port);
    Hosts::new([settings.http.host.as_str(), base_url.host()])
}

/// How sessions are named at the gateway: as an earlier process chose, or as the first turn will.
pub(super) fn open_names(folder: Option<&Arc<Folder>>, ledger: &Ledger) -> SessionNaming {
    let Some(folder) = folder.filter(|_| ledger.state().off.is_none()) else {
        return SessionNaming::open(|_| {});
    };
    let keeps = folder.clone();
    let open = || SessionNaming::open(move |chosen| names::keep(&keeps, chosen));
    names::chosen(folder).map_or_else(open, SessionNaming::made)
}

impl ThreadSetup<'_> {
    /// The API for agents.
    pub(super) fn agent_api(&self, team: &Team, view: View) -> AgentApi {
        let settings = self.settings;
        let gateway = self.state.gateway.clone();
        let (inflight, stop) = (view.inflight().clone(), self.switches.calls.clone());
        AgentApi::new(AgentApiSetup {
            mission: self.connections.patient.mission(settings, &self.switches.calls),
            team: team.clone(),
            sessions: self.sessions.clone(),
            inflight,
            journal: self.ledger.clone(),
            made: self.made.clone(),
            clock: Arc::new(SystemClock),
            written: Box::new(move || view.written()),
            wait: Box::new(move |pause| {
                stop.wait(pause);
            }),
            guard: NetworkGuard::new(&settings.http.agents_from, hosts_of(settings)),
            tokens: settings.http.session_tokens,
            access: tool_access(settings),
            shows_tools: Box::new(move || gateway.shows_tools()),
            calls_max: settings.delivery.tool_calls_max,
            redactor: self.redactor.clone(),
            metrics: self.state.metrics.clone(),
            beats: self.beats.clone(),
            main_session: settings.gateway.main_session.clone(),
            session_scope: settings.gateway.session_scope,
            bridge: Bridge {
                client: BridgeClient::new(&self.connections.patient.roots, &self.switches.calls),
                environment: self.connections.bridge.clone(),
            },
        })
    }
}
