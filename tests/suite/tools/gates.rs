//! Which agents may close a task: the flag, the backend's rule, and the present state of *that* task
//! (contract D13, http-and-tools W10). The backend records its calls, so that "no call" is visible.

use mission_control_runtime::tools::ToolErrorKind;
use serde_json::{Value, json};

use super::{Made, TestCaller, make, task_json};

const LOOK: &str = "loadTaskDetailsForAgentTool";

fn close(who: &TestCaller, tool: &str, task: &str, now: &str) -> Made {
    let mut stands = task_json(now);
    stands["_id"] = json!(task);
    let answers = vec![
        (LOOK, json!({"task": stands, "thread": []})),
        (
            "updateTaskStatusFromAgent",
            json!({"taskId": task, "status": "done", "updatedAt": 3.0, "changed": now != "done"}),
        ),
        ("updateTaskFromAgent", json!({"taskId": task, "changedFields": ["status"]})),
    ];
    make(who, tool, &json!({"taskId": task, "status": "done"}), answers)
}

#[test]
fn done_requires_the_flag_the_rule_and_a_task_in_review() {
    const NO_FLAG: &str = "Forbidden: Not allowed to mark tasks as done";
    const NO_RULE: &str = "Forbidden: Not allowed to mark tasks as done: only quality agents may";
    const NOT_YET: &str = "Forbidden: Task must be in review before marking done";
    for tool in ["task_status", "task_update"] {
        for conversation in ["in_progress", "review", "done"] {
            for (flag, may_close) in [(true, true), (true, false), (false, true), (false, false)] {
                let mut who = TestCaller::with_all_rights(conversation);
                who.flags.can_mark_done = flag;
                who.may_close = may_close;
                for now in ["inbox", "assigned", "in_progress", "review", "done", "blocked", "archived"] {
                    // The task of the conversation, which may have moved since, and another one.
                    for task in ["t-here", "t-other"] {
                        let made = close(&who, tool, task, now);
                        let row = format!("{tool} {conversation} {flag} {may_close} {now} {task}");
                        let refused = match (flag, may_close, now) {
                            (false, _, _) => Some(NO_FLAG),
                            (true, false, _) => Some(NO_RULE),
                            (true, true, "review" | "done") => None,
                            (true, true, _) => Some(NOT_YET),
                        };
                        if let Some(words) = refused {
                            assert!(made.error().starts_with(words), "{row}: {}", made.error());
                            assert_eq!(made.ran.error.as_ref().unwrap().kind, ToolErrorKind::Forbidden);
                            // Only a reading, and only if it could still matter.
                            let expected: &[&str] = if words == NOT_YET { &[LOOK] } else { &[] };
                            assert_eq!(made.functions(), expected, "{row}");
                        } else {
                            assert!(made.ran.ok, "{row}: {}", made.output);
                            assert_eq!(made.functions()[0], LOOK, "{row}");
                            assert_eq!(made.asked[0].1["taskId"], json!(task));
                            assert_eq!(made.asked.len(), 2, "{row}");
                        }
                    }
                }
            }
        }
    }
}

/// The other statuses need no reading of the task.
#[test]
fn other_statuses_need_no_reading_of_the_task() {
    for status in ["in_progress", "review", "blocked"] {
        let args = json!({"status": status, "blockedReason": "R"});
        let answer = json!({"taskId": "t-here", "status": status, "updatedAt": 3.0, "changed": true});
        let who = TestCaller::with_all_rights("assigned");
        let made = make(&who, "task_status", &args, vec![("updateTaskStatusFromAgent", answer)]);
        assert!(made.ran.ok);
        assert_eq!(made.asked.len(), 1);
    }
}

/// W10: the right to create tasks does not include creating them as done.
#[test]
fn only_agents_who_may_close_create_done_tasks() {
    for (flag, leads, may) in
        [(false, false, false), (true, false, true), (false, true, true), (true, true, true)]
    {
        let mut who = TestCaller::with_all_rights("in_progress");
        who.flags.can_mark_done = flag;
        who.leads = leads;
        let args: Value = json!({"title": "T", "status": "done"});
        let made = make(&who, "task_create", &args, vec![("createTaskFromAgent", json!({"taskId": "t"}))]);
        assert_eq!(made.ran.ok, may, "{flag} {leads}: {}", made.output);
        if !may {
            assert!(made.error().starts_with("Forbidden: Not allowed to mark tasks as done"));
            assert!(made.asked.is_empty());
        }
    }
}
