//! The world around the runtime: the embedded Mission Control and the scripted gateway in this process, and the runtime as
//! a child process, which is only observed from outside.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, unbounded};
use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::demo::gateway::{self, BODY_BYTES, Prompt, ScriptedGateway, Thought};
use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local::http_api::{API_PATHS, BODY_BYTES as API_BYTES, HttpApi};
use mission_control_runtime::local::{Caller, Engine, Kind, Options, Owner};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};

/// The team. The pair is the first two of them.
pub(crate) const TEAM: [&str; 5] = ["ada", "ben", "cleo", "dan", "eve"];

/// The word in front of the number of a person's question, and of its answer.
pub(crate) const QUESTION: &str = "QUESTION-";
const ANSWER: &str = "ANSWER-";

/// The token of the scripted gateway. It is not a secret.
const TOKEN: &str = "the-gateway-of-the-storms";

/// The time until the runtime listens.
const START: Duration = Duration::from_secs(20);

/// How many of the last log lines explain a failure.
const LAST_LINES: usize = 20;

/// What was observed from outside.
#[derive(Default)]
pub(crate) struct Observations {
    /// Turns of the storm: the first ones are caused by its person, the others by agents. Answers to questions do not count.
    pub(crate) turns: AtomicU64,
    /// The moment of the last of them, in milliseconds since the start.
    last_turn: AtomicU64,
    pub(crate) lists: AtomicU64,
    pub(crate) backend_bytes: AtomicUsize,
    /// When the first turn about a question began, by its number.
    pub(crate) asked: Mutex<HashMap<usize, Instant>>,
    /// When the answer to a question was stored, by its number.
    pub(crate) answered: Mutex<HashMap<usize, Instant>>,
}

/// The numbers behind a word in a text.
fn numbers(text: &str, word: &str) -> Vec<usize> {
    let behind = text.split(word).skip(1);
    let digits = behind.map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How an agent continues the storm: by its slug and the number of the turn.
pub(crate) type Storm = fn(&str, u64) -> String;

/// Mission Control, the gateway, and what was observed.
pub(crate) struct World {
    began: Instant,
    pub(crate) engine: Arc<Engine>,
    account: String,
    service_token: String,
    /// The agents' ids, in the order of [`TEAM`].
    pub(crate) agents: Vec<String>,
    pub(crate) seen: Arc<Observations>,
    backend: Server,
    gateway: Server,
}

impl World {
    /// A world in which each turn takes this long.
    pub(crate) fn new(storm: Storm, turn: Duration) -> Self {
        let began = Instant::now();
        let engine = Engine::in_memory(Box::new(SystemClock), Options::default()).unwrap();
        let owner = Owner { user_id: "user_dana", name: "Dana Reyes", email: "dana@example.com" };
        let (account, token) = engine.create_account("Storms", "storms", owner).unwrap();
        let engine = Arc::new(engine);
        let seen = Arc::new(Observations::default());
        let backend = backend(&engine, seen.clone());
        let mind = mind(storm, turn, began, seen.clone());
        let options = gateway::Options {
            token: Some(TOKEN.to_owned()),
            agents: TEAM.map(str::to_owned).to_vec(),
            ..gateway::Options::default()
        };
        let doors = ScriptedGateway::new(options, Arc::new(mind));
        let limits = ServerLimits::default().with_body_limit(gateway::PATH, BODY_BYTES);
        let answer = move |request: Request| doors.answer(&request);
        let gateway = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, answer).unwrap();
        let service_token = token.expose().to_owned();
        let mut world =
            Self { began, engine, account, service_token, agents: Vec::new(), seen, backend, gateway };
        world.agents = TEAM.iter().map(|slug| world.hire(slug)).collect();
        world
    }

    fn hire(&self, slug: &str) -> String {
        let flags = json!({
            "canCreateTasks": false, "canModifyTaskStatus": true, "canCreateDocuments": true,
            "canMentionAgents": true, "canReviewTasks": false, "canMarkDone": false,
        });
        let agent = json!({
            "name": format!("Agent {slug}"), "slug": slug, "role": "Agent", "description": "Discusses",
            "soulContent": "Discusses.", "heartbeatInterval": 1_440,
            "openclawConfig": {"skillIds": [], "behaviorFlags": flags},
        });
        self.person("agents:create", agent).as_str().unwrap().to_owned()
    }

    /// A mutation by the person.
    pub(crate) fn person(&self, path: &str, mut args: Value) -> Value {
        args["accountId"] = json!(self.account);
        let (_, answer) = self.engine.call(Kind::Mutation, path, &args, Caller::Person, "storms");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["value"].clone()
    }

    /// A new task, in which the person writes this.
    pub(crate) fn thread(&self, title: &str, content: &str) -> String {
        let task = self.person("tasks:create", json!({"title": title, "priority": 3, "labels": []}));
        self.person("messages:create", json!({"taskId": task, "content": content}));
        task.as_str().unwrap().to_owned()
    }

    /// The number of rows for agents that are not settled.
    pub(crate) fn waiting(&self) -> usize {
        let rows = self.engine.read_table("notifications").unwrap();
        let open = |row: &&Value| row["deliveredAt"].is_null() && row["deliveryEndedAt"].is_null();
        rows.iter().filter(|row| row["recipientType"] == "agent").filter(open).count()
    }

    /// The time since the last turn of the storm.
    pub(crate) fn quiet(&self) -> Duration {
        self.began
            .elapsed()
            .saturating_sub(Duration::from_millis(self.seen.last_turn.load(Ordering::Relaxed)))
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }
}

/// Serves Mission Control, and counts what it sends.
fn backend(engine: &Arc<Engine>, seen: Arc<Observations>) -> Server {
    let api = HttpApi::new(engine.clone(), Secret::new("not-used"), Hosts::default());
    let limits = API_PATHS
        .iter()
        .fold(ServerLimits::default(), |limits, path| limits.with_body_limit(path, API_BYTES));
    let answer = move |request: Request| -> Reply {
        let reply = api.answer(&request);
        let body = std::str::from_utf8(request.body()).unwrap_or_default();
        if body.contains(":listUndeliveredNotifications\"") {
            seen.lists.fetch_add(1, Ordering::Relaxed);
        }
        if body.contains(":createMessageFromAgent\"") {
            let now = Instant::now();
            let mut answered = lock(&seen.answered);
            for number in numbers(body, ANSWER) {
                answered.entry(number).or_insert(now);
            }
        }
        seen.backend_bytes.fetch_add(reply.body().map_or(0, <[u8]>::len), Ordering::Relaxed);
        reply
    };
    Server::bind("127.0.0.1:0", limits, answer).unwrap()
}

/// An agent answers the last question of its prompt, and otherwise continues the storm.
fn mind(
    storm: Storm,
    turn: Duration,
    began: Instant,
    seen: Arc<Observations>,
) -> impl Fn(&Prompt) -> Thought + Send + Sync {
    move |prompt| {
        let said = if let Some(number) = numbers(&prompt.text, QUESTION).last() {
            lock(&seen.asked).entry(*number).or_insert_with(Instant::now);
            format!("{ANSWER}{number}: yes.")
        } else {
            let at = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            seen.last_turn.store(at, Ordering::Relaxed);
            storm(&prompt.agent, seen.turns.fetch_add(1, Ordering::Relaxed))
        };
        Thought { delay: turn, ..Thought::say(&said) }
    }
}

/// The program under test: this build's, or the one that `BENCH_PROGRAM` names.
fn program() -> PathBuf {
    std::env::var_os("BENCH_PROGRAM")
        .map_or_else(|| env!("CARGO_BIN_EXE_mission-control-runtime").into(), Into::into)
}

/// The version of the program under test.
pub(crate) fn version() -> String {
    let output = Command::new(program()).arg("version").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The running program. Dropping it kills the process.
pub(crate) struct Runtime {
    child: Child,
    address: String,
    log: Arc<Mutex<VecDeque<String>>>,
    _state: tempfile::TempDir,
}

impl Runtime {
    /// Starts the program with its default settings, but without heartbeats: their turns belong to no storm.
    pub(crate) fn start(world: &World) -> Self {
        let state = tempfile::tempdir().unwrap();
        let nothing = state.path().join("nothing.env");
        fs::write(&nothing, "").unwrap();
        let mut command = Command::new(program());
        command.env_clear().args(["run", "--env-file"]).arg(nothing).current_dir(state.path());
        command
            .env("ACCOUNT_ID", world.account())
            .env("SERVICE_TOKEN", &world.service_token)
            .env("CONVEX_URL", format!("http://{}", world.backend.local_addr()))
            .env("OPENCLAW_GATEWAY_URL", format!("http://{}", world.gateway.local_addr()))
            .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .env("HEALTH_PORT", "0")
            .env("HEARTBEAT_MODE", "off")
            .env("STATE_DIR", state.path().join("state"));
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        let heard = listen(BufReader::new(child.stderr.take().unwrap()), log.clone());
        let mut runtime = Self { child, address: String::new(), log, _state: state };
        runtime.address = heard
            .recv_timeout(START)
            .unwrap_or_else(|_| panic!("it does not listen:\n{}", runtime.last_lines()));
        runtime
    }

    /// `/health`.
    pub(crate) fn health(&self) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let mut answer = agent.get(format!("{}/health", self.address)).call().unwrap();
        serde_json::from_slice(&answer.body_mut().read_to_vec().unwrap()).unwrap()
    }

    /// Announces new rows, as Mission Control on the same machine does.
    pub(crate) fn nudge(&self) {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().into();
        // While the service starts, it refuses nudges and lists at once.
        drop(agent.post(format!("{}/nudge", self.address)).send_empty());
    }

    pub(crate) fn last_lines(&self) -> String {
        lock(&self.log).iter().flat_map(|line| ["  ", line, "\n"]).collect()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a log to its end. Sends the address in it.
fn listen(log: impl BufRead + Send + 'static, last: Arc<Mutex<VecDeque<String>>>) -> Receiver<String> {
    let (address, heard) = unbounded();
    thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if let Some((_, url)) = line.split_once("Listening url=") {
                let url = url.split_whitespace().next().unwrap_or_default().to_owned();
                let _ = address.send(url);
            }
            let mut last = lock(&last);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
    });
    heard
}
