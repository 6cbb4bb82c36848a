//! Waiting rows of one agent on one task become one turn.

use std::collections::HashMap;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::operator_requests::{OperatorReply, OperatorRequest, Place};
use mission_control_runtime::delivery::scheduler::RecoveredState;
use mission_control_runtime::delivery::{ClosedWork, End, Record};
use mission_control_runtime::guardrails::origin::Origin::{self, Agent, Person};
use mission_control_runtime::work::WorkId;
use proptest::prelude::*;

use super::world::{Fate, World, answered, row};

fn folding(workers: usize, most: usize) -> World {
    World::folding(workers, most, Vec::new(), RecoveredState::default())
}

/// A world in which the track is busy with `first` while these rows arrive.
fn waiting(most: usize, rows: &[(&str, Origin)]) -> World {
    let mut world = folding(3, most);
    world.turns_take(1_000);
    world.arrive("t", "mention", "first");
    world.run_for(Duration::from_millis(100));
    for (id, author) in rows {
        let name = if *author == Agent { "Bot" } else { "Dana" };
        world.arrive_from(name, *author, "t", id);
    }
    world
}

fn ids(turn: &[&str]) -> Vec<String> {
    turn.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn waiting_rows_become_one_turn_that_answers_the_newest() {
    let mut world = waiting(20, &[("a", Agent), ("b", Agent), ("c", Agent)]);
    world.run_until_settled();
    assert_eq!(world.shown, [ids(&["first"]), ids(&["c", "a", "b"])]);
    assert_eq!(world.ends["c"], End::Answered(1));
    for id in ["a", "b"] {
        assert_eq!(world.ends[id], End::Folded(WorkId::new("c")), "{id}");
    }
    assert_eq!(world.dispatcher.state().stats.of("folded"), 2);
}

/// Also behind rows of agents in its own track, and the later rows of agents are in the same turn.
#[test]
fn the_newest_row_of_a_person_is_the_one_that_is_answered() {
    let mut world = waiting(20, &[("a", Agent), ("p", Person), ("q", Person), ("b", Agent)]);
    world.run_until_settled();
    assert_eq!(world.shown, [ids(&["first"]), ids(&["q", "a", "p", "b"])]);
}

/// The turn of an update may end without an answer, and then the request would have none.
#[test]
fn a_request_is_not_folded_into_an_update() {
    for (kind, name, author) in
        [("thread_update", "Bot", Agent), ("status_change", "Bot", Agent), ("status_change", "Dana", Person)]
    {
        for request_first in [true, false] {
            let mut world = waiting(20, &[]);
            let mut request = row("t", "response_request", "request", Millis(100));
            request.title = "Bot requested a response".to_owned();
            let mut update = row("t", kind, "update", Millis(100));
            update.title = format!("{name} replied");
            update.body = format!("{name} changed \"Task\" to review");
            let mut rows = [(request, Agent), (update, author)];
            if !request_first {
                rows.reverse();
            }
            for (row, author) in rows {
                world.arrive_row(row, author);
            }
            world.run_until_settled();
            assert_eq!(world.ends["request"], End::Answered(1), "{kind} by {name}, {request_first}");
        }
    }
}

#[test]
fn a_long_backlog_takes_several_turns_in_order() {
    let names: Vec<String> = (0..25).map(|n| format!("r{n:02}")).collect();
    let rows: Vec<(&str, Origin)> = names.iter().map(|name| (name.as_str(), Agent)).collect();
    let mut world = waiting(10, &rows);
    world.run_until_settled();
    let turns: Vec<(&str, usize)> = world.shown.iter().map(|turn| (turn[0].as_str(), turn.len())).collect();
    assert_eq!(turns, [("first", 1), ("r09", 10), ("r19", 10), ("r24", 5)]);
}

#[test]
fn texts_that_do_not_fit_are_answered_by_a_later_turn() {
    let mut world = waiting(20, &[("a", Agent), ("b", Agent), ("c", Agent), ("d", Agent)]);
    world.unfit = 2;
    world.run_until_settled();
    let mut shown: Vec<String> = world.shown.concat();
    shown.sort_unstable();
    assert_eq!(shown, ids(&["a", "b", "c", "d", "first"]), "each text once");
    assert_eq!(world.shown[1], ids(&["d", "a"]));
}

/// A worker has read some of the rows before, to learn who caused them.
#[test]
fn rows_that_a_worker_has_looked_at_are_folded_as_well() {
    let mut world = folding(1, 20);
    world.turns_take(1_000);
    for track in ["s", "t", "u"] {
        for n in 0..5 {
            world.arrive_from("Bot", Agent, track, &format!("{track}{n}"));
        }
    }
    world.run_until_settled();
    assert!(world.looks.len() >= 10, "{:?}", world.looks);
    assert!(world.shown.len() <= 4, "{:?}", world.shown);
}

#[test]
fn one_row_for_each_turn_switches_folding_off() {
    let mut world = waiting(1, &[("a", Agent), ("b", Agent)]);
    world.run_until_settled();
    assert_eq!(world.shown, [ids(&["first"]), ids(&["a"]), ids(&["b"])]);
}

/// A cover that is given up or skipped has answered nothing.
#[test]
fn if_the_cover_dies_or_is_skipped_the_folded_rows_start_by_themselves() {
    for fate in [Fate::Dead, Fate::Skipped] {
        let mut world = waiting(20, &[("a", Agent), ("b", Agent), ("c", Agent)]);
        world.fates.insert("c".to_owned(), fate);
        world.run_until_settled();
        assert_eq!(world.shown[1..], [ids(&["c", "a", "b"]), ids(&["b", "a"])], "{fate:?}");
        assert_eq!(world.ends["a"], End::Folded(WorkId::new("b")), "{fate:?}");
        assert_eq!(world.ends["b"], End::Answered(1), "{fate:?}");
    }
}

#[test]
fn a_cover_that_is_tried_again_covers_the_same_rows() {
    let mut world = waiting(20, &[("a", Agent), ("b", Agent)]);
    world.fates.insert("b".to_owned(), Fate::Unsettled { attempts: 2, pause_ms: 500 });
    world.run_for(Duration::from_millis(2_200));
    world.arrive_from("Bot", Agent, "t", "later");
    let OperatorReply::Rows(rows, _) = world.ask(OperatorRequest::Look) else { panic!("rows") };
    let place = rows.iter().find(|row| row.work.id.as_str() == "a").unwrap().place.clone();
    assert_eq!(place, Place::Behind(WorkId::new("b")));
    world.run_until_settled();
    let of_b: Vec<&Vec<String>> = world.shown.iter().filter(|turn| turn[0] == "b").collect();
    assert_eq!(of_b.len(), 3);
    assert!(of_b.iter().all(|turn| **turn == ids(&["b", "a"])), "{of_b:?}");
    assert_eq!(world.shown.last().unwrap(), &ids(&["later"]));
}

/// A retried dead letter covers the rows again that have waited with it.
#[test]
fn a_retried_dead_letter_is_answered_and_loses_no_row() {
    let mut world = waiting(20, &[("a", Agent), ("b", Agent)]);
    world.fates.insert("b".to_owned(), Fate::Dead);
    world.run_until_settled();
    assert_eq!((&world.ends["a"], world.dispatcher.state().dead), (&End::Answered(1), 1));
    world.fates.remove("b");
    world.ask(OperatorRequest::Retry(WorkId::new("b")));
    world.run_until_settled();
    assert_eq!(world.ends["b"], End::Answered(1));
}

#[test]
fn a_folded_row_that_is_settled_elsewhere_does_not_stop_the_turn() {
    let mut world = waiting(20, &[("a", Agent), ("b", Agent)]);
    world.run_for(Duration::from_millis(1_200));
    world.settle_elsewhere("a");
    world.nudge();
    world.run_until_settled();
    assert_eq!(world.ends["b"], End::Answered(1));
}

fn folded_into(cover: &str) -> Record {
    Record { folded_into: Some(WorkId::new(cover)), ..Record::default() }
}

/// Each point at which a process can end after the folded rows are recorded.
#[test]
fn after_a_restart_the_state_of_the_cover_decides() {
    let of = |id: &str| row("t", "mention", id, Millis(0));
    // The cover is open: asked, or answered and not posted.
    for record in [Record { tries: 1, ..Record::default() }, answered()] {
        let was_answered = record == answered();
        let open = vec![(of("a"), folded_into("c")), (of("c"), record)];
        let mut world = World::folding(2, 20, open, RecoveredState::default());
        world.run_until_settled();
        assert_eq!(world.ends["a"], End::Folded(WorkId::new("c")));
        assert_eq!(world.ends["c"], End::Answered(1));
        let expected = if was_answered { vec![] } else { vec![ids(&["c", "a"])] };
        assert_eq!(world.shown, expected);
    }
    // The cover has ended.
    let ends = [
        (Some(End::Answered(1)), vec![]),
        (Some(End::Silent(mission_control_runtime::delivery::reply::Silence::Empty)), vec![]),
        (Some(End::Dead("no".to_owned())), vec![ids(&["a"])]),
        (Some(End::Stopped), vec![ids(&["a"])]),
        (None, vec![ids(&["a"])]),
    ];
    for (end, shown) in ends {
        let closed = end.clone().map(|end| (WorkId::new("c"), ClosedWork { end, unmarked: false }));
        let left = RecoveredState {
            closed: closed.into_iter().collect::<HashMap<_, _>>(),
            ..RecoveredState::default()
        };
        let mut world = World::folding(2, 20, vec![(of("a"), folded_into("c"))], left);
        world.run_until_settled();
        let expected = if shown.is_empty() { End::Folded(WorkId::new("c")) } else { End::Answered(1) };
        assert_eq!((&world.ends["a"], world.shown), (&expected, shown), "{end:?}");
    }
}

fn fate() -> impl Strategy<Value = Option<Fate>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Fate::Dead)),
        1 => Just(Some(Fate::Skipped)),
        1 => Just(Some(Fate::FailOnce { pause_ms: 700 })),
        1 => Just(Some(Fate::Unsettled { attempts: 1, pause_ms: 400 })),
        1 => Just(Some(Fate::Unposted { attempts: 1, pause_ms: 300 })),
        1 => Just(Some(Fate::FailingTurns)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever fails: every row ends exactly once, a folded row was in a turn of its cover, and the cover has an answer.
    #[test]
    fn every_row_ends_once_and_no_text_is_lost(
        workers in 1usize..5,
        most in 1usize..6,
        unfit in 0usize..3,
        rows in prop::collection::vec((0usize..3, any::<bool>(), any::<bool>(), fate(), 0u64..600), 1..40),
    ) {
        let mut world = folding(workers, most);
        world.turns_take(500);
        world.unfit = unfit;
        for (n, (track, by_agent, named, fate, pause)) in rows.iter().enumerate() {
            let id = format!("r{n}");
            if let Some(fate) = fate {
                world.fates.insert(id.clone(), *fate);
            }
            let (name, author) = (if *named { "Bot" } else { "Dana" }, if *by_agent { Agent } else { Person });
            world.arrive_from(name, author, &format!("t{track}"), &id);
            world.run_for(Duration::from_millis(*pause));
        }
        world.run_until_settled();
        let mut settled = world.settled.clone();
        settled.sort_unstable();
        settled.dedup();
        prop_assert_eq!(settled.len(), rows.len());
        prop_assert_eq!(world.settled.len(), rows.len(), "{:?}", world.settled);
        for (id, end) in &world.ends {
            match end {
                End::Folded(cover) => {
                    let cover = cover.as_str();
                    prop_assert!(world.ends[cover].covers(), "{}: {:?}", id, world.ends[cover]);
                    let last = world.shown.iter().rev().find(|turn| turn[0] == *cover).unwrap();
                    prop_assert!(last.contains(id), "{} is not in the turn of {}", id, cover);
                }
                End::Answered(_) => {
                    prop_assert!(world.shown.iter().any(|turn| turn[0] == *id), "{} had no turn", id);
                }
                _ => {}
            }
        }
        for track in 0..3 {
            let most = world.most_at_once(&format!("t{track}"));
            prop_assert!(most <= 1, "{} turns of one track at once", most);
        }
    }
}
