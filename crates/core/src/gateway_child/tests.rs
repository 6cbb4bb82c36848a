//! What follows from each event of a gateway that the runtime runs.

use super::*;

const LIMITS: ChildLimits = ChildLimits {
    start: Duration::from_secs(100),
    patience: Duration::from_mins(5),
    drain: Duration::from_secs(330),
    hurry: Duration::from_secs(10),
    pause: Duration::from_secs(1),
    pause_max: Duration::from_mins(1),
};

fn at(seconds: i64) -> Millis {
    Millis(seconds * 1_000)
}

/// A schedule whose process runs since second 0.
fn running() -> ChildSchedule {
    let mut schedule = ChildSchedule::new(LIMITS, at(0));
    assert_eq!(schedule.next(0, at(0)), Some(ChildAction::Start));
    schedule.on(ChildEvent::Runs, at(0));
    schedule
}

/// A schedule whose process is ready since second 1.
fn ready() -> ChildSchedule {
    let mut schedule = running();
    schedule.on(ChildEvent::Ready, at(1));
    assert_eq!((schedule.state(), schedule.next(3, at(1))), (ChildState::Ready, None));
    schedule
}

#[test]
fn pauses_grow_until_the_process_was_ready_as_long_as_the_last_one() {
    let mut schedule = running();
    let (mut now, mut pauses) = (0, Vec::new());
    for _ in 0..8 {
        schedule.on(ChildEvent::Ended(Ended::Code(1)), at(now));
        assert_eq!(schedule.reason(), Some("the gateway has ended with exit code 1"));
        let due = schedule.due().unwrap();
        pauses.push(due.since(at(now)).as_secs());
        assert_eq!(schedule.next(0, Millis(due.0 - 1)), None);
        assert_eq!(schedule.next(0, due), Some(ChildAction::Start));
        now = due.0 / 1_000;
        schedule.on(ChildEvent::Runs, at(now));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(schedule.restarts(), 8);
    schedule.on(ChildEvent::Ready, at(now));
    assert_eq!(schedule.reason(), None, "a ready gateway has no reason");
    schedule.on(ChildEvent::Ended(Ended::Signal(9)), at(now + 60));
    assert_eq!(schedule.due(), Some(at(now + 61)), "it was ready for as long as the last pause");
    assert_eq!(schedule.last_end(), Some("was ended by signal 9"));
}

/// A gateway that is ready for two seconds and then ends, again and again: it is away for less than it is ready.
#[test]
fn short_lives_make_short_pauses() {
    let mut schedule = running();
    let (mut now, mut pauses) = (0, Vec::new());
    for lived in [0, 0, 2, 4, 2, 2, 2, 0] {
        schedule.on(ChildEvent::Ready, at(now));
        schedule.on(ChildEvent::Ended(Ended::Signal(9)), at(now + lived));
        let due = schedule.due().unwrap();
        pauses.push(due.since(at(now + lived)).as_secs());
        now = due.0 / 1_000;
        assert_eq!(schedule.next(0, due), Some(ChildAction::Start));
        schedule.on(ChildEvent::Runs, due);
    }
    assert_eq!(pauses, [1, 2, 1, 1, 1, 1, 1, 2]);
}

#[test]
fn a_command_that_cannot_be_started_is_tried_again() {
    let mut schedule = ChildSchedule::new(LIMITS, at(0));
    for (now, due) in [(0, 1), (1, 3), (3, 7)] {
        assert_eq!(schedule.next(0, at(now)), Some(ChildAction::Start));
        schedule.on(ChildEvent::NotStarted("no such file".to_owned()), at(now));
        assert_eq!((schedule.due(), schedule.reason()), (Some(at(due)), Some("no such file")));
        assert_eq!(schedule.restarts(), 0);
    }
}

#[test]
fn a_process_that_hangs_at_its_start_is_ended_and_started_again() {
    let mut schedule = running();
    assert_eq!((schedule.next(0, at(99)), schedule.due()), (None, Some(at(100))));
    assert_eq!(schedule.next(0, at(100)), Some(ChildAction::Terminate));
    assert_eq!((schedule.next(0, at(109)), schedule.due()), (None, Some(at(110))));
    assert_eq!(schedule.next(0, at(110)), Some(ChildAction::Kill));
    schedule.on(ChildEvent::Ended(Ended::Signal(9)), at(110));
    assert_eq!(schedule.reason(), Some("the gateway was not ready within 100 s of its start"));
    assert_eq!((schedule.state(), schedule.due()), (ChildState::Waiting, Some(at(111))));
    // An answer that comes too late changes nothing.
    schedule.on(ChildEvent::Ready, at(110));
    assert_eq!(schedule.state(), ChildState::Waiting);
}

#[test]
fn other_keys_restart_the_process_when_no_turn_runs() {
    let mut schedule = ready();
    schedule.on(ChildEvent::OtherKeys, at(10));
    assert_eq!(schedule.next(2, at(10)), None);
    schedule.on(ChildEvent::OtherKeys, at(20));
    assert_eq!(schedule.due(), Some(at(310)), "the patience counts from the first change");
    assert_eq!(schedule.next(1, at(309)), None);
    assert_eq!(schedule.next(0, at(309)), Some(ChildAction::Terminate));
    assert_eq!((schedule.next(0, at(309)), schedule.state()), (None, ChildState::Stopping));
    schedule.on(ChildEvent::Ended(Ended::Code(0)), at(312));
    assert_eq!(schedule.next(0, at(312)), Some(ChildAction::Start), "without a pause");
    schedule.on(ChildEvent::Runs, at(312));
    schedule.on(ChildEvent::Ready, at(313));
    assert_eq!((schedule.next(0, at(313)), schedule.reason()), (None, None), "one restart for both changes");
}

#[test]
fn turns_that_never_end_are_finished_by_the_gateway_itself() {
    let mut schedule = ready();
    schedule.on(ChildEvent::OtherKeys, at(10));
    assert_eq!(schedule.next(1, at(310)), Some(ChildAction::Terminate));
    // Keys that change now are read by the next process.
    schedule.on(ChildEvent::OtherKeys, at(320));
    assert_eq!(schedule.next(1, at(639)), None);
    assert_eq!(schedule.next(1, at(640)), Some(ChildAction::Kill));
    schedule.on(ChildEvent::Ended(Ended::Signal(9)), at(641));
    assert_eq!(schedule.next(0, at(641)), Some(ChildAction::Start));
    schedule.on(ChildEvent::Runs, at(641));
    assert_eq!(schedule.next(0, at(641)), None);
}

#[test]
fn other_keys_during_a_start_do_not_wait_for_it() {
    let mut schedule = running();
    // A gateway that fails without the key is started at once with it.
    for now in [0, 1] {
        schedule.on(ChildEvent::Ended(Ended::Code(1)), at(now));
        let due = schedule.due().unwrap();
        assert_eq!(schedule.next(0, due), Some(ChildAction::Start));
        schedule.on(ChildEvent::Runs, due);
    }
    schedule.on(ChildEvent::OtherKeys, at(5));
    assert_eq!(schedule.next(0, at(5)), Some(ChildAction::Terminate));
    schedule.on(ChildEvent::Ended(Ended::Code(0)), at(6));
    assert_eq!(schedule.next(0, at(6)), Some(ChildAction::Start));
    schedule.on(ChildEvent::Runs, at(6));
    schedule.on(ChildEvent::Ended(Ended::Code(1)), at(6));
    assert_eq!(schedule.due(), Some(at(7)), "the next pause is short");
}

/// A gateway that was taken over may have turns of the earlier runtime, whether or not it answers at once.
#[test]
fn a_gateway_that_was_taken_over_may_finish_its_turns() {
    let mut schedule = ChildSchedule::new(LIMITS, at(0));
    schedule.on(ChildEvent::TakenOver, at(0));
    schedule.on(ChildEvent::OtherKeys, at(0));
    assert_eq!(schedule.next(0, at(0)), Some(ChildAction::Terminate));
    assert_eq!((schedule.next(0, at(329)), schedule.next(0, at(330))), (None, Some(ChildAction::Kill)));
    assert_eq!(schedule.restarts(), 0);
}

#[test]
fn a_stop_ends_every_phase() {
    let within = Duration::from_secs(5);
    let mut waiting = ChildSchedule::new(LIMITS, at(0));
    waiting.on(ChildEvent::Stop(within), at(0));
    assert!(waiting.is_done() && waiting.next(0, at(9)).is_none() && waiting.due().is_none());

    for mut schedule in [running(), ready()] {
        schedule.on(ChildEvent::Stop(within), at(10));
        assert_eq!(schedule.next(9, at(10)), Some(ChildAction::Terminate));
        assert_eq!(schedule.next(9, at(14)), None);
        assert_eq!(schedule.next(9, at(15)), Some(ChildAction::Kill));
        schedule.on(ChildEvent::Ended(Ended::Signal(9)), at(15));
        assert!(schedule.is_done() && schedule.next(0, at(99)).is_none());
    }

    // A stop during a restart shortens it.
    let mut schedule = ready();
    schedule.on(ChildEvent::OtherKeys, at(10));
    assert_eq!(schedule.next(0, at(10)), Some(ChildAction::Terminate));
    schedule.on(ChildEvent::Stop(within), at(11));
    assert_eq!((schedule.next(0, at(15)), schedule.next(0, at(16))), (None, Some(ChildAction::Kill)));
    schedule.on(ChildEvent::Ended(Ended::Code(0)), at(17));
    assert!(schedule.is_done());
}
