//! The steps of a claimed job, read from top to bottom: lease, hydration, turn, append, send, complete.

use std::sync::Arc;
use std::time::Duration;

use log::Level;
use log::kv::Value;

use super::deliver::Steps;
use super::deps::{DeliveryDeps, backend_failure};
use super::reading::Reading;
use super::recover_turn::{self, abort_fenced, settle};
use super::turn_loop::{Question, Terms, talk};
use crate::pool::{
    AnswerDelivery, AnswerState, HeldJob, NotResumed, PoolPort, TypingSigns, fetch_files, warn_of_doubt,
};
use mcr_clients::pool::{Fail, Hydrate};
use mcr_core::delivery::journal::{JournalError, Note, Step, Wait};
use mcr_core::delivery::prompt::Briefing;
use mcr_core::delivery::{End, Job, PendingAnswer, Record, Stage, Trouble, Unsettled};
use mcr_core::gateway::ShownAttempts;
use mcr_core::gateway::history::Running;
use mcr_core::pool::job::{self, JobRefusal};
use mcr_core::pool::lease::FenceReason;
use mcr_core::pool::outbox::{Destination, Outbox, QueueNotes};
use mcr_core::pool::prompt::{JobScene, brief};
use mcr_core::telegram::{self, BotToken};
use mcr_core::tools::Caller;
use mcr_core::work::{Kind, PoolJob};
use mcr_model::{Agent, AgentId, AgentStatus, BehaviorFlags, HydrationBundle, LeaseId, SessionKey, Word};

/// The gateway's agent that answers: a worker's gateway has one agent, its default one.
const GATEWAY_AGENT: &str = "main";

/// The reason of a job whose agent said nothing.
const EMPTY_ANSWER: &str =
    "empty_answer: the agent ended its turn without a text; look at its session at the gateway";

/// The longest reason that the queue gets.
const REASON_CHARS: usize = 1_000;

/// The delivery of a claimed job.
pub(super) struct JobSteps<'a>(pub(super) &'a PoolJob);

impl Steps for JobSteps<'_> {
    fn walk(&mut self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<End, Trouble> {
        let pool = deps.pool.ok_or(Trouble::Broken)?;
        continue_earlier(job, pool);
        let held = match pool.claimed_jobs.hold(self.0, &pool.client) {
            Ok(held) => held,
            Err(NotResumed::Lost) => return Ok(fenced(job, FenceReason::Lost, deps)),
            Err(NotResumed::Call(error)) => return Err(backend_failure(error)),
            Err(NotResumed::Thread(why)) => return Err(Trouble::NotNoted(why.to_string())),
        };
        if let Some(reason) = held.fence() {
            return Ok(fenced(job, reason, deps));
        }
        // What failed because the lease was lost has that as its reason.
        steps(job, &held, pool, deps).or_else(|trouble| match held.fence() {
            Some(reason) => Ok(fenced(job, reason, deps)),
            None => Err(trouble),
        })
    }

    fn attempt_is_over(&mut self, _: &DeliveryDeps<'_>) {}

    /// The queue gets the reason, and decides about another attempt.
    fn notice(&self, _: &Job, _: &End, _: &Trouble, _: &DeliveryDeps<'_>) -> Option<String> {
        None
    }
}

/// Continues where an earlier claim of the same message has stopped.
fn continue_earlier(job: &mut Job, pool: &PoolPort) {
    if job.record.job.is_some() {
        return;
    }
    if let Some(earlier) = pool.claimed_jobs.earlier(&job.work.id) {
        job.record = earlier.claimed_again();
    }
    job.record.job.get_or_insert_default();
}

/// The lease is lost: the run is aborted, and nothing else has an effect any more. The record stays, and another claim of
/// the message continues with it.
fn fenced(job: &mut Job, reason: FenceReason, deps: &DeliveryDeps<'_>) -> End {
    abort_fenced(job, deps);
    let words = format!("the job is fenced: {}", reason.explain());
    deps.log(Level::Warn, &*job, "Job fenced", &[("reason", Value::from(reason.explain()))]);
    let end = End::Missed(words);
    job.record.stage = Stage::Ended(end.clone());
    end
}

fn steps(
    job: &mut Job,
    held: &Arc<HeldJob>,
    pool: &PoolPort,
    deps: &DeliveryDeps<'_>,
) -> Result<End, Trouble> {
    loop {
        if let Stage::Ended(end) = job.record.stage.clone() {
            return report(end, held, pool);
        }
        let claimed = &held.job.claimed;
        let hydrate = Hydrate { message_id: &claimed.message_id, workspace_id: &pool.rules.workspace };
        let bundle = pool.client.ask(&hydrate).map_err(backend_failure)?;
        let found = bundle.ok_or(JobRefusal::NotHydrated);
        let ready = found.and_then(|bundle| {
            let to = job::destination(&bundle, pool.rules.parse_mode)?;
            Ok((bundle, to))
        });
        let (bundle, to) = match ready {
            Ok(ready) => ready,
            Err(refusal) => {
                give_up(job, refusal.explain());
                continue;
            }
        };
        let notes = QueueNotes::read(&bundle);
        if outbox_of(&job.record).is_none() {
            // An answer in the history was appended by another worker.
            let taken = notes.appended.clone().map(|text| {
                let parts = telegram::chunks(&text);
                Outbox::new(text, parts, to.as_ref().map(|(_, to)| to.clone()))
            });
            let answer = match taken {
                Some(taken) => Some(taken),
                None => answer(job, &bundle, to.as_ref(), held, pool, deps)?,
            };
            let Some(outbox) = answer else {
                let attempt = job.record.tries;
                job.record.job.get_or_insert_default().empty_attempt = Some(attempt);
                give_up(job, EMPTY_ANSWER);
                continue;
            };
            let outbox = outbox.by(claimed.lease_id.as_str());
            job.record.job.get_or_insert_default().outbox = Some(outbox);
            job.record.stage = Stage::Answered(PendingAnswer::default());
            deps.let_go(job);
            // The answer was paid for, so it is recorded before any other step.
            deps.must_note(job, Step::TextReady, "")?;
        }
        learn(job, &notes, deps)?;
        return deliver(job, held, to.map(|(bot, _)| bot).as_ref(), pool, deps);
    }
}

/// Takes over what other workers have done for this message since.
fn learn(job: &mut Job, notes: &QueueNotes, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    let now = deps.clock.now();
    let Some(outbox) = job.record.job.as_mut().and_then(|job| job.outbox.as_mut()) else { return Ok(()) };
    let known = outbox.uncertain.len();
    let learnt = outbox.learn(notes, now);
    if let Kind::Job(pool_job) = &job.work.kind {
        warn_of_doubt(&pool_job.claimed.message_id, outbox, known);
    }
    if learnt.is_news {
        deps.must_note(job, Step::Posting, "")?;
    }
    match learnt.wait {
        Some(until) => Err(Trouble::OnItsWay(until.since(now).max(Duration::from_millis(1)))),
        None => Ok(()),
    }
}

fn outbox_of(record: &Record) -> Option<&Outbox> {
    record.job.as_ref().and_then(|job| job.outbox.as_ref())
}

fn give_up(job: &mut Job, reason: &str) {
    job.record.stage = Stage::Ended(End::Missed(reason.to_owned()));
}

/// Reports a job that was given up.
fn report(end: End, held: &HeldJob, pool: &PoolPort) -> Result<End, Trouble> {
    let reason = match &end {
        End::Missed(why) | End::Dead(why) => why.chars().take(REASON_CHARS).collect(),
        other => other.name().to_owned(),
    };
    let fail = Fail { lease: held.lease(), error_message: &reason };
    pool.client.ask(&fail).map_err(backend_failure)?;
    Ok(end)
}

/// Asks the agent, or adopts an answer that was lost. None if the agent said nothing.
fn answer(
    job: &mut Job,
    bundle: &HydrationBundle,
    to: Option<&(BotToken, Destination)>,
    held: &Arc<HeldJob>,
    pool: &PoolPort,
    deps: &DeliveryDeps<'_>,
) -> Result<Option<Outbox>, Trouble> {
    let conversation = &bundle.conversation_id;
    let session = job::session(GATEWAY_AGENT, &pool.rules.session_prefix, conversation);
    look_for_turn_of_another(job, &session, held.lease().lease_id, deps)?;
    let found = settle(job, deps)?;
    let is_new = found.is_none();
    let (mut paths, mut history) = (Vec::new(), &[][..]);
    let mut signs = None;
    if is_new {
        let worker = &held.job.worker;
        let begins = pool.hooks.conversation_begins(worker, conversation, Some(&bundle.agent_key));
        begins.map_err(Trouble::NotNoted)?;
        if pool.claimed_jobs.is_first_turn(conversation) {
            history = &bundle.conversation_state.context_history;
        }
        paths = fetch_files(bundle, to.map(|(bot, _)| bot), pool);
        signs = to.and_then(|(bot, to)| {
            let telegram = pool.telegram_endpoint.client(&pool.stop);
            TypingSigns::start(telegram, bot.clone(), to.chat.clone(), held.clone()).ok()
        });
    }
    let agent = gateway_agent();
    // An agent of a pool has no tools of Mission Control.
    let caller = Caller {
        agent: &agent.id,
        task: None,
        flags: BehaviorFlags::default(),
        leads: false,
        may_close: false,
    };
    let write = |terms: &Terms<'_>| {
        let (instructions, input) = brief(&JobScene {
            payload: &bundle.payload,
            paths: &paths,
            history,
            marker: terms.marker,
            fence: terms.fence,
            repeat: terms.repeat,
        });
        Briefing { instructions, input, left_out: Vec::new() }
    };
    let reading = Reading::blind(deps.inflight.lists());
    let question =
        Question { agent: &agent, session: &session, caller, reading, brief: &write, asks: &|_| () };
    let spoken = talk(job, question, found, deps)?;
    drop(signs);
    let text = spoken.text.filter(|text| !text.trim().is_empty());
    Ok(text.map(|text| outbox(text, to.map(|(_, to)| to.clone()))))
}

/// Another worker with the same gateway, or the session of a snapshot, may have turns of this message: the outcome of the
/// last one is looked for, and adopted instead of another turn. Other workers send turns only under other leases, so one
/// complete search for each lease finds all of them.
fn look_for_turn_of_another(
    job: &mut Job,
    session: &SessionKey,
    lease: &LeaseId,
    deps: &DeliveryDeps<'_>,
) -> Result<(), Trouble> {
    let own = job.record.job.get_or_insert_default();
    if own.searched_under.as_deref() == Some(lease.as_str()) || matches!(job.record.stage, Stage::Working(_))
    {
        return Ok(());
    }
    let shown = deps.gateway.last_attempt(session, GATEWAY_AGENT, &job.work.id).map_err(Trouble::Gateway)?;
    let own = job.record.job.get_or_insert_default();
    if shown == ShownAttempts::Unreadable {
        // The turn may be in the session, so no other one is sent.
        let now = deps.clock.now();
        let Running { why, again_in: pause, .. } = Running::unreadable();
        let is_new = own.unreadable_since.is_none();
        let since = *own.unreadable_since.get_or_insert(now);
        if is_new {
            let reason = ("reason", Value::from(why.explain()));
            deps.log(Level::Warn, &*job, "No turn is sent before the session can be searched", &[reason]);
        }
        let is_stuck = now.since(since) >= deps.rules.silence_max;
        let unsettled = if is_stuck { Unsettled::Stuck(why) } else { Unsettled::Waiting { why, pause } };
        return Err(Trouble::Unsettled(unsettled));
    }
    own.unreadable_since = None;
    if shown != ShownAttempts::NotShown {
        own.searched_under = Some(lease.as_str().to_owned());
    }
    let ShownAttempts::Last(attempt) = shown else { return Ok(()) };
    if !is_of_another(&job.record, attempt) {
        return Ok(());
    }
    let field = ("attempt", Value::from(attempt));
    deps.log(Level::Info, &*job, "The session has this question already: its answer is looked for", &[field]);
    let at = job.work.created_at();
    let now = deps.clock.now();
    deps.with_log(job, |record| {
        recover_turn::begin(&mut record.sent, session, GATEWAY_AGENT, attempt, false, at).lost = Some(now);
        record.tries = attempt;
        record.requests = record.requests.max(1);
    });
    Ok(())
}

/// Whether this record does not account for this attempt, the last one in the session. A worker that does not know the
/// attempts of another one may have used the same number.
fn is_of_another(record: &Record, attempt: u32) -> bool {
    if record.sent.as_ref().is_some_and(|sent| sent.attempt >= attempt) {
        return false;
    }
    let empty = record.job.as_ref().and_then(|job| job.empty_attempt);
    let has_ended = record.unanswered_question == Some(attempt) || empty == Some(attempt);
    attempt >= record.tries && !has_ended
}

/// What is done with an answer. Its lines for files are not part of the text.
fn outbox(answer: String, to: Option<Destination>) -> Outbox {
    let (text, files) = telegram::outgoing(&answer);
    let parts = telegram::chunks(&text);
    // A reply that only sends a file is appended with the line that names it.
    let kept = if text.is_empty() { answer } else { text };
    let mut outbox = Outbox::new(kept, parts, to);
    outbox.files = files;
    outbox
}

fn gateway_agent() -> Agent {
    Agent {
        id: AgentId::new(GATEWAY_AGENT),
        name: GATEWAY_AGENT.to_owned(),
        slug: GATEWAY_AGENT.to_owned(),
        role: String::new(),
        status: Word::Known(AgentStatus::Online),
        current_task_id: None,
        last_heartbeat: None,
        heartbeat_interval: None,
        openclaw_config: None,
        system_session_key: None,
        effective_behavior_flags: None,
        profile_digest: None,
    }
}

/// Appends, sends and completes, as far as that is possible now.
fn deliver(
    job: &mut Job,
    held: &HeldJob,
    bot: Option<&BotToken>,
    pool: &PoolPort,
    deps: &DeliveryDeps<'_>,
) -> Result<End, Trouble> {
    let mut outbox = outbox_of(&job.record).cloned().ok_or(Trouble::Broken)?;
    let delivery = AnswerDelivery {
        pool: &pool.client,
        telegram: &pool.telegram,
        bot,
        job: &held.job.claimed,
        worker: &held.job.worker,
        workspace: &pool.rules.workspace,
        clock: deps.clock,
    };
    let mut keep = |outbox: &Outbox, wait: Wait| -> Result<(), JournalError> {
        job.record.job.get_or_insert_default().outbox = Some(outbox.clone());
        let step = if wait == Wait::ForDisk { Step::Posting } else { Step::Posted };
        let note = Note::of(&job.work, deps.clock.now()).record(&job.record).step(step, "");
        deps.journal.note(&note, wait)
    };
    let state = delivery.advance(&mut outbox, &mut || held.confirm(&pool.client), &mut keep);
    let failure = outbox.failure().map(str::to_owned);
    let sent = outbox.parts.len() + outbox.files.len();
    job.record.job.get_or_insert_default().outbox = Some(outbox);
    match state {
        AnswerState::Over => {
            let end = failure.map_or(End::Answered(sent), End::Missed);
            job.record.stage = Stage::Ended(end.clone());
            Ok(end)
        }
        // The worker is free meanwhile, and a stop of the program ends the wait.
        AnswerState::Waits(until) => {
            let pause = until.since(deps.clock.now()).max(Duration::from_millis(1));
            Err(Trouble::OnItsWay(pause))
        }
        AnswerState::Fenced(reason) => Ok(fenced(job, reason, deps)),
        AnswerState::NotKept(why) => Err(Trouble::NotNoted(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_core::delivery::JobRecord;
    use mcr_model::clock::Millis;

    #[test]
    fn the_last_attempt_in_the_session_is_adopted_unless_the_record_accounts_for_it() {
        // Attempts of the record, the one that is sent, the one that failed, the one without a text; the last in the session.
        let rows = [
            ("a worker without a record", 0, None, None, None, 1, true),
            ("its second attempt", 0, None, None, None, 2, true),
            ("another worker went on", 1, None, Some(1), None, 2, true),
            ("another worker went on while the outcome of ours was unknown", 1, Some(1), None, None, 2, true),
            (
                "ours never reached the gateway, and another worker used its number",
                1,
                None,
                None,
                None,
                1,
                true,
            ),
            ("ours is looked for anyway", 1, Some(1), None, None, 1, false),
            ("ours failed", 1, None, Some(1), None, 1, false),
            ("ours had no text", 1, None, None, Some(1), 1, false),
            ("ours is not in the session", 2, Some(2), None, None, 1, false),
        ];
        for (about, tries, sent, unanswered_question, empty_attempt, last, expected) in rows {
            let own = JobRecord { empty_attempt, ..JobRecord::default() };
            let mut record =
                Record { tries, unanswered_question, job: Some(Box::new(own)), ..Record::default() };
            if let Some(attempt) = sent {
                let session = SessionKey::new("agent:main:af:1");
                recover_turn::begin(&mut record.sent, &session, GATEWAY_AGENT, attempt, true, Millis(1));
            }
            assert_eq!(is_of_another(&record, last), expected, "{about}");
        }
    }
}
