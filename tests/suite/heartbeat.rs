//! What wakes agents: beats by runtime-behaviour §6, the tables of worker-pool part D, and the queues.

/// The bodies of the event endpoints, and the file of waiting events.
mod asked;
/// Agents, tasks and messages.
mod facts;
/// Beats through their steps.
mod flow;
/// Which beats are sent to the model.
mod gating;
/// The calls of an idle account.
mod idle_cost;
mod incomplete_rosters;
/// The question of a heartbeat.
mod prompts;
/// The rules of the specification: rows of data, and tests.
mod rules;
/// When beats are due.
mod schedule;
/// Which queue, whom to wake.
mod sessions;
/// A person stops the work on a task.
mod stops;
/// How many events, how often woken, by whom.
mod wakes;
/// A week on a virtual clock.
mod week;
/// A board, a model, and the steps between them.
mod world;

use mission_control_runtime::heartbeat::text::{
    is_cron_event, is_exec_completion, is_exec_notice, is_relayable,
};

/// D.5: text, whether it is the end of a command.
#[test]
fn the_end_of_a_command_differs_from_text_about_it() {
    let long = format!("Exec completed ({}, code 0)", "a".repeat(65));
    let longest = format!("Exec completed ({}, code 0)", "a".repeat(64));
    let rows = [
        ("Exec finished (gateway id=g1, session=s1, code 0)", true),
        ("exec finished (node=n1, code 1)\noutput", true),
        ("exec finished: ok", true),
        ("Exec Finished: failed", true),
        ("Exec finished (node=abc, code 0)", true),
        ("Exec completed (amber-at, code 0) :: some output", true),
        ("Exec completed (calm-del, code 0)", true),
        ("Exec failed (brisk-no, code 1) :: error text", true),
        ("Exec failed (fresh-ke, signal SIGTERM)", true),
        ("Exec completed (abc12345, code 0)", true),
        ("EXEC COMPLETED (abc12345, code 0)", true),
        ("exec failed (abc12345, code 2)", true),
        ("Exec failed (abc12345, signal SIGTERM) :: error output", true),
        ("Exec completed (a, code -1)", true),
        ("  Exec finished: ok", true),
        ("\n Exec completed (a, code 0) ", true),
        ("   exec failed (a, code 1)", true),
        (longest.as_str(), true),
        ("Exec completed (amber-at, code 0) :: a\nb", true),
        ("Exec running (gateway id=g1, session=s1, >5s): ls", false),
        ("Exec denied (gateway id=g1, reason): rm -rf /", false),
        ("Heartbeat wake", false),
        ("", false),
        ("cron finished", false),
        ("Cron: rotate logs", false),
        ("HEARTBEAT_OK", false),
        ("Nightly backup exec failed – see logs", false),
        ("Nightly backup exec failed (see logs)", false),
        ("Cron: check if exec completed successfully", false),
        ("Check: exec completed (last run was yesterday)", false),
        ("exec killed the process manually", false),
        ("Exec finished weekly backup checks", false),
        ("Exec completed (rotate api keys)", false),
        ("Exec failed: notify me if this happens", false),
        ("Reminder: if exec failed, notify me", false),
        ("Exec completed (a, code ?)", false),
        ("Exec completed (a, code -)", false),
        ("Exec completed (a,code 0)", false),
        ("Exec completed (a b, code 0)", false),
        ("Exec completed (a, code 0):: x", false),
        ("Exec completed (a, code 0) trailing", false),
        ("Exec completed (a, signal )", false),
        ("Exec completed  (a, code 0)", false),
        ("Exec completed (, code 0)", false),
        (long.as_str(), false),
        ("Exec killed (abc12345, signal SIGKILL)", false),
        ("Éxec finished: ok", false),
        ("ex", false),
    ];
    for (text, expected) in rows {
        assert_eq!(is_exec_completion(text), expected, "{text:?}");
    }
}

/// The related classes of D.5: text, for people, of a schedule, no reason to wake.
#[test]
fn other_texts_are_classified() {
    let rows = [
        ("Exec finished: ok", true, false, false),
        ("Exec completed (a, code 0)", false, false, false),
        ("Exec completed (a, code 00)", false, false, false),
        ("Exec completed (a, code 0) :: out", true, false, false),
        ("Exec completed (a, code -1)", true, false, false),
        ("Exec failed (a, code 1)", true, false, false),
        ("Exec failed (a, signal SIGTERM)", true, false, false),
        ("Exec completed (rotate api keys)", false, true, false),
        ("Cron: rotate logs", false, true, false),
        ("HEARTBEAT_OK", false, false, false),
        ("heartbeat_ok!", false, false, false),
        ("HEARTBEAT_OKAY then", false, true, false),
        ("a Heartbeat poll b", false, false, false),
        ("Heartbeat wake", false, false, false),
        (" ", false, false, false),
        ("Exec running (gateway id=g1, session=s1, >5s): ls", false, true, true),
        (" exec denied (gateway id=g1, reason): rm -rf /", false, true, true),
        ("Exec running late", false, true, false),
    ];
    for (text, relayable, cron, notice) in rows {
        let found = (is_relayable(text), is_cron_event(text), is_exec_notice(text));
        assert_eq!(found, (relayable, cron, notice), "{text:?}");
    }
}
