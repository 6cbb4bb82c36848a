//! Work without turns: neither the breaker nor a pause holds it, it proves nothing about the gateway, and it keeps the
//! order of its track. Its source has no lists, so it may offer an item again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::dead_letters::DeadLetter;
use mission_control_runtime::delivery::operator_requests::{Hold, OperatorRequest, ReplyTo};
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{
    ClosedWork, End, Job, Notice, Outcome, PendingAnswer, Record, Stage, ToolRounds, Trouble,
};
use mission_control_runtime::model::TaskId;
use mission_control_runtime::work::{TestWork, Work, WorkId};

use super::world::{Fate, World};

/// A world whose breaker is open: the gateway is away, and a row that needs a turn waits for it.
fn with_open_breaker() -> World {
    let mut world = World::new(4);
    world.gateway_is_away(true);
    world.arrive("t0", "mention", "turned-away");
    world.run_for(Duration::from_secs(10));
    assert!(world.dispatcher.state().breaker_open.is_some());
    world
}

#[test]
fn work_without_turns_starts_behind_an_open_breaker_and_leaves_it_open() {
    let mut world = with_open_breaker();
    world.offer("t1", "posts");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.settled, ["posts"]);
    assert!(world.dispatcher.state().breaker_open.is_some());
}

/// Probes succeed, so the next turn is the trial.
#[test]
fn work_without_turns_is_never_the_trial() {
    let mut world = with_open_breaker();
    world.probes_lie(true);
    for number in 0..20 {
        world.offer("t1", &format!("posts-{number}"));
        world.run_for(Duration::from_secs(2));
        assert!(world.dispatcher.state().breaker_open.is_some(), "after {number}");
    }
    assert_eq!(world.settled.len(), 20);
    world.gateway_is_away(false);
    world.run_until_settled();
    assert!(world.dispatcher.state().breaker_open.is_none(), "a turn closes it");
}

#[test]
fn work_without_turns_starts_during_a_pause() {
    for hold in [
        Hold { all: true, ..Hold::default() },
        Hold { agents: HashSet::from(["agent".to_owned()]), ..Hold::default() },
    ] {
        let mut world = World::paused(2, Vec::new(), hold);
        world.arrive("t0", "mention", "needs-a-turn");
        world.offer("t1", "posts");
        world.run_for(Duration::from_secs(1));
        assert_eq!((world.settled, world.starts.len()), (vec!["posts".to_owned()], 1));
    }
}

/// A kind without turns is exempt from the breaker, not from the order.
#[test]
fn work_without_turns_waits_for_earlier_work_of_its_track() {
    let mut world = World::new(4);
    world.fates.insert("first".to_owned(), Fate::FailOnce { pause_ms: 60_000 });
    world.offer("t1", "first");
    world.offer("t1", "second");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.started(), ["first"], "the second one waits for the pause of the first one");
    world.run_for(Duration::from_mins(1));
    assert_eq!(world.settled, ["first", "second"]);
}

/// The result of an offer.
#[derive(Debug, PartialEq)]
enum Offer {
    /// It started, at this stage.
    Starts(Stage),
    /// It did not start.
    Ignored,
}

struct Offering {
    scheduler: Scheduler,
    now: Millis,
    lists: u64,
}

impl Offering {
    fn after(left: RecoveredState) -> Self {
        let intervals = PollIntervals {
            interval: Duration::from_secs(5),
            idle_interval: Duration::from_mins(1),
            backoff_base: Duration::from_secs(5),
            backoff_max: Duration::from_mins(5),
        };
        let plan = SchedulerConfig {
            workers: 1,
            list_limit: 50,
            calls_monthly: 900_000,
            intervals,
            fold_max: 1,
            agent_limits: AgentLimitsConfig::default(),
        };
        let now = Millis(1_000_000);
        let mut offering = Self { scheduler: Scheduler::with(plan, left, now), now, lists: 0 };
        offering.lists_nothing();
        offering
    }

    fn on(&mut self, event: Option<Event>) -> Option<Box<Job>> {
        self.scheduler.on(event, self.now).into_iter().find_map(|effect| match effect {
            Effect::Start(job) => Some(job),
            _ => None,
        })
    }

    fn lists_nothing(&mut self) -> Option<Box<Job>> {
        self.now = self.now + Duration::from_mins(2);
        let asked = self.on(None);
        self.lists += 1;
        let list = Event::Listed { list: self.lists, limit: 50, rows: vec![], malformed: 0, dice: 0.5 };
        asked.or(self.on(Some(list)))
    }

    fn offer(&mut self) -> Offer {
        match self.on(Some(Event::Offered(work()))) {
            Some(job) => Offer::Starts(job.record.stage),
            None => Offer::Ignored,
        }
    }

    /// The job ends like this; whether its source has confirmed the end.
    fn ends(&mut self, mut job: Box<Job>, end: End, is_confirmed: bool) {
        job.record.stage = Stage::Ended(end.clone());
        job.record.unmarked = !is_confirmed;
        assert!(self.on(Some(Event::Finished(job, Outcome::Closed(end)))).is_none());
    }
}

fn work() -> Arc<Work> {
    let test = TestWork {
        id: WorkId::new("w1"),
        agent: "agent".to_owned(),
        task: TaskId::new("t1"),
        messages: vec!["one".to_owned(), "two".to_owned()],
        created_at: Millis(1),
    };
    Arc::new(test.into())
}

fn dead() -> End {
    End::Dead("no".to_owned())
}

/// An item starts once for each time that its source offers it as new work: not while it waits or runs, not before its
/// source has confirmed its end, and not while a person has to decide about it.
#[test]
fn offered_again_in_the_same_process() {
    let mut offering = Offering::after(RecoveredState::default());
    let job = offering.on(Some(Event::Offered(work()))).expect("it starts");
    assert_eq!(offering.offer(), Offer::Ignored, "it runs");
    let pause = Some(Duration::from_mins(1));
    let rests = Outcome::Again { trouble: Trouble::NotNoted(String::new()), pause };
    assert!(offering.on(Some(Event::Finished(job, rests))).is_none());
    assert_eq!(offering.offer(), Offer::Ignored, "it rests");
    let job = offering.lists_nothing().expect("its pause is over");
    for (end, is_confirmed, again) in [
        (End::Answered(2), true, Offer::Starts(Stage::Fresh)),
        (End::Answered(2), false, Offer::Ignored),
        (End::Gone, true, Offer::Starts(Stage::Fresh)),
        (dead(), true, Offer::Ignored),
        (dead(), false, Offer::Ignored),
    ] {
        let mut offering = Offering::after(RecoveredState::default());
        offering.on(Some(Event::Offered(work()))).expect("it starts");
        offering.ends(job.clone(), end.clone(), is_confirmed);
        assert_eq!(offering.offer(), again, "{end:?}, confirmed: {is_confirmed}");
        if end == dead() {
            let drop = OperatorRequest::Drop(work().id.clone());
            assert!(offering.on(Some(Event::Asked(drop, ReplyTo::new(|_| ())))).is_none());
            let stage = if is_confirmed { Stage::Fresh } else { Stage::Ended(End::Dropped("no".to_owned())) };
            assert_eq!(offering.offer(), Offer::Starts(stage), "a person has dropped it");
        }
    }
}

/// Unfinished work of an earlier process continues at its last step, and an offer adds nothing.
#[test]
fn offered_again_after_a_restart_in_each_stage() {
    let posted = PendingAnswer { posted: 1, ..PendingAnswer::new(vec!["one".into(), "two".into()], false) };
    let notice = Notice::new("line".to_owned(), dead());
    for stage in [
        Stage::Fresh,
        Stage::Working(ToolRounds::default()),
        Stage::Answered(posted),
        Stage::Notice(notice),
        Stage::Ended(End::Answered(2)),
    ] {
        let record = Record { stage: stage.clone(), ..Record::default() };
        let open = vec![(work(), record, None)];
        let mut offering = Offering::after(RecoveredState { open, ..RecoveredState::default() });
        // Whether it starts before the offer or with it, it starts once.
        offering.now = offering.now + Duration::from_mins(1);
        assert_eq!(offering.offer(), Offer::Ignored, "{stage:?}");
        assert_eq!((offering.scheduler.state().known, offering.scheduler.state().running), (1, 1));
    }
}

/// Whether the source has confirmed the end decides, also after a restart.
#[test]
fn offered_again_after_its_end_and_a_restart() {
    let ended = |end: End| Offer::Starts(Stage::Ended(end));
    for (end, unmarked, expected) in [
        (End::Answered(2), false, Offer::Starts(Stage::Fresh)),
        (End::Answered(2), true, ended(End::Answered(2))),
        (End::Gone, false, Offer::Starts(Stage::Fresh)),
        (End::Dropped("no".to_owned()), false, Offer::Starts(Stage::Fresh)),
        (dead(), false, Offer::Ignored),
        (dead(), true, Offer::Ignored),
    ] {
        let record = Record { stage: Stage::Ended(end.clone()), unmarked, ..Record::default() };
        let letter = DeadLetter { at: Millis(1), work: work(), record, why: "no".to_owned() };
        let dead = if end == dead() { vec![letter] } else { Vec::new() };
        let closed = HashMap::from([(work().id.clone(), ClosedWork { end: end.clone(), unmarked })]);
        let mut offering = Offering::after(RecoveredState { closed, dead, ..RecoveredState::default() });
        assert_eq!(offering.offer(), expected, "{end:?}, unmarked: {unmarked}");
        assert_eq!(offering.offer(), Offer::Ignored, "at most once");
    }
}
