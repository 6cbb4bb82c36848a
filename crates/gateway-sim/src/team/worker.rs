//! The agents that produce results: engineer, designer, writer, and every other hired agent.

use serde_json::{Value, json};

use super::plan::{AgentPlan, DOCUMENT};
use super::view::{LEAD, QA, TaskView, is_small_talk, only_asks};
use super::{answers, documents, lines};
use mcr_model::NotificationType::{self, Assignment, Mention, ResponseRequest, ThreadUpdate};
use mcr_model::TaskStatus;

/// Words that resume a blocked task.
const GO_ON: [&str; 6] = ["go on", "continue", "carry on", "resume", "unblock", "go ahead"];

pub(super) fn decide(view: &TaskView, kind: Option<NotificationType>) -> AgentPlan {
    match kind {
        Some(Assignment) => assigned(view),
        Some(Mention) => asked(view, view.last_word(), true),
        Some(ResponseRequest) => asked(view, None, false),
        // A person has written to the whole thread. The responsible agent replies.
        Some(ThreadUpdate) if view.holder().is_some_and(|holder| holder.id == view.me.id) => {
            match view.unanswered_word() {
                Some(word) => asked(view, Some(word), true),
                None => AgentPlan::nothing(),
            }
        }
        _ => AgentPlan::nothing(),
    }
}

/// Acknowledges only. The work starts on request.
fn assigned(view: &TaskView) -> AgentPlan {
    match view.status() {
        Some(TaskStatus::Assigned | TaskStatus::InProgress) => match view.workers().first() {
            Some(first) if first.id != view.me.id && view.made_by(first).is_none() => {
                AgentPlan::say(lines::wait(view, first))
            }
            _ => AgentPlan::say(lines::acknowledge(view)),
        },
        _ => AgentPlan::say(lines::noted(view)),
    }
}

fn asked(view: &TaskView, word: Option<&str>, by_person: bool) -> AgentPlan {
    let just_a_question = word.is_some_and(only_asks);
    let mine = view.made_by(&view.me);
    if word.is_some_and(is_small_talk) {
        return AgentPlan::say(lines::kind_word(view));
    }
    let topic = word.filter(|_| just_a_question).and_then(answers::topic);
    if let Some(fact) = topic.and_then(|topic| answers::fact(view, topic)) {
        return AgentPlan::say(fact);
    }
    match view.status() {
        Some(TaskStatus::Inbox | TaskStatus::Assigned | TaskStatus::InProgress)
            if just_a_question && topic.is_none() =>
        {
            AgentPlan::say(answers::unknown(view))
        }
        Some(TaskStatus::Inbox) => volunteer(view),
        Some(TaskStatus::Assigned | TaskStatus::InProgress) if just_a_question => {
            AgentPlan::say(lines::progress(view))
        }
        Some(TaskStatus::Assigned | TaskStatus::InProgress) => work(view, mine),
        Some(TaskStatus::Review) if by_person && !just_a_question && view.am_assigned() => work(view, mine),
        Some(TaskStatus::Review) if by_person => AgentPlan::say(lines::in_review(view)),
        Some(TaskStatus::Blocked) => {
            let text = word.unwrap_or_default().to_lowercase();
            if GO_ON.iter().any(|words| text.contains(words)) {
                work(view, mine)
            } else {
                AgentPlan::say(lines::is_blocked(view))
            }
        }
        Some(TaskStatus::Done) if by_person => AgentPlan::say(lines::is_done(view, mine)),
        _ => AgentPlan::nothing(),
    }
}

/// A task without assignees: the squad lead assigns it.
fn volunteer(view: &TaskView) -> AgentPlan {
    match view.other(LEAD) {
        Some(lead) => AgentPlan::say(lines::volunteers(view, lead))
            .after("response_request", request(view, LEAD, &lines::wants_the_task(view))),
        None => AgentPlan::say(lines::assign_me(view)),
    }
}

/// Produces or revises the result, then hands the task to the next agent or to review.
fn work(view: &TaskView, before: Option<&str>) -> AgentPlan {
    let mut calls = Vec::new();
    let task = view.task.id.as_str();
    // A helper without assignment does not change the task's status.
    let mine = view.am_assigned();
    if mine && view.status() != Some(TaskStatus::InProgress) {
        calls.push(("task_status", json!({"taskId": task, "status": "in_progress"})));
    }
    let draft = documents::write(view, before.is_some());
    let mut document =
        json!({"taskId": task, "title": draft.title, "content": draft.content, "type": "deliverable"});
    if let Some(id) = before {
        document["documentId"] = json!(id);
    }
    calls.push(("document_upsert", document));
    if !mine {
        return AgentPlan::say(lines::helped(view, &draft)).after_all(calls);
    }
    if let Some(next) = view.next() {
        calls.push(("response_request", request(view, &next.slug, &lines::over_to(view, next, &draft))));
        return AgentPlan::say(lines::handed_over(view, next, &draft)).after_all(calls);
    }
    calls.push(("task_status", json!({"taskId": task, "status": "review"})));
    if view.other(QA).is_some() {
        calls.push(("response_request", request(view, QA, &lines::please_check(view, &draft))));
    }
    AgentPlan::say(lines::finished(view, &draft, before.is_some())).after_all(calls)
}

/// The arguments of a request to one agent.
pub(super) fn request(view: &TaskView, slug: &str, message: &str) -> Value {
    json!({"taskId": view.task.id.as_str(), "recipientSlugs": [slug], "message": message})
}

/// The link to the document.
pub(super) fn link() -> String {
    format!("[Document](/document/{DOCUMENT})")
}
