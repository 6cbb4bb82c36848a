//! Quiet mode through the program: whom it wakes, what it says, and what it would save.

use super::polite;
use super::processes::Stack;

/// A task of ben that ada follows: both have been mentioned there.
fn followed_task(stack: &Stack) -> String {
    let task = stack.task("in_progress", &["ben"]);
    for slug in ["ben", "ada"] {
        stack.mention(&task, slug, "please follow this");
        stack.answer_of(slug, &task);
    }
    stack.settled();
    task
}

/// A person writes to all followers. Returns once so many of them have answered.
fn says(stack: &Stack, task: &str, words: &str, answers: usize) {
    let answered = || ["ben", "ada"].map(|slug| stack.said_by(slug, task).len()).iter().sum::<usize>();
    let before = answered();
    stack.board.person_says(task, words);
    assert_eq!(stack.ask("POST", "/nudge", ""), 202);
    stack.until("the answers", |_| answered() == before + answers);
    stack.settled();
}

#[test]
fn with_quiet_mode_a_message_wakes_the_assigned_agent_and_no_follower() {
    let mut stack = Stack::set(&["ben", "ada"], polite, &[("WAKE_ON", "addressed")]);
    let task = followed_task(&stack);
    says(&stack, &task, "how far is it?", 1);
    let health = stack.until("the skip", |health| health["delivery"]["skipped"]["not-addressed"] == 1);
    assert_eq!(health["delivery"]["config"]["wakeOn"], "addressed");
    assert_eq!(stack.said_by("ada", &task).len(), 1, "only the answer to the mention");
    let (_, why) = stack.command(["why", "ada"]);
    assert!(
        why.contains("Quiet mode is on (WAKE_ON), and the agent is neither mentioned nor asked nor assigned"),
        "{why}"
    );
    let (_, status) = stack.command(["status"]);
    assert!(status.contains("WAKE_ON=addressed has saved 1 turn and about "), "{status}");
    assert!(!status.contains("would have saved"), "{status}");
    stack.stop();
}

/// Turns from before the switch are no saving that is still to be had.
#[test]
fn a_switch_to_quiet_mode_ends_what_it_would_have_saved() {
    let mut stack = Stack::set(&["ben", "ada"], polite, &[("WAKE_ON", "all")]);
    let task = followed_task(&stack);
    says(&stack, &task, "how far is it?", 2);
    let saved = |stack: &Stack| {
        let (_, status) = stack.command(["status"]);
        status.lines().find(|line| line.starts_with("quiet mode")).map(str::to_owned)
    };
    assert!(saved(&stack).unwrap().contains("would have saved 1 of 5 turns"));
    stack.stop();
    stack.set_variable("WAKE_ON", "addressed");
    stack.start();
    stack.until("the roster", |health| health["agentSync"]["agents"] == 2);
    assert_eq!(saved(&stack), None);
    stack.stop();
}

#[test]
fn a_rule_of_its_own_exempts_an_agent_from_quiet_mode() {
    let stack = Stack::set(&["ben", "ada"], polite, &[("WAKE_ON", "addressed,ada=all")]);
    let task = followed_task(&stack);
    says(&stack, &task, "how far is it?", 2);
    assert_eq!(stack.said_by("ada", &task).len(), 2);
}

#[test]
fn status_and_the_page_show_what_quiet_mode_would_have_saved_also_after_a_restart() {
    let mut stack = Stack::new(&["ben", "ada"], polite);
    let task = followed_task(&stack);
    says(&stack, &task, "how far is it?", 2);
    let saved = |stack: &Stack| {
        let (_, status) = stack.command(["status"]);
        status.lines().find(|line| line.starts_with("quiet mode")).map(str::to_owned)
    };
    let line = saved(&stack).unwrap();
    assert!(line.contains("WAKE_ON=addressed would have saved 1 of 5 turns"), "{line}");
    stack.kill_and_start();
    stack.until("the roster", |health| health["agentSync"]["agents"] == 2);
    assert!(saved(&stack).unwrap().contains("saved 1 of 5 turns"), "the ledger keeps it");
}

#[test]
fn an_unknown_agent_in_wake_on_is_warned_about_once() {
    let mut stack = Stack::set(&["ben"], polite, &[("WAKE_ON", "all,nemo=addressed")]);
    stack.wait_for_log("A variable names an agent that is not in the roster");
    stack.stop();
}
