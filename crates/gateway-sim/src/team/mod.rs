//! The demo's agents: five characters that replace a language model and follow the rules of their souls.
//!
//! An agent remembers nothing that the board does not contain. When it is notified, it loads the task first (`view`). Its
//! action depends on the task's status, its assignees and the messages so far (`worker`, `reviewer`, `lead`).
//! So the team can respond to any action of a visitor, in any order.
//!
//! A conversation between agents ends, because an agent replies only in these cases: it was assigned, mentioned or
//! requested; a person wrote in a thread it is responsible for; or, for the squad lead, an assigned agent waits to start.
//! To everything else it replies nothing.
//!
//! `lines` contains the messages, `answers` the answers to questions, and `documents` the documents, with the `prepared`
//! work on the tasks of the demo. One delivery is a `plan`: a sequence of calls and a reply.

mod answers;
mod documents;
mod lead;
mod lines;
mod plan;
mod prepared;
mod reviewer;
mod view;
mod worker;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use self::plan::{AgentPlan, Results};
use self::view::TaskView;
use super::derived::number;
use super::gateway::{Act, Item, Prompt, ScriptedModel, Thought};
use mcr_model::NotificationType;

/// The reply that the briefing asks for when there is nothing to say.
const SILENCE: &str = "HEARTBEAT_OK";
/// The number of messages an agent reads.
const MESSAGES_READ: u32 = 100;
/// The duration of each step, so that people can follow it.
const QUICKEST_MS: u64 = 300;
const SLOWEST_MS: u64 = 700;
const WORD_PAUSE: Duration = Duration::from_millis(15);
/// The maximum number of conversations in memory. The board has the rest.
const DELIVERIES_MAX: usize = 1_000;

/// A member of the team as the board shows it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The agent's id on the board.
    pub id: String,
    /// The agent's slug, which selects its character.
    pub slug: String,
    /// The agent's display name.
    pub name: String,
}

/// The team.
pub struct Team {
    roll: Box<dyn Fn() -> Vec<Member> + Send + Sync>,
    deliveries: Mutex<HashMap<String, DeliveryState>>,
}

/// A delivery in progress.
struct DeliveryState {
    /// `None` if the briefing has no type. Then there is nothing to do.
    kind: Option<NotificationType>,
    /// The last answered call and the answer. A repeated request receives the same answer.
    answered: Option<(String, Thought)>,
    /// The remaining plan. `None` before the task is loaded.
    plan: Option<AgentPlan>,
    results: Results,
}

impl Team {
    /// A team. `roll` returns its present members.
    pub fn new(roll: impl Fn() -> Vec<Member> + Send + Sync + 'static) -> Self {
        Self { roll: Box::new(roll), deliveries: Mutex::default() }
    }

    /// Starts a delivery: loads the task.
    fn start(prompt: &Prompt, task: &str) -> (DeliveryState, Thought) {
        let delivery =
            DeliveryState { kind: kind_of(prompt), answered: None, plan: None, results: Results::default() };
        (delivery, Thought::call("task_load", &json!({"taskId": task, "messageLimit": MESSAGES_READ})))
    }

    /// Continues after the result of a call.
    fn proceed(&self, delivery: &mut DeliveryState, prompt: &Prompt, output: &str) -> Thought {
        // A marker of the runtime may come first.
        let json = output.find('{').map_or("", |begin| &output[begin..]);
        let result: Value = serde_json::from_str(json).unwrap_or_default();
        if result["success"] != true {
            let why = result["error"].as_str().unwrap_or(output);
            return Thought::say(lines::blocked(why));
        }
        match &mut delivery.plan {
            Some(_) => delivery.results.take(&result),
            none => {
                let Some(view) = TaskView::of(&result["data"], (self.roll)(), &prompt.agent) else {
                    return Thought::say(lines::blocked("I cannot read this task"));
                };
                *none = Some(decide(&view, delivery.kind));
            }
        }
        let Some(plan) = &mut delivery.plan else { return Thought::say(SILENCE) };
        match plan.next(&delivery.results) {
            Ok((tool, _)) if !prompt.offers(tool) => {
                Thought::say(lines::blocked(&format!("I may not use {tool} here")))
            }
            Ok((tool, arguments)) => Thought::call(tool, &arguments),
            Err(reply) => Thought::say(reply),
        }
    }
}

/// Selects the character.
fn decide(view: &TaskView, kind: Option<NotificationType>) -> AgentPlan {
    match view.me.slug.as_str() {
        view::LEAD => lead::decide(view, kind),
        view::QA => reviewer::decide(view, kind),
        _ => worker::decide(view, kind),
    }
}

impl ScriptedModel for Team {
    fn think(&self, prompt: &Prompt) -> Thought {
        let Some(task) = task_of(&prompt.session) else { return Thought::say(SILENCE) };
        if !prompt.offers("task_load") {
            return Thought::say(lines::blocked("I am offered no tools, so I cannot look at the task"));
        }
        let mut deliveries = self.deliveries.lock().unwrap_or_else(PoisonError::into_inner);
        if deliveries.len() >= DELIVERIES_MAX {
            deliveries.clear();
        }
        let thought = match (prompt.outputs().last(), deliveries.get_mut(&prompt.session)) {
            (Some((call, _)), Some(DeliveryState { answered: Some((last, thought)), .. }))
                if call == last =>
            {
                thought.clone()
            }
            (Some((call, output)), Some(delivery)) => {
                let thought = self.proceed(delivery, prompt, output);
                delivery.answered = Some((call.to_owned(), thought.clone()));
                thought
            }
            // A new delivery, or one that is no longer in memory.
            (None, _) | (Some(_), None) => {
                let (delivery, thought) = Self::start(prompt, task);
                deliveries.insert(prompt.session.clone(), delivery);
                thought
            }
        };
        drop(deliveries);
        let mut pause = QUICKEST_MS + number(&[&prompt.run]) % (SLOWEST_MS - QUICKEST_MS);
        if matches!(&thought.act, Act::Say(text) if lines::is_acknowledgement(text)) {
            // The agent that assigned the work speaks first.
            pause += QUICKEST_MS;
        }
        thought.after(Duration::from_millis(pause)).dripping(WORD_PAUSE)
    }
}

/// The task of a session `agent:{slug}:task:{id}:…`.
fn task_of(session: &str) -> Option<&str> {
    let mut parts = session.split(':').skip(2);
    if parts.next()? == "task" { parts.next() } else { None }
}

/// The type of the notification, from the first lines of the briefing.
fn kind_of(prompt: &Prompt) -> Option<NotificationType> {
    let before = prompt.transcript.iter().rev().filter_map(|entry| match &entry.item {
        Item::User(text) => Some(text.as_str()),
        Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
    });
    [prompt.text.as_str()].into_iter().chain(before).find_map(|text| {
        let line = text.lines().take(4).find_map(|line| line.strip_prefix("Notification ("))?;
        line.split_once(')')?.0.parse().ok()
    })
}
