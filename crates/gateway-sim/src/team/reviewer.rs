//! Tomas, the reviewer: he checks a task before it counts as done.

use serde_json::json;

use super::Member;
use super::lines;
use super::plan::AgentPlan;
use super::view::{TaskView, only_asks};
use super::worker::request;
use crate::derived::number;
use mcr_model::NotificationType::{self, Assignment, Mention, ResponseRequest, StatusChange, ThreadUpdate};
use mcr_model::TaskStatus;

/// One of this many tasks is returned once with a finding.
const RETURNED_ONE_IN: u64 = 3;

pub(super) fn decide(view: &TaskView, kind: Option<NotificationType>) -> AgentPlan {
    match (kind, view.status()) {
        (Some(Assignment | Mention | ResponseRequest | StatusChange), Some(TaskStatus::Review)) => {
            check(view)
        }
        (Some(Assignment), _) => AgentPlan::say(lines::comes_last(view)),
        (Some(Mention), Some(TaskStatus::Done)) => AgentPlan::say(lines::was_checked(view)),
        (Some(Mention), _) => {
            let is_question = view.last_word().is_some_and(only_asks);
            AgentPlan::say(if is_question {
                lines::what_is_checked(view)
            } else {
                lines::not_in_review(view)
            })
        }
        (Some(ResponseRequest), Some(TaskStatus::Done | TaskStatus::Archived)) => AgentPlan::nothing(),
        (Some(ResponseRequest), _) => AgentPlan::say(lines::not_in_review(view)),
        // No other agent can reply.
        (Some(ThreadUpdate), _)
            if view.unanswered_word().is_some() && view.am_assigned() && view.workers().is_empty() =>
        {
            AgentPlan::say(lines::comes_last(view))
        }
        _ => AgentPlan::nothing(),
    }
}

/// Reviews the task: returns it with a finding, or approves it.
fn check(view: &TaskView) -> AgentPlan {
    let task = view.task.id.as_str();
    // The requester may not have linked the result in the thread yet.
    let maker = view.last_maker().or_else(|| view.workers().last().copied());
    let plan = match maker.filter(|_| has_finding(view)) {
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

/// Depends on the title, so that a task always takes the same course. A task is returned at most once.
fn has_finding(view: &TaskView) -> bool {
    number(&[&view.task.title]).is_multiple_of(RETURNED_ONE_IN) && !view.have_said(lines::finding(view))
}
