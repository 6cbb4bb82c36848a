//! Undelivered notifications, and the progress of their delivery (backend-contract §2.7, §2.9–2.11, §2.14, §5.1).

use serde::Deserialize;
use serde_json::json;

use crate::Refusal;
use crate::answer::ensure;
use crate::call::{Answer, Call, value};
use crate::function::{ACCOUNT, DataAccess, Function, Guard, Kind, TOKEN, done};
use crate::number;
use crate::rows::{Agent, Notification, Task};
use crate::rules::mentions::is_space;
use crate::rules::{flags, limit, notify, reach};
use crate::store::{Doc, Id, Table, UNDELIVERED};
use crate::validate::{Arg, Is, may, need};
use mcr_model::limits;

/// The notification that is meant.
const NOTIFICATION: Arg = need("notificationId", Is::Id(Table::Notifications));

/// A function for one step of a delivery.
const fn step(path: &'static str, run: fn(&Call<'_>) -> Answer) -> Function {
    let (kind, guard, access) = (Kind::Action, Guard::ServiceToken, DataAccess::Writes);
    Function { path, kind, guard, access, args: &[ACCOUNT, TOKEN, NOTIFICATION], run }
}

/// The functions of this file.
pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        path: "service/actions:listUndeliveredNotifications",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Reads,
        args: &[ACCOUNT, TOKEN, may("limit", Is::Number)],
        run: list_undelivered,
    },
    step("service/actions:markNotificationRead", mark_read),
    step("service/actions:markNotificationDelivered", mark_delivered),
    step("service/actions:markNotificationDeliveryEnded", mark_delivery_ended),
    Function {
        path: "service/actions:createResponseRequestNotifications",
        kind: Kind::Action,
        guard: Guard::ServiceToken,
        access: DataAccess::Writes,
        args: &[
            ACCOUNT,
            TOKEN,
            need("requesterAgentId", Is::Id(Table::Agents)),
            need("taskId", Is::Id(Table::Tasks)),
            need("recipientSlugs", Is::List(&Is::Text)),
            need("message", Is::Text),
        ],
        run: create_response_requests,
    },
];

#[derive(Deserialize)]
struct ServiceListingArgs {
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
}

/// §2.7: all undelivered notifications, including those in progress and failed ones, oldest first.
fn list_undelivered(call: &Call<'_>) -> Answer {
    let args: ServiceListingArgs = call.args()?;
    let wanted = args.limit.filter(|limit| limit.is_finite()).unwrap_or(100.0);
    let limit = limit::take(limit::clamp(wanted.floor(), 1.0, limits::UNDELIVERED_ROWS.into()))?;
    let key = [Some(call.account_id().as_str()), Some("agent"), None];
    value(&call.tx.find::<Notification>(UNDELIVERED, &key).limit(limit).rows()?)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkArgs {
    notification_id: Id<Notification>,
}

/// Reads the notification, applies `mark`, and writes the row if it changed.
fn mark(call: &Call<'_>, mark: impl FnOnce(&mut Notification)) -> Answer {
    let args: MarkArgs = call.args()?;
    let found = call.tx.get(&args.notification_id)?;
    let own = found.filter(|found: &Doc<Notification>| found.row.account_id == *call.account_id());
    let Some(mut notification) = own else {
        return Err(Refusal::thrown("Not found: Notification does not exist"));
    };
    let before = notification.row.clone();
    mark(&mut notification.row);
    if notification.row != before {
        call.tx.put(&notification)?;
    }
    done()
}

/// §2.9: an attempt begins. The time of the first attempt stays.
fn mark_read(call: &Call<'_>) -> Answer {
    mark(call, |row| {
        row.read_at.get_or_insert_with(|| call.now());
        row.delivery_ended_at = None;
    })
}

/// §2.11.
fn mark_delivered(call: &Call<'_>) -> Answer {
    mark(call, |row| {
        row.delivered_at.get_or_insert_with(|| call.now());
    })
}

/// §2.10: an attempt failed. The notification stays in the list of undelivered ones.
fn mark_delivery_ended(call: &Call<'_>) -> Answer {
    mark(call, |row| {
        if row.delivered_at.is_none() {
            row.delivery_ended_at.get_or_insert_with(|| call.now());
        }
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseRequestArgs {
    requester_agent_id: Id<Agent>,
    task_id: Id<Task>,
    recipient_slugs: Vec<String>,
    message: String,
}

/// §2.14: the response contains only the requests that were created. It can be empty if earlier requests are pending.
fn create_response_requests(call: &Call<'_>) -> Answer {
    let args: ResponseRequestArgs = call.args()?;
    let requester = reach::agent(call, &args.requester_agent_id)?;
    let task = reach::task(call, &args.task_id)?;
    let is_allowed = flags::allows(&call.account.row, &requester.row, "canMentionAgents");
    ensure!(is_allowed, "Forbidden: Agent may not request responses");
    let max = limits::REQUEST_RECIPIENTS;
    ensure!(args.recipient_slugs.len() <= max, "Too many recipients: max {max} allowed per request");
    let text = args.message.trim_matches(is_space);
    ensure!(!text.is_empty(), "Message is required");
    let max = limits::REQUEST_MESSAGE_CHARS;
    ensure!(limits::chars(text) <= max, "Message too long: max {max} characters allowed");

    let recipients = recipients(call, &args.recipient_slugs)?;
    let others: Vec<_> = recipients.into_iter().filter(|agent| agent.id != requester.id).collect();
    ensure!(!others.is_empty(), "No valid recipients after filtering");
    let mut created = Vec::new();
    for agent in others {
        let name = &requester.row.name;
        created.extend(notify::response_request(call.tx, &task, &agent, name, &args.message)?);
    }
    let ids: Vec<_> = created.iter().map(|notification| &notification.id).collect();
    Ok(json!({"notificationIds": ids}))
}

/// The agents with these slugs, without duplicates, in the given order.
fn recipients(call: &Call<'_>, given: &[String]) -> Result<Vec<Doc<Agent>>, Refusal> {
    let mut slugs: Vec<(String, &str)> = Vec::new();
    for spelling in given {
        let slug = spelling.trim_matches(is_space).to_lowercase();
        if !slug.is_empty() && slugs.iter().all(|(known, _)| *known != slug) {
            slugs.push((slug, spelling));
        }
    }
    ensure!(!slugs.is_empty(), "Invalid recipient slugs: none provided");
    let agents = reach::agents(call.tx, call.account_id())?;
    let named = |slug: &str| agents.iter().find(|agent| agent.row.slug.to_lowercase() == slug);
    let unknown: Vec<&str> =
        slugs.iter().filter(|(slug, _)| named(slug).is_none()).map(|(_, spelling)| *spelling).collect();
    ensure!(unknown.is_empty(), "Unknown recipient slugs: {}", unknown.join(", "));
    Ok(slugs.iter().filter_map(|(slug, _)| named(slug)).cloned().collect())
}
