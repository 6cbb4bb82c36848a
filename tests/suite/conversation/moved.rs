//! The state folder is moved away, deleted or replaced under the running program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mission_control_runtime::delivery::End;
use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::ledger;
use serde_json::Value;

use super::processes::Stack;
use super::rivals::{STAND_BACK, doubled};
use crate::support::program::private;

const SLUGS: [&str; 2] = ["ben", "ada"];

fn slow(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent)).after(Duration::from_millis(1_500))
}

fn is_moved(health: &Value) -> bool {
    health["reasons"].as_array().unwrap().iter().any(|reason| reason == "state_dir_moved")
}

/// The folder of the program, and another path next to it.
fn places(stack: &Stack) -> (PathBuf, PathBuf) {
    let here = PathBuf::from(stack.state_dir());
    let there = here.with_extension("moved");
    (here, there)
}

/// Waits until the program has made this many more lists, so that it could have begun the rows in them.
fn lists(stack: &Stack, more: u64) {
    let before = stack.lists();
    stack.until("more lists", |health| health["delivery"]["lists"].as_u64() >= Some(before + more));
}

/// The running turn ends with a post. New work waits until the folder is back, and then happens once.
#[test]
fn a_moved_folder_holds_new_work_until_it_is_back() {
    let mut stack = Stack::new(&SLUGS, slow);
    let (here, there) = places(&stack);
    let tasks = SLUGS.map(|slug| stack.task("in_progress", &[slug]));
    stack.mention(&tasks[0], "ben", "first");
    stack.begun();
    fs::rename(&here, &there).unwrap();
    stack.until("the loss is seen", is_moved);
    stack.wait_for_log("was moved away or deleted");
    stack.answer_of("ben", &tasks[0]);
    stack.mention(&tasks[1], "ada", "second");
    stack.until("the row", |health| health["delivery"]["waiting"] == 1);
    lists(&stack, 3);
    assert_eq!(stack.said_by("ada", &tasks[1]).len(), 0, "nothing new begins");
    assert_eq!(stack.ask("GET", "/readyz", ""), 503);
    assert!(!here.exists(), "nothing is made at its old path");

    fs::rename(&there, &here).unwrap();
    stack.until("it is back", |health| !is_moved(health));
    stack.answer_of("ada", &tasks[1]);
    stack.settled();
    assert_eq!(doubled(&stack), (0, 0));
    // The effects in between are in the ledger that came back.
    stack.stop();
    let read = ledger::read(&private(&here)).unwrap();
    assert!(
        read.unreadable.is_empty()
            && read.deliveries.len() == 2
            && read.deliveries.iter().all(|delivery| delivery.closed.is_some())
    );
}

/// A second program starts on the same path while the first one is alive. Each row is answered once, the
/// second one has its own files, and the first one continues once its folder is back. If the second one
/// starts before the first one notices, both may send a turn; the thread still has one answer.
#[test]
fn a_second_program_on_the_same_path_repeats_no_effect() {
    for at_once in [false, true] {
        let stack = Stack::set(&SLUGS, slow, &[(STAND_BACK, "1000")]);
        let (here, there) = places(&stack);
        let tasks = SLUGS.map(|slug| stack.task("in_progress", &[slug]));
        stack.mention(&tasks[0], "ben", "first");
        stack.begun();
        fs::rename(&here, &there).unwrap();
        if !at_once {
            stack.until("the loss is seen", is_moved);
            stack.answer_of("ben", &tasks[0]);
        }
        let mut second = stack.another_with(&[("STATE_DIR", here.to_str().unwrap()), (STAND_BACK, "1000")]);
        second.address();
        stack.mention(&tasks[1], "ada", "second");
        stack.until("the loss is seen", is_moved);
        stack.answer_of("ben", &tasks[0]);
        stack.answer_of("ada", &tasks[1]);
        // The command finds the program that has the path.
        assert_eq!(stack.command(["pause", "--agent", "ben"]).0, Some(0));
        second.signal("TERM");
        let (code, log) = second.end();
        assert_eq!(code, Some(0), "{log}");
        let (posts, turns) = doubled(&stack);
        assert_eq!(posts, 0, "at once: {at_once}");
        assert!(turns <= if at_once { 2 } else { 0 }, "at once: {at_once}: {turns} turns were made twice");
        fs::remove_dir_all(&here).unwrap();
        fs::rename(&there, &here).unwrap();
        assert!(!here.join("paused.json").exists(), "the command has paused the second one");

        stack.until("it is back", |health| !is_moved(health));
        stack.mention(&tasks[0], "ben", "third");
        stack.until("the third", |_| stack.said_by("ben", &tasks[0]).len() == 2);
        stack.settled();
        assert_eq!(doubled(&stack), (0, turns));
    }
}

/// The first program ends while the second one has the path: both ledgers stay intact.
#[test]
fn a_program_that_lost_its_folder_leaves_the_next_ones_files_alone() {
    let mut stack = Stack::set(&SLUGS, slow, &[(STAND_BACK, "1000")]);
    let (here, there) = places(&stack);
    let tasks = SLUGS.map(|slug| stack.task("in_progress", &[slug]));
    stack.mention(&tasks[0], "ben", "first");
    stack.answer_of("ben", &tasks[0]);
    stack.settled();
    fs::rename(&here, &there).unwrap();
    stack.until("the loss is seen", is_moved);
    let mut second = stack.another_with(&[("STATE_DIR", here.to_str().unwrap()), (STAND_BACK, "1000")]);
    second.address();
    stack.mention(&tasks[1], "ada", "second");
    stack.answer_of("ada", &tasks[1]);
    stack.stop();
    assert!(here.join("ledger.sqlite-wal").exists(), "the log of the second one");
    second.kill();
    for (folder, agent) in [(&here, "ada"), (&there, "ben")] {
        let read = ledger::read(&private(folder)).unwrap();
        // The first one may also have seen the second row, and that it was settled elsewhere.
        let delivered = read.deliveries.iter().filter(|delivery| delivery.end != Some(End::Gone));
        let agents: Vec<_> = delivered.map(|delivery| &*delivery.work.track.agent).collect();
        assert!(read.unreadable.is_empty(), "{read:?}");
        assert_eq!(agents, [stack.agent(agent)]);
    }
    assert_eq!(doubled(&stack), (0, 0));
    fs::remove_dir_all(&there).unwrap();
}

/// A folder that is deleted, replaced by a copy, or without its ledger or its lock is no longer the program's
/// folder.
#[test]
fn a_deleted_or_replaced_folder_is_noticed() {
    let cases: [fn(&Path, &Path); 4] = [
        |here, _| fs::remove_dir_all(here).unwrap(),
        |here, there| {
            fs::rename(here, there).unwrap();
            fs::create_dir(here).unwrap();
        },
        |here, _| {
            fs::copy(here.join("ledger.sqlite"), here.join("copy")).unwrap();
            fs::rename(here.join("copy"), here.join("ledger.sqlite")).unwrap();
        },
        |here, _| fs::remove_file(here.join("ledger.lock")).unwrap(),
    ];
    for (number, lose) in cases.into_iter().enumerate() {
        let stack = Stack::new(&["ben"], slow);
        let (here, there) = places(&stack);
        lose(&here, &there);
        stack.until(&format!("case {number} is seen"), is_moved);
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", "first");
        stack.until("the row", |health| health["delivery"]["waiting"] == 1);
        lists(&stack, 3);
        assert_eq!(stack.said_by("ben", &task).len(), 0, "case {number}: nothing new begins");
        commands_name_the_loss(&stack, &here, number);
        let _ = fs::remove_dir_all(&there);
    }
}

/// Commands report that the folder was lost, not that it belongs to another service. They create nothing in
/// its place.
fn commands_name_the_loss(stack: &Stack, here: &Path, number: usize) {
    let port = stack.address().rsplit(':').next().unwrap();
    let (state, is_there) = (here.to_str().unwrap(), here.exists());
    let with = [("HEALTH_PORT", port)];
    let (code, found) = stack.command_with(["doctor"], &with);
    let disk = found.lines().find(|line| line.starts_with("disk ")).unwrap();
    assert!(code == Some(1) && disk.contains("WRONG"), "case {number}: {found}");
    assert!(disk.contains("move it back") && disk.contains(state), "case {number}: {found}");
    assert!(!found.contains("the first start makes it"), "case {number}: {found}");
    // While the lock and running.json are in place, the service itself answers.
    if number == 2 {
        return;
    }
    for args in [["pause", "--agent=ben"], ["dead", "list"], ["why", "ben"]] {
        let (code, output) = stack.command_with(args, &with);
        assert_eq!(code, Some(1), "case {number}: {args:?}: {output}");
        for words in ["moved, deleted or replaced under the running service: move it back", state] {
            assert!(output.contains(words), "case {number}: {args:?}: {output}");
        }
        assert!(!output.contains("but not on STATE_DIR"), "case {number}: {args:?}: {output}");
    }
    assert_eq!(here.exists(), is_there, "case {number}");
    assert!(!here.join("paused.json").exists(), "case {number}");
}
