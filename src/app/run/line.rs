//! The line to the gateway: what everybody who speaks over it has found, in one place for `/health`.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{Clock as _, Millis, SystemClock};
use crate::gateway::client::HttpGateway;
use crate::gateway::{Class, Gateway, GatewayError, Progress, Recovered, Reply, Turn, TurnMark, Why};
use crate::http::health::GatewayHealth;
use crate::model::SessionKey;

/// So many sessions are told apart; more are not counted.
const SESSIONS_MAX: usize = 100_000;

/// What is known of the line.
#[derive(Debug)]
pub(super) struct Line {
    configured: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    last_reply: Option<Millis>,
    last_error: Option<String>,
    version: Option<String>,
    /// What the last probe found, unless a turn has got through since.
    trouble: Option<String>,
    /// Hashes of the sessions' names: the names open the agents' API and are kept nowhere else.
    sessions: HashSet<u64>,
    hasher: RandomState,
}

impl Line {
    /// To a gateway, or to nowhere.
    pub(super) fn new(configured: bool) -> Self {
        Self { configured, known: Mutex::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As `/health` shows it; `closed` is why nothing is sent, if nothing is.
    pub(super) fn health(&self, closed: Option<&str>) -> GatewayHealth {
        let known = self.known();
        let closed = closed.or(known.trouble.as_deref());
        GatewayHealth {
            configured: self.configured,
            running: closed.is_none(),
            closed: closed.map(str::to_owned),
            sessions: known.sessions.len(),
            last_send_at: known.last_reply,
            last_send_error: known.last_error.clone(),
        }
    }

    /// The gateway's release, if it has told.
    pub(super) fn version(&self) -> Option<String> {
        self.known().version.clone()
    }

    /// Asks the gateway whether it is there: nothing, or why not.
    pub(super) fn probe(&self, gateway: Option<&HttpGateway>) -> Option<String> {
        let trouble = match gateway.map(HttpGateway::probe) {
            None => Some(GatewayError::new(Class::Closed, Why::NoGateway, None).to_string()),
            Some(probe) => {
                if let Some(version) = probe.version {
                    self.known().version = Some(version.into());
                }
                let closed = |why| GatewayError::new(Class::Closed, why, probe.detail.as_deref()).to_string();
                probe.why.filter(|_| !probe.ready).map(closed)
            }
        };
        self.known().trouble.clone_from(&trouble);
        trouble
    }
}

/// One worker's end of the line.
pub(super) struct Handset {
    /// None where no gateway is configured.
    pub(super) gateway: Option<HttpGateway>,
    pub(super) line: Arc<Line>,
}

impl Gateway for Handset {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        let answer = match &self.gateway {
            Some(gateway) => gateway.turn(turn, progress),
            None => Err(GatewayError::new(Class::Closed, Why::NoGateway, None)),
        };
        let mut known = self.line.known();
        if known.sessions.len() < SESSIONS_MAX {
            let name = known.hasher.hash_one(turn.session.expose());
            known.sessions.insert(name);
        }
        match &answer {
            Ok(_) => {
                known.last_reply = Some(SystemClock.now());
                known.last_error = None;
                known.trouble = None;
            }
            Err(error) => known.last_error = Some(error.to_string()),
        }
        answer
    }

    fn recover(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Recovered, GatewayError> {
        match &self.gateway {
            Some(gateway) => gateway.recover(session, agent, mark),
            None => Err(GatewayError::new(Class::Closed, Why::NoGateway, None)),
        }
    }

    fn abort(&self, session: &SessionKey, agent: &str, run: Option<&str>) -> Result<bool, GatewayError> {
        match &self.gateway {
            Some(gateway) => gateway.abort(session, agent, run),
            None => Err(GatewayError::new(Class::Closed, Why::NoGateway, None)),
        }
    }
}
