//! Who calls, and what it may do: by the delivery that it is at work on, or by the roster and its task as they are now.

use std::sync::Arc;
use std::time::Duration;

use super::answers::{Refusal, refusal};
use super::{AgentApi, SESSION, TOKEN, lock, only};
use crate::delivery::active_delivery::ActiveDelivery;
use crate::tools::run;
use mcr_clients::convex::CallError;
use mcr_clients::mission::{GetOrchestrator, LoadTask};
use mcr_core::delivery::policy;
use mcr_core::tools::table::CallSpec;
use mcr_core::tools::{Caller, ToolErrorKind, ToolName};
use mcr_http::message::Request;
use mcr_model::{AgentId, BehaviorFlags, Roster, Task};
use mcr_store::sessions::Session;

/// How often the roster is read because somebody would be refused by it.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Among so many messages a person's `/stop` is looked for.
const LAST_MESSAGES: u32 = 10;

/// What is told to a key that opens nothing, and to a token that does not belong to it.
const UNKNOWN: &str = "Unknown session key";

/// Who calls.
pub(super) struct CallingAgent {
    pub(super) session: Session,
    pub(super) slug: String,
    /// The task of its session, as it is now.
    pub(super) task: Option<Task>,
    pub(super) flags: BehaviorFlags,
    pub(super) leads: bool,
    pub(super) may_close: bool,
    /// The delivery that it is at work on.
    pub(super) held: Option<Arc<ActiveDelivery>>,
}

impl CallingAgent {
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            agent: &self.session.agent,
            task: self.task.as_ref(),
            flags: self.flags,
            leads: self.leads,
            may_close: self.may_close,
        }
    }
}

impl AgentApi {
    /// The session that the request speaks in.
    pub(super) fn session(&self, request: &Request) -> Result<Session, Refusal> {
        let missing = |name| move || Refusal::new(401, format!("Missing {name} header"));
        let key = only(request, SESSION)?.filter(|key| !key.is_empty()).ok_or_else(missing(SESSION))?;
        // Nothing is told of a key to whoever does not know its token.
        let token = if self.setup.tokens {
            Some(only(request, TOKEN)?.filter(|token| !token.is_empty()).ok_or_else(missing(TOKEN))?)
        } else {
            None
        };
        let mut roster = self.setup.team.now();
        if !roster.agents.is_empty() {
            self.setup.sessions.follow(&roster, self.setup.clock.now());
        }
        let found = self.find(key, &roster);
        if found.is_none() && roster.agents.is_empty() {
            // In the first moment of a process nobody is known yet. Strangers do not make us ask again and again.
            if !self.may_look() {
                let words = "Nobody is known yet: the service is starting";
                return Err(Refusal::later(503, words, Duration::from_secs(1)));
            }
            roster = self.fetch()?;
        }
        let session = found.or_else(|| self.find(key, &roster));
        let shown = |session: &Session| token.is_none_or(|token| session.has_token(token));
        session.filter(shown).ok_or_else(|| {
            let or_its_token = if token.is_some() { ", or its token is wrong" } else { "" };
            Refusal::new(401, format!("{UNKNOWN}{or_its_token}"))
        })
    }

    fn find(&self, key: &str, roster: &Roster) -> Option<Session> {
        self.setup.sessions.find(key, roster, self.setup.clock.now())
    }

    pub(super) fn fetch(&self) -> Result<Arc<Roster>, Refusal> {
        let fetched = self.setup.team.fetch(&self.setup.mission);
        let call = ToolName::GetAgentSkills.row().call();
        let roster = fetched.map_err(|error| away(&error, call))?;
        self.setup.sessions.follow(&roster, self.setup.clock.now());
        Ok(roster)
    }

    /// What it may do, as things stand.
    pub(super) fn speaker(&self, session: Session) -> Result<CallingAgent, Refusal> {
        let held = self.setup.inflight.held(&session.track());
        let mut roster = self.setup.team.now();
        if roster.agent(&session.agent).is_none() {
            roster = self.fetch()?;
        }
        let Some(agent) = roster.agent(&session.agent) else {
            self.setup.sessions.forget(&session);
            return Err(Refusal::new(401, format!("{UNKNOWN}: its agent does not exist any more")));
        };
        let slug = agent.slug.clone();
        if let Some(standing) = held.as_ref().and_then(|held| held.standing()) {
            let (task, flags) = (standing.task, standing.flags);
            let (leads, may_close) = (standing.leads, standing.may_close);
            return Ok(CallingAgent { session, slug, task, flags, leads, may_close, held });
        }
        let task = self.task(&session)?;
        let flags = agent.effective_behavior_flags.unwrap_or_default();
        let (leads, may_close) = (roster.leads(&session.agent), roster.may_close(&session.agent));
        Ok(CallingAgent { session, slug, task, flags, leads, may_close, held })
    }

    /// Whether the roster may be read now because somebody would be refused by it.
    pub(super) fn may_look(&self) -> bool {
        let now = self.setup.clock.now();
        let mut last = lock(&self.looked);
        let may = now.since(*last) >= LOOK_AGAIN;
        if may {
            *last = now;
        }
        may
    }

    /// What the roster grants may have changed since it was read: it is read again before somebody is refused by it, now
    /// and then. Whether that was done.
    pub(super) fn look_again(&self, speaker: &mut CallingAgent) -> bool {
        if speaker.held.as_ref().is_some_and(|held| held.standing().is_some()) {
            return false;
        }
        if !self.may_look() {
            return false;
        }
        let Ok(roster) = self.fetch() else { return false };
        let Some(agent) = roster.agent(&speaker.session.agent) else { return false };
        speaker.flags = agent.effective_behavior_flags.unwrap_or_default();
        speaker.may_close = roster.may_close(&speaker.session.agent);
        true
    }

    /// The task of a session, as it is now. With its task a session is over. Where no delivery of ours is under way, what
    /// calls is the rest of an earlier turn: after a stop it is refused.
    fn task(&self, session: &Session) -> Result<Option<Task>, Refusal> {
        let Some(task_id) = session.task() else { return Ok(None) };
        let over = |why: &str| {
            self.setup.sessions.forget(session);
            Refusal::new(401, format!("{UNKNOWN}: its task {why}"))
        };
        let look = LoadTask { agent_id: &session.agent, task_id, message_limit: Some(LAST_MESSAGES) };
        match self.setup.mission.ask(&look) {
            Ok(loaded) if is_archived(&loaded.task) => Err(over("is archived")),
            Ok(loaded) if policy::is_paused(&loaded.task) || policy::ends_with_stop(&loaded.thread) => {
                Err(stopped())
            }
            Ok(loaded) => Ok(Some(loaded.task)),
            Err(error) => {
                let refused = run::refused(&error, ToolName::TaskLoad.row().call());
                // A backend that hides its reasons refuses what is not there like everything else.
                match refused.kind {
                    ToolErrorKind::NotFound => Err(over("does not exist any more")),
                    ToolErrorKind::Refused => {
                        Err(Refusal::new(401, format!("{UNKNOWN}: its task cannot be read")))
                    }
                    _ => Err(refusal(&refused)),
                }
            }
        }
    }

    /// Whether it leads, asked now.
    pub(super) fn leads(&self, speaker: &CallingAgent, call: CallSpec) -> Result<bool, Refusal> {
        let asked = self.setup.mission.ask(&GetOrchestrator {});
        let leader: Option<AgentId> = asked.map_err(|error| away(&error, call))?.orchestrator_agent_id;
        Ok(leader.as_ref() == Some(&speaker.session.agent))
    }
}

/// A person has stopped the work on the task.
pub(super) fn stopped() -> Refusal {
    Refusal::new(409, policy::STOPPED)
}

/// It cannot be found out who calls.
fn away(error: &CallError, call: CallSpec) -> Refusal {
    let refused = run::refused(error, call);
    let status = if refused.late { 504 } else { 502 };
    match refused.kind {
        ToolErrorKind::Throttled => refusal(&refused),
        _ => Refusal::later(
            status,
            format!(
                "Mission Control cannot be asked who may call ({}). Nothing was done; try again later",
                error.why.explain()
            ),
            refused.not_before.unwrap_or(Duration::from_secs(5)),
        ),
    }
}

/// No status follows it, and its sessions are closed; the talk with the orchestrator is not work, and goes on.
fn is_archived(task: &Task) -> bool {
    task.status == mcr_model::TaskStatus::Archived && !task.is_orchestrator_chat()
}
