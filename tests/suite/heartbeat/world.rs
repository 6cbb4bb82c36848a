//! A board, a model and the steps of beats between them, on the clock of the board.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::convex::{Call, CallError, Convex};
use mission_control_runtime::delivery::deliver::deliver;
use mission_control_runtime::delivery::journal::{Journal, JournalError, Note, Wait};
use mission_control_runtime::delivery::{End, Job, Outcome, Record};
use mission_control_runtime::gateway::{
    Gateway, GatewayError, Input, Progress, Recovered, Reply, ToolCall, Turn, TurnMark,
};
use mission_control_runtime::heartbeat::beats::{BeatSettings, Beats, BeatsLeft};
use mission_control_runtime::heartbeat::gate::BeatRules;
use mission_control_runtime::heartbeat::keeper::Keeper;
use mission_control_runtime::heartbeat::session::Naming;
use mission_control_runtime::heartbeat::wake::{WakeCaller, WakeKind, WakeRequest};
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::local::Options;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::zone::Zone;
use mission_control_runtime::model::{AccountId, AgentId, SessionKey};
use mission_control_runtime::roster;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::sessions::Sessions;
use mission_control_runtime::work::{self, Kind, Work, WorkId};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::beats::GATED;
use crate::support::direct::Direct;
use crate::support::service_parts::ServiceParts;
use crate::support::team::Team;

/// What the model does in a turn.
type Mind = Box<dyn FnMut(&str) -> Result<Reply, GatewayError> + Send>;

/// A gateway whose sessions survive the death of a process.
#[derive(Clone)]
pub(super) struct Model(Arc<Mutex<ModelState>>);

struct ModelState {
    mind: Mind,
    /// Each question with its session, and its reply.
    turns: Vec<(String, String, Option<Reply>)>,
}

/// A reply with this text.
#[expect(clippy::unnecessary_wraps, reason = "a turn can fail")]
pub(super) fn says(text: &str) -> Result<Reply, GatewayError> {
    Ok(Reply { text: Some(text.to_owned()), ..Reply::default() })
}

/// A reply with this call.
#[expect(clippy::unnecessary_wraps, reason = "a turn can fail")]
pub(super) fn calls(tool: &str, arguments: &Value) -> Result<Reply, GatewayError> {
    let (call_id, name, arguments) = ("c1".to_owned(), tool.to_owned(), arguments.to_string());
    Ok(Reply { calls: vec![ToolCall { call_id, name, arguments }], ..Reply::default() })
}

impl Model {
    fn new() -> Self {
        let mind: Mind = Box::new(|_| says("HEARTBEAT_OK"));
        Self(Arc::new(Mutex::new(ModelState { mind, turns: Vec::new() })))
    }

    /// From now on the model does this.
    pub(super) fn does(&self, mind: impl FnMut(&str) -> Result<Reply, GatewayError> + Send + 'static) {
        self.0.lock().unwrap().mind = Box::new(mind);
    }

    /// How many turns were answered.
    pub(super) fn turns(&self) -> usize {
        self.0.lock().unwrap().turns.len()
    }

    /// The questions so far, each with its session; they are forgotten.
    pub(super) fn take_asked(&self) -> Vec<(String, String)> {
        let turns = std::mem::take(&mut self.0.lock().unwrap().turns);
        turns.into_iter().map(|(session, question, _)| (session, question)).collect()
    }
}

impl Gateway for Model {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        progress(Progress::TurnAccepted("resp_1"));
        let mut state = self.0.lock().unwrap();
        let question = match turn.input {
            Input::Message(text) => text.to_owned(),
            Input::Outputs(outputs) => outputs.iter().map(|output| output.output.clone()).collect(),
        };
        let reply = (state.mind)(&question);
        state.turns.push((turn.session.expose().to_owned(), question, reply.as_ref().ok().cloned()));
        reply
    }

    fn recover(&self, _: &SessionKey, _: &str, mark: &TurnMark<'_>) -> Result<Recovered, GatewayError> {
        let state = self.0.lock().unwrap();
        let found = state.turns.iter().rev().find(|(_, question, _)| question.starts_with(mark.marker));
        Ok(match found.and_then(|(.., reply)| reply.clone()) {
            Some(reply) if reply.calls.is_empty() => Recovered::Answered(reply),
            Some(reply) => Recovered::Calls(reply),
            None => Recovered::Absent { marker_seen: found.is_some() },
        })
    }

    fn abort(&self, _: &SessionKey, _: &str, _: Option<&str>) -> Result<bool, GatewayError> {
        Ok(true)
    }
}

/// A process that stops at one instant: before or after a note, a call or a turn.
#[derive(Default)]
pub(super) struct Process {
    instants: AtomicUsize,
    stops_at: Option<usize>,
}

impl Process {
    pub(super) fn stopping_at(stops_at: Option<usize>) -> Arc<Self> {
        Arc::new(Self { instants: AtomicUsize::new(0), stops_at })
    }

    /// The next instant. A stopped process does nothing more.
    fn instant(&self) {
        let number = self.instants.fetch_add(1, Ordering::SeqCst);
        if self.stops_at.is_some_and(|at| number >= at) {
            resume_unwind(Box::new("the process stops"));
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stops_at.is_some_and(|at| self.instants() > at)
    }

    pub(super) fn instants(&self) -> usize {
        self.instants.load(Ordering::SeqCst)
    }
}

struct MortalBackend(Arc<Process>, Direct);

impl Convex for MortalBackend {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        self.0.instant();
        let answer = self.1.call(call);
        self.0.instant();
        answer
    }
}

struct MortalJournal(Arc<Process>, Arc<MemoryLedger>);

impl Journal for MortalJournal {
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        self.0.instant();
        let noted = self.1.note(note, wait);
        if wait == Wait::ForDisk {
            self.0.instant();
        }
        noted
    }
}

struct MortalGateway(Arc<Process>, Model);

impl Gateway for MortalGateway {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        self.0.instant();
        let reply = self.1.turn(turn, progress);
        self.0.instant();
        reply
    }

    fn recover(
        &self,
        session: &SessionKey,
        agent: &str,
        mark: &TurnMark<'_>,
    ) -> Result<Recovered, GatewayError> {
        self.1.recover(session, agent, mark)
    }

    fn abort(&self, session: &SessionKey, agent: &str, run: Option<&str>) -> Result<bool, GatewayError> {
        self.1.abort(session, agent, run)
    }
}

pub(super) struct World {
    pub(super) team: Team,
    pub(super) backend: Direct,
    pub(super) model: Model,
    pub(super) wakes: Arc<Keeper>,
    pub(super) ledger: Arc<MemoryLedger>,
    /// The parts of this process.
    pub(super) parts: ServiceParts,
    rules: BeatRules,
    named: AtomicUsize,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(GATED)
    }

    pub(super) fn with(rules: BeatRules) -> Self {
        let team = Team::unserved(Options::default());
        let account = AccountId::new(&team.board.account);
        let wakes = Arc::new(Keeper::in_memory(&account, String::new()));
        let people = roster::Team::default();
        let backend = Direct::new(team.board.engine.clone());
        let world = Self {
            backend,
            model: Model::new(),
            ledger: Arc::new(MemoryLedger::default()),
            parts: parts(rules, people, &wakes, Arc::new(Sessions::in_memory(account))),
            named: AtomicUsize::new(0),
            wakes,
            rules,
            team,
        };
        world.sync();
        world
    }

    /// The roster as it is now.
    pub(super) fn sync(&self) {
        self.sync_counted();
        self.backend.take_names();
    }

    /// The roster as it is now; its calls are kept.
    pub(super) fn sync_counted(&self) {
        self.parts.people.fetch(&self.mission(Arc::new(self.backend.clone()))).unwrap();
    }

    fn mission(&self, convex: Arc<dyn Convex>) -> Mission {
        let board = &self.team.board;
        Mission::new(convex, AccountId::new(&board.account), Secret::new(&board.token))
    }

    /// Another process takes over: it knows what the ledger has.
    pub(super) fn restart(&mut self) {
        self.restart_with(self.parts.people.clone());
    }

    /// Another process takes over, with these agents.
    pub(super) fn restart_with(&mut self, people: roster::Team) {
        let sessions = self.parts.sessions.clone();
        self.parts = parts(self.rules, people, &self.wakes, sessions);
    }

    /// A task of these agents, changed so many minutes ago.
    pub(super) fn task(&self, status: &str, agents: &[&str], minutes_ago: i64) -> String {
        let task = self.team.task(status, agents);
        let at = self.team.board.clock().now().0 - minutes_ago * 60_000;
        self.team.board.edit("tasks", &task, json!({"updatedAt": at, "createdAt": at}));
        task
    }

    /// A beat of this agent that is due now.
    pub(super) fn beat(&self, agent: &str) -> Job {
        self.beat_with(agent, false)
    }

    pub(super) fn beat_with(&self, agent: &str, woken: bool) -> Job {
        let number = self.named.fetch_add(1, Ordering::SeqCst);
        let (id, agent) = (WorkId::new(format!("beat-{agent}-{number}")), AgentId::new(agent));
        let beat = work::Beat { id, agent, created_at: self.team.board.clock().now(), woken };
        Job::new(0, Arc::new(beat.into()), Record::default())
    }

    /// One attempt, in this process.
    pub(super) fn attempt(&self, job: &mut Job, process: &Arc<Process>) -> Outcome {
        let mission = self.mission(Arc::new(MortalBackend(process.clone(), self.backend.clone())));
        let gateway = MortalGateway(process.clone(), self.model.clone());
        let journal = MortalJournal(process.clone(), self.ledger.clone());
        let clock = self.team.board.clock();
        let deps = self.parts.deps(&mission, &gateway, &journal, &clock);
        deliver(job, &deps)
    }

    /// Works on the beat until it ends.
    pub(super) fn run(&self, job: &mut Job) -> End {
        for _ in 0..60 {
            match self.attempt(job, &Process::stopping_at(None)) {
                Outcome::Closed(end) => {
                    if let Kind::Heartbeat(beat) = &job.work.kind {
                        self.parts.beats.ended(beat, &job.record, &end);
                    }
                    return end;
                }
                Outcome::Again { pause, .. } => {
                    self.pass(pause.unwrap_or(Duration::from_secs(1)));
                }
            }
        }
        panic!("it comes to no end: {:?}", job.record);
    }

    /// One beat of this agent: its end.
    pub(super) fn beats_once(&self, agent: &str) -> End {
        self.run(&mut self.beat(agent))
    }

    pub(super) fn pass(&self, time: Duration) {
        self.team.board.advance(i64::try_from(time.as_millis()).unwrap());
    }

    /// An event for the agent with this slug.
    pub(super) fn event(&self, slug: &str, text: &str) {
        let caller = WakeCaller { slug, session: "own", leads: false };
        let (kind, naming) = (WakeKind::Event, Naming::default());
        let request = WakeRequest { kind, text, reason: None, session: None, naming, name: None };
        let now = self.team.board.clock().now();
        let (taken, _) = self.wakes.change(|wakes| wakes.take(&request, caller, &|_| true, now));
        taken.unwrap();
    }

    pub(super) fn waiting_events(&self, slug: &str) -> usize {
        self.wakes.read(|wakes| wakes.waiting(slug).0.len())
    }

    /// The texts that the agent has posted to the task, oldest first.
    pub(super) fn posted(&self, agent: &str, task: &str) -> Vec<String> {
        let rows = self.team.board.rows("messages").into_iter();
        let mut rows: Vec<Value> =
            rows.filter(|row| row["authorId"] == json!(agent) && row["taskId"] == json!(task)).collect();
        rows.sort_by_key(|row| row["createdAt"].as_i64());
        rows.iter().map(|row| row["content"].as_str().unwrap().to_owned()).collect()
    }

    /// The tasks for which a response was requested, in order.
    pub(super) fn requested(&self) -> Vec<String> {
        let rows = self.team.board.rows("notifications").into_iter();
        let rows = rows.filter(|row| row["type"] == "response_request");
        rows.map(|row| row["taskId"].as_str().unwrap().to_owned()).collect()
    }

    pub(super) fn agent(&self, agent: &str) -> Value {
        self.team.board.row("agents", agent)
    }
}

/// The parts of a process with such heartbeats.
fn parts(
    rules: BeatRules,
    people: roster::Team,
    wakes: &Arc<Keeper>,
    sessions: Arc<Sessions>,
) -> ServiceParts {
    let settings = BeatSettings { rules: Some(rules), checklist: None, zone: Zone::default() };
    let beats = Beats::new(settings, people.clone(), wakes.clone(), BeatsLeft::default());
    ServiceParts::new(people, sessions, Arc::new(beats))
}

/// The work of a beat that the ledger has.
pub(super) fn job_of(work: Arc<Work>, record: Record) -> Job {
    Job::new(1, work, record)
}
