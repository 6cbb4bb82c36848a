//! The doubles of backend and gateway in a separate process: two servers with shared books.
//!
//! They use as little processor time as possible, because they share the machine with the measured program. Replies are
//! assembled from prepared pieces, and of a turn's request only the session is parsed.

use std::collections::{BTreeMap, HashMap};
use std::io::stdin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};
use serde::Deserialize;

use super::observations::{Entry, Goal, Kind, Load, Observations, Pace, ProcessState};
use super::world::{self, Events, Track};
use super::{backend, gateway, wake};

/// More connections than all workers have together.
const CONNECTIONS: usize = 700;
const IDLE: Duration = Duration::from_mins(2);

/// Both doubles.
pub(crate) struct Doubles {
    began: Instant,
    roster: String,
    state: Mutex<State>,
    /// A client waits for a goal that may have been reached.
    reached: Condvar,
}

/// A row in the backend.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) track: Track,
    pub(crate) hops: usize,
    /// The row as listed, without timestamps and closing brace.
    pub(crate) text: String,
    pub(crate) read: bool,
    pub(crate) ended: bool,
}

/// A session at the gateway, and its last turn.
#[derive(Clone, Copy, Default)]
pub(crate) struct Session {
    pub(crate) in_flight: usize,
    pub(crate) run: usize,
    pub(crate) turn: u64,
    pub(crate) done: u64,
}

#[derive(Default)]
pub(crate) struct State {
    /// The number of the first row since the last reset. Numbers are never reused.
    pub(crate) first: usize,
    pub(crate) rows: Vec<Row>,
    /// All rows before this one are settled.
    pub(crate) settled_up_to: usize,
    pub(crate) sessions: HashMap<Track, Session>,
    pub(crate) surroundings: HashMap<(Kind, Track), Arc<str>>,
    /// By agent.
    pub(crate) events: HashMap<usize, Events>,
    pub(crate) pace: Pace,
    pub(crate) runs: usize,
    pub(crate) rights: Option<Goal>,
    pub(crate) delivered: usize,
    pub(crate) in_flight: usize,
    pub(crate) observations: Observations,
}

impl State {
    pub(crate) fn odd(&mut self, what: &str) {
        *self.observations.odd.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, kind: Kind, track: Track, hops: usize, now: u64) {
        let number = self.first + self.rows.len();
        let text = world::row(number, kind, track, wall_clock());
        self.rows.push(Row { kind, track, hops, text, read: false, ended: false });
        self.observations.rows.push(Entry { task: track.task, created: now, ..Entry::default() });
    }

    fn reset(&mut self) {
        let first = self.first + self.rows.len();
        let (runs, pace) = (self.runs, self.pace);
        let events = std::mem::take(&mut self.events);
        *self = Self { first, events, pace, runs, ..Self::default() };
    }

    fn load(&mut self, load: Load, now: u64) {
        for number in 0..load.count {
            let track = Track::of_task(load.first_task + number % load.tasks);
            self.add(load.kind, track, load.hops, now);
        }
    }

    /// The number of the newest row while rows are open, else 0.
    pub(crate) fn newest_open(&self) -> usize {
        if self.delivered < self.rows.len() { self.first + self.rows.len() } else { 0 }
    }

    fn has_reached(&self, goal: Goal) -> bool {
        self.delivered >= goal.delivered || self.in_flight >= goal.in_flight
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall_clock() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs_f64() * 1e3).floor()
}

impl Doubles {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn roster(&self) -> &str {
        &self.roster
    }

    /// Microseconds since the start, never 0.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// Wakes the waiting client if its goal may be reached.
    pub(crate) fn tell(&self, state: &State) {
        if state.rights.is_some_and(|goal| state.has_reached(goal)) {
            self.reached.notify_all();
        }
    }

    fn wait(&self, goal: Goal) -> ProcessState {
        let until = Instant::now() + Duration::from_millis(goal.millis);
        let mut state = self.state();
        state.rights = Some(goal);
        while !state.has_reached(goal) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.reached.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.rights = None;
        ProcessState { delivered: state.delivered, in_flight: state.in_flight }
    }

    /// The control requests of the benchmark.
    fn steered(&self, request: &Request) -> Reply {
        fn read<'a, T: Deserialize<'a>>(request: &'a Request) -> T {
            serde_json::from_slice(request.body()).unwrap()
        }
        match request.path().as_ref() {
            "/control/reset" => self.state().reset(),
            "/control/pace" => self.state().pace = read(request),
            "/control/load" => {
                let load = read(request);
                let now = self.now();
                self.state().load(load, now);
            }
            "/control/wait" => return Reply::json_of(&self.wait(read(request))),
            "/control/books" => {
                let observations = self.state().observations.clone();
                return Reply::json_of(&observations);
            }
            _ => return Reply::error(404, "Not Found"),
        }
        Reply::json("{}")
    }
}

/// Serves until its input ends.
pub(crate) fn serve(agents: usize) {
    let state = Mutex::new(State {
        observations: Observations { calls: BTreeMap::new(), ..Observations::default() },
        ..State::default()
    });
    let began = Instant::now();
    let doubles = Arc::new(Doubles {
        began,
        roster: world::roster(agents, wall_clock()),
        state,
        reached: Condvar::new(),
    });
    let limits = ServerLimits { connections: CONNECTIONS, idle_time: IDLE, ..ServerLimits::default() };
    let behind = doubles.clone();
    let backend = Server::bind("127.0.0.1:0", limits.clone(), move |request| {
        if request.path().starts_with("/control/") {
            behind.steered(&request)
        } else if request.path() == "/api/sync" {
            wake::subscribe(&behind, &request)
        } else {
            backend::answer(&behind, &request)
        }
    })
    .unwrap();
    let gateway =
        Server::bind("127.0.0.1:0", limits, move |request| gateway::answer(&doubles, &request)).unwrap();
    println!("{} {}", backend.local_addr(), gateway.local_addr());
    let _ = std::io::copy(&mut stdin(), &mut std::io::sink());
}
