//! The writing calls that an agent makes over HTTP, one at a time.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ActiveDelivery, JournalHandle};
use mcr_core::delivery::UnknownFields;
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::journal::{JournalError, Step};
use mcr_core::delivery::tool_log::{Before, Intent, ToolLog, digest_of};
use mcr_core::digest::half_digest;
use mcr_core::tools::{ToolName, ToolRequest};
use mcr_core::work::Work;
use mcr_model::clock::Millis;

/// What to do with a writing call.
pub enum CallAdmission<'a> {
    /// The call ran before, with this result.
    Known(String),
    /// The call must run, or be settled if it may have run before.
    Make(Making<'a>),
    /// The delivery has reached this limit of calls.
    TooMany(u32),
    /// The call cannot be recorded before it runs, for this reason. A crash could run it twice, so it does not run.
    NotNoted(String),
    /// A person stopped the work on the task.
    Stopped,
    /// The delivery has ended; the call belongs to no delivery.
    Over,
}

/// The only running writing call of a delivery.
pub struct Making<'a> {
    held: &'a ActiveDelivery,
    handle: JournalHandle<'a>,
    intent: Intent,
    tool: ToolName,
    /// Whether the call started before, so that it may have run.
    pub again: bool,
    _alone: MutexGuard<'a, ()>,
}

impl ActiveDelivery {
    /// Starts a writing call, after the one before it. `name` is the agent's idempotency key. A call that must run is
    /// on the disk as started when this returns.
    pub fn begin<'a>(
        &'a self,
        request: &ToolRequest,
        name: Option<&str>,
        calls_max: u32,
        handle: JournalHandle<'a>,
    ) -> CallAdmission<'a> {
        let alone = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        // The agent of a stopped delivery may continue to call until the delivery ends.
        if self.is_stopped() {
            return CallAdmission::Stopped;
        }
        if self.is_over() {
            return CallAdmission::Over;
        }
        let name = name.map(half_digest);
        let mut inside = self.lock();
        let since = inside.asked.since;
        let (call, at, extra) = (digest_of(request), handle.clock.now(), UnknownFields::default());
        let mut intent = Intent { call, name, since, at, extra };
        let effects = &mut inside.tool_log;
        let again = match effects.begin(intent.clone()) {
            Before::Done(output) => return CallAdmission::Known(output),
            Before::Begun(before) => {
                intent = before;
                true
            }
            Before::Nothing if effects.count() > calls_max as usize => {
                effects.had_no_effect(&intent);
                return CallAdmission::TooMany(calls_max);
            }
            Before::Nothing => false,
        };
        drop(inside);
        let making = Making { held: self, handle, intent, tool: request.name(), again, _alone: alone };
        // A call that changes the board is recorded before it runs.
        if let (Err(error), false) = (making.noted(Step::ToolIntent), again) {
            self.lock().tool_log.had_no_effect(&making.intent);
            return CallAdmission::NotNoted(error.to_string());
        }
        CallAdmission::Make(making)
    }
}

impl Making<'_> {
    /// The newest time of the backend's clock that was known before the call started.
    pub fn since(&self) -> Millis {
        self.intent.since
    }

    /// The time since the call started, or since its answer was lost.
    pub fn age(&self) -> Duration {
        self.handle.clock.now().since(self.intent.at)
    }

    /// The work of the delivery.
    pub fn work(&self) -> Arc<Work> {
        self.held.work()
    }

    /// Whether the same delivery created the row with this id.
    pub fn has_made(&self, id: &str) -> bool {
        self.held.has_made(id)
    }

    /// Records that the answer was lost just now; the outcome must be settled.
    pub fn is_lost(&mut self) {
        let now = self.handle.clock.now();
        self.held.lock().tool_log.lost(&self.intent, now);
        self.intent.at = now;
        self.note(Step::ToolIntent);
    }

    /// Records the result, before the agent receives it: after that, the same call again is a new call.
    pub fn carried_out(self, output: &str, made: Vec<String>, acts: Vec<Act>) {
        self.finished(made, acts, |log, intent| log.carried_out(intent, output));
    }

    /// Records that the call certainly had no effect.
    pub fn had_no_effect(self, acts: Vec<Act>) {
        self.finished(Vec::new(), acts, ToolLog::had_no_effect);
    }

    fn finished(self, made: Vec<String>, acts: Vec<Act>, finish: impl FnOnce(&mut ToolLog, &Intent)) {
        let now = self.handle.clock.now();
        let mut inside = self.held.lock();
        let log = &mut inside.tool_log;
        finish(log, &self.intent);
        for id in made {
            log.made(id);
        }
        for act in acts {
            log.act(act.at(now));
        }
        drop(inside);
        self.note(Step::ToolResult);
    }

    fn note(&self, step: Step) {
        self.held.log_failure(self.noted(step));
    }

    fn noted(&self, step: Step) -> Result<(), JournalError> {
        self.held.note_log(Some((step, &format!("{} over HTTP", self.tool))), self.handle)
    }
}
