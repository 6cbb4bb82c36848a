//! Accepts an event for an agent: the event is in the agent's queue and on the disk before the response.

use super::answers::{Refusal, refusal};
use super::authenticate::CallingAgent;
use super::{AgentApi, SESSION, only};
use crate::http::health::{AgentBeats, BeatCounts, HeartbeatHealth};
use mcr_core::heartbeat::session::Naming;
use mcr_core::heartbeat::wake::{self, WakeCaller};
use mcr_core::heartbeat::wake_body::{WakeBody, answer};
use mcr_core::tools::ToolError;
use mcr_http::message::{Reply, Request};
use mcr_model::Roster;

impl AgentApi {
    /// Accepts the event if the caller may address its recipient.
    pub(super) fn accept_event(
        &self,
        ask: &WakeBody,
        calling: &CallingAgent,
        request: &Request,
    ) -> Result<Reply, Refusal> {
        let session = only(request, SESSION)?.unwrap_or_default();
        let caller = WakeCaller { slug: &calling.slug, session, leads: calling.leads };
        let refuse = |why: wake::WakeRefusal| refusal(&ToolError::from(why));
        let whose = |roster: &Roster| ask.whose(caller, &|slug| roster.by_slug(slug).is_some());
        let mut roster = self.setup.team.now();
        if whose(&roster) == Err(wake::WakeRefusal::UnknownAgent) && self.may_look() {
            roster = self.fetch()?;
        }
        whose(&roster).map_err(refuse)?;
        self.setup.sessions.uses_events(&calling.session.agent, self.setup.clock.now());
        self.once_named(request, calling, &ask.key(), |name| {
            let setup = &self.setup;
            let usual = Naming { main: Some(&setup.main_session), scope: setup.session_scope };
            let knows = |slug: &str| roster.by_slug(slug).is_some();
            let now = setup.clock.now();
            let wanted = ask.request(name, usual);
            let (taken, kept) = setup.beats.wakes().change(|wakes| {
                let taken = wakes.take(&wanted, caller, &knows, now)?;
                if let Some(agent) = roster.by_slug(&taken.agent) {
                    wakes.set_agent(&taken.agent, &agent.id);
                }
                Ok(taken)
            });
            setup.beats.nudge();
            Ok(Reply::json_of(&answer(&taken.map_err(refuse)?, kept)).no_store())
        })
    }

    /// The figures of heartbeats and waiting events, for `/health`.
    pub fn heartbeat(&self) -> HeartbeatHealth {
        let (beats, wakes) = (&self.setup.beats, self.setup.beats.wakes());
        let figures = wakes.read(wake::WakeQueues::figures);
        HeartbeatHealth {
            running: beats.is_running(),
            mode: beats.rules().map_or("off", |rules| rules.mode.name()),
            scheduled_agents: beats.scheduled(),
            beats: BeatCounts::of(&beats.total()),
            agents: beats.figures().iter().map(AgentBeats::of).collect(),
            checklist_error: beats.checklist_trouble().map(|why| self.setup.redactor.clean(&why)),
            events_waiting: figures.waiting,
            events_taken: figures.taken,
            events_dropped: figures.dropped,
            wakes_asked: figures.asked,
            wakes_due: figures.due,
            events_off: wakes.off().map(|why| self.setup.redactor.clean(&why)),
        }
    }
}
