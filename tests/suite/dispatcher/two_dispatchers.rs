//! Two dispatchers on one board in virtual time: which of them stays, and what it costs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use crate::support::work::notification_of;
use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Job, Outcome, Trouble};
use mission_control_runtime::model::Notification;
use serde_json::json;

pub(super) const WORKERS: usize = 10;
const TRACKS: usize = 50;
/// How often a person writes, until one of the two has left. Without work neither can be detected.
const DRIP: Duration = Duration::from_secs(2);
/// When both have certainly started.
const LATE: Duration = Duration::from_secs(30);
/// How long a row is left to the other dispatcher.
const TAKEN: Duration = Duration::from_mins(1);
/// The time that running turns get after the order to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// A small random number generator with a seed.
struct Dice(u64);

impl Dice {
    /// One of 2³¹ faces.
    fn face(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap()
    }

    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        f64::from(self.face()) / f64::from(1u32 << 31)
    }

    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + u64::from(self.face()) % (to - from)
    }
}

/// What happens next, at one of the two.
enum Next {
    Start,
    Tell(Event),
    /// The backend makes the list.
    List {
        list: u64,
        limit: u32,
    },
    /// The backend answers with the context of the row.
    Context(Box<Job>),
    /// The backend marks the row as read, and the agent's turn begins.
    Read(Box<Job>),
    /// The agent has answered.
    Answered(Box<Job>),
    /// Turns that still run are aborted.
    Cut,
    /// A person writes this many messages.
    Arrive(usize),
}

/// One of the two dispatchers.
struct Party {
    dispatcher: Option<Scheduler>,
    left_at: Option<Millis>,
    cut: bool,
}

/// A row in the backend.
struct Entry {
    row: Notification,
    posts: usize,
    turns: usize,
}

pub(super) struct RuntimePair {
    parties: [Party; 2],
    rows: BTreeMap<String, Entry>,
    /// When each session is free again: the gateway runs one turn of a session at a time.
    sessions: HashMap<String, Millis>,
    to_come: BinaryHeap<(Reverse<i64>, Reverse<usize>)>,
    coming: HashMap<usize, (usize, Next)>,
    planned: usize,
    now: Millis,
    dice: Dice,
    turn_ms: (u64, u64),
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Outcomes {
    pub(super) left: usize,
    pub(super) open: usize,
    pub(super) doubled_turns: usize,
    pub(super) doubled_posts: usize,
}

impl RuntimePair {
    /// Two dispatchers that start this far apart. This many rows exist, or arrive at once after both have started.
    pub(super) fn new(seed: u64, (rows, late): (usize, bool), apart: Duration, turn_ms: (u64, u64)) -> Self {
        let party = || Party { dispatcher: None, left_at: None, cut: false };
        let mut pair = Self {
            parties: [party(), party()],
            rows: BTreeMap::new(),
            sessions: HashMap::new(),
            to_come: BinaryHeap::new(),
            coming: HashMap::new(),
            planned: 0,
            now: Millis(1_000_000),
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1)),
            turn_ms,
        };
        if late {
            pair.later(LATE, 0, Next::Arrive(rows));
        } else {
            pair.happen(0, Next::Arrive(rows));
        }
        pair.later(Duration::ZERO, 0, Next::Start);
        pair.later(LATE + DRIP, 0, Next::Arrive(1));
        pair.later(apart, 1, Next::Start);
        pair
    }

    fn arrive(&mut self) {
        let n = self.rows.len();
        let id = format!("m{n:04}");
        let row = json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": "agent",
            "taskId": format!("t{}", n % TRACKS), "title": "", "body": "", "createdAt": self.now.0});
        self.rows.insert(id, Entry { row: serde_json::from_value(row).unwrap(), posts: 0, turns: 0 });
    }

    fn later(&mut self, span: Duration, who: usize, next: Next) {
        let number = self.planned;
        self.planned += 1;
        self.coming.insert(number, (who, next));
        self.to_come.push((Reverse((self.now + span).0), Reverse(number)));
    }

    /// A random delay of the network.
    fn way(&mut self) -> Duration {
        Duration::from_millis(self.dice.between(5, 60))
    }

    /// Runs until one has left and all rows are settled, or until both have left.
    pub(super) fn run(mut self) -> Outcomes {
        let end = self.now + Duration::from_hours(2);
        while self.now < end && !self.is_over() {
            self.step();
        }
        let rows = self.rows.values();
        let doubled = |count: fn(&Entry) -> usize| rows.clone().map(|row| count(row).saturating_sub(1)).sum();
        Outcomes {
            left: self.parties.iter().filter(|party| party.left_at.is_some()).count(),
            open: rows.clone().filter(|row| row.row.delivered_at.is_none()).count(),
            doubled_turns: doubled(|row| row.turns),
            doubled_posts: doubled(|row| row.posts),
        }
    }

    fn is_over(&self) -> bool {
        let left = self.parties.iter().filter(|party| party.left_at.is_some()).count();
        left == 2 || left == 1 && self.rows.values().all(|row| row.row.delivered_at.is_some())
    }

    fn step(&mut self) {
        let woken = |party: &Party| party.dispatcher.as_ref().and_then(|it| it.wake_at(self.now));
        let woken = [0, 1].map(|who| woken(&self.parties[who]).map(|at| (at.max(self.now), who)));
        let coming = self.to_come.peek().map(|(Reverse(at), _)| Millis(*at));
        let next = woken.into_iter().flatten().min();
        match (coming, next) {
            (Some(at), next) if next.is_none_or(|(woken, _)| at <= woken) => {
                self.now = at;
                let (_, Reverse(number)) = self.to_come.pop().unwrap();
                let (who, next) = self.coming.remove(&number).unwrap();
                self.happen(who, next);
            }
            (_, Some((at, who))) => {
                self.now = at;
                self.tell(who, None);
            }
            (_, None) => panic!("nothing will ever happen again"),
        }
    }

    fn happen(&mut self, who: usize, next: Next) {
        match next {
            Next::Start => {
                let intervals = PollIntervals {
                    interval: Duration::from_secs(5),
                    idle_interval: Duration::from_secs(5),
                    backoff_base: Duration::from_secs(5),
                    backoff_max: Duration::from_mins(5),
                };
                let plan = SchedulerConfig {
                    workers: WORKERS,
                    list_limit: 50,
                    calls_monthly: 900_000,
                    intervals,
                    fold_max: 1,
                    agent_limits: AgentLimitsConfig::default(),
                };
                self.parties[who].dispatcher =
                    Some(Scheduler::with(plan, RecoveredState::default(), self.now));
                self.tell(who, None);
            }
            Next::Tell(event) => self.tell(who, Some(event)),
            Next::List { list, limit } => {
                let open = self.rows.values().filter(|row| row.row.delivered_at.is_none());
                let rows = open.map(|row| row.row.clone()).take(limit as usize).collect();
                let event = Event::Listed { list, limit, rows, malformed: 0, dice: self.dice.roll() };
                let way = self.way();
                self.later(way, who, Next::Tell(event));
            }
            Next::Context(job) => {
                let now = &self.rows[job.work.id.as_str()].row;
                let next = if now.delivered_at.is_some() {
                    Next::Tell(Event::Finished(job, Outcome::Closed(End::Gone)))
                } else if now.read_at != notification_of(&job).read_at {
                    let outcome = Outcome::Again { trouble: Trouble::StartedElsewhere, pause: Some(TAKEN) };
                    Next::Tell(Event::Finished(job, outcome))
                } else {
                    Next::Read(job)
                };
                let way = self.way();
                self.later(way, who, next);
            }
            Next::Read(job) => self.read(who, job),
            Next::Answered(job) => self.answered(who, job),
            Next::Cut => self.parties[who].cut = true,
            Next::Arrive(rows) => {
                (0..rows).for_each(|_| self.arrive());
                if rows == 1 && self.parties.iter().all(|party| party.left_at.is_none()) {
                    self.later(DRIP, who, Next::Arrive(1));
                }
            }
        }
    }

    fn read(&mut self, who: usize, job: Box<Job>) {
        let now = self.now;
        let row = self.rows.get_mut(job.work.id.as_str()).unwrap();
        row.row.read_at.get_or_insert(now);
        row.row.delivery_ended_at = None;
        row.turns += 1;
        let session = job.work.track.task().unwrap().as_str().to_owned();
        let free = self.sessions.get(&session).copied().unwrap_or(now).max(now);
        let turn = self.dice.between(self.turn_ms.0, self.turn_ms.1);
        let done = free + Duration::from_millis(turn);
        self.sessions.insert(session, done);
        self.later(done.since(now), who, Next::Answered(job));
    }

    fn answered(&mut self, who: usize, job: Box<Job>) {
        let (now, cut) = (self.now, self.parties[who].cut);
        let row = self.rows.get_mut(job.work.id.as_str()).unwrap();
        let outcome = if cut {
            row.row.delivery_ended_at.get_or_insert(now);
            Outcome::Again { trouble: Trouble::NoContext, pause: None }
        } else {
            // The backend admits one message for each notification.
            row.posts = 1;
            row.row.delivered_at.get_or_insert(now);
            Outcome::Closed(End::Answered(1))
        };
        let way = self.way();
        self.later(way, who, Next::Tell(Event::Finished(job, outcome)));
    }

    fn tell(&mut self, who: usize, event: Option<Event>) {
        let nudges = matches!(&event, Some(Event::Finished(..)));
        let now = self.now;
        let Some(dispatcher) = &mut self.parties[who].dispatcher else { return };
        let mut effects = dispatcher.on(event, now);
        // A dispatcher expects new rows after a post.
        if nudges {
            effects.extend(dispatcher.on(Some(Event::Nudged), now));
        }
        for effect in effects {
            let way = self.way();
            match effect {
                Effect::List { list, limit } => self.later(way, who, Next::List { list, limit }),
                Effect::Start(job) => self.later(way, who, Next::Context(job)),
                Effect::Probe => self.later(way, who, Next::Tell(Event::Probed(None))),
                Effect::Forget(_) | Effect::Operator(_) => {}
                Effect::Leave => {
                    self.later(DRAIN, who, Next::Cut);
                    self.later(Duration::ZERO, who, Next::Tell(Event::Stop));
                }
            }
        }
        let party = &mut self.parties[who];
        if party.dispatcher.as_ref().is_some_and(Scheduler::is_done) {
            party.dispatcher = None;
            party.left_at = Some(now);
        }
    }
}
