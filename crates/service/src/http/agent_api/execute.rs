//! A call on its way to the board: what only looks is made at once, what changes the board once.

use std::time::{Duration, Instant};

use super::AgentApi;
use super::answers::{Refusal, refusal, success};
use super::authenticate::{CallingAgent, stopped};
use crate::delivery::active_delivery::{Making, Turnout};
use crate::tools::run::{Doubt, NotNow, Performed, ToolBackend, perform, settle};
use mcr_core::tools::{ToolError, ToolErrorKind, ToolRequest, render};
use mcr_http::message::Reply;
use mcr_model::TaskId;

/// How often a call is waited for that may still be on its way to the board: once is enough by far.
const WAITS: u32 = 3;

impl AgentApi {
    /// A call that changes nothing.
    pub(super) fn read(
        &self,
        asked: &ToolRequest,
        speaker: &CallingAgent,
        began: Instant,
    ) -> Result<Reply, Refusal> {
        let performed = self.with_backend(|backend| perform(asked, &speaker.caller(), backend));
        output(&performed).map(|output| success(asked.name(), &output, began.elapsed()))
    }

    /// A call that changes the board. While its agent is at work on a delivery it belongs to that, and is answered from
    /// its record where it was made before.
    pub(super) fn make(
        &self,
        asked: &ToolRequest,
        speaker: &CallingAgent,
        name: Option<&str>,
        began: Instant,
    ) -> Result<Reply, Refusal> {
        let turnout = match &speaker.held {
            Some(held) => held.begin(asked, name, self.setup.calls_max, self.handle()),
            None => Turnout::Over,
        };
        let output = match turnout {
            Turnout::Known(output) => output,
            Turnout::TooMany(most) => {
                let words = format!(
                    "Not run: you have made {most} calls that change something, which is the limit for one \
                     delivery. Answer now with what you have."
                );
                return Err(refusal(&ToolError::new(ToolErrorKind::Throttled, &words)));
            }
            Turnout::NotNoted(why) => {
                let words = format!("Not run: it could not be written down before ({why}). Try again later");
                return Err(Refusal::later(503, words, Duration::from_secs(10)));
            }
            Turnout::Stopped => return Err(stopped()),
            Turnout::Make(making) => self.once(asked, speaker, making)?,
            Turnout::Over => {
                let performed = self.with_backend(|backend| perform(asked, &speaker.caller(), backend));
                self.spread(&performed);
                output(&performed)?
            }
        };
        Ok(success(asked.name(), &output, began.elapsed()))
    }

    /// Makes it, or finds out what became of it where it may have been made.
    fn once(
        &self,
        asked: &ToolRequest,
        speaker: &CallingAgent,
        mut making: Making<'_>,
    ) -> Result<String, Refusal> {
        let caller = speaker.caller();
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
                // It stays noted as begun: whoever asks again is told what became of it.
                Err(not_now) => {
                    if matches!(not_now, NotNow::LostAgain(_)) {
                        making.is_lost();
                    }
                    return Err(unsettled(asked, &not_now));
                }
            };
        };
        self.spread(&performed);
        let output = output(&performed);
        match &output {
            Ok(output) => making.carried_out(output, performed.made.clone()),
            Err(_) => making.came_to_nothing(),
        }
        output
    }

    /// What others have to know of it.
    fn spread(&self, performed: &Performed) {
        for id in &performed.made {
            self.setup.made.add(id.clone());
        }
        if performed.stirs {
            (self.setup.stir)();
        }
    }

    fn with_backend<T>(&self, work: impl FnOnce(&ToolBackend<'_>) -> T) -> T {
        let roster = self.setup.team.now();
        let refresh = || self.setup.team.fetch(&self.setup.mission).ok();
        work(&ToolBackend { mission: &self.setup.mission, roster: &roster, refresh: &refresh })
    }
}

/// The result object as text, if it went well.
fn output(performed: &Performed) -> Result<String, Refusal> {
    match &performed.result {
        Ok(outcome) => Ok(render(Ok(outcome))),
        Err(error) => Err(refusal(error)),
    }
}

fn unsettled(asked: &ToolRequest, not_now: &NotNow) -> Refusal {
    let why = match not_now {
        NotNow::Away(error) | NotNow::LostAgain(error) => error.why.explain(),
        NotNow::Early(_) => "it may still be on its way",
    };
    let words = format!(
        "It is not known yet whether {} happened: its answer was lost, and {why}. Make the same call again: it is not \
         carried out twice",
        asked.name()
    );
    Refusal::later(502, words, Duration::from_secs(5))
}
