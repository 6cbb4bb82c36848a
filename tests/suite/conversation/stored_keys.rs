//! Keys that people store in Mission Control reach the gateway's env file, and nothing else.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mission_control_runtime::local::Kind;
use serde_json::{Value, json};

use super::polite;
use super::processes::Stack;
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
    fs::write(&file, "ANTHROPIC_API_KEY=of-a-person\n").unwrap();
    set(&stack, "openai", &key("one"));
    let health = stack.until("the reason", |health| state(health) == "failing");
    let why = health["gatewayKeys"]["lastError"].as_str().unwrap();
    assert!(why.contains("was not written by this runtime"), "{why}");
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
