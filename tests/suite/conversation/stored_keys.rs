//! Keys that people store in Mission Control reach the gateway's env file, and nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use mission_control_runtime::http::message::Reply;
use mission_control_runtime::local::Kind;
use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;
use super::status_endpoints::Meddler;
use crate::support::program::get;
use crate::support::wait::until;

/// A key that is assembled here, so that no file of ours contains one.
fn key(tail: &str) -> String {
    ["sk-", "c4n4ry-0123456789", tail].concat()
}

fn set(stack: &Stack, provider: &str, key: &str) {
    stack.board.person("secrets:upsertProviderKey", json!({"provider": provider, "key": key})).unwrap();
}

fn remove(stack: &Stack, provider: &str) {
    stack.board.person("secrets:removeProviderKey", json!({"provider": provider})).unwrap();
}

fn env_file(stack: &Stack) -> PathBuf {
    Path::new(stack.state_dir()).join("gateway.env")
}

/// The lines of the env file without its first.
fn lines(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_once('\n').unwrap().1.to_owned())
}

fn stack(more: &[(&str, &str)]) -> Stack {
    let interval = [("SECRETS_SYNC_INTERVAL", "1000")];
    Stack::set(&["ben"], polite, &[&interval, more].concat())
}

fn state(health: &Value) -> &Value {
    &health["gatewayKeys"]["state"]
}

#[test]
fn a_stored_key_reaches_the_file_and_a_removed_one_leaves_it() {
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    stack.until("an answer", |health| state(health) == "in_sync");
    assert!(!file.exists(), "without keys there is no file");

    set(&stack, "anthropic", &key("one"));
    until("the key", || lines(&file) == Some(format!("ANTHROPIC_API_KEY={}\n", key("one"))));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7, 0, "others may not read it");
    let inode = fs::metadata(&file).unwrap().ino();
    set(&stack, "BRAVE_API_KEY", &key("two"));
    set(&stack, "anthropic", &key("three"));
    let both = format!("ANTHROPIC_API_KEY={}\nBRAVE_API_KEY={}\n", key("three"), key("two"));
    until("both keys", || lines(&file).as_deref() == Some(&both));
    assert_ne!(fs::metadata(&file).unwrap().ino(), inode, "the file is replaced, not changed");
    let health = stack.until("both names", |health| health["gatewayKeys"]["names"][1] == "BRAVE_API_KEY");
    assert_eq!(health["gatewayKeys"]["names"][0], "ANTHROPIC_API_KEY");
    assert_eq!(health["reasons"], json!([]), "{health}");

    remove(&stack, "anthropic");
    until("one key", || lines(&file) == Some(format!("BRAVE_API_KEY={}\n", key("two"))));
    // The last key disappears after a second answer that agrees.
    remove(&stack, "BRAVE_API_KEY");
    until("no key", || lines(&file).as_deref() == Some(""));

    let written = stack.board.rows("activities").iter().map(ToString::to_string).collect::<String>();
    let seen = [get(stack.address(), "/health").1, get(stack.address(), "/metrics").1, written, stack.stop()];
    for text in seen {
        assert!(!text.contains("c4n4ry"), "{text}");
    }
}

/// A restart with unchanged keys must not restart the gateway, so it must not write the file.
#[test]
fn a_restart_keeps_the_file_and_a_removal_in_between_is_noticed() {
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    set(&stack, "anthropic", &key("one"));
    set(&stack, "openai", &key("two"));
    until("both keys", || lines(&file).is_some_and(|text| text.lines().count() == 2));
    let inode = fs::metadata(&file).unwrap().ino();
    stack.kill_and_start();
    stack.until("an answer", |health| state(health) == "in_sync");
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
    stack.kill();
    remove(&stack, "openai");
    // A draft of a process that was killed while it wrote.
    fs::write(file.with_extension("env.new"), "ANTHROPIC_API_KEY=half").unwrap();
    stack.start();
    until("one key", || lines(&file) == Some(format!("ANTHROPIC_API_KEY={}\n", key("one"))));
    assert!(!file.with_extension("env.new").exists());
}

#[test]
fn a_file_that_cannot_be_written_is_a_visible_reason() {
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    // As a whole: an empty file counts as none.
    let draft = file.with_extension("person");
    fs::write(&draft, "ANTHROPIC_API_KEY=of-a-person\n").unwrap();
    fs::rename(&draft, &file).unwrap();
    set(&stack, "openai", &key("one"));
    let health = stack.until("the reason", |health| state(health) == "failing");
    let why = health["gatewayKeys"]["lastError"].as_str().unwrap();
    assert!(why.contains("was not written for this account"), "{why}");
    assert_eq!(health["reasons"], json!(["keys_not_synced"]), "{health}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "ANTHROPIC_API_KEY=of-a-person\n");
    fs::remove_file(&file).unwrap();
    stack.until("the keys", |health| state(health) == "in_sync");
    assert_eq!(lines(&file), Some(format!("OPENAI_API_KEY={}\n", key("one"))));
    assert!(!stack.stop().contains("c4n4ry"));
}

/// A key that cannot be opened is refused as a whole, and the file keeps the earlier keys.
#[test]
fn a_damaged_key_leaves_the_file_as_it_was() {
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    set(&stack, "anthropic", &key("one"));
    until("the key", || file.exists());
    let row = stack.board.rows("providerKeys").remove(0);
    stack.board.edit("providerKeys", row["_id"].as_str().unwrap(), json!({"ciphertext": "00"}));
    let health = stack.until("the reason", |health| state(health) == "failing");
    assert_eq!(health["reasons"], json!(["keys_not_synced"]), "{health}");
    assert_eq!(lines(&file), Some(format!("ANTHROPIC_API_KEY={}\n", key("one"))));
    let args = json!({"accountId": stack.board.account, "serviceToken": stack.board.token});
    let answer = stack.board.call(Kind::Action, "service/actions:getRuntimeSecrets", &args);
    assert!(!answer.unwrap_err().contains("c4n4ry"));
    assert!(!stack.stop().contains("c4n4ry"));
}

/// A key is in the file before the third fetch after the change: within two intervals.
#[test]
fn a_change_reaches_the_file_within_two_intervals() {
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    // For each fetch: whether the file had the key when the fetch began.
    let fetches = Arc::<Mutex<Vec<bool>>>::default();
    let (seen, watched) = (fetches.clone(), file.clone());
    let meddler = Meddler::between(&stack, move |request, reply| {
        if String::from_utf8_lossy(request.body()).contains("getRuntimeSecrets") {
            seen.lock().unwrap().push(lines(&watched).is_some_and(|text| text.contains("c4n4ry")));
        }
        reply
    });
    stack.kill();
    stack.set_variable("CONVEX_URL", &meddler.url());
    stack.start();
    let count = || fetches.lock().unwrap().len();
    until("a fetch", || count() > 0);
    for (is_set, change) in
        [(true, set as fn(&Stack, &str, &str)), (false, |stack, provider, _| remove(stack, provider))]
    {
        let before = count();
        change(&stack, "anthropic", &key("one"));
        until("three fetches", || count() >= before + 3);
        assert_eq!(fetches.lock().unwrap()[before + 2], is_set);
    }
    stack.stop();
}

/// The start script of the gateway's container, with stand-ins for its programs.
struct Container {
    script: Child,
    folder: tempfile::TempDir,
}

impl Container {
    fn start(keys: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let gateway = "#!/bin/sh\necho \"key=$ANTHROPIC_API_KEY\" >>\"$HOME/gateways\"\nexec sleep 600\n";
        for (name, text) in [("openclaw", gateway), ("mission-control-runtime", "#!/bin/sh\n")] {
            fs::write(place.join(name), text).unwrap();
            fs::set_permissions(place.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("openclaw/start.sh");
        let path = format!("{}:/usr/bin:/bin", place.display());
        let script = Command::new("bash")
            .arg(script)
            .env_clear()
            .envs([
                ("PATH", path.as_str()),
                ("OPENCLAW_CONFIG_RELOAD", "1"),
                ("OPENCLAW_WATCH_SECONDS", "0.1"),
            ])
            .env("HOME", place)
            .env("OPENCLAW_KEYS_FILE", keys)
            .env("OPENCLAW_WORKSPACE_ROOT", place.join("agents"))
            .env("ANTHROPIC_API_KEY", "of-the-container")
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { script, folder }
    }

    /// The key of the present gateway.
    fn key(&self) -> String {
        let starts = fs::read_to_string(self.folder.path().join("gateways")).unwrap_or_default();
        starts.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // By the shell: some programs `kill` take the number of a group for a request to end every process.
        let _ = Command::new("sh").args(["-c", &format!("kill -KILL -{}", self.script.id())]).status();
        let _ = self.script.wait();
    }
}

#[test]
fn the_gateway_of_a_container_is_restarted_with_each_change() {
    let mut stack = stack(&[]);
    let container = Container::start(&env_file(&stack));
    until("the gateway", || container.key() == "key=of-the-container");
    set(&stack, "anthropic", &key("one"));
    until("the key", || container.key() == format!("key={}", key("one")));
    stack.kill_and_start();
    set(&stack, "anthropic", &key("two"));
    until("the other key", || container.key() == format!("key={}", key("two")));
    remove(&stack, "anthropic");
    until("the key of the environment", || container.key() == "key=of-the-container");
    stack.stop();
}

/// Each bad answer leaves the file as it was and is visible, in the first process and in the next one. The rest works on.
#[test]
fn bad_answers_and_a_missing_function_leave_the_file_as_it_is() {
    const MISSING: &str = "[Request ID: 0123456789abcdef] Server Error\nCould not find public function for \
        'service/actions:getRuntimeSecrets'. Did you forget to run `npx convex dev` or `npx convex deploy`?";
    let value = |value: Value| json!({"status": "success", "value": value});
    let rows = [
        (value(Value::Null), "failing", "has no list `keys`"),
        (value(json!("c4n4ry")), "failing", "has no list `keys`"),
        (value(json!({"keys": ["c4n4ry"]})), "failing", "key 1 has no text `envName`"),
        (
            value(json!({"keys": [{"envName": "A_KEY", "value": {"c4n4ry": 1}}]})),
            "failing",
            "key 1 has no text",
        ),
        (json!({"status": "error", "errorMessage": MISSING}), "not_offered", ""),
    ];
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    set(&stack, "anthropic", &key("one"));
    until("the key", || file.exists());
    let present = Arc::new(Mutex::new(Value::Null));
    let answer = present.clone();
    let meddler = Meddler::between(&stack, move |request, reply| match &*answer.lock().unwrap() {
        Value::Null => reply,
        _ if !String::from_utf8_lossy(request.body()).contains("getRuntimeSecrets") => reply,
        answer => Reply::json_of(answer),
    });
    stack.set_variable("CONVEX_URL", &meddler.url());
    let (before, mut log) = (fs::read(&file).unwrap(), String::new());
    let task = stack.task("assigned", &["ben"]);
    for (answer, expected, why) in rows {
        answer.clone_into(&mut present.lock().unwrap());
        for restart in [false, true] {
            log += &stack.stop();
            stack.start();
            let reasons = if expected == "failing" { json!(["keys_not_synced"]) } else { json!([]) };
            let health =
                stack.until(expected, |health| state(health) == expected && health["reasons"] == reasons);
            let error = health["gatewayKeys"]["lastError"].as_str().unwrap_or_default();
            assert!(error.contains(why) && !health.to_string().contains("c4n4ry"), "{restart} {health}");
            assert_eq!(fs::read(&file).unwrap(), before);
        }
    }
    stack.mention(&task, "ben", "hello");
    stack.answer_of("ben", &task);
    *present.lock().unwrap() = Value::Null;
    log += &stack.stop();
    stack.start();
    stack.until("the keys", |health| state(health) == "in_sync");
    log += &stack.stop();
    assert!(!log.contains("c4n4ry"), "{log}");
    assert_eq!(log.matches("Mission Control stores no keys").count(), 2, "once for each process");
}

/// A key with a line break would set a second variable. It is refused by name, and the others are passed on.
#[test]
fn a_key_with_a_line_break_is_refused_and_named() {
    let mut stack = stack(&[]);
    let file = env_file(&stack);
    let keys = json!([
        {"envName": "A_KEY", "value": "c4n4ry\nLD_PRELOAD=/tmp/hostile.so"},
        {"envName": "LD_PRELOAD", "value": "/tmp/c4n4ry.so"},
        {"envName": "sk-c4n4ry", "value": "ANTHROPIC"},
        {"envName": "B_KEY", "value": "fine"},
    ]);
    let meddler = Meddler::between(&stack, move |request, reply| {
        if String::from_utf8_lossy(request.body()).contains("getRuntimeSecrets") {
            return Reply::json_of(&json!({"status": "success", "value": {"version": "1", "keys": keys}}));
        }
        reply
    });
    stack.kill();
    stack.set_variable("CONVEX_URL", &meddler.url());
    stack.start();
    until("the other key", || lines(&file).as_deref() == Some("B_KEY=fine\n"));
    let health = stack.until("the names", |health| health["gatewayKeys"]["refused"][2].is_array());
    let refused: Vec<&str> = health["gatewayKeys"]["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect();
    assert_eq!(refused, ["A_KEY", "LD_PRELOAD", "key 3"]);
    let log = stack.stop();
    assert_eq!(log.matches("A stored key is not passed to the gateway").count(), 3, "{log}");
    assert!(!log.contains("c4n4ry") && !health.to_string().contains("c4n4ry"), "{log} {health}");
}
