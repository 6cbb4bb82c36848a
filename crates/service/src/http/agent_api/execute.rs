//! Runs a call. A reading call runs at once. A call that changes the board runs exactly once.

use std::time::{Duration, Instant};

use log::warn;

use super::AgentApi;
use super::answers::{Refusal, refusal, success};
use super::authenticate::{CallingAgent, stopped};
use crate::delivery::active_delivery::{CallAdmission, Making};
use crate::tools::run::{Doubt, NotNow, Performed, ToolBackend, perform, settle};
use mcr_core::delivery::acts::Act;
use mcr_core::tools::{ToolError, ToolErrorKind, ToolRequest, render};
use mcr_http::message::Reply;
use mcr_model::TaskId;

/// How often to wait for a call that may still arrive at the backend. The first wait is normally enough.
const WAITS: u32 = 3;

impl AgentApi {
    /// Runs a reading call.
    pub(super) fn read(
        &self,
        asked: &ToolRequest,
        calling: &CallingAgent,
        began: Instant,
    ) -> Result<Reply, Refusal> {
        let performed = self.with_backend(|backend| perform(asked, &calling.caller(), backend));
        output(&performed).map(|output| success(asked.name(), &output, began.elapsed()))
    }

    /// Runs a call that changes the board. During a delivery of its agent, the call belongs to that delivery. A call
    /// that was made before is answered from the delivery's record.
    pub(super) fn make(
        &self,
        asked: &ToolRequest,
        calling: &CallingAgent,
        name: Option<&str>,
        began: Instant,
    ) -> Result<Reply, Refusal> {
        let turnout = match &calling.held {
            Some(held) => held.begin(asked, name, self.setup.calls_max, self.handle()),
            None => CallAdmission::Over,
        };
        let output = match turnout {
            CallAdmission::Known(output) => output,
            CallAdmission::TooMany(most) => {
                let words = format!(
                    "Not run: you have made {most} calls that change something, which is the limit for one \
                     delivery. Answer now with what you have."
                );
                return Err(refusal(&ToolError::new(ToolErrorKind::Throttled, &words)));
            }
            CallAdmission::NotNoted(why) => {
                let words = format!("Not run: the call could not be recorded first ({why}). Retry later");
                return Err(Refusal::later(503, words, Duration::from_secs(10)));
            }
            CallAdmission::Stopped => return Err(stopped()),
            CallAdmission::Make(making) => self.once(asked, calling, making)?,
            CallAdmission::Over => {
                let performed = self.with_backend(|backend| perform(asked, &calling.caller(), backend));
                self.publish(&performed);
                self.note_loose(&performed.acts, calling);
                output(&performed)?
            }
        };
        Ok(success(asked.name(), &output, began.elapsed()))
    }

    /// Runs the call, or settles its outcome if it may have run before.
    fn once(
        &self,
        asked: &ToolRequest,
        calling: &CallingAgent,
        mut making: Making<'_>,
    ) -> Result<String, Refusal> {
        let caller = calling.caller();
        let mut performed = None;
        if !making.again {
            let first = self.with_backend(|backend| perform(asked, &caller, backend));
            if first.in_doubt {
                making.is_lost();
            } else {
                performed = Some(first);
            }
        }
        let mut waits = 0;
        let performed = loop {
            if let Some(performed) = performed {
                break performed;
            }
            let is_known = |id: &str| making.has_made(id) || self.setup.made.has(id);
            let requests = |task: &TaskId| self.setup.made.requests(task);
            let doubt =
                Doubt { since: making.since(), age: making.age(), is_known: &is_known, requests: &requests };
            performed = match self.with_backend(|backend| settle(asked, &doubt, &caller, backend)) {
                Ok(settled) => Some(settled),
                Err(NotNow::Early(pause)) if waits < WAITS => {
                    waits += 1;
                    (self.setup.wait)(pause);
                    None
                }
                // The record still has the call as started, so the agent's next identical call settles it.
                Err(not_now) => {
                    if matches!(not_now, NotNow::LostAgain(_)) {
                        making.is_lost();
                    }
                    return Err(unsettled(asked, &not_now));
                }
            };
        };
        self.publish(&performed);
        let output = output(&performed);
        match &output {
            Ok(output) => {
                self.setup.inflight.brake().succeeded(&making.work(), asked);
                making.carried_out(output, performed.made.clone(), performed.acts.clone());
            }
            Err(_) => making.had_no_effect(performed.acts.clone()),
        }
        output
    }

    /// Records what a call outside of any delivery has done to tasks.
    pub(super) fn note_loose(&self, acts: &[Act], calling: &CallingAgent) {
        let (caller, now) = (calling.caller(), self.setup.clock.now());
        let own = caller.task.map(|task| &task.id);
        let acts = acts.iter().map(|act| {
            let task = act.task.clone().or_else(|| own.cloned());
            Act { task, ..act.clone().at(now) }
        });
        let acts: Vec<Act> = acts.collect();
        if acts.is_empty() {
            return;
        }
        if let Err(error) = self.setup.journal.acted(caller.agent.as_str(), &acts) {
            warn!(agent:% = caller.agent, error:%; "A call outside of deliveries is not recorded, so evidence does not count it");
        }
    }

    /// Publishes the rows that the call created, and requests a new list if it caused notifications.
    fn publish(&self, performed: &Performed) {
        for id in &performed.made {
            self.setup.made.add(id.clone());
        }
        if performed.may_notify {
            (self.setup.written)();
        }
    }

    fn with_backend<T>(&self, work: impl FnOnce(&ToolBackend<'_>) -> T) -> T {
        let roster = self.setup.team.now();
        let refresh = || self.setup.team.fetch(&self.setup.mission).ok();
        work(&ToolBackend { mission: &self.setup.mission, roster: &roster, refresh: &refresh })
    }
}

/// The result object as text, or the refusal.
fn output(performed: &Performed) -> Result<String, Refusal> {
    match &performed.result {
        Ok(outcome) => Ok(render(Ok(outcome))),
        Err(error) => Err(refusal(error)),
    }
}

fn unsettled(asked: &ToolRequest, not_now: &NotNow) -> Refusal {
    let why = match not_now {
        NotNow::Away(error) | NotNow::LostAgain(error) => error.why.explain(),
        NotNow::Early(_) => "the call may still arrive",
    };
    let words = format!(
        "It is not known yet whether {} happened: its response was lost, and {why}. Repeat the same call: \
         it does not run twice",
        asked.name()
    );
    Refusal::later(502, words, Duration::from_secs(5))
}
