//! What the task's status means for the agent, and how it may change it (O-3, O-3h, O-3n, O-3d, O-11, O-12,
//! O-13).

use super::Scene;
use super::fence::PromptFence;
use super::people::handle;
use crate::delivery::policy;
use crate::tools::ToolName;
use mcr_model::TaskStatus::{self, Assigned, Blocked, Done, InProgress, Review};
use mcr_model::{allowed_next, plan_for_agent};

/// The statuses that an agent may set, and those from which it may change.
const AGENT_STATUSES: [TaskStatus; 5] = [Assigned, InProgress, Review, Blocked, Done];

/// Whether the task is done.
pub(super) fn is_done(scene: &Scene<'_>) -> bool {
    status(scene) == Some(Done)
}

/// The rules under this status.
pub(super) fn rules(scene: &Scene<'_>, fence: PromptFence<'_>) -> Vec<String> {
    if scene.context.task.is_none() {
        return Vec::new();
    }
    let may = scene.context.effective_behavior_flags.can_modify_task_status;
    let way = scene.way_and_body(ToolName::TaskStatus).filter(|_| may);
    let mut rules = Vec::new();
    match status(scene).filter(|_| !scene.is_chat()) {
        Some(Done) => rules.push(
            "The task is done, but you were addressed: reply once, in one or two sentences, without a \
             report. Start nothing new."
                .to_owned(),
        ),
        Some(Blocked) => {
            let unblock = match way {
                Some(_) => " When you have the missing input, set the task to in_progress and continue.",
                None => "",
            };
            rules.push(format!(
                "The task is blocked. Only clarify and unblock it; do no other work until the status \
                 changes.{unblock}"
            ));
        }
        Some(Review) if policy::may_review(scene.context.effective_behavior_flags) => {
            let back = match way {
                Some(_) => " and set the task to in_progress",
                None => "",
            };
            rules.push(format!(
                "The task is in review, and you are a reviewer: check the work itself, not only the claims \
                 about it. If something is missing, say exactly what{back}."
            ));
        }
        _ => {}
    }
    match way {
        Some(way) if scene.is_chat() => rules.push(format!(
            "If you change a task's status, do it before you reply, with {way}. {}",
            moves(scene)
        )),
        Some(way) => rules.extend(changing(scene, fence, &way)),
        None => rules.push(
            "You are not allowed to change the task's status. If asked to, begin your reply with BLOCKED \
             and explain this."
                .to_owned(),
        ),
    }
    if status(scene) == Some(Review) && scene.may_close {
        rules.push(
            "To accept the work, set `done` first and then say so. If that fails, begin your reply with \
             BLOCKED; never just say that it is done."
                .to_owned(),
        );
    }
    rules
}

fn status(scene: &Scene<'_>) -> Option<TaskStatus> {
    scene.context.task.as_ref().and_then(|task| task.status.known())
}

fn changing(scene: &Scene<'_>, fence: PromptFence<'_>, way: &str) -> Vec<String> {
    let Some(from) = status(scene).filter(|&from| leads_somewhere(scene, from)) else {
        let status = scene.context.task.as_ref().map_or(String::new(), |task| task.status.to_string());
        let status = fence.one_line(&status, 40);
        return vec![format!("The task's status is {status}, and you cannot change it from there.")];
    };
    let mut change =
        format!("If the status must change, change it before you reply, with {way}. {}", moves(scene));
    if let Some(update) = scene.way_and_body(ToolName::TaskUpdate) {
        let update = format!(" Change other fields with {update}. If both change, change the status first.");
        change.push_str(&update);
    }
    let wait = "If you wait for a person, set `blocked` with a `blockedReason` that says for what. When you \
                can continue, set in_progress again.";
    let mut rules = vec![change, wait.to_owned()];
    if !scene.may_close {
        let whom = match scene.orchestrator_to_ask() {
            _ if scene.leads => "someone who may close tasks".to_owned(),
            Some(lead) => {
                format!("someone who may close tasks, or the orchestrator ({}),", handle(fence, lead))
            }
            None => "someone who may close tasks, or the orchestrator,".to_owned(),
        };
        rules.push(format!(
            "You cannot set `done` here. Leave finished work in review and ask {whom} to close it."
        ));
    }
    if scene.is_assignment() && from == Assigned {
        rules.push(
            "The task moves to in_progress automatically when your acknowledgement is posted.".to_owned(),
        );
    }
    rules
}

/// Whether the agent can set `done` as well as the other statuses.
fn is_open(scene: &Scene<'_>, to: TaskStatus) -> bool {
    to != Done || scene.may_close
}

fn leads_somewhere(scene: &Scene<'_>, from: TaskStatus) -> bool {
    let mut others = AGENT_STATUSES.into_iter().filter(|&to| to != from && is_open(scene, to));
    others.any(|to| plan_for_agent(from, to).is_ok())
}

/// The workflow, as far as the agent may change it.
fn moves(scene: &Scene<'_>) -> String {
    let next = |from: TaskStatus| {
        let next = allowed_next(from).iter().copied();
        let next = next.filter(|&to| AGENT_STATUSES.contains(&to) && to != Assigned && is_open(scene, to));
        next.map(TaskStatus::as_str).collect::<Vec<_>>().join(" or ")
    };
    let moves =
        AGENT_STATUSES.map(|from| (from, next(from))).into_iter().filter(|(_, next)| !next.is_empty());
    let moves: Vec<String> = moves.map(|(from, next)| format!("{from} to {next}")).collect();
    format!("Allowed moves: {}.", moves.join("; "))
}
