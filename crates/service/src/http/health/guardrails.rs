//! The guardrails in `/health`: their limits, and what they have stopped.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{DeliveryHealth, Parts};
use mcr_config::EffectiveRow;
use mcr_core::guardrails::TeamLimit;
use mcr_core::guardrails::budget::ScopeReport;
use mcr_core::ops::HealthReason;
use mcr_core::spans::counted;

/// The limits of the guardrails.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "these are the variables' names")]
pub struct GuardrailsConfig {
    pub team_turns_max: u32,
    pub team_turns_per_progress: u32,
    pub team_turns_hard_max: u32,
    pub team_depth_max: u32,
}

/// What the guardrails have stopped.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailsHealth {
    /// How many threads wait for a person because of the loop brake.
    pub stopped_threads: usize,
    /// How often the loop brake has stopped a thread.
    pub team_stops: u64,
    /// How many threads wait because of each limit, by its variable.
    pub stopped_by: BTreeMap<&'static str, usize>,
}

/// Every variable of the guardrails with its value and state, in the order of the documents.
#[derive(Clone, Debug, Default)]
pub struct Guardrails(pub Vec<(&'static str, Guardrail)>);

/// One variable of the guardrails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guardrail {
    /// The value; none if the variable is not set and has no default.
    pub value: Option<String>,
    /// Whether the value is the default.
    pub is_default: bool,
    /// Whether it holds work back now.
    pub holds: bool,
    /// What it does now, in words.
    pub state: String,
}

impl Serialize for Guardrails {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, guardrail)| (name, guardrail)))
    }
}

impl Guardrails {
    /// The configured guardrails in the state of the service.
    pub fn of(rows: &[EffectiveRow], parts: &Parts) -> Self {
        let describe = |row: &EffectiveRow| {
            let (holds, state) = state(row.name, parts)?;
            // A limit of 0 is off. The other zeros have a meaning of their own.
            let is_off = row.value.as_deref() == Some("0") && row.name != "TEAM_TURNS_PER_PROGRESS";
            let state = if is_off { "off".to_owned() } else { state };
            let (value, is_default) = (row.value.clone(), !row.origin.is_given());
            Some((row.name, Guardrail { value, is_default, holds, state }))
        };
        Self(rows.iter().filter_map(describe).collect())
    }
}

/// Whether the guardrail holds work back, and its state in words. `None` for an unknown variable.
fn state(variable: &str, parts: &Parts) -> Option<(bool, String)> {
    let Parts { gateway, delivery, budget, .. } = parts;
    let limits = &delivery.limits;
    let calm = |words: String| (false, words);
    Some(match variable {
        "TEAM_TURNS_MAX" | "TEAM_TURNS_HARD_MAX" | "TEAM_DEPTH_MAX" => stopped(variable, delivery),
        "TEAM_TURNS_PER_PROGRESS" => calm("counted in each thread".to_owned()),
        "AGENT_TURNS_PER_MINUTE" if limits.agent_turns_resume_at.is_some() => {
            (true, format!("{} of agents wait for the next minute", notifications(limits.agent_rows_waiting)))
        }
        "AGENT_TURNS_PER_MINUTE" => {
            calm(format!("{} of agents since the start", counted(limits.agent_turns, "request")))
        }
        "PEOPLE_RESERVE" => calm(format!(
            "{} of {} workers kept for people",
            limits.reserved_workers, delivery.config.max_concurrent_sessions
        )),
        "FOLD_MAX" => calm(format!(
            "{} answered in the turn of another one since the start",
            notifications(ended(delivery, "folded"))
        )),
        "WAKE_ON" => {
            let skipped = delivery.skipped.get("not-addressed").copied().unwrap_or_default();
            calm(format!("{} skipped since the start", counted(skipped, "notification")))
        }
        "DONE_POLICY" => calm("shows marks only; it stops nothing".to_owned()),
        "DELIVERY_MAX_TURNS" if gateway.trouble == Some(HealthReason::TurnLimitReached) => {
            (true, "reached; no turn starts".to_owned())
        }
        "DELIVERY_MAX_TURNS" => calm("not reached".to_owned()),
        "BUDGET_DAILY_TOKENS" => {
            of_budget(parts, |scope| scope.agent.is_none() && scope.limits.tokens.is_some())
        }
        "BUDGET_DAILY_USD" => {
            of_budget(parts, |scope| scope.agent.is_none() && scope.limits.nano_dollars.is_some())
        }
        "BUDGET_AGENTS" => of_budget(parts, |scope| scope.agent.is_some()),
        "BUDGET_TIME_ZONE" => calm(budget.as_ref().map_or_else(
            || "no budget is set".to_owned(),
            |budget| format!("{} ends at {}", budget.day, budget.ends_at),
        )),
        "BUDGET_PRICES" => calm(budget.as_ref().map_or_else(
            || "no budget is set".to_owned(),
            |budget| {
                let unpriced: u64 = budget.scopes.first().map_or(0, |account| account.unpriced_tokens);
                format!("{} without a price today", counted(unpriced, "token"))
            },
        )),
        _ => return None,
    })
}

/// The state of a limit of the loop brake.
fn stopped(variable: &str, delivery: &DeliveryHealth) -> (bool, String) {
    match delivery.guardrails.stopped_by.get(variable).copied().unwrap_or_default() {
        0 => (false, "no thread is stopped".to_owned()),
        1 => (true, "1 thread waits for a person".to_owned()),
        count => (true, format!("{count} threads wait for a person")),
    }
}

/// The state of the budgets that this variable sets.
fn of_budget(parts: &Parts, sets: impl Fn(&ScopeReport) -> bool) -> (bool, String) {
    let scopes = parts.budget.iter().flat_map(|budget| &budget.scopes).filter(|scope| sets(scope));
    let scopes: Vec<&ScopeReport> = scopes.collect();
    let words = scopes.iter().map(|scope| match &scope.agent {
        Some(agent) => format!("{agent}: {}", scope.words),
        None => scope.words.clone(),
    });
    let words: Vec<String> = words.collect();
    let holds = scopes.iter().any(|scope| scope.reached);
    (holds, if words.is_empty() { "no limit".to_owned() } else { words.join("; ") })
}

fn ended(delivery: &DeliveryHealth, end: &str) -> usize {
    usize::try_from(delivery.ended.get(end).copied().unwrap_or_default()).unwrap_or(usize::MAX)
}

fn notifications(count: usize) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), "notification")
}

/// How many stopped threads have reached each limit.
pub fn stopped_by(limits: impl Iterator<Item = TeamLimit>) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for limit in limits {
        *counts.entry(limit.variable()).or_default() += 1;
    }
    counts
}
