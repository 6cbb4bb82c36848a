//! Those who make things: engineer, designer, writer, and whoever else is hired.

use serde_json::{Value, json};

use super::plan::{DOCUMENT, Plan};
use super::view::{LEAD, QA, View, is_small_talk, only_asks};
use super::{lines, papers};
use mcr_model::NotificationType::{self, Assignment, Mention, ResponseRequest, ThreadUpdate};
use mcr_model::TaskStatus;

/// Words that take a blocked task up again.
const GO_ON: [&str; 6] = ["go on", "continue", "carry on", "resume", "unblock", "go ahead"];

pub(super) fn decide(view: &View, kind: Option<NotificationType>) -> Plan {
    match kind {
        Some(Assignment) => assigned(view),
        Some(Mention) => asked(view, view.last_word(), true),
        Some(ResponseRequest) => asked(view, None, false),
        // A person has written to everybody: whoever holds the task answers.
        Some(ThreadUpdate) if view.holder().is_some_and(|holder| holder.id == view.me.id) => {
            match view.unanswered_word() {
                Some(word) => asked(view, Some(word), true),
                None => Plan::nothing(),
            }
        }
        _ => Plan::nothing(),
    }
}

/// An acknowledgement, and no more: the work begins when somebody says so.
fn assigned(view: &View) -> Plan {
    match view.status() {
        Some(TaskStatus::Assigned | TaskStatus::InProgress) => match view.workers().first() {
            Some(first) if first.id != view.me.id && view.made_by(first).is_none() => {
                Plan::say(lines::wait(view, first))
            }
            _ => Plan::say(lines::acknowledge(view)),
        },
        _ => Plan::say(lines::noted(view)),
    }
}

fn asked(view: &View, word: Option<&str>, by_person: bool) -> Plan {
    let just_a_question = word.is_some_and(only_asks);
    let mine = view.made_by(&view.me);
    if word.is_some_and(is_small_talk) {
        return Plan::say(lines::kind_word(view));
    }
    match view.status() {
        Some(TaskStatus::Inbox) => volunteer(view),
        Some(TaskStatus::Assigned | TaskStatus::InProgress) if just_a_question => {
            Plan::say(lines::progress(view))
        }
        Some(TaskStatus::Assigned | TaskStatus::InProgress) => work(view, mine),
        Some(TaskStatus::Review) if by_person && !just_a_question && view.am_assigned() => work(view, mine),
        Some(TaskStatus::Review) if by_person => Plan::say(lines::in_review(view)),
        Some(TaskStatus::Blocked) => {
            let text = word.unwrap_or_default().to_lowercase();
            if GO_ON.iter().any(|words| text.contains(words)) {
                work(view, mine)
            } else {
                Plan::say(lines::is_blocked(view))
            }
        }
        Some(TaskStatus::Done) if by_person => Plan::say(lines::is_done(view, mine)),
        _ => Plan::nothing(),
    }
}

/// A task that is nobody's yet: the squad lead gives it out.
fn volunteer(view: &View) -> Plan {
    match view.other(LEAD) {
        Some(lead) => Plan::say(lines::volunteers(view, lead))
            .after("response_request", request(view, LEAD, &lines::wants_the_task(view))),
        None => Plan::say(lines::assign_me(view)),
    }
}

/// Makes it, or makes it anew; then it is the next one's, or goes to review.
fn work(view: &View, before: Option<&str>) -> Plan {
    let mut calls = Vec::new();
    let task = view.task.id.as_str();
    // Whoever only helps leaves the task where it is.
    let mine = view.am_assigned();
    if mine && view.status() != Some(TaskStatus::InProgress) {
        calls.push(("task_status", json!({"taskId": task, "status": "in_progress"})));
    }
    let paper = papers::write(view, before.is_some());
    let mut document =
        json!({"taskId": task, "title": paper.title, "content": paper.content, "type": "deliverable"});
    if let Some(id) = before {
        document["documentId"] = json!(id);
    }
    calls.push(("document_upsert", document));
    if !mine {
        return Plan::say(lines::helped(view, &paper)).after_all(calls);
    }
    if let Some(next) = view.next() {
        calls.push(("response_request", request(view, &next.slug, &lines::over_to(view, next, &paper))));
        return Plan::say(lines::handed_over(view, next, &paper)).after_all(calls);
    }
    calls.push(("task_status", json!({"taskId": task, "status": "review"})));
    if view.other(QA).is_some() {
        calls.push(("response_request", request(view, QA, &lines::please_check(view, &paper))));
    }
    Plan::say(lines::finished(view, &paper, before.is_some())).after_all(calls)
}

/// The arguments of a request to one colleague.
pub(super) fn request(view: &View, slug: &str, message: &str) -> Value {
    json!({"taskId": view.task.id.as_str(), "recipientSlugs": [slug], "message": message})
}

/// How a document is linked.
pub(super) fn link() -> String {
    format!("[Document](/document/{DOCUMENT})")
}
