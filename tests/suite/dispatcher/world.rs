//! Rows, workers, a backend and a gateway in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

pub(super) use crate::support::work::sent;
use crate::support::work::work_of;
use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::delivery::failure::{BackendFailure, Unsettled, Weight};
use mission_control_runtime::delivery::operator_requests::{Hold, OperatorReply, OperatorRequest, ReplyTo};
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::retry::{self, Next};
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, OperatorEffect, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Job, Outcome, PendingAnswer, Record, Stage, Trouble};
use mission_control_runtime::gateway::history::Waiting;
use mission_control_runtime::gateway::{Class, GatewayError, Why};
use mission_control_runtime::guardrails::agent_names::KnownOrigin;
use mission_control_runtime::guardrails::origin::Origin;
use mission_control_runtime::model::Notification;
use serde_json::json;

/// The result of a row's attempts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It fails every time and pauses this long.
    Fail { pause_ms: u64 },
    /// It fails at the first attempt.
    FailOnce { pause_ms: u64 },
    /// It ends here, but the backend continues to list it.
    Unmarked,
    /// It is given up.
    Dead,
    /// It is given up before a turn is sent.
    DeadWithoutTurn,
    /// It is given up, and the backend refuses the mark and continues to list the row.
    DeadUnmarked,
    /// Each of its turns fails, until its attempts are used up.
    FailingTurns,
    /// The model's provider fails every time.
    Overloaded,
    /// The policy skips it, so no turn is sent.
    Skipped,
    /// Its answer was lost, and for this many attempts it is unknown whether its turn still runs.
    Unsettled { attempts: u32, pause_ms: u64 },
    /// Its answer is recorded; this many times the backend does not accept it.
    Unposted { attempts: u32, pause_ms: u64 },
}

/// A record of an answer that is not posted yet.
pub(super) fn answered() -> Record {
    let answer = PendingAnswer::new(vec!["yes".to_owned()], false);
    Record { stage: Stage::Answered(answer), ..Record::default() }
}

/// A row as the backend lists it.
pub(super) fn row(track: &str, kind: &str, id: &str, at: Millis) -> Notification {
    let row = json!({"_id": id, "type": kind, "recipientType": "agent", "recipientId": "agent",
        "taskId": track, "title": "", "body": "", "createdAt": at.0});
    serde_json::from_value(row).unwrap()
}

/// There is no journal; only replies are delivered.
fn carry_out(wanted: OperatorEffect) {
    let OperatorEffect::Tell(reply_to, answer) = wanted else { return };
    reply_to.tell(answer);
}

/// A failed turn; the normal retry rules decide what follows.
fn failed(job: &mut Job, trouble: Trouble) -> Outcome {
    match retry::after(&mut job.record, &trouble, &retry::Budget::default(), 0.5) {
        Next::Again(pause) => Outcome::Again { trouble, pause },
        Next::End(end) => Outcome::Closed(end),
    }
}

/// One start of a job.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) id: String,
    pub(super) track: String,
    pub(super) arrived: Millis,
    pub(super) at: Millis,
    pub(super) until: Millis,
    /// How the attempt ended.
    pub(super) end: &'static str,
    /// Whether its turn may still run at the gateway after it.
    pub(super) unsettled: bool,
}

pub(super) struct World {
    pub(super) dispatcher: Scheduler,
    pub(super) starts: Vec<Start>,
    pub(super) settled: Vec<String>,
    pub(super) lists: Vec<Millis>,
    pub(super) probes: usize,
    pub(super) probed: Vec<Millis>,
    pub(super) forgotten: Vec<String>,
    pub(super) fates: HashMap<String, Fate>,
    pub(super) failures_most: u32,
    /// When a worker was idle although a row could have started, if ever.
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
    /// Probes reach the gateway although turns do not.
    probes_lie: bool,
    backend_away: bool,
    overtaken: BTreeMap<usize, (u32, u32)>,
    /// Who has really caused a row, if it is not the usual author.
    authors: HashMap<String, Origin>,
    usual_author: Origin,
    /// The rows that a worker read and left because an agent had caused them.
    pub(super) looks: Vec<String>,
    /// The rows whose texts each turn had: the answered one first.
    pub(super) shown: Vec<Vec<String>>,
    /// How each row has ended.
    pub(super) ends: HashMap<String, End>,
    /// How many folded texts do not fit into each briefing: the last ones.
    pub(super) unfit: usize,
}

impl World {
    /// A dispatcher that has ruled out another runtime.
    pub(super) fn new(workers: usize) -> Self {
        Self::left(workers, Vec::new())
    }

    /// Like `new`, with these deliveries of an earlier process.
    pub(super) fn left(workers: usize, open: Vec<(Notification, Record)>) -> Self {
        Self::paused(workers, open, Hold::default())
    }

    /// Like `with`, and an operator paused these agents before the start.
    pub(super) fn paused(workers: usize, open: Vec<(Notification, Record)>, hold: Hold) -> Self {
        Self::recovered(workers, open, RecoveredState { hold, ..RecoveredState::default() })
    }

    /// The same, and an earlier process has left this as well.
    pub(super) fn recovered(workers: usize, open: Vec<(Notification, Record)>, left: RecoveredState) -> Self {
        Self::with(workers, open, left, AgentLimitsConfig::default())
    }

    /// A dispatcher with these limits, which knows the agent "Bot".
    pub(super) fn limited(workers: usize, people_reserve_percent: usize, requests_per_minute: usize) -> Self {
        let limits = AgentLimitsConfig { people_reserve_percent, requests_per_minute };
        Self::with(workers, Vec::new(), RecoveredState::default(), limits)
    }

    /// A dispatcher whose turns answer up to this many rows, with these deliveries of an earlier process.
    pub(super) fn folding(
        workers: usize,
        fold_max: usize,
        open: Vec<(Notification, Record)>,
        left: RecoveredState,
    ) -> Self {
        Self::built(workers, fold_max, open, left, AgentLimitsConfig::default())
    }

    /// The same with all of it.
    pub(super) fn with(
        workers: usize,
        open: Vec<(Notification, Record)>,
        left: RecoveredState,
        agent_limits: AgentLimitsConfig,
    ) -> Self {
        Self::built(workers, 1, open, left, agent_limits)
    }

    pub(super) fn built(
        workers: usize,
        fold_max: usize,
        open: Vec<(Notification, Record)>,
        left: RecoveredState,
        agent_limits: AgentLimitsConfig,
    ) -> Self {
        let rows = (0..).zip(open.iter().map(|(row, _)| (row.clone(), Millis(0)))).collect();
        let open: Vec<_> = open.into_iter().map(|(row, record)| (work_of(&row), record, None)).collect();
        let intervals = PollIntervals {
            interval: Duration::from_secs(5),
            idle_interval: Duration::from_mins(1),
            backoff_base: Duration::from_secs(5),
            backoff_max: Duration::from_mins(5),
        };
        let (arrived, monthly) = (open.len(), 900_000);
        let left = RecoveredState { open, ..left };
        let plan = SchedulerConfig {
            calls_monthly: monthly,
            list_limit: 50,
            workers,
            intervals,
            fold_max,
            agent_limits,
        };
        let overtaken = (0..arrived).map(|number| (number, (0, 0))).collect();
        let mut world = Self {
            dispatcher: Scheduler::with(plan, left, Millis(0)),
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
            rows,
            arrived,
            to_come: BinaryHeap::new(),
            events: HashMap::new(),
            planned: 0,
            turn_ms: 1,
            turns_ms: HashMap::new(),
            list_ms: 1,
            gateway_away: false,
            probes_lie: false,
            backend_away: false,
            overtaken,
            authors: HashMap::new(),
            usual_author: Origin::Person,
            looks: Vec::new(),
            shown: Vec::new(),
            ends: HashMap::new(),
            unfit: 0,
        };
        world.tell(Some(Event::AgentNames(["Bot"].into_iter().collect())));
        // Its first list is empty, so that it does not wait for a second one.
        world.tell(None);
        world.run_for(Duration::from_millis(1));
        world
    }

    /// The author of rows whose words name none.
    pub(super) fn rows_are_by(&mut self, author: Origin) {
        self.usual_author = author;
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

    pub(super) fn probes_lie(&mut self, lie: bool) {
        self.probes_lie = lie;
    }

    pub(super) fn backend_is_away(&mut self, away: bool) {
        self.backend_away = away;
    }

    /// The backend gets a new row and sends a nudge.
    pub(super) fn arrive(&mut self, track: &str, kind: &str, id: &str) {
        self.add(row(track, kind, id, self.now));
    }

    fn add(&mut self, row: Notification) {
        self.rows.insert(self.arrived, (row, self.now));
        self.overtaken.insert(self.arrived, (0, 0));
        self.arrived += 1;
        self.nudge();
    }

    /// The backend gets a new row of this author, who may have the name of an agent, and sends a nudge.
    pub(super) fn arrive_from(&mut self, name: &str, author: Origin, track: &str, id: &str) {
        let title = format!("{name} mentioned you");
        self.arrive_row(Notification { title, ..row(track, "mention", id, self.now) }, author);
    }

    /// The backend gets this row of this author.
    pub(super) fn arrive_row(&mut self, row: Notification, author: Origin) {
        self.authors.insert(row.id.to_string(), author);
        self.add(row);
    }

    /// A source without lists offers work without turns.
    #[cfg(feature = "test-kind")]
    pub(super) fn offer(&mut self, track: &str, id: &str) {
        let test = mission_control_runtime::work::TestWork {
            id: mission_control_runtime::work::WorkId::new(id),
            agent: "agent".to_owned(),
            task: mission_control_runtime::model::TaskId::new(track),
            messages: vec!["yes".to_owned()],
            created_at: self.now,
        };
        self.tell(Some(Event::Offered(std::sync::Arc::new(test.into()))));
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

    /// A request of an operator.
    pub(super) fn ask(&mut self, ask: OperatorRequest) -> OperatorReply {
        let (tell, replies) = std::sync::mpsc::channel();
        self.tell(Some(Event::Asked(ask, ReplyTo::new(move |answer| tell.send(answer).unwrap()))));
        replies.try_recv().expect("it answers at once")
    }

    pub(super) fn stop(&mut self) {
        self.tell(Some(Event::Stop));
    }

    pub(super) fn run_for(&mut self, span: Duration) {
        self.run_until(self.now + span);
    }

    /// Moves the time from event to event.
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
            if self.rows.is_empty() && self.dispatcher.state().known == 0 {
                return;
            }
        }
        panic!("still not settled at {}: {:?}", self.now.0, self.dispatcher.state());
    }

    pub(super) fn tell(&mut self, event: Option<Event>) {
        if let Some(Event::Finished(job, outcome)) = &event {
            let unknown = job.record.failures.of(Cause::NoContext);
            self.failures_most = self.failures_most.max(job.record.own_failures() - unknown);
            if let Outcome::Closed(end) = outcome {
                self.settled.push(job.work.id.as_str().to_owned());
                self.ends.insert(job.work.id.as_str().to_owned(), end.clone());
                let refused = matches!(self.fates.get(job.work.id.as_str()), Some(Fate::DeadUnmarked));
                if end.is_marked() && !refused {
                    self.settle_elsewhere(job.work.id.as_str());
                }
            }
        }
        let effects = self.dispatcher.on(event, self.now);
        for effect in effects {
            self.carry_out(effect);
        }
        let running = self.dispatcher.state().running;
        let before = self.starts.len();
        // Called again without an event, it must start nothing more.
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
                    Event::Listed { list, limit, rows, malformed: 0, dice: 0.5 }
                };
                self.later(self.list_ms, event);
            }
            Effect::Probe => {
                self.probes += 1;
                self.probed.push(self.now);
                let trouble = (self.gateway_away && !self.probes_lie).then(|| "away".to_owned());
                self.later(1, Event::Probed(trouble));
            }
            Effect::Start(job) => self.start(job),
            Effect::Leave => panic!("there is no other runtime"),
            Effect::Operator(wanted) => carry_out(wanted),
            Effect::Forget(row) => self.forgotten.push(row.id.as_str().to_owned()),
        }
    }

    fn start(&mut self, mut job: Box<Job>) {
        let id = job.work.id.as_str().to_owned();
        let track = job.work.track.task().unwrap().as_str().to_owned();
        let (place, arrived) = self
            .rows
            .iter()
            .find(|(_, (row, _))| row.id.as_str() == job.work.id.as_str())
            .map_or((0, self.now), |(n, (_, at))| (*n, *at));
        if job.needs_turn() {
            let by = self.authors.get(&id).copied().unwrap_or(self.usual_author);
            job.record.origin = Some(KnownOrigin { by, at: job.work.created_at() });
            if job.record.is_untouched() && !job.permits(by) {
                self.looks.push(id);
                let outcome = Outcome::Again { trouble: Trouble::AgentRowsWait, pause: Some(Duration::ZERO) };
                return self.later(1, Event::Finished(job, outcome));
            }
        }
        let ms = self.turns_ms.get(&track).copied().unwrap_or(self.turn_ms);
        let was_asked = job.needs_turn();
        if was_asked {
            self.show(&mut job);
        }
        let outcome = self.outcome(&mut job);
        job.record.requests += u32::from(was_asked);
        // Earlier rows that could have started are overtaken; rows of a busy or pausing track could not.
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
        let end = match &outcome {
            Outcome::Closed(end) => end.name(),
            Outcome::Again { .. } => "again",
        };
        self.starts.push(Start {
            id,
            track,
            arrived,
            at: self.now,
            until,
            end,
            unsettled: job.record.sent.is_some(),
        });
        self.later(ms, Event::Finished(job, outcome));
    }

    /// The turn gets the texts of the row and of the folded ones, as far as they fit.
    fn show(&mut self, job: &mut Job) {
        let most = job.folds.len().saturating_sub(self.unfit);
        let mut shown = vec![job.work.id.as_str().to_owned()];
        for (place, fold) in job.folds.iter_mut().enumerate() {
            fold.kept = place < most;
            if fold.kept {
                fold.record.folded_into = Some(job.work.id.clone());
                shown.push(fold.work.id.as_str().to_owned());
            }
        }
        self.shown.push(shown);
    }

    fn outcome(&mut self, job: &mut Job) -> Outcome {
        if let Stage::Ended(end @ End::Folded(_)) = &job.record.stage {
            return Outcome::Closed(end.clone());
        }
        let fate = self.fates.get(job.work.id.as_str());
        let without_turn = matches!(
            fate,
            Some(
                Fate::Skipped
                    | Fate::Unposted { .. }
                    | Fate::Fail { .. }
                    | Fate::FailOnce { .. }
                    | Fate::DeadWithoutTurn
            )
        );
        job.gateway_answered = !self.gateway_away && job.needs_turn() && !without_turn;
        let id = job.work.id.as_str().to_owned();
        let fate = self.fates.get(&id).copied();
        let silent = matches!(fate, Some(Fate::Skipped | Fate::Unposted { .. } | Fate::DeadWithoutTurn));
        if self.gateway_away && job.needs_turn() && !silent {
            return failed(job, Trouble::Gateway(GatewayError::new(Class::Closed, Why::Unreachable, None)));
        }
        let rests = |job: &mut Job, pause_ms| {
            job.record.failures.add(Cause::NoContext, 1);
            Outcome::Again { trouble: Trouble::NoContext, pause: Some(Duration::from_millis(pause_ms)) }
        };
        match fate {
            Some(Fate::Fail { pause_ms }) => rests(job, pause_ms),
            Some(Fate::FailOnce { pause_ms }) => {
                self.fates.remove(&id);
                rests(job, pause_ms)
            }
            Some(Fate::Unposted { attempts, pause_ms }) if attempts > 0 => {
                self.fates.insert(id, Fate::Unposted { attempts: attempts - 1, pause_ms });
                job.record = answered();
                let backend_failure =
                    BackendFailure { weight: Weight::Passing, not_before: None, sentence: String::new() };
                let pause = Some(Duration::from_millis(pause_ms));
                Outcome::Again { trouble: Trouble::Backend(backend_failure), pause }
            }
            Some(Fate::Unsettled { attempts, pause_ms }) if attempts > 0 => {
                self.fates.insert(id, Fate::Unsettled { attempts: attempts - 1, pause_ms });
                job.record.sent = Some(sent());
                job.record.failures.add(Cause::StuckTurn, 1);
                let trouble = Trouble::Unsettled(Unsettled::Stuck(Waiting::GoesOn));
                Outcome::Again { trouble, pause: Some(Duration::from_millis(pause_ms)) }
            }
            Some(Fate::FailingTurns) => {
                failed(job, Trouble::Gateway(GatewayError::new(Class::Transient, Why::Interrupted, None)))
            }
            Some(Fate::Overloaded) => {
                failed(job, Trouble::Gateway(GatewayError::new(Class::Transient, Why::ProviderTrouble, None)))
            }
            Some(Fate::Skipped) => Outcome::Closed(End::Skipped(Skip::NoAgent)),
            Some(Fate::Unmarked) => Outcome::Closed(End::Gone),
            Some(Fate::Dead | Fate::DeadWithoutTurn) => Outcome::Closed(End::Dead("no".to_owned())),
            Some(Fate::DeadUnmarked) if job.needs_turn() => {
                job.record.stage = Stage::Ended(End::Dead("no".to_owned()));
                Outcome::Closed(End::Dead("no".to_owned()))
            }
            Some(Fate::DeadUnmarked) => Outcome::Closed(End::Dead("the mark is refused".to_owned())),
            Some(Fate::Unposted { .. } | Fate::Unsettled { .. }) | None => {
                job.record.sent = None;
                Outcome::Closed(End::Answered(1))
            }
        }
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
