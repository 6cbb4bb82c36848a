//! Identifies the calling agent and its rights.
//!
//! The rights come from the agent's running delivery. Without one, they come from the current roster and task.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answers::{Refusal, refusal};
use super::{AgentApi, SESSION, TOKEN, lock, only};
use crate::delivery::active_delivery::ActiveDelivery;
use crate::http::routes::AgentEndpoint;
use crate::tools::run;
use mcr_clients::convex::CallError;
use mcr_clients::mission::{GetOrchestrator, LoadTask};
use mcr_core::delivery::policy;
use mcr_core::tools::table::CallSpec;
use mcr_core::tools::{Caller, ToolErrorKind, ToolName};
use mcr_http::message::Request;
use mcr_model::clock::Millis;
use mcr_model::{AgentId, BehaviorFlags, Roster, Task};
use mcr_store::sessions::Session;

/// The shortest time between two reads of the roster that refused calls cause.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The shortest time between two reads of the roster that callers without a valid token cause.
const LOOK_FOR_UNKNOWN: Duration = Duration::from_mins(1);

/// The number of latest messages in which a person's `/stop` is looked for.
const LAST_MESSAGES: u32 = 10;

/// The refusal of an unknown key, and of a token that does not belong to its key.
const UNKNOWN: &str = "Unknown session key";

/// The calling agent.
pub(super) struct CallingAgent {
    pub(super) session: Session,
    pub(super) slug: String,
    /// The current task of its session.
    pub(super) task: Option<Task>,
    pub(super) flags: BehaviorFlags,
    pub(super) leads: bool,
    pub(super) may_close: bool,
    /// The running delivery of its session.
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
    /// The session of a request that may call this endpoint, by the request's head alone.
    pub(super) fn admit(&self, endpoint: AgentEndpoint, request: &Request) -> Result<Session, Refusal> {
        if let Some(why) = self.setup.guard.refuses(request) {
            return Err(Refusal::new(403, why));
        }
        let session = self.session(endpoint, request)?;
        let AgentEndpoint::Tool(row) = endpoint else { return Ok(session) };
        let described = session.endpoints && self.setup.inflight.held(&session.track()).is_some();
        if self.setup.access.is_open((self.setup.shows_tools)(), described) {
            return Ok(session);
        }
        Err(Refusal::new(
            403,
            format!(
                "Forbidden: AGENT_API={} closes this endpoint to your session. Call the function tool {} instead",
                self.setup.access.endpoints.name(),
                row.name
            ),
        ))
    }

    /// The session that the request's headers name.
    fn session(&self, endpoint: AgentEndpoint, request: &Request) -> Result<Session, Refusal> {
        let key = only(request, SESSION)?.filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| Refusal::new(401, format!("Missing {SESSION} header")))?;
        let token = only(request, TOKEN)?.filter(|token| !token.is_empty());
        // The response must not reveal whether a key exists to a caller without its token.
        if self.setup.tokens && token.is_none() {
            self.wants_token(endpoint, key);
            return Err(Refusal::new(401, format!("Missing {TOKEN} header. {}", remedy(endpoint))));
        }
        let token = token.filter(|_| self.setup.tokens);
        let mut roster = self.setup.team.now();
        if !roster.is_empty() {
            self.setup.sessions.follow(&roster, self.setup.clock.now());
        }
        let found = self.find(key, &roster);
        if found.is_none() && roster.is_empty() {
            // A new process has no roster yet. Unknown callers must not cause one fetch each.
            if !self.may_look_for_unknown() {
                let words = "The service is starting and has no list of agents yet: retry in a moment";
                return Err(Refusal::later(503, words, Duration::from_secs(1)));
            }
            roster = self.fetch()?;
        }
        let session = found.or_else(|| self.find(key, &roster));
        if session.is_none() && names_unknown_agent(key, &roster) && self.may_look_for_unknown() {
            self.setup.team.request();
        }
        let Some(token) = token else { return session.ok_or_else(|| Refusal::new(401, UNKNOWN)) };
        session.filter(|session| session.has_token(token)).ok_or_else(|| {
            self.wants_token(endpoint, key);
            Refusal::new(401, format!("{UNKNOWN}, or its token is wrong. {}", remedy(endpoint)))
        })
    }

    /// An agent without a valid token wants to leave an event. From now on its briefings state its token.
    fn wants_token(&self, endpoint: AgentEndpoint, key: &str) {
        if let (AgentEndpoint::Tell(_), Some(session)) = (endpoint, self.find(key, &self.setup.team.now())) {
            self.setup.sessions.uses_events(&session.agent, self.setup.clock.now());
        }
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

    /// The calling agent with its current rights.
    pub(super) fn identify(&self, session: Session) -> Result<CallingAgent, Refusal> {
        let held = self.setup.inflight.held(&session.track());
        let mut roster = self.setup.team.now();
        if roster.agent(&session.agent).is_none() {
            roster = self.fetch()?;
        }
        let Some(agent) = roster.agent(&session.agent) else {
            self.setup.sessions.forget(&session);
            return Err(Refusal::new(401, format!("{UNKNOWN}: its agent no longer exists")));
        };
        let slug = agent.slug.clone();
        if let Some(rights) = held.as_ref().and_then(|held| held.rights()) {
            let (task, flags) = (rights.task, rights.flags);
            let (leads, may_close) = (rights.leads, rights.may_close);
            return Ok(CallingAgent { session, slug, task, flags, leads, may_close, held });
        }
        let task = self.task(&session)?;
        let flags = agent.effective_behavior_flags.unwrap_or_default();
        let (leads, may_close) = (roster.leads(&session.agent), roster.may_close(&session.agent));
        Ok(CallingAgent { session, slug, task, flags, leads, may_close, held })
    }

    /// Whether a refused call may cause a read of the roster now; if so, the read counts as done.
    pub(super) fn may_look(&self) -> bool {
        self.has_passed(LOOK_AGAIN, &self.looked)
    }

    /// Whether a caller without a valid token may cause a read of the roster now; if so, the read counts as done.
    fn may_look_for_unknown(&self) -> bool {
        self.has_passed(LOOK_FOR_UNKNOWN, &self.looked_for_unknown)
    }

    /// Whether this time has passed since `last`, which then becomes the current time.
    fn has_passed(&self, span: Duration, last: &Mutex<Millis>) -> bool {
        let now = self.setup.clock.now();
        let mut last = lock(last);
        // A clock that was set back delays nothing by more than this time.
        let has_passed = now < *last || now.since(*last) >= span;
        if has_passed {
            *last = now;
        }
        has_passed
    }

    /// Reads the roster again before an agent is refused, since its rights may have changed. At most one read per
    /// [`LOOK_AGAIN`]; returns whether it was read.
    pub(super) fn look_again(&self, calling: &mut CallingAgent) -> bool {
        if calling.held.as_ref().is_some_and(|held| held.rights().is_some()) {
            return false;
        }
        if !self.may_look() {
            return false;
        }
        let Ok(roster) = self.fetch() else { return false };
        let Some(agent) = roster.agent(&calling.session.agent) else { return false };
        calling.flags = agent.effective_behavior_flags.unwrap_or_default();
        calling.may_close = roster.may_close(&calling.session.agent);
        true
    }

    /// The current task of a session. A session ends with its task. A caller without a running delivery belongs to an
    /// earlier turn: after a stop it is refused.
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
                // A backend that hides its reasons also hides that a task does not exist.
                match refused.kind {
                    ToolErrorKind::NotFound => Err(over("no longer exists")),
                    ToolErrorKind::Refused => {
                        Err(Refusal::new(401, format!("{UNKNOWN}: its task cannot be read")))
                    }
                    _ => Err(refusal(&refused)),
                }
            }
        }
    }

    /// Whether the agent is the orchestrator, read from the backend now.
    pub(super) fn leads(&self, calling: &CallingAgent, call: CallSpec) -> Result<bool, Refusal> {
        let asked = self.setup.mission.ask(&GetOrchestrator {});
        let leader: Option<AgentId> = asked.map_err(|error| away(&error, call))?.orchestrator_agent_id;
        Ok(leader.as_ref() == Some(&calling.session.agent))
    }
}

/// Whether a session key names an agent that the roster does not have (contract §6).
fn names_unknown_agent(key: &str, roster: &Roster) -> bool {
    let mut parts = key.split(':').skip_while(|part| *part != "agent");
    parts.nth(1).is_some_and(|slug| !slug.is_empty() && roster.by_slug(slug).is_none())
}

/// What a caller without a valid token can do. The same for every key, so that it reveals nothing.
fn remedy(endpoint: AgentEndpoint) -> &'static str {
    match endpoint {
        AgentEndpoint::Tool(_) | AgentEndpoint::Bridge => {
            "Send the session key and the token that your current instructions state. If they state none, use your \
             function tools"
        }
        AgentEndpoint::Tell(_) => {
            "Send the session key and the token that your current instructions state. If they state none, your next \
             instructions will"
        }
    }
}

/// The refusal after a person stopped the work on the task.
pub(super) fn stopped() -> Refusal {
    Refusal::new(409, policy::STOPPED)
}

/// The refusal if the backend cannot be asked for the agent's rights.
fn away(error: &CallError, call: CallSpec) -> Refusal {
    let refused = run::refused(error, call);
    let status = if refused.late { 504 } else { 502 };
    match refused.kind {
        ToolErrorKind::Throttled => refusal(&refused),
        _ => Refusal::later(
            status,
            format!(
                "Mission Control is unavailable, so your rights cannot be checked ({}). Nothing was done; \
                 retry later",
                error.why.explain()
            ),
            refused.not_before.unwrap_or(Duration::from_secs(5)),
        ),
    }
}

/// Whether the task's sessions are closed: no status follows `archived`. The chat with the orchestrator is no work
/// and stays open.
fn is_archived(task: &Task) -> bool {
    task.status == mcr_model::TaskStatus::Archived && !task.is_orchestrator_chat()
}
