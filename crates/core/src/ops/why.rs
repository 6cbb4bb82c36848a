//! Explains a unit of work: what happened, why, and what happens next and when.
//!
//! The answer has three sentences and the timeline. Ended work is explained by its outcome. Open work is
//! explained by its position and by what blocks it: first what blocks every delivery ([`ServiceCondition`]),
//! then its own last trouble.

use std::sync::Arc;
use std::time::Duration;

use super::after_end;
use super::cost::{asked, attempts, cost};
use super::finding::{Brief, Finding};
use super::service_condition::ServiceCondition;
use super::turn_state::TurnState;
use crate::delivery::cause::Cause;
use crate::delivery::journal::{RecordedStep, Step};
use crate::delivery::operator_requests::Place;
use crate::delivery::policy::Skip;
use crate::delivery::{End, Record, Stage};
use crate::spans::{ago, dotted, sentence, span, times, until};
use crate::work::Work;
use mcr_model::clock::Millis;

/// All facts about one delivery.
#[derive(Clone, Debug)]
pub struct Case {
    /// The work item.
    pub work: Arc<Work>,
    /// The record of what was done.
    pub record: Record,
    /// The agent: its slug, or its id if the slug is unknown.
    pub agent: String,
    /// When it was first recorded.
    pub first_seen: Option<Millis>,
    /// The instant of the next attempt.
    pub not_before: Option<Millis>,
    /// When it ended, and its outcome if this version understands it.
    pub closed: Option<(Millis, Option<End>)>,
    /// Its steps.
    pub steps: Vec<RecordedStep>,
    /// How many steps in the middle are left out.
    pub left_out: u64,
    /// The last trouble.
    pub trouble: Option<String>,
    /// Its position in the running service.
    pub place: Option<Place>,
    /// Its turn, if one is active or stuck.
    pub turn: Option<TurnStatus>,
}

/// An active turn.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnStatus {
    /// The state.
    pub state: TurnState,
    /// When it was sent, or found stuck.
    pub since: Millis,
    /// The time since the last sign of life.
    pub quiet: Duration,
}

/// The state of work that has ended and is not recorded yet: a moment later more is known.
pub const CLOSING: &str = "closing";

/// The explanation of one delivery.
struct Explanation {
    state: &'static str,
    what: String,
    why: String,
    next: String,
    next_at: Option<Millis>,
}

/// Explains one delivery. `silence` is how long a turn may show no sign of life.
pub fn one(case: &Case, condition: &ServiceCondition, silence: Duration, now: Millis) -> Finding {
    let explanation = explain(case, condition, silence, now);
    let besides = condition.besides().map_or(String::new(), |words| format!(" {words}"));
    Finding {
        id: case.work.id.to_string(),
        state: explanation.state.to_owned(),
        what: format!("{} for {}: {}", name_of(case), case.agent, explanation.what),
        why: format!("{}{besides}", explanation.why),
        next: explanation.next,
        next_at: explanation.next_at,
        title: title(case),
        cost: cost(&case.record),
        unposted: unposted(case),
        steps: case.steps.clone(),
        left_out: case.left_out,
        evidence: None,
        deliveries: Vec::new(),
    }
}

/// One delivery in a line.
pub fn brief(case: &Case, condition: &ServiceCondition, silence: Duration, now: Millis) -> Brief {
    let explanation = explain(case, condition, silence, now);
    Brief {
        id: case.work.id.to_string(),
        kind: case.work.name(),
        agent: case.agent.clone(),
        task: case.work.track.task().map(ToString::to_string),
        title: title(case),
        state: explanation.state.to_owned(),
        at: case.closed.as_ref().map_or_else(|| case.work.created_at(), |(at, _)| *at),
        words: format!("{} {}", explanation.what, explanation.why),
        why: explanation.why,
        next: explanation.next,
        cost: cost(&case.record),
        failed: attempts(&case.record),
        unposted: case.record.unposted.is_some(),
    }
}

pub(super) fn title(case: &Case) -> Option<String> {
    Some(case.record.title.clone()).filter(|title| !title.is_empty())
}

fn explain(case: &Case, condition: &ServiceCondition, silence: Duration, now: Millis) -> Explanation {
    match &case.closed {
        Some((at, end)) => ended(case, *at, end.as_ref(), now),
        None => match case.place {
            Some(Place::Running) => at_work(case, condition, silence, now),
            None if condition.runs => just_now(case),
            _ => waiting(case, condition, now),
        },
    }
}

/// Explains ended work by its outcome.
fn ended(case: &Case, at: Millis, end: Option<&End>, now: Millis) -> Explanation {
    let nothing = "Done. No action needed.".to_owned();
    let when = ago(at, now);
    // The backend's clock may be ahead of ours, and a later message moves the creation of a thread update.
    let from =
        case.first_seen.map_or_else(|| case.work.created_at(), |seen| seen.min(case.work.created_at()));
    let took = span(at.since(from));
    let asked =
        format!("The agent was {}; the delivery ended {took} after its creation.", asked(&case.record));
    let reason = |why: String| sentence(&why);
    let (what, why, next) = match end {
        Some(End::Answered(messages)) => {
            let count = if *messages == 1 { String::new() } else { format!(" in {messages} messages") };
            (format!("answered{count} {when}."), asked, nothing)
        }
        Some(End::Kept(_)) => (
            format!("answered {when}."),
            "It has no thread to stand in, so the answer is kept here.".to_owned(),
            nothing,
        ),
        Some(End::Silent(how)) => (
            format!("ended without an answer {when}."),
            reason(format!("{}; none was required", how.explain())),
            nothing,
        ),
        Some(End::Unanswered(how)) => (
            format!("the agent should have answered and did not, {when}."),
            reason(format!("asked {}, {}", times(case.record.failures.of(Cause::Silence).max(1)), how.explain())),
            "Nothing happens until you act: mention the agent to ask again, and check its session and its model at the gateway."
                .to_owned(),
        ),
        Some(End::Skipped(why)) => {
            let next = if *why == Skip::TeamLimit { after_end::team_limit(case) } else { nothing };
            (format!("not sent to the agent, {when}."), reason(why.explain().to_owned()), next)
        }
        Some(End::Gone) => (
            format!("it no longer existed, {when}."),
            "It was deleted, or settled elsewhere.".to_owned(),
            nothing,
        ),
        Some(End::Stopped) => {
            let (why, next) = after_end::stopped(&case.work);
            (format!("stopped {when}."), reason(why.to_owned()), next.to_owned())
        }
        Some(End::Dead(why)) => (format!("given up {when}."), sentence(why), after_end::dead(case)),
        Some(End::Missed(why)) => (
            format!("given up {when}."),
            sentence(why),
            "The agent's next heartbeat comes after its interval. No action needed, unless they all fail."
                .to_owned(),
        ),
        Some(End::Dropped(why)) => {
            (format!("closed permanently by a person, {when}."), format!("It had been given up: {}", dotted(why)), nothing)
        }
        Some(End::Folded(cover)) => (
            format!("answered together with a later notification {when}."),
            format!("The turn of {cover} had its text; `why {cover}` shows that turn."),
            nothing,
        ),
        None => (
            format!("ended {when}."),
            "It ended in a way that this version does not know.".to_owned(),
            nothing,
        ),
    };
    Explanation { state: end.map_or("over", End::name), what, why, next, next_at: None }
}

/// Explains work that a worker has.
fn at_work(case: &Case, condition: &ServiceCondition, silence: Duration, now: Millis) -> Explanation {
    let explanation = |what: String, why: String, next: String, next_at| Explanation {
        state: "working",
        what,
        why,
        next,
        next_at,
    };
    let Some(turn) = &case.turn else {
        let doing = match &case.record.stage {
            Stage::Fresh => "it is about to be sent to the agent",
            Stage::Working(_) => "a tool call of the agent is running",
            Stage::Answered(_) | Stage::Notice(_) => "the agent's answer is being posted",
            Stage::Ended(_) => "it is being marked as settled",
        };
        let why = condition.backend.as_ref().map_or_else(
            || "A worker is processing it.".to_owned(),
            |why| format!("Mission Control is unavailable: {}", dotted(why)),
        );
        return explanation(format!("{doing}."), why, "The next step follows at once.".to_owned(), None);
    };
    let at = Millis::default().max(now - turn.quiet) + silence;
    let quiet = span(turn.quiet);
    let what = format!("the agent has been working on it for {}.", span(now.since(turn.since)));
    let why = match turn.state {
        TurnState::Waiting => {
            "The gateway has not started its turn: it is busy with other turns of this service.".to_owned()
        }
        TurnState::Quiet => format!("No sign of life for {quiet}; the model may be thinking."),
        TurnState::Stuck => format!("Its turn is stuck: no sign of life for {quiet}."),
        TurnState::Working => format!("Its last sign of life was {quiet} ago."),
    };
    let next = format!(
        "Its answer is posted when it arrives; without a sign of life its session is checked {}.",
        until(at, now)
    );
    Explanation { next_at: Some(at), ..explanation(what, why, next, None) }
}

/// The ledger lists it as open, and the service does not know it: its outcome is being written.
fn just_now(case: &Case) -> Explanation {
    Explanation {
        state: CLOSING,
        what: "it ended just now.".to_owned(),
        why: "Its outcome is being recorded.".to_owned(),
        next: format!("Run `why {}` again.", case.work.id),
        next_at: None,
    }
}

/// Explains open work that no worker has.
fn waiting(case: &Case, condition: &ServiceCondition, now: Millis) -> Explanation {
    let turns = matches!(case.record.stage, Stage::Fresh | Stage::Working(_));
    let blocks = condition.blocks(&case.agent, &case.work.track.agent, turns);
    let own = own_trouble(case);
    let rest = match (&case.place, case.not_before) {
        (Some(Place::Rests(at)), _) => Some(*at),
        (None, at) => at,
        _ => None,
    };
    let seen = format!("open; it was created {}.", ago(case.work.created_at(), now));
    if let Some((first, others)) = blocks.split_first() {
        let others: Vec<String> = others.iter().map(|other| format!(" Also: {other}")).collect();
        let others = others.concat();
        // The cause of the block is usually the trouble of the row itself.
        let own =
            own.filter(|own| condition.runs && condition.gateway.is_none() && !first.contains(own.as_str()));
        let own = own.map_or(String::new(), |own| format!(" Its own last trouble: {own}"));
        let next = if condition.runs {
            "It continues by itself once that is resolved; meanwhile no attempt is counted."
        } else {
            "It continues from its last recorded step when the service runs again."
        };
        return Explanation {
            state: "held",
            what: seen,
            why: format!("{first}{others}{own}"),
            next: next.to_owned(),
            next_at: None,
        };
    }
    if let (Some(Place::Behind(_)), Some(cover)) = (&case.place, &case.record.folded_into) {
        let why = format!("The turn of {cover}, of the same agent and task, has its text and answers it.");
        let next = format!("It ends with {cover}; if that gets no answer, this one starts by itself.");
        return Explanation { state: "waiting", what: seen, why, next, next_at: None };
    }
    if let Some(Place::Behind(first)) = &case.place {
        let why = format!("Another delivery of the same agent and task comes first: {first}.");
        let next = format!(
            "This one starts when {first} ends, or after {first} has failed twice; `why {first}` shows its state."
        );
        return Explanation { state: "waiting", what: seen, why, next, next_at: None };
    }
    if let Some(Place::Limited(why)) = &case.place {
        let next =
            "It starts by itself once the limit allows that; meanwhile no attempt is counted.".to_owned();
        return Explanation { state: "waiting", what: seen, why: why.clone(), next, next_at: None };
    }
    if let Some(Place::BehindUnreadable(first)) = &case.place {
        let why = format!(
            "The row of {first}, of the same agent and task, comes first: a newer version wrote it, and this version leaves it \
             untouched."
        );
        let next = format!(
            "It follows once the newer version runs again, or once you close that row: `dead drop {first}`."
        );
        return Explanation { state: "waiting", what: seen, why, next, next_at: None };
    }
    let why = own.unwrap_or_else(|| "It waits for a free worker.".to_owned());
    match rest {
        Some(at) => {
            let what = match (attempts(&case.record), &case.record.stage) {
                (_, Stage::Answered(_) | Stage::Notice(_)) => {
                    "answered; the answer is not in the thread yet.".to_owned()
                }
                (0, _) => "it waits for its next attempt.".to_owned(),
                (count, _) => format!("tried {}, and still open.", times(count)),
            };
            let next = format!("It is tried again {}.", until(at, now));
            Explanation { state: "resting", what, why, next, next_at: Some(at) }
        }
        None => Explanation {
            state: "waiting",
            what: seen,
            why,
            next: "It begins as soon as possible.".to_owned(),
            next_at: None,
        },
    }
}

/// The last trouble, as a sentence.
fn own_trouble(case: &Case) -> Option<String> {
    let in_the_way = [Step::Rests, Step::Restarted].map(Step::name);
    let last =
        case.steps.last().filter(|step| in_the_way.contains(&&*step.step)).map(|step| step.words.clone());
    case.trouble.clone().or(last).map(|words| sentence(&words))
}

fn name_of(case: &Case) -> String {
    sentence(&case.work.title()).trim_end_matches('.').to_owned()
}

fn unposted(case: &Case) -> Option<String> {
    match (&case.record.unposted, &case.closed, &case.record.stage) {
        (Some(left), _, _) => Some(left.text()),
        (None, Some((_, Some(End::Kept(text)))), _) => Some(text.clone()),
        (None, None, Stage::Answered(answer)) => Some(answer.rest().text()),
        _ => None,
    }
}
