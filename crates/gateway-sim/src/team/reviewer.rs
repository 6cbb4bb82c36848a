//! Tomas, the reviewer: he checks a task before it counts as done.

use serde_json::json;

use super::Member;
use super::lines;
use super::plan::AgentPlan;
use super::view::{TaskView, only_asks, words_of};
use super::worker::request;
use super::{answers, prepared};
use mcr_model::NotificationType::{self, Assignment, Mention, ResponseRequest, StatusChange, ThreadUpdate};
use mcr_model::TaskStatus;

pub(super) fn decide(view: &TaskView, kind: Option<NotificationType>) -> AgentPlan {
    match (kind, view.status()) {
        (Some(Assignment | Mention | ResponseRequest | StatusChange), Some(TaskStatus::Review)) => {
            check(view)
        }
        (Some(Assignment), _) => AgentPlan::say(lines::comes_last(view)),
        (Some(Mention), status) => match view.last_word().filter(|word| only_asks(word)) {
            Some(question) => AgentPlan::say(answer(view, question)),
            None if status == Some(TaskStatus::Done) => AgentPlan::say(lines::was_checked(view)),
            None => AgentPlan::say(lines::not_in_review(view)),
        },
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

fn answer(view: &TaskView, question: &str) -> String {
    const REVIEW: [&str; 7] = ["check", "checked", "test", "tested", "review", "reviewed", "look"];
    let fact = answers::topic(question).and_then(|topic| answers::fact(view, topic));
    let words = words_of(question);
    match fact {
        Some(fact) => fact,
        None if view.status() == Some(TaskStatus::Done) => lines::was_checked(view),
        None if REVIEW.iter().any(|word| words.iter().any(|said| said == word)) => {
            lines::what_is_checked(view)
        }
        None if answers::topic(question).is_some() => lines::not_in_review(view),
        None => answers::unknown(view),
    }
}

/// Reviews the task: returns it with a finding, or approves it.
fn check(view: &TaskView) -> AgentPlan {
    let task = view.task.id.as_str();
    // The requester may not have linked the result in the thread yet.
    let maker = view.last_maker().or_else(|| view.workers().last().copied());
    // A task is returned at most once.
    let finding = prepared::finding(&view.task.title).filter(|finding| !view.have_said(finding.found));
    let plan = match maker.zip(finding) {
        Some((Member { slug, name, .. }, finding)) => AgentPlan::say(lines::sent_back(name, finding.found))
            .after("response_request", request(view, slug, &lines::please_mend(finding.found)))
            .after("task_status", json!({"taskId": task, "status": "in_progress"})),
        None => AgentPlan::say(lines::approved(view))
            .after("task_status", json!({"taskId": task, "status": "done"})),
    };
    plan.after("document_list", json!({"taskId": task}))
}
