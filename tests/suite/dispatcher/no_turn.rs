//! Rows that need no turn (the answer is recorded, or only the mark is missing) while the breaker is open or an operator
//! has paused the agents.

use std::collections::HashSet;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::operator_requests::{Hold, OperatorReply, OperatorRequest, Spent};
use mission_control_runtime::delivery::{End, Record, Stage};

use super::world::{Fate, World, answered, row};

const HOUR: Duration = Duration::from_hours(1);

fn marked_only() -> Record {
    Record { stage: Stage::Ended(End::Answered(1)), ..Record::default() }
}

/// A restart in an outage: two answers that are not posted, one mark that is missing, and a row that needs a turn.
#[test]
fn recorded_answers_are_posted_while_the_gateway_is_away() {
    for first in ["fresh", "answered"] {
        let mut open = vec![
            (row("t1", "mention", "answered-1", Millis(0)), answered()),
            (row("t2", "mention", "answered-2", Millis(0)), answered()),
            (row("t3", "mention", "ended", Millis(0)), marked_only()),
        ];
        let fresh = (row("t0", "mention", "fresh", Millis(0)), Record::default());
        open.insert(if first == "fresh" { 0 } else { 3 }, fresh);
        let mut world = World::left(1, open);
        world.gateway_is_away(true);
        // The backend refuses one of the answers until the breaker is open.
        world.fates.insert("answered-2".to_owned(), Fate::Unposted { attempts: 3, pause_ms: 60_000 });
        world.run_for(HOUR);
        let mut settled = world.settled.clone();
        settled.sort_unstable();
        assert_eq!(settled, ["answered-1", "answered-2", "ended"], "{first} first");
        assert!(world.dispatcher.state().breaker_open.is_some());
        assert!(
            world.now().since(Millis(0)) >= HOUR
                && world.starts.iter().all(|start| start.at < Millis(200_000))
        );
        world.gateway_is_away(false);
        world.run_until_settled();
    }
}

/// The first turn after an outage shows whether the gateway is back. A posted answer shows nothing.
#[test]
fn a_row_that_needs_no_turn_is_never_the_trial() {
    let mut world = World::new(4);
    world.turns_take(2_000);
    world.arrive("t0", "mention", "finds-it-closed");
    world.run_for(Duration::from_millis(100));
    for n in 0..3 {
        let id = format!("posting{n}");
        world.fates.insert(id.clone(), Fate::Unposted { attempts: 40, pause_ms: 100 });
        world.arrive(&format!("p{n}"), "mention", &id);
    }
    world.run_for(Duration::from_secs(5));
    world.settle_elsewhere("finds-it-closed");
    world.gateway_is_away(true);
    for n in 0..6 {
        world.arrive(&format!("t{n}"), "mention", &format!("turn{n}"));
    }
    world.run_for(Duration::from_secs(20));
    assert!(world.dispatcher.state().breaker_open.is_some());
    let before = world.starts.len();
    // Probes succeed and turns do not: the worst case for the first row.
    world.probes_lie(true);
    world.run_for(Duration::from_mins(2));
    let later: Vec<_> = world.starts[before..].iter().filter(|start| start.id.starts_with("turn")).collect();
    let at_once = |at: Millis| later.iter().filter(|start| start.at <= at && start.until > at).count();
    assert!(later.iter().all(|start| at_once(start.at) == 1), "one trial at a time");
    assert!(!later.is_empty() && world.settled.iter().any(|id| id == "posting0"));
    world.gateway_is_away(false);
    world.probes_lie(false);
    world.run_until_settled();
}

/// An operator's pause holds back turns and nothing else. A row that the operator gives up continues too.
#[test]
fn a_pause_holds_turns_but_no_answers() {
    for hold in [
        Hold { all: true, ..Hold::default() },
        Hold { agents: HashSet::from(["agent".to_owned()]), ..Hold::default() },
        Hold { spent: Spent { all: true, ..Spent::default() }, ..Hold::default() },
        Hold { missing: HashSet::from(["agent".to_owned()]), ..Hold::default() },
    ] {
        let open = vec![
            (row("t0", "mention", "fresh", Millis(0)), Record::default()),
            // After a row that waits for its turn, as after `dead retry`.
            (row("t0", "mention", "answered", Millis(0)), answered()),
            (row("t1", "mention", "ended", Millis(0)), marked_only()),
        ];
        let mut world = World::paused(1, open, hold);
        world.gateway_is_away(true);
        world.run_for(HOUR);
        assert_eq!(world.settled, ["answered", "ended"]);
        assert_eq!(world.started().len(), 2, "the paused row did not begin");
        assert!(matches!(world.ask(OperatorRequest::Hold(Hold::default())), OperatorReply::Done));
        world.gateway_is_away(false);
        world.run_until_settled();
    }
}

/// A trial without contact to the gateway shows nothing, however it ends: the next row is the trial.
#[test]
fn a_trial_that_sent_no_turn_does_not_close_the_breaker() {
    for fate in [Fate::Skipped, Fate::DeadWithoutTurn] {
        a_trial_without_a_turn(fate);
    }
}

fn a_trial_without_a_turn(fate: Fate) {
    let mut world = World::new(4);
    world.turns_take(100);
    world.gateway_is_away(true);
    world.arrive("t0", "mention", "turned-away");
    world.run_for(Duration::from_secs(10));
    world.probes_lie(true);
    world.fates.insert("no-turn".to_owned(), fate);
    world.arrive("t1", "mention", "no-turn");
    for n in 2..10 {
        world.arrive(&format!("t{n}"), "mention", &format!("turn{n}"));
    }
    world.run_for(Duration::from_mins(10));
    let turns: Vec<_> = world.starts.iter().filter(|start| start.id.starts_with("turn")).collect();
    let at_once = |at: Millis| turns.iter().filter(|start| start.at <= at && start.until > at).count();
    assert!(
        turns.len() > 8 && turns.iter().all(|start| at_once(start.at) == 1),
        "one trial at a time: {fate:?}"
    );
    assert_eq!(world.settled, ["no-turn"]);
}
