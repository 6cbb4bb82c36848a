//! A process ends during a heartbeat, and the first list of agents of the next process lacks the agent.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::convex::{Call, CallError, Convex};
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::{End, Outcome, Trouble};
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::AccountId;
use mission_control_runtime::roster::Team;
use mission_control_runtime::secret::Secret;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::world::{Process, World, job_of, says};

/// A backend whose list of agents is empty.
struct NoAgents;

impl Convex for NoAgents {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let is_list = call.path.ends_with(":listAgents");
        let answer = if is_list { json!([]) } else { json!({"orchestratorAgentId": null}) };
        Ok(to_raw_value(&answer).unwrap())
    }
}

/// A paid answer is posted once, and its event is not shown again.
#[test]
fn an_incomplete_list_after_a_restart_costs_no_paid_answer() {
    let mut waits = 0;
    for stop_at in 0.. {
        let mut world = World::new();
        let ben = world.team.ben.clone();
        let task = world.task("in_progress", &[&ben], 5);
        world.event("ben", "Look at this.");
        let now = world.team.board.clock().now();
        world.wakes.change(|wakes| wakes.tidy(&world.parts.people.now(), now));
        world.model.does(|_| says("Done."));
        let mut job = world.beat(&ben);
        let process = Process::stopping_at(Some(stop_at));
        let first = catch_unwind(AssertUnwindSafe(|| world.attempt(&mut job, &process)));
        if first.is_ok() && !process.is_stopped() {
            break;
        }
        let is_paid = world.model.turns() == 1;
        let Some(left) = world.ledger.crash(usize::MAX).pop() else { continue };
        let mut record = left.record;
        record.recalled(world.team.board.clock().now());
        let mut job = job_of(left.work, record);

        let people = Team::default();
        let account = AccountId::new(&world.team.board.account);
        people.fetch(&Mission::new(Arc::new(NoAgents), account, Secret::new("token"))).unwrap();
        world.restart_with(people);
        let place = format!("stopped at {stop_at}");
        let end = match world.attempt(&mut job, &Process::stopping_at(None)) {
            Outcome::Closed(end) => end,
            Outcome::Again { trouble, .. } => {
                waits += usize::from(matches!(trouble, Trouble::AgentUnconfirmed));
                world.sync();
                world.run(&mut job)
            }
        };
        if is_paid {
            assert_eq!(end, End::Answered(1), "{place}");
            assert_eq!((world.waiting_events("ben"), world.model.turns()), (0, 1), "{place}");
        } else {
            assert!(matches!(end, End::Answered(1) | End::Skipped(Skip::NoAgent)), "{place}: {end:?}");
        }
        let posts = usize::from(end == End::Answered(1));
        assert_eq!(world.posted(&ben, &task).len(), posts, "{place}");
    }
    assert!(waits > 0, "an answer is found while the agent is missing");
}
