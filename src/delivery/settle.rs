//! Settling a turn whose answer was lost: nothing is sent again before the session's history has been read.
//!
//! A turn is noted before it is sent ([`begin`]) and the note is taken back when it is over ([`end`]). Whoever finds a
//! note asks the gateway what became of the turn ([`settle`]): an answer or calls are adopted as if they had come on the
//! usual way; a run that goes on is waited for, which is no failure of anybody; and only what is nowhere to be found is
//! sent again.

use std::time::Duration;

use log::{info, warn};

use super::desk::Desk;
use super::journal::{Step, Wait};
use super::{Job, Record, Sent, Stage, Trouble, Unsettled};
use crate::clock::Millis;
use crate::gateway::history::Running;
use crate::gateway::{Class, GatewayError, Recovered, Reply, TurnMark, Why};
use crate::model::{NotificationId, SessionKey};

/// What stands first in the input, and by what it is found again.
pub(super) fn marker(row: &NotificationId, attempt: u32) -> String {
    format!("[n-{row} try {attempt}]")
}

/// Notes that a turn is sent now.
pub(super) fn begin<'a>(
    sent: &'a mut Option<Sent>,
    session: &SessionKey,
    (agent, attempt): (&str, u32),
    now: Millis,
) -> &'a mut Sent {
    sent.insert(Sent {
        session: session.clone(),
        agent: agent.to_owned(),
        attempt,
        run: None,
        at: now,
        lost: None,
        failed: false,
        spoke: false,
        looked: None,
        grown: None,
    })
}

/// Notes how it ended; a turn whose answer was lost has not.
pub(super) fn end(record: &mut Record, error: Option<&GatewayError>, now: Millis) {
    let Some(sent) = &mut record.sent else { return };
    match error {
        Some(error) if error.class == Class::Lost => {
            sent.run = sent.run.take().or_else(|| error.run.clone());
            sent.lost = Some(now);
            // It says so of itself; everything else is about the way between us.
            sent.failed = error.why == Why::Internal;
            sent.spoke = error.spoke;
        }
        // Nothing was run.
        Some(error) if error.class == Class::Closed => record.sent = None,
        Some(error) => {
            // A run that failed leaves what it was told in the session.
            let left = error.class == Class::Transient && error.run.is_some();
            record.unheard = left.then_some(sent.attempt).or(record.unheard);
            record.send_again();
        }
        None => {
            record.unheard = None;
            record.sent = None;
        }
    }
}

/// What became of the turn that is not settled, if there is one: the reply, if it was answered.
pub(super) fn settle(job: &mut Job, desk: &Desk<'_>) -> Result<Option<Reply>, Trouble> {
    let Some(sent) = &mut job.record.sent else { return Ok(None) };
    let now = desk.clock.now();
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
    let found = desk.gateway.recover(&sent.session, &sent.agent, &mark).map_err(Trouble::Gateway)?;
    let attempt = sent.attempt;
    let row = &job.row.id;
    if !matches!(found, Recovered::Running(_)) {
        desk.inflight.is_known(row);
    }
    let (reply, how) = match found {
        Recovered::Answered(reply) => (reply, "its answer was found in the session's history"),
        Recovered::Calls(reply) => (reply, "its calls were found in the session's history"),
        Recovered::Elsewhere(reply) => (reply, "the gateway had resumed the turn: that answer is taken"),
        Recovered::Silent => (Reply::default(), "the agent had said nothing"),
        Recovered::Running(running) => return Err(wait(sent, running, desk.rules.silence_max, now)),
        Recovered::Absent { marker_seen } => {
            job.record.send_again();
            job.record.unheard = marker_seen.then_some(attempt).or(job.record.unheard);
            return Err(Trouble::Unsettled(Unsettled::Absent));
        }
        Recovered::Failed { why, marker_seen } => {
            job.record.send_again();
            job.record.unheard = marker_seen.then_some(attempt).or(job.record.unheard);
            return Err(Trouble::Gateway(GatewayError::new(Class::Transient, why, None)));
        }
        Recovered::Cut => return Err(Trouble::Unsettled(Unsettled::Cut)),
        Recovered::Unknown => return Err(Trouble::Unsettled(Unsettled::Unknown)),
    };
    info!("{row}: {how}");
    desk.note(job, Step::TurnSettled, how, Wait::Not);
    Ok(Some(reply))
}

/// It is not over: how long to wait, or that it has been too long.
fn wait(sent: &mut Sent, running: Running, silence_max: Duration, now: Millis) -> Trouble {
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
    if now.since(alive) >= silence_max {
        warn!("{} has been quiet for {} s: {}", sent.agent, silence_max.as_secs(), running.why.explain());
        return Trouble::Unsettled(Unsettled::Stuck(running.why));
    }
    Trouble::Unsettled(Unsettled::Waiting { why: running.why, pause: running.again_in })
}
