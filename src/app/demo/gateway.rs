//! The demo's gateway: the scripted one in this process, or a real OpenClaw.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::info;

use crate::app::child_runtime::GatewayAccess;
use mcr_gateway_sim::gateway::{self, Observations, ScriptedGateway, ScriptedModel};
use mcr_http::message::Request;
use mcr_http::server::{Server, ServerLimits};
use mcr_model::BaseUrl;

/// How long the gateway may take for requests that have arrived when the runtime is gone.
const LAST_REQUESTS_LIMIT: Duration = Duration::from_secs(1);

/// A real OpenClaw instead of the scripted gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealGateway {
    /// `--gateway`.
    pub url: BaseUrl,
    /// `--gateway-token-file`.
    pub token_file: Option<PathBuf>,
    /// `--turns`: the number of turns after which the demo sends no more.
    pub turns: u64,
}

impl RealGateway {
    /// The address with the token of the file or of the environment.
    pub(super) fn access(&self) -> Result<GatewayAccess, String> {
        GatewayAccess::real(&self.url, self.token_file.as_deref(), "--gateway-token-file")
    }
}

/// The running scripted gateway.
pub(in crate::app) struct ScriptedServer {
    scripted: ScriptedGateway,
    server: Server,
}

impl ScriptedServer {
    /// Starts a gateway with these agents, who use this model, and writes its address to `access`.
    pub(in crate::app) fn start(
        access: &mut GatewayAccess,
        agents: impl IntoIterator<Item = String>,
        model: Arc<dyn ScriptedModel>,
    ) -> Result<Self, String> {
        let options = gateway::Options {
            token: Some(access.token.expose().to_owned()),
            // Includes agents that a visitor hires.
            agents: agents.into_iter().chain([gateway::ANY_AGENT.to_owned()]).collect(),
            fresh_sessions_conflict: false,
            ..gateway::Options::default()
        };
        let scripted = ScriptedGateway::new(options, model);
        let limits = ServerLimits::default().with_body_limit(gateway::PATH, gateway::BODY_BYTES);
        let shared = scripted.clone();
        let answer = move |request: Request| shared.answer(&request);
        let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, answer);
        let server =
            server.map_err(|why| format!("the demo's gateway cannot listen on this machine: {why}"))?;
        access.url = format!("http://{}", server.local_addr());
        info!(url = access.url.as_str(); "The scripted gateway is listening");
        Ok(Self { scripted, server })
    }

    /// What the gateway has received.
    pub(super) fn observations(&self) -> &Observations {
        self.scripted.observations()
    }

    pub(in crate::app) fn stop(self) {
        self.scripted.end();
        self.server.stop(LAST_REQUESTS_LIMIT);
    }
}
