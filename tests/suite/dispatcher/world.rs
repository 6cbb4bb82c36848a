//! Rows, workers, a backend and a gateway in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::ask::{Answer, Ask, Ear};
use mission_control_runtime::delivery::dispatcher::{Dispatcher, Effect, Event, Plan, Rhythm, Wish};
use mission_control_runtime::delivery::retry::{self, Next};
use mission_control_runtime::delivery::{End, Job, Outcome, Trouble};
use mission_control_runtime::gateway::{Class, GatewayError, Why};
use mission_control_runtime::model::Notification;
use serde_json::json;

/// What becomes of a row when a worker has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It fails every time and rests this long.
    Fail { pause_ms: u64 },
    /// It fails at its first time.
    FailOnce { pause_ms: u64 },
    /// It is over here, but the backend goes on to list it.
    Unmarked,
    /// It is given up.
    Dead,
}

/// There is no journal; whoever asked is told.
fn grant(wish: Wish) {
    if let Wish::Tell(ear, answer) = wish {
        ear.tell(answer);
    }
}

/// One beginning of a job.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) id: String,
    pub(super) track: String,
    pub(super) arrived: Millis,
    pub(super) at: Millis,
    until: Millis,
}

pub(super) struct World {
    pub(super) dispatcher: Dispatcher,
    pub(super) starts: Vec<Start>,
    pub(super) settled: Vec<String>,
    pub(super) lists: Vec<Millis>,
    pub(super) probes: usize,
    pub(super) probed: Vec<Millis>,
    pub(super) forgotten: Vec<String>,
    pub(super) fates: HashMap<String, Fate>,
    pub(super) failures_most: u32,
    /// When, if ever, a worker idled although a row could have begun.
    pub(super) idle_while_ready: Option<Millis>,
    now: Millis,
    workers: usize,
    /// The backend's rows, oldest first, with their time of arrival.
    rows: BTreeMap<usize, (Notification, Millis)>,
    arrived: usize,
    to_come: BinaryHeap<(Reverse<i64>, Reverse<usize>)>,
    events: HashMap<usize, Event>,
    planned: usize,
    turn_ms: u64,
    turns_ms: HashMap<String, u64>,
    list_ms: u64,
    gateway_away: bool,
    backend_away: bool,
    overtaken: BTreeMap<usize, (u32, u32)>,
}

impl World {
    /// A dispatcher that has found itself alone.
    pub(super) fn new(workers: usize) -> Self {
        let rhythm = Rhythm {
            interval: Duration::from_secs(5),
            idle_interval: Duration::from_mins(1),
            backoff_base: Duration::from_secs(5),
            backoff_max: Duration::from_mins(5),
        };
        let mut world = Self {
            dispatcher: Dispatcher::new(Plan { workers, list_limit: 50, rhythm }),
            starts: Vec::new(),
            settled: Vec::new(),
            lists: Vec::new(),
            probes: 0,
            probed: Vec::new(),
            forgotten: Vec::new(),
            fates: HashMap::new(),
            failures_most: 0,
            idle_while_ready: None,
            now: Millis(0),
            workers,
            rows: BTreeMap::new(),
            arrived: 0,
            to_come: BinaryHeap::new(),
            events: HashMap::new(),
            planned: 0,
            turn_ms: 1,
            turns_ms: HashMap::new(),
            list_ms: 1,
            gateway_away: false,
            backend_away: false,
            overtaken: BTreeMap::new(),
        };
        // Its first list is empty, so that it waits for no second one.
        world.tell(None);
        world.run_for(Duration::from_millis(1));
        world
    }

    pub(super) fn turns_take(&mut self, ms: u64) {
        self.turn_ms = ms;
    }

    pub(super) fn turn_takes(&mut self, track: &str, ms: u64) {
        self.turns_ms.insert(track.to_owned(), ms);
    }

    pub(super) fn list_takes(&mut self, ms: u64) {
        self.list_ms = ms;
    }

    pub(super) fn gateway_is_away(&mut self, away: bool) {
        self.gateway_away = away;
    }

    pub(super) fn backend_is_away(&mut self, away: bool) {
        self.backend_away = away;
    }

    /// The backend has a new row, and somebody says so.
    pub(super) fn arrive(&mut self, track: &str, kind: &str, id: &str) {
        let row = json!({"_id": id, "type": kind, "recipientType": "agent", "recipientId": "agent",
            "taskId": track, "title": "", "body": "", "createdAt": self.now.0});
        self.rows.insert(self.arrived, (serde_json::from_value(row).unwrap(), self.now));
        self.overtaken.insert(self.arrived, (0, 0));
        self.arrived += 1;
        self.nudge();
    }

    pub(super) fn now(&self) -> Millis {
        self.now
    }

    pub(super) fn settle_elsewhere(&mut self, id: &str) {
        self.rows.retain(|_, (row, _)| row.id.as_str() != id);
    }

    pub(super) fn nudge(&mut self) {
        self.tell(Some(Event::Nudged));
    }

    /// A person asks, or wants something done.
    pub(super) fn ask(&mut self, ask: Ask) -> Answer {
        let (tell, told) = std::sync::mpsc::channel();
        self.tell(Some(Event::Asked(ask, Ear::new(move |answer| tell.send(answer).unwrap()))));
        told.try_recv().expect("it answers at once")
    }

    pub(super) fn stop(&mut self) {
        self.tell(Some(Event::Stop));
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Time goes on from event to event.
    pub(super) fn run_until(&mut self, end: Millis) {
        for _ in 0..1_000_000 {
            let coming = self.to_come.peek().map(|(Reverse(at), _)| Millis(*at));
            let woken = self.dispatcher.wake_at(self.now).map(|at| at.max(self.now));
            let Some(next) = [coming, woken].into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = self.now.max(end);
                return;
            };
            self.now = next;
            if coming == Some(next) {
                let (_, Reverse(number)) = self.to_come.pop().unwrap();
                let event = self.events.remove(&number);
                self.tell(event);
            } else {
                self.tell(None);
            }
        }
        panic!("a million events without the time going on: it spins at {}", self.now.0);
    }

    pub(super) fn run_until_settled(&mut self) {
        for _ in 0..2_000 {
            self.run_for(Duration::from_secs(1));
            if self.rows.is_empty() && self.dispatcher.standing().known == 0 {
                return;
            }
        }
        panic!("still not settled at {}: {:?}", self.now.0, self.dispatcher.standing());
    }

    fn tell(&mut self, event: Option<Event>) {
        if let Some(Event::Finished(job, outcome)) = &event {
            self.failures_most = self.failures_most.max(job.record.failures);
            if let Outcome::Closed(end) = outcome {
                self.settled.push(job.row.id.as_str().to_owned());
                if end.is_marked() {
                    self.settle_elsewhere(job.row.id.as_str());
                }
            }
        }
        let effects = self.dispatcher.on(event, self.now);
        for effect in effects {
            self.carry_out(effect);
        }
        let running = self.dispatcher.standing().running;
        let before = self.starts.len();
        // Asked again without news, it must have nothing more to begin.
        for effect in self.dispatcher.on(None, self.now) {
            self.carry_out(effect);
        }
        if self.starts.len() > before && running < self.workers {
            self.idle_while_ready = Some(self.now);
        }
    }

    fn later(&mut self, ms: u64, event: Event) {
        let number = self.planned;
        self.planned += 1;
        self.events.insert(number, event);
        let at = self.now.0 + i64::try_from(ms).unwrap();
        self.to_come.push((Reverse(at), Reverse(number)));
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::List { list, limit } => {
                self.lists.push(self.now);
                let rows = self.rows.values().map(|(row, _)| row.clone()).take(limit as usize).collect();
                let event = if self.backend_away {
                    Event::ListFailed { why: "away".to_owned(), not_before: None, dice: 0.5 }
                } else {
                    Event::Listed { list, limit, rows, spoilt: 0, dice: 0.5 }
                };
                self.later(self.list_ms, event);
            }
            Effect::Probe => {
                self.probes += 1;
                self.probed.push(self.now);
                let trouble = self.gateway_away.then(|| "away".to_owned());
                self.later(1, Event::Probed(trouble));
            }
            Effect::Start(job) => self.start(job),
            Effect::Leave => panic!("there is nobody else"),
            Effect::Wish(wish) => grant(wish),
            Effect::Forget(row) => self.forgotten.push(row.id.as_str().to_owned()),
        }
    }

    fn start(&mut self, mut job: Box<Job>) {
        let id = job.row.id.as_str().to_owned();
        let track = job.row.task_id.as_ref().unwrap().as_str().to_owned();
        let (place, arrived) = self
            .rows
            .iter()
            .find(|(_, (row, _))| row.id == job.row.id)
            .map_or((0, self.now), |(n, (_, at))| (*n, *at));
        let ms = self.turns_ms.get(&track).copied().unwrap_or(self.turn_ms);
        let outcome = if self.gateway_away {
            let error = GatewayError::new(Class::Closed, Why::Unreachable, None);
            let trouble = Trouble::Gateway(error);
            match retry::after(&mut job.record, &trouble, &retry::Budget::default(), 0.5) {
                Next::Again(pause) => Outcome::Again { trouble, pause },
                Next::End(end) => Outcome::Closed(end),
            }
        } else {
            match self.fates.get(&id).copied() {
                Some(Fate::Fail { pause_ms }) => Outcome::Again {
                    trouble: Trouble::NoContext,
                    pause: Some(Duration::from_millis(pause_ms)),
                },
                Some(Fate::FailOnce { pause_ms }) => {
                    self.fates.remove(&id);
                    Outcome::Again {
                        trouble: Trouble::NoContext,
                        pause: Some(Duration::from_millis(pause_ms)),
                    }
                }
                Some(Fate::Unmarked) => Outcome::Closed(End::Gone),
                Some(Fate::Dead) => Outcome::Closed(End::Dead("no".to_owned())),
                None => Outcome::Closed(End::Answered(1)),
            }
        };
        if matches!(outcome, Outcome::Again { .. }) {
            job.record.unknown += 1;
        }
        // Those before it that could have begun are overtaken; a track that is busy or rests could not.
        let running: Vec<&Start> = self.starts.iter().filter(|start| start.until > self.now).collect();
        let busy: Vec<String> = running.iter().map(|start| start.track.clone()).collect();
        for (n, (row, _)) in self.rows.range(..place) {
            let own = row.task_id.as_ref().unwrap().as_str();
            if !busy.iter().any(|track| track == own)
                && let Some((count, _)) = self.overtaken.get_mut(n)
            {
                *count += 1;
            }
        }
        let until = self.now + Duration::from_millis(ms);
        self.starts.push(Start { id, track, arrived, at: self.now, until });
        self.later(ms, Event::Finished(job, outcome));
    }

    pub(super) fn started(&self) -> Vec<String> {
        self.starts.iter().map(|start| start.id.clone()).collect()
    }

    pub(super) fn settled_of(&self, track: &str) -> Vec<String> {
        let mine = |id: &&String| self.starts.iter().any(|start| start.id == **id && start.track == track);
        self.settled.iter().filter(mine).cloned().collect()
    }

    pub(super) fn most_at_once(&self, track: &str) -> usize {
        let mine: Vec<&Start> = self.starts.iter().filter(|start| start.track == track).collect();
        let at_once = |start: &&&Start| {
            mine.iter().filter(|other| other.at <= start.at && other.until > start.at).count()
        };
        mine.iter().map(|start| at_once(&start)).max().unwrap_or(0)
    }

    pub(super) fn overtaken_most(&self) -> u32 {
        self.overtaken.values().map(|(count, _)| *count).max().unwrap_or(0)
    }
}
