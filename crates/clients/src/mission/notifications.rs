//! The notifications to deliver, and what became of them (backend-contract §2.7–2.11, §2.14).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Done, requests};
use mcr_model::{AgentId, DeliveryContext, Notification, NotificationId, TaskId};

/// The oldest rows that are not settled, oldest first (§2.7).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListUndelivered {
    /// 1 to 500.
    pub limit: u32,
}

/// Everything about one row (§2.8).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDeliveryContext<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

/// Says that an attempt begins: the board shows "typing" (§2.9).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

/// Says that an attempt failed: typing ends, the row stays (§2.10).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkDeliveryEnded<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

/// Says that the row is settled for good (§2.11).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkDelivered<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

/// Asks other agents for an answer (§2.14).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestResponses<'a> {
    /// Who asks.
    pub requester_agent_id: &'a AgentId,
    /// About what.
    pub task_id: &'a TaskId,
    /// Whom; the backend does not strip an `@`.
    pub recipient_slugs: &'a [String],
    /// What.
    pub message: &'a str,
}

/// What was created; nobody where each was asked already and has not answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requested {
    /// One for each who was asked now.
    pub notification_ids: Vec<NotificationId>,
}

/// The rows, and those among them that make no sense: one of them must not hide the others.
#[derive(Clone, Debug, Default)]
pub struct Undelivered {
    /// Oldest first.
    pub rows: Vec<Notification>,
    /// Why each of the others makes no sense.
    pub spoilt: Vec<String>,
}

impl<'de> Deserialize<'de> for Undelivered {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut found = Self::default();
        for row in Vec::<&RawValue>::deserialize(from)? {
            match serde_json::from_str(row.get()) {
                Ok(row) => found.rows.push(row),
                Err(why) => found.spoilt.push(why.to_string()),
            }
        }
        Ok(found)
    }
}

requests! {
    ListUndelivered: LIST_UNDELIVERED -> Undelivered;
    // None if it does not exist or is another account's.
    GetDeliveryContext<'_>: GET_DELIVERY_CONTEXT -> Option<DeliveryContext>;
    MarkRead<'_>: MARK_READ -> Done;
    MarkDeliveryEnded<'_>: MARK_DELIVERY_ENDED -> Done;
    MarkDelivered<'_>: MARK_DELIVERED -> Done;
    RequestResponses<'_>: REQUEST_RESPONSES -> Requested;
}
