//! A board with a task and an agent, and the parts of the service that deliver.

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::convex::Convex;
use mission_control_runtime::delivery::deliver::deliver;
use mission_control_runtime::delivery::deps::{DeliveryDeps, RecentIds};
use mission_control_runtime::delivery::journal::Journal;
use mission_control_runtime::delivery::{Job, Outcome, Record};
use mission_control_runtime::gateway::Gateway;
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::local::Options;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::AccountId;
use mission_control_runtime::roster;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::sessions::Sessions;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::beats;
use crate::support::direct::Direct;
use crate::support::played::Played;
use crate::support::service_parts::ServiceParts;
use crate::support::team::Team;
use crate::support::work::job_of;

pub(super) struct Fixture {
    pub(super) team: Team,
    pub(super) backend: Direct,
    pub(super) gateway: Played,
    /// The agent on the task.
    pub(super) ben: String,
    pub(super) task: String,
    /// Two other tasks.
    pub(super) others: [String; 2],
    /// Keeps the notes of every step.
    pub(super) ledger: MemoryLedger,
    /// The parts of this process.
    pub(super) parts: ServiceParts,
    stirred: AtomicUsize,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::at(Team::unserved(Options::default()))
    }

    /// With the hosted backend and its defects.
    pub(super) fn original() -> Self {
        Self::on(Options { original: true, ..Options::default() })
    }

    /// With such a backend.
    pub(super) fn on(options: Options) -> Self {
        Self::at(Team::unserved(options))
    }

    /// With the orchestrator in Ben's place.
    pub(super) fn of_the_lead(options: Options) -> Self {
        let team = Team::unserved(options);
        let lead = team.lead.clone();
        Self::with(team, lead)
    }

    fn at(team: Team) -> Self {
        let ben = team.ben.clone();
        Self::with(team, ben)
    }

    fn with(team: Team, ben: String) -> Self {
        let others = [team.task("inbox", &[]), team.task("inbox", &[])];
        let task = team.task("assigned", &[&ben]);
        team.board.follows(&task, "agent", &ben);
        let backend = Direct::new(team.board.engine.clone());
        let sessions = Arc::new(Sessions::in_memory(AccountId::new(&team.board.account)));
        let beats = beats::none(&team.board.account);
        Self {
            team,
            backend,
            gateway: Played::default(),
            ben,
            task,
            others,
            ledger: MemoryLedger::default(),
            parts: ServiceParts::new(roster::Team::default(), sessions, beats),
            stirred: AtomicUsize::new(0),
        }
    }

    /// The person mentions Ben.
    pub(super) fn mention(&self, words: &str) -> Job {
        self.team.board.person_says(&self.task, words);
        self.job("mention")
    }

    /// The person writes in a thread that Ben follows.
    pub(super) fn update(&self, words: &str) -> Job {
        self.team.board.person_says(&self.task, words);
        self.job("thread_update")
    }

    pub(super) fn assignment(&self) -> Job {
        self.team.board.notification(&self.ben, json!({"taskId": self.task}));
        self.job("assignment")
    }

    /// A notification without a task.
    pub(super) fn task_less(&self) -> Job {
        self.team.board.notification(&self.ben, json!({"type": "mention"}));
        self.job("mention")
    }

    /// The newest row of this type.
    fn job(&self, kind: &str) -> Job {
        let rows = self.team.board.service("listUndeliveredNotifications", json!({"limit": 50})).unwrap();
        let row = rows.as_array().unwrap().iter().rfind(|row| row["type"] == kind).unwrap();
        job_of(&serde_json::from_value(row.clone()).unwrap(), Record::default())
    }

    pub(super) fn context(&self, job: &Job) -> Value {
        let asked = json!({"notificationId": job.work.id});
        self.team.board.service("getNotificationForDelivery", asked).unwrap()
    }

    pub(super) fn outcome(&self, job: &mut Job) -> Outcome {
        self.outcome_through(job, Arc::new(self.backend.clone()), &self.ledger)
    }

    /// The outcome of an attempt with this gateway.
    pub(super) fn outcome_with(&self, job: &mut Job, gateway: &dyn Gateway) -> Outcome {
        self.attempt(job, Arc::new(self.backend.clone()), gateway, &self.ledger)
    }

    /// The outcome of an attempt with this backend connection and this journal.
    pub(super) fn outcome_through(
        &self,
        job: &mut Job,
        backend: Arc<dyn Convex>,
        journal: &dyn Journal,
    ) -> Outcome {
        self.attempt(job, backend, &self.gateway, journal)
    }

    fn attempt(
        &self,
        job: &mut Job,
        backend: Arc<dyn Convex>,
        gateway: &dyn Gateway,
        journal: &dyn Journal,
    ) -> Outcome {
        let (account, token) =
            (AccountId::new(&self.team.board.account), Secret::new(&self.team.board.token));
        let mission = Mission::new(backend, account, token);
        let written = || {
            self.stirred.fetch_add(1, Ordering::Relaxed);
        };
        let clock = self.team.board.clock();
        let deps = DeliveryDeps {
            written: &written,
            // A test may continue a job in another process.
            made: &RecentIds::default(),
            ..self.parts.deps(&mission, gateway, journal, &clock)
        };
        deliver(job, &deps)
    }

    /// A new process takes over this delivery: its tool log is held until an agent works on it or it ends.
    pub(super) fn restart(&self, job: &mut Job) {
        job.record.recalled(self.team.board.clock().now());
        self.parts.inflight.resume(&job.work, &mut job.record);
    }

    /// The name of the outcome, or `again`.
    pub(super) fn deliver(&self, job: &mut Job) -> &'static str {
        match self.outcome(job) {
            Outcome::Closed(end) => end.name(),
            Outcome::Again { .. } => "again",
        }
    }

    pub(super) fn stirred(&self) -> usize {
        self.stirred.load(Ordering::Relaxed)
    }

    pub(super) fn is_delivered(&self, job: &Job) -> bool {
        self.team.board.row("notifications", job.work.id.as_str()).get("deliveredAt").is_some()
    }

    pub(super) fn task(&self) -> Value {
        self.team.board.row("tasks", &self.task)
    }

    /// Ben's messages, oldest first.
    pub(super) fn messages_of_ben(&self) -> Vec<Value> {
        let rows = self.team.board.rows("messages").into_iter();
        let mut rows: Vec<Value> = rows.filter(|row| row["authorId"] == json!(self.ben)).collect();
        rows.sort_by(|a, b| {
            a["_creationTime"].as_f64().unwrap().total_cmp(&b["_creationTime"].as_f64().unwrap())
        });
        rows
    }

    pub(super) fn last_message(&self) -> Value {
        self.messages_of_ben().pop().unwrap()
    }
}
