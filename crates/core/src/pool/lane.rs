//! The loop of one worker id: ask the queue whether to stop, claim, work, wait (worker-pool B.5, B.6, E.3).
//!
//! # The problem
//!
//! A worker id belongs to one conversation from its first claim on. In a pool, a scheduler inserts the row of the worker
//! before its machine starts, and decides when the worker stops. On a droplet no scheduler knows the worker: the queue
//! says "stop" about an unknown id, and it says so again seven minutes after the last claim. A row that has stopped is
//! never claimable again.
//!
//! # The policy
//!
//! * **Pool.** The queue is asked before every claim, and its answer is obeyed. The idle time ends the worker.
//! * **Droplet.** The queue is not asked before this id has claimed something. After that, "stop" means: save the state,
//!   take a fresh id, forget the conversation, and go on. When the conversation has no due message, the id rests, and the
//!   lane serves other conversations with other ids. For seven minutes only a resting id can claim its conversation, so
//!   the lane looks for it again and again ([`resting`](super::resting)).
//! * A job that was begun is always ended first. A job of another conversation or agent is reported as failed at once,
//!   so that it does not wait for the end of its lease.
//!
//! The lane is a plain struct. [`WorkerLane::next`] says what to do; the caller does it and reports with [`WorkerLane::on`].

use std::time::Duration;

use mcr_model::clock::Millis;
use mcr_model::{ClaimedJob, ConversationId};

/// The time after which the queue gives a conversation to another worker id.
pub const OWNED_FOR: Duration = Duration::from_mins(7);

/// The shortest pause after a failed call of the queue.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);

/// Which side decides when a worker stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerMode {
    /// A scheduler has made the worker and stops it.
    Pool,
    /// No scheduler knows the worker.
    Droplet,
}

/// The settings of a lane.
#[derive(Clone, Debug)]
pub struct LaneRules {
    /// Which side decides.
    pub mode: WorkerMode,
    /// The pause after a claim that found nothing.
    pub poll: Duration,
    /// The time without activity after which the worker ends.
    pub idle: Duration,
    /// The conversation for which the worker was made, if it is known from the start.
    pub conversation: Option<ConversationId>,
}

/// Why a worker id ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneEnd {
    /// The queue said so.
    Control,
    /// The program received a signal.
    Signal,
    /// Nothing happened for too long.
    Idle,
    /// The conversation has no due message, and another one may need the lane.
    Free,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum LaneStep {
    /// Ask the queue whether to stop.
    AskControl,
    /// Claim a message, of this conversation if one is named.
    Claim(Option<ConversationId>),
    /// Ask whether this conversation has queued messages.
    AskQueued(ConversationId),
    /// Work on this job.
    Work(Box<ClaimedJob>),
    /// Report this job as failed, with this reason.
    Refuse(Box<ClaimedJob>, &'static str),
    /// Wait until this time.
    Wait(Millis),
    /// Save the state, then begin again with a fresh worker id.
    Renew(LaneEnd),
    /// Save the state, then end.
    Stop(LaneEnd),
}

/// What has happened.
#[derive(Clone, Debug)]
pub enum LaneEvent {
    /// The queue said whether to stop.
    Control(bool),
    /// A claim has ended, with a message or without one.
    Claimed(Option<Box<ClaimedJob>>),
    /// The queue said whether messages are queued.
    Queued(bool),
    /// A call of the queue failed.
    CallFailed,
    /// The job has ended, or was reported as failed.
    JobEnded,
    /// The program must stop.
    Signal,
}

/// The conversation and the agent that a worker id serves.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pinned {
    conversation: ConversationId,
    agent: String,
}

/// What the lane does.
#[derive(Clone, Debug, PartialEq)]
enum LanePhase {
    Control,
    Claim,
    Queued(ConversationId),
    /// With the job, and the reason if it is not for this worker.
    Job(Box<ClaimedJob>, Option<&'static str>),
    Waiting(Millis),
    Ended(LaneEnd),
}

/// The loop of one worker id.
#[derive(Clone, Debug)]
pub struct WorkerLane {
    rules: LaneRules,
    pinned: Option<Pinned>,
    phase: LanePhase,
    active: Millis,
    is_signaled: bool,
}

impl WorkerLane {
    /// A lane with a fresh worker id.
    pub fn new(rules: LaneRules, now: Millis) -> Self {
        Self { rules, pinned: None, phase: LanePhase::Control, active: now, is_signaled: false }
    }

    /// Goes on with an id that has claimed messages of this conversation and agent, and was last active then.
    pub fn resumed(&mut self, conversation: ConversationId, agent: String, active: Millis, now: Millis) {
        self.renewed(now);
        self.pinned = Some(Pinned { conversation, agent });
        self.active = active;
        // A row that may not go on claims nothing, so the queue need not be asked.
        self.phase = LanePhase::Claim;
    }

    /// The conversation and the agent of this id, and its last activity, once it has claimed a message.
    pub fn assignment(&self) -> Option<(&ConversationId, &str, Millis)> {
        self.pinned.as_ref().map(|pinned| (&pinned.conversation, &*pinned.agent, self.active))
    }

    /// The conversation that this worker id serves, once it is known.
    pub fn conversation(&self) -> Option<&ConversationId> {
        self.pinned.as_ref().map(|pinned| &pinned.conversation).or(self.rules.conversation.as_ref())
    }

    /// Whether this worker id has claimed a message.
    pub fn has_claimed(&self) -> bool {
        self.pinned.is_some()
    }

    /// What to do now.
    pub fn next(&mut self, now: Millis) -> LaneStep {
        if matches!(self.phase, LanePhase::Waiting(until) if now >= until) {
            self.phase = LanePhase::Control;
        }
        if self.phase == LanePhase::Control && self.rules.mode == WorkerMode::Droplet && !self.has_claimed() {
            self.phase = LanePhase::Claim;
        }
        // On a droplet an id without messages rests instead.
        let may_idle = self.rules.mode == WorkerMode::Pool;
        if self.phase == LanePhase::Claim && may_idle && now.since(self.active) >= self.rules.idle {
            self.phase = LanePhase::Ended(LaneEnd::Idle);
        }
        match &self.phase {
            // A job that was begun is ended first. A job that is refused is reported.
            LanePhase::Job(job, None) => LaneStep::Work(job.clone()),
            LanePhase::Job(job, Some(reason)) => LaneStep::Refuse(job.clone(), reason),
            _ if self.is_signaled => LaneStep::Stop(LaneEnd::Signal),
            LanePhase::Control => LaneStep::AskControl,
            LanePhase::Queued(conversation) => LaneStep::AskQueued(conversation.clone()),
            LanePhase::Ended(end) => match self.rules.mode {
                WorkerMode::Pool => LaneStep::Stop(*end),
                WorkerMode::Droplet => LaneStep::Renew(*end),
            },
            LanePhase::Waiting(until) => LaneStep::Wait(*until),
            LanePhase::Claim => LaneStep::Claim(self.conversation().cloned()),
        }
    }

    /// Takes the result of a step.
    pub fn on(&mut self, event: LaneEvent, now: Millis) {
        match event {
            LaneEvent::Signal => self.is_signaled = true,
            LaneEvent::Control(should_stop) => {
                let is_obeyed = self.rules.mode == WorkerMode::Pool || self.has_claimed();
                self.phase = if should_stop && is_obeyed {
                    LanePhase::Ended(LaneEnd::Control)
                } else {
                    LanePhase::Claim
                };
            }
            LaneEvent::Claimed(Some(job)) => {
                self.active = now;
                let reason = self.mismatch(&job);
                if reason.is_none() && self.pinned.is_none() {
                    let (conversation, agent) = (job.conversation_id.clone(), job.agent_key.clone());
                    self.pinned = Some(Pinned { conversation, agent });
                }
                self.phase = LanePhase::Job(job, reason);
            }
            LaneEvent::Claimed(None) => {
                self.phase = match &self.pinned {
                    Some(_) if self.rules.mode == WorkerMode::Droplet => LanePhase::Ended(LaneEnd::Free),
                    Some(pinned) => LanePhase::Queued(pinned.conversation.clone()),
                    None => LanePhase::Waiting(now + self.rules.poll),
                };
            }
            LaneEvent::Queued(has_queued) => {
                if has_queued {
                    self.active = now;
                }
                self.phase = LanePhase::Waiting(now + self.rules.poll);
            }
            LaneEvent::CallFailed => {
                self.phase = LanePhase::Waiting(now + FAILURE_PAUSE.max(self.rules.poll));
            }
            LaneEvent::JobEnded => {
                self.active = now;
                self.phase = LanePhase::Control;
            }
        }
    }

    /// Begins again with a fresh worker id. A program that stops stays stopping.
    pub fn renewed(&mut self, now: Millis) {
        let fresh = Self::new(self.rules.clone(), now);
        *self = Self { is_signaled: self.is_signaled, ..fresh };
    }

    /// Why this job is not for this worker, if it is not.
    fn mismatch(&self, job: &ClaimedJob) -> Option<&'static str> {
        if self.conversation().is_some_and(|own| *own != job.conversation_id) {
            return Some("sticky_mismatch");
        }
        let is_other = self.pinned.as_ref().is_some_and(|pinned| pinned.agent != job.agent_key);
        is_other.then_some("sticky_agent_mismatch")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(mode: WorkerMode) -> LaneRules {
        let (poll, idle) = (Duration::from_secs(2), Duration::from_mins(5));
        LaneRules { mode, poll, idle, conversation: None }
    }

    fn job(conversation: &str, agent: &str) -> Box<ClaimedJob> {
        let job = json!({"messageId": "m", "conversationId": conversation, "agentKey": agent, "leaseId": "l",
            "leaseExpiresAt": 1, "payload": {"provider": "telegram", "providerUserId": "7", "messageText": "hi"}});
        Box::new(serde_json::from_value(job).unwrap())
    }

    fn at(seconds: i64) -> Millis {
        Millis(seconds * 1_000)
    }

    fn lane(mode: WorkerMode) -> WorkerLane {
        WorkerLane::new(rules(mode), at(0))
    }

    /// Claims and ends one job of `c1`.
    fn after_a_job(mode: WorkerMode, now: Millis) -> WorkerLane {
        let mut lane = lane(mode);
        lane.on(LaneEvent::Control(false), now);
        lane.on(LaneEvent::Claimed(Some(job("c1", "a"))), now);
        assert_eq!(lane.next(now), LaneStep::Work(job("c1", "a")));
        lane.on(LaneEvent::JobEnded, now);
        lane
    }

    #[test]
    fn a_round_asks_claims_looks_and_waits() {
        let mut lane = after_a_job(WorkerMode::Pool, at(0));
        let own = ConversationId::new("c1");
        assert_eq!(lane.next(at(1)), LaneStep::AskControl);
        lane.on(LaneEvent::Control(false), at(1));
        assert_eq!(lane.next(at(1)), LaneStep::Claim(Some(own.clone())));
        lane.on(LaneEvent::Claimed(None), at(1));
        assert_eq!(lane.next(at(1)), LaneStep::AskQueued(own));
        lane.on(LaneEvent::Queued(true), at(1));
        assert_eq!(lane.next(at(1)), LaneStep::Wait(at(3)));
        assert_eq!(lane.next(at(3)), LaneStep::AskControl);
    }

    #[test]
    fn before_its_first_claim_a_worker_takes_any_conversation_unless_it_was_made_for_one() {
        let mut any = lane(WorkerMode::Pool);
        any.on(LaneEvent::Control(false), at(0));
        assert_eq!(any.next(at(0)), LaneStep::Claim(None));
        any.on(LaneEvent::Claimed(None), at(0));
        assert_eq!(any.next(at(0)), LaneStep::Wait(at(2)), "nothing to look for");
        let conversation = Some(ConversationId::new("c7"));
        let mut own = WorkerLane::new(
            LaneRules { conversation: conversation.clone(), ..rules(WorkerMode::Pool) },
            at(0),
        );
        own.on(LaneEvent::Control(false), at(0));
        assert_eq!(own.next(at(0)), LaneStep::Claim(conversation));
    }

    #[test]
    fn a_worker_of_a_pool_obeys_and_one_on_a_droplet_first_claims() {
        let mut pool = lane(WorkerMode::Pool);
        pool.on(LaneEvent::Control(true), at(0));
        assert_eq!(pool.next(at(0)), LaneStep::Stop(LaneEnd::Control));
        let mut droplet = lane(WorkerMode::Droplet);
        droplet.on(LaneEvent::Control(true), at(0));
        assert_eq!(droplet.next(at(0)), LaneStep::Claim(None), "its row is missing: that is no reason");
    }

    #[test]
    fn on_a_droplet_a_stop_means_a_fresh_id_without_a_conversation() {
        let mut lane = after_a_job(WorkerMode::Droplet, at(0));
        lane.on(LaneEvent::Control(true), at(1));
        assert_eq!(lane.next(at(1)), LaneStep::Renew(LaneEnd::Control));
        assert_eq!(lane.next(at(1)), LaneStep::Renew(LaneEnd::Control), "until it is done");
        lane.renewed(at(2));
        assert!(!lane.has_claimed() && lane.conversation().is_none());
        assert_eq!(lane.next(at(2)), LaneStep::Claim(None), "the queue does not know the fresh id");
    }

    #[test]
    fn a_job_of_another_conversation_or_agent_is_refused_with_its_reason() {
        let rows = [
            (job("c2", "a"), Some("sticky_mismatch")),
            (job("c1", "b"), Some("sticky_agent_mismatch")),
            (job("c1", "a"), None),
        ];
        for (claimed, reason) in rows {
            let mut lane = after_a_job(WorkerMode::Pool, at(0));
            lane.on(LaneEvent::Control(false), at(1));
            lane.on(LaneEvent::Claimed(Some(claimed.clone())), at(1));
            let expected = match reason {
                Some(reason) => LaneStep::Refuse(claimed, reason),
                None => LaneStep::Work(claimed),
            };
            assert_eq!(lane.next(at(1)), expected);
            assert_eq!(lane.conversation(), Some(&ConversationId::new("c1")));
        }
    }

    #[test]
    fn a_running_job_is_ended_before_the_lane_stops() {
        let mut lane = lane(WorkerMode::Droplet);
        lane.on(LaneEvent::Control(false), at(0));
        lane.on(LaneEvent::Claimed(Some(job("c1", "a"))), at(0));
        lane.on(LaneEvent::Signal, at(1));
        assert_eq!(lane.next(at(1)), LaneStep::Work(job("c1", "a")));
        lane.on(LaneEvent::JobEnded, at(2));
        assert_eq!(lane.next(at(2)), LaneStep::Stop(LaneEnd::Signal));
        lane.renewed(at(3));
        assert_eq!(lane.next(at(3)), LaneStep::Stop(LaneEnd::Signal), "also with a fresh id");
    }

    #[test]
    fn the_idle_time_ends_a_worker_and_queued_messages_prolong_it() {
        let idle_after = |mode: WorkerMode, seconds: i64| {
            let mut lane = after_a_job(mode, at(0));
            lane.on(LaneEvent::Control(false), at(seconds));
            lane.next(at(seconds))
        };
        let claim = LaneStep::Claim(Some(ConversationId::new("c1")));
        assert_eq!(idle_after(WorkerMode::Pool, 299), claim);
        assert_eq!(idle_after(WorkerMode::Pool, 300), LaneStep::Stop(LaneEnd::Idle));
        assert_eq!(idle_after(WorkerMode::Droplet, 100_000), claim, "the resting ids have the time");
        let mut lane = after_a_job(WorkerMode::Pool, at(0));
        lane.on(LaneEvent::Control(false), at(200));
        lane.on(LaneEvent::Claimed(None), at(200));
        lane.on(LaneEvent::Queued(true), at(200));
        lane.on(LaneEvent::Control(false), at(499));
        assert_eq!(lane.next(at(499)), claim);
    }

    #[test]
    fn on_a_droplet_an_id_without_due_messages_makes_room_and_is_resumed_later() {
        let mut lane = after_a_job(WorkerMode::Droplet, at(0));
        assert_eq!(lane.next(at(1)), LaneStep::AskControl, "this id has claimed");
        lane.on(LaneEvent::Control(false), at(1));
        lane.on(LaneEvent::Claimed(None), at(1));
        assert_eq!(lane.next(at(1)), LaneStep::Renew(LaneEnd::Free));
        let (conversation, agent, active) = lane.assignment().expect("it has claimed");
        let (conversation, agent) = (conversation.clone(), agent.to_owned());
        assert_eq!((conversation.as_str(), &*agent, active), ("c1", "a", at(0)));
        lane.renewed(at(1));
        assert_eq!(lane.next(at(1)), LaneStep::Claim(None), "any other conversation");
        lane.resumed(conversation.clone(), agent, active, at(3));
        assert_eq!(lane.next(at(3)), LaneStep::Claim(Some(conversation)));
        lane.on(LaneEvent::Claimed(None), at(3));
        assert_eq!(lane.next(at(3)), LaneStep::Renew(LaneEnd::Free));
        assert_eq!(lane.assignment().map(|(.., active)| active), Some(at(0)), "a look is no activity");
    }

    #[test]
    fn a_failed_call_is_followed_by_a_pause() {
        let mut lane = lane(WorkerMode::Pool);
        lane.on(LaneEvent::CallFailed, at(0));
        assert_eq!(lane.next(at(0)), LaneStep::Wait(at(5)));
        assert_eq!(lane.next(at(5)), LaneStep::AskControl);
    }
}
