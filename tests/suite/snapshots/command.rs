//! `snapshot create`, `restore` and `list`, and the worker that uses them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Queue;
use crate::support::program::{Program, folder, get};
use crate::support::wait::until;

/// The command in an environment with the folders of a machine.
fn configured(program: Program, queue: &Queue, root: &Path) -> Program {
    let path = |name: &str| root.join(name).to_str().unwrap().to_owned();
    program
        .with("CONVEX_URL", &queue.url())
        .with("OPENCLAW_STATE_DIR", &path("data/.clawdbot"))
        .with("OPENCLAW_WORKSPACE_DIR", &path("data/workspace"))
        .with("STATE_DIR", &path("own"))
}

fn run(queue: &Queue, root: &Path, args: &[&str]) -> (Option<i32>, String) {
    let program = Program::of([&["snapshot"], args, &["--conversation", "c1"]].concat());
    outcome(configured(program, queue, root))
}

fn outcome(program: Program) -> (Option<i32>, String) {
    let output = program.output();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn works(root: &Path, memory: &str) {
    fs::create_dir_all(root.join("data/workspace")).unwrap();
    fs::write(root.join("data/workspace/MEMORY.md"), memory).unwrap();
}

#[test]
fn the_commands_store_show_and_restore() {
    let queue = Queue::new();
    let (_kept, one) = folder();
    works(&one(""), "remember me");
    let (code, out) = run(&queue, &one(""), &["create", "--json"]);
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &made["files"], &made["success"]), (Some(0), &1.into(), &true.into()), "{out}");
    let (code, out) = run(&queue, &one(""), &["list"]);
    let id = made["snapshotId"].as_str().unwrap();
    assert_eq!(code, Some(0));
    assert!(out.contains(&format!("newest only: {id}")) && out.contains("On this disk"), "{out}");
    let (code, out) = run(&queue, &one(""), &["restore"]);
    assert!(code == Some(0) && out.contains("the folders are in use"), "{out}");

    let (_kept, two) = folder();
    let (code, out) = run(&queue, &two(""), &["restore"]);
    assert!(code == Some(0) && out.contains("is restored: 1 files"), "{out}");
    assert_eq!(fs::read_to_string(two("data/workspace/MEMORY.md")).unwrap(), "remember me");

    // A mistyped conversation touches nothing.
    let wrong = Program::of(vec!["snapshot", "restore", "--conversation", "c11"]);
    let (code, out) = outcome(configured(wrong, &queue, &two("")));
    assert!(code == Some(1) && out.contains("this conversation has no snapshot"), "{code:?} {out}");
    assert_eq!(fs::read_to_string(two("data/workspace/MEMORY.md")).unwrap(), "remember me");
    let (code, out) = run(&queue, &two(""), &["create"]);
    assert!(code == Some(0), "{out}");

    let (_kept, three) = folder();
    queue.backend.replace_file(&queue.newest_file(), b"damaged".to_vec());
    let (code, out) = run(&queue, &three(""), &["restore"]);
    assert!(code == Some(1) && out.contains("7 bytes") && !out.contains("/api/storage"), "{out}");
}

#[test]
fn each_mistake_is_a_sentence() {
    let queue = Queue::new();
    let (_kept, root) = folder();
    works(&root(""), "remember me");
    let bare = |args: Vec<&str>| configured(Program::of(args), &queue, &root(""));
    let create = || bare(vec!["snapshot", "create", "--conversation", "c1"]);
    let rows = [
        (bare(vec!["snapshot"]), 2, "needs `create`, `restore` or `list`"),
        (bare(vec!["snapshot", "create"]), 1, "No conversation is named"),
        (
            create().with("AGENT_FACTORY_FUNCTION_NAMESPACE", "nowhere"),
            1,
            "nowhere:workerPrepareSnapshotUpload",
        ),
        (
            create().with("AGENT_FACTORY_FUNCTION_NAMESPACE", "nowhere"),
            1,
            "The agent was “default” (OPENCLAW_AGENT_KEY), the conversation “c1”.",
        ),
        (create().with("SNAPSHOT_EXCLUDE", "../x"), 3, "SNAPSHOT_EXCLUDE has the pattern"),
        (create().without("CONVEX_URL"), 3, "CONVEX_URL"),
        // Mistakes of the environment and of the command line come together.
        (bare(vec!["snapshot", "create"]).without("CONVEX_URL"), 3, "CONVEX_URL"),
        (bare(vec!["snapshot", "create"]).without("CONVEX_URL"), 3, "No conversation is named"),
    ];
    for (program, code, words) in rows {
        let (seen, out) = outcome(program);
        assert!(seen == Some(code) && out.contains(words), "{words}: {seen:?} {out}");
    }
    assert!(queue.backend.snapshots().is_empty());
}

/// A file that may not grow is a disk without room.
#[test]
fn a_full_disk_makes_no_snapshot_and_leaves_nothing_half_done() {
    let queue = Queue::new();
    let (_kept, root) = folder();
    works(&root(""), "remember me");
    let mut seed = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed.to_be_bytes()[0]
    })
    .take(2 * 1024 * 1024)
    .collect();
    fs::write(root("data/workspace/large.bin"), noise).unwrap();
    let limited =
        Program::after("trap '' XFSZ && ulimit -S -f 512", ["snapshot", "create", "--conversation", "c1"]);
    let (code, out) = outcome(configured(limited, &queue, &root("")));
    assert!(code == Some(1) && out.contains("the disk is full"), "{out}");
    assert!(queue.backend.calls().is_empty(), "the queue hears nothing of it");
    let left: Vec<_> = fs::read_dir(root("own/snapshots"))
        .unwrap()
        .flat_map(|entry| fs::read_dir(entry.unwrap().path()).into_iter().flatten())
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let (code, out) = run(&queue, &root(""), &["create"]);
    assert_eq!(code, Some(0), "{out}");
}

/// F.17: a worker whose conversation cannot be restored does not claim.
#[test]
fn a_worker_without_its_state_does_not_start() {
    let queue = Queue::new();
    let (_kept, one) = folder();
    works(&one(""), "remember me");
    run(&queue, &one(""), &["create"]);
    queue.backend.replace_file(&queue.newest_file(), b"damaged".to_vec());
    let (_kept, two) = folder();
    let worker = configured(Program::of(vec!["worker"]), &queue, &two(""))
        .with("WORKER_ID", "afw-1")
        .with("OPENCLAW_CONVERSATION_ID", "c1")
        .with("HEALTH_PORT", "0");
    let (code, out) = outcome(worker);
    assert!(code == Some(1) && out.contains("No snapshot could be restored"), "{code:?} {out}");
    assert!(queue.backend.calls_of("workerClaim").is_empty());
}

/// E.2.4: off unless enabled; the last result is shown. This queue has no such function.
#[test]
fn a_worker_shows_its_calls_on_schedule() {
    let queue = Queue::new();
    let (_kept, root) = folder();
    let worker = |more: &[(&str, &str)]| {
        let program = configured(Program::of(vec!["worker"]), &queue, &root("")).with("HEALTH_PORT", "0");
        more.iter().fold(program, |program, (name, value)| program.with(name, value)).start()
    };
    let health = |address: &str| -> Value { serde_json::from_str(&get(address, "/health").1).unwrap() };
    let mut running = worker(&[("POOL_RECONCILE", "true")]);
    let address = running.address();
    until("the first call", || health(&address)["scheduledCalls"][0]["lastAt"].is_number());
    let shown = health(&address)["scheduledCalls"].clone();
    assert_eq!(shown.as_array().unwrap().len(), 1);
    assert_eq!((&shown[0]["name"], &shown[0]["succeeded"]), (&"reconcile".into(), &false.into()), "{shown}");
    assert!(shown[0]["result"].as_str().unwrap().contains("startWorkers"), "{shown}");
    running.kill();
    let mut running = worker(&[]);
    let address = running.address();
    assert_eq!(health(&address)["scheduledCalls"], Value::Array(Vec::new()));
}
