//! A backend with jobs for its agents, the program with a proxy that breaks calls, and the rows in the backend's tables
//! afterwards.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{self, BODY_BYTES, Options, Prompt, ScriptedGateway, Thought};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::ledger::{self, DeliveryHistory};
use mission_control_runtime::local;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::sorts::{Place, Sort, asked, others, silence};
use crate::support::faulty::{Break, Faulty, Plan};
use crate::support::program::{Program, Running, get, private};
use crate::support::team::Team;
use crate::support::wait;

/// The limit for one world: a late call takes a minute, and the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(10);

const TOKEN: &str = "the-gateways-token";

/// The tables in which rows may be lost or doubled, and the fields that differ between two runs.
const TABLES: [&str; 6] = ["messages", "notifications", "tasks", "documents", "activities", "subscriptions"];
const FLEETING: [&str; 14] = [
    "_id",
    "accountId",
    "_creationTime",
    "createdAt",
    "updatedAt",
    "archivedAt",
    "deliveredAt",
    "readAt",
    "deliveryEndedAt",
    "messageId",
    "sourceNotificationId",
    "targetId",
    "lastMessageAt",
    "subscribedAt",
];

/// The result of a run.
pub(super) struct Outcome {
    /// How often the backend's tables contain each row, without its ids and times.
    pub(super) rows: BTreeMap<String, usize>,
    /// How many calls were broken.
    pub(super) broken: usize,
    /// Tool results other than success.
    pub(super) failures: Vec<String>,
    /// The duration.
    pub(super) took: Duration,
}

impl Outcome {
    /// Rows that are missing or duplicated, compared with a run without faults.
    pub(super) fn compared_with(&self, usual: &Self) -> (Vec<String>, Vec<String>) {
        (more(&usual.rows, &self.rows), more(&self.rows, &usual.rows))
    }

    /// How many rows contain this text.
    pub(super) fn count(&self, words: &str) -> usize {
        self.rows.iter().filter(|(row, _)| row.contains(words)).map(|(_, count)| count).sum()
    }
}

/// The rows that one table contains more often than the other, with the difference.
fn more(one: &BTreeMap<String, usize>, other: &BTreeMap<String, usize>) -> Vec<String> {
    let excess = |row: &str, count: usize| count.saturating_sub(other.get(row).copied().unwrap_or(0));
    one.iter().flat_map(|(row, count)| vec![row.clone(); excess(row, *count)]).collect()
}

/// Runs `jobs` jobs of each of these sorts at once. The first calls of each job are broken like this, one after another.
pub(super) fn play(
    sorts: &[&'static Sort],
    jobs: usize,
    backend: local::Options,
    breaks: &[Break],
) -> Outcome {
    World::new(sorts, jobs, backend, breaks).end()
}

/// All parts of the test.
pub(super) struct World {
    began: Instant,
    pub(super) team: Arc<Team>,
    _clock: Ticking,
    gateway: ScriptedGateway,
    server: Server,
    proxy: Faulty,
    state: TempDir,
    program: Option<Running>,
    broken: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(super) fn new(
        sorts: &[&'static Sort],
        jobs: usize,
        backend: local::Options,
        breaks: &[Break],
    ) -> Self {
        let began = Instant::now();
        let team = Arc::new(Team::with(backend));
        let clock = Ticking::start(&team);
        let mut thoughts: HashMap<String, (Thought, String)> = HashMap::new();
        for sort in sorts {
            for number in 0..jobs {
                let job = format!("JOB {} {number}.", sort.name);
                let place = place(&team, sort, number);
                let first = sort
                    .call
                    .map(|call| call(&place))
                    .map_or_else(|| Thought::say((sort.says)()), |(tool, args)| Thought::call(tool, &args));
                thoughts.insert(job.clone(), (first, (sort.says)()));
                team.board.person_says(&place.task, &format!("@lead\n{job}"));
            }
        }
        let failures = Arc::<Mutex<Vec<String>>>::default();
        let options = Options {
            token: Some(TOKEN.to_owned()),
            agents: ["lead", "ada", "ben"].map(str::to_owned).into(),
            max_concurrent: 100,
            ..Options::default()
        };
        let gateway = ScriptedGateway::new(options, Arc::new(mind(thoughts, failures.clone())));
        let doors = gateway.clone();
        let limits = ServerLimits::default().with_body_limit(gateway::PATH, BODY_BYTES);
        let answer = move |request| doors.answer(&request);
        let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, answer).unwrap();
        let broken = Arc::<AtomicUsize>::default();
        let proxy = Faulty::to(&team.board.url(), plan(sorts, breaks, &broken));
        let state = tempfile::tempdir().unwrap();
        let mut world = Self {
            began,
            team,
            _clock: clock,
            gateway,
            server,
            proxy,
            state,
            program: None,
            broken,
            failures,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let program = Program::new(["run"])
            .with("ACCOUNT_ID", &self.team.board.account)
            .with("SERVICE_TOKEN", &self.team.board.token)
            .with("CONVEX_URL", &self.proxy.url())
            .with("OPENCLAW_GATEWAY_URL", &format!("http://{}", self.server.local_addr()))
            .with("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .with("DELIVERY_INTERVAL", "1000")
            .with("DELIVERY_MAX_CONCURRENT_SESSIONS", "100")
            .with("HEALTH_PORT", "0")
            .with("STATE_DIR", self.state.path().to_str().unwrap());
        self.program = Some(program.start());
    }

    /// Kills the program and starts another one.
    pub(super) fn kill_and_start(&mut self) {
        self.program.take().unwrap().kill();
        self.start();
    }

    /// Waits until this holds in the program's ledger.
    pub(super) fn until_recorded(&self, what: &str, is_so: impl Fn(&[DeliveryHistory]) -> bool) {
        wait::until(what, || is_so(&ledger::read(&private(self.state.path())).unwrap().deliveries));
    }

    /// Waits until nothing is left to be done, stops the program, and counts.
    pub(super) fn end(mut self) -> Outcome {
        let mut program = self.program.take().unwrap();
        let address = program.address();
        settle(&self.team, &mut program, &address);
        // A request whose answer counts as lost may arrive last.
        self.proxy.has_delivered_all();
        settle(&self.team, &mut program, &address);
        program.signal("TERM");
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        self.gateway.end();
        Outcome {
            rows: rows(&self.team),
            broken: self.broken.load(Ordering::SeqCst),
            failures: std::mem::take(&mut *self.failures.lock().unwrap()),
            took: self.began.elapsed(),
        }
    }
}

/// Breaks the first calls of each job, identified by their arguments.
fn plan(sorts: &[&'static Sort], breaks: &[Break], broken: &Arc<AtomicUsize>) -> Plan {
    let (sorts, breaks, broken) = (sorts.to_vec(), breaks.to_vec(), broken.clone());
    let calls = Mutex::<HashMap<String, usize>>::default();
    Box::new(move |function, args| {
        if !sorts.iter().any(|sort| sort.function == function && (sort.is_it)(args)) {
            return None;
        }
        let mut calls = calls.lock().unwrap();
        let times = calls.entry(format!("{function} {args}")).or_default();
        let fault = breaks.get(*times).copied();
        *times += 1;
        broken.fetch_add(usize::from(fault.is_some()), Ordering::SeqCst);
        fault
    })
}

/// A task for a job, with a document. Ben follows it from the start if he writes in it later.
fn place(team: &Team, sort: &Sort, number: usize) -> Place {
    let board = &team.board;
    let title = format!("{} {number}", sort.name);
    let task = board.task(json!({"title": title, "status": "in_progress", "assignedAgentIds": [team.ada]}));
    if sort.function == "createResponseRequestNotifications" {
        board.follows(&task, "agent", &team.ben);
    }
    let paper = json!({
        "agentId": team.ada, "taskId": task, "title": format!("Paper {number}"), "content": "# Old", "type": "note",
    });
    let document = board.service("createDocumentFromAgent", paper).unwrap();
    Place { number, task, document: document["documentId"].as_str().unwrap().to_owned() }
}

fn mind(
    thoughts: HashMap<String, (Thought, String)>,
    failures: Arc<Mutex<Vec<String>>>,
) -> impl Fn(&Prompt) -> Thought {
    let speech: Mutex<HashMap<String, String>> = Mutex::default();
    move |prompt: &Prompt| {
        if prompt.agent != "lead" {
            return others(prompt);
        }
        let outputs: Vec<&str> = prompt.outputs().map(|(_, output)| output).collect();
        if !outputs.is_empty() {
            let failed = outputs.iter().filter(|output| !output.contains("\"success\":true"));
            failures.lock().unwrap().extend(failed.map(|output| (*output).to_owned()));
            let said = speech.lock().unwrap().get(&prompt.session).cloned();
            return Thought::say(said.expect("it was asked before"));
        }
        let job = asked(prompt).lines().find(|line| line.starts_with("JOB "));
        let Some((first, says)) = job.and_then(|job| thoughts.get(job)) else { return silence() };
        speech.lock().unwrap().insert(prompt.session.clone(), says.clone());
        first.clone()
    }
}

/// Waits until nothing is left to be delivered.
fn settle(team: &Team, program: &mut Running, address: &str) {
    let until = Instant::now() + PATIENCE;
    let undelivered = || team.board.service("listUndeliveredNotifications", json!({"limit": 1})).unwrap();
    let waiting = || {
        let health: Value = serde_json::from_str(&get(address, "/health").1).unwrap();
        health["delivery"]["waiting"].as_u64().unwrap()
    };
    let mut seen = team.board.engine.changes();
    while undelivered() != json!([]) || waiting() != 0 {
        assert!(!program.has_ended(), "the program has ended");
        assert!(Instant::now() < until, "never settled: {}", get(address, "/health").1);
        seen = team.board.engine.wait_for_change(seen, Duration::from_millis(500));
    }
}

/// Counts each row of the backend's tables; ids are replaced by names, and times are left out.
fn rows(team: &Team) -> BTreeMap<String, usize> {
    let board = &team.board;
    let mut names = HashMap::from([
        (team.lead.clone(), "lead".to_owned()),
        (team.ada.clone(), "ada".to_owned()),
        (team.ben.clone(), "ben".to_owned()),
    ]);
    for table in ["tasks", "documents"] {
        let titled = board
            .rows(table)
            .into_iter()
            .map(|row| (row["_id"].as_str().unwrap().to_owned(), row["title"].as_str().unwrap().to_owned()));
        names.extend(titled);
    }
    let mut counts = BTreeMap::new();
    for table in TABLES {
        for mut row in board.rows(table) {
            // The runtime's own reports are not work of an agent.
            let kind = row["type"].as_str().unwrap_or_default();
            let own = ["agent_status_changed", "runtime_status_changed"].contains(&kind);
            if own || table == "notifications" && row.get("taskId").is_none() {
                continue;
            }
            row.as_object_mut().unwrap().retain(|name, _| !FLEETING.contains(&name.as_str()));
            rename(&mut row, &names);
            let mut text = row.to_string();
            if text.len() > 600 {
                text = format!("{} … {} bytes", &text[..300], text.len());
            }
            *counts.entry(format!("{table} {text}")).or_default() += 1;
        }
    }
    counts
}

fn rename(value: &mut Value, names: &HashMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text) {
                text.clone_from(name);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Moves the backend's clock with the time until it is dropped.
struct Ticking(Arc<AtomicBool>);

impl Ticking {
    fn start(team: &Arc<Team>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (team, ended) = (team.clone(), over.clone());
        thread::spawn(move || {
            let (began, mut passed) = (Instant::now(), 0);
            while !ended.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
                let now = i64::try_from(began.elapsed().as_millis()).unwrap();
                team.board.advance(now - passed);
                passed = now;
            }
        });
        Self(over)
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
