//! The rules for a reply and for the work before it, each under its condition (§4.3, §4.4).

use super::Scene;
use super::fence::PromptFence;
use super::people::handle;
use super::status;
use crate::delivery::policy;
use crate::delivery::reply::SILENCE;
use crate::tools::ToolName;

/// What to answer, and what not (§4.3).
pub(super) fn scope(scene: &Scene<'_>) -> Vec<String> {
    let mut rules = Vec::new();
    let shared = policy::is_multi_assignee(scene.context);
    if scene.is_assignment() {
        let reply = if shared {
            "coordinates, in a few sentences"
        } else {
            "is an acknowledgement of one or two sentences"
        };
        rules.push(format!(
            "This is an assignment. Your whole reply {reply}, with questions if something is unclear. Do \
             not start the work, write a report or start sub-agents. The work starts with a later \
             notification or heartbeat."
        ));
    }
    if scene.is_assignment() && shared {
        rules.push(coordination_first(scene));
    }
    if scene.context.task.is_some() {
        rules.push(
            "Rely on this task's thread as the input shows it. Do not ask for what it already says."
                .to_owned(),
        );
    } else {
        rules.push("Rely on the input. Do not ask for what it already says.".to_owned());
    }
    rules.push(if policy::may_stay_silent(scene.context) {
        format!(
            "If nothing here asks you for anything, reply with the one line `{SILENCE}` and no other word. \
             Then nothing is posted."
        )
    } else {
        "Someone expects your answer: reply in words, however short.".to_owned()
    });
    let place = if scene.context.task.is_some() {
        "Your last message is posted in the thread unchanged."
    } else {
        "It is not posted, because there is no thread. To reach others, act on the board."
    };
    rules.push(format!(
        "You reply once. {place} Do not write progress notes or announce what you will do next."
    ));
    if !scene.is_assignment() && !status::is_done(scene) {
        rules.push(
            "If the work can be divided, start sub-agents with `sessions_spawn`, wait for them, and give \
             one answer with all their results. Omit `agentId`: a sub-agent then has your skills. Set it \
             only to delegate on purpose to another specialist."
                .to_owned(),
        );
    }
    rules
}

/// How to work before the reply (§4.4).
pub(super) fn work(scene: &Scene<'_>, fence: PromptFence<'_>) -> Vec<String> {
    let mut rules = status::rules(scene, fence);
    rules.extend(making(scene, fence));
    rules.extend(asking(scene));
    rules.extend(leading(scene));
    if scene.is_assignment() {
        rules.push(questions(scene, fence));
    }
    if policy::is_multi_assignee(scene.context) {
        rules.push(sharing(scene));
    }
    if scene.person(fence).is_some() {
        rules.push(
            "When you are blocked or need a confirmation, mention the person under \"person to contact\", \
             exactly as written there."
                .to_owned(),
        );
    }
    rules
}

/// Tasks and documents (O-4, O-5, O-10).
fn making(scene: &Scene<'_>, fence: PromptFence<'_>) -> Vec<String> {
    let flags = scene.context.effective_behavior_flags;
    let mut rules = Vec::new();
    let create = scene.way_and_body(ToolName::TaskCreate).filter(|_| flags.can_create_tasks);
    if let Some(create) = &create {
        rules.push(format!("Create follow-up tasks with {create}."));
    }
    if let Some(document) =
        scene.way_and_body(ToolName::DocumentUpsert).filter(|_| flags.can_create_documents)
    {
        rules.push(format!(
            "Put anything long into a document with {document}. Link it in your reply as \
             [Document](/document/<documentId>). Do not deliver it in any other way: no sharing, no \
             channel, no web chat."
        ));
    }
    if scene.leads && scene.context.task.is_some() {
        let how = match (create, scene.person(fence)) {
            (Some(_), _) => "create follow-up tasks for the remaining work".to_owned(),
            (None, Some(person)) => {
                format!("list the needed follow-up tasks for {person}: you cannot create them")
            }
            (None, None) => "list the needed follow-up tasks: you cannot create them".to_owned(),
        };
        rules.push(format!(
            "Before a task is set to done, {how}. A reopened pull request must be merged first."
        ));
    }
    rules
}

/// Which readers a message reaches, and how mentions work (O-6).
fn asking(scene: &Scene<'_>) -> Vec<String> {
    if scene.context.task.is_none() {
        return Vec::new();
    }
    let may = scene.context.effective_behavior_flags.can_mention_agents;
    let ask = scene.way_to_ask().and_then(|_| scene.way_and_body(ToolName::ResponseRequest));
    let rule = match (may, ask, scene.is_chat()) {
        (_, Some(ask), true) => format!(
            "No other agent reads this thread: neither a mention nor a request here reaches one. Ask with \
             {ask} and the `taskId` of the task that you ask about."
        ),
        (_, None, true) => "No other agent reads this thread: a mention here reaches none.".to_owned(),
        (true, Some(ask), false) => format!(
            "To get an answer from another agent, use {ask}. An @mention in your reply also notifies and \
             starts an agent, but asks it for nothing. Mention only agents that must act, never just for \
             thanks."
        ),
        (true, None, false) => {
            "An @mention in your reply notifies and starts an agent. Mention only agents that must act, \
             never just for thanks."
                .to_owned()
        }
        (false, _, false) => {
            "You cannot notify other agents: your @mentions reach people only. If you need an agent, say in \
             the thread which one and for what."
                .to_owned()
        }
    };
    vec![rule]
}

/// Rules for the orchestrator only (O-7, O-8, O-9).
fn leading(scene: &Scene<'_>) -> Vec<String> {
    let mut rules = Vec::new();
    if !scene.leads {
        return rules;
    }
    if let Some(assign) = scene.way_and_body(ToolName::TaskAssign) {
        rules.push(format!(
            "You are the orchestrator: you see all tasks, and assign them with {assign}. The list above \
             includes your additional actions."
        ));
    }
    if let Some(ask) = scene.way_to_ask() {
        rules.push(format!(
            "Before you ask QA or another reviewer for a review, set the task to review. Then ask with \
             {ask} in the same turn. A mention alone is not a request."
        ));
    }
    if scene.is_chat() {
        let create = scene
            .way(ToolName::TaskCreate)
            .filter(|_| scene.context.effective_behavior_flags.can_create_tasks);
        let assign = scene.way(ToolName::TaskAssign);
        let how = match (assign, create) {
            (Some(assign), Some(create)) => {
                format!("assign the task with {assign}, or create one with {create} and `assigneeSlugs`")
            }
            (Some(assign), None) => format!("assign the task with {assign}"),
            (None, Some(create)) => format!("create a task with {create} and `assigneeSlugs`"),
            (None, None) => "have the task assigned".to_owned(),
        };
        rules.push(format!(
            "This thread is only for coordination: do no work from here. Before you ask an agent for work, \
             {how}. Never assign a task to yourself."
        ));
    }
    rules
}

/// The recipients of questions about an assignment (O-14).
fn questions(scene: &Scene<'_>, fence: PromptFence<'_>) -> String {
    let target =
        match (scene.orchestrator_to_ask(), scene.way(ToolName::ResponseRequest), scene.person(fence)) {
            (Some(lead), Some(ask), _) => {
                format!(" and send them to the orchestrator, {}, with {ask}", handle(fence, lead))
            }
            (_, _, Some(person)) => format!(" and mention {person}"),
            _ => String::new(),
        };
    format!("If something is unclear, ask now: put the questions in your acknowledgement{target}.")
}

/// Coordination before work on a shared task (O-15).
fn coordination_first(scene: &Scene<'_>) -> String {
    let ask = scene.way_to_ask().map_or(String::new(), |ask| {
        format!(" Also ask each agent whose answer you need with {ask}; this is not a second reply.")
    });
    format!(
        "You share this task, so this first reply only coordinates: acknowledge, say which part you take, \
         and ask the others about your dependencies.{ask} Until the dependencies are clear, only read; do \
         no other work."
    )
}

/// Collaboration on one task (O-16).
fn sharing(scene: &Scene<'_>) -> String {
    let (ask, blocker) = match scene.way_to_ask() {
        Some(ask) => (
            format!("ask in the thread and also with {ask}"),
            format!(" and ask the blocking agent with {ask}"),
        ),
        None => ("ask in the thread".to_owned(), String::new()),
    };
    let unanswered = match (scene.leads, scene.orchestrator_to_ask().is_some()) {
        (false, true) => "wait, or write down an assumption with a time limit and ask the orchestrator",
        _ => "wait, or write down an assumption with a time limit",
    };
    format!(
        "The agents under \"also on this task\" share the task. Say in the thread exactly which part is \
         yours. If you need something from them, {ask}. Silence is not agreement: {unanswered}. Before \
         review, summarise your agreements in the thread. If a dependency stays open, begin your reply with \
         BLOCKED{blocker}."
    )
}
