//! A failing row at the head of its track, and the rows after it.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::Record;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::operator_requests::{OperatorReply, OperatorRequest, Place};
use mission_control_runtime::work::WorkId;
use proptest::prelude::*;

use super::world::{Fate, World, row, sent};

/// 50 tracks with a failing row at the head of each, and 150 good rows after them.
#[test]
fn a_failing_head_does_not_block_its_track() {
    let mut world = World::new(10);
    world.turns_take(50);
    for track in 0..50 {
        let id = format!("failing{track}");
        world.fates.insert(id.clone(), Fate::FailingTurns);
        world.arrive(&format!("t{track}"), "mention", &id);
    }
    for n in 0..150 {
        world.arrive(&format!("t{}", n % 50), "mention", &format!("good{n:03}"));
    }
    world.run_for(Duration::from_secs(10));
    let good = |world: &World| world.settled.iter().filter(|id| id.starts_with("good")).count();
    let first = world.starts.iter().find(|start| start.id.starts_with("good")).map(|start| start.at.0);
    assert_eq!(good(&world), 150, "good rows answered after 10 s; the first began at {first:?} ms");
    for track in 0..50 {
        let name = format!("t{track}");
        assert!(world.settled_of(&name).is_sorted() && world.most_at_once(&name) == 1);
        let mine: Vec<_> = world.starts.iter().filter(|start| start.track == name).collect();
        assert_eq!((mine[0].end, mine[1].end), ("again", "again"), "the head fails twice before others pass");
        assert!(mine[..2].iter().all(|start| start.id.starts_with("failing")), "{mine:?}");
    }
    // The failing rows get all their attempts, and end.
    world.run_until_settled();
    for track in 0..50 {
        let id = format!("failing{track}");
        let tries = world.starts.iter().filter(|start| start.id == id).count();
        assert_eq!(tries, 8, "{id}");
    }
}

/// The failing row is retried when its pause ends, between later rows of its track.
#[test]
fn a_passed_row_is_tried_in_between() {
    let mut world = World::new(4);
    world.turns_take(1_000);
    world.fates.insert("failing".to_owned(), Fate::FailingTurns);
    world.arrive("t", "mention", "failing");
    for n in 0..60 {
        world.arrive("t", "mention", &format!("m{n:02}"));
    }
    world.run_for(Duration::from_mins(1));
    let order: Vec<&str> = world.starts.iter().map(|start| start.id.as_str()).collect();
    let tries = order.iter().filter(|id| **id == "failing").count();
    let last = order.iter().rposition(|id| *id == "failing").unwrap();
    assert!(tries >= 4 && last < order.len() - 1 && order.len() > 30, "{order:?}");
    assert_eq!(world.most_at_once("t"), 1);
    world.run_until_settled();
}

/// The turn of a row with an unsettled attempt may still run at the gateway. No second turn starts in its session, neither
/// for a later row nor for an earlier one that was passed.
#[test]
fn no_row_passes_an_unsettled_turn() {
    let mut world = World::new(4);
    world.turns_take(50);
    world.fates.insert("unsettled".to_owned(), Fate::Unsettled { attempts: 5, pause_ms: 20_000 });
    world.arrive("t", "mention", "unsettled");
    world.arrive("t", "mention", "later");
    world.run_until_settled();
    assert_eq!(world.settled, ["unsettled", "later"]);

    let mut world = World::new(4);
    world.turns_take(50);
    world.fates.insert("passed".to_owned(), Fate::Fail { pause_ms: 5_000 });
    world.fates.insert("unsettled".to_owned(), Fate::Unsettled { attempts: 5, pause_ms: 20_000 });
    for id in ["passed", "unsettled", "later"] {
        world.arrive("t", "mention", id);
    }
    world.run_for(Duration::from_secs(150));
    assert_eq!(world.settled, ["unsettled", "later"]);
    let of = |id: &str| -> Vec<i64> {
        world.starts.iter().filter(|start| start.id == id).map(|start| start.at.0).collect()
    };
    let (began, ended) = (of("unsettled")[0], of("unsettled")[5]);
    assert!(of("passed").iter().all(|at| *at < began || *at > ended), "{:?} {began} {ended}", of("passed"));

    // After a restart the ledger has both rows, and the session still belongs to the unsettled turn.
    let open = vec![
        (
            row("t", "mention", "passed", Millis(0)),
            Record { failures: [(Cause::Interrupted, 3)].into(), ..Record::default() },
        ),
        (row("t", "mention", "unsettled", Millis(0)), Record { sent: Some(sent()), ..Record::default() }),
    ];
    let mut world = World::left(4, open);
    world.run_until_settled();
    assert_eq!(world.settled, ["unsettled", "passed"]);
}

/// A row with a provider failure may be passed, since the failure may be its own. If the next row has the same failure, it
/// affects the agent, and the order is kept.
#[test]
fn a_failing_provider_costs_attempts_of_two_rows_per_track() {
    let mut world = World::new(4);
    for n in 0..10 {
        let id = format!("m{n}");
        world.fates.insert(id.clone(), Fate::Overloaded);
        world.arrive("t", "mention", &id);
    }
    world.run_for(Duration::from_mins(10));
    let mut tried = world.started();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried, ["m0", "m1"]);
    world.fates.clear();
    world.fates.insert("m0".to_owned(), Fate::Overloaded);
    world.run_for(Duration::from_mins(15));
    assert_eq!(world.settled.len(), 9, "only the one whose own trouble it is: {:?}", world.settled);
}

/// The place of a row names what the row waits for.
#[test]
fn the_place_names_the_row_that_a_row_waits_for() {
    let mut world = World::new(4);
    world.fates.insert("failing".to_owned(), Fate::Fail { pause_ms: 600_000 });
    world.arrive("t", "mention", "failing");
    world.run_for(Duration::from_secs(1));
    world.arrive("t", "mention", "second");
    world.run_for(Duration::from_millis(100));
    let places = |world: &mut World| -> Vec<(String, Place)> {
        let OperatorReply::Rows(pending, _) = world.ask(OperatorRequest::Look) else { panic!("no rows") };
        pending.into_iter().map(|row| (row.work.id.to_string(), row.place)).collect()
    };
    let behind = |id: &str| Place::Behind(WorkId::new(id));
    // After one failure it is not passed.
    assert!(
        matches!(&places(&mut world)[..], [(_, Place::Rests(_)), (_, second)] if *second == behind("failing"))
    );
    world.turn_takes("t", 5_000);
    world.run_for(Duration::from_mins(10));
    world.arrive("t", "mention", "third");
    world.run_for(Duration::from_secs(6));
    // After two failures it pauses, the second row runs, and the third one waits for the second.
    let now = places(&mut world);
    assert!(matches!(now[0].1, Place::Rests(_)), "{now:?}");
    assert_eq!((&now[1].1, &now[2].1), (&Place::Running, &behind("second")), "{now:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// For any failures: no two rows of one track run at once. A row starts only when each earlier one of its track has
    /// ended or has failed twice. No row starts while a turn of its track is unsettled. Every row ends.
    #[test]
    fn whatever_fails_the_session_has_one_turn_at_a_time(
        workers in 1usize..5,
        rows in prop::collection::vec((0usize..4, 0u64..600, 0u8..8), 1..60),
    ) {
        let mut world = World::new(workers);
        world.turns_take(40);
        for (n, (track, gap, fate)) in rows.iter().enumerate() {
            let id = format!("m{n:04}");
            let fate = match fate {
                0 => Some(Fate::FailingTurns),
                1 => Some(Fate::FailOnce { pause_ms: 700 }),
                2 => Some(Fate::Unsettled { attempts: 4, pause_ms: 900 }),
                3 => Some(Fate::Unposted { attempts: 2, pause_ms: 1_100 }),
                4 => Some(Fate::Overloaded),
                _ => None,
            };
            fate.and_then(|fate| world.fates.insert(id.clone(), fate));
            world.arrive(&format!("t{track}"), "mention", &id);
            world.run_for(Duration::from_millis(*gap));
        }
        let latest = world.now() + Duration::from_hours(200);
        while world.settled.len() < rows.len() {
            prop_assert!(world.now() < latest, "not settled: {:?}", world.settled);
            world.run_for(Duration::from_mins(1));
        }
        // Nothing starts afterwards.
        world.run_for(Duration::from_hours(1));
        prop_assert_eq!(world.settled.len(), rows.len());
        prop_assert_eq!(&world.idle_while_ready, &None);
        for track in 0..4 {
            let name = format!("t{track}");
            prop_assert!(world.most_at_once(&name) <= 1);
            let mine: Vec<_> = world.starts.iter().filter(|start| start.track == name).collect();
            for (at, start) in mine.iter().enumerate() {
                let before = &mine[..at];
                for earlier in mine.iter().filter(|other| other.id < start.id && other.arrived <= start.arrived) {
                    let tries = before.iter().filter(|other| other.id == earlier.id);
                    let ended = tries.clone().any(|other| other.end != "again");
                    prop_assert!(ended || tries.count() >= 2, "{} before {}", start.id, earlier.id);
                }
                let open = |other: &&&super::world::Start| other.unsettled && other.id != start.id;
                let settled = |id: &str| before.iter().rev().find(|other| other.id == id).is_some_and(|last| !last.unsettled);
                prop_assert!(before.iter().filter(open).all(|other| settled(&other.id)), "{} beside an open turn", start.id);
            }
        }
    }
}
