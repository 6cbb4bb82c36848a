//! The runs of scheduled messages (worker-pool C.10; F.42). The server itself looks for due ones twice a minute.

use serde::Deserialize;
use serde_json::{Value, json};

use super::push_jobs::{YES, plan, unschedule};
use super::queue::{self, NewMessage};
use super::rows::{Payload, PushDispatch, PushJob, Texts};
use super::{AGENT, LIMIT, PoolTimes, USER, bindings, clamped, reads};
use crate::answer::Refusal;
use crate::call::{Answer, Call};
use crate::function::Function;
use crate::number;
use crate::store::{Doc, PUSH_DISPATCH, PUSH_DISPATCHES, PUSH_DISPATCHES_OF, PUSH_JOBS_DUE, StoreError, Tx};
use crate::validate::{Is, may, need};

/// The jobs of one dispatch, by default and at most.
const DISPATCHED: usize = 200;
const DISPATCHED_MAX: usize = 1_000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::worker_mutation(
        "agentFactory:dispatchDuePushJobs",
        &[may("nowMs", Is::Number), LIMIT],
        dispatch_due,
    ),
    Function::pool_query("agentFactory:listPushDispatchesByJob", &[need("jobId", Is::Text), LIMIT], by_job),
    Function::pool_query("agentFactory:listPushDispatchesForAgent", &[USER, AGENT, LIMIT], for_agent),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DispatchArgs {
    #[serde(default, deserialize_with = "number::finite")]
    now_ms: Option<f64>,
    #[serde(default, deserialize_with = "number::optional")]
    limit: Option<f64>,
    #[serde(default)]
    job_id: String,
    #[serde(default)]
    consumer_user_id: String,
    #[serde(default)]
    agent_key: String,
}

fn dispatch_due(call: &Call<'_>) -> Answer {
    let args: DispatchArgs = call.args()?;
    let limit = clamped(args.limit, DISPATCHED, DISPATCHED_MAX);
    dispatch(call.tx, &call.times, args.now_ms.unwrap_or_else(|| call.now()), limit)
}

/// Runs what the server itself dispatches.
pub(super) fn sweep(tx: &Tx<'_>, times: &PoolTimes) -> Result<(), Refusal> {
    dispatch(tx, times, tx.now(), DISPATCHED).map(drop)
}

/// Runs the jobs that are due. Missed times are not caught up: the next run is planned from now. A job without a next run that
/// can be planned (its time zone is unknown, or its schedule) runs no more, and its last run says why.
fn dispatch(tx: &Tx<'_>, times: &PoolTimes, now: f64, limit: usize) -> Answer {
    let due = tx.find::<PushJob>(PUSH_JOBS_DUE, &[Some(YES)]).up_to(now).limit(limit).rows()?;
    let (mut enqueued, mut skipped, mut failed) = (0, 0, 0);
    let scanned = due.len();
    for mut job in due {
        let scheduled_for = job.row.next_run_at.unwrap_or(now);
        let run_key = format!("scheduled:{}:{scheduled_for}", job.id);
        let planned = plan(&mut job.row, now);
        if planned.is_err() {
            unschedule(&mut job.row);
        }
        // A fault of the store is not a fault of the job.
        let (_, refused) = outcome(planned.map(|()| ""))?;
        if exists(tx, &run_key)? {
            skipped += 1;
        } else if let Some(why) = refused {
            let why = format!("The next run cannot be planned: {why}");
            note(tx, &job, &run_key, scheduled_for, job.row.agent_key.clone(), Err(why))?;
            failed += 1;
        } else if run(tx, times, &job, &run_key, "scheduled", scheduled_for)?.row.status == "enqueued" {
            enqueued += 1;
        } else {
            failed += 1;
        }
        (job.row.last_run_at, job.row.last_run_key) = (Some(now), Some(run_key));
        tx.put(&job)?;
    }
    Ok(json!({"scanned": scanned, "enqueued": enqueued, "skipped": skipped, "failed": failed}))
}

fn exists(tx: &Tx<'_>, run_key: &str) -> Result<bool, StoreError> {
    tx.find::<PushDispatch>(PUSH_DISPATCH, &[Some(run_key)]).any(|_| true)
}

/// Runs a job at once. Its schedule does not change.
pub(super) fn run_now(call: &Call<'_>, mut job: Doc<PushJob>) -> Answer {
    let (tx, now) = (call.tx, call.now());
    let run_key = format!("manual:{}:{now}", job.id);
    if exists(tx, &run_key)? {
        return Ok(json!({"status": "skipped", "runKey": run_key, "messageId": null, "error": null}));
    }
    let done = run(tx, &call.times, &job, &run_key, "manual", now)?.row;
    (job.row.last_run_at, job.row.last_run_key) = (Some(now), Some(run_key.clone()));
    tx.put(&job)?;
    Ok(json!({"status": done.status, "runKey": run_key, "messageId": done.message_id, "error": done.error}))
}

/// Queues the message of a job, and notes how that went.
fn run(
    tx: &Tx<'_>,
    times: &PoolTimes,
    job: &Doc<PushJob>,
    run_key: &str,
    mode: &str,
    scheduled_for: f64,
) -> Result<Doc<PushDispatch>, Refusal> {
    let bound = bindings::active(tx, &job.row.consumer_user_id)?;
    let agent_key =
        bound.as_ref().map(|bound| bound.row.agent_key.clone()).or_else(|| job.row.agent_key.clone());
    let mut metadata = Texts::from([
        ("pushJobId".to_owned(), job.id.to_string()),
        ("runKey".to_owned(), run_key.to_owned()),
        ("pushMode".to_owned(), mode.to_owned()),
    ]);
    let has_chat = bound.as_ref().is_some_and(|bound| bound.row.telegram_chat_id.is_some());
    let target = if has_chat { "telegram_chat" } else { "legacy_user" };
    metadata.insert("conversationTargetSource".to_owned(), target.to_owned());
    let user = &job.row.consumer_user_id;
    let queued = match &agent_key {
        None => Err(Refusal::thrown(format!("The user {user} has no active agent"))),
        Some(agent_key) => {
            let payload = match &bound {
                Some(bound) => reads::payload_for(&bound.row, &job.row.text, metadata),
                None => Payload {
                    provider: "system_push".to_owned(),
                    provider_user_id: user.clone(),
                    message_text: job.row.text.clone(),
                    metadata: Some(metadata),
                    ..Payload::default()
                },
            };
            let conversation_id = reads::conversation_id(agent_key, user);
            let new = NewMessage {
                conversation_id: &conversation_id,
                agent_key,
                payload,
                priority: None,
                scheduled_for: None,
                max_attempts: None,
            };
            queue::add(tx, times, new)
        }
    };
    let (message_id, error) = outcome(queued)?;
    let result = error.map_or(Ok(message_id), Err);
    Ok(note(tx, job, run_key, scheduled_for, agent_key, result)?)
}

/// Notes a run of a job, with its message or with the reason why there is none.
fn note(
    tx: &Tx<'_>,
    job: &Doc<PushJob>,
    run_key: &str,
    scheduled_for: f64,
    agent_key: Option<String>,
    result: Result<Option<String>, String>,
) -> Result<Doc<PushDispatch>, StoreError> {
    let status = if result.is_ok() { "enqueued" } else { "failed" };
    let (message_id, error) = result.map_or_else(|why| (None, Some(why)), |id| (id, None));
    tx.insert(PushDispatch {
        run_key: run_key.to_owned(),
        status: status.to_owned(),
        scheduled_for,
        created_at: tx.now(),
        consumer_user_id: job.row.consumer_user_id.clone(),
        job_id: Some(job.id.to_string()),
        broadcast_id: None,
        agent_key,
        message_id,
        error,
    })
}

/// The id of a queued message, or why it was refused. A fault of the store is neither.
pub(super) fn outcome<T: std::fmt::Display>(
    queued: Result<T, Refusal>,
) -> Result<(Option<String>, Option<String>), Refusal> {
    match queued {
        Ok(id) => Ok((Some(id.to_string()), None)),
        Err(Refusal::Store(why)) => Err(why.into()),
        Err(why) => Ok((None, Some(why.to_string()))),
    }
}

fn view(Doc { id, row, .. }: &Doc<PushDispatch>) -> Value {
    json!({
        "_id": id.as_str(),
        "createdAt": row.created_at,
        "error": row.error,
        "jobId": row.job_id,
        "runKey": row.run_key,
        "scheduledFor": row.scheduled_for,
        "status": row.status,
    })
}

fn by_job(call: &Call<'_>) -> Answer {
    let args: DispatchArgs = call.args()?;
    let found = call.tx.find::<PushDispatch>(PUSH_DISPATCHES, &[Some(&args.job_id)]).newest_first();
    Ok(found.limit(clamped(args.limit, 100, 500)).rows()?.iter().map(view).collect())
}

fn for_agent(call: &Call<'_>) -> Answer {
    let args: DispatchArgs = call.args()?;
    let key = [Some(args.consumer_user_id.as_str()), Some(args.agent_key.as_str())];
    let found = call.tx.find::<PushDispatch>(PUSH_DISPATCHES_OF, &key).newest_first();
    Ok(found.limit(clamped(args.limit, 100, 500)).rows()?.iter().map(view).collect())
}
