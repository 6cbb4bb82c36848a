//! SIGKILL in the middle of test work: another process continues, and each message is posted exactly once.
//!
//! `KILL_SEED` repeats a run.

#![allow(clippy::print_stdout, reason = "the seed repeats what failed")]

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mission_control_runtime::clock::Clock as _;
use mission_control_runtime::delivery::test_source::WORK_FILE;
use mission_control_runtime::demo::gateway::{Prompt, Thought};
use mission_control_runtime::ledger;
use mission_control_runtime::model::TaskId;
use mission_control_runtime::work::{TestWork, WorkId};

use super::processes::Stack;
use crate::support::dice::Dice;
use crate::support::program::private;

const KILLS: usize = 3;
const TASKS: usize = 2;
const WORKS_PER_TASK: usize = 2;
const MESSAGES: usize = 8;
/// The longest life of a program after it has begun to work, in milliseconds.
const LIFE_MS: u64 = 150;

fn says_nothing(_: &Prompt) -> Thought {
    Thought::nothing()
}

#[test]
fn killed_test_work_continues_and_posts_each_message_once() {
    let seed = std::env::var("KILL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    });
    println!("KILL_SEED={seed}");
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("work");
    std::fs::write(&file, "").unwrap();
    // A slightly slow disk, so that there is time between two steps.
    let more = [(WORK_FILE, file.to_str().unwrap()), (ledger::SLOW_DISK, "10")];
    let mut stack = Stack::set(&["ben"], says_nothing, &more);
    let tasks: Vec<String> = (0..TASKS).map(|_| stack.task("assigned", &["ben"])).collect();
    let mut lines = Vec::new();
    for (number, task) in tasks.iter().enumerate() {
        for work in 0..WORKS_PER_TASK {
            let test = TestWork {
                id: WorkId::new(format!("w{number}.{work}")),
                agent: stack.agent("ben").to_owned(),
                task: TaskId::new(task.as_str()),
                messages: (0..MESSAGES).map(|message| format!("{work}.{message}")).collect(),
                created_at: stack.board.clock().now(),
            };
            lines.push(serde_json::to_string(&test).unwrap());
        }
    }
    std::fs::write(&file, lines.join("\n")).unwrap();
    stack.board.slow_down_by(Duration::from_millis(4));
    stack.kill_and_start();
    let over = |stack: &Stack| {
        let read = ledger::read(&private(Path::new(stack.state_dir()))).unwrap();
        read.deliveries.iter().filter(|delivery| delivery.closed.is_some()).count() == TASKS * WORKS_PER_TASK
    };
    for _ in 0..KILLS {
        // The doubt after the last kill is settled, and the work has continued.
        let posted = stack.board.rows("messages").len();
        stack.until("another message", |_| stack.board.rows("messages").len() > posted || over(&stack));
        std::thread::sleep(Duration::from_millis(dice.roll(LIFE_MS)));
        stack.kill_and_start();
    }
    stack.until("the end of all work", |_| over(&stack));
    let expected: Vec<String> = (0..WORKS_PER_TASK)
        .flat_map(|work| (0..MESSAGES).map(move |message| format!("{work}.{message}")))
        .collect();
    for task in &tasks {
        let mut posted = stack.messages_of("ben", task);
        posted.sort_by(|a, b| {
            a["_creationTime"].as_f64().unwrap().total_cmp(&b["_creationTime"].as_f64().unwrap())
        });
        let posted: Vec<&str> = posted.iter().map(|message| message["content"].as_str().unwrap()).collect();
        assert_eq!(posted, expected, "seed {seed}");
    }
}
