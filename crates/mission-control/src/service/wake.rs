//! The wake query (backend-contract §2.37): a small value that changes whenever an agent has a new notification.

use serde_json::json;

use crate::call::{Answer, Call};
use crate::function::{ACCOUNT, DataAccess, Function, Guard, Kind, TOKEN};
use crate::rows::Notification;
use crate::store::UNDELIVERED;

/// The functions of this file.
pub(crate) const FUNCTIONS: &[Function] = &[Function {
    path: "service/wake:changed",
    kind: Kind::Query,
    guard: Guard::ServiceToken,
    access: DataAccess::Reads,
    args: &[ACCOUNT, TOKEN],
    run: changed,
}];

/// The time of the newest undelivered notification of an agent, or 0 if there is none. Rows of one millisecond differ only in
/// the platform's creation time. A row that a later message is folded into keeps that, and gets a new `createdAt`.
fn changed(call: &Call<'_>) -> Answer {
    let key = [Some(call.account_id().as_str()), Some("agent"), None];
    let newest = call.tx.find::<Notification>(UNDELIVERED, &key).newest_first().first()?;
    Ok(json!(newest.map_or(0.0, |newest| newest.row.created_at.max(newest.created))))
}
