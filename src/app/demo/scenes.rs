//! The scripted actions of Robin, the person in the demo: one at the start, and one when a visitor logs in.
//! All other events come from visitors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use log::{info, warn};
use serde_json::{Value, json};

use crate::app::embedded::Board;
use mcr_mission_control::{Caller, Engine, Kind};

/// The pause after the runtime's start, for the page to open and the roster to be read.
const START_PAUSE: Duration = Duration::from_secs(2);

/// The pause after a login, for a look around.
const LOGIN_PAUSE: Duration = Duration::from_secs(4);

/// The task that Robin creates.
const TITLE: &str = "Tell our guests what to bring";
const DESCRIPTION: &str = "One short page that guests read on the phone on the evening before: what to wear, what to \
                           bring, where to come, and what happens when it is windy.";
const REQUEST: &str = "@squad-lead, three guests came in sandals today. Could somebody write down what to bring, please? \
                       It should be ready before the weekend.";

/// The seeded task that Robin remembers when a visitor logs in.
const FORGOTTEN: &str = "Collect what guests ask most often";
const REMINDER: &str =
    "@squad-lead, the telephone rings all morning. Please find somebody to write these down.";

/// The remaining actions.
pub(super) struct Scenes {
    engine: Arc<Engine>,
    account: String,
    /// A visitor has logged in.
    pub(super) visitors: Receiver<()>,
    first: Cue,
    second: Cue,
}

/// Whether and when an action is due.
#[derive(Clone, Copy, PartialEq)]
enum Cue {
    Waits,
    At(Instant),
    Played,
}

impl Cue {
    fn set(&mut self, pause: Duration) {
        if *self == Self::Waits {
            *self = Self::At(Instant::now() + pause);
        }
    }

    fn due(self) -> Option<Instant> {
        match self {
            Self::At(due) => Some(due),
            Self::Waits | Self::Played => None,
        }
    }

    /// Returns once that the action is due.
    fn take(&mut self) -> bool {
        let now = self.due().is_some_and(|due| due <= Instant::now());
        if now {
            *self = Self::Played;
        }
        now
    }
}

impl Scenes {
    pub(super) fn new(board: &Board, visitors: Receiver<()>) -> Self {
        Self {
            engine: board.engine.clone(),
            account: board.account.clone(),
            visitors,
            first: Cue::Waits,
            second: Cue::Waits,
        }
    }

    /// Schedules the first action: the runtime has started.
    pub(super) fn begin(&mut self) {
        self.first.set(START_PAUSE);
    }

    /// Schedules the second action: a visitor has logged in. Before the first action there is enough to see.
    pub(super) fn welcome(&mut self) {
        if self.first == Cue::Played {
            self.second.set(LOGIN_PAUSE);
        }
    }

    /// When the next action is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.first.due().into_iter().chain(self.second.due()).min()
    }

    /// Performs the actions that are due.
    pub(super) fn play(&mut self) {
        let played = if self.first.take() {
            self.open()
        } else if self.second.take() {
            self.remember()
        } else {
            return;
        };
        if let Err(why) = played {
            warn!(reason:% = why; "A scene of the demo failed");
        }
    }

    fn open(&self) -> Result<(), String> {
        let task = json!({"title": TITLE, "description": DESCRIPTION, "priority": 2, "labels": ["texts"]});
        let task = self.act(Kind::Mutation, "tasks:create", task)?;
        self.write(&task, REQUEST)?;
        info!(task = TITLE; "Robin asks for a task");
        Ok(())
    }

    fn remember(&self) -> Result<(), String> {
        let board = self.act(Kind::Query, "board:snapshot", json!({}))?;
        let tasks = board["tasks"].as_array().into_iter().flatten();
        // The visitor may have changed or deleted the task.
        let forgotten = |task: &&Value| task["title"] == FORGOTTEN && task["status"] == "inbox";
        let Some(task) = tasks.into_iter().find(forgotten) else { return Ok(()) };
        self.write(&task["_id"], REMINDER)?;
        info!(task = FORGOTTEN; "Robin asks about a forgotten task");
        Ok(())
    }

    fn write(&self, task: &Value, content: &str) -> Result<(), String> {
        self.act(Kind::Mutation, "messages:create", json!({"taskId": task, "content": content})).map(drop)
    }

    /// Calls a function as a person.
    fn act(&self, kind: Kind, path: &str, mut args: Value) -> Result<Value, String> {
        args["accountId"] = json!(self.account);
        let (_, mut answer) = self.engine.call(kind, path, &args, Caller::Person, "robin");
        match answer["status"].as_str() {
            Some("success") => Ok(answer["value"].take()),
            _ => Err(format!(
                "{path}: {}",
                answer["errorMessage"].as_str().unwrap_or("Mission Control gave no reason")
            )),
        }
    }
}
