//! Recovers a turn whose answer was lost: nothing is sent again before the session's history has been read.
//!
//! A turn is noted before it is sent ([`begin`]) and the note is taken back when it is over ([`end`]). Whoever finds a
//! note asks the gateway what became of the turn ([`settle`]): an answer or calls are adopted as if they had come on the
//! usual way; a run that goes on is waited for, which is no failure of anybody, and ended when it is stuck; and only what is nowhere to
//! be found is sent again.

use std::time::Duration;

use log::{info, warn};

use super::deps::DeliveryDeps;
use mcr_core::delivery::cause::Cause;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::{Job, Record, Sent, Stage, Trouble, UnknownFields, Unsettled};
use mcr_core::gateway::history::{Running, Waiting};
use mcr_core::gateway::{Class, GatewayError, Recovered, Reply, TurnMark, Why};
use mcr_core::work::WorkId;
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// What stands first in the input, and by what it is found again.
pub(super) fn marker(work: &WorkId, attempt: u32) -> String {
    format!("[n-{work} try {attempt}]")
}

/// Notes that a turn is sent now.
pub(super) fn begin<'a>(
    sent: &'a mut Option<Sent>,
    session: &SessionKey,
    agent: &str,
    attempt: u32,
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
        interrupted: false,
        extra: UnknownFields::default(),
    })
}

/// Notes how it ended; a turn whose answer was lost has not.
pub(super) fn end(record: &mut Record, error: Option<&GatewayError>, silent: bool, now: Millis) {
    let Some(sent) = &mut record.sent else { return };
    match error {
        Some(error) if error.class == Class::Lost => {
            sent.run = sent.run.take().or_else(|| error.run.clone());
            sent.lost = Some(now);
            sent.interrupted = error.why == Why::Stopped;
            sent.silent = silent;
            // It says so of itself; everything else is about the way between us.
            sent.failed = error.why == Why::Internal;
            sent.spoke = error.spoke;
        }
        // Nothing was run.
        Some(error) if error.class == Class::Closed => {
            record.sent = None;
            record.requests = record.requests.saturating_sub(1);
            // Results of calls are no new question.
            record.untold += u32::from(!matches!(record.stage, Stage::Working(_)));
        }
        Some(error) => {
            // A run that failed leaves what it was told in the session.
            let left = error.class == Class::Transient && error.run.is_some();
            record.unheard = left.then_some(sent.attempt).or(record.unheard);
            record.send_again();
        }
        None => {
            record.unheard = None;
            record.failures.clear(Cause::LostAnswer);
            record.sent = None;
        }
    }
}

/// What became of the turn that is not settled, if there is one: the reply, if it was answered.
pub(super) fn settle(job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<Option<Reply>, Trouble> {
    let Some(mut found) = look(job, deps)? else { return Ok(None) };
    let (now, silence_max) = (deps.clock.now(), deps.rules.silence_max);
    if let (Recovered::Running(running), Some(sent)) = (&found, &mut job.record.sent)
        && let Some(why) = stuck(sent, running, silence_max, now)
    {
        deps.inflight.is_stuck(&job.work.id, now);
        found = part(job, deps, why)?;
    }
    let (reply, how) = match found {
        Recovered::Running(Running { why, again_in: pause, .. }) => {
            return Err(Trouble::Unsettled(Unsettled::Waiting { why, pause }));
        }
        Recovered::Answered(reply) => (reply, "its answer was found in the session's history"),
        Recovered::Calls(reply) => (reply, "its calls were found in the session's history"),
        Recovered::Elsewhere(reply) => (reply, "the gateway had resumed the turn: that answer is taken"),
        Recovered::Silent => (Reply::default(), "the agent had said nothing"),
        Recovered::Absent { marker_seen } => {
            return Err(come_to_nothing(job, marker_seen, Trouble::Unsettled(Unsettled::Absent), deps));
        }
        Recovered::Failed { why, marker_seen } => {
            let trouble = Trouble::Gateway(GatewayError::new(Class::Transient, why, None));
            return Err(come_to_nothing(job, marker_seen, trouble, deps));
        }
        Recovered::Cut => return Err(Trouble::Unsettled(Unsettled::Cut)),
        Recovered::Unknown => return Err(Trouble::Unsettled(Unsettled::Unknown)),
    };
    deps.inflight.is_known(&job.work.id);
    info!("{}: {how}", job.work.id);
    deps.note(job, Step::TurnSettled, how, Wait::Not);
    Ok(Some(reply))
}

/// It is over without an answer, and may be sent again; but what was stuck twice would be stuck a third time.
fn come_to_nothing(job: &mut Job, marker_seen: bool, trouble: Trouble, deps: &DeliveryDeps<'_>) -> Trouble {
    let Some(sent) = &job.record.sent else { return trouble };
    let (attempt, silent) = (sent.attempt, sent.silent);
    let trouble = match trouble {
        // A gateway that ends a run whose client is gone may write that down.
        Trouble::Unsettled(Unsettled::Absent)
        | Trouble::Gateway(GatewayError { why: Why::Interrupted, .. })
            if sent.interrupted && !silent =>
        {
            Trouble::Unsettled(Unsettled::Interrupted)
        }
        other => other,
    };
    deps.with_log(job, Record::send_again);
    job.record.unheard = marker_seen.then_some(attempt).or(job.record.unheard);
    if silent && job.record.parted.replace(attempt).is_some() {
        return Trouble::Unsettled(Unsettled::StuckAgain);
    }
    trouble
}

/// Asks the gateway what became of the turn that is not settled, if there is one.
fn look(job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<Option<Recovered>, Trouble> {
    // The wall clock may have been set since the turn was sent; it counts only after a restart.
    let sent_ago = deps.inflight.held_of(&job.work).and_then(|held| held.sent_ago());
    let Some(sent) = &mut job.record.sent else { return Ok(None) };
    let lost = *sent.lost.get_or_insert_with(|| deps.clock.now());
    let earlier = job.record.unheard.map(|attempt| marker(&job.work.id, attempt));
    let mark = TurnMark {
        marker: &marker(&job.work.id, sent.attempt),
        earlier: earlier.as_deref(),
        outputs: match &job.record.stage {
            Stage::Working(work) => &work.outputs,
            _ => &[],
        },
        run: sent.run.as_deref(),
        failed: sent.failed,
        spoke: sent.spoke,
        age: sent_ago.unwrap_or_else(|| deps.age(sent.at)),
        lost,
        looked: sent.looked,
    };
    let found = deps.gateway.recover(&sent.session, &sent.agent, &mark).map_err(Trouble::Gateway)?;
    job.gateway_answered = true;
    Ok(Some(found))
}

/// A run that is stuck is ended, and what it came to is looked for once more: it may have answered at the last moment.
/// Without an answer the turn is sent again, once.
fn part(job: &mut Job, deps: &DeliveryDeps<'_>, why: Waiting) -> Result<Recovered, Trouble> {
    let stuck = |unsettled| Err(Trouble::Unsettled(unsettled));
    let may_be_ended = matches!(why, Waiting::GoesOn | Waiting::Resuming);
    let Some(sent) = job.record.sent.as_mut().filter(|_| may_be_ended) else {
        // Nothing runs; what is there cannot be read.
        return stuck(if why == Waiting::Fetching { Unsettled::Cut } else { Unsettled::Stuck(why) });
    };
    sent.silent = true;
    let run = sent.run.as_deref().filter(|_| why == Waiting::GoesOn);
    match deps.gateway.abort(&sent.session, &sent.agent, run) {
        Ok(ended) => {
            let what = if ended { "its run was ended" } else { "no run of it is left" };
            warn!("{}: {what}, for it showed no sign of life", job.work.id);
        }
        Err(error) if error.class == Class::Closed => return Err(Trouble::Gateway(error)),
        Err(error) => {
            warn!("{}: it is stuck and cannot be ended: {error}", job.work.id);
            return stuck(Unsettled::Stuck(why));
        }
    }
    match look(job, deps)? {
        None | Some(Recovered::Running(_)) => Ok(Recovered::Absent { marker_seen: true }),
        Some(found) => Ok(found),
    }
}

/// Nobody waits for the turn any more, for this reason: its run is ended, as far as that is to be had.
pub(super) fn abandon(job: &mut Job, why: &Trouble, deps: &DeliveryDeps<'_>) {
    let Some(sent) = job.record.sent.take() else { return };
    job.record.unheard = Some(sent.attempt);
    match deps.gateway.abort(&sent.session, &sent.agent, sent.run.as_deref()) {
        Ok(ended) => {
            let what = if ended { "its run was ended" } else { "no run of it is left" };
            info!("{}: {what}, because {}", job.work.id, why.in_public());
        }
        Err(error) => {
            warn!("{}: its run cannot be ended ({error}), although {}", job.work.id, why.in_public());
        }
    }
}

/// It is not over; for what it is waited, if that has been too long.
fn stuck(sent: &mut Sent, running: &Running, silence_max: Duration, now: Millis) -> Option<Waiting> {
    if let Some(last) = running.last {
        if sent.looked.is_none() {
            sent.looked = Some(now);
            info!("the answer of {} was lost: {}", sent.agent, running.why.explain());
        }
        if sent.grown.is_none_or(|(before, _)| before != last) {
            sent.grown = Some((last, now));
        }
    }
    let alive = sent.grown.map_or(sent.lost, |(_, at)| Some(at)).unwrap_or(now);
    if now.since(alive) < silence_max {
        return None;
    }
    let secs = silence_max.as_secs();
    warn!("{} has been quiet for {secs} s: {}", sent.agent, running.why.explain());
    Some(running.why)
}
