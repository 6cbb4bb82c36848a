//! Looks up agents by name and sends them requests for a response.
//!
//! Names are looked up in the roster, and in a newly fetched roster if the first does not have them.

use super::settle::Doubt;
use super::trace::{TOO_MUCH, Trace};
use super::{Done, ToolRun};
use mcr_clients::convex::{CallClass, CallError, CallReason};
use mcr_clients::mission::{ListUndelivered, RequestResponses};
use mcr_core::tools::decode::bare;
use mcr_core::tools::{ToolError, ToolErrorKind, ToolOutcome};
use mcr_model::{AgentId, Notification, NotificationId, NotificationType, Roster, TaskId, limits};

use serde_json::json;

/// The most agents that a message lists.
const NAMED: usize = 40;

/// The agents behind a list of names.
pub(super) struct Found {
    /// The ids of known agents, in the given order, each once.
    pub(super) ids: Vec<AgentId>,
    /// Their slugs, as spelled in the roster.
    pub(super) spelled: Vec<String>,
    /// Names that no agent has.
    pub(super) unknown: Vec<String>,
    /// Whether the backend confirmed that these names are unknown.
    sure: bool,
    /// The slugs of all agents, for the error.
    slugs: String,
}

impl Found {
    /// Removes the requesting agent: the backend never asks it.
    fn leave_out(&mut self, agent: &AgentId) {
        if let Some(at) = self.ids.iter().position(|id| id == agent) {
            self.ids.remove(at);
            self.spelled.remove(at);
        }
    }

    /// The result if all names are known. Otherwise an error that starts with `words` and ends with the known slugs.
    fn all(self, field: &'static str, words: &str) -> Result<Self, ToolError> {
        if self.unknown.is_empty() {
            return Ok(self);
        }
        let names = self.unknown.join(", ");
        if self.sure {
            return Err(ToolError::invalid(
                field,
                &format!("{words}: {names}. The agents are: {}", self.slugs),
            ));
        }
        let words = format!(
            "{words}: {names} (not in the last known list; Mission Control is unavailable). Check the names \
             or retry later"
        );
        Err(ToolError { field: Some(field), ..ToolError::new(ToolErrorKind::Unavailable, &words) })
    }
}

/// An agent by slug or by id, since models confuse the two.
fn named(roster: &Roster, name: &str) -> Option<(AgentId, String)> {
    let by_slug = roster.by_slug(name).map(|agent| (agent.id.clone(), name.to_owned()));
    by_slug.or_else(|| roster.agent(&AgentId::new(name)).map(|agent| (agent.id.clone(), agent.slug.clone())))
}

fn find(roster: &Roster, names: &[&str], sure: bool) -> Found {
    let mut found =
        Found { ids: Vec::new(), spelled: Vec::new(), unknown: Vec::new(), sure, slugs: String::new() };
    for name in names {
        match named(roster, name) {
            Some((id, _)) if found.ids.contains(&id) => {}
            Some((id, spelled)) => {
                found.ids.push(id);
                found.spelled.push(spelled);
            }
            None => found.unknown.push((*name).to_owned()),
        }
    }
    let slugs = roster.agents().iter().map(|agent| agent.slug.as_str()).filter(|slug| !slug.is_empty());
    found.slugs = slugs.take(NAMED).collect::<Vec<_>>().join(", ");
    found
}

impl ToolRun<'_> {
    pub(super) fn find(&self, names: &[&str]) -> Found {
        let found = find(self.backend.roster, names, false);
        if found.unknown.is_empty() {
            return found;
        }
        match (self.backend.refresh)() {
            Some(fresh) => find(&fresh, names, true),
            None => found,
        }
    }

    /// The ids of a list of slugs.
    pub(super) fn assignees(&self, slugs: &[String]) -> Result<Vec<AgentId>, ToolError> {
        let names: Vec<&str> = slugs.iter().map(String::as_str).collect();
        Ok(self.find(&names).all("assigneeSlugs", "Unknown assignee slugs")?.ids)
    }

    pub(super) fn one_assignee(&self, slug: &str) -> Result<AgentId, ToolError> {
        self.only(slug, "assigneeSlug", "Unknown assignee slug")
    }

    pub(super) fn one_agent(&self, name: &str) -> Result<AgentId, ToolError> {
        self.only(bare(name), "agentId", "Not found: Target agent does not exist").map_err(
            |error| match error.kind {
                ToolErrorKind::Invalid => ToolError { kind: ToolErrorKind::NotFound, ..error },
                _ => error,
            },
        )
    }

    fn only(&self, name: &str, field: &'static str, words: &str) -> Result<AgentId, ToolError> {
        self.find(&[name]).all(field, words)?.ids.pop().ok_or_else(|| ToolError::invalid(field, words))
    }

    /// The ids of a list that replaces the assigned agents.
    pub(super) fn new_assignees(&self, ids: &[AgentId]) -> Result<Vec<AgentId>, ToolError> {
        let names: Vec<&str> = ids.iter().map(AgentId::as_str).collect();
        Ok(self.find(&names).all("assignedAgentIds", "Invalid agent")?.ids)
    }

    /// Requests responses from other agents. The backend looks the slugs up itself and leaves out the requesting agent.
    pub(super) fn request_responses(
        &self,
        task_id: &TaskId,
        slugs: &[String],
        message: &str,
    ) -> Result<Done, ToolError> {
        let names: Vec<&str> = slugs.iter().map(String::as_str).collect();
        let found = self.find(&names).all("recipientSlugs", "Unknown recipient slugs")?;
        let others = found.ids.iter().filter(|id| *id != self.caller.agent).count();
        if others == 0 {
            let words = "No valid recipients after filtering: you cannot ask yourself. Name another agent";
            return Err(ToolError::invalid("recipientSlugs", words));
        }
        let request = RequestResponses {
            requester_agent_id: self.caller.agent,
            task_id,
            recipient_slugs: &found.spelled,
            message,
        };
        let asked = self.ask(&request)?.notification_ids;
        let left_out = format!("{} of {others}", others - asked.len());
        Ok(requested(&asked, (asked.len() < others).then_some(left_out)))
    }

    /// Looks for the rows of a request. The backend creates them in one transaction, so a single row proves that the
    /// call happened; a recipient without a row had been asked before. Rows of another agent with the same text count
    /// too, because the backend does not ask the same recipient twice.
    pub(super) fn trace_requests(
        &self,
        task_id: &TaskId,
        slugs: &[String],
        message: &str,
        doubt: &Doubt<'_>,
    ) -> Result<Trace, CallError> {
        let names: Vec<&str> = slugs.iter().map(String::as_str).collect();
        let mut found = self.find(&names);
        if !found.unknown.is_empty() && !found.sure {
            let words = "the recipients of a request cannot be looked up now.";
            return Err(CallError::new(CallClass::Transient, CallReason::Unreachable, "", words));
        }
        found.leave_out(self.caller.agent);
        let is_ours = |row: &Notification| {
            row.kind == NotificationType::ResponseRequest
                && row.task_id.as_ref() == Some(task_id)
                && row.body == message
                && row.created_at >= doubt.since
                && found.ids.iter().any(|id| id.as_str() == row.recipient_id)
                && !(doubt.is_known)(row.id.as_str())
        };
        // The list comes first. A row that is delivered in between is then in the second source.
        let limit = limits::UNDELIVERED_ROWS;
        let listed = self.backend.mission.ask(&ListUndelivered { limit })?;
        let is_full = listed.rows.len() + listed.malformed.len() >= limit as usize;
        let (mut asked, mut reached) = (Vec::new(), Vec::new());
        for row in listed.rows.into_iter().chain((doubt.requests)(task_id)).filter(is_ours) {
            if !asked.contains(&row.id) {
                asked.push(row.id);
                reached.push(row.recipient_id);
            }
        }
        Ok(match asked.is_empty() {
            true if is_full => Trace::Unclear(TOO_MUCH.to_owned()),
            true => Trace::Absent,
            false => {
                let recipients = found.ids.iter().zip(&found.spelled);
                let others =
                    recipients.filter(|(id, _)| !reached.iter().any(|reached| reached == id.as_str()));
                let others: Vec<&str> = others.map(|(_, slug)| slug.as_str()).collect();
                Trace::Found(requested(&asked, (!others.is_empty()).then(|| others.join(", "))))
            }
        })
    }
}

/// The result of a request; `left_out` names the recipients for whom the backend created no row.
fn requested(asked: &[NotificationId], left_out: Option<String>) -> Done {
    let message = left_out.map(|left_out| {
        let who = if asked.is_empty() { "No new request was sent" } else { "Not all requests were sent" };
        format!("{who}. Already asked about this task and not answered yet: {left_out}. Wait for the answer")
    });
    let outcome =
        ToolOutcome { message, data: Some(json!({"notificationIds": asked})), ..ToolOutcome::default() };
    let made = asked.iter().map(ToString::to_string).collect();
    Done { may_notify: !asked.is_empty(), made, ..Done::quiet(outcome) }
}
