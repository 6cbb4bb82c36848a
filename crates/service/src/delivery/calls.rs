//! Runs the tool calls of one reply in order. Each writing call is recorded before and after.

use std::time::Instant;

use log::Level;
use log::kv::Value;
use serde_json::json;

use super::deps::{DeliveryDeps, backend_failure};
use super::log_item::millis;
use crate::metrics::Via;
use crate::tools::run::{Doubt, ExecutedCall, GRACE, NotNow, ToolBackend, perform, settle};
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::{Job, Stage, ToolRounds, Trouble, tool_log};
use mcr_core::gateway::{Reply, ToolCall, ToolOutput, marker};
use mcr_core::tools::{self, Caller, Offer, ToolError, ToolErrorKind, ToolName, ToolRequest};
use mcr_model::clock::Millis;
use mcr_model::{SessionKey, TaskId};

/// The longest result that an agent gets: some ten thousand words.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// The calling agent, and the backend that runs its calls.
#[derive(Clone, Copy)]
struct CallContext<'a> {
    caller: &'a Caller<'a>,
    backend: &'a ToolBackend<'a>,
}

/// The next stage after a reply with calls: they run, and then their results go back. The results go to the `session`
/// and the `agent` that the calls came from, even if both have other names by then.
pub(super) fn of(reply: Reply, session: SessionKey, agent: String, before: Stage) -> ToolRounds {
    let before = match before {
        Stage::Working(work) => work,
        Stage::Fresh | Stage::Answered(_) | Stage::Notice(_) | Stage::Ended(_) => ToolRounds::default(),
    };
    ToolRounds {
        whom: before.whom.or(Some((session, agent))),
        pending: reply.calls.into(),
        doubt: None,
        outputs: Vec::new(),
        rounds: before.rounds + 1,
        said: reply.text.or(before.said),
        ..before
    }
}

/// Runs the pending calls.
pub(super) fn make(
    job: &mut Job,
    caller: &Caller<'_>,
    offer: &Offer,
    deps: &DeliveryDeps<'_>,
) -> Result<(), Trouble> {
    let roster = deps.team.now();
    let refresh = || deps.team.fetch(deps.mission).ok();
    let backend = ToolBackend { mission: deps.mission, roster: &roster, refresh: &refresh };
    let context = CallContext { caller, backend: &backend };
    while let Stage::Working(work) = &mut job.record.stage
        && let Some(call) = work.pending.front().cloned()
    {
        if deps.inflight.is_stopped(&job.work) {
            return Err(Trouble::Stopped);
        }
        let began = Instant::now();
        let refused = |error: &ToolError| {
            deps.metrics.tool(Via::Turn, &call.name, Some(error.kind), began.elapsed());
            tools::render(Err(error))
        };
        let output = match limit(work, deps) {
            Some(why) => {
                log_refused(job, &call, &why, deps);
                refused(&ToolError::new(ToolErrorKind::Throttled, &why))
            }
            None => match understood(work, &call, caller, offer) {
                Err(error) => {
                    log_refused(job, &call, &error.message, deps);
                    deps.acted(job, Act::of_refused_call(&call.name, error.kind).into_iter().collect());
                    refused(&error)
                }
                Ok(request) => one(job, &request, context, deps)?,
            },
        };
        let attempt = job.record.tries;
        if let Stage::Working(work) = &mut job.record.stage {
            let place = (work.rounds, work.outputs.len() + 1);
            done(work, &call, marker::with_result(&job.work.id, attempt, place, &output));
        }
        deps.note(job, Step::ToolResult, &call.name, Wait::Not);
    }
    Ok(())
}

fn log_refused(job: &Job, call: &ToolCall, why: &str, deps: &DeliveryDeps<'_>) {
    let fields = [("tool", Value::from(call.name.as_str())), ("reason", Value::from(why))];
    deps.log(Level::Info, job, "Tool call refused", &fields);
}

/// The request of a call, if the caller's rights allow it. A call that may have run is only settled, so its rights are
/// not checked again.
fn understood(
    work: &ToolRounds,
    call: &ToolCall,
    caller: &Caller<'_>,
    offer: &Offer,
) -> Result<ToolRequest, ToolError> {
    if call.is_incomplete() {
        let words = "Not run: only a part of this call arrived. Call the tool again, as the only call of your reply and with shorter arguments.";
        return Err(ToolError::new(ToolErrorKind::Malformed, words));
    }
    match (work.doubt, call.name.parse()) {
        (Some(_), Ok(tool)) => tools::decode_call(tool, &call.arguments, caller.task.map(|task| &task.id)),
        _ => tools::prepare(call, caller, offer),
    }
}

/// Runs one call. A reading call runs each time; a call that changes the board runs once.
fn one(
    job: &mut Job,
    request: &ToolRequest,
    context: CallContext<'_>,
    deps: &DeliveryDeps<'_>,
) -> Result<String, Trouble> {
    let (tool, began) = (request.name(), Instant::now());
    let name = ("tool", Value::from(tool.as_str()));
    let call = request.writes().then(|| tool_log::digest_of(request));
    let doubt = work(job).and_then(|work| work.doubt);
    if let (None, Some(call)) = (doubt, &call)
        && let Some(output) = deps.with_log(job, |record| record.effects.recall(call))
    {
        deps.log(Level::Info, &*job, "Tool call answered from the record", &[name]);
        acted(job);
        return Ok(output);
    }
    let ran = match doubt {
        Some(since) => settled(job, request, since, context, deps)?,
        None => carried_out(job, request, context, deps)?,
    };
    deps.metrics.tool(Via::Turn, tool.as_str(), ran.error.as_ref().map(|error| error.kind), began.elapsed());
    let outcome = if ran.error.is_none() { "ok" } else { "failed" };
    let mut fields = vec![name, ("duration_ms", millis(began.elapsed())), ("outcome", Value::from(outcome))];
    fields.extend(ran.error.as_ref().map(|error| ("reason", Value::from_display(error))));
    deps.log(Level::Info, &*job, "Tool called", &fields);
    if ran.may_notify {
        (deps.written)();
    }
    for id in ran.made {
        deps.made(job, id);
    }
    deps.acted(job, ran.acts);
    let output = capped(ran.output);
    if ran.ok {
        acted(job);
        deps.inflight.brake().succeeded(&job.work, request);
    }
    if let Some(of_beat) = job.record.beat.as_mut().filter(|_| ran.ok && tool == ToolName::ResponseRequest) {
        of_beat.requests += 1;
    }
    // A call that may have happened must not run again either.
    let unknown = ran.error.is_some_and(|error| error.kind == ToolErrorKind::Unsettled);
    if let Some(call) = call.filter(|_| ran.ok || unknown) {
        deps.with_log(job, |record| record.effects.keep(call, &output));
    }
    Ok(output)
}

/// Runs a call for the first time.
fn carried_out(
    job: &mut Job,
    request: &ToolRequest,
    context: CallContext<'_>,
    deps: &DeliveryDeps<'_>,
) -> Result<ExecutedCall, Trouble> {
    if let Some(work) = work(job) {
        work.calls += 1;
    }
    // A reading call may run again, so it needs no record.
    if request.writes() {
        in_doubt(job, deps.clock.now());
        if let Err(trouble) = deps.must_note(job, Step::ToolIntent, request.name().as_str()) {
            if let Some(work) = work(job) {
                work.calls -= 1;
                work.doubt = None;
            }
            return Err(trouble);
        }
    }
    let performed = perform(request, context.caller, context.backend);
    if !performed.in_doubt {
        return Ok(performed.into());
    }
    let tool = ("tool", Value::from(request.name().as_str()));
    deps.log(Level::Info, &*job, "The answer to a tool call was lost", &[tool]);
    let since = deps.clock.now();
    in_doubt(job, since);
    settled(job, request, since, context, deps)
}

/// Settles a call whose outcome is unknown since then. The call runs if it certainly did not.
fn settled(
    job: &mut Job,
    request: &ToolRequest,
    since: Millis,
    context: CallContext<'_>,
    deps: &DeliveryDeps<'_>,
) -> Result<ExecutedCall, Trouble> {
    let (asked, since_all) = (&*job, job.record.since);
    let is_known = |id: &str| deps.knows(asked, id);
    let requests = |task: &TaskId| deps.made.requests(task);
    let doubt = Doubt { since: since_all, age: deps.age(since), is_known: &is_known, requests: &requests };
    match settle(request, &doubt, context.caller, context.backend) {
        Ok(performed) => Ok(performed.into()),
        Err(NotNow::Away(error)) => Err(backend_failure(*error)),
        Err(NotNow::LostAgain(error)) => {
            in_doubt(job, deps.clock.now());
            Err(backend_failure(*error))
        }
        Err(NotNow::Early(pause)) => {
            // `settle` may have run the call again, so the doubt is as old as the pause implies.
            in_doubt(job, deps.clock.now() - GRACE.saturating_sub(pause));
            Err(Trouble::OnItsWay(pause))
        }
    }
}

fn in_doubt(job: &mut Job, since: Millis) {
    if let Some(work) = work(job) {
        work.doubt = Some(since);
    }
}

fn work(job: &mut Job) -> Option<&mut ToolRounds> {
    match &mut job.record.stage {
        Stage::Working(work) => Some(work),
        Stage::Fresh | Stage::Answered(_) | Stage::Notice(_) | Stage::Ended(_) => None,
    }
}

fn acted(job: &mut Job) {
    if let Some(work) = work(job) {
        work.acted = true;
    }
}

/// The result, cut at its beginning if it is too long for the model, with advice on how to get the rest.
fn capped(output: String) -> String {
    if output.len() <= OUTPUT_BYTES_MAX {
        return output;
    }
    let mut end = OUTPUT_BYTES_MAX;
    while !output.is_char_boundary(end) {
        end -= 1;
    }
    let words = format!(
        "The result has {} bytes; this is its beginning, as text. Request less: a smaller limit or one item \
         at a time.",
        output.len()
    );
    json!({"success": true, "cut": words, "text": output[..end]}).to_string()
}

fn done(work: &mut ToolRounds, call: &ToolCall, output: String) {
    work.doubt = None;
    work.pending.pop_front();
    work.outputs.push(ToolOutput { call_id: call.call_id.clone(), output });
}

/// Why the next call must not run, if it exceeds a limit. A call that has started is always settled.
fn limit(work: &ToolRounds, deps: &DeliveryDeps<'_>) -> Option<String> {
    let (rounds, calls) = (deps.rules.rounds_max, deps.rules.calls_max);
    let limit = if work.doubt.is_some() {
        return None;
    } else if work.rounds > rounds {
        format!("you have had {rounds} rounds of tool calls, which is the limit")
    } else if work.calls >= calls {
        format!("you have made {calls} calls, which is the limit")
    } else {
        return None;
    };
    Some(format!("Not run: {limit} for one delivery. Answer now with what you have."))
}
