//! The demo's gateway: the scripted one in this process, or a real OpenClaw.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::info;

use mcr_gateway_sim::gateway::{self, Observations, ScriptedGateway, ScriptedModel};
use mcr_http::message::Request;
use mcr_http::server::{Server, ServerLimits};
use mcr_model::BaseUrl;
use mcr_model::random;
use mcr_model::secret::Secret;

/// The variable with the token of a real gateway. An argument would show the token to every user of the machine.
const TOKEN: &str = "OPENCLAW_GATEWAY_TOKEN";

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

/// The longest file with a token.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

impl RealGateway {
    /// The address with the token of the file or of the environment.
    pub(super) fn access(&self) -> Result<GatewayAccess, String> {
        let token = match &self.token_file {
            Some(file) => read_token(file)?,
            None => std::env::var(TOKEN).unwrap_or_default(),
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(format!(
                "--gateway needs the gateway's token: set {TOKEN}, or name a file with --gateway-token-file FILE"
            ));
        }
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(
                "the gateway's token contains blanks, line ends or other characters that no token has"
                    .to_owned(),
            );
        }
        Ok(GatewayAccess { url: self.url.to_string(), token: Secret::new(token) })
    }
}

fn read_token(file: &Path) -> Result<String, String> {
    let failed = |why: &dyn std::fmt::Display| {
        format!("the file {} of --gateway-token-file cannot be read: {why}", file.display())
    };
    // A device or a pipe may have no end.
    if !fs::metadata(file).map_err(|why| failed(&why))?.is_file() {
        return Err(failed(&"it is no regular file"));
    }
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(|why| failed(&why))?;
    opened.take(TOKEN_BYTES_MAX).read_to_string(&mut text).map_err(|why| failed(&why))?;
    Ok(text)
}

/// The address of a gateway and its token.
pub(super) struct GatewayAccess {
    pub(super) url: String,
    pub(super) token: Secret,
}

impl GatewayAccess {
    /// A token for the scripted gateway, which is not listening yet.
    pub(super) fn scripted() -> Self {
        Self { url: String::new(), token: Secret::new(random::hex::<16>()) }
    }
}

/// The running scripted gateway.
pub(super) struct ScriptedServer {
    scripted: ScriptedGateway,
    server: Server,
}

impl ScriptedServer {
    /// Starts a gateway with these agents, who use this model, and writes its address to `access`.
    pub(super) fn start(
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

    pub(super) fn stop(self) {
        self.scripted.end();
        self.server.stop(LAST_REQUESTS_LIMIT);
    }
}
