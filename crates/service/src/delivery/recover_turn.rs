//! Recovers a turn whose answer was lost: nothing is sent again before the session's history has been read.
//!
//! A turn is recorded before it is sent ([`begin`]), and the entry is removed when its reply has arrived ([`end`]). An
//! attempt that finds such an entry requests the outcome of the turn from the gateway ([`settle`]):
//!
//! * An answer or calls in the history are adopted as if they had arrived normally.
//! * An answer of a run that the gateway resumed without the turn's tools is no answer: the agent is asked again, with a note.
//! * If the run continues, the delivery waits for it, which counts as no failure. A stuck run is aborted.
//! * Only a turn that is certainly absent is sent again.

use std::slice;

use log::Level;
use log::kv::Value;

use super::budget;
use super::deps::DeliveryDeps;
use mcr_core::delivery::cause::Cause;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::retry;
use mcr_core::delivery::{Job, Record, Sent, Stage, Trouble, UnknownFields, Unsettled};
use mcr_core::gateway::history::{Running, Waiting};
use mcr_core::gateway::{Class, GatewayError, Recovered, Reply, TurnMark, Why, marker};
use mcr_core::work::Work;
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// Why a turn was aborted by a budget.
const ABORTED: &str = "A running turn was aborted, because a daily budget is reached.";

/// Records that a turn is sent now.
pub(super) fn begin<'a>(
    sent: &'a mut Option<Sent>,
    session: &SessionKey,
    agent: &str,
    attempt: u32,
    can_act: bool,
    now: Millis,
) -> &'a mut Sent {
    sent.insert(Sent {
        session: session.clone(),
        agent: agent.to_owned(),
        attempt,
        run: None,
        at: now,
        lost: None,
        silent: false,
        failed: false,
        spoke: false,
        looked: None,
        grown: None,
        without_tools: !can_act,
        interrupted: false,
        extra: UnknownFields::default(),
    })
}

/// Records how a turn ended. A turn whose answer was lost stays recorded as sent.
pub(super) fn end(record: &mut Record, error: Option<&GatewayError>, silent: bool, now: Millis) {
    let Some(sent) = &mut record.sent else { return };
    match error {
        Some(error) if error.class == Class::Lost => {
            sent.run = sent.run.take().or_else(|| error.run.clone());
            sent.lost = Some(now);
            sent.interrupted = error.why == Why::Stopped;
            sent.silent = silent;
            // Only this error is about the run itself; all others are about the connection.
            sent.failed = error.why == Why::Internal;
            sent.spoke = error.spoke;
        }
        // The gateway started no run.
        Some(error) if error.class == Class::Closed => {
            record.sent = None;
            record.requests = record.requests.saturating_sub(1);
            // A request with results of calls is no new question.
            record.not_accepted += u32::from(!matches!(record.stage, Stage::Working(_)));
        }
        Some(error) => {
            // A failed run leaves its input in the session.
            let left = error.class == Class::Transient && error.run.is_some();
            record.unanswered_question = left.then_some(sent.attempt).or(record.unanswered_question);
            record.send_again();
        }
        None => {
            record.unanswered_question = None;
            record.tools_missing = false;
            record.failures.clear(Cause::LostAnswer);
            record.sent = None;
        }
    }
}

/// Settles the turn whose answer was lost, if there is one; returns the reply if it was answered.
pub(super) fn settle(job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<Option<Reply>, Trouble> {
    let Some(mut found) = look(job, deps)? else { return Ok(None) };
    if let Recovered::Running(Running { promised, .. }) = found
        && promised > deps.rules.calls_max
    {
        return Err(Trouble::CallLoop(promised));
    }
    if let (Recovered::Running(running), Some(sent)) = (&found, &mut job.record.sent)
        && let Some(why) = stuck(sent, running, &job.work, deps)
    {
        deps.inflight.is_stuck(&job.work.id, deps.clock.now());
        found = abort_stuck(job, deps, why)?;
    }
    budget::turn::recovered(job, &found, deps);
    let (reply, how) = match found {
        Recovered::Running(Running { why, again_in: pause, .. }) => {
            return Err(Trouble::Unsettled(Unsettled::Waiting { why, pause }));
        }
        Recovered::Answered(reply) => (reply, "its answer was found in the session's history"),
        Recovered::Calls(reply) => (reply, "its calls were found in the session's history"),
        Recovered::ToolsMissing(reply) if may_ask_again(job, deps) => {
            *job.record.spent += reply.usage.unwrap_or_default();
            job.record.tools_missing = true;
            job.record.charged = job.record.sent.as_ref().map(|sent| sent.attempt);
            return Err(failed_turn(job, true, Trouble::Unsettled(Unsettled::ToolsMissing), deps));
        }
        Recovered::ToolsMissing(reply) => (reply, "no run had the turn's tools: the last answer is taken"),
        Recovered::Elsewhere(reply) => (reply, "the gateway had resumed the turn: that answer is taken"),
        Recovered::Silent => (Reply::default(), "the agent had said nothing"),
        Recovered::Absent { marker_seen } => {
            return Err(failed_turn(job, marker_seen, Trouble::Unsettled(Unsettled::Absent), deps));
        }
        Recovered::Failed { why, marker_seen } => {
            let trouble = Trouble::Gateway(GatewayError::new(Class::Transient, why, None));
            return Err(failed_turn(job, marker_seen, trouble, deps));
        }
        Recovered::Cut => return Err(Trouble::Unsettled(Unsettled::Cut)),
        Recovered::Unknown => return Err(Trouble::Unsettled(Unsettled::Unknown)),
    };
    deps.inflight.is_known(&job.work.id);
    deps.log(Level::Info, &*job, "Lost turn settled", &[("found", Value::from(how))]);
    deps.note(job, Step::TurnSettled, how, Wait::Not);
    Ok(Some(reply))
}

/// The failure of a turn that ended without an answer. It may be sent again, unless it was stuck twice: then it would
/// be stuck a third time.
fn failed_turn(job: &mut Job, marker_seen: bool, trouble: Trouble, deps: &DeliveryDeps<'_>) -> Trouble {
    let Some(sent) = &job.record.sent else { return trouble };
    let (attempt, silent) = (sent.attempt, sent.silent);
    let trouble = match trouble {
        // A gateway that ends a run whose client is gone may record the run as interrupted.
        Trouble::Unsettled(Unsettled::Absent)
        | Trouble::Gateway(GatewayError { why: Why::Interrupted, .. })
            if sent.interrupted && !silent =>
        {
            if deps.inflight.is_capped(&job.work.id) {
                Trouble::OverBudget(ABORTED.to_owned())
            } else {
                Trouble::Unsettled(Unsettled::Interrupted)
            }
        }
        other => other,
    };
    deps.with_log(job, Record::send_again);
    job.record.unanswered_question = marker_seen.then_some(attempt).or(job.record.unanswered_question);
    if silent && job.record.parted.replace(attempt).is_some() {
        return Trouble::Unsettled(Unsettled::StuckAgain);
    }
    trouble
}

/// Whether the agent may be asked again after an answer without the turn's tools. If not, that answer is better than none.
fn may_ask_again(job: &Job, deps: &DeliveryDeps<'_>) -> bool {
    let stuck_again = job.record.parted.is_some() && job.record.sent.as_ref().is_some_and(|sent| sent.silent);
    let trouble = Trouble::Unsettled(Unsettled::ToolsMissing);
    !stuck_again && !retry::ends(&job.record, &trouble, &deps.rules.budget)
}

/// Whether the session no longer has the question whose results are due. The model could not make sense of the results, so
/// the next attempt begins with the question. Calls that the agent then repeats have their results from the record.
pub(super) fn is_forgotten(
    job: &mut Job,
    session: &SessionKey,
    agent: &str,
    deps: &DeliveryDeps<'_>,
) -> Result<bool, Trouble> {
    let attempt = job.record.tries;
    let marker = marker::of_message(&job.work.id, attempt);
    let has_question = deps.gateway.has_question(session, agent, &marker).map_err(Trouble::Gateway)?;
    if has_question != Some(false) {
        return Ok(false);
    }
    deps.log(Level::Warn, &*job, "The session no longer has the question: it is sent again", &[]);
    deps.with_log(job, Record::send_again);
    job.record.unanswered_question = Some(attempt);
    job.record.stage = Stage::Fresh;
    Ok(true)
}

/// Requests the outcome of the unsettled turn from the gateway, if there is such a turn.
fn look(job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<Option<Recovered>, Trouble> {
    // The wall clock may have been changed since the turn was sent, so it is used only after a restart.
    let sent_ago = deps.inflight.held_of(&job.work).and_then(|held| held.sent_ago());
    let Some(sent) = &mut job.record.sent else { return Ok(None) };
    let lost = *sent.lost.get_or_insert_with(|| deps.clock.now());
    let earlier = job.record.unanswered_question.map(|attempt| marker::of_message(&job.work.id, attempt));
    let mark = TurnMark {
        marker: &marker::of_message(&job.work.id, sent.attempt),
        earlier: earlier.as_deref(),
        earlier_charged: earlier.is_some() && job.record.charged == job.record.unanswered_question,
        outputs: match &job.record.stage {
            Stage::Working(work) => &work.outputs,
            _ => &[],
        },
        run: sent.run.as_deref(),
        failed: sent.failed,
        spoke: sent.spoke,
        tools: !sent.without_tools,
        age: sent_ago.unwrap_or_else(|| deps.age(sent.at)),
        lost,
        looked: sent.looked,
    };
    let found = deps.gateway.recover(&sent.session, &sent.agent, &mark).map_err(Trouble::Gateway)?;
    // A history that could not be read may mean that nothing answered.
    let unread = matches!(&found, Recovered::Running(running) if running.why == Waiting::Unreadable);
    job.gateway_answered |= !unread;
    Ok(Some(found))
}

/// Aborts a stuck run and reads its outcome again, since it may have answered at the last moment. Without an answer the
/// turn is sent again, once.
fn abort_stuck(job: &mut Job, deps: &DeliveryDeps<'_>, why: Waiting) -> Result<Recovered, Trouble> {
    let stuck = |unsettled| Err(Trouble::Unsettled(unsettled));
    let may_be_ended = matches!(why, Waiting::GoesOn | Waiting::Resuming);
    let Some(sent) = job.record.sent.as_mut().filter(|_| may_be_ended) else {
        // Nothing runs, and the answer cannot be read.
        return stuck(if why == Waiting::Fetching { Unsettled::Cut } else { Unsettled::Stuck(why) });
    };
    sent.silent = true;
    let run = sent.run.as_deref().filter(|_| why == Waiting::GoesOn);
    match deps.gateway.abort(&sent.session, &sent.agent, run) {
        Ok(ended) => {
            deps.log(
                Level::Warn,
                &*job,
                "Abort of a stuck turn requested",
                &[("run_ended", Value::from(ended))],
            );
        }
        Err(error) if error.class == Class::Closed => return Err(Trouble::Gateway(error)),
        Err(error) => {
            let error = ("error", Value::from_display(&error));
            deps.log(Level::Warn, &*job, "Stuck turn cannot be aborted", &[error]);
            return stuck(Unsettled::Stuck(why));
        }
    }
    match look(job, deps)? {
        None | Some(Recovered::Running(_)) => Ok(Recovered::Absent { marker_seen: true }),
        Some(found) => Ok(found),
    }
}

/// Aborts the run of a turn that no worker waits for any more, for this reason. A failure of the abort is only logged.
pub(super) fn abandon(job: &mut Job, why: &Trouble, deps: &DeliveryDeps<'_>) {
    let Some(sent) = job.record.sent.take() else { return };
    job.record.unanswered_question = Some(sent.attempt);
    let reason = ("reason", Value::from(why.in_public()));
    match deps.gateway.abort(&sent.session, &sent.agent, sent.run.as_deref()) {
        Ok(ended) => {
            let fields = [("run_ended", Value::from(ended)), reason];
            deps.log(Level::Info, &*job, "Turn aborted", &fields);
        }
        Err(error) => not_aborted(job, &error, "Turn cannot be aborted", deps),
    }
}

/// Logs that a run was not aborted. The connection of its turn is closed, which ends the run on many releases.
fn not_aborted(job: &Job, error: &GatewayError, sentence: &str, deps: &DeliveryDeps<'_>) {
    let field = ("error", Value::from_display(error));
    if error.why == Why::NotOverSocket && deps.gateway.ends_abandoned_runs() {
        deps.log(Level::Info, job, "The gateway ends the run itself, because its client is gone", &[field]);
    } else {
        deps.log(Level::Warn, job, sentence, &[field]);
    }
}

/// Aborts the run of a turn because a budget is reached. Its outcome is settled like that of a turn that this process
/// interrupted: what the run has used is charged, and it counts as no failure.
pub(super) fn abort_capped(job: &mut Job, deps: &DeliveryDeps<'_>) -> Trouble {
    if let Some(sent) = &mut job.record.sent {
        sent.interrupted = true;
        match deps.gateway.abort(&sent.session, &sent.agent, sent.run.as_deref()) {
            Ok(ended) => {
                let fields = [("run_ended", Value::from(ended))];
                deps.log(Level::Info, &*job, "Abort requested for a turn over budget", &fields);
            }
            Err(error) => not_aborted(job, &error, "Turn over budget cannot be aborted", deps),
        }
    }
    Trouble::OverBudget(ABORTED.to_owned())
}

/// Aborts the run of a job whose lease is lost, and keeps the record of the turn: another claim of the message looks for its
/// answer first, since the run may have answered at the last moment.
pub(super) fn abort_fenced(job: &mut Job, deps: &DeliveryDeps<'_>) {
    let Some(sent) = &mut job.record.sent else { return };
    sent.lost.get_or_insert_with(|| deps.clock.now());
    sent.interrupted = true;
    match deps.gateway.abort(&sent.session, &sent.agent, sent.run.as_deref()) {
        Ok(ended) => {
            let fields = [("run_ended", Value::from(ended))];
            deps.log(Level::Info, &*job, "Turn of a fenced job aborted", &fields);
        }
        Err(error) => not_aborted(job, &error, "Turn of a fenced job cannot be aborted", deps),
    }
}

/// What a running turn waits for, if it has shown no progress for too long.
fn stuck(sent: &mut Sent, running: &Running, work: &Work, deps: &DeliveryDeps<'_>) -> Option<Waiting> {
    let (now, silence_max) = (deps.clock.now(), deps.rules.silence_max);
    let reason = ("reason", Value::from(running.why.explain()));
    if let Some(last) = running.last {
        if sent.looked.is_none() {
            sent.looked = Some(now);
            deps.log(Level::Info, work, "The answer of a turn was lost", slice::from_ref(&reason));
        }
        if sent.grown.is_none_or(|(before, _)| before != last) {
            sent.grown = Some((last, now));
        }
    }
    let alive = sent.grown.map_or(sent.lost, |(_, at)| Some(at)).unwrap_or(now);
    if now.since(alive) < silence_max {
        return None;
    }
    let fields = [("quiet_s", Value::from(silence_max.as_secs())), reason];
    deps.log(Level::Warn, work, "The session of a turn shows no progress", &fields);
    Some(running.why)
}
