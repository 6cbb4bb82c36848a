//! What an agent is to hear of: into its queue, and onto the disk before the answer.

use super::answers::{Refusal, refusal};
use super::authenticate::CallingAgent;
use super::{AgentApi, SESSION, only};
use crate::http::health::HeartbeatHealth;
use mcr_core::heartbeat::session::Naming;
use mcr_core::heartbeat::wake::{self, WakeCaller};
use mcr_core::heartbeat::wake_body::{WakeBody, answer};
use mcr_core::tools::ToolError;
use mcr_http::message::{Reply, Request};
use mcr_model::Roster;

impl AgentApi {
    /// Takes it, if this agent may turn to the one that is meant.
    pub(super) fn tell(
        &self,
        ask: &WakeBody,
        speaker: &CallingAgent,
        request: &Request,
    ) -> Result<Reply, Refusal> {
        let session = only(request, SESSION)?.unwrap_or_default();
        let caller = WakeCaller { slug: &speaker.slug, session, leads: speaker.leads };
        let refuse = |why: wake::WakeRefusal| refusal(&ToolError::from(why));
        let whose = |roster: &Roster| ask.whose(caller, &|slug| roster.by_slug(slug).is_some());
        let mut roster = self.setup.team.now();
        if whose(&roster) == Err(wake::WakeRefusal::UnknownAgent) && self.may_look() {
            roster = self.fetch()?;
        }
        whose(&roster).map_err(refuse)?;
        self.once_named(request, speaker, &ask.key(), |name| {
            let setup = &self.setup;
            let usual = Naming { main: Some(&setup.main_session), scope: setup.session_scope };
            let knows = |slug: &str| roster.by_slug(slug).is_some();
            let now = setup.clock.now();
            let wanted = ask.request(name, usual);
            let (taken, kept) = setup.wakes.change(|wakes| wakes.take(&wanted, caller, &knows, now));
            Ok(Reply::json_of(&answer(&taken.map_err(refuse)?, kept)).no_store())
        })
    }

    /// What waits for agents, for `/health`.
    pub fn heartbeat(&self) -> HeartbeatHealth {
        let wakes = &self.setup.wakes;
        let figures = wakes.look(wake::WakeQueues::figures);
        HeartbeatHealth {
            events_waiting: figures.waiting,
            events_taken: figures.taken,
            events_dropped: figures.dropped,
            wakes_asked: figures.asked,
            wakes_due: figures.due,
            events_off: wakes.off().map(|why| self.setup.redactor.clean(&why)),
            ..HeartbeatHealth::default()
        }
    }
}
