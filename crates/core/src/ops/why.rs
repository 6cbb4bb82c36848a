//! Why: what happened to a unit of work, why, and what happens next and when.
//!
//! The answer is three sentences, and the timeline under them. A row that is over is told from how it ended; one that is
//! not, from where it is and from what stands in its way: what stands in everybody's way first ([`ServiceCondition`]), then what was
//! last in its own.

use std::sync::Arc;
use std::time::Duration;

use super::cost::{asked, attempts, cost, cost_of_all};
use super::finding::{Brief, Finding};
use super::service_condition::{ServiceCondition, dotted, sentence};
use super::turn_state::TurnState;
use crate::delivery::journal::{RecordedStep, Step};
use crate::delivery::operator_requests::Place;
use crate::delivery::{End, Record, Stage, cause};
use crate::spans::{ago, span, times, until};
use crate::work::Work;
use mcr_model::clock::Millis;

/// Everything that is known of one delivery.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is to be done.
    pub work: Arc<Work>,
    /// What has been done for it.
    pub record: Record,
    /// Whose it is: the slug, or the id where that is not known.
    pub agent: String,
    /// When it was first noted.
    pub first_seen: Option<Millis>,
    /// Until when it rests.
    pub not_before: Option<Millis>,
    /// When it ended, and how if that is understood.
    pub closed: Option<(Millis, Option<End>)>,
    /// Its steps.
    pub told: Vec<RecordedStep>,
    /// How many of them were left out in the middle.
    pub left_out: u64,
    /// What was last in its way.
    pub trouble: Option<String>,
    /// Where the running service has it.
    pub place: Option<Place>,
    /// Its turn, if one is under way or stuck.
    pub turn: Option<TurnStatus>,
}

/// A turn under way.
#[derive(Clone, Debug, PartialEq)]
pub struct TurnStatus {
    /// How it does.
    pub state: TurnState,
    /// When it was sent, or found to be stuck.
    pub since: Millis,
    /// How long there has been no sign of life.
    pub quiet: Duration,
}

/// The state of what has ended and is not written down yet: a moment later more is known.
pub const CLOSING: &str = "closing";

/// What there is to say of one delivery.
struct Explanation {
    state: &'static str,
    what: String,
    why: String,
    next: String,
    next_at: Option<Millis>,
}

/// Why one delivery is as it is. `silence` is how long a turn may show no sign of life.
pub fn one(case: &Case, house: &ServiceCondition, silence: Duration, now: Millis) -> Finding {
    let said = say(case, house, silence, now);
    let besides = house.besides().map_or(String::new(), |words| format!(" {words}"));
    Finding {
        id: case.work.id.to_string(),
        state: said.state.to_owned(),
        what: format!("{} for {}: {}", name_of(case), case.agent, said.what),
        why: format!("{}{besides}", said.why),
        next: said.next,
        next_at: said.next_at,
        cost: cost(&case.record),
        unposted: unposted(case),
        steps: case.told.clone(),
        left_out: case.left_out,
        deliveries: Vec::new(),
    }
}

/// Why all of these are as they are, told by the one that matters most: what waits, then what gave up, then the last.
/// None where there are none.
pub fn many(
    id: &str,
    cases: &[Case],
    house: &ServiceCondition,
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
    let telling = oldest.or_else(|| last(&dead)).or_else(|| last(&answered)).or_else(|| last(&|_| true))?;
    let finding = one(telling, house, silence, now);
    let (waiting, given_up) = (cases.iter().filter(open).count(), cases.iter().filter(dead).count());
    let over = cases.len() - waiting - given_up;
    let which = &finding.id;
    let mut deliveries: Vec<Brief> = cases.iter().map(|case| brief(case, house, silence, now)).collect();
    deliveries.sort_by_key(|brief| brief.at);
    Some(Finding {
        id: id.to_owned(),
        what: format!(
            "{waiting} not settled, {given_up} given up, {over} over. What tells most is {which}: {}",
            finding.what
        ),
        cost: cost_of_all(cases),
        steps: Vec::new(),
        left_out: 0,
        deliveries,
        ..finding
    })
}

/// One delivery in a line.
pub fn brief(case: &Case, house: &ServiceCondition, silence: Duration, now: Millis) -> Brief {
    let said = say(case, house, silence, now);
    Brief {
        id: case.work.id.to_string(),
        kind: case.work.name(),
        agent: case.agent.clone(),
        task: case.work.track.task().map(ToString::to_string),
        state: said.state.to_owned(),
        at: case.closed.as_ref().map_or_else(|| case.work.created_at(), |(at, _)| *at),
        words: format!("{} {}", said.what, said.why),
        next: said.next,
        cost: cost(&case.record),
        failed: attempts(&case.record),
        unposted: case.record.unposted.is_some(),
    }
}

/// A turn that is stuck tells more than a row that waits behind it.
fn order(case: &Case) -> u8 {
    match (&case.place, case.turn.as_ref().map(|turn| turn.state)) {
        (_, Some(TurnState::Stuck)) => 0,
        (Some(Place::Behind(_) | Place::BehindUnreadable(_)), _) => 2,
        _ => 1,
    }
}

fn say(case: &Case, house: &ServiceCondition, silence: Duration, now: Millis) -> Explanation {
    match &case.closed {
        Some((at, end)) => over(case, *at, end.as_ref(), now),
        None => match case.place {
            Some(Place::Running) => at_work(case, house, silence, now),
            None if house.runs => just_now(case),
            _ => waiting(case, house, now),
        },
    }
}

/// How it ended.
fn over(case: &Case, at: Millis, end: Option<&End>, now: Millis) -> Explanation {
    let nothing = "Nothing more: it is over.".to_owned();
    let when = ago(at, now);
    // The backend's clock may be ahead of ours, and a later message moves the creation of a thread update.
    let from =
        case.first_seen.map_or_else(|| case.work.created_at(), |seen| seen.min(case.work.created_at()));
    let took = span(at.since(from));
    let asked = format!("The agent was {}; it was over {took} after it was created.", asked(&case.record));
    let silent = |why: String| sentence(&why);
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
            format!("over without an answer {when}."),
            silent(format!("{}, and need not", how.explain())),
            nothing,
        ),
        Some(End::Unanswered(how)) => (
            format!("the agent should have answered and did not, {when}."),
            silent(format!("asked {}, {}", times(case.record.failures.of(cause::SILENCE).max(1)), how.explain())),
            "Nothing by itself: mention the agent to ask again, and look at its session and its model at the gateway."
                .to_owned(),
        ),
        Some(End::Skipped(why)) => {
            (format!("the agent did not hear of it, {when}."), silent(why.explain().to_owned()), nothing)
        }
        Some(End::Gone) => (
            format!("it was no longer there to be delivered, {when}."),
            "It was deleted, or settled by somebody else.".to_owned(),
            nothing,
        ),
        Some(End::Stopped) => (
            format!("stopped {when}."),
            silent("a person stopped the work on this task".to_owned()),
            "Nothing by itself: mention the agent to ask again.".to_owned(),
        ),
        Some(End::Dead(why)) => (format!("given up {when}."), sentence(why), after_death(case)),
        Some(End::Dropped(why)) => {
            (format!("closed for good by a person, {when}."), format!("It had been given up: {}", dotted(why)), nothing)
        }
        None => (
            format!("over {when}."),
            "It ended in a way that this version does not know.".to_owned(),
            nothing,
        ),
    };
    Explanation { state: end.map_or("over", End::name), what, why, next, next_at: None }
}

fn after_death(case: &Case) -> String {
    let id = &case.work.id;
    let again = if case.record.unposted.is_some() {
        "posts the answer that the agent has given"
    } else {
        "begins again"
    };
    format!("Nothing by itself: `dead retry {id}` {again}, `dead drop {id}` closes it for good.")
}

/// With a worker.
fn at_work(case: &Case, house: &ServiceCondition, silence: Duration, now: Millis) -> Explanation {
    let said = |what: String, why: String, next: String, next_at| Explanation {
        state: "working",
        what,
        why,
        next,
        next_at,
    };
    let Some(turn) = &case.turn else {
        let doing = match &case.record.stage {
            Stage::Fresh => "it is about to be told to the agent",
            Stage::Working(_) => "a tool of the agent is carried out",
            Stage::Answered(_) | Stage::Notice(_) => "the agent's answer is being posted",
            Stage::Ended(_) => "it is being marked as settled",
        };
        let why = house.backend.as_ref().map_or_else(
            || "A worker has it.".to_owned(),
            |why| format!("Mission Control does not answer as it should: {}", dotted(why)),
        );
        return said(format!("{doing}."), why, "The next step follows at once.".to_owned(), None);
    };
    let at = Millis::default().max(now - turn.quiet) + silence;
    let quiet = span(turn.quiet);
    let what = format!("the agent has been at work on it for {}.", span(now.since(turn.since)));
    let why = match turn.state {
        TurnState::Waiting => {
            "The gateway has not begun its turn: it is busy with other turns of ours.".to_owned()
        }
        TurnState::Quiet => format!("It has shown no sign of life for {quiet}; that may be a long thought."),
        TurnState::Stuck => format!("Its turn is stuck: no sign of life for {quiet}."),
        TurnState::Working => format!("Its last sign of life was {quiet} ago."),
    };
    let next = format!(
        "Its answer is posted when it comes; without a sign of life its turn is looked for {}.",
        until(at, now)
    );
    Explanation { next_at: Some(at), ..said(what, why, next, None) }
}

/// The ledger has it as open, and the service does not know it: it is being written.
fn just_now(case: &Case) -> Explanation {
    Explanation {
        state: CLOSING,
        what: "it has ended just now.".to_owned(),
        why: "How it ended is being written down.".to_owned(),
        next: format!("Ask again: `why {}`.", case.work.id),
        next_at: None,
    }
}

/// Not with a worker, and not over.
fn waiting(case: &Case, house: &ServiceCondition, now: Millis) -> Explanation {
    let turns = matches!(case.record.stage, Stage::Fresh | Stage::Working(_));
    let blocks = house.blocks(&case.agent, &case.work.track.agent, turns);
    let own = own_trouble(case);
    let rest = match (&case.place, case.not_before) {
        (Some(Place::Rests(at)), _) => Some(*at),
        (None, at) => at,
        _ => None,
    };
    let seen = format!("not settled; it was created {}.", ago(case.work.created_at(), now));
    if let Some((first, others)) = blocks.split_first() {
        let others: Vec<String> = others.iter().map(|other| format!(" Also: {other}")).collect();
        let others = others.concat();
        // What closed the gate is mostly what the row has met itself.
        let own = own.filter(|own| house.runs && house.gateway.is_none() && !first.contains(own.as_str()));
        let own = own.map_or(String::new(), |own| format!(" Its own last trouble: {own}"));
        let next = if house.runs {
            "It goes on by itself as soon as that has ended; no attempt is counted meanwhile."
        } else {
            "It goes on where it was as soon as the service runs again."
        };
        return Explanation {
            state: "held",
            what: seen,
            why: format!("{first}{others}{own}"),
            next: next.to_owned(),
            next_at: None,
        };
    }
    if let Some(Place::Behind(first)) = &case.place {
        let why = format!("Another one of the same agent and task comes first: {first}.");
        let next =
            format!("It follows when that one has ended or lets it pass; `why {first}` tells how far it is.");
        return Explanation { state: "waiting", what: seen, why, next, next_at: None };
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
                    "answered, and the answer is not in the thread yet.".to_owned()
                }
                (0, _) => "it rests.".to_owned(),
                (count, _) => format!("tried {}, and not settled.", times(count)),
            };
            let next = format!("It is tried again {}.", until(at, now));
            Explanation { state: "resting", what, why, next, next_at: Some(at) }
        }
        None => Explanation {
            state: "waiting",
            what: seen,
            why,
            next: "It begins as soon as it can.".to_owned(),
            next_at: None,
        },
    }
}

/// What was last in its way, as a sentence.
fn own_trouble(case: &Case) -> Option<String> {
    let in_the_way = [Step::Rests, Step::Restarted].map(Step::name);
    let told =
        case.told.last().filter(|told| in_the_way.contains(&&*told.step)).map(|told| told.words.clone());
    case.trouble.clone().or(told).map(|words| sentence(&words))
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
