//! Runtime-behaviour §6.1: when beats are due.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::policy::Skip;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Outcome};
use mission_control_runtime::heartbeat::schedule::{BeatSchedule, Recalled};
use mission_control_runtime::model::AgentId;
use mission_control_runtime::work::{Beat, WorkId};
use proptest::prelude::*;

const START: Millis = Millis(1_000_000_000);
const QUARTER: Duration = Duration::from_mins(15);

fn agent(name: &str) -> AgentId {
    AgentId::new(name)
}

fn team(names: &[&str], interval: Duration) -> Vec<(AgentId, Duration)> {
    names.iter().map(|name| (agent(name), interval)).collect()
}

/// A schedule and the names of its beats.
#[derive(Default)]
struct Plan {
    schedule: BeatSchedule,
    named: u32,
}

impl Plan {
    fn follow(&mut self, agents: &[(AgentId, Duration)], now: Millis, dice: f64) {
        self.schedule.follow(agents, now, &mut || dice);
    }

    /// The agents whose beats begin now, with the ids.
    fn due(&mut self, now: Millis) -> Vec<(String, WorkId, bool)> {
        let named = &mut self.named;
        let mut name = |_: &AgentId| {
            *named += 1;
            WorkId::new(format!("b{named}"))
        };
        let due = self.schedule.due(now, &mut name);
        due.into_iter().map(|due| (due.agent.to_string(), due.id, due.woken)).collect()
    }

    /// The beats that begin now end at once, without waiting events.
    fn beat(&mut self, now: Millis) -> Vec<String> {
        let due = self.due(now);
        for (name, id, _) in &due {
            self.schedule.ended(&agent(name), id, false, now);
        }
        due.into_iter().map(|(name, ..)| name).collect()
    }

    fn wait_of(&self, name: &str, now: Millis) -> Duration {
        self.schedule.next_of(&agent(name)).expect("it is scheduled").since(now)
    }
}

/// H-3, without its drift: with a pause after the end of each beat, 15 minutes would mean about 94 beats a day.
#[test]
fn h_3_beats_are_one_interval_apart_counted_from_their_beginning() {
    for (interval, a_day) in [(QUARTER, 96), (Duration::from_mins(5), 288)] {
        let (mut plan, mut count, mut now) = (Plan::default(), 0, START);
        plan.follow(&team(&["a"], interval), now, 0.7);
        while now < START + Duration::from_hours(24) {
            for (name, id, _) in plan.due(now) {
                count += 1;
                plan.schedule.ended(&agent(&name), &id, false, now + Duration::from_secs(20));
            }
            now = plan.schedule.wake_at(now).unwrap();
        }
        assert_eq!(count, a_day, "{interval:?}");
    }
}

#[test]
fn h_4_a_new_agent_begins_within_two_seconds_and_an_unchanged_one_is_left_alone() {
    let mut plan = Plan::default();
    plan.follow(&team(&["a", "b"], QUARTER), START, 0.5);
    let before = (plan.wait_of("a", START), plan.wait_of("b", START));
    plan.follow(&team(&["a", "b", "c"], QUARTER), START, 0.5);
    assert_eq!((plan.wait_of("a", START), plan.wait_of("b", START)), before);
    assert_eq!(plan.wait_of("c", START), Duration::from_secs(1));
}

/// H-4 and W-18: the new interval counts from the beginning of the last beat.
#[test]
fn h_4_an_interval_that_changes_all_the_time_causes_no_further_beats() {
    let mut plan = Plan::default();
    plan.follow(&team(&["a"], QUARTER), START, 0.5);
    assert_eq!(plan.beat(START), ["a"]);
    let mut beats = 0;
    for minute in 1..15_u32 {
        let now = START + Duration::from_mins(1) * minute;
        let interval = if minute % 2 == 0 { QUARTER } else { Duration::from_hours(1) };
        plan.follow(&team(&["a"], interval), now, 0.0);
        beats += plan.beat(now).len();
    }
    assert_eq!(beats, 0, "no beat within the shorter interval");
    let now = START + Duration::from_mins(20);
    plan.follow(&team(&["a"], Duration::from_mins(10)), now, 1.0);
    assert_eq!(plan.wait_of("a", now), Duration::from_secs(2), "the shorter interval has passed");
}

#[test]
fn w_18_an_interval_that_changes_during_a_beat_leaves_one_chain_of_beats() {
    let mut plan = Plan::default();
    plan.follow(&team(&["a"], QUARTER), START, 0.0);
    let (name, id, _) = plan.due(START).remove(0);
    let (changed, ended) = (START + Duration::from_mins(2), START + Duration::from_mins(3));
    plan.follow(&team(&["a"], Duration::from_mins(5)), changed, 0.0);
    assert!(plan.due(changed + Duration::from_mins(1)).is_empty(), "the beat still runs");
    plan.schedule.ended(&agent(&name), &id, false, ended);
    assert_eq!(plan.wait_of("a", ended), Duration::from_mins(2), "five minutes after the beginning");
    plan.schedule.ended(&agent(&name), &id, false, ended + Duration::from_mins(1));
    let due = ended + Duration::from_mins(2);
    assert_eq!((plan.due(due).len(), plan.due(due).len()), (1, 0), "a repeated end doubles nothing");
}

#[test]
fn h_5_a_removed_agent_has_no_beat_and_the_end_of_its_last_one_changes_nothing() {
    let mut plan = Plan::default();
    plan.follow(&team(&["a", "b"], QUARTER), START, 0.0);
    let (name, id, _) = plan.due(START).remove(0);
    plan.follow(&team(&["b"], QUARTER), START, 0.0);
    plan.schedule.ended(&agent(&name), &id, true, START);
    assert_eq!((plan.schedule.next_of(&agent("a")), plan.schedule.len()), (None, 1));
    plan.follow(&team(&["a", "b"], QUARTER), START, 0.0);
    plan.schedule.ended(&agent(&name), &id, true, START);
    assert_eq!(plan.due(START).len(), 1, "the agent has come back and begins anew");
}

#[test]
fn a_beat_that_never_ends_does_not_delay_the_other_agents() {
    let mut plan = Plan::default();
    plan.follow(&team(&["a", "b"], QUARTER), START, 0.0);
    let mut of_b = 0;
    for minute in 0..=60_u32 {
        let now = START + Duration::from_mins(1) * minute;
        for (name, id, _) in plan.due(now) {
            if name == "b" {
                of_b += 1;
                plan.schedule.ended(&agent("b"), &id, false, now);
            }
        }
    }
    assert_eq!(of_b, 4);
}

#[test]
fn a_wake_begins_a_beat_at_once_and_the_interval_counts_from_there() {
    let mut plan = Plan::default();
    plan.follow(&team(&["a"], QUARTER), START, 0.0);
    assert_eq!(plan.beat(START), ["a"]);
    let now = START + Duration::from_mins(6);
    assert!(plan.schedule.wake(&agent("a"), now));
    assert!(!plan.schedule.wake(&agent("unknown"), now));
    let (name, id, woken) = plan.due(now).remove(0);
    assert!(woken);
    plan.schedule.ended(&agent(&name), &id, false, now + Duration::from_secs(1));
    assert_eq!(plan.wait_of("a", now), QUARTER);
}

/// Whether events wait at the end of the beat, and whether another beat follows at once.
#[test]
fn a_wake_during_a_beat_begins_another_one_only_for_events_that_were_not_shown() {
    for (events_wait, follows) in [(true, true), (false, false)] {
        let mut plan = Plan::default();
        plan.follow(&team(&["a"], QUARTER), START, 0.0);
        let (name, id, _) = plan.due(START).remove(0);
        let now = START + Duration::from_secs(5);
        plan.schedule.wake(&agent("a"), now);
        assert!(plan.due(now).is_empty(), "one beat at a time");
        plan.schedule.ended(&agent(&name), &id, events_wait, now);
        assert_eq!(!plan.due(now).is_empty(), follows);
    }
}

/// What the earlier process left, and when the first beat is due.
#[test]
fn after_a_restart_an_agent_waits_for_the_rest_of_its_interval() {
    let ago = |span: Duration| Some(START - span);
    let left = |began, is_woken| Recalled { began, running: None, is_woken };
    let rows = [
        (left(ago(Duration::from_mins(5)), false), Duration::from_mins(10)),
        (left(ago(Duration::from_hours(5)), false), Duration::ZERO),
        (left(ago(Duration::from_mins(5)), true), Duration::ZERO),
        (left(None, false), Duration::ZERO),
        // The clock was set back meanwhile.
        (left(Some(START + Duration::from_hours(24)), false), QUARTER),
    ];
    for (left, expected) in rows {
        let mut plan = Plan::default();
        plan.schedule.recall(agent("a"), left.clone());
        plan.follow(&team(&["a"], QUARTER), START, 0.0);
        assert_eq!(plan.wait_of("a", START), expected, "{left:?}");
    }
}

#[test]
fn a_beat_of_an_earlier_process_is_the_only_one_until_it_ends() {
    let mut plan = Plan::default();
    let running = Some(WorkId::new("old"));
    plan.schedule.recall(agent("a"), Recalled { began: Some(START), running, is_woken: false });
    plan.follow(&team(&["a"], QUARTER), START, 0.0);
    let now = START + Duration::from_hours(1);
    assert!(plan.due(now).is_empty());
    plan.schedule.attempted(&agent("a"), &WorkId::new("old"), now);
    plan.schedule.ended(&agent("a"), &WorkId::new("old"), false, now);
    assert_eq!(plan.wait_of("a", now), QUARTER, "it began late, so the next one is late too");
}

/// A step of the property below.
#[derive(Clone, Debug)]
enum Change {
    Pass(u64),
    Jump(i64),
    Interval(u64),
    Remove,
    Wake,
    End,
}

fn change() -> impl Strategy<Value = Change> {
    const DAY: i64 = 86_400_000;
    prop_oneof![
        4 => (0..1_800_000_u64).prop_map(Change::Pass),
        1 => prop_oneof![Just(DAY), Just(-DAY), (-DAY..DAY)].prop_map(Change::Jump),
        1 => (1..60_u64).prop_map(Change::Interval),
        1 => Just(Change::Remove),
        1 => Just(Change::Wake),
        3 => Just(Change::End),
    ]
}

proptest! {
    /// Whatever happens to clock, interval and roster: one beat at a time, at most one unwoken beat in the shortest
    /// interval of true time (a clock that is set forward may add one), and never more than one interval until the next.
    #[test]
    fn beats_are_never_doubled_and_never_wedged(changes in prop::collection::vec(change(), 1..80)) {
        let mut plan = Plan::default();
        let (mut now, mut interval) = (START, QUARTER);
        let mut running: Option<WorkId> = None;
        let (mut passed, mut last, mut credit) = (0_u64, None::<u64>, false);
        let mut shortest = QUARTER;
        plan.follow(&team(&["a"], interval), now, 0.5);
        for change in changes {
            match change {
                Change::Pass(ms) => {
                    now = now + Duration::from_millis(ms);
                    passed += ms;
                }
                Change::Jump(ms) => {
                    now = Millis(now.0 + ms);
                    credit |= ms > 0;
                }
                Change::Interval(minutes) => {
                    interval = Duration::from_mins(minutes);
                    shortest = shortest.min(interval);
                    plan.follow(&team(&["a"], interval), now, 0.5);
                }
                Change::Remove => {
                    plan.follow(&[], now, 0.5);
                    plan.follow(&team(&["a"], interval), now, 0.5);
                    (running, credit) = (None, true);
                }
                Change::Wake => drop(plan.schedule.wake(&agent("a"), now)),
                Change::End => {
                    if let Some(id) = running.take() {
                        plan.schedule.ended(&agent("a"), &id, true, now);
                    }
                }
            }
            let due = plan.due(now);
            prop_assert!(due.len() <= 1 && (due.is_empty() || running.is_none()), "one at a time");
            for (_, id, woken) in due {
                let is_early = last.is_some_and(|last| u128::from(passed - last) < shortest.as_millis());
                prop_assert!(!is_early || woken || std::mem::take(&mut credit), "doubled");
                (running, last) = (Some(id), Some(passed));
            }
            if running.is_none() {
                let next = plan.schedule.wake_at(now).expect("it is scheduled");
                prop_assert!(next.since(now) <= interval, "{next} is later than {interval:?} after {now}");
            }
        }
    }
}

/// H-8, W-19: the heartbeats of many agents wait for free workers, and each starts once.
#[test]
fn heartbeats_have_the_worker_limit_of_deliveries() {
    let config = SchedulerConfig {
        workers: 2,
        list_limit: 50,
        calls_monthly: 900_000,
        intervals: PollIntervals {
            interval: QUARTER,
            idle_interval: QUARTER,
            backoff_base: QUARTER,
            backoff_max: QUARTER,
        },
        fold_max: 1,
        agent_limits: AgentLimitsConfig::default(),
    };
    let mut scheduler = Scheduler::new(config);
    let (mut running, mut started) = (Vec::new(), Vec::new());
    let offered = (0..5).map(|number| {
        let (id, agent) = (WorkId::new(format!("b{number}")), AgentId::new(format!("a{number}")));
        let beat = Beat { id, agent, created_at: START, woken: false };
        Some(Event::Offered(Arc::new(beat.into())))
    });
    let mut events: VecDeque<Option<Event>> = iter::once(None).chain(offered).collect();
    while let Some(event) = events.pop_front() {
        for effect in scheduler.on(event, START) {
            match effect {
                Effect::List { list, limit } => {
                    events.push_front(Some(Event::Listed {
                        list,
                        limit,
                        rows: Vec::new(),
                        malformed: 0,
                        dice: 0.5,
                    }));
                }
                Effect::Start(job) => {
                    started.push(job.work.id.to_string());
                    running.push(job);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(running.len() <= 2, "{running:?}");
        if events.is_empty()
            && let Some(job) = running.pop()
        {
            events.push_back(Some(Event::Finished(job, Outcome::Closed(End::Skipped(Skip::NothingNew)))));
        }
    }
    started.sort();
    assert_eq!(started, ["b0", "b1", "b2", "b3", "b4"]);
}
