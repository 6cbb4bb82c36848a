//! Rows that people have caused start first, and limits apply to those of agents alone.

use std::collections::HashMap;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::limited::Limited;
use mission_control_runtime::delivery::operator_requests::{OperatorReply, OperatorRequest, Place};
use mission_control_runtime::delivery::scheduler::{Event, RecoveredState};
use mission_control_runtime::guardrails::origin::Origin::{Agent, Person};
use proptest::prelude::*;

use super::world::World;

fn place_of(world: &mut World, id: &str) -> Place {
    let OperatorReply::Rows(rows, _) = world.ask(OperatorRequest::Look) else { panic!("rows") };
    rows.into_iter().find(|row| row.work.id.as_str() == id).expect("it is open").place
}

/// The time that this row waited for its start.
fn wait_of(world: &World, id: &str) -> i64 {
    let start = world.starts.iter().find(|start| start.id == id).expect("it started");
    start.at.0 - start.arrived.0
}

#[test]
fn a_row_of_a_person_starts_before_the_rows_of_agents_that_came_earlier() {
    let mut world = World::limited(1, 20, 0);
    world.turns_take(1_000);
    for n in 0..20 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.run_for(Duration::from_millis(100));
    world.arrive_from("Dana", Person, "t50", "p");
    world.run_until_settled();
    assert_eq!(world.started()[1], "p", "behind the turn that ran already: {:?}", world.started());
    assert_eq!(world.started().len(), 21);
}

/// A name is no proof. Each row is read at most once to learn its origin.
#[test]
fn a_person_with_the_name_of_an_agent_comes_first_too() {
    let mut world = World::limited(1, 20, 0);
    world.turns_take(1_000);
    for n in 0..20 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.run_for(Duration::from_millis(100));
    world.arrive_from("Bot", Person, "t50", "p");
    world.run_until_settled();
    assert_eq!(world.started()[1], "p", "{:?}", world.started());
    let mut looks = world.looks.clone();
    looks.sort_unstable();
    looks.dedup();
    assert_eq!(looks.len(), world.looks.len(), "one read for each row");
    assert_eq!(world.dispatcher.state().agent_limits.looks, looks.len() as u64);
}

/// An agent that was renamed has a name that nobody has now. Its row is found out before its turn.
#[test]
fn a_row_under_a_name_that_no_agent_has_starts_a_turn_only_for_a_person() {
    let mut world = World::limited(1, 20, 60);
    for n in 0..70 {
        world.arrive_from("Former Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.run_for(Duration::from_secs(30));
    assert_eq!((world.starts.len(), world.looks.len()), (60, 70));
    world.arrive_from("Dana", Person, "t100", "p");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.started()[60..], ["p"]);
    world.run_until_settled();
}

#[test]
fn with_free_workers_and_no_limit_reached_nothing_is_read_twice() {
    let mut world = World::limited(10, 20, 240);
    world.turns_take(1_000);
    for n in 0..8 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
        world.run_for(Duration::from_millis(50));
    }
    world.run_until_settled();
    assert_eq!((world.starts.len(), world.looks.len()), (8, 0));
}

#[test]
fn agents_never_take_the_reserve_so_a_person_starts_at_once() {
    let mut world = World::limited(10, 20, 0);
    world.turns_take(60_000);
    for n in 0..100 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.dispatcher.state().running, 8);
    for n in 0..2 {
        world.arrive_from("Dana", Person, &format!("p{n}"), &format!("p{n}"));
    }
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.dispatcher.state().running, 10);
    assert!(wait_of(&world, "p0") < 50 && wait_of(&world, "p1") < 50);
}

#[test]
fn people_leave_one_worker_to_agents() {
    let mut world = World::limited(5, 20, 0);
    world.turns_take(1_000);
    for n in 0..40 {
        world.arrive_from("Dana", Person, &format!("p{n}"), &format!("p{n}"));
    }
    world.run_for(Duration::from_millis(1_500));
    world.arrive_from("Bot", Agent, "a", "a0");
    world.run_for(Duration::from_secs(3));
    assert!(wait_of(&world, "a0") <= 1_100, "{}", wait_of(&world, "a0"));
    world.run_until_settled();
}

/// With fewer than three workers there is no reserve, so only the limit on overtaking protects agents.
#[test]
fn with_two_workers_no_row_of_an_agent_is_overtaken_by_more_than_two_hundred() {
    let mut world = World::limited(2, 20, 0);
    world.turns_take(10);
    world.arrive_from("Dana", Person, "b0", "b0");
    world.arrive_from("Dana", Person, "b1", "b1");
    world.arrive_from("Bot", Agent, "a", "patient");
    for n in 0..450 {
        world.arrive_from("Dana", Person, &format!("p{n}"), &format!("p{n}"));
    }
    world.run_until_settled();
    let place = world.started().iter().position(|id| id == "patient").unwrap();
    assert!((200..=204).contains(&place), "{place}");
}

#[test]
fn the_ceiling_holds_rows_of_agents_and_says_why() {
    let mut world = World::limited(10, 20, 30);
    for n in 0..100 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.starts.len(), 30);
    let limits = world.dispatcher.state().agent_limits;
    assert_eq!((limits.waiting, limits.requests), (70, 30));
    assert!(limits.ceiling_until.is_some());
    let waiting = (0..100).map(|n| format!("a{n}")).find(|id| !world.started().contains(id)).unwrap();
    let Place::Limited(why) = place_of(&mut world, &waiting) else { panic!("it is limited") };
    assert!(
        why.contains("30 requests to the gateway in the last minute")
            && why.contains("AGENT_TURNS_PER_MINUTE"),
        "{why}"
    );
    for n in 0..50 {
        world.arrive_from("Dana", Person, &format!("p{n}"), &format!("p{n}"));
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.starts.len(), 80, "people are not limited");
    world.run_until_settled();
    assert!(world.dispatcher.state().agent_limits.ceiling_until.is_none());
    let agents: Vec<Millis> =
        world.starts.iter().filter(|start| start.id.starts_with('a')).map(|start| start.at).collect();
    for pair in agents.windows(31) {
        assert!(pair[30].0 - pair[0].0 >= 60_000, "31 turns within a minute: {pair:?}");
    }
}

/// A process that crashes again and again starts with the window of the ledger.
#[test]
fn the_ceiling_counts_the_turns_of_the_process_before() {
    let left = RecoveredState { agent_turns: vec![Millis(0); 28], ..RecoveredState::default() };
    let limits = AgentLimitsConfig { people_reserve_percent: 0, requests_per_minute: 30 };
    let mut world = World::with(10, Vec::new(), left, limits);
    for n in 0..10 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.starts.len(), 2);
    world.run_until_settled();
}

#[test]
fn a_limited_agent_starts_no_turn_not_even_for_a_person() {
    let mut world = World::limited(10, 20, 0);
    let reason = "The budget of the agent is used up; `budget raise` ends that.".to_owned();
    let agents = HashMap::from([("agent".to_owned(), reason.clone())]);
    world.tell(Some(Event::Limited(Limited { all: None, agents })));
    world.arrive_from("Dana", Person, "t", "p");
    world.arrive_from("Bot", Agent, "u", "a");
    world.run_for(Duration::from_mins(1));
    assert!(world.starts.is_empty());
    assert_eq!(place_of(&mut world, "p"), Place::Limited(reason));
    world.tell(Some(Event::Limited(Limited::default())));
    world.run_until_settled();
    assert_eq!(world.starts.len(), 2);
}

/// Behind hundreds of rows of agents that wait, lists go on until a row of a person is in view.
#[test]
fn a_row_of_a_person_behind_hundreds_of_waiting_rows_of_agents_is_found() {
    let mut world = World::limited(10, 20, 5);
    for n in 0..450 {
        world.arrive_from("Bot", Agent, &format!("t{n}"), &format!("a{n}"));
    }
    world.arrive_from("Dana", Person, "p", "p");
    world.run_for(Duration::from_secs(5));
    assert!(wait_of(&world, "p") < 3_000, "{}", wait_of(&world, "p"));
    assert!(world.lists.len() < 20, "{} lists", world.lists.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever arrives, every row ends once, no track runs out of order within a class, and the ceiling is kept.
    #[test]
    fn nothing_starves_and_nothing_exceeds_the_ceiling(
        workers in 1usize..8,
        percent in 0usize..=100,
        ceiling in prop_oneof![Just(0usize), 20usize..60],
        rows in prop::collection::vec((0usize..6, any::<bool>(), any::<bool>(), 0u64..400), 1..60),
    ) {
        let mut world = World::limited(workers, percent, ceiling);
        world.turns_take(300);
        for (n, (track, by_agent, named, pause)) in rows.iter().enumerate() {
            let author = if *by_agent { Agent } else { Person };
            let name = if *named { "Bot" } else { "Dana" };
            world.arrive_from(name, author, &format!("t{track}"), &format!("r{n}"));
            world.run_for(Duration::from_millis(*pause));
        }
        world.run_until_settled();
        let mut settled = world.settled.clone();
        settled.sort_unstable();
        settled.dedup();
        prop_assert_eq!(settled.len(), rows.len());
        prop_assert_eq!(world.settled.len(), rows.len());
        let mut looks = world.looks.clone();
        looks.sort_unstable();
        looks.dedup();
        prop_assert_eq!(looks.len(), world.looks.len(), "one look for each row");
        if ceiling > 0 {
            let is_agent = |id: &str| rows[id[1..].parse::<usize>().unwrap()].1;
            let agents: Vec<i64> =
                world.starts.iter().filter(|start| is_agent(&start.id)).map(|start| start.at.0).collect();
            prop_assert!(agents.windows(ceiling + 1).all(|turns| turns[ceiling] - turns[0] >= 60_000));
        }
    }
}
