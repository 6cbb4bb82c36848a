//! A gateway that the program runs itself: this test program, with the scripted gateway.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mission_control_runtime::delivery::End;
use mission_control_runtime::demo::gateway::{Prompt, ScriptedGateway, Thought};
use mission_control_runtime::http::message::Reply;
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::ledger;
use serde_json::{Value, json};

use super::processes::{Stack, options, serve};
use crate::support::program::{get, private};
use crate::support::wait::{own_address, until};

const AGENTS: [&str; 3] = ["ben", "ada", "cleo"];

/// Names the folder for the notes of the gateway. If it is set, the next test is a gateway.
const FOLDER: &str = "TEST_GATEWAY_FOLDER";
const ADDRESS: &str = "TEST_GATEWAY_ADDRESS";

/// No test of its own: the gateway of the tests below. It ends with their folder.
#[test]
#[ignore = "runs as a gateway"]
fn serves_as_gateway() {
    let (Ok(folder), Ok(address)) = (env::var(FOLDER), env::var(ADDRESS)) else { return };
    let lines: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
    fs::write(Path::new(&folder).join("environment.new"), lines.concat()).unwrap();
    fs::rename(Path::new(&folder).join("environment.new"), Path::new(&folder).join("environment")).unwrap();
    let place = PathBuf::from(&folder);
    let mind = move |prompt: &Prompt| polite_after_a_while(prompt, &place);
    let _server = serve(&ScriptedGateway::new(options(&AGENTS), Arc::new(mind)), &address);
    while Path::new(&folder).exists() {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A turn of this length notes its beginning in the folder, so that a test can end the gateway in the middle.
const TURN: Duration = Duration::from_millis(150);

fn polite_after_a_while(prompt: &Prompt, folder: &Path) -> Thought {
    let mut turns = OpenOptions::new().create(true).append(true).open(folder.join("turns")).unwrap();
    writeln!(turns, "{}", prompt.agent).unwrap();
    std::thread::sleep(TURN);
    Thought::say(format!("{} answers.", prompt.agent))
}

struct Setup {
    folder: tempfile::TempDir,
    url: String,
    command: String,
}

impl Setup {
    fn new() -> Self {
        let address = own_address();
        let program = env::current_exe().unwrap();
        let command = format!(
            "'{}' --exact conversation::gateway_child::serves_as_gateway --ignored --nocapture",
            program.display()
        );
        Self { folder: tempfile::tempdir().unwrap(), url: format!("http://{address}"), command }
    }

    fn stack(&self) -> Stack {
        self.stack_of(&self.command)
    }

    /// With this command instead of the gateway's.
    fn stack_of(&self, command: &str) -> Stack {
        self.stack_with(command, &[("SECRETS_SYNC_INTERVAL", "1000")])
    }

    /// With this command and these variables.
    fn stack_with(&self, command: &str, more: &[(&str, &str)]) -> Stack {
        let variables = [
            ("OPENCLAW_COMMAND", command),
            (FOLDER, self.folder.path().to_str().unwrap()),
            (ADDRESS, self.address()),
            ("PATH", "/usr/bin:/bin"),
        ];
        Stack::with_child(&AGENTS, &self.url, &[&variables, more].concat())
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// How many turns the gateways have begun.
    fn turns(&self) -> usize {
        fs::read_to_string(self.folder.path().join("turns")).unwrap_or_default().lines().count()
    }

    /// The environment of the present gateway.
    fn environment(&self) -> String {
        fs::read_to_string(self.folder.path().join("environment")).unwrap_or_default()
    }
}

fn child(health: &Value) -> &Value {
    &health["gateway"]["child"]
}

fn ready(stack: &Stack) -> Value {
    let health = stack.until("a ready gateway", |health| child(health)["state"] == "ready");
    child(&health).clone()
}

fn pid(child: &Value) -> String {
    child["pid"].as_i64().unwrap().to_string()
}

#[test]
fn a_stored_key_is_in_the_gateways_environment_until_it_is_removed() {
    let setup = Setup::new();
    let mut stack = setup.stack();
    ready(&stack);
    let key = ["sk-", "c4n4ry-0123456789abc"].concat();
    let task = stack.task("assigned", &["ben"]);
    stack.mention(&task, "ben", "hello");
    assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    let first = setup.environment();
    assert!(!first.contains("c4n4ry") && !first.contains(&stack.board.token), "{first}");
    assert!(first.contains("OPENCLAW_GATEWAY_TOKEN=the-gateways-token"), "{first}");
    assert!(first.contains("OPENCLAW_NO_RESPAWN=1") && !first.contains("ACCOUNT_ID"), "{first}");

    let store = |key: &str| {
        let args = json!({"provider": "anthropic", "key": key});
        stack.board.person("secrets:upsertProviderKey", args).unwrap();
    };
    store(&key);
    until("the key", || setup.environment().contains(&format!("ANTHROPIC_API_KEY={key}\n")));
    assert_eq!(ready(&stack)["restarts"], 1);
    stack.mention(&task, "ben", "hello again");
    stack.settled();
    stack.board.person("secrets:removeProviderKey", json!({"provider": "anthropic"})).unwrap();
    until("the removal", || !setup.environment().is_empty() && !setup.environment().contains("c4n4ry"));
    assert_eq!(ready(&stack)["restarts"], 2);

    let outputs = ["/health", "/metrics", "/version"].map(|path| get(stack.address(), path).1);
    let process = fs::read_to_string(format!("/proc/{}/cmdline", pid(&ready(&stack)))).unwrap();
    let log = stack.stop();
    for text in outputs.into_iter().chain([log, process]) {
        assert!(!text.contains("c4n4ry"), "{text}");
    }
}

/// The oracles are the board and the ledger: each question has one answer, or a later question's answer covers it.
#[test]
fn a_gateway_that_is_killed_under_load_loses_and_doubles_nothing() {
    const KILLS: u32 = 20;
    let setup = Setup::new();
    let mut stack = setup.stack();
    let tasks = AGENTS.map(|slug| (slug, stack.task("assigned", &[slug])));
    let mut last = String::new();
    for kill in 0..KILLS {
        let next = stack.until("another gateway", |health| {
            child(health)["state"] == "ready" && child(health)["pid"].is_i64() && pid(child(health)) != last
        });
        last = pid(child(&next));
        let (ready, before) = (Instant::now(), setup.turns());
        for (slug, task) in &tasks {
            stack.mention(task, slug, "hello");
        }
        until("a turn", || setup.turns() > before);
        // A gateway that was ready for a second is started again after a second. Then at each point of a turn.
        until("a second", || ready.elapsed() >= Duration::from_secs(1));
        let before = setup.turns();
        for (slug, task) in &tasks {
            stack.mention(task, slug, "hello again");
        }
        until("another turn", || setup.turns() > before);
        std::thread::sleep(TURN * kill / KILLS);
        Command::new("kill").args(["-KILL", &last]).status().unwrap();
        let health =
            stack.until("the end", |health| child(health)["restarts"].as_u64() > Some(u64::from(kill)));
        assert_eq!(child(&health)["lastEnd"], "was ended by signal 9", "{health}");
    }
    ready(&stack);
    stack.settled();
    for (slug, task) in &tasks {
        let answers = stack.said_by(slug, task);
        assert!(!answers.is_empty() && answers.len() <= 2 * KILLS as usize, "{answers:?}");
    }
    let sources = stack.board.rows("messages").into_iter();
    let mut answered: Vec<String> =
        sources.filter_map(|row| row["sourceNotificationId"].as_str().map(str::to_owned)).collect();
    let count = answered.len();
    answered.sort();
    answered.dedup();
    assert_eq!(answered.len(), count, "no notification is answered twice");
    let health = stack.health();
    assert_eq!(health["delivery"]["dead"], 0, "{health}");
    stack.stop();

    let deliveries = ledger::read(&private(Path::new(stack.state_dir()))).unwrap().deliveries;
    let rows = stack.board.rows("notifications").into_iter();
    let questions: Vec<Value> = rows.filter(|row| row["recipientType"] == "agent").collect();
    assert_eq!(questions.len(), 2 * KILLS as usize * AGENTS.len());
    for row in questions {
        assert!(row["deliveredAt"].is_number(), "{row}");
        let id = row["_id"].as_str().unwrap();
        let end = deliveries.iter().find(|one| one.work.id.as_str() == id).and_then(|one| one.end.as_ref());
        let is_answered = |id: &str| answered.iter().any(|source| source == id);
        match end {
            Some(End::Answered(1)) => assert!(is_answered(id), "{row}"),
            Some(End::Folded(cover)) => assert!(is_answered(cover.as_str()) && !is_answered(id), "{row}"),
            other => panic!("{other:?}: {row}"),
        }
    }
}

#[test]
fn a_killed_program_leaves_a_gateway_that_the_next_one_takes_over_and_ends() {
    let setup = Setup::new();
    let mut stack = setup.stack();
    let before = ready(&stack);
    stack.kill_and_start();
    let after = ready(&stack);
    assert_eq!((&after["pid"], &after["adopted"]), (&before["pid"], &json!(true)));
    let task = stack.task("assigned", &["ada"]);
    stack.mention(&task, "ada", "hello");
    assert_eq!(stack.answer_of("ada", &task), "ada answers.");
    stack.stop();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid(&after))).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

/// Without the command, the gateway that a killed program has left ends, and its note disappears.
#[test]
fn a_program_without_the_command_ends_the_gateway_of_a_killed_one() {
    let setup = Setup::new();
    let mut stack = setup.stack();
    let before = pid(&ready(&stack));
    let note = Path::new(stack.state_dir()).join("gateway-child.json");
    assert!(note.exists());
    stack.kill();
    stack.set_variable("OPENCLAW_COMMAND", "");
    stack.start();
    until("the end of the note", || !note.exists());
    let stat = fs::read_to_string(format!("/proc/{before}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    assert_eq!(child(&stack.health()), &Value::Null);
    let log = stack.stop();
    assert!(log.contains("is asked to end, because OPENCLAW_COMMAND is not set"), "{log}");
    stack.set_variable("OPENCLAW_COMMAND", &setup.command);
    stack.start();
    assert_eq!(ready(&stack)["adopted"], false);
    stack.stop();
}

/// Without the sync, the supervisor alone reads the env file.
#[test]
fn a_key_of_the_env_file_is_hidden_in_the_log_while_the_sync_is_off() {
    let setup = Setup::new();
    let file = setup.folder.path().join("gateway.env");
    fs::write(&file, "MY_OWN_KEY=c4n4ry-of-a-file\n").unwrap();
    let mut stack = setup.stack_with(
        "/no/such/c4n4ry-of-a-file gateway run",
        &[("SECRETS_SYNC_INTERVAL", "0"), ("GATEWAY_ENV_FILE", file.to_str().unwrap())],
    );
    let health = stack.until("the reason", |health| child(health)["reason"].is_string());
    let log = stack.stop();
    assert_eq!(
        child(&health)["reason"],
        "/no/such/*** cannot be started: No such file or directory (os error 2)"
    );
    let line = log.lines().find(|line| line.contains("The gateway is not started")).unwrap();
    assert!(line.contains("/no/such/*** cannot be started"), "{line}");
}

/// Each obstacle is a reason of `/health`, in the first process and in the next one. Once it is removed, the gateway starts.
#[test]
fn a_gateway_that_cannot_run_is_a_visible_reason_until_it_can() {
    let taken = Setup::new();
    let other =
        Server::bind(taken.address(), ServerLimits::default(), |_| Reply::json(Vec::new()).with_status(404));
    let rows = [
        (Setup::new(), "/no/such/program gateway run", "cannot be started: No such file"),
        (Setup::new(), "sh -c 'exit 7' gateway", "the gateway has ended with exit code 7"),
        (taken, "", "another process already serves"),
    ];
    let mut other = Some(other.unwrap());
    for (setup, command, expected) in rows {
        let mut stack = setup.stack_of(if command.is_empty() { &setup.command } else { command });
        for process in 0..2 {
            let health = stack.until(expected, |health| {
                child(health)["reason"].as_str().is_some_and(|reason| reason.contains(expected))
            });
            let reasons = health["reasons"].as_array().unwrap();
            assert!(reasons.contains(&json!("gateway_process_failing")), "{process}: {health}");
            stack.kill_and_start();
        }
        let task = stack.task("assigned", &["ada"]);
        stack.mention(&task, "ada", "hello");
        stack.until("a closed gateway", |health| health["gateway"]["running"] == false);
        if command.is_empty() {
            other = None;
        } else {
            stack.stop();
            stack.set_variable("OPENCLAW_COMMAND", &setup.command);
            stack.start();
        }
        assert_eq!(stack.answer_of("ada", &task), "ada answers.");
        assert_eq!(ready(&stack)["reason"], Value::Null);
        stack.stop();
    }
    assert!(other.is_none());
}
