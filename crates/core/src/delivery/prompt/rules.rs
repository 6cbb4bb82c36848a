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
            "This is an assignment, and your whole reply {reply}, with your questions if something is unclear. Do not \
             start the work, write no report, start no sub-agents. The work begins with a later notification or \
             heartbeat."
        ));
    }
    if scene.is_assignment() && shared {
        rules.push(coordination_first(scene));
    }
    if scene.context.task.is_some() {
        rules.push(
            "Go by this task's thread as it stands in the input. Do not ask for what it already says."
                .to_owned(),
        );
    } else {
        rules.push("Go by what stands in the input. Do not ask for what it already says.".to_owned());
    }
    rules.push(if policy::may_stay_silent(scene.context) {
        format!(
            "If nothing here asks anything of you, reply with the one line `{SILENCE}` and no other word. Then nothing \
             is posted."
        )
    } else {
        "Somebody waits for your answer: reply in words, however short.".to_owned()
    });
    let place = if scene.context.task.is_some() {
        "Your last message is posted in the thread as it is"
    } else {
        "There is no thread in which it could be posted: what must reach others, do on the board. In the reply itself"
    };
    rules.push(format!(
        "You reply once. {place}: no notes on progress, no announcements of what you will do next."
    ));
    if !scene.is_assignment() && !status::is_done(scene) {
        rules.push(
            "If the work can be divided, start sub-agents with `sessions_spawn`, wait for them, and give one answer \
             with all their results. Leave `agentId` out: a sub-agent then has your skills. Name one only to hand \
             work to another specialist on purpose."
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
            "When you are blocked or need a confirmation, mention the person under \"person to turn to\", exactly as \
             it is written there."
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
        rules.push(format!("Follow-up tasks are made with {create}."));
    }
    if let Some(document) =
        scene.way_and_body(ToolName::DocumentUpsert).filter(|_| flags.can_create_documents)
    {
        rules.push(format!(
            "Put anything long into a document, with {document}, and link it in your reply as \
             [Document](/document/<documentId>). Do not send it in any other way: no sharing, no channel, no web chat."
        ));
    }
    if scene.leads && scene.context.task.is_some() {
        let how = match (create, scene.person(fence)) {
            (Some(_), _) => "make follow-up tasks for what is left to do".to_owned(),
            (None, Some(person)) => {
                format!("list for {person} the follow-up tasks that are needed: you cannot make them")
            }
            (None, None) => "list the follow-up tasks that are needed: you cannot make them".to_owned(),
        };
        rules.push(format!(
            "Before a task is set to done, {how}. A pull request that was opened again must be merged first."
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
            "No other agent reads this thread: neither a mention nor a request on it reaches one. Ask with {ask}, \
             giving the `taskId` of the task in question."
        ),
        (_, None, true) => "No other agent reads this thread, and a mention in it reaches none.".to_owned(),
        (true, Some(ask), false) => format!(
            "To get an answer from another agent, use {ask}. An @mention in your reply notifies an agent too and \
             starts it, but asks it for nothing: mention only whom you want to act, and nobody just for thanks."
        ),
        (true, None, false) => {
            "An @mention in your reply notifies an agent and starts it: mention only whom you want \
                                to act, and nobody just for thanks."
                .to_owned()
        }
        (false, _, false) => {
            "You cannot notify other agents: an @mention of yours reaches people only. If you need an \
                          agent, say in the thread whom and for what."
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
            "You are the orchestrator: you see all tasks, and assign them with {assign}. What you can do beyond other \
             agents is listed above."
        ));
    }
    if let Some(ask) = scene.way_to_ask() {
        rules.push(format!(
            "Before you ask QA or another reviewer for a review, set the task to review; then ask with {ask} in the same turn. \
             A mention alone is not a request."
        ));
    }
    if scene.is_chat() {
        let create = scene
            .way(ToolName::TaskCreate)
            .filter(|_| scene.context.effective_behavior_flags.can_create_tasks);
        let assign = scene.way(ToolName::TaskAssign);
        let how = match (assign, create) {
            (Some(assign), Some(create)) => {
                format!("assign the task with {assign}, or make one with {create} and `assigneeSlugs`")
            }
            (Some(assign), None) => format!("assign the task with {assign}"),
            (None, Some(create)) => format!("make a task with {create} and `assigneeSlugs`"),
            (None, None) => "have it assigned".to_owned(),
        };
        rules.push(format!(
            "This thread is for coordination: carry out no work from here. Before you ask an agent for work, {how}. \
             Never assign a task to yourself."
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
    format!("If something is unclear, ask now: put the questions into your acknowledgement{target}.")
}

/// Coordination before work on a shared task (O-15).
fn coordination_first(scene: &Scene<'_>) -> String {
    let ask = scene.way_to_ask().map_or(String::new(), |ask| {
        format!(" Ask each of them whose answer you need with {ask} as well; that is no second reply.")
    });
    format!(
        "You share this task, so this first reply only coordinates: acknowledge, say which part you take, and ask the \
         others about what you depend on.{ask} Until that is settled, read what you need and carry out nothing."
    )
}

/// Collaboration on one task (O-16).
fn sharing(scene: &Scene<'_>) -> String {
    let (ask, blocker) = match scene.way_to_ask() {
        Some(ask) => (
            format!("ask in the thread and with {ask} as well"),
            format!(" and ask whoever blocks you, with {ask}"),
        ),
        None => ("ask in the thread".to_owned(), String::new()),
    };
    let unanswered = match (scene.leads, scene.orchestrator_to_ask().is_some()) {
        (false, true) => "wait, or write down what you assume and until when, and ask the orchestrator",
        _ => "wait, or write down what you assume and until when",
    };
    format!(
        "The agents under \"also on this task\" work on it too. Say in the thread exactly which part is yours. If you \
         need something of them, {ask}. Silence is not agreement: {unanswered}. Before review, sum up in the thread \
         what you agreed on. If a dependency stays open, begin your reply with BLOCKED{blocker}."
    )
}
