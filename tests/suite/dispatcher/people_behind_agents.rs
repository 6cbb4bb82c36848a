//! Rows of people behind rows of agents in the same track, while no turn of an agent may start.

use std::time::Duration;

use mission_control_runtime::delivery::End;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::scheduler::RecoveredState;
use mission_control_runtime::guardrails::origin::Origin::{Agent, Person};
use proptest::prelude::*;

use super::world::{Fate, World};

const CEILING: usize = 10;

fn under_ceiling(workers: usize, fold_max: usize, requests_per_minute: usize) -> World {
    let limits = AgentLimitsConfig { people_reserve_percent: 20, requests_per_minute };
    World::built(workers, fold_max, Vec::new(), RecoveredState::default(), limits)
}

/// A world in which agents have used up the ceiling.
fn full(fold_max: usize, first: &[(&str, Fate)]) -> World {
    let mut world = under_ceiling(5, fold_max, CEILING);
    for (id, fate) in first {
        world.fates.insert((*id).to_owned(), *fate);
        world.arrive_from("Bot", Agent, "t", id);
    }
    world.run_for(Duration::from_millis(100));
    for n in first.len()..CEILING {
        world.arrive_from("Bot", Agent, &format!("other{n}"), &format!("x{n}"));
    }
    world.run_for(Duration::from_secs(2));
    assert!(world.dispatcher.state().agent_limits.requests >= CEILING as u64);
    world
}

fn wait_of(world: &World, id: &str) -> Option<i64> {
    let start = world.starts.iter().find(|start| start.id == id)?;
    Some(start.at.0 - start.arrived.0)
}

#[test]
fn a_person_does_not_wait_for_the_ceiling_behind_agents_in_the_same_track() {
    for fold_max in [1, 5, 20] {
        for ahead in [1, 4, 30] {
            for name in ["Dana", "Bot"] {
                let case = format!("fold_max {fold_max}, {ahead} rows ahead, person named {name}");
                let mut world = full(fold_max, &[]);
                for n in 0..ahead {
                    world.arrive_from("Bot", Agent, "t", &format!("a{n}"));
                }
                world.run_for(Duration::from_secs(1));
                world.arrive_from(name, Person, "t", "p");
                world.arrive_from("Bot", Agent, "t", "later");
                world.run_for(Duration::from_secs(2));
                let wait = wait_of(&world, "p");
                assert!(wait.is_some_and(|wait| wait < 1_000), "{case}: {wait:?}");
                assert_eq!(world.shown.len(), CEILING + 1, "no turn of an agent: {case}: {:?}", world.shown);
                let turn = world.shown.last().unwrap();
                assert!(turn[0] == "p" && turn.len() <= fold_max, "{case}: {turn:?}");
                assert!(fold_max == 1 || turn.len() > 1, "{case}: {turn:?}");
                world.run_until_settled();
                assert_eq!(world.settled.len(), CEILING + ahead + 2, "{case}");
            }
        }
    }
}

/// The row in front was tried before, so it is not folded.
#[test]
fn a_person_passes_a_row_of_an_agent_that_has_failed_and_waits_for_the_ceiling() {
    for fold_max in [1, 20] {
        for name in ["Dana", "Bot"] {
            let mut world = full(fold_max, &[("a", Fate::FailOnce { pause_ms: 500 })]);
            world.arrive_from("Bot", Agent, "t", "b");
            world.arrive_from(name, Person, "t", "p");
            world.run_for(Duration::from_secs(2));
            let wait = wait_of(&world, "p");
            assert!(wait.is_some_and(|wait| wait < 1_000), "fold_max {fold_max}, {name}: {wait:?}");
            world.run_until_settled();
            assert_eq!(world.ends["a"], End::Answered(1));
        }
    }
}

/// A session has one turn at a time.
#[test]
fn a_person_waits_for_the_open_turn_of_an_agent_and_not_for_the_ceiling() {
    for fold_max in [1, 20] {
        let mut world = full(fold_max, &[("a", Fate::Unsettled { attempts: 3, pause_ms: 2_000 })]);
        world.arrive_from("Dana", Person, "t", "p");
        world.run_for(Duration::from_millis(500));
        assert_eq!(wait_of(&world, "p"), None);
        world.run_for(Duration::from_secs(8));
        assert_eq!(world.settled_of("t"), ["a", "p"]);
        assert_eq!(world.most_at_once("t"), 1);
    }
}

/// People keep their order among themselves.
#[test]
fn without_folding_the_rows_of_people_keep_their_order() {
    let mut world = full(1, &[]);
    world.turns_take(200);
    for (name, author, id) in
        [("Bot", Agent, "a"), ("Dana", Person, "p"), ("Bot", Agent, "b"), ("Dana", Person, "q")]
    {
        world.arrive_from(name, author, "t", id);
    }
    world.run_until_settled();
    assert_eq!(world.settled_of("t"), ["p", "q", "a", "b"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever waits in front of a person, no ceiling delays that person, and every row ends once.
    #[test]
    fn no_person_waits_for_the_ceiling(
        workers in 3usize..8,
        fold_max in prop_oneof![Just(1usize), 2usize..30],
        rows in prop::collection::vec(
            (0usize..4, 0u8..5, any::<bool>(), prop::option::weighted(0.2, 100u64..1_500), 0u64..300), 20..90),
    ) {
        let mut world = under_ceiling(workers, fold_max, 3);
        world.turns_take(100);
        for (n, (track, author, named, fails, pause)) in rows.iter().enumerate() {
            let by_person = *author == 0;
            let id = format!("{}{n}", if by_person { "p" } else { "a" });
            if let (Some(pause_ms), false) = (fails, by_person) {
                world.fates.insert(id.clone(), Fate::FailOnce { pause_ms: *pause_ms });
            }
            let (name, author) = (if *named { "Bot" } else { "Dana" }, if by_person { Person } else { Agent });
            world.arrive_from(name, author, &format!("t{track}"), &id);
            world.run_for(Duration::from_millis(*pause));
        }
        world.run_for(Duration::from_secs(8));
        let late: Vec<(usize, Option<i64>)> = rows
            .iter()
            .enumerate()
            .filter(|(_, (_, author, ..))| *author == 0)
            .map(|(n, _)| (n, format!("p{n}")))
            .filter(|(_, id)| !world.settled.contains(id) && !world.shown.concat().contains(id))
            .map(|(n, id)| (n, wait_of(&world, &id)))
            .collect();
        prop_assert!(late.is_empty(), "{:?}", late);
        world.run_for(Duration::from_mins(40));
        let mut settled = world.settled.clone();
        settled.sort_unstable();
        settled.dedup();
        prop_assert_eq!((settled.len(), world.settled.len()), (rows.len(), rows.len()));
    }
}
