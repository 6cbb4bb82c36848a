//! The turns that wait because the gateway does not have their agents.

use std::collections::HashSet;
use std::sync::PoisonError;

use super::Operator;
use mcr_core::delivery::operator_requests::OperatorRequest;
use mcr_core::gateway_config::Form;
use mcr_core::ops::MissingAgents;
use mcr_model::Roster;
use mcr_service::delivery::service::View;

impl Operator {
    /// The agents of the roster that the gateway does not have.
    pub(in crate::app::run) fn missing_agents(&self) -> MissingAgents {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The agents of the roster that this list of the gateway lacks.
    pub(in crate::app::run) fn missing_in(&self, listed: Option<&[String]>, form: Form) -> MissingAgents {
        let roster = self.roster();
        MissingAgents::compare(roster.agents().iter().map(|agent| agent.slug.as_str()), listed, form)
    }

    /// The slugs of the agents with these ids, in order. An agent that the roster lacks keeps its id.
    pub(in crate::app::run) fn slugs(&self, ids: Option<Vec<String>>) -> Vec<String> {
        let Some(ids) = ids.filter(|ids| !ids.is_empty()) else { return Vec::new() };
        let roster = self.roster();
        let slug = |id: String| {
            let known = roster.agents().iter().find(|agent| agent.id.as_str() == id);
            known.map_or(id, |agent| agent.slug.clone())
        };
        let mut slugs: Vec<String> = ids.into_iter().map(slug).collect();
        slugs.sort();
        slugs
    }

    /// Gives the dispatcher the agents whose turns wait. Returns whether they have changed. If the dispatcher does not
    /// answer, nothing has changed, so that the next call tries again.
    pub(in crate::app::run) fn hold_missing(&self, missing: &MissingAgents, view: Option<&View>) -> bool {
        let Some(view) = view else { return false };
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.missing_agents();
        if *missing == before {
            return false;
        }
        let keep = |missing: &MissingAgents| {
            missing.clone_into(&mut self.missing.lock().unwrap_or_else(PoisonError::into_inner));
        };
        keep(missing);
        let applied = view.ask(OperatorRequest::Hold(self.hold())).is_some();
        if !applied {
            keep(&before);
        }
        applied
    }
}

/// The missing agents by id.
pub(super) fn ids(missing: &MissingAgents, roster: &Roster) -> HashSet<String> {
    missing.slugs().filter_map(|slug| roster.by_slug(slug)).map(|agent| agent.id.to_string()).collect()
}
