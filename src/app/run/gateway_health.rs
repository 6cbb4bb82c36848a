//! The health of the gateway, as all its callers find it, for `/health`.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use log::{info, warn};

use super::listed_agents::ListedAgents;
use super::reporter::AGENT_REPORT_INTERVAL;
use super::turn_limit::TurnLimit;
use mcr_clients::gateway::{AgentList, GatewayEndpoint, HttpGateway};
use mcr_config::Settings;
use mcr_core::gateway::dialect::{Dialect, Release};
use mcr_core::gateway::history::TurnProgress;
use mcr_core::gateway::{
    Class, Gateway, GatewayError, ModelCall, Progress, Recovered, Reply, ShownAttempts, Turn, TurnMark, Why,
};
use mcr_core::ops::{HealthReason, MissingAgentsReport};
use mcr_core::work::WorkId;
use mcr_files::Folder;
use mcr_model::SessionKey;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_service::delivery::inflight::TurnActivity;
use mcr_service::delivery::stall_monitor;
use mcr_service::http::health::GatewayHealth;
use mcr_service::metrics::Metrics;
use mcr_service::wakeup::Wakeup;

/// The most sessions that are counted.
const SESSIONS_MAX: usize = 100_000;

/// What is known of the gateway.
pub(super) struct GatewayStatus {
    configured: bool,
    /// Whether agents call our tools.
    client_tools: bool,
    turn_limit: Option<TurnLimit>,
    metrics: Arc<Metrics>,
    /// Wakes the reporter of the status, which also reports who is online.
    reporter: Wakeup,
    /// Present once a client uses the gateway.
    endpoint: OnceLock<GatewayEndpoint>,
    /// The agents that the gateway lists.
    pub(super) agents: ListedAgents,
    known: Mutex<GatewayState>,
}

#[derive(Debug, Default)]
struct GatewayState {
    last_reply: Option<Millis>,
    last_error: Option<String>,
    version: Option<String>,
    /// What the last probe found, unless a turn has succeeded since.
    trouble: Option<String>,
    /// What the last probe found and the log says. A turn does not change it.
    reported: Option<String>,
    /// Why the last turn failed to reach the gateway.
    why: Option<Why>,
    /// Hashes of the sessions' names. The names grant access to the agents' API and are stored nowhere else.
    sessions: HashSet<u64>,
    hasher: RandomState,
    /// When each agent last answered.
    answers: HashMap<String, Instant>,
}

impl GatewayStatus {
    /// The health of a gateway, configured or not. The folder keeps the count of turns.
    pub(super) fn new(
        settings: &Settings,
        folder: Option<&Arc<Folder>>,
        metrics: Arc<Metrics>,
        reporter: Wakeup,
    ) -> Self {
        let turn_limit = settings.delivery.turns_max.map(|most| TurnLimit::new(most, folder.cloned()));
        Self {
            configured: settings.gateway.url.is_some(),
            client_tools: settings.gateway.client_tools,
            turn_limit,
            metrics,
            reporter,
            endpoint: OnceLock::new(),
            agents: ListedAgents::default(),
            known: Mutex::default(),
        }
    }

    /// Sets the endpoint that is in use.
    pub(super) fn set_endpoint(&self, endpoint: &GatewayEndpoint) {
        // It is set once, by the starting thread.
        let _ = self.endpoint.set(endpoint.clone());
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.endpoint.get().map(GatewayEndpoint::dialect).unwrap_or_default()
    }

    /// Whether the gateway shows function tools to its agents, as far as that is known.
    pub(super) fn shows_tools(&self) -> bool {
        !self.dialect().too_old_for_tools()
    }

    /// Notes the result of a gateway call.
    fn count<T>(&self, call: &str, began: Instant, answer: &Result<T, GatewayError>) {
        let result = match answer.as_ref().map_err(|error| error.class) {
            Ok(_) => "ok",
            Err(Class::Closed) => "closed",
            Err(Class::Transient) => "transient",
            Err(Class::Refused) => "refused",
            Err(Class::Lost) => "lost",
        };
        self.metrics.gateway.record(call, result, began.elapsed());
    }

    fn known(&self) -> std::sync::MutexGuard<'_, GatewayState> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The health as `/health` shows it. `breaker` is why no turns are sent, if so.
    pub(super) fn health(&self, breaker: Option<&str>, started: bool) -> GatewayHealth {
        let dialect = self.dialect();
        let known = self.known();
        let closed = breaker.or(known.trouble.as_deref());
        let trouble = match known.why {
            _ if !self.configured => Some(HealthReason::NoGateway),
            _ if closed.is_none() => None,
            Some(Why::TokenRefused | Why::TooManyLogins) => Some(HealthReason::GatewayRefusedToken),
            Some(Why::TurnLimit) => Some(HealthReason::TurnLimitReached),
            Some(Why::EndpointOff) => Some(HealthReason::GatewayEndpointOff),
            _ => Some(HealthReason::GatewayUnreachable),
        };
        GatewayHealth {
            configured: self.configured,
            running: started && closed.is_none(),
            closed: closed.map(str::to_owned),
            trouble,
            breaker_open: breaker.is_some(),
            version: known.version.clone(),
            dialect: dialect.tools.name(),
            history: dialect.history,
            doubt: dialect.doubt(),
            behaviour: dialect.probed.then(|| dialect.behaviour()),
            too_old: self.configured && self.client_tools && dialect.too_old_for_tools(),
            lists_agents: match self.agents.now() {
                AgentList::Unknown => None,
                AgentList::NotShown => Some(false),
                AgentList::Listed(_) => Some(true),
            },
            missing_agents: MissingAgentsReport::default(),
            blocked_agents: Vec::new(),
            sessions: known.sessions.len(),
            last_send_at: known.last_reply,
            last_send_error: known.last_error.clone(),
            child: None,
        }
    }

    /// The gateway's release, if known.
    pub(super) fn release(&self) -> Option<Release> {
        self.dialect().release
    }

    /// The gateway's version, if it has reported one.
    pub(super) fn version(&self) -> Option<String> {
        self.known().version.clone()
    }

    /// When each agent last answered, by slug.
    pub(super) fn answers(&self) -> Vec<(String, Instant)> {
        self.known().answers.iter().map(|(slug, at)| (slug.clone(), *at)).collect()
    }

    /// Probes the gateway. Returns why it is not available, if so.
    pub(super) fn probe(&self, gateway: Option<&HttpGateway>) -> Option<String> {
        if let Some(error) = self.turn_limit.as_ref().and_then(TurnLimit::trouble) {
            let mut known = self.known();
            (known.trouble, known.why) = (Some(error.to_string()), Some(error.why));
            return known.trouble.clone();
        }
        let began = Instant::now();
        let (trouble, why) = match gateway.map(HttpGateway::probe) {
            None => {
                let error = GatewayError::new(Class::Closed, Why::NoGateway, None);
                (Some(error.to_string()), Some(error.why))
            }
            Some(probe) => {
                if probe.ready
                    && let Some(gateway) = gateway
                {
                    gateway.identify();
                }
                let result = if probe.ready { "ok" } else { "closed" };
                self.metrics.gateway.record("probe", result, began.elapsed());
                let not_ready = probe.why.filter(|_| !probe.ready);
                self.heard_agents(probe.agents);
                if let Some(version) = self.endpoint.get().and_then(GatewayEndpoint::version) {
                    self.note_version(&version);
                }
                let closed = |why| GatewayError::new(Class::Closed, why, probe.detail.as_deref()).to_string();
                let trouble = not_ready.map(closed);
                (trouble, not_ready)
            }
        };
        let mut known = self.known();
        if known.reported != trouble {
            if let Some(trouble) = &trouble {
                warn!(reason = trouble.as_str(); "The gateway is not available");
            }
            known.reported.clone_from(&trouble);
        }
        known.trouble.clone_from(&trouble);
        // A probe that succeeds does not explain why a turn was refused.
        known.why = why.or(known.why);
        trouble
    }

    /// Notes the gateway's version, and logs a new one.
    fn note_version(&self, version: &str) {
        let before = self.known().version.replace(version.to_owned());
        if before.as_deref() != Some(version) {
            let dialect = self.dialect().tools.name();
            info!(version, dialect; "The gateway has reported its release");
        }
    }

    /// Takes the result of a request for the list of agents. The reporter applies a new list.
    fn heard_agents(&self, list: AgentList) {
        if self.agents.heard(list) {
            self.reporter.notify();
        }
    }

    /// Counts a turn that is about to be sent. Refuses it at the limit.
    fn take_turn(&self) -> Result<(), GatewayError> {
        self.turn_limit.as_ref().map_or(Ok(()), TurnLimit::take)
    }

    /// Reads the model calls of a turn.
    pub(super) fn model_calls(
        &self,
        gateway: &HttpGateway,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Option<Vec<ModelCall>>, GatewayError> {
        let began = Instant::now();
        let read = gateway.model_calls(session, agent, mark);
        self.count("usage", began, &read);
        read
    }

    /// Looks at a running turn.
    pub(super) fn look(
        &self,
        look: impl FnOnce() -> Result<Option<TurnProgress>, GatewayError>,
    ) -> Result<Option<TurnProgress>, GatewayError> {
        let began = Instant::now();
        let looked = look();
        self.count("look", began, &looked);
        looked
    }
}

/// How the stall monitor looks at a turn.
pub(super) fn watched(
    gateway: Option<HttpGateway>,
    status: Arc<GatewayStatus>,
) -> stall_monitor::SessionProbe {
    Box::new(move |life| {
        let Some(gateway) = &gateway else { return Ok(None) };
        marked(life, |mark| status.look(|| gateway.look(&life.session, &life.agent, mark)))
    })
}

/// Calls `look` with the marks by which a running turn is found in its session.
pub(super) fn marked<T>(life: &TurnActivity, look: impl FnOnce(&TurnMark<'_>) -> T) -> T {
    let (outputs, run) = (life.result_of.as_slice(), life.run.as_deref());
    look(&TurnMark { marker: &life.marker, outputs, run, ..TurnMark::default() })
}

/// A worker's gateway client, which notes every call.
pub(super) struct TrackedGateway {
    /// `None` where no gateway is configured.
    pub(super) gateway: Option<HttpGateway>,
    pub(super) status: Arc<GatewayStatus>,
}

impl Gateway for TrackedGateway {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        let began = Instant::now();
        let answer = match &self.gateway {
            Some(gateway) => {
                let admitted = self.status.agents.admit(gateway, turn.agent);
                let answer = admitted
                    .and_then(|()| self.status.take_turn())
                    .and_then(|()| gateway.turn(turn, progress));
                // The reporter reads the list again, and the dispatcher then holds the agent's turns.
                if answer.as_ref().is_err_and(|error| error.why == Why::UnknownAgent) {
                    self.status.reporter.notify();
                }
                answer
            }
            None => Err(GatewayError::new(Class::Closed, Why::NoGateway, None)),
        };
        self.status.count("turn", began, &answer);
        if let Ok(Reply { usage: Some(usage), .. }) = &answer {
            self.status.metrics.spent(*usage);
        }
        let mut known = self.status.known();
        if known.sessions.len() < SESSIONS_MAX {
            let name = known.hasher.hash_one(turn.session.expose());
            known.sessions.insert(name);
        }
        match &answer {
            Ok(_) => {
                known.last_reply = Some(SystemClock.now());
                known.last_error = None;
                (known.trouble, known.why) = (None, None);
                let before = known.answers.insert(turn.agent.to_owned(), Instant::now());
                if before.is_none_or(|at| at.elapsed() >= AGENT_REPORT_INTERVAL) {
                    self.status.reporter.notify();
                }
            }
            Err(error) => {
                known.last_error = Some(error.to_string());
                if error.class == Class::Closed {
                    known.why = Some(error.why);
                }
            }
        }
        answer
    }

    fn has_question(
        &self,
        session: &SessionKey,
        agent: &str,
        marker: &str,
    ) -> Result<Option<bool>, GatewayError> {
        let Some(gateway) = &self.gateway else {
            return Err(GatewayError::new(Class::Closed, Why::NoGateway, None));
        };
        gateway.has_question(session, agent, marker)
    }

    fn last_attempt(
        &self,
        session: &SessionKey,
        agent: &str,
        work: &WorkId,
    ) -> Result<ShownAttempts, GatewayError> {
        let Some(gateway) = &self.gateway else {
            return Err(GatewayError::new(Class::Closed, Why::NoGateway, None));
        };
        gateway.last_attempt(session, agent, work)
    }

    fn recover(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Recovered, GatewayError> {
        let began = Instant::now();
        let answer = match &self.gateway {
            Some(gateway) => gateway.recover(session, agent, mark),
            None => Err(GatewayError::new(Class::Closed, Why::NoGateway, None)),
        };
        self.status.count("recover", began, &answer);
        answer
    }

    fn model_calls(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Option<Vec<ModelCall>>, GatewayError> {
        self.gateway
            .as_ref()
            .map_or(Ok(None), |gateway| self.status.model_calls(gateway, session, agent, mark))
    }

    fn shows_tools(&self) -> bool {
        self.status.shows_tools()
    }

    fn may_lose_calls(&self) -> bool {
        self.gateway.as_ref().is_some_and(HttpGateway::may_lose_calls)
    }

    fn ends_abandoned_runs(&self) -> bool {
        self.gateway.as_ref().is_some_and(HttpGateway::ends_abandoned_runs)
    }

    fn abort(&self, session: &SessionKey, agent: &str, run: Option<&str>) -> Result<bool, GatewayError> {
        let began = Instant::now();
        let answer = match &self.gateway {
            Some(gateway) => gateway.abort(session, agent, run),
            None => Err(GatewayError::new(Class::Closed, Why::NoGateway, None)),
        };
        self.status.count("abort", began, &answer);
        answer
    }
}
