//! The embedded Mission Control with 10,000 waiting notifications. It measures the runtime's frequent calls: the list of the
//! oldest notifications and the context of one. It also measures the memory of the process and the time of a write.
//!
//! The data are on a disk, as in production. The times are those of the engine's calls. For information, the same calls are
//! also measured over HTTP. The program then runs in a child process, so that its memory is measured alone.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_precision_loss,
    reason = "a benchmark prints figures and panics on errors"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

#[path = "../../tests/suite/support/copies.rs"]
mod copies;
mod heavy;

use copies::{Size, copy, id};
use mission_control_runtime::clock::SystemClock;
use mission_control_runtime::local::{Caller, Data, DataLocation, Kind, Opening, Options, Seed};
use serde_json::{Value, json};

const WAITING: usize = 10_000;
const TASKS: usize = 200;
const AGENTS: usize = 5;
/// The length of a thread. A context contains its newest 50 messages.
const THREAD: usize = 50;

const RUNS: usize = 7;
/// Calls in a run. The figure of a run is their mean.
const CALLS: usize = 200;
/// Calls in a run of writes. Each waits for the disk.
const WRITES: usize = 50;

/// The targets.
const LIST: Duration = Duration::from_millis(5);
const CONTEXT: Duration = Duration::from_millis(2);
const MEMORY_KIB: u64 = 60 * 1024;

pub(crate) fn opening(directory: &Path) -> Opening {
    Opening {
        location: DataLocation::Directory(directory.to_owned()),
        seed: Seed::Nothing,
        master_key: None,
        options: Options::default(),
    }
}

/// Calls the engine or the program.
type Ask<'a> = &'a mut dyn FnMut(&str, &str, Value) -> Value;

/// The sorted means of several runs, and the longest single call.
struct Figures {
    means: Vec<Duration>,
    worst: Duration,
}

fn measure(calls: usize, mut one: impl FnMut(usize)) -> Figures {
    one(0);
    let (mut means, mut worst) = (Vec::new(), Duration::ZERO);
    for run in 0..RUNS {
        let began = Instant::now();
        for call in 0..calls {
            let before = Instant::now();
            one(run * calls + call);
            worst = worst.max(before.elapsed());
        }
        means.push(began.elapsed() / u32::try_from(calls).unwrap());
    }
    means.sort();
    Figures { means, worst }
}

fn print(name: &str, figures: &Figures, target: Option<Duration>) -> bool {
    let [least, median, most] = [0, RUNS / 2, RUNS - 1].map(|at| figures.means[at].as_secs_f64() * 1e3);
    let met = target.is_none_or(|target| figures.means[RUNS / 2] < target);
    let verdict = match target {
        Some(target) => format!("target < {target:?}: {}", if met { "met" } else { "MISSED" }),
        None => "for information".to_owned(),
    };
    let worst = figures.worst.as_secs_f64() * 1e3;
    println!("{name:44} {median:8.3} {least:8.3} {most:8.3} {worst:9.3}  {verdict}");
    met
}

/// The calls of a runtime.
fn ask(call: Ask<'_>, what: &str, number: usize) {
    let spread = number * 37 % WAITING;
    match what {
        "list" => {
            let list = call("action", "service/actions:listUndeliveredNotifications", json!({"limit": 50}));
            assert_eq!(list.as_array().unwrap().len(), 50);
        }
        // Task 0 is the chat with the orchestrator, whose context contains an overview of all tasks.
        "context" | "chat" => {
            let number = if what == "chat" {
                spread / TASKS * TASKS
            } else {
                spread / TASKS * TASKS + 1 + number % (TASKS - 1)
            };
            let args = json!({"notificationId": id("jn", number)});
            let context = call("action", "service/actions:getNotificationForDelivery", args);
            assert_eq!(context["thread"].as_array().unwrap().len(), THREAD);
            assert_eq!(context["taskOverview"].is_object(), what == "chat");
        }
        "mark" => {
            let args = json!({"notificationId": id("jn", number)});
            call("action", "service/actions:markNotificationDelivered", args);
        }
        _ => {
            let args = json!({"taskId": id("kx", 1 + number % (TASKS - 1)), "content": "Now it is done."});
            call("mutation", "messages:create", args);
        }
    }
}

/// The program with these data.
pub(crate) struct Served {
    process: Child,
    lines: Vec<String>,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mission-control-runtime"))
            .args(["local", "--listen", "127.0.0.1:0", "--data", directory.to_str().unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let lines = out.lines().take(5).map(Result::unwrap).collect();
        Self { process, lines }
    }

    fn word(&self, name: &str) -> &str {
        self.lines.iter().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap()
    }

    fn kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// A client with its own connection.
    fn client(&self) -> impl FnMut(&str, &str, Value) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let [url, token, key, account] =
            ["CONVEX_URL", "SERVICE_TOKEN", "ADMIN_KEY", "ACCOUNT_ID"].map(|name| self.word(name).to_owned());
        move |endpoint, path, mut args| {
            args["accountId"] = json!(account);
            let mut request =
                agent.post(format!("{url}/api/{endpoint}")).header("Content-Type", "application/json");
            if endpoint == "action" {
                args["serviceToken"] = json!(token);
            } else {
                request = request.header("Authorization", &format!("Convex {key}"));
            }
            let body = json!({"path": path, "args": args}).to_string();
            let answer = request.send(body).unwrap().body_mut().read_to_string().unwrap();
            let mut answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["status"], "success", "{path}: {answer}");
            answer["value"].take()
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() {
    let home = tempfile::tempdir().unwrap();
    let (file, directory) = (home.path().join("copy.json"), home.path().join("data"));
    let size = Size {
        tasks: TASKS,
        agents: AGENTS,
        messages: TASKS * THREAD,
        documents: 1,
        waiting: WAITING,
        followers: AGENTS,
    };
    std::fs::write(&file, copy(size).to_string()).unwrap();
    let began = Instant::now();
    let data = Data::import(&opening(&directory), &file, Box::new(SystemClock))
        .unwrap_or_else(|why| panic!("{why}"));
    let import = began.elapsed();
    let began = Instant::now();
    drop(data);
    let data = Data::open(&opening(&directory), Box::new(SystemClock)).unwrap_or_else(|why| panic!("{why}"));
    let size = std::fs::metadata(directory.join("mission-control.sqlite")).unwrap().len() / 1024 / 1024;
    println!(
        "{WAITING} notifications wait, {TASKS} tasks with {THREAD} messages each, {size} MiB on disk; imported in \
         {import:.1?}, opened again in {:.1?}; {RUNS} runs of {CALLS} calls ({WRITES} for writes)\n",
        began.elapsed()
    );
    println!("{:44} {:>8} {:>8} {:>8} {:>9}", "mean of a call, ms", "median", "min", "max", "worst");

    let mut all_met = true;
    let token = data.service_token.clone().unwrap();
    let mut engine = |endpoint: &str, path: &str, mut args: Value| {
        args["accountId"] = json!(data.account);
        let (kind, caller) = match endpoint {
            "action" => {
                args["serviceToken"] = json!(token.expose());
                (Kind::Action, Caller::Stranger)
            }
            _ => (Kind::Mutation, Caller::Person),
        };
        let (_, mut answer) = data.engine.call(kind, path, &args, caller, "0123456789abcdef");
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["value"].take()
    };
    let rows = [
        ("list", "list of the oldest 50, engine", CALLS, Some(LIST)),
        // The first context of an agent and a task stores their session.
        ("context", "context, first of its task, engine (writes)", WRITES, None),
        ("context", "context, engine", CALLS, Some(CONTEXT)),
        ("chat", "context of the orchestrator chat, engine", CALLS, Some(CONTEXT)),
        ("message", "message to its followers, engine (writes)", WRITES, None),
        ("mark", "notification delivered, engine (writes)", WRITES, None),
        ("list", "list of the oldest 50 after that, engine", CALLS, Some(LIST)),
    ];
    for (what, name, calls, target) in rows {
        if name == "context, engine" {
            // All sessions exist now.
            (0..WAITING).for_each(|number| {
                let args = json!({"notificationId": id("jn", number)});
                if number < TASKS * AGENTS {
                    engine("action", "service/actions:getNotificationForDelivery", args);
                }
            });
        }
        let figures = measure(calls, |number| ask(&mut engine, what, number));
        all_met &= print(name, &figures, target);
    }
    drop(data);

    all_met &= over_http(&directory);
    all_met &= heavy::measure();
    println!("\nall targets: {}", if all_met { "met" } else { "MISSED" });
}

/// The same calls over HTTP, then eight clients at once. Returns whether the memory target is met.
fn over_http(directory: &Path) -> bool {
    let served = Served::start(directory);
    let started = served.kib("VmRSS");
    let rows = [
        ("list", "list of the oldest 50, HTTP", CALLS),
        ("context", "context, HTTP", CALLS),
        ("message", "message to its followers, HTTP (writes)", WRITES),
    ];
    let mut client = served.client();
    for (what, name, calls) in rows {
        let figures = measure(calls, |number| ask(&mut client, what, number));
        print(name, &figures, None);
    }
    // Several runtimes and people at once.
    thread::scope(|scope| {
        for thread in 0..8 {
            let mut client = served.client();
            scope.spawn(move || {
                for number in 0..200 {
                    ask(
                        &mut client,
                        ["list", "context", "chat", "message"][number % 4],
                        thread * 200 + number,
                    );
                }
                let _ = client("query", "board:snapshot", json!({"taskId": id("kx", 1)}));
            });
        }
    });
    let (after, most) = (served.kib("VmRSS"), served.kib("VmHWM"));
    let met = most < MEMORY_KIB;
    let verdict = if met { "met" } else { "MISSED" };
    println!(
        "\nmemory of the process: {started} KiB when started, {after} KiB after 8 clients at once, {most} KiB at most; \
         target < {MEMORY_KIB} KiB: {verdict}"
    );
    met
}
