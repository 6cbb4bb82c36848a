//! What agents call over HTTP, and what an earlier process has left for it, put together for the running service.

use std::sync::Arc;

use log::warn;

use super::House;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Settings;
use crate::delivery::service::View;
use crate::gateway::client::Choice;
use crate::heartbeat::keeper::Keeper;
use crate::http::agent_api::near::Near;
use crate::http::agent_api::{AgentApi, DOCUMENT_BYTES, Setup};
use crate::http::server::Limits;
use crate::ledger::Ledger;
use crate::model::AccountId;
use crate::roster::Team;
use crate::sessions::{Sessions, names};

/// A call of an agent goes as far as TLS and the backend's nested JSON; memory that is not touched costs nothing.
const STACK_BYTES: usize = 1024 * 1024;

/// What the service's own server allows.
pub(super) fn limits() -> Limits {
    Limits { stack_bytes: STACK_BYTES, ..Limits::default() }
        .with_body_limit("/agent/document", DOCUMENT_BYTES)
}

/// What an earlier process has left that agents are to hear of, where the ledger is; without a place to write it is only
/// remembered.
pub(super) fn open_wakes(settings: &Settings, ledger: &Ledger) -> Keeper {
    let account = AccountId::new(&settings.account.id);
    match ledger.state().off {
        Some(why) => Keeper::in_memory(&account, why),
        None => Keeper::open(&settings.state_dir, &account, SystemClock.now()),
    }
}

/// How conversations are named at the gateway: as an earlier process has chosen, or as the first turn will.
pub(super) fn open_names(settings: &Settings, ledger: &Ledger) -> Choice {
    let directory = settings.state_dir.clone();
    if ledger.state().off.is_some() {
        return Choice::open(|_| {});
    }
    match names::chosen(&directory) {
        Some(names) => Choice::made(names),
        None => Choice::open(move |chosen| names::keep(&directory, chosen)),
    }
}

/// The sessions that an earlier process has issued, where the ledger is; without a place to write they are only
/// remembered.
pub(super) fn open_sessions(settings: &Settings, ledger: &Ledger) -> Sessions {
    let account = AccountId::new(&settings.account.id);
    if ledger.state().off.is_some() {
        return Sessions::in_memory(account);
    }
    let sessions = Sessions::open(&settings.state_dir, account, SystemClock.now());
    if let Some(why) = sessions.off() {
        warn!("agents are unknown after a restart until something is delivered to them: {why}");
    }
    sessions
}

impl House<'_> {
    /// The doors for agents.
    pub(super) fn doors(&self, team: &Team, port: u16, view: View) -> AgentApi {
        let settings = self.settings;
        let base_url = settings.http.base_url(port);
        let hosts = [settings.http.host.as_str(), base_url.host()];
        let (inflight, stop) = (view.inflight().clone(), self.switches.calls.clone());
        AgentApi::new(Setup {
            mission: self.ways.patient.mission(settings, &self.switches.calls),
            team: team.clone(),
            sessions: self.sessions.clone(),
            inflight,
            journal: self.ledger.clone(),
            made: self.made.clone(),
            clock: Arc::new(SystemClock),
            stir: Box::new(move || view.nudge()),
            wait: Box::new(move |pause| {
                stop.wait(pause);
            }),
            near: Near::new(&settings.http.agents_from, hosts),
            tokens: settings.http.session_tokens,
            calls_max: settings.delivery.tool_calls_max,
            redactor: self.redactor.clone(),
            metrics: self.state.metrics.clone(),
            wakes: self.wakes.clone(),
            main_session: settings.gateway.main_session.clone(),
            session_scope: settings.gateway.session_scope,
        })
    }
}
