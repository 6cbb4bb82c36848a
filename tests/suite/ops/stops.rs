//! What stops a task or an agent stands first in the answer to "why?".

use std::sync::Arc;

use mission_control_runtime::delivery::operator_requests::Place;
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::{End, Record};
use mission_control_runtime::guardrails::budget::{Held, Reached, Scope};
use mission_control_runtime::guardrails::{CountStart, TeamLimit, TeamStop, TeamTurn};
use mission_control_runtime::model::spending::{Amount, Limits};
use mission_control_runtime::ops::{Case, Finding, Paused, ServiceCondition, StoppedByBrake, many};
use mission_control_runtime::work::WorkId;

use super::{NOW, SILENCE, at, ended, runs, secs};

fn named(id: &str, mut case: Case) -> Case {
    Arc::make_mut(&mut case.work).id = WorkId::new(id);
    case
}

fn start(seconds: u64, retries: u32) -> CountStart {
    CountStart { message_at: NOW - secs(seconds), retries }
}

fn turn(start: CountStart) -> Record {
    Record { team: Some(TeamTurn::at(start)), ..Record::default() }
}

/// A row that the loop brake has stopped.
fn stopped(id: &str, start: CountStart) -> Case {
    let stop = TeamStop { limit: TeamLimit::Turns, turns: 30, is_first: true };
    let team = TeamTurn { stop: Some(stop), ..TeamTurn::at(start) };
    let record = Record { team: Some(team), ..Record::default() };
    named(id, Case { record, ..ended(End::Skipped(Skip::TeamLimit)) })
}

fn answered(id: &str, start: CountStart) -> Case {
    named(id, Case { record: turn(start), ..ended(End::Answered(1)) })
}

fn found(id: &str, cases: &[Case], condition: &ServiceCondition) -> Finding {
    many(id, cases, condition, &StoppedByBrake::of(cases), SILENCE, NOW).unwrap()
}

/// The budget of this agent is reached.
fn spent(agent: &str) -> Held {
    let (limits, counted) = (Limits::default(), Amount::default());
    let scope = Scope::Agent(agent.to_owned());
    let forgiven = Amount::default();
    let reached = Reached { scope, limits, counted, forgiven, early: false, unreadable: false };
    Held { reached: vec![reached] }
}

#[test]
fn a_stop_stands_first_and_its_remedy_is_what_happens_next() {
    let ceiling =
        "Agents have caused 240 turns in the last minute, which is the limit (AGENT_TURNS_PER_MINUTE).";
    let paused = |agent: &str| ServiceCondition {
        paused: Paused { all: false, agents: [agent.to_owned()].into() },
        ..runs()
    };
    let budget = ServiceCondition { budget: spent("ben"), ..runs() };
    let brake =
        "The loop brake has stopped the agents in 1 thread, with 2 notifications unsent; a person's message";
    let spent_words = spent("ben").reached[0].explain();
    let rows: Vec<(&str, Vec<Case>, ServiceCondition, &str, &str)> = vec![
        (
            "the brake, behind many answers",
            vec![
                stopped("s1", start(60, 0)),
                stopped("s2", start(60, 0)),
                answered("a1", start(60, 0)),
                named("d", ended(End::Dead("no".to_owned()))),
            ],
            runs(),
            brake,
            "`dead retry s2`, lets the agents there continue",
        ),
        (
            "the brake, beside a row of a person",
            vec![stopped("s1", start(60, 0)), stopped("s2", start(60, 0)), named("p", at(Place::Ready))],
            runs(),
            brake,
            "as soon as possible",
        ),
        (
            "the ceiling, in one of many rows",
            vec![
                answered("a1", start(60, 0)),
                named("n1", at(Place::Behind(WorkId::new("n0")))),
                named("n2", at(Place::Limited(ceiling.to_owned()))),
            ],
            runs(),
            ceiling,
            "once the limit allows that",
        ),
        (
            "a pause, although nothing is open",
            vec![answered("a1", start(60, 0))],
            paused("ben"),
            "ben is paused; `resume --agent ben` ends that.",
            "Done",
        ),
        (
            "a budget",
            vec![answered("a1", start(60, 0)), named("n1", at(Place::Ready))],
            budget,
            &spent_words,
            "continues by itself",
        ),
    ];
    for (name, cases, condition, first, next) in rows {
        for id in ["ben", "k-ben", "t1"] {
            if id == "t1" && name.contains("nothing is open") {
                continue;
            }
            let found = found(id, &cases, &condition);
            assert!(found.what.starts_with(first), "{name}, {id}: {}", found.what);
            assert!(found.what.contains(" open, "), "{name}: {}", found.what);
            assert!(found.next.contains(next), "{name}, {id}: {}", found.next);
            assert!(found.text().starts_with(first), "{name}: {}", found.text());
        }
    }
}

/// A person's message, or a retry, lets the whole thread continue.
#[test]
fn a_stop_that_a_person_has_ended_is_not_named() {
    let renewed = TeamTurn { is_renewed: true, ..TeamTurn::at(start(60, 0)) };
    let renewed = Record { team: Some(renewed), ..Record::default() };
    let rows = [
        ("a later message", answered("later", start(20, 0))),
        ("a retry", answered("later", start(60, 1))),
        ("a row that starts again", named("again", Case { record: renewed, ..at(Place::Ready) })),
    ];
    for (name, later) in rows {
        let cases = [stopped("s1", start(60, 0)), later];
        let found = found("t1", &cases, &runs());
        assert!(found.what.starts_with(|c: char| c.is_ascii_digit()), "{name}: {}", found.what);
    }
}

/// Another agent's pause or budget does not stop this one.
#[test]
fn a_stop_of_another_agent_is_not_named() {
    let condition = ServiceCondition {
        paused: Paused { all: false, agents: ["ada".to_owned()].into() },
        budget: spent("ada"),
        ..runs()
    };
    let found = found("ben", &[named("n1", at(Place::Ready))], &condition);
    assert!(found.what.starts_with("1 open"), "{}", found.what);
}

#[test]
fn an_agent_without_deliveries_names_its_block_first() {
    let found = Finding::idle("ben", &["ben is paused; `resume --agent ben` ends that.".to_owned()]);
    assert!(found.what.starts_with("ben is paused") && found.why.contains("no deliveries"), "{found:?}");
}
