//! What stops the agents of a task, or an agent: the loop brake, a budget, a pause or the ceiling. Each stop is a sentence
//! with its remedy, and stands before everything else in the answer to "why?".

use std::collections::HashMap;

use super::{Case, ServiceCondition};
use crate::delivery::End;
use crate::delivery::operator_requests::Place;
use crate::delivery::policy::Skip;
use crate::guardrails::CountStart;
use mcr_model::TaskId;

/// The threads that the loop brake has stopped, each with the latest start of its count.
#[derive(Clone, Debug, Default)]
pub struct StoppedByBrake(HashMap<TaskId, CountStart>);

impl StoppedByBrake {
    /// From all known deliveries.
    pub fn of(cases: &[Case]) -> Self {
        let mut starts: HashMap<TaskId, CountStart> = HashMap::new();
        for case in cases {
            let (Some(task), Some(team)) = (case.work.track.task(), &case.record.team) else { continue };
            let start = team.latest_start(case.closed.is_none());
            let latest = starts.entry(task.clone()).or_default();
            *latest = start.max(*latest);
        }
        Self(starts)
    }

    /// Whether the delivery was stopped, and no person has let its thread continue since.
    pub fn has(&self, case: &Case) -> bool {
        let is_stopped = matches!(case.closed, Some((_, Some(End::Skipped(Skip::TeamLimit)))));
        let start = case.record.team.as_ref().map(|team| team.start).unwrap_or_default();
        let latest = case.work.track.task().and_then(|task| self.0.get(task));
        is_stopped && latest.is_none_or(|latest| start >= *latest)
    }
}

/// What stops these deliveries, the widest stop first. `agent` is the slug and the id of the agent that was asked about.
pub(super) fn stops(
    cases: &[Case],
    condition: &ServiceCondition,
    stopped: &StoppedByBrake,
    agent: Option<(&str, &str)>,
) -> Vec<String> {
    let open = || cases.iter().filter(|case| case.closed.is_none());
    let mut found: Vec<String> = Vec::new();
    let agents = open().map(|case| (case.agent.as_str(), case.work.track.agent.as_str())).chain(agent);
    for (slug, id) in agents {
        found.extend(condition.stops(slug, id));
    }
    found.extend(by_brake(cases, stopped));
    found.extend(open().filter_map(|case| match &case.place {
        Some(Place::Limited(why)) => Some(why.clone()),
        _ => None,
    }));
    let mut seen = Vec::new();
    for stop in found {
        if !seen.contains(&stop) {
            seen.push(stop);
        }
    }
    seen
}

fn by_brake(cases: &[Case], stopped: &StoppedByBrake) -> Option<String> {
    let rows: Vec<&Case> = cases.iter().filter(|case| stopped.has(case)).collect();
    let last = rows.last()?;
    let mut tasks: Vec<&TaskId> = rows.iter().filter_map(|case| case.work.track.task()).collect();
    tasks.sort_unstable();
    tasks.dedup();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (threads, rows) = (tasks.len(), rows.len());
    Some(format!(
        "The loop brake has stopped the agents in {threads} thread{}, with {rows} notification{} unsent; a person's message \
         in the thread, or `dead retry {}`, lets them continue.",
        plural(threads),
        plural(rows),
        last.work.id,
    ))
}
