//! The double of the backend: its rows, the calls of a delivery (backend-contract §2.7–2.15), and the time of each call.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use mission_control_runtime::http::message::{Reply, Request};
use serde::Deserialize;

use super::doubles::{Doubles, State, wall_clock};
use super::observations::Kind;
use super::world::{self, AGENTS, Track};

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    args: Vec<Args<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Args<'a> {
    #[serde(borrow)]
    notification_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source_notification_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    task_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    limit: Option<f64>,
}

const SUCCESS: &str = r#"{"success":true}"#;

pub(crate) fn answer(doubles: &Doubles, request: &Request) -> Reply {
    let Ok(call) = serde_json::from_slice::<Call<'_>>(request.body()) else {
        doubles.state().odd("requests to the backend that are no call");
        return Reply::error(400, "no call");
    };
    let name = call.path.rsplit(':').next().unwrap_or_default();
    let args = call.args.into_iter().next().unwrap_or_default();
    let now = doubles.now();
    let mut state = doubles.state();
    match state.observations.calls.get_mut(name) {
        Some(count) => *count += 1,
        None => _ = state.observations.calls.insert(name.to_owned(), 1),
    }
    let value = match name {
        "listUndeliveredNotifications" => list(&mut state, args.limit),
        "getNotificationForDelivery" => context(&mut state, &args),
        "markNotificationRead" => {
            stamp(&mut state, &args, |state, at| state.rows[at].read = true);
            SUCCESS.to_owned()
        }
        "markNotificationDeliveryEnded" => {
            stamp(&mut state, &args, |state, at| state.rows[at].ended = true);
            state.odd("attempts that failed");
            SUCCESS.to_owned()
        }
        "markNotificationDelivered" => {
            stamp(&mut state, &args, |state, at| settle(state, at, now));
            doubles.tell(&state);
            SUCCESS.to_owned()
        }
        "createMessageFromAgent" => post(&mut state, &args, now),
        "updateTaskStatusFromAgent" => {
            let task = args.task_id.unwrap_or_default();
            let status = args.status.unwrap_or_default();
            format!(
                r#"{{"success":true,"taskId":"{task}","requestedStatus":"{status}","status":"{status}","updatedAt":1765520000000.0,"changed":true}}"#
            )
        }
        "updateRuntimeStatus" | "updateAgentHeartbeat" => SUCCESS.to_owned(),
        "listAgents" => doubles.roster().to_owned(),
        "getOrchestratorAgentId" => r#"{"orchestratorAgentId":null}"#.to_owned(),
        "checkAndClearRestartRequested" => r#"{"restartRequested":false}"#.to_owned(),
        "getPendingUpgrade" => "null".to_owned(),
        other => {
            state.odd(&format!("calls of {other}, which this double does not have"));
            let message = "Could not find public function for this path";
            drop(state);
            return Reply::json(format!(r#"{{"status":"error","errorMessage":"{message}"}}"#).into_bytes());
        }
    };
    drop(state);
    Reply::json([r#"{"status":"success","value":"#, &value, "}"].concat().into_bytes())
}

/// The oldest unsettled rows.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 1 to 500")]
fn list(state: &mut State, limit: Option<f64>) -> String {
    let limit = limit.unwrap_or(100.0).clamp(1.0, 500.0) as usize;
    let settled = |state: &State, at: usize| state.observations.rows[at].delivered > 0;
    while state.settled_up_to < state.rows.len() && settled(state, state.settled_up_to) {
        state.settled_up_to += 1;
    }
    let open = (state.settled_up_to..state.rows.len()).filter(|at| !settled(state, *at)).take(limit);
    let mut list = String::from("[");
    for at in open {
        if list.len() > 1 {
            list.push(',');
        }
        write_row(&mut list, state, at);
    }
    list.push(']');
    state.observations.list_bytes += list.len();
    list
}

fn write_row(text: &mut String, state: &State, at: usize) {
    let row = &state.rows[at];
    text.push_str(&row.text);
    if row.read {
        text.push_str(r#","readAt":1765526400120.0"#);
    }
    if row.ended {
        text.push_str(r#","deliveryEndedAt":1765526400120.0"#);
    }
    text.push('}');
}

/// The position of the row with this id. A row from before the last reset has none.
fn find(state: &State, id: Option<&str>) -> Option<usize> {
    let at = world::number(id?)?.checked_sub(state.first)?;
    (at < state.rows.len()).then_some(at)
}

fn stamp(state: &mut State, args: &Args<'_>, set: impl FnOnce(&mut State, usize)) {
    match find(state, args.notification_id.as_deref()) {
        Some(at) => set(state, at),
        None => state.odd("marks of rows that are not there"),
    }
}

fn settle(state: &mut State, at: usize, now: u64) {
    if state.observations.rows[at].stored == 0 {
        state.odd("rows settled without an answer");
    }
    if state.observations.rows[at].delivered == 0 {
        state.observations.rows[at].delivered = now;
        state.delivered += 1;
    }
}

fn context(state: &mut State, args: &Args<'_>) -> String {
    let Some(at) = find(state, args.notification_id.as_deref()) else {
        state.odd("contexts of rows that are not there");
        return "null".to_owned();
    };
    let (kind, track) = (state.rows[at].kind, state.rows[at].track);
    let known = state.surroundings.entry((kind, track));
    let surroundings = known.or_insert_with(|| world::surroundings(kind, track, wall_clock()).into());
    let surroundings = Arc::clone(surroundings);
    let mut text = String::with_capacity(surroundings.len() + 1024);
    text.push_str(r#"{"notification":"#);
    write_row(&mut text, state, at);
    text.push_str(&surroundings);
    text
}

/// Stores a message, once for each row. The next agent of a chain is notified immediately.
fn post(state: &mut State, args: &Args<'_>, now: u64) -> String {
    let Some(at) = find(state, args.source_notification_id.as_deref()) else {
        state.odd("messages that answer no row");
        return format!(r#"{{"messageId":"{}"}}"#, world::message_id(0));
    };
    let mut id = String::new();
    let _ = write!(id, r#"{{"messageId":"{}"}}"#, world::message_id(2_000_000 + state.first + at));
    if state.observations.rows[at].stored > 0 {
        state.odd("messages posted again");
        return id;
    }
    let (track, hops) = (state.rows[at].track, state.rows[at].hops);
    let session = state.sessions.get(&track).copied().unwrap_or_default();
    let said = args.content.as_deref().unwrap_or_default();
    if !said.contains(&world::reply(session.run)) {
        state.odd("messages that are not what the agent said");
    }
    let entry = &mut state.observations.rows[at];
    (entry.turn, entry.done, entry.stored) = (session.turn, session.done, now);
    if hops > 0 {
        let next = Track { task: track.task, agent: (track.agent + 1) % AGENTS };
        state.add(Kind::Mention, next, hops - 1, now);
    }
    id
}
