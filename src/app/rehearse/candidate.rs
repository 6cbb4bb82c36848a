//! The candidate gateway: its address, its agents, and what it answers before the first turn.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::child_runtime::GatewayAccess;
use mcr_clients::gateway::{GatewayEndpoint, HttpGateway};
use mcr_clients::wire::{Roots, Stop};
use mcr_core::gateway::Why;
use mcr_core::gateway::dialect::{Behaviour, Dialect};
use mcr_core::gateway_config::known_problems::{Facts as ConfigurationFacts, roster_form};
use mcr_core::ops::MissingAgents;
use mcr_gateway_sim::rehearsal::Probed;
use mcr_model::BaseUrl;
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;

/// The longest silence of a request before the first turn.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Kills and starts the process of the candidate, if it belongs to the rehearsal.
pub trait CandidateProcess: Send + Sync {
    /// Kills it and starts it again at the same address. Returns once it listens.
    fn kill_and_start(&self) -> Result<(), String>;
}

/// A gateway that is not in use yet.
pub struct Candidate {
    /// Its address.
    pub url: BaseUrl,
    /// Its token.
    pub token: Secret,
    /// The agents that it must have. Without any, those that it lists.
    pub agents: Vec<String>,
    /// Its process, if the rehearsal may kill it.
    pub process: Option<Arc<dyn CandidateProcess>>,
}

/// What is known of a candidate.
pub(super) struct Knowledge {
    pub(super) probed: Probed,
    /// The agents for the cases.
    pub(super) agents: Vec<String>,
    dialect: Dialect,
    gateway: HttpGateway,
}

impl Candidate {
    pub(super) fn access(&self) -> GatewayAccess {
        GatewayAccess { url: self.url.to_string(), token: self.token.clone() }
    }

    /// Asks the gateway for its state, its version, its agents and its way to the history.
    pub(super) fn probe(&self, roots: &Roots, stop: &Stop) -> Knowledge {
        let redactor = Arc::new(Redactor::new([&self.token]));
        let token = Some(self.token.clone());
        let endpoint = GatewayEndpoint::new(self.url.clone(), token, roots, redactor, SILENCE_MAX);
        let gateway = endpoint.client(stop);
        let probe = gateway.probe();
        if probe.ready {
            gateway.identify();
        }
        let refusal = probe.why.filter(|_| !probe.ready).map(|why| {
            let detail = probe.detail.as_ref().map_or(String::new(), |detail| format!(" ({detail})"));
            let remedy = remedy(why).map_or(String::new(), |remedy| format!(" {remedy}"));
            format!("{}{detail}.{remedy}", why.explain())
        });
        let dialect = gateway.dialect();
        let listed = probe.agents.listed().map(<[String]>::to_vec);
        let wanted =
            if self.agents.is_empty() { listed.clone().unwrap_or_default() } else { self.agents.clone() };
        let form = roster_form(&ConfigurationFacts {
            release: dialect.release,
            listed: listed.as_deref(),
            team: Some(&wanted),
            ..ConfigurationFacts::default()
        });
        let missing = MissingAgents::compare(wanted.iter().map(String::as_str), listed.as_deref(), form);
        let agents =
            wanted.into_iter().filter(|slug| !missing.slugs().any(|missing| missing == slug)).collect();
        let probed = Probed {
            refusal,
            version: gateway.version(),
            doubt: dialect.doubt().map(str::to_owned),
            listed,
            missing: missing.explain(),
            history: dialect.history,
        };
        Knowledge { probed, agents, dialect, gateway }
    }
}

/// What to do about a candidate that accepts no turns. Its address and its token are options of the command.
fn remedy(why: Why) -> Option<&'static str> {
    match why {
        Why::Unreachable => Some("Check that the candidate runs, and that --gateway is its address."),
        Why::TokenRefused | Why::TooManyLogins => {
            Some("Check that --token-file names a file with the candidate's gateway.auth.token.")
        }
        Why::NotAGateway => Some("Check --gateway: it is the candidate's own port, without a path."),
        Why::EndpointOff => Some(
            "Check that --gateway names the candidate's own port. Set gateway.http.endpoints.responses.enabled to true in its \
             configuration.",
        ),
        other => other.remedy(),
    }
}

impl Knowledge {
    /// Why no conversation is possible.
    pub(super) fn obstacle(&self) -> Option<&'static str> {
        if self.probed.refusal.is_some() {
            return Some("the gateway accepts no turns");
        }
        self.agents
            .is_empty()
            .then_some("the gateway has none of the agents, or does not list any: name them with --agents")
    }

    /// What the release does.
    pub(super) fn behaviour(&self) -> Behaviour {
        self.dialect.behaviour()
    }

    /// Asks a session of an answered turn for the version, if the gateway named none before.
    pub(super) fn learn(&mut self, session: &str) {
        if self.dialect.release.is_none() {
            self.gateway.identify_by(session);
            self.dialect = self.gateway.dialect();
            self.probed.version = self.gateway.version();
            self.probed.doubt = self.dialect.doubt().map(str::to_owned);
        }
    }

    pub(super) fn json(&self, url: &BaseUrl) -> Value {
        json!({
            "url": url.to_string(),
            "version": self.probed.version,
            "release": self.dialect.release.map(|release| release.to_string()),
            "doubt": self.probed.doubt,
            "history": self.probed.history,
            "behaviour": self.behaviour(),
        })
    }
}
