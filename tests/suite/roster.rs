//! The roster that all threads share: one fetch for many, the newest wins, unknown agents ask for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use mission_control_runtime::convex::{Call, CallError, Convex};
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{AccountId, AgentId};
use mission_control_runtime::roster::Team;
use mission_control_runtime::secret::Secret;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

/// A backend whose n-th list has n agents. Each list waits for a permit.
struct Backend {
    lists: AtomicUsize,
    begun: Sender<()>,
    permits: Receiver<()>,
}

impl Convex for Backend {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let answer = if call.path.ends_with(":listAgents") {
            let number = self.lists.fetch_add(1, Ordering::SeqCst) + 1;
            self.begun.send(()).unwrap();
            self.permits.recv().unwrap();
            (1..=number).map(agent).collect()
        } else {
            json!({"orchestratorAgentId": null})
        };
        Ok(to_raw_value(&answer).unwrap())
    }
}

fn agent(number: usize) -> serde_json::Value {
    json!({"_id": format!("a{number}"), "name": "Ben", "slug": format!("ben-{number}"), "role": "", "status": "idle"})
}

struct Fixture {
    team: Team,
    backend: Arc<Backend>,
    begun: Receiver<()>,
    permits: Sender<()>,
}

impl Fixture {
    fn new() -> Self {
        let (begun, begins) = bounded(100);
        let (permits, permitted) = bounded(100);
        let backend = Arc::new(Backend { lists: AtomicUsize::new(0), begun, permits: permitted });
        Self { team: Team::default(), backend, begun: begins, permits }
    }

    fn mission(&self) -> Mission {
        Mission::new(self.backend.clone(), AccountId::new("acc"), Secret::new("token"))
    }

    /// A thread that fetches, and returns how many agents it got.
    fn fetching(&self) -> thread::JoinHandle<usize> {
        let (team, mission) = (self.team.clone(), self.mission());
        thread::spawn(move || team.fetch(&mission).unwrap().agents().len())
    }
}

/// Threads that want the roster while it is fetched share the next fetch: it began after each of them wanted it.
#[test]
fn threads_share_a_fetch_that_began_after_they_wanted_it() {
    let fixture = Fixture::new();
    let first = fixture.fetching();
    fixture.begun.recv().unwrap();
    let here = Arc::new(Barrier::new(11));
    let others: Vec<_> = (0..10)
        .map(|_| {
            let (team, mission, here) = (fixture.team.clone(), fixture.mission(), here.clone());
            thread::spawn(move || {
                here.wait();
                team.fetch(&mission).unwrap().agents().len()
            })
        })
        .collect();
    here.wait();
    // Threads that come even later begin a third fetch at most.
    for _ in 0..12 {
        fixture.permits.send(()).unwrap();
    }
    assert_eq!(first.join().unwrap(), 1);
    let got: Vec<usize> = others.into_iter().map(|other| other.join().unwrap()).collect();
    assert!(got.iter().all(|agents| *agents >= 2), "a roster of before the request: {got:?}");
    assert_eq!(
        fixture.team.now().agents().len(),
        fixture.backend.lists.load(Ordering::SeqCst),
        "the newest wins"
    );
}

/// A late answer of an earlier fetch never replaces a newer one, because there is one fetch at a time.
#[test]
fn fetches_do_not_overtake_each_other() {
    let fixture = Fixture::new();
    let first = fixture.fetching();
    fixture.begun.recv().unwrap();
    let second = fixture.fetching();
    assert!(fixture.begun.recv_timeout(Duration::from_millis(50)).is_err(), "it waits for the first");
    fixture.permits.send(()).unwrap();
    assert_eq!(first.join().unwrap(), 1);
    fixture.permits.send(()).unwrap();
    assert_eq!((second.join().unwrap(), fixture.team.now().agents().len()), (2, 2));
}

#[test]
fn only_an_unknown_agent_asks_for_the_roster() {
    let fixture = Fixture::new();
    fixture.permits.send(()).unwrap();
    fixture.team.fetch(&fixture.mission()).unwrap();
    assert!(fixture.team.wakeup().wait(Duration::ZERO), "a new roster wakes the thread that follows it");
    fixture.team.expect(&AgentId::new("a1"));
    assert!(!fixture.team.take_request() && !fixture.team.wakeup().wait(Duration::ZERO));
    fixture.team.expect(&AgentId::new("a2"));
    fixture.team.expect(&AgentId::new("a3"));
    assert!(fixture.team.wakeup().wait(Duration::ZERO));
    assert!(fixture.team.take_request() && !fixture.team.take_request(), "one fetch answers both");
    assert_eq!(fixture.backend.lists.load(Ordering::SeqCst), 1);
}

/// A backend with these lists of agents, by their numbers.
struct Lists(Mutex<Vec<Vec<usize>>>);

impl Convex for Lists {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let answer = if call.path.ends_with(":listAgents") {
            self.0.lock().unwrap().remove(0).into_iter().map(agent).collect()
        } else {
            json!({"orchestratorAgentId": null})
        };
        Ok(to_raw_value(&answer).unwrap())
    }
}

/// An agent is gone when a second list lacks it. The first list proves nothing about agents of an earlier process.
#[test]
fn an_agent_is_gone_when_a_second_list_confirms_it() {
    let lists = vec![vec![1, 2], vec![1], vec![1, 2], vec![], vec![]];
    let fetched = |team: &Team| -> Vec<(usize, bool)> {
        let backend = Arc::new(Lists(Mutex::new(lists.clone())));
        let mission = Mission::new(backend, AccountId::new("acc"), Secret::new("token"));
        let fetch = |_: &Vec<usize>| {
            let roster = team.fetch(&mission).unwrap();
            (roster.agents().len(), roster.is_gone(&AgentId::new("a9")))
        };
        lists.iter().map(fetch).collect()
    };
    let at_once = fetched(&Team::new(Duration::ZERO));
    assert_eq!(at_once, [(2, false), (2, true), (2, true), (2, true), (0, true)]);
    let an_hour = fetched(&Team::new(Duration::from_hours(1)));
    assert_eq!(an_hour, [(2, false); 5], "too early");
}
