//! Another runtime on the same account, as the lists show it.

use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::delivery::agent_limits::AgentLimitsConfig;
use mission_control_runtime::delivery::duplicate_runtime::Predecessor;
use mission_control_runtime::delivery::scheduler::{
    Effect, Event, PollIntervals, RecoveredState, Scheduler, SchedulerConfig,
};
use mission_control_runtime::delivery::{End, Job, Outcome};
use mission_control_runtime::model::Notification;
use mission_control_runtime::wake_query::WakeSignal;
use serde_json::{Value, json};

use super::two_dispatchers::{RuntimePair, WORKERS};

/// How many pairs of each kind are tried; a thousand of them have been.
const SEEDS: u64 = 10;

pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// The least time between two signs of another runtime that prove that it is alive.
const STAND_BACK: Duration = Duration::from_mins(2);

fn intervals() -> PollIntervals {
    PollIntervals {
        interval: INTERVAL,
        idle_interval: Duration::from_mins(1),
        backoff_base: INTERVAL,
        backoff_max: Duration::from_mins(5),
    }
}

/// A row; its task has the same name.
pub(super) fn row(id: &str, more: &Value) -> Notification {
    let mut row = json!({"_id": id, "type": "thread_update", "recipientType": "agent", "recipientId": "agent",
        "taskId": id, "title": "", "body": "", "createdAt": 10});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

pub(super) fn untouched(id: &str) -> Notification {
    row(id, &json!({}))
}

/// The dispatcher and the lists that it requests.
pub(super) struct Watch {
    dispatcher: Scheduler,
    pub(super) now: Millis,
    begun: Vec<Job>,
    pub(super) left: usize,
    /// Comes from the wake query after each list.
    pub(super) signal: Option<WakeSignal>,
}

impl Watch {
    fn new() -> Self {
        Self::after(Predecessor::Unknown)
    }

    pub(super) fn after(predecessor: Predecessor) -> Self {
        let plan = SchedulerConfig {
            workers: 2,
            list_limit: 50,
            calls_monthly: 900_000,
            intervals: intervals(),
            fold_max: 1,
            agent_limits: AgentLimitsConfig::default(),
        };
        let left = RecoveredState { predecessor, ..RecoveredState::default() };
        Self {
            dispatcher: Scheduler::with(plan, left, Millis(0)),
            now: Millis(0),
            begun: Vec::new(),
            left: 0,
            signal: None,
        }
    }

    /// A dispatcher that has ruled out another runtime, on an empty board.
    fn alone() -> Self {
        let mut watch = Self::new();
        watch.sees(&[], 0.0);
        watch
    }

    /// Waits for the next list and answers it.
    pub(super) fn sees(&mut self, rows: &[Notification], dice: f64) {
        let (list, limit) = self.next_list();
        let rows = rows.to_vec();
        self.tell(Some(Event::Listed { list, limit, rows, malformed: 0, dice }));
        if let Some(signal) = self.signal {
            self.tell(Some(Event::WakeQuery(signal)));
        }
    }

    pub(super) fn next_list(&mut self) -> (u64, u32) {
        for _ in 0..100 {
            for effect in self.dispatcher.on(None, self.now) {
                if let Effect::List { list, limit } = effect {
                    return (list, limit);
                }
                self.carry_out(effect);
            }
            self.now = self.dispatcher.wake_at(self.now).expect("it wants no list any more");
        }
        panic!("no list in a hundred steps");
    }

    /// Lists until this much time has passed.
    pub(super) fn sees_for(&mut self, span: Duration, rows: &[Notification], dice: f64) {
        let until = self.now + span;
        while self.now < until && self.left == 0 {
            self.sees(rows, dice);
        }
    }

    pub(super) fn tell(&mut self, event: Option<Event>) {
        for effect in self.dispatcher.on(event, self.now) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start(job) => self.begun.push(*job),
            Effect::Leave => self.left += 1,
            Effect::List { .. } => panic!("a list that was not expected"),
            Effect::Probe | Effect::Forget(_) | Effect::Operator(_) => {}
        }
    }

    pub(super) fn begun(&self) -> Vec<&str> {
        self.begun.iter().map(|job| job.work.id.as_str()).collect()
    }

    pub(super) fn suspects(&self) -> Option<bool> {
        self.dispatcher.state().foreign.map(|foreign| foreign.certain)
    }
}

/// A row in the two lists at the start, and whether another runtime is suspected. One sign alone ends no runtime.
#[test]
fn a_changed_mark_between_the_first_two_lists_delays_the_start() {
    let read = json!({"readAt": 20});
    let failed = json!({"readAt": 20, "deliveryEndedAt": 30});
    let gone = Value::Null;
    let rows = [
        ("nothing happens to it", json!({}), json!({}), false),
        ("nothing happens to one that was read", read.clone(), read.clone(), false),
        ("nothing happens to one that failed", failed.clone(), failed.clone(), false),
        ("it is read", json!({}), read.clone(), true),
        ("it is read anew", read.clone(), json!({"readAt": 21}), true),
        ("its attempt ends", read.clone(), failed.clone(), true),
        ("its next attempt begins", failed.clone(), read.clone(), true),
        ("its next attempt ends", failed.clone(), json!({"readAt": 20, "deliveryEndedAt": 31}), true),
        ("it is delivered", read.clone(), json!({"readAt": 20, "deliveredAt": 40}), true),
        ("it is answered and gone", read.clone(), gone.clone(), true),
        ("it is deleted untouched", json!({}), gone.clone(), false),
        ("it is deleted after its attempt", failed.clone(), gone.clone(), false),
        (
            "later words come into it",
            read.clone(),
            json!({"readAt": 20, "messageId": "m2", "createdAt": 99}),
            false,
        ),
        ("the backend reset the mark of a silent runtime", read.clone(), json!({}), false),
        ("the backend reset the mark after a failure", failed.clone(), json!({"deliveryEndedAt": 30}), false),
        ("a row comes in", gone.clone(), json!({}), false),
        ("a row comes in and is read", gone, read, true),
    ];
    for (what, before, after, suspects) in rows {
        for dice in [0.0, 0.5, 1.0] {
            let list = |marks: &Value| -> Vec<Notification> {
                let other = untouched("other");
                [other].into_iter().chain((!marks.is_null()).then(|| row("it", marks))).collect()
            };
            let mut watch = Watch::new();
            watch.sees(&list(&before), dice);
            watch.sees_for(INTERVAL.mul_f64(0.2 + 0.8 * dice), &list(&before), dice);
            assert_eq!((watch.left, watch.begun().len()), (0, 0), "{what}: two lists are compared");
            watch.sees_for(INTERVAL, &list(&after), dice);
            assert_eq!(watch.left, 0, "{what}: one sign is not enough to leave");
            assert_eq!(watch.begun().is_empty(), suspects, "{what}: {:?}", watch.begun());
            assert_eq!(watch.suspects(), suspects.then_some(false), "{what}");
        }
    }
}

/// A call of a predecessor that was just killed may arrive after our first list.
#[test]
fn a_change_before_the_first_list_proves_nothing() {
    let mut watch = Watch::new();
    watch.sees(&[untouched("a")], 0.5);
    let read = [row("a", &json!({"readAt": 20}))];
    watch.sees_for(INTERVAL.mul_f64(1.8), &read, 0.5);
    assert_eq!((watch.left, watch.begun()), (0, vec!["a"]));
}

/// The backend receives late calls of a runtime that was killed: once, or several calls within a minute. The new runtime
/// waits for minutes and then delivers.
#[test]
fn late_calls_of_a_killed_runtime_only_delay_the_start() {
    for (late, dice) in [(1, 0.0), (1, 1.0), (2, 0.0), (5, 0.5), (12, 1.0)] {
        let rows = |read: usize| -> Vec<Notification> {
            let marked = |n| {
                if n < read {
                    row(&format!("r{n}"), &json!({"readAt": 20}))
                } else {
                    untouched(&format!("r{n}"))
                }
            };
            (0..20).map(marked).collect()
        };
        let mut watch = Watch::new();
        watch.sees(&rows(0), dice);
        watch.sees_for(INTERVAL.mul_f64(0.2 + 0.8 * dice), &rows(0), dice);
        for read in 1..=late {
            watch.sees_for(INTERVAL, &rows(read), dice);
        }
        assert_eq!((watch.left, watch.begun().len()), (0, 0), "{late} late calls: it stands back");
        assert_eq!(watch.suspects(), Some(false), "{late} late calls: it says so");
        let since = watch.now;
        while watch.begun.is_empty() && watch.left == 0 {
            watch.sees(&rows(late), dice);
            assert!(watch.now.since(since) < 2 * STAND_BACK + 10 * INTERVAL, "{late} late calls: it decides");
        }
        assert_eq!((watch.left, watch.suspects()), (0, None), "{late} late calls: it goes on");
    }
}

/// Late calls that arrive after an empty board let the runtime begin at once.
#[test]
fn late_calls_during_deliveries_do_not_end_a_runtime() {
    for dice in [0.0, 0.5, 1.0] {
        let mut watch = Watch::alone();
        let rows = |read: i64| {
            [row("x", &json!({"readAt": 20})), row("y", &json!({"readAt": 20 + read})), untouched("z")]
        };
        watch.sees(&[untouched("x"), untouched("y"), untouched("z")][2..], dice);
        assert_eq!(watch.begun(), ["z"]);
        // A new call arrives with each list for a minute.
        watch.sees(&rows(0), dice);
        let since = watch.now;
        let mut read = 0;
        while watch.now.since(since) < Duration::from_mins(1) {
            read += 1;
            watch.sees(&rows(read), dice);
        }
        while watch.suspects().is_some() {
            watch.sees(&rows(read), dice);
            assert_eq!(watch.left, 0, "{dice}");
            assert!(watch.now.since(since) < Duration::from_mins(10), "{dice}: it decides");
        }
    }
}

/// A runtime that is still active minutes later is alive, so one of the two leaves. An empty board between proves nothing.
#[test]
fn a_runtime_leaves_after_two_signs_of_another() {
    for (dice, empty) in [(0.0, false), (0.5, false), (1.0, false), (0.0, true), (1.0, true)] {
        let mut watch = Watch::new();
        watch.sees(&[untouched("a")], dice);
        watch.sees_for(INTERVAL.mul_f64(0.2 + 0.8 * dice), &[untouched("a")], dice);
        watch.sees_for(INTERVAL, &[row("a", &json!({"readAt": 20})), untouched("b")], dice);
        let proven = watch.now;
        if empty {
            watch.sees_for(STAND_BACK / 2, &[], dice);
            assert_eq!(watch.suspects(), Some(false), "an empty board does not end the wait");
        }
        let mut stamp = 100;
        while watch.left == 0 {
            stamp += 1;
            watch.sees(&[untouched("b"), row("x", &json!({"readAt": stamp}))], dice);
            assert_eq!(watch.begun().len(), 0, "nothing begins meanwhile");
            assert!(watch.now.since(proven) < 2 * STAND_BACK + 10 * INTERVAL, "it decides");
        }
        assert!(watch.now.since(proven) >= STAND_BACK, "the two signs are minutes apart");
        assert_eq!(watch.suspects(), Some(true));
    }
}

#[test]
fn the_start_is_delayed_by_at_most_two_intervals() {
    let mut watch = Watch::alone();
    watch.sees(&[untouched("a")], 0.0);
    assert_eq!(watch.begun(), ["a"]);
    for dice in [0.0, 1.0] {
        let mut watch = Watch::new();
        while watch.begun.is_empty() {
            watch.sees(&[untouched("a")], dice);
        }
        let waited = watch.now.since(Millis(0));
        let want = INTERVAL.mul_f64(1.2 + 0.8 * dice);
        assert!(waited >= want && waited < want + Duration::from_millis(100), "{dice}: {waited:?}");
    }
}

/// Changes in a later list, and whether they show another runtime.
#[test]
fn later_only_rows_that_were_never_ours_show_another_runtime() {
    let ours = || [row("a", &json!({"readAt": 20})), row("b", &json!({"readAt": 21})), untouched("c")];
    let with = |more: Notification| ours().into_iter().chain([more]).collect::<Vec<_>>();
    let [a, b, _] = ours();
    let rows = [
        ("our own are read", ours().to_vec(), false),
        (
            "our own fails",
            vec![row("a", &json!({"readAt": 20, "deliveryEndedAt": 22})), b.clone(), untouched("c")],
            false,
        ),
        ("one that waits is read", vec![a.clone(), b.clone(), row("c", &json!({"readAt": 23}))], true),
        ("one comes in", with(untouched("d")), false),
        ("one comes in and is read", with(row("d", &json!({"readAt": 23}))), true),
        (
            "a person's comes in and is read",
            with(row("d", &json!({"readAt": 23, "recipientType": "user"}))),
            false,
        ),
        (
            "one that waits gets later words",
            vec![a.clone(), b.clone(), row("c", &json!({"createdAt": 99}))],
            false,
        ),
        ("one that waits is deleted", vec![a, b], false),
    ];
    for (what, after, found) in rows {
        let mut watch = Watch::alone();
        watch.sees(&[untouched("a"), untouched("b"), untouched("c")], 0.0);
        assert_eq!(watch.begun(), ["a", "b"]);
        watch.sees(&after, 0.5);
        assert_eq!(watch.suspects(), found.then_some(false), "{what}");
        assert_eq!(watch.left, 0, "{what}");
    }
}

/// Rows that this runtime started and gave back were read by it, however long ago.
#[test]
fn rows_that_were_given_back_stay_ours() {
    let mut watch = Watch::alone();
    watch.sees(&[untouched("a")], 0.0);
    let job = watch.begun.pop().unwrap();
    let trouble = mission_control_runtime::delivery::Trouble::NoContext;
    watch.tell(Some(Event::Finished(
        Box::new(job),
        Outcome::Again { trouble, pause: Some(Duration::from_mins(10)) },
    )));
    for ended in 0..20 {
        watch.sees(&[row("a", &json!({"readAt": 20, "deliveryEndedAt": 30 + ended}))], 0.5);
    }
    assert_eq!(watch.suspects(), None);
}

/// Nothing starts for a random time. Then, without further changes, the runtime continues. Otherwise it waits for minutes,
/// lists again and leaves. Running work may end in that time.
#[test]
fn after_a_sign_of_another_the_runtime_waits_and_continues_or_leaves() {
    for (dice, goes_on) in [(0.0, false), (0.25, false), (1.0, false), (0.0, true), (0.5, true), (1.0, true)]
    {
        let mut watch = Watch::alone();
        watch.sees(&[untouched("a")], 0.0);
        watch.sees(&[untouched("a"), row("x", &json!({"readAt": 20}))], dice);
        let seen = watch.now;
        assert_eq!(watch.suspects(), Some(false));
        let job = watch.begun.pop().unwrap();
        watch.tell(Some(Event::Finished(Box::new(job), Outcome::Closed(End::Answered(1)))));
        let hold = Duration::from_mins(1).mul_f64(dice);
        let mut stamp = 100;
        while watch.left == 0 && watch.begun.is_empty() {
            stamp += i64::from(!goes_on);
            watch.sees(&[untouched("b"), row("x", &json!({"readAt": stamp}))], 0.5);
            let back = if goes_on { Duration::ZERO } else { STAND_BACK.mul_f64(1.5) + 10 * INTERVAL };
            assert!(watch.now.since(seen) < hold + back + 2 * INTERVAL, "it decides");
        }
        assert_eq!((watch.left, watch.begun.is_empty()), (usize::from(!goes_on), !goes_on), "{dice}");
        let waited = watch.now.since(seen);
        assert!(waited >= hold, "{dice}: {waited:?}");
        assert_eq!(watch.suspects(), (!goes_on).then_some(true));
        assert_eq!(watch.left > 0, watch.dispatcher.wake_at(watch.now).is_none(), "who leaves lists no more");
    }
}

/// Two runtimes start at the same instant or after each other, with 200 rows and more to come. One leaves and one stays,
/// nothing is posted twice, and at most as many turns are sent twice as both have workers.
#[test]
#[allow(clippy::print_stdout, reason = "figures, visible with --nocapture")]
fn one_of_two_runtimes_stays() {
    let starts = [
        (false, 0, (50, 4_000)),
        (false, 0, (2_000, 60_000)),
        (false, 30, (50, 4_000)),
        (false, 12_000, (500, 30_000)),
        (true, 0, (50, 4_000)),
        (true, 0, (1_000, 1_001)),
        (true, 2_500, (2_000, 60_000)),
    ];
    for (late, apart, turns) in starts {
        let mut doubled = Vec::new();
        for seed in 0..SEEDS {
            let outcomes = RuntimePair::new(seed, (200, late), Duration::from_millis(apart), turns).run();
            let case = format!("seed {seed}, {apart} ms apart, turns of {turns:?} ms: {outcomes:?}");
            assert_eq!((outcomes.left, outcomes.open, outcomes.doubled_posts), (1, 0, 0), "{case}");
            assert!(outcomes.doubled_turns <= 2 * WORKERS, "{case}");
            doubled.push(outcomes.doubled_turns);
        }
        doubled.sort_unstable();
        let without = doubled.iter().filter(|turns| **turns == 0).count();
        println!(
            "{apart} ms apart, turns of {turns:?} ms: doubled at worst {:?}, none in {without} of {SEEDS}",
            doubled.last()
        );
    }
}
