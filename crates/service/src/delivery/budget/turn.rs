//! The steps of a worker: reserve before a turn, charge after it.

use log::Level;
use log::kv::Value;

use super::super::deps::DeliveryDeps;
use mcr_core::delivery::{Job, Stage, Trouble};
use mcr_core::gateway::{
    Class, GatewayError, Input, ModelCall, Recovered, Reply, Turn, TurnMark, Why, marker,
};
use mcr_core::guardrails::budget::{TurnCost, TurnId, TurnRefusal, estimate};
use mcr_core::work::Work;

/// The id of the job's last request.
fn id_of(job: &Job) -> TurnId {
    TurnId::new(&job.work.id, job.record.requests)
}

fn refused(refusal: &TurnRefusal) -> Trouble {
    Trouble::OverBudget(match refusal {
        TurnRefusal::AtLimit(reached) => reached.explain(),
        TurnRefusal::Reserved => "Running turns may need the rest of a daily budget.".to_owned(),
    })
}

/// Checks before anything is read whether the agent's next turn may start.
pub(in crate::delivery) fn may_start(job: &Job, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    if !deps.budget.is_on() || !job.needs_turn() || job.record.sent.is_some() {
        return Ok(());
    }
    let roster = deps.team.now();
    let agent = roster.agents().iter().find(|agent| agent.id.as_str() == job.work.track.agent);
    let Some(agent) = agent else { return Ok(()) };
    let now = deps.clock.now();
    let checked = deps.budget.read(|spending| spending.check(&agent.slug, now));
    checked.unwrap_or(Ok(())).map_err(|refusal| refused(&refusal))
}

/// Reserves the estimate of a turn. The reservation is on the disk with the next note.
pub(in crate::delivery) fn reserve(
    job: &Job,
    turn: &Turn<'_>,
    deps: &DeliveryDeps<'_>,
) -> Result<(), Trouble> {
    let input = match turn.input {
        Input::Message(text) => text.len(),
        Input::Outputs(outputs) => outputs.iter().map(|output| output.output.len()).sum(),
    };
    let (texts, now) = (estimate(turn.instructions.len() + input), deps.clock.now());
    let reserved = deps.budget.change(|spending| spending.reserve(&id_of(job), turn.agent, texts, now));
    reserved.unwrap_or(Ok(())).map_err(|refusal| refused(&refusal))
}

/// Withdraws the reservation of a turn that was not sent. Call this before the record forgets the request.
pub(in crate::delivery) fn release(job: &Job, deps: &DeliveryDeps<'_>) {
    deps.budget.change(|spending| spending.release(&id_of(job)));
}

/// Charges a turn that has ended. A turn with a lost answer stays open until its outcome is known.
pub(in crate::delivery) fn ended(
    job: &Job,
    turn: &Turn<'_>,
    answer: &Result<Reply, GatewayError>,
    deps: &DeliveryDeps<'_>,
) {
    if !deps.budget.is_on() {
        return;
    }
    let (usage, run, written) = match answer {
        Ok(reply) => (reply.usage, reply.id.as_deref(), Some(written_by(reply))),
        Err(error) if error.class == Class::Lost => return,
        Err(error) if error.class == Class::Closed || error.run.is_none() => {
            return release(job, deps);
        }
        Err(error) => (error.usage, error.run.as_deref(), has_answered(error).then_some(0)),
    };
    let sent = job.record.sent.as_ref();
    let mark = TurnMark {
        marker: &marker::of_message(&job.work.id, job.record.tries),
        outputs: match turn.input {
            Input::Outputs(outputs) => outputs,
            Input::Message(_) => &[],
        },
        run: run.or_else(|| sent.and_then(|sent| sent.run.as_deref())),
        ..TurnMark::default()
    };
    let reported = TurnCost::of(usage);
    // Dollars are only in the session.
    let limits_dollars = deps.budget.read(|spending| spending.budgets().limit_dollars_of(turn.agent));
    let is_whole = !reported.is_missing() && limits_dollars != Some(true);
    let read = || deps.gateway.model_calls(turn.session, turn.agent, &mark);
    settle(job, reported, (!is_whole).then_some(read), written, deps);
}

/// Charges a turn whose lost answer was found, or is certainly lost.
pub(in crate::delivery) fn recovered(job: &Job, found: &Recovered, deps: &DeliveryDeps<'_>) {
    let Some(sent) = job.record.sent.as_ref().filter(|_| deps.budget.is_on()) else { return };
    let (usage, written) = match found {
        Recovered::Running(_) => return,
        Recovered::Answered(reply)
        | Recovered::Calls(reply)
        | Recovered::Elsewhere(reply)
        | Recovered::ToolsMissing(reply) => (reply.usage, Some(written_by(reply))),
        Recovered::Silent | Recovered::Cut | Recovered::Unknown => (None, Some(0)),
        Recovered::Failed { .. } | Recovered::Absent { .. } => (None, None),
    };
    let mark = TurnMark {
        marker: &marker::of_message(&job.work.id, sent.attempt),
        outputs: match &job.record.stage {
            Stage::Working(work) => &work.outputs,
            _ => &[],
        },
        run: sent.run.as_deref(),
        ..TurnMark::default()
    };
    let read = || deps.gateway.model_calls(&sent.session, &sent.agent, &mark);
    // The session also shows what an earlier run of the turn has used.
    settle(job, TurnCost::of(usage), Some(read), written, deps);
}

/// Charges all open turns of a delivery that has ended.
pub(in crate::delivery) fn closed(work: &Work, deps: &DeliveryDeps<'_>) {
    deps.budget.change(|spending| spending.settle_all(|id| id.is_of(&work.id)));
}

/// Charges the last request, by what the gateway's answer reports or by what the session shows (`read`).
fn settle(
    job: &Job,
    reported: TurnCost,
    read: Option<impl FnOnce() -> Result<Option<Vec<ModelCall>>, GatewayError>>,
    written: Option<u64>,
    deps: &DeliveryDeps<'_>,
) {
    let mut cost = reported;
    match read.map(|read| read()) {
        Some(Ok(Some(calls))) => {
            let shown = TurnCost(calls);
            if shown.tokens() >= cost.tokens() {
                cost = shown;
            }
        }
        Some(Err(error)) => {
            let error = ("error", Value::from_display(&error));
            deps.log(Level::Debug, job, "The usage of a turn cannot be read", &[error]);
        }
        Some(Ok(None)) | None => {}
    }
    deps.budget.change(|spending| spending.settle(&id_of(job), &cost, written));
}

/// The estimated tokens of an answer.
fn written_by(reply: &Reply) -> u64 {
    let calls = reply.calls.iter().map(|call| call.name.len() + call.arguments.len());
    let text = reply.text.as_ref().map_or(0, String::len);
    estimate(text + calls.sum::<usize>()).tokens
}

/// Whether a model may have answered in a failed turn. A provider that refuses or fails has not.
fn has_answered(error: &GatewayError) -> bool {
    !matches!(error.why, Why::ProviderRefused | Why::ProviderRejected | Why::ProviderTrouble)
}
