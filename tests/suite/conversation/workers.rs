//! Which workers run the jobs.

use std::fs;

use mission_control_runtime::demo::gateway::{Prompt, Thought};

use super::processes::Stack;

/// How many workers of the process have run since they started to wait. A waiting thread gives up the processor once.
fn busy_workers(process: u32) -> usize {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let read = |path: std::path::PathBuf| fs::read_to_string(path).unwrap_or_default();
    tasks
        .map(|task| task.unwrap().path())
        .filter(|task| read(task.join("comm")).starts_with("worker-"))
        .filter(|task| {
            let status = read(task.join("status"));
            let switches = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            switches.unwrap().trim().parse::<u32>().unwrap() > 10
        })
        .count()
}

/// One message after the other: the same worker takes nearly all of them.
#[test]
fn little_traffic_uses_few_of_the_workers() {
    let stack = Stack::new(&["ben"], |prompt: &Prompt| Thought::say(format!("{} answers.", prompt.agent)));
    for number in 0..12 {
        let task = stack.task("in_progress", &["ben"]);
        stack.mention(&task, "ben", &format!("number {number}"));
        assert_eq!(stack.answer_of("ben", &task), "ben answers.");
    }
    stack.settled();
    let busy = busy_workers(stack.process());
    assert!((1..=3).contains(&busy), "{busy} of 20 workers");
}
