//! Work without turns: neither the breaker nor a pause holds it, it proves nothing about the gateway, and it keeps the
//! order of its track.

use std::collections::HashSet;
use std::time::Duration;

use mission_control_runtime::delivery::operator_requests::Hold;

use super::world::{Fate, World};

/// A world whose breaker is open: the gateway is away, and a row that needs a turn waits for it.
fn with_open_breaker() -> World {
    let mut world = World::new(4);
    world.gateway_is_away(true);
    world.arrive("t0", "mention", "turned-away");
    world.run_for(Duration::from_secs(10));
    assert!(world.dispatcher.standing().breaker_open.is_some());
    world
}

#[test]
fn work_without_turns_starts_behind_an_open_breaker_and_leaves_it_open() {
    let mut world = with_open_breaker();
    world.offer("t1", "posts");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.settled, ["posts"]);
    assert!(world.dispatcher.standing().breaker_open.is_some());
}

/// Probes succeed, so the next turn is the trial.
#[test]
fn work_without_turns_is_never_the_trial() {
    let mut world = with_open_breaker();
    world.probes_lie(true);
    for number in 0..20 {
        world.offer("t1", &format!("posts-{number}"));
        world.run_for(Duration::from_secs(2));
        assert!(world.dispatcher.standing().breaker_open.is_some(), "after {number}");
    }
    assert_eq!(world.settled.len(), 20);
    world.gateway_is_away(false);
    world.run_until_settled();
    assert!(world.dispatcher.standing().breaker_open.is_none(), "a turn closes it");
}

#[test]
fn work_without_turns_starts_during_a_pause() {
    for hold in [
        Hold { all: true, agents: HashSet::new() },
        Hold { all: false, agents: HashSet::from(["agent".to_owned()]) },
    ] {
        let mut world = World::paused(2, Vec::new(), hold);
        world.arrive("t0", "mention", "needs-a-turn");
        world.offer("t1", "posts");
        world.run_for(Duration::from_secs(1));
        assert_eq!((world.settled, world.starts.len()), (vec!["posts".to_owned()], 1));
    }
}

/// A kind without turns is exempt from the breaker, not from the order.
#[test]
fn work_without_turns_waits_for_earlier_work_of_its_track() {
    let mut world = World::new(4);
    world.fates.insert("first".to_owned(), Fate::FailOnce { pause_ms: 60_000 });
    world.offer("t1", "first");
    world.offer("t1", "second");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.started(), ["first"], "the second one waits for the pause of the first one");
    world.run_for(Duration::from_secs(60));
    assert_eq!(world.settled, ["first", "second"]);
}
