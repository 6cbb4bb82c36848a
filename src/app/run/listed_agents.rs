//! The gateway's own list of its agents, as probes and turns find it.
//!
//! An agent that the list lacks gets no turn. Some releases would let a stranger answer in its name, and others refuse
//! the turn. A list that was lost changes nothing. A gateway that answers without a list, or with an empty one, proves
//! nothing about any agent, so every agent gets its turns. A list of other agents only holds every turn, and says so: it
//! probably belongs to another gateway.

use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{info, warn};

use super::state::State;
use mcr_clients::gateway::{AgentList, HttpGateway};
use mcr_core::gateway::{Class, GatewayError, Why};
use mcr_core::gateway_config::Form;
use mcr_core::ops::MissingAgents;

/// The last list.
#[derive(Debug, Default)]
pub(super) struct ListedAgents(Mutex<AgentList>);

impl ListedAgents {
    fn list(&self) -> MutexGuard<'_, AgentList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last list, or why there is none.
    pub(super) fn now(&self) -> AgentList {
        self.list().clone()
    }

    /// Takes the result of a request for the list. Returns whether the list is new.
    pub(super) fn heard(&self, found: AgentList) -> bool {
        let mut list = self.list();
        if found == AgentList::Unknown || *list == found {
            return false;
        }
        if found == AgentList::NotShown {
            info!("The gateway does not list its agents, so a missing agent is found out only by its turns");
        }
        *list = found;
        true
    }

    /// Refuses the turn of an agent that a new list lacks. The list is requested again only if the last one lacks the
    /// agent, too.
    pub(super) fn admit(&self, gateway: &HttpGateway, agent: &str) -> Result<(), GatewayError> {
        if self.now().has(agent) {
            return Ok(());
        }
        self.heard(gateway.agent_list());
        if self.now().lacks(agent) {
            let words = "its list of agents lacks this one";
            return Err(GatewayError::new(Class::Refused, Why::UnknownAgent, Some(words)));
        }
        Ok(())
    }
}

impl State {
    /// Compares the roster with the gateway's list, and holds the turns of the agents that the list lacks. Before that, the
    /// list is requested again: agents are often added to the gateway and to the account at the same time.
    pub(super) fn follow_listed_agents(&self, gateway: Option<&HttpGateway>) {
        let compare = || {
            let form = self.gateway.release().map_or(Form::Entries, Form::of);
            self.operator.missing_in(self.gateway.agents.now().listed(), form)
        };
        let mut missing = compare();
        if let (Some(gateway), false) = (gateway, missing.is_empty()) {
            self.gateway.agents.heard(gateway.agent_list());
            missing = compare();
        }
        if !self.operator.hold_missing(&missing, self.delivery()) {
            return;
        }
        match missing.explain() {
            Some(reason) => warn!(
                agents = missing.report().agents.join(", "),
                reason = self.excerpt(&reason);
                "The gateway does not know agents of the account, so their work waits"
            ),
            None => info!("The gateway knows all agents of the account"),
        }
    }

    /// The agents of the account that the gateway does not have.
    pub(super) fn missing_agents(&self) -> MissingAgents {
        self.operator.missing_agents()
    }
}
