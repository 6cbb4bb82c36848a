//! The condition of the service: what blocks every delivery.

use super::{MissingAgents, Paused};
use crate::guardrails::budget::{Held, Reached};
use crate::spans::{dotted, sentence};

/// The state of the service, as far as it affects deliveries.
#[derive(Clone, Debug, Default)]
pub struct ServiceCondition {
    /// Whether the service runs. Otherwise only the ledger is known.
    pub runs: bool,
    /// Why the service could not be started, if it does not run and the reason is known.
    pub mistake: Option<String>,
    /// Why nothing is sent to the gateway, if so.
    pub gateway: Option<String>,
    /// Why the backend is unavailable, if so.
    pub backend: Option<String>,
    /// The evidence for another runtime on the account, if any.
    pub foreign: Option<String>,
    /// Why nothing is recorded, if so.
    pub ledger: Option<String>,
    /// Whether no new delivery begins because of the ledger.
    pub holds: bool,
    /// Why `STATE_DIR` no longer leads to the ledger, if so. Then no new delivery begins either.
    pub displaced: Option<String>,
    /// The paused agents.
    pub paused: Paused,
    /// The daily budgets whose limits are reached.
    pub budget: Held,
    /// The agents that the gateway does not have.
    pub missing: MissingAgents,
}

impl ServiceCondition {
    /// Everything that blocks this agent, the first cause first: sentences with the remedy. `turns` tells
    /// whether a turn is still needed.
    pub fn blocks(&self, slug: &str, id: &str, turns: bool) -> Vec<String> {
        let mut blocks = Vec::new();
        match &self.mistake {
            _ if self.runs => {}
            None => blocks.push("The service does not run; `run` starts it.".to_owned()),
            Some(why) => blocks.push(format!("The service does not run, and cannot start: {}", dotted(why))),
        }
        if turns {
            blocks.extend(self.stops(slug, id));
        }
        blocks.extend(self.foreign.iter().map(|why| sentence(why)));
        blocks.extend(
            self.gateway.iter().filter(|_| turns).map(|why| format!("No turn can begin: {}", dotted(why))),
        );
        blocks.extend(
            self.backend.iter().map(|why| format!("Mission Control is unavailable: {}", dotted(why))),
        );
        blocks.extend(
            self.displaced
                .iter()
                .map(|why| format!("Nothing new begins until STATE_DIR is back: {}", dotted(why))),
        );
        blocks.extend(
            self.ledger.iter().filter(|_| self.holds).map(|why| {
                format!("Nothing new begins until STATE_DIR can be written again: {}", dotted(why))
            }),
        );
        blocks
    }

    /// What stops the turns of this agent: a pause, a budget, or a gateway without the agent. Sentences with the remedy.
    pub fn stops(&self, slug: &str, id: &str) -> Vec<String> {
        let mut stops = Vec::new();
        if self.paused.all {
            stops.push("Everything is paused; `resume` ends that.".to_owned());
        } else if self.paused.holds(slug, id) {
            stops.push(format!("{slug} is paused; `resume --agent {slug}` ends that."));
        }
        // Without an agent the answer is about the account.
        let spent = self.budget.of(slug).filter(|reached| !slug.is_empty() || reached.is_of_account());
        stops.extend(spent.map(Reached::explain));
        stops.extend(self.missing.reason(slug));
        stops
    }

    /// A problem that blocks no delivery.
    pub fn besides(&self) -> Option<String> {
        let ledger = self.ledger.as_ref().filter(|_| !self.holds);
        ledger.map(|why| format!("Nothing is recorded: {}", dotted(why)))
    }
}
