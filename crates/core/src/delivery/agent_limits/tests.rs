//! The reserve and the ceiling in virtual time.

use super::*;
use crate::guardrails::agent_names::KnownOrigin;
use mcr_model::Notification;
use std::sync::Arc;

const SECOND: i64 = 1000;

fn config(percent: usize, per_minute: usize) -> AgentLimitsConfig {
    AgentLimitsConfig { people_reserve_percent: percent, requests_per_minute: per_minute }
}

fn limits(workers: usize, percent: usize, per_minute: usize) -> AgentLimits {
    AgentLimits::new(workers, config(percent, per_minute), &[], Millis(0))
}

/// A job whose delivery has sent this many requests, and who has caused it.
fn job(number: u64, requests: u32, by: Origin) -> Job {
    let row = serde_json::json!({"_id": "n", "type": "mention", "recipientType": "agent", "recipientId": "a",
        "taskId": "t", "title": "", "body": "", "createdAt": 1});
    let row: Notification = serde_json::from_value(row).unwrap();
    let origin = Some(KnownOrigin { by, at: Millis(1) });
    Job::new(number, Arc::new(row.into()), Record { requests, origin, ..Record::default() })
}

#[test]
fn the_reserve_is_rounded_down_and_needs_three_workers() {
    let rows = [
        (1, 20, 0),
        (2, 100, 0),
        (3, 20, 0),
        (4, 20, 0),
        (5, 20, 1),
        (9, 20, 1),
        (10, 20, 2),
        (3, 34, 1),
        (50, 20, 10),
        (10, 0, 0),
        (3, 100, 2),
    ];
    for (workers, percent, reserved) in rows {
        assert_eq!(limits(workers, percent, 0).reserve(), reserved, "{workers} workers, {percent} %");
    }
}

#[test]
fn agents_never_use_the_reserve_and_people_leave_them_one_worker() {
    let mut limits = limits(5, 40, 0);
    for (number, room) in [(0, 3), (1, 2), (2, 1)] {
        assert_eq!(limits.room_for_agents(5, Millis(0)), room);
        limits.begins(&job(number, 0, Origin::Agent), true, Millis(0));
    }
    assert_eq!(limits.room_for_agents(2, Millis(0)), 0);
    assert!(limits.has_room_for_people(1, true), "agents have workers");
    for number in 0..3 {
        limits.ends(&job(number, 1, Origin::Agent), Millis(0));
    }
    assert!(!limits.has_room_for_people(1, true), "the last worker is left to agents");
    assert!(limits.has_room_for_people(1, false), "no row of an agent waits");
    assert!(limits.has_room_for_people(2, true));
    assert!(super::AgentLimits::new(2, config(40, 0), &[], Millis(0)).has_room_for_people(1, true));
}

#[test]
fn the_ceiling_counts_the_turns_of_the_last_minute_and_no_others() {
    let mut limits = limits(100, 0, 3);
    for (number, at) in [(0, 0), (1, 10), (2, 20)] {
        assert!(limits.room_for_agents(100, Millis(at * SECOND)) > 0);
        limits.begins(&job(number, 0, Origin::Agent), true, Millis(at * SECOND));
    }
    assert_eq!(limits.room_for_agents(100, Millis(20 * SECOND)), 0);
    assert_eq!(limits.ceiling_until(Millis(20 * SECOND)), Some(Millis(60 * SECOND)));
    // The second ends without a turn, and the third is a person's after all.
    limits.ends(&job(1, 0, Origin::Agent), Millis(21 * SECOND));
    assert_eq!(limits.room_for_agents(100, Millis(21 * SECOND)), 1);
    limits.ends(&job(2, 1, Origin::Person), Millis(22 * SECOND));
    assert_eq!(limits.room_for_agents(100, Millis(22 * SECOND)), 2);
    // The first has sent two rounds of results as well.
    limits.ends(&job(0, 3, Origin::Agent), Millis(50 * SECOND));
    assert_eq!(limits.room_for_agents(100, Millis(50 * SECOND)), 0);
    assert_eq!(limits.room_for_agents(100, Millis(60 * SECOND - 1)), 0);
    assert_eq!(limits.room_for_agents(100, Millis(60 * SECOND)), 1);
    assert_eq!(limits.room_for_agents(100, Millis(110 * SECOND)), 3);
    assert_eq!(limits.state().requests, 3);
}

#[test]
fn a_restart_does_not_empty_the_window() {
    let turns = [Millis(50 * SECOND), Millis(1), Millis(90 * SECOND)];
    let mut limits = AgentLimits::new(10, config(0, 2), &turns, Millis(70 * SECOND));
    assert_eq!(
        limits.room_for_agents(10, Millis(70 * SECOND)),
        0,
        "one is too old, and one is in the future"
    );
    assert_eq!(limits.room_for_agents(10, Millis(110 * SECOND)), 1);
    assert_eq!(limits.room_for_agents(10, Millis(130 * SECOND)), 2);
}

#[test]
fn a_turn_of_a_person_that_was_not_counted_before_changes_nothing() {
    let mut limits = limits(10, 0, 2);
    limits.begins(&job(1, 4, Origin::Person), false, Millis(0));
    limits.ends(&job(1, 6, Origin::Person), Millis(1));
    assert_eq!(limits.room_for_agents(10, Millis(1)), 2);
    // A row that was believed to be a person's was an agent's, and its turn was sent before a restart.
    limits.begins(&job(2, 0, Origin::Person), false, Millis(2));
    limits.ends(&job(2, 1, Origin::Agent), Millis(3));
    assert_eq!(limits.room_for_agents(10, Millis(3)), 1);
}

#[test]
fn a_clock_that_is_set_back_holds_agents_for_a_minute_at_most() {
    let at = |second: i64| Millis(second * SECOND);
    let turns = [at(3_600), at(3_601)];
    let mut limits = AgentLimits::new(5, config(0, 2), &turns, at(3_601));
    assert_eq!(limits.room_for_agents(5, at(3_601)), 0);
    assert_eq!(limits.room_for_agents(5, at(10)), 0, "the clock is set back by an hour");
    assert_eq!(limits.room_for_agents(5, at(71)), 2);
}
