//! The notifications to deliver, and what became of them (backend-contract §2.7–2.11, §2.14).

use serde::{Deserialize, Serialize};

use super::{Done, Function, Request, catalog};
use crate::model::{AgentId, DeliveryContext, Notification, NotificationId, TaskId};

/// The oldest rows that are not settled, oldest first (§2.7).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListUndelivered {
    /// 1 to 500.
    pub limit: u32,
}

impl Request for ListUndelivered {
    const FUNCTION: &'static Function = &catalog::LIST_UNDELIVERED;
    type Answer = Vec<Notification>;
}

/// Everything about one row (§2.8).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GetDeliveryContext<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

impl Request for GetDeliveryContext<'_> {
    const FUNCTION: &'static Function = &catalog::GET_DELIVERY_CONTEXT;
    /// None if it does not exist or is another account's.
    type Answer = Option<DeliveryContext>;
}

/// Says that an attempt begins: the board shows "typing" (§2.9).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkRead<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

impl Request for MarkRead<'_> {
    const FUNCTION: &'static Function = &catalog::MARK_READ;
    type Answer = Done;
}

/// Says that an attempt failed: typing ends, the row stays (§2.10).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkDeliveryEnded<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

impl Request for MarkDeliveryEnded<'_> {
    const FUNCTION: &'static Function = &catalog::MARK_DELIVERY_ENDED;
    type Answer = Done;
}

/// Says that the row is settled for good (§2.11).
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkDelivered<'a> {
    /// Which.
    pub notification_id: &'a NotificationId,
}

impl Request for MarkDelivered<'_> {
    const FUNCTION: &'static Function = &catalog::MARK_DELIVERED;
    type Answer = Done;
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

impl Request for RequestResponses<'_> {
    const FUNCTION: &'static Function = &catalog::REQUEST_RESPONSES;
    type Answer = Requested;
}
