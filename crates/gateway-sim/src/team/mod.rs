//! The demo's agents: five characters who stand where a model would, and work by the rules of their souls.
//!
//! Nothing is remembered that the board does not say: whoever is told of something loads the task first (`view`), and
//! what it does follows from where the task stands, who is on it, and who has said what (`worker`, `reviewer`, `lead`).
//! So the team answers whatever a visitor does, in any order. A talk among agents ends because only three things make
//! an agent speak: somebody put it on a task, named it or asked it, a person wrote in a thread that it holds, or, for
//! the squad lead, somebody who was put on a task waits to be told to begin. To everything else it says nothing.
//!
//! What is said stands in `lines`, what is written in `documents`. A delivery of theirs is a `plan`: calls, one after the
//! other, and a reply.

mod documents;
mod lead;
mod lines;
mod plan;
mod reviewer;
mod view;
mod worker;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use self::plan::{AgentPlan, Results};
use self::view::TaskView;
use super::gateway::{Act, Item, Prompt, ScriptedModel, Thought};
use mcr_model::NotificationType;

/// What the briefing asks for where there is nothing to say.
const SILENCE: &str = "HEARTBEAT_OK";
/// How much of a thread is read.
const MESSAGES: u32 = 100;
/// How long anything takes, so that people can follow it.
const QUICKEST_MS: u64 = 300;
const SLOWEST_MS: u64 = 700;
const WORD: Duration = Duration::from_millis(15);
/// So many conversations are kept in mind; the board knows the rest.
const SCENES_MAX: usize = 1_000;

/// One of the team, as the board knows them today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The board's id.
    pub id: String,
    /// What they are called by, and whose part they play.
    pub slug: String,
    /// What they are called.
    pub name: String,
}

/// The team.
pub struct Team {
    roll: Box<dyn Fn() -> Vec<Member> + Send + Sync>,
    scenes: Mutex<HashMap<String, Scene>>,
}

/// A delivery in the middle.
struct Scene {
    /// None if the briefing does not say, which asks for nothing.
    kind: Option<NotificationType>,
    /// The call whose result was answered last, and the answer: whoever asks again gets the same.
    answered: Option<(String, Thought)>,
    /// What is still to be done; none before the task was loaded.
    plan: Option<AgentPlan>,
    results: Results,
}

impl Team {
    /// A team; `roll` says who is in it.
    pub fn new(roll: impl Fn() -> Vec<Member> + Send + Sync + 'static) -> Self {
        Self { roll: Box::new(roll), scenes: Mutex::default() }
    }

    /// The beginning: the task as it stands now.
    fn begin(prompt: &Prompt, task: &str) -> (Scene, Thought) {
        let scene = Scene { kind: kind_of(prompt), answered: None, plan: None, results: Results::default() };
        (scene, Thought::call("task_load", &json!({"taskId": task, "messageLimit": MESSAGES})))
    }

    /// What follows a result.
    fn go_on(&self, scene: &mut Scene, prompt: &Prompt, output: &str) -> Thought {
        let result: Value = serde_json::from_str(output).unwrap_or_default();
        if result["success"] != true {
            let why = result["error"].as_str().unwrap_or(output);
            return Thought::say(lines::blocked(why));
        }
        match &mut scene.plan {
            Some(_) => scene.results.take(&result),
            none => {
                let Some(view) = TaskView::of(&result["data"], (self.roll)(), &prompt.agent) else {
                    return Thought::say(lines::blocked("I cannot read this task"));
                };
                *none = Some(decide(&view, scene.kind));
            }
        }
        let Some(plan) = &mut scene.plan else { return Thought::say(SILENCE) };
        match plan.next(&scene.results) {
            Ok((tool, _)) if !prompt.offers(tool) => {
                Thought::say(lines::blocked(&format!("I may not use {tool} here")))
            }
            Ok((tool, arguments)) => Thought::call(tool, &arguments),
            Err(reply) => Thought::say(reply),
        }
    }
}

/// Whose part it is.
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
        let mut scenes = self.scenes.lock().unwrap_or_else(PoisonError::into_inner);
        if scenes.len() >= SCENES_MAX {
            scenes.clear();
        }
        let thought = match (prompt.outputs().last(), scenes.get_mut(&prompt.session)) {
            (Some((call, _)), Some(Scene { answered: Some((last, thought)), .. })) if call == last => {
                thought.clone()
            }
            (Some((call, output)), Some(scene)) => {
                let thought = self.go_on(scene, prompt, output);
                scene.answered = Some((call.to_owned(), thought.clone()));
                thought
            }
            // A new delivery, or one that is not remembered.
            (None, _) | (Some(_), None) => {
                let (scene, thought) = Self::begin(prompt, task);
                scenes.insert(prompt.session.clone(), scene);
                thought
            }
        };
        drop(scenes);
        let mut pause = QUICKEST_MS + lines::number(&[&prompt.run]) % (SLOWEST_MS - QUICKEST_MS);
        if matches!(&thought.act, Act::Say(text) if lines::is_acknowledgement(text)) {
            // Whoever has given the work out speaks first.
            pause += QUICKEST_MS;
        }
        thought.after(Duration::from_millis(pause)).dripping(WORD)
    }
}

/// The task of a session, `agent:{slug}:task:{id}:…`.
fn task_of(session: &str) -> Option<&str> {
    let mut parts = session.split(':').skip(2);
    if parts.next()? == "task" { parts.next() } else { None }
}

/// What kind of notification it is: the briefing says so in its first lines.
fn kind_of(prompt: &Prompt) -> Option<NotificationType> {
    let before = prompt.transcript.iter().rev().filter_map(|entry| match &entry.item {
        Item::User(text) => Some(text.as_str()),
        Item::Assistant { .. } | Item::ToolResult { .. } => None,
    });
    [prompt.text.as_str()].into_iter().chain(before).find_map(|text| {
        let line = text.lines().take(4).find_map(|line| line.strip_prefix("Notification ("))?;
        line.split_once(')')?.0.parse().ok()
    })
}
