//! Explains all deliveries of a task or of an agent.

use std::time::Duration;

use super::cost::cost_of_all;
use super::finding::{Brief, Finding};
use super::service_condition::ServiceCondition;
use super::stops::{StoppedByBrake, stops};
use super::turn_state::TurnState;
use super::why::{Case, brief, one, title};
use crate::delivery::End;
use crate::delivery::operator_requests::Place;
use mcr_model::clock::Millis;

/// Explains several deliveries by the most relevant one: an open one, else one that the loop brake has stopped, else one
/// given up, else the last. What stops them stands first. `None` if there are none.
pub fn many(
    id: &str,
    cases: &[Case],
    condition: &ServiceCondition,
    stopped: &StoppedByBrake,
    silence: Duration,
    now: Millis,
) -> Option<Finding> {
    let open = |case: &&Case| case.closed.is_none();
    let dead = |case: &&Case| matches!(case.closed, Some((_, Some(End::Dead(_)))));
    let oldest = cases.iter().filter(open).min_by_key(|case| (order(case), case.work.created_at()));
    let last = |wanted: &dyn Fn(&&Case) -> bool| {
        cases.iter().filter(|case| wanted(case)).max_by_key(|case| case.closed.as_ref().map(|(at, _)| *at))
    };
    let answered = |case: &&Case| matches!(case.closed, Some((_, Some(End::Answered(_) | End::Kept(_)))));
    let telling = oldest
        .or_else(|| last(&|case| stopped.has(case)))
        .or_else(|| last(&dead))
        .or_else(|| last(&answered))
        .or_else(|| last(&|_| true))?;
    let finding = one(telling, condition, silence, now);
    let (waiting, given_up) = (cases.iter().filter(open).count(), cases.iter().filter(dead).count());
    let ended = cases.len() - waiting - given_up;
    let which = &finding.id;
    let is_asked = |case: &Case| case.work.track.agent == id || case.agent.eq_ignore_ascii_case(id);
    let asked = cases.iter().find(|case| is_asked(case));
    let asked = asked.map(|case| (case.agent.as_str(), case.work.track.agent.as_str()));
    let mut what = stops(cases, condition, stopped, asked);
    what.push(format!(
        "{waiting} open, {given_up} given up, {ended} ended. Most relevant: {which}: {}",
        finding.what
    ));
    let mut deliveries: Vec<Brief> = cases.iter().map(|case| brief(case, condition, silence, now)).collect();
    deliveries.sort_by_key(|brief| brief.at);
    Some(Finding {
        id: id.to_owned(),
        what: what.join(" "),
        title: if cases.iter().all(|case| case.work.track.task().is_some_and(|task| task.as_str() == id)) {
            cases.iter().rev().find_map(title)
        } else {
            None
        },
        cost: cost_of_all(cases),
        steps: Vec::new(),
        left_out: 0,
        deliveries,
        ..finding
    })
}

/// A stuck turn is more relevant than a row that waits behind it.
fn order(case: &Case) -> u8 {
    match (&case.place, case.turn.as_ref().map(|turn| turn.state)) {
        (_, Some(TurnState::Stuck)) => 0,
        (Some(Place::Behind(_) | Place::BehindUnreadable(_)), _) => 2,
        _ => 1,
    }
}
