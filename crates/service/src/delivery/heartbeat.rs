//! The steps of a heartbeat, read from top to bottom: board, gate, turn, post, follow-ups, report.

use std::time::Duration;

use log::Level;
use log::kv::Value;

use super::board::{Board, newest, read};
use super::deliver::Steps;
use super::deps::{DeliveryDeps, backend_failure};
use super::post::post;
use super::reading::Reading;
use super::recover_turn::settle;
use super::turn_loop::{Question, Spoken, talk};
use mcr_clients::convex::{CallClass, CallError};
use mcr_clients::mission::{RequestResponses, UpdateAgentHeartbeat};
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::policy::Skip;
use mcr_core::delivery::{BeatRecord, End, Job, PendingAnswer, Record, Stage, Trouble, reply};
use mcr_core::gateway::Reply;
use mcr_core::heartbeat::answer::{self, BeatAnswer};
use mcr_core::heartbeat::board::{LISTED_MAX, TrackedTask};
use mcr_core::heartbeat::follow_up::{self, COOLDOWN, Decision, REQUESTS_MAX};
use mcr_core::heartbeat::gate::{self, Gate, SaveReason};
use mcr_core::heartbeat::prompt::{BeatScene, brief, shown};
use mcr_core::heartbeat::wake::AgentEvent;
use mcr_core::tools::Caller;
use mcr_core::work::Beat;
use mcr_model::clock::Millis;
use mcr_model::{Agent, AgentStatus, Roster, SessionKey, Task, TaskId, limits};

/// The delivery of a heartbeat.
pub(super) struct BeatSteps<'a>(pub(super) &'a Beat);

impl Steps for BeatSteps<'_> {
    fn walk(&mut self, job: &mut Job, deps: &DeliveryDeps<'_>) -> Result<End, Trouble> {
        deps.beats.attempted(self.0);
        // The agent may have been renamed or deleted, or its key rotated, since the last beat (W-17).
        let roster = deps.team.now();
        let agent = roster.agent(&self.0.agent);
        let mut saved = None;
        if job.needs_turn() {
            let found = settle(job, deps)?;
            match agent.map(|agent| (agent, session_of(agent))) {
                // The backend may have omitted the agent by mistake: a paid answer waits for the next roster.
                None if found.is_some() && !roster.is_gone(&self.0.agent) => {
                    deps.team.expect(&self.0.agent);
                    return Err(Trouble::AgentUnconfirmed);
                }
                None => job.record.stage = Stage::Ended(End::Skipped(Skip::NoAgent)),
                Some((_, None)) => job.record.stage = Stage::Ended(End::Skipped(Skip::NoSession)),
                Some((agent, Some(session))) => {
                    let board = read(agent, roster.leads(&agent.id), deps)?;
                    // After a stop an answer that has arrived is posted, but no calls run.
                    let answered = found.as_ref().is_some_and(|reply| reply.calls.is_empty());
                    if !answered && board.is_stopped(&job.record) {
                        return Err(Trouble::Stopped);
                    }
                    job.record.since = newest(&board, &roster, self.0.created_at);
                    // A beat that was sent is sent again until it has an answer.
                    let is_sent = found.is_some() || job.record.beat.is_some();
                    if let Some(skip) = self.why_saved(job, agent, &roster, &board, deps).filter(|_| !is_sent)
                    {
                        job.record.stage = Stage::Ended(End::Skipped(skip));
                        saved = Some(board);
                    } else {
                        let spoken = ask(job, (agent, session), &roster, &board, found, deps)?;
                        job.record.stage = meaning(job, &spoken, deps);
                        deps.let_go(job);
                        // The answer was paid for, so it is recorded before any other step.
                        deps.note(job, Step::TextReady, "", Wait::ForDisk);
                    }
                }
            }
            deps.let_go(job);
        }
        post(job, deps)?;
        let Stage::Ended(end) = job.record.stage.clone() else { return Err(Trouble::Broken) };
        self.confirm_events(job, agent, &end, deps);
        if let Some(agent) = agent {
            follow_up_on_tasks(job, agent, &roster, saved, deps);
            report(job, agent, &end, deps)?;
        }
        Ok(end)
    }

    fn attempt_is_over(&mut self, _: &DeliveryDeps<'_>) {}

    /// The next beat takes the place of one that was given up, so no thread gets a line about it.
    fn notice(&self, _: &Job, _: &End, _: &Trouble, _: &DeliveryDeps<'_>) -> Option<String> {
        None
    }
}

impl BeatSteps<'_> {
    /// Why the beat is saved, if it is.
    fn why_saved(
        &self,
        job: &Job,
        agent: &Agent,
        roster: &Roster,
        board: &Board,
        deps: &DeliveryDeps<'_>,
    ) -> Option<Skip> {
        let rules = deps.beats.rules()?;
        let inputs = board.inputs(agent, roster, self.0.woken, deps.beats.local(board.at));
        let quiet = deps.beats.memory(&agent.id).quiet;
        match gate::judge(&inputs, &gate::digest(&inputs), quiet.as_ref(), rules) {
            Gate::Send(why) => {
                deps.log(Level::Debug, job, "Heartbeat is sent", &[("reason", Value::from(why.name()))]);
                None
            }
            Gate::Save(SaveReason::Unchanged) => Some(Skip::NothingNew),
            Gate::Save(SaveReason::Inactive) => Some(Skip::InactiveHours),
        }
    }

    /// The agent has seen the events of its prompt. If the beat was given up or stopped, the agent may not have worked on
    /// them: the next beat shows them again.
    fn confirm_events(&self, job: &Job, agent: Option<&Agent>, end: &End, deps: &DeliveryDeps<'_>) {
        let shown = job.record.beat.as_ref().and_then(|of_beat| of_beat.events);
        if let Some(last) = shown.filter(|_| !matches!(end, End::Missed(_) | End::Skipped(_) | End::Stopped))
        {
            deps.beats.wakes().change(|wakes| {
                let slug = agent.map_or("", |agent| &agent.slug);
                let slug = wakes.slug_of(&self.0.agent, slug).to_owned();
                wakes.shown(&slug, last);
            });
        }
    }
}

fn session_of(agent: &Agent) -> Option<&SessionKey> {
    agent.system_session_key.as_ref().filter(|key| !key.expose().trim().is_empty())
}

/// Sends the turn.
fn ask(
    job: &mut Job,
    (agent, session): (&Agent, &SessionKey),
    roster: &Roster,
    board: &Board,
    found: Option<Reply>,
    deps: &DeliveryDeps<'_>,
) -> Result<Spoken, Trouble> {
    let leads = roster.leads(&agent.id);
    let focus = board.tasks.first().map(|tracked| &tracked.task);
    let events: Vec<&AgentEvent> = board.events.iter().collect();
    let events = &events[..shown(&events)];
    let missing_events = board.displaced + (board.events.len() - events.len()) as u64;
    let digest = gate::digest(&board.inputs(agent, roster, false, deps.beats.local(board.at)));
    let caller = Caller {
        agent: &agent.id,
        task: focus,
        flags: agent.effective_behavior_flags.unwrap_or_default(),
        leads,
        // A beat closes no task (H-16).
        may_close: false,
    };
    let question = Question {
        agent,
        session,
        caller,
        reading: Reading::blind(board.lists),
        brief: &|terms| {
            brief(&BeatScene {
                agent,
                roster,
                leads,
                checklist: &board.checklist,
                tasks: &board.tasks,
                events,
                missing_events,
                labels: terms.labels,
                tools: terms.tools,
                http: terms.http,
                marker: terms.marker,
                fence: terms.fence,
                now: terms.now,
                repeat: terms.repeat,
            })
        },
        asks: &|record| {
            let of_beat = record.beat.get_or_insert_default();
            let (asked, extra) = (std::mem::take(&mut of_beat.asked), std::mem::take(&mut of_beat.extra));
            **of_beat = BeatRecord {
                digest: digest.clone(),
                at: board.at,
                tasks: board.tasks.iter().take(LISTED_MAX).map(|tracked| tracked.task.id.clone()).collect(),
                events: events.last().map(|event| event.number),
                asked,
                extra,
                ..BeatRecord::default()
            };
        },
    };
    talk(job, question, found, deps)
}

/// The stage that follows from the agent's answer.
fn meaning(job: &mut Job, spoken: &Spoken, deps: &DeliveryDeps<'_>) -> Stage {
    let made = deps.with_log(job, |record| record.effects.all_made().to_vec());
    let of_beat = job.record.beat.get_or_insert_default();
    of_beat.acted = spoken.acted;
    match answer::read(spoken.text.as_deref(), &of_beat.tasks, &made) {
        BeatAnswer::Quiet(silence) => Stage::Ended(End::Silent(silence)),
        BeatAnswer::Post(task, text) => {
            of_beat.target = Some(task);
            Stage::Answered(PendingAnswer::new(reply::split(&text, limits::MESSAGE_CHARS), false))
        }
        BeatAnswer::NoTask(text) => Stage::Ended(End::Kept(text)),
    }
}

/// Asks the assignees of stale tasks, as the orchestrator (H-23). A failure concerns one task only. The backend creates no
/// second request while the first one is not answered, so a repetition after a crash does no harm.
///
/// The threads may have changed during the turn, so they are read again, unless the beat was saved.
fn follow_up_on_tasks(
    job: &mut Job,
    agent: &Agent,
    roster: &Roster,
    board: Option<Board>,
    deps: &DeliveryDeps<'_>,
) {
    let flags = agent.effective_behavior_flags.unwrap_or_default();
    let is_wanted = !matches!(
        &job.record.stage,
        Stage::Ended(End::Skipped(Skip::InactiveHours | Skip::NoSession) | End::Missed(_) | End::Stopped)
    );
    if !roster.leads(&agent.id) || !flags.can_mention_agents || !is_wanted {
        return;
    }
    let board = match board.map_or_else(|| read(agent, true, deps), Ok) {
        Ok(board) => board,
        Err(trouble) => {
            let reason = ("reason", Value::from_display(&trouble));
            deps.log(Level::Info, &*job, "No follow-ups after this heartbeat", &[reason]);
            return;
        }
    };
    let memory = deps.beats.memory(&agent.id);
    let mut left = REQUESTS_MAX.saturating_sub(requests_so_far(&job.record));
    for TrackedTask { task, thread } in &board.tasks {
        if left == 0 {
            return;
        }
        // Staleness is tested before the number of requests is cut (W-21).
        let Decision::Stale(stale_for) = follow_up::decide(task, thread.as_deref(), board.at) else {
            continue;
        };
        let is_asked = |(known, at): &(TaskId, Millis)| {
            let replied =
                thread.as_deref().and_then(|thread| follow_up::last_reply(thread, &task.assigned_agent_ids));
            *known == task.id
                && board.at.since(*at) < COOLDOWN
                && *at <= board.at
                && replied.is_none_or(|replied| replied < *at)
        };
        let recipients = follow_up::recipients(task, roster, &agent.id);
        let asked_here = job.record.beat.as_ref().is_some_and(|of_beat| of_beat.asked.contains(&task.id));
        if recipients.is_empty() || asked_here || memory.asked.iter().any(is_asked) {
            continue;
        }
        let of_beat = job.record.beat.get_or_insert_default();
        of_beat.asked.push(task.id.clone());
        of_beat.at = of_beat.at.max(board.at);
        let words = format!("follow-up on {}", task.id);
        if deps.must_note(job, Step::ToolIntent, &words).is_err() {
            return;
        }
        left -= usize::from(request(job, agent, task, &recipients, stale_for, deps));
    }
}

/// How many requests for a response this beat has sent, as far as known.
fn requests_so_far(record: &Record) -> usize {
    let own = record.beat.as_ref().map_or(0, |of_beat| of_beat.requests as usize);
    own + record.beat.as_ref().map_or(0, |of_beat| of_beat.asked.len())
}

/// Sends one request. Returns whether an agent was asked.
fn request(
    job: &Job,
    agent: &Agent,
    task: &Task,
    recipients: &[String],
    stale_for: Duration,
    deps: &DeliveryDeps<'_>,
) -> bool {
    let message = follow_up::message(task, stale_for);
    let request = RequestResponses {
        requester_agent_id: &agent.id,
        task_id: &task.id,
        recipient_slugs: recipients,
        message: &message,
    };
    let id = ("task", Value::from(task.id.as_str()));
    match deps.mission.ask(&request) {
        Ok(requested) => {
            let asked = requested.notification_ids.len();
            if asked > 0 {
                deps.log(Level::Info, job, "Follow-up sent", &[id, ("agents_asked", Value::from(asked))]);
                (deps.written)();
            }
            asked > 0
        }
        Err(error) => {
            deps.log(Level::Info, job, "Follow-up not sent", &[id, ("error", Value::from_display(&error))]);
            false
        }
    }
}

/// Reports to the backend that the agent is alive, or that its beat failed (W-22).
fn report(job: &Job, agent: &Agent, end: &End, deps: &DeliveryDeps<'_>) -> Result<(), Trouble> {
    let status = if matches!(end, End::Missed(_)) { AgentStatus::Error } else { AgentStatus::Online };
    let target = job.record.beat.as_ref().and_then(|of_beat| of_beat.target.as_ref());
    let current_task_id = target.filter(|_| matches!(end, End::Answered(_)));
    let beat = UpdateAgentHeartbeat { agent_id: &agent.id, status, current_task_id };
    match deps.mission.ask(&beat) {
        Ok(_) => {
            if status == AgentStatus::Online {
                deps.beats.reported(&agent.id, deps.clock.now());
            }
            Ok(())
        }
        Err(error) if is_passing(&error) => Err(backend_failure(error)),
        Err(error) => {
            deps.log(
                Level::Info,
                job,
                "The heartbeat is not reported",
                &[("error", Value::from_display(&error))],
            );
            Ok(())
        }
    }
}

fn is_passing(error: &CallError) -> bool {
    error.class == CallClass::Transient
}
