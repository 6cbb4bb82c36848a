//! The dispatcher in virtual time: which row is next, when lists are requested, what happens while the gateway is away.
//! There is no thread, no socket and no sleep; the world is a list of rows and a heap of future events.

/// A gateway that is away while the work goes on.
mod absence;
/// Another runtime on the same account.
mod duplicate_runtime;
/// Waiting rows of a track become one turn.
mod folding;
/// Rows whose answer is recorded, while the breaker is open or an operator has paused.
mod no_turn;
/// What people ask and have done.
mod operator_requests;
/// A failing row at the head of its track.
mod passing;
/// Rows of people behind those of agents in the same track.
mod people_behind_agents;
/// Rows of people before those of agents, and the limits for agents.
mod people_first;
mod restart;
/// Rows that the loop brake has stopped.
mod stopped_threads;
/// Work without turns, from a source without lists.
#[cfg(feature = "test-kind")]
mod test_kind;
/// Two dispatchers on one board.
mod two_dispatchers;
/// Rows of the ledger that are not understood.
mod unreadable_rows;
mod wake_signals;
/// The world around the dispatcher.
mod world;

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::guardrails::origin::Origin;
use proptest::prelude::*;

use world::{Fate, World};

#[test]
fn a_track_runs_in_order_one_row_at_a_time() {
    let mut world = World::new(10);
    for n in 0..6 {
        world.arrive("t1", "thread_update", &format!("a{n}"));
        world.arrive("t2", "mention", &format!("b{n}"));
    }
    world.turns_take(100);
    world.run_until_settled();
    let of = |prefix: char| {
        world
            .starts
            .iter()
            .filter(|start| start.id.starts_with(prefix))
            .map(|start| start.at.0)
            .collect::<Vec<_>>()
    };
    for track in ['a', 'b'] {
        let begun = of(track)[0];
        assert_eq!(of(track), (0..6).map(|n| begun + n * 100).collect::<Vec<_>>());
    }
    assert!(of('b')[0] < 100, "the other track runs beside it");
    assert_eq!((world.most_at_once("t1"), world.most_at_once("t2")), (1, 1));
}

#[test]
fn questions_come_before_assignments_and_assignments_before_updates() {
    let mut world = World::new(1);
    world.rows_are_by(Origin::Agent);
    // The worker is busy while the others arrive.
    world.arrive("t0", "thread_update", "first");
    world.turns_take(10_000);
    world.run_until(Millis(1_000));
    let kinds = [
        ("status_change", "e"),
        ("thread_update", "f"),
        ("assignment", "c"),
        ("unheard_of", "g"),
        ("mention", "a"),
        ("response_request", "b"),
        ("assignment", "d"),
    ];
    for (n, (kind, id)) in kinds.into_iter().enumerate() {
        world.arrive(&format!("t{}", n + 1), kind, id);
    }
    world.run_until_settled();
    assert_eq!(world.started(), ["first", "a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn no_row_is_overtaken_by_more_than_two_hundred() {
    let mut world = World::new(1);
    world.turns_take(10);
    world.arrive("busy", "mention", "busy");
    world.arrive("quiet", "thread_update", "patient");
    for n in 0..450 {
        world.arrive(&format!("t{n}"), "mention", &format!("m{n}"));
    }
    world.run_until_settled();
    let started = world.started();
    let place = started.iter().position(|id| *id == "patient").unwrap();
    assert_eq!(place, 201, "behind the one before it and 200 later ones");
    assert_eq!(started.len(), 452);
}

#[test]
fn a_slow_session_delays_no_other() {
    let mut world = World::new(10);
    world.turns_take(50);
    world.turn_takes("slow", 20_000);
    for n in 0..5 {
        world.arrive("slow", "mention", &format!("s{n}"));
    }
    for round in 0..20 {
        for track in 0..49 {
            world.arrive(&format!("t{track}"), "mention", &format!("r{round}t{track}"));
        }
        world.run_for(Duration::from_millis(300));
    }
    let mut waits: Vec<i64> = world
        .starts
        .iter()
        .filter(|start| start.track != "slow")
        .map(|start| start.at.0 - start.arrived.0)
        .collect();
    waits.sort_unstable();
    assert_eq!(waits.len(), 980);
    // Nine workers are left for 49 rows at once: 6 rounds of 50 ms, after a nudge of 25 ms at most.
    assert!(waits[waits.len() - 1] <= 300, "{:?}", waits.last());
    assert_eq!(world.most_at_once("slow"), 1);
}

/// How long each of 150 good rows waits, with this many rows in front of which every delivery fails for ever: at once
/// or after a while, with a pause that is short, long, or longer than the test.
fn waits_behind(poison: usize) -> Vec<i64> {
    let mut world = World::new(10);
    world.turns_take(10);
    for n in 0..poison {
        world.arrive(&format!("p{n}"), "mention", &format!("poison{n}"));
        let pause_ms = [100, 500, 2_000, 60_000, 600_000][n % 5];
        world.fates.insert(format!("poison{n}"), Fate::Fail { pause_ms });
        world.turn_takes(&format!("p{n}"), [0, 1, 10, 100][n % 4]);
    }
    world.run_for(Duration::from_secs(1));
    // Some at once, the others one after another.
    for n in 0..150 {
        world.arrive(&format!("g{n}"), "mention", &format!("good{n}"));
        if n >= 50 {
            world.run_for(Duration::from_millis(20));
        }
    }
    world.run_for(Duration::from_secs(5));
    let good = world.settled.iter().filter(|id| id.starts_with("good")).count();
    assert_eq!(good, 150);
    assert!(world.settled.iter().all(|id| id.starts_with("good")));
    let good = world.starts.iter().filter(|start| start.id.starts_with("good"));
    let mut waits: Vec<i64> = good.map(|start| start.at.0 - start.arrived.0).collect();
    waits.sort_unstable();
    waits
}

/// The backend lists the oldest first: those that rest must not hide the others, and those that are tried again must not
/// hold them up (W-5, D4).
#[test]
fn fifty_failing_rows_in_front_hide_and_delay_no_other() {
    let (alone, beside) = (waits_behind(0), waits_behind(50));
    for percent in [50, 99, 100] {
        let place = (alone.len() - 1) * percent / 100;
        let (alone, beside) = (alone[place], beside[place]);
        assert!(beside - alone < 50, "p{percent}: {alone} ms alone, {beside} ms behind 50 poisonous rows");
    }
}

#[test]
fn a_list_that_crosses_the_end_of_a_delivery_starts_nothing_twice() {
    let mut world = World::new(4);
    world.list_takes(500);
    world.turns_take(10);
    for n in 0..40 {
        world.arrive(&format!("t{}", n % 3), "mention", &format!("m{n}"));
        world.nudge();
        world.run_for(Duration::from_millis(40));
    }
    world.run_until_settled();
    let mut started = world.started();
    started.sort_unstable();
    let all = started.len();
    started.dedup();
    assert_eq!((all, started.len()), (40, 40));
}

#[test]
fn rows_settled_elsewhere_are_forgotten() {
    let mut world = World::new(1);
    world.turns_take(3_000);
    world.arrive("t0", "mention", "running");
    world.arrive("t1", "mention", "waiting");
    world.arrive("t2", "mention", "unknown");
    world.fates.insert("unknown".to_owned(), Fate::Unmarked);
    world.run_until(Millis(1_000));
    world.settle_elsewhere("waiting");
    world.run_until(Millis(60_000));
    assert_eq!(world.started(), ["running", "unknown"]);
    assert_eq!(world.dispatcher.state().stats.of("gone"), 2);
    assert_eq!(world.dispatcher.state().known, 0, "though the backend goes on to list one of them");
}

/// W-38: while the gateway is away nothing is tried, and nothing loses an attempt.
#[test]
fn an_absent_gateway_costs_probes_and_no_attempts() {
    let mut world = World::new(10);
    world.turns_take(20);
    world.gateway_is_away(true);
    for n in 0..200 {
        world.arrive(&format!("t{}", n % 50), "mention", &format!("m{n:03}"));
    }
    world.run_until(Millis(60_000));
    assert!(world.probes <= 60, "{}", world.probes);
    let tried = world.starts.len();
    assert!(tried <= 10, "only those that found it closed: {tried}");
    world.run_until(Millis(600_000));
    assert!(world.probes <= 60 + 540 / 15 + 1, "{}", world.probes);
    assert_eq!(world.starts.len(), tried);
    world.gateway_is_away(false);
    world.run_until_settled();
    assert_eq!(world.settled.len(), 200);
    assert_eq!(world.failures_most, 0);
    // Of each track in order.
    for track in 0..50 {
        let order: Vec<&String> =
            world.settled.iter().filter(|id| id[1..].parse::<usize>().unwrap() % 50 == track).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
}

#[test]
fn lists_are_frequent_in_traffic_rare_when_idle_and_slow_after_failures() {
    let mut world = World::new(2);
    world.run_until(Millis(600_000));
    let idle = world.lists.len();
    // Two minutes after the start the account is idle.
    assert!((30..=35).contains(&idle), "24 in the first two minutes, then one a minute: {idle}");

    let mut world = World::new(2);
    world.turns_take(10);
    for n in 0..60 {
        world.arrive("t", "mention", &format!("m{n}"));
        world.run_for(Duration::from_secs(1));
    }
    let longest = world.lists.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap();
    assert!(longest <= 5_000, "never slower than the interval while there is traffic: {longest}");

    let mut world = World::new(2);
    world.backend_is_away(true);
    world.run_until(Millis(600_000));
    assert!(world.lists.len() < 12, "{:?}", world.lists);
    world.backend_is_away(false);
    world.arrive("t", "mention", "m");
    world.run_until_settled();
    assert_eq!(world.settled, ["m"]);
}

#[test]
fn nudges_cost_at_most_one_list_in_25_ms() {
    let mut world = World::new(2);
    for _ in 0..1_000 {
        world.nudge();
        world.run_for(Duration::from_millis(1));
    }
    assert!((30..=41).contains(&world.lists.len()), "{}", world.lists.len());
    assert!(world.lists.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 25));
}

#[test]
fn after_the_order_to_stop_nothing_starts_and_the_last_job_ends_it() {
    let mut world = World::new(2);
    world.turns_take(1_000);
    for n in 0..6 {
        world.arrive(&format!("t{n}"), "mention", &format!("m{n}"));
    }
    world.run_until(Millis(500));
    world.stop();
    assert!(!world.dispatcher.is_done());
    world.run_until(Millis(5_000));
    assert!(world.dispatcher.is_done());
    assert_eq!((world.started().len(), world.settled.len()), (2, 2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever arrives and however long it takes: no track runs twice at once, each row is settled once and in the
    /// order of its track, no worker idles while a row could start, no row is overtaken by more than 200.
    #[test]
    fn whatever_happens_the_order_holds(
        workers in 1usize..6,
        rows in prop::collection::vec((0usize..8, 0usize..4, 0u64..400, 0u8..8), 1..120),
        list_ms in 0u64..60,
    ) {
        const KINDS: [&str; 4] = ["mention", "assignment", "thread_update", "status_change"];
        let mut world = World::new(workers);
        world.list_takes(list_ms);
        world.turns_take(30);
        for (n, (track, kind, gap, fate)) in rows.iter().enumerate() {
            let id = format!("m{n:04}");
            if *fate == 0 {
                world.fates.insert(id.clone(), Fate::FailOnce { pause_ms: 700 });
            }
            world.arrive(&format!("t{track}"), KINDS[*kind], &id);
            world.run_for(Duration::from_millis(*gap));
        }
        world.run_until_settled();
        prop_assert_eq!(world.settled.len(), rows.len());
        for track in 0..8 {
            let name = format!("t{track}");
            prop_assert!(world.most_at_once(&name) <= 1);
            let order = world.settled_of(&name);
            prop_assert!(order.is_sorted(), "{:?}", order);
        }
        prop_assert_eq!(&world.idle_while_ready, &None);
        prop_assert!(world.overtaken_most() <= 200);
    }
}
