//! Tomas: the last one to look before something counts as done.

use serde_json::json;

use super::Member;
use super::lines;
use super::plan::AgentPlan;
use super::view::{TaskView, only_asks};
use super::worker::request;
use mcr_model::NotificationType::{self, Assignment, Mention, ResponseRequest, StatusChange, ThreadUpdate};
use mcr_model::TaskStatus;

/// Of so many tasks one is sent back once.
const SENT_BACK: u64 = 3;

pub(super) fn decide(view: &TaskView, kind: Option<NotificationType>) -> AgentPlan {
    match (kind, view.status()) {
        (Some(Assignment | Mention | ResponseRequest | StatusChange), Some(TaskStatus::Review)) => {
            check(view)
        }
        (Some(Assignment), _) => AgentPlan::say(lines::comes_last(view)),
        (Some(Mention), Some(TaskStatus::Done)) => AgentPlan::say(lines::was_checked(view)),
        (Some(Mention), _) => {
            let asks = view.last_word().is_some_and(only_asks);
            AgentPlan::say(if asks { lines::what_is_checked(view) } else { lines::not_in_review(view) })
        }
        (Some(ResponseRequest), Some(TaskStatus::Done | TaskStatus::Archived)) => AgentPlan::nothing(),
        (Some(ResponseRequest), _) => AgentPlan::say(lines::not_in_review(view)),
        // Nobody else is there to answer.
        (Some(ThreadUpdate), _)
            if view.unanswered_word().is_some() && view.am_assigned() && view.workers().is_empty() =>
        {
            AgentPlan::say(lines::comes_last(view))
        }
        _ => AgentPlan::nothing(),
    }
}

/// Looks at what there is, and either finds something or nothing.
fn check(view: &TaskView) -> AgentPlan {
    let task = view.task.id.as_str();
    // Whoever asks may not have said in the thread yet what they made.
    let maker = view.last_maker().or_else(|| view.workers().last().copied());
    let plan = match maker.filter(|_| finds_something(view)) {
        Some(Member { slug, name, .. }) => {
            let found = lines::finding(view);
            AgentPlan::say(lines::sent_back(name, found))
                .after("response_request", request(view, slug, &lines::please_mend(found)))
                .after("task_status", json!({"taskId": task, "status": "in_progress"}))
        }
        None => AgentPlan::say(lines::approved(view))
            .after("task_status", json!({"taskId": task, "status": "done"})),
    };
    plan.after("document_list", json!({"taskId": task}))
}

/// By the task's title, so that the same task goes the same way each time; and never twice.
fn finds_something(view: &TaskView) -> bool {
    lines::number(&[&view.task.title]).is_multiple_of(SENT_BACK) && !view.have_said(lines::finding(view))
}
