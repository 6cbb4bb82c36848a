//! Settling a turn whose answer was lost: nothing is sent again before the session's history has been read.
//!
//! A turn is noted before it is sent ([`begin`]) and the note is taken back when it is over ([`end`]). Whoever finds a
//! note asks the gateway what became of the turn ([`settle`]): an answer or calls are adopted as if they had come on the
//! usual way; a run that goes on is waited for, which is no failure of anybody, and ended when it is stuck; and only what is nowhere to
//! be found is sent again.

use std::time::Duration;

use log::{info, warn};

use super::desk::Desk;
use super::{Job, Record, Sent, Stage, Trouble, Unsettled};
use crate::clock::{Clock as _, Millis, SystemClock};
use crate::gateway::history::{Running, Waiting};
use crate::gateway::{Class, GatewayError, Recovered, Reply, TurnMark, Why};
use crate::model::{Notification, NotificationId, SessionKey};

/// A run that is waited for and shows no sign of life for so long is stuck (openclaw-gateway §11.7).
pub(super) const STUCK: Duration = Duration::from_mins(15);

/// What stands first in the input, and by what it is found again.
pub(super) fn marker(row: &NotificationId, attempt: u32) -> String {
    format!("[n-{row} try {attempt}]")
}

/// Notes that a turn is sent now.
pub(super) fn begin<'a>(
    sent: &'a mut Option<Sent>,
    session: &SessionKey,
    agent: &str,
    attempt: u32,
) -> &'a mut Sent {
    sent.insert(Sent {
        session: session.clone(),
        agent: agent.to_owned(),
        attempt,
        run: None,
        at: SystemClock.now(),
        lost: None,
        failed: false,
        spoke: false,
        looked: None,
        grown: None,
    })
}

/// Notes how it ended; a turn whose answer was lost has not.
pub(super) fn end(record: &mut Record, error: Option<&GatewayError>) {
    let Some(sent) = &mut record.sent else { return };
    match error {
        Some(error) if error.class == Class::Lost => {
            sent.run = sent.run.take().or_else(|| error.run.clone());
            sent.lost = Some(SystemClock.now());
            // It says so of itself; everything else is about the way between us.
            sent.failed = error.why == Why::Internal;
            sent.spoke = error.spoke;
            return;
        }
        // A run that failed leaves what it was told in the session.
        Some(error) if error.class == Class::Transient && error.run.is_some() => {
            record.unheard = Some(sent.attempt);
        }
        Some(_) => {}
        None => record.unheard = None,
    }
    record.sent = None;
}

/// What became of the turn that is not settled, if there is one: the reply, if it was answered.
pub(super) fn settle(job: &mut Job, desk: &Desk<'_>) -> Result<Option<Reply>, Trouble> {
    let now = SystemClock.now();
    let Some(mut found) = look(job, desk, now)? else { return Ok(None) };
    if let (Recovered::Running(running), Some(sent)) = (&found, &mut job.record.sent)
        && let Some(why) = stuck(sent, running, now)
    {
        found = part(job, desk, why)?;
    }
    let Job { row: Notification { id: row, .. }, record, .. } = job;
    let Some(sent) = &mut record.sent else { return Ok(None) };
    let attempt = sent.attempt;
    let (reply, how) = match found {
        Recovered::Answered(reply) => (reply, "its answer was found in the session's history"),
        Recovered::Calls(reply) => (reply, "its calls were found in the session's history"),
        Recovered::Elsewhere(reply) => (reply, "the gateway had resumed the turn: that answer is taken"),
        Recovered::Silent => (Reply::default(), "the agent had said nothing"),
        Recovered::Running(Running { why, again_in: pause, .. }) => {
            return Err(Trouble::Unsettled(Unsettled::Waiting { why, pause }));
        }
        Recovered::Absent { marker_seen } => {
            record.sent = None;
            record.unheard = marker_seen.then_some(attempt).or(record.unheard);
            return Err(Trouble::Unsettled(Unsettled::Absent));
        }
        Recovered::Failed { why, marker_seen } => {
            record.sent = None;
            record.unheard = marker_seen.then_some(attempt).or(record.unheard);
            return Err(Trouble::Gateway(GatewayError::new(Class::Transient, why, None)));
        }
        Recovered::Cut => return Err(Trouble::Unsettled(Unsettled::Cut)),
        Recovered::Unknown => return Err(Trouble::Unsettled(Unsettled::Unknown)),
    };
    info!("{row}: {how}");
    Ok(Some(reply))
}

/// Asks the gateway what became of the turn that is not settled, if there is one.
fn look(job: &mut Job, desk: &Desk<'_>, now: Millis) -> Result<Option<Recovered>, Trouble> {
    let Some(sent) = &mut job.record.sent else { return Ok(None) };
    let lost = *sent.lost.get_or_insert(now);
    let earlier = job.record.unheard.map(|attempt| marker(&job.row.id, attempt));
    let mark = TurnMark {
        marker: &marker(&job.row.id, sent.attempt),
        earlier: earlier.as_deref(),
        outputs: match &job.record.stage {
            Stage::Working(work) => &work.outputs,
            _ => &[],
        },
        run: sent.run.as_deref(),
        failed: sent.failed,
        spoke: sent.spoke,
        sent: sent.at,
        lost,
        looked: sent.looked,
    };
    desk.gateway.recover(&sent.session, &sent.agent, &mark).map(Some).map_err(Trouble::Gateway)
}

/// A run that is stuck is ended, and what it came to is looked for once more: it may have answered at the last moment.
/// Without an answer the turn is sent again, once: whatever made it stick would make the next ones stick, too.
fn part(job: &mut Job, desk: &Desk<'_>, why: Waiting) -> Result<Recovered, Trouble> {
    let stuck = |unsettled| Err(Trouble::Unsettled(unsettled));
    let may_be_ended = matches!(why, Waiting::GoesOn | Waiting::Resuming);
    let Some(sent) = job.record.sent.as_ref().filter(|_| may_be_ended) else {
        // Nothing runs; what is there cannot be read.
        return stuck(if why == Waiting::Fetching { Unsettled::Cut } else { Unsettled::Stuck(why) });
    };
    let attempt = sent.attempt;
    let run = sent.run.as_deref().filter(|_| why == Waiting::GoesOn);
    match desk.gateway.abort(&sent.session, &sent.agent, run) {
        Ok(ended) => {
            let what = if ended { "its run was ended" } else { "no run of it is left" };
            warn!("{}: {what}, for it showed no sign of life", job.row.id);
        }
        Err(error) if error.class == Class::Closed => return Err(Trouble::Gateway(error)),
        Err(error) => {
            warn!("{}: it is stuck and cannot be ended: {error}", job.row.id);
            return stuck(Unsettled::Stuck(why));
        }
    }
    match look(job, desk, SystemClock.now())? {
        None | Some(Recovered::Running(_) | Recovered::Absent { .. } | Recovered::Failed { .. }) => {}
        Some(found) => return Ok(found),
    }
    if job.record.parted.replace(attempt).is_some_and(|before| before != attempt) {
        return stuck(Unsettled::StuckAgain(why));
    }
    Ok(Recovered::Absent { marker_seen: true })
}

/// It is not over; for what it is waited, if that has been too long.
fn stuck(sent: &mut Sent, running: &Running, now: Millis) -> Option<Waiting> {
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
    if now.since(alive) < STUCK {
        return None;
    }
    let minutes = STUCK.as_secs() / 60;
    warn!("{} has been quiet for {minutes} minutes: {}", sent.agent, running.why.explain());
    Some(running.why)
}
