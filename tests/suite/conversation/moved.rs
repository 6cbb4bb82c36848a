//! The folder with the state is moved away, deleted or replaced under the running program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::ledger;
use serde_json::Value;

use super::processes::House;
use super::rivals::{STAND_BACK, doubled};
use crate::support::program::private;

const SLUGS: [&str; 2] = ["ben", "ada"];

fn slow(prompt: &Prompt) -> Thought {
    Thought::say(format!("{} answers.", prompt.agent)).after(Duration::from_millis(1_500))
}

fn is_moved(health: &Value) -> bool {
    health["reasons"].as_array().unwrap().iter().any(|reason| reason == "state_dir_moved")
}

/// The folder of the program, and a place beside it.
fn places(house: &House) -> (PathBuf, PathBuf) {
    let here = PathBuf::from(house.state_dir());
    let there = here.with_extension("moved");
    (here, there)
}

/// Waits until the program has made so many more lists, so that it could have begun what is in them.
fn lists(house: &House, more: u64) {
    let before = house.lists();
    house.until("more lists", |health| health["delivery"]["lists"].as_u64() >= Some(before + more));
}

/// The turn that runs ends in the thread. New work waits until the folder is back, and is then done once.
#[test]
fn a_folder_that_is_moved_away_holds_new_work_until_it_is_back() {
    let mut house = House::new(&SLUGS, slow);
    let (here, there) = places(&house);
    let tasks = SLUGS.map(|slug| house.task("in_progress", &[slug]));
    house.mention(&tasks[0], "ben", "first");
    house.begun();
    fs::rename(&here, &there).unwrap();
    house.until("the loss is seen", is_moved);
    house.hear("was moved away or deleted");
    house.answer_of("ben", &tasks[0]);
    house.mention(&tasks[1], "ada", "second");
    house.until("the row", |health| health["delivery"]["waiting"] == 1);
    lists(&house, 3);
    assert_eq!(house.said_by("ada", &tasks[1]).len(), 0, "nothing new begins");
    assert_eq!(house.ask("GET", "/readyz", ""), 503);
    assert!(!here.exists(), "nothing is made at its old path");

    fs::rename(&there, &here).unwrap();
    house.until("it is back", |health| !is_moved(health));
    house.answer_of("ada", &tasks[1]);
    house.settled();
    assert_eq!(doubled(&house), (0, 0));
    // What was done meanwhile stands in the ledger that came back.
    house.stop();
    let read = ledger::read(&private(&here)).unwrap();
    assert!(
        read.unreadable.is_empty()
            && read.tales.len() == 2
            && read.tales.iter().all(|tale| tale.closed.is_some())
    );
}

/// A second program starts on the same path while the first one is alive: each row is answered once, the files of the
/// second one are its own, and the first one goes on once it has its folder back. If the second one starts before the
/// first one notices, both may ask an agent; the thread still has one answer.
#[test]
fn a_second_program_on_the_same_path_doubles_nothing() {
    for at_once in [false, true] {
        let house = House::set(&SLUGS, slow, &[(STAND_BACK, "1000")]);
        let (here, there) = places(&house);
        let tasks = SLUGS.map(|slug| house.task("in_progress", &[slug]));
        house.mention(&tasks[0], "ben", "first");
        house.begun();
        fs::rename(&here, &there).unwrap();
        if !at_once {
            house.until("the loss is seen", is_moved);
            house.answer_of("ben", &tasks[0]);
        }
        let mut second = house.another_with(&[("STATE_DIR", here.to_str().unwrap()), (STAND_BACK, "1000")]);
        second.address();
        house.mention(&tasks[1], "ada", "second");
        house.until("the loss is seen", is_moved);
        house.answer_of("ben", &tasks[0]);
        house.answer_of("ada", &tasks[1]);
        // The command finds the program that has the path.
        assert_eq!(house.command(["pause", "--agent", "ben"]).0, Some(0));
        second.signal("TERM");
        let (code, log) = second.end();
        assert_eq!(code, Some(0), "{log}");
        let (posts, turns) = doubled(&house);
        assert_eq!(posts, 0, "at once: {at_once}");
        assert!(turns <= if at_once { 2 } else { 0 }, "at once: {at_once}: {turns} turns were made twice");
        fs::remove_dir_all(&here).unwrap();
        fs::rename(&there, &here).unwrap();
        assert!(!here.join("paused.json").exists(), "the command has paused the second one");

        house.until("it is back", |health| !is_moved(health));
        house.mention(&tasks[0], "ben", "third");
        house.until("the third", |_| house.said_by("ben", &tasks[0]).len() == 2);
        house.settled();
        assert_eq!(doubled(&house), (0, turns));
    }
}

/// The first program ends while the second one has the path: both ledgers stay whole.
#[test]
fn a_program_that_ends_without_its_folder_leaves_the_files_of_the_next_one_alone() {
    let mut house = House::set(&SLUGS, slow, &[(STAND_BACK, "1000")]);
    let (here, there) = places(&house);
    let tasks = SLUGS.map(|slug| house.task("in_progress", &[slug]));
    house.mention(&tasks[0], "ben", "first");
    house.answer_of("ben", &tasks[0]);
    house.settled();
    fs::rename(&here, &there).unwrap();
    house.until("the loss is seen", is_moved);
    let mut second = house.another_with(&[("STATE_DIR", here.to_str().unwrap()), (STAND_BACK, "1000")]);
    second.address();
    house.mention(&tasks[1], "ada", "second");
    house.answer_of("ada", &tasks[1]);
    house.stop();
    assert!(here.join("ledger.sqlite-wal").exists(), "the log of the second one");
    second.kill();
    for (folder, agent) in [(&here, "ada"), (&there, "ben")] {
        let read = ledger::read(&private(folder)).unwrap();
        let agents: Vec<_> = read.tales.iter().map(|tale| &*tale.work.track.agent).collect();
        assert!(read.unreadable.is_empty(), "{read:?}");
        assert_eq!(agents, [house.agent(agent)]);
    }
    assert_eq!(doubled(&house), (0, 0));
    fs::remove_dir_all(&there).unwrap();
}

/// Deleted, replaced by a copy, or without its ledger or its lock: all of that is no longer the program's folder.
#[test]
fn a_folder_that_is_deleted_or_replaced_is_noticed() {
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
        let house = House::new(&["ben"], slow);
        let (here, there) = places(&house);
        lose(&here, &there);
        house.until(&format!("case {number} is seen"), is_moved);
        let task = house.task("in_progress", &["ben"]);
        house.mention(&task, "ben", "first");
        house.until("the row", |health| health["delivery"]["waiting"] == 1);
        lists(&house, 3);
        assert_eq!(house.said_by("ben", &task).len(), 0, "case {number}: nothing new begins");
        commands_name_the_loss(&house, &here, number);
        let _ = fs::remove_dir_all(&there);
    }
}

/// Commands say that the folder was lost, and not that they ask about another one. They make nothing in its place.
fn commands_name_the_loss(house: &House, here: &Path, number: usize) {
    let port = house.address().rsplit(':').next().unwrap();
    let (state, is_there) = (here.to_str().unwrap(), here.exists());
    let with = [("HEALTH_PORT", port)];
    let (code, found) = house.command_with(["doctor"], &with);
    let disk = found.lines().find(|line| line.starts_with("disk ")).unwrap();
    assert!(code == Some(1) && disk.contains("WRONG"), "case {number}: {found}");
    assert!(disk.contains("move it back") && disk.contains(state), "case {number}: {found}");
    assert!(!found.contains("the first start makes it"), "case {number}: {found}");
    // Where the lock and running.json are in place, the service itself answers.
    if number == 2 {
        return;
    }
    for args in [["pause", "--agent=ben"], ["dead", "list"], ["why", "ben"]] {
        let (code, told) = house.command_with(args, &with);
        assert_eq!(code, Some(1), "case {number}: {args:?}: {told}");
        for words in ["moved, deleted or replaced under the running service: move it back", state] {
            assert!(told.contains(words), "case {number}: {args:?}: {told}");
        }
        assert!(!told.contains("but not on STATE_DIR"), "case {number}: {args:?}: {told}");
    }
    assert_eq!(here.exists(), is_there, "case {number}");
    assert!(!here.join("paused.json").exists(), "case {number}");
}
