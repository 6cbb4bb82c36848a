//! The notifications to deliver, and the marks that track their delivery (backend-contract §2.7–2.11, §2.14).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::catalog::GET_DELIVERY_CONTEXT;
use super::{Done, Function, Request, requests};
use mcr_model::{AgentId, DeliveryContext, Notification, NotificationId, TaskId, Team};

/// Lists the oldest unsettled rows, oldest first (§2.7).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListUndelivered {
    /// 1 to 500.
    pub limit: u32,
}

/// Returns everything about one row (§2.8).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDeliveryContext<'a> {
    /// The notification.
    pub notification_id: &'a NotificationId,
}

/// Marks the start of an attempt: the board shows "typing" (§2.9).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead<'a> {
    /// The notification.
    pub notification_id: &'a NotificationId,
}

/// Marks the end of a failed attempt: "typing" ends, the row stays (§2.10).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkDeliveryEnded<'a> {
    /// The notification.
    pub notification_id: &'a NotificationId,
}

/// Marks the row as permanently settled (§2.11).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkDelivered<'a> {
    /// The notification.
    pub notification_id: &'a NotificationId,
}

/// Requests an answer from other agents (§2.14).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestResponses<'a> {
    /// The acting agent.
    pub requester_agent_id: &'a AgentId,
    /// The task in question.
    pub task_id: &'a TaskId,
    /// The agents to ask. The backend does not strip an `@`.
    pub recipient_slugs: &'a [String],
    /// The question.
    pub message: &'a str,
}

/// The answer to [`RequestResponses`]. Empty if every agent was asked before and has not answered yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    /// One for each agent that was asked now.
    pub notification_ids: Vec<NotificationId>,
}

/// The rows, and the errors of those that cannot be read: an unreadable row must not hide the others.
#[derive(Clone, Debug, Default)]
pub struct Undelivered {
    /// Oldest first.
    pub rows: Vec<Notification>,
    /// Why each of the other rows cannot be read.
    pub malformed: Vec<String>,
}

impl<'de> Deserialize<'de> for Undelivered {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut found = Self::default();
        for row in Vec::<&RawValue>::deserialize(from)? {
            match serde_json::from_str(row.get()) {
                Ok(row) => found.rows.push(row),
                Err(why) => found.malformed.push(why.to_string()),
            }
        }
        Ok(found)
    }
}

impl Request for GetDeliveryContext<'_> {
    const FUNCTION: &'static Function = &GET_DELIVERY_CONTEXT;
    /// `None` if the row does not exist or belongs to another account.
    type Answer = Option<DeliveryContext>;
    const LISTS_TEAM: bool = true;

    fn add_team(answer: &mut Self::Answer, team: Team) {
        if let Some(context) = answer {
            context.mentionable_agents = team;
        }
    }
}

requests! {
    ListUndelivered: LIST_UNDELIVERED -> Undelivered;
    MarkRead<'_>: MARK_READ -> Done;
    MarkDeliveryEnded<'_>: MARK_DELIVERY_ENDED -> Done;
    MarkDelivered<'_>: MARK_DELIVERED -> Done;
    RequestResponses<'_>: REQUEST_RESPONSES -> Requested;
}
