//! What an idle account costs: the backend calls of a month, counted by kind on a virtual clock. The dispatcher, the
//! schedule of heartbeats and the paces of the service's own calls run with the default settings, without and with the wake
//! query. How many calls a fetch or a heartbeat makes is counted once with the real steps.

#![allow(clippy::print_stdout, reason = "`make facts` shows the table")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::config::{self, FileSource, FileTrouble, Settings, Sources};
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Job, Outcome};
use mission_control_runtime::heartbeat::schedule::BeatSchedule;
use mission_control_runtime::model::{AgentId, Notification};
use mission_control_runtime::repeated_call::{CallPace, RepeatedCall};
use mission_control_runtime::wake_query::WakeSignal;
use mission_control_runtime::work::{Beat, Kind, WorkId};
use serde_json::json;

use super::world::World;
use crate::support::documents::{check_fresh, with_block};

const AGENTS: [&str; 5] = ["lead", "ada", "ben", "cleo", "dan"];

/// The interval that Mission Control gives to a new agent.
const BEAT_INTERVAL: Duration = Duration::from_mins(15);

const MONTH: Duration = Duration::from_hours(30 * 24);

/// The most calls of a month.
const MONTHLY_CALLS_MAX: u64 = 300_000;
const MONTHLY_CALLS_WITH_WAKE_QUERY_MAX: u64 = 200_000;

/// A reading of requests asks for a restart and for an upgrade.
const CALLS_OF_REQUESTS: usize = 2;

fn settings(more: &[(&str, &str)]) -> Settings {
    let account = "k57a1b2c3d4e5f6g7h8j9k0m1n2p3q4r";
    let token = format!("mc_service_{account}_s3cr3ts3cr3t");
    let least = [
        ("ACCOUNT_ID", account),
        ("SERVICE_TOKEN", token.as_str()),
        ("CONVEX_URL", "https://happy-otter-123.convex.cloud"),
        ("HOME", "/home/mc"),
    ];
    let environment: BTreeMap<String, String> =
        least.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let configuration = config::resolve(&Sources {
        environment: &environment,
        garbled: &BTreeSet::new(),
        file: &FileSource::default(),
        read_secret: &|_| Err(FileTrouble::Missing),
    });
    configuration.settings.unwrap()
}

/// The calls of one fetch of the roster, of a saved heartbeat, and of one that is sent, by function.
struct Measured {
    fetch: Vec<String>,
    saved: BTreeMap<bool, Vec<String>>,
    sent: BTreeMap<bool, Vec<String>>,
}

impl Measured {
    fn new() -> Self {
        let world = World::new();
        world.sync_counted();
        let fetch = world.backend.take_names();
        let (mut saved, mut sent) = (BTreeMap::new(), BTreeMap::new());
        for (leads, agent) in [(true, world.team.lead.clone()), (false, world.team.ada.clone())] {
            world.beats_once(&agent);
            sent.insert(leads, world.backend.take_names());
            world.pass(BEAT_INTERVAL);
            assert_eq!(world.beats_once(&agent), End::Skipped(Skip::NothingNew));
            saved.insert(leads, world.backend.take_names());
        }
        Self { fetch, saved, sent }
    }
}

/// A service on a virtual clock.
struct Service {
    now: Millis,
    scheduler: Scheduler,
    roster: RepeatedCall,
    status: RepeatedCall,
    requests: RepeatedCall,
    has_wake_query: bool,
    beats: BeatSchedule,
    named: u64,
    measured: Measured,
    /// Rows that the next list shows.
    rows: Vec<Notification>,
    /// The calls by kind.
    calls: BTreeMap<&'static str, u64>,
    /// When the first notification started.
    started: Option<Millis>,
    /// The job of the notification that started last.
    job: Option<Box<Job>>,
}

impl Service {
    fn new(settings: &Settings) -> Self {
        let delivery = &settings.delivery;
        let intervals = PollIntervals {
            interval: delivery.interval,
            idle_interval: delivery.idle_interval,
            backoff_base: delivery.backoff_base,
            backoff_max: delivery.backoff_max,
        };
        let plan = SchedulerConfig {
            workers: delivery.concurrent_sessions_max,
            list_limit: 50,
            calls_monthly: 900_000,
            intervals,
            fold_max: delivery.fold_max,
            agent_limits: AgentLimitsConfig::default(),
        };
        let now = Millis(1_796_000_000_000);
        let mut beats = BeatSchedule::default();
        let agents: Vec<_> = AGENTS.iter().map(|agent| (AgentId::new(*agent), BEAT_INTERVAL)).collect();
        beats.follow(&agents, now, &mut || 0.5);
        let agents = &settings.agents;
        Self {
            now,
            scheduler: Scheduler::new(plan),
            roster: RepeatedCall::new(CallPace::of_roster(agents.sync_interval, agents.idle_sync_interval)),
            status: RepeatedCall::new(CallPace::of_status(settings.report_interval)),
            requests: RepeatedCall::new(CallPace::of_requests(settings.report_interval)),
            has_wake_query: false,
            beats,
            named: 0,
            measured: Measured::new(),
            rows: Vec::new(),
            calls: BTreeMap::new(),
            started: None,
            job: None,
        }
    }

    /// A service whose subscription to the wake query works from the start.
    fn with_wake_query(settings: &Settings) -> Self {
        let mut service = Self { has_wake_query: true, ..Self::new(settings) };
        service.tell(Some(Event::WakeQuery(WakeSignal::Changed)));
        service
    }

    fn count(&mut self, kind: &'static str, calls: usize) {
        *self.calls.entry(kind).or_default() += calls as u64;
    }

    /// Gives the scheduler an event, and answers its effects at once.
    fn tell(&mut self, event: Option<Event>) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.scheduler.on(event, self.now) {
                match effect {
                    Effect::List { list, limit } => {
                        self.count("lists", 1);
                        let rows = self.rows.clone();
                        events.push(Some(Event::Listed { list, limit, rows, malformed: 0, dice: 0.5 }));
                    }
                    Effect::Start(job) => {
                        if let Kind::Heartbeat(beat) = &job.work.kind {
                            let end = self.beat(beat);
                            self.beats.ended(&beat.agent, &beat.id, false, self.now);
                            events.push(Some(Event::Finished(job, Outcome::Closed(end))));
                        } else {
                            // Its turn runs until the test ends it.
                            self.started.get_or_insert(self.now);
                            self.job = Some(job);
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Ends the turn that started last, with an answer.
    fn end_started(&mut self) {
        self.rows.clear();
        let job = self.job.take().unwrap();
        self.tell(Some(Event::Finished(job, Outcome::Closed(End::Answered(1)))));
    }

    /// One heartbeat: a turn a day, and otherwise nothing new.
    fn beat(&mut self, beat: &Beat) -> End {
        let leads = beat.agent.as_str() == "lead";
        let day = u64::try_from(Duration::from_hours(24).as_millis()).unwrap() / 1_000;
        let of_day = beat.created_at.since(Millis(1_796_000_000_000)).as_secs() % day;
        if of_day < BEAT_INTERVAL.as_secs() {
            self.count("heartbeats", self.measured.sent[&leads].len());
            return End::Silent(mission_control_runtime::delivery::reply::Silence::HeartbeatOk);
        }
        self.count("heartbeats", self.measured.saved[&leads].len());
        End::Skipped(Skip::NothingNew)
    }

    fn step(&mut self) {
        let is_idle = self.scheduler.state().is_idle;
        let next = [
            self.scheduler.wake_at(self.now),
            self.beats.wake_at(self.now),
            Some(self.roster.due(is_idle, self.now)),
            Some(self.status.due(is_idle, self.now)),
            Some(self.requests.due(is_idle, self.now)),
        ];
        self.now = self.now.max(next.into_iter().flatten().min().unwrap());
        self.tell(None);
        let is_idle = self.scheduler.state().is_idle;
        if self.roster.due(is_idle, self.now) <= self.now {
            self.roster.begins(self.now);
            self.roster.succeeds();
            self.count("roster", self.measured.fetch.len());
        }
        if self.status.due(is_idle, self.now) <= self.now {
            self.status.begins(self.now);
            self.status.succeeds();
            self.count("status", 1);
            // A report changes the account, which the query reads. The platform counts each run as a call.
            self.count("runs", usize::from(self.has_wake_query));
        }
        if self.requests.due(is_idle, self.now) <= self.now {
            self.requests.begins(self.now);
            self.requests.succeeds();
            self.count("requests", CALLS_OF_REQUESTS);
        }
        let named = &mut self.named;
        let mut name = |_: &AgentId| {
            *named += 1;
            WorkId::new(format!("beat-{named}"))
        };
        for due in self.beats.due(self.now, &mut name) {
            self.beats.attempted(&due.agent, &due.id, self.now);
            let beat = Beat { id: due.id, agent: due.agent, created_at: self.now, woken: due.woken };
            self.tell(Some(Event::Offered(Arc::new(beat.into()))));
        }
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.step();
        }
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The figures of `docs/facts.md`.
#[test]
fn the_calls_of_an_idle_month_are_few_and_documented() {
    let settings = settings(&[]);
    let [polling, waking] =
        [Service::new(&settings), Service::with_wake_query(&settings)].map(|mut service| {
            service.run_for(MONTH);
            service.calls
        });
    let mut table = String::from(
        "| Calls of an idle account in 30 days | polling | with the wake query |\n|---|---|---|\n",
    );
    let of = |calls: &BTreeMap<&str, u64>, kind: &str| calls.get(kind).copied().unwrap_or_default();
    for (kind, about) in [
        ("lists", "lists of notifications"),
        ("status", "status reports"),
        ("runs", "runs of the wake query after these reports"),
        ("heartbeats", "heartbeats of five agents every 15 minutes, one turn a day each"),
        ("roster", "roster"),
        ("requests", "requests for a restart or an upgrade, every five minutes"),
    ] {
        let [polling, waking] = [&polling, &waking].map(|calls| thousands(of(calls, kind)));
        let _ = writeln!(table, "| {about} | {polling} | {waking} |");
    }
    let [total, total_waking] = [&polling, &waking].map(|calls| calls.values().sum::<u64>());
    let _ = writeln!(table, "| **all** | **{}** | **{}** |", thousands(total), thousands(total_waking));
    println!("{table}");
    assert!(total <= MONTHLY_CALLS_MAX, "{total}: {polling:?}");
    assert!(total_waking <= MONTHLY_CALLS_WITH_WAKE_QUERY_MAX, "{total_waking}: {waking:?}");
    check_fresh("docs/facts.md", |document| with_block(document, "idle", &table));
}

/// An interval that is set by hand holds in an idle account too.
#[test]
fn the_configured_interval_of_the_roster_holds_at_all_times() {
    let day = Duration::from_hours(24);
    for (more, fetches) in [(&[][..], 288..=300), (&[("AGENT_SYNC_INTERVAL", "60000")][..], 1_440..=1_441)] {
        let mut service = Service::new(&settings(more));
        service.run_for(day);
        let found = service.calls["roster"] / service.measured.fetch.len() as u64;
        assert!(fetches.contains(&found), "{more:?}: {found}");
    }
}

/// A row that is created at any moment of an idle time starts within the idle interval. Its list is answered at once
/// here; in reality one list is added.
#[test]
fn a_row_created_while_idle_starts_within_the_idle_interval() {
    let settings = settings(&[]);
    for after in [0, 1, 7_499, 14_999, 15_000, 15_001, 899_000, 900_500] {
        let mut service = Service::new(&settings);
        service.run_for(Duration::from_hours(1));
        let created = service.now + Duration::from_millis(after);
        while service.now < created {
            service.step();
        }
        assert!(service.scheduler.state().is_idle, "{after}");
        let row = json!({"_id": "n", "type": "mention", "recipientType": "agent", "recipientId": "ada",
            "taskId": "t", "title": "Dana mentioned you", "body": "", "createdAt": created.0});
        service.rows = vec![serde_json::from_value(row).unwrap()];
        let since = service.now;
        while service.started.is_none() {
            service.step();
        }
        let waited = service.started.unwrap().since(since);
        assert!(waited <= settings.delivery.idle_interval, "{after}: {waited:?}");
        // Work runs, so the account is not idle and the roster is due at the shorter interval.
        assert!(!service.scheduler.state().is_idle);
        let lists = service.calls["lists"];
        service.run_for(Duration::from_mins(10));
        assert!(service.calls["lists"] - lists >= 120, "the normal interval while the turn runs");
    }
}

/// With the wake query a row starts when the value changes. If the line loses values and only sends pings, the first row
/// waits for five minutes at most, and later ones for the idle interval.
#[test]
fn with_the_wake_query_a_row_starts_at_its_signal_or_within_five_minutes() {
    let settings = settings(&[]);
    for is_signaled in [true, false] {
        let mut service = Service::with_wake_query(&settings);
        let mut limits = if is_signaled {
            [Duration::from_millis(25); 2]
        } else {
            [Duration::from_mins(5), settings.delivery.idle_interval]
        }
        .into_iter();
        for id in ["first", "second"] {
            service.run_for(Duration::from_hours(1));
            let row = json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": "ada",
                "taskId": id, "title": "Dana mentioned you", "body": "", "createdAt": service.now.0});
            service.rows = vec![serde_json::from_value(row).unwrap()];
            service.started = None;
            let since = service.now;
            if is_signaled {
                service.tell(Some(Event::WakeQuery(WakeSignal::Changed)));
            }
            while service.started.is_none() {
                service.step();
            }
            let waited = service.started.unwrap().since(since);
            assert!(waited <= limits.next().unwrap(), "{is_signaled} {id}: {waited:?}");
            service.end_started();
        }
    }
}

/// What ends the idle state at once.
#[test]
fn each_sign_of_activity_ends_the_idle_state() {
    use mission_control_runtime::delivery::limited::Limited;
    use mission_control_runtime::delivery::operator_requests::{Hold, OperatorRequest, ReplyTo};
    type Sign = fn() -> Event;
    let woken = || {
        let beat =
            Beat { id: WorkId::new("w"), agent: AgentId::new("ada"), created_at: Millis(1), woken: true };
        Event::Offered(Arc::new(beat.into()))
    };
    let signs: [(&str, Sign); 4] = [
        ("a nudge", || Event::Nudged),
        ("a wake", woken),
        ("a budget that is released", || Event::Limited(Limited::default())),
        ("a pause that is ended", || {
            Event::Asked(OperatorRequest::Hold(Hold::default()), ReplyTo::new(|_| ()))
        }),
    ];
    for (name, sign) in signs {
        let mut service = Service::new(&settings(&[]));
        service.run_for(Duration::from_hours(1));
        assert!(service.scheduler.state().is_idle, "{name}");
        for effect in service.scheduler.on(Some(sign()), service.now) {
            assert!(!matches!(effect, Effect::Leave), "{name}");
        }
        assert!(!service.scheduler.state().is_idle, "{name}");
    }
}
