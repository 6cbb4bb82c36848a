//! The operators' side of the daily budgets: their requests, and the turns that a used-up budget holds.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use log::info;
use serde_json::json;

use super::missing::ids;
use super::{Operator, ServiceState, too_busy};
use mcr_core::delivery::operator_requests::{Hold, OperatorRequest, Spent};
use mcr_core::guardrails::budget::{NO_BUDGET, Report, Scope};
use mcr_core::ops::pause::find;
use mcr_core::spans::sentence;
use mcr_http::message::Reply;
use mcr_model::Roster;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::spending::Limits;
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_service::delivery::service::View;
use mcr_service::http::operator::Raise;

impl Operator {
    /// The pauses, the budgets that are reached, and the missing agents, in the dispatcher's terms.
    pub(in crate::app::run) fn hold(&self) -> Hold {
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let roster = self.roster();
        let missing = ids(&self.missing_agents(), &roster);
        let paused = self.paused().hold(&roster);
        let all = paused.all || self.drains.load(Ordering::Relaxed);
        Hold { spent: spent(&full, &roster), missing, all, ..paused }
    }

    /// Lets new turns wait before a restart, or ends that. Returns whether the dispatcher knows it.
    pub(in crate::app::run) fn hold_for_restart(&self, drains: bool, view: &View) -> bool {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.drains.store(drains, Ordering::Relaxed);
        view.ask(OperatorRequest::Hold(self.hold())).is_some()
    }

    /// Whether a pause, a budget or the list of missing agents names an agent.
    pub(super) fn names_agents(&self) -> bool {
        if !self.missing_agents().is_empty() {
            return true;
        }
        let full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        full.iter().any(|scope| *scope != Scope::Account) || !self.paused().agents.is_empty()
    }

    /// Sets the scopes in which no turn may start, before the dispatcher exists.
    pub(in crate::app::run) fn set_full(&self, full: &[Scope]) {
        full.clone_into(&mut self.full.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Gives the dispatcher the scopes in which no turn may start. Returns whether it has them.
    pub(in crate::app::run) fn hold_full(&self, full: &[Scope], view: &View) -> bool {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.set_full(full);
        view.ask(OperatorRequest::Hold(self.hold())).is_some()
    }

    /// Raises a limit of today.
    pub(super) fn raise_budget(&self, wanted: &Raise, env: &ServiceState<'_>) -> Reply {
        let Raise { amount, agent } = wanted;
        self.budget(env, |keeper, now| {
            let limits = Limits::parse(amount)?;
            keeper.raise(&Scope::named(agent.as_deref()), limits, now)?;
            info!(agent = agent.as_deref().unwrap_or("all"), limit:% = limits; "An operator raised a daily budget");
            Ok(())
        })
    }

    /// Starts a count of today from zero.
    pub(super) fn reset_budget(&self, agent: Option<&str>, env: &ServiceState<'_>) -> Reply {
        self.budget(env, |keeper, now| {
            keeper.reset(&Scope::named(agent), now)?;
            info!(agent = agent.unwrap_or("all"); "An operator reset a daily budget");
            Ok(())
        })
    }

    /// Changes the budgets, and shows them.
    pub(super) fn budget(
        &self,
        env: &ServiceState<'_>,
        change: impl FnOnce(&BudgetKeeper, Millis) -> Result<(), String>,
    ) -> Reply {
        let Some(keeper) = env.budget else { return too_busy() };
        let now = SystemClock.now();
        if let Err(why) = change(keeper, now) {
            return Reply::error(400, &self.redactor.clean(&sentence(&why)));
        }
        let report = keeper.report(now);
        let lines = report.as_ref().map_or_else(|| vec![NO_BUDGET.to_owned()], Report::lines);
        Reply::json_of(&json!({"success": true, "budget": report, "lines": lines}))
    }
}

/// The agents of these scopes by id.
fn spent(full: &[Scope], roster: &Roster) -> Spent {
    let ids = full.iter().filter_map(|scope| match scope {
        Scope::Agent(slug) => find(roster, slug).map(|agent| agent.id.to_string()),
        Scope::Account => None,
    });
    Spent { all: full.contains(&Scope::Account), agents: ids.collect() }
}
