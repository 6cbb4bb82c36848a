//! The steps of restarts and upgrades: every step lost, late, doubled, and crossed by a restart of the process or by a
//! backend that goes away.

mod trials;

use std::time::Duration;

use super::*;
use mcr_model::clock::Millis;
use mcr_model::{PendingUpgrade, UpgradeStrategy, Word};

const DRAIN: Duration = Duration::from_secs(25);
const CONFIRM: Duration = Duration::from_mins(1);

/// A runtime whose process ends and starts again with what was stored.
struct World {
    machine: UpgradeMachine,
    command: bool,
    now: Millis,
    up: Duration,
    condition: ServiceSigns,
    /// The effects since they were last taken.
    effects: Vec<UpgradeEffect>,
    /// What a process that is killed now leaves on the disk.
    stored: String,
}

fn setup(version: &str, has_command: bool) -> UpgradeSetup {
    UpgradeSetup { version: version.to_owned(), has_command, drain: DRAIN, confirm: CONFIRM }
}

fn request(at: i64, runtime: &str) -> PendingUpgrade {
    PendingUpgrade {
        target_openclaw_version: "2026.3.31".to_owned(),
        target_runtime_version: runtime.to_owned(),
        initiated_at: Millis(at),
        initiated_by: "user_dana".to_owned(),
        strategy: Word::Known(UpgradeStrategy::Rolling),
    }
}

impl World {
    fn new(command: bool) -> Self {
        let condition = ServiceSigns {
            turns: 0,
            is_alive: true,
            is_ready: true,
            backend_answers: true,
            openclaw: Some("2026.3.31".to_owned()),
        };
        let machine = UpgradeMachine::new(setup("1.0.0", command), UpgradeMemory::default());
        let (now, up, effects) = (Millis(1_796_000_000_000), Duration::ZERO, Vec::new());
        let mut world = Self { machine, command, now, up, condition, effects, stored: "{}".to_owned() };
        world.on(UpgradeEvent::Started);
        world.tick();
        world
    }

    fn on(&mut self, event: UpgradeEvent<'_>) {
        let moment = Moment { now: self.now, up: self.up };
        let effects = self.machine.on(event, moment);
        self.effects.extend(effects);
        self.stored = serde_json::to_string(self.machine.memory()).unwrap();
    }

    fn tick(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        self.up += Duration::from_secs(1);
        let condition = self.condition.clone();
        self.on(UpgradeEvent::Tick(&condition));
    }

    fn ticks(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.tick();
        }
    }

    fn take(&mut self) -> Vec<UpgradeEffect> {
        std::mem::take(&mut self.effects)
    }

    /// The process is gone, and one of this version starts.
    fn start(&mut self, version: &str) {
        let memory = serde_json::from_str(&self.stored).unwrap();
        self.machine = UpgradeMachine::new(setup(version, self.command), memory);
        self.up = Duration::ZERO;
        self.on(UpgradeEvent::Started);
    }

    fn operation(&self) -> &RequestedOperation {
        self.machine.memory().operation.as_ref().unwrap()
    }

    fn step(&self) -> Step {
        self.operation().step
    }

    fn outcome(&self) -> (OutcomeKind, String) {
        let outcome = self.operation().outcome.clone().expect("it is over");
        (outcome.kind, outcome.reason.unwrap_or_default())
    }

    /// A runtime whose command installs 2.0.0: about to end.
    fn armed(command: bool) -> Self {
        let mut world = Self::new(command);
        world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
        world.ticks(2);
        if command {
            world.on(UpgradeEvent::CommandEnded(Ok(())));
        }
        assert_eq!((world.step(), world.take().pop()), (Step::Arm, Some(UpgradeEffect::Leave)));
        world
    }
}

#[test]
fn a_restart_drains_and_ends_the_process_once() {
    let mut world = World::new(false);
    world.condition.turns = 2;
    world.on(UpgradeEvent::Restart);
    assert_eq!((world.step(), world.take()), (Step::Accept, vec![]), "stored first");
    world.on(UpgradeEvent::Restart);
    world.tick();
    assert_eq!((world.step(), world.take()), (Step::Drain, vec![UpgradeEffect::Hold(true)]));
    world.ticks(24);
    assert_eq!(world.take(), []);
    world.condition.turns = 0;
    world.ticks(9);
    assert_eq!((world.step(), world.take()), (Step::Arm, vec![UpgradeEffect::Leave]), "once");
    world.start("1.0.0");
    world.ticks(200);
    assert_eq!((world.outcome().0, world.take()), (OutcomeKind::Succeeded, vec![]));
    assert!(world.machine.can_accept() && !world.machine.wants_answer());
}

#[test]
fn turns_that_do_not_end_delay_a_restart_until_the_drain_is_over() {
    let mut world = World::new(false);
    world.condition.turns = 1;
    world.on(UpgradeEvent::Restart);
    world.ticks(25);
    assert_eq!(world.take(), [UpgradeEffect::Hold(true)]);
    world.ticks(2);
    assert_eq!(world.take(), [UpgradeEffect::Leave]);
}

#[test]
fn a_restart_that_is_cut_off_at_any_step_is_a_restart() {
    for ticks in 0..4 {
        let mut world = World::new(true);
        world.on(UpgradeEvent::Restart);
        world.ticks(ticks);
        world.take();
        world.start("1.0.0");
        world.ticks(100);
        assert_eq!(
            (world.outcome().0, world.take()),
            (OutcomeKind::Succeeded, vec![]),
            "after {ticks} ticks"
        );
    }
}

#[test]
fn an_operator_cancels_before_the_drain_ends_and_not_later() {
    let mut world = World::new(false);
    world.condition.turns = 1;
    world.on(UpgradeEvent::Restart);
    world.ticks(3);
    world.on(UpgradeEvent::Cancelled);
    assert_eq!(world.take(), [UpgradeEffect::Hold(true), UpgradeEffect::Hold(false)]);
    assert_eq!(world.outcome().0, OutcomeKind::Cancelled);
    let mut world = World::armed(false);
    world.on(UpgradeEvent::Cancelled);
    world.on(UpgradeEvent::Pending(None));
    assert_eq!((world.step(), world.take()), (Step::Arm, vec![]));
}

#[test]
fn an_upgrade_that_is_withdrawn_in_time_changes_nothing() {
    let mut world = World::new(true);
    world.condition.turns = 1;
    world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
    world.ticks(2);
    world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
    assert_eq!(world.step(), Step::Drain);
    world.on(UpgradeEvent::Pending(None));
    assert_eq!(world.take(), [UpgradeEffect::Hold(true), UpgradeEffect::Hold(false)]);
    assert_eq!(world.outcome().0, OutcomeKind::Cancelled);
    assert!(!world.machine.wants_answer(), "Mission Control withdrew it itself");
    // Another request in its place is another operation.
    world.on(UpgradeEvent::Pending(Some(&request(8, "2.0.1"))));
    world.ticks(1);
    world.on(UpgradeEvent::Pending(Some(&request(9, "2.0.2"))));
    assert_eq!((world.operation().id, world.step()), (Millis(9), Step::Accept));
}

#[test]
fn all_strategies_are_carried_out_and_each_id_once() {
    for strategy in ["immediate", "rolling", "canary", "a later word"] {
        let mut world = World::new(false);
        let request = PendingUpgrade {
            strategy: strategy.parse().map_or_else(|()| Word::Unknown(strategy.to_owned()), Word::Known),
            ..request(7, "2.0.0")
        };
        for _ in 0..3 {
            world.on(UpgradeEvent::Pending(Some(&request)));
            world.ticks(2);
        }
        assert_eq!(world.take(), [UpgradeEffect::Hold(true), UpgradeEffect::Leave], "{strategy}");
    }
}

#[test]
fn without_a_command_the_same_version_is_reported_as_failed_once_and_never_left_again() {
    let mut world = World::armed(false);
    let pending = request(7, "2.0.0");
    world.start("1.0.0");
    let (kind, reason) = world.outcome();
    assert_eq!(kind, OutcomeKind::Failed);
    assert!(reason.contains("UPGRADE_COMMAND is not set"), "{reason}");
    for _ in 0..5 {
        world.on(UpgradeEvent::Pending(Some(&pending)));
        assert_eq!(world.take(), [UpgradeEffect::Report]);
        // The answer is lost; the process starts again; Mission Control still shows the request.
        world.on(UpgradeEvent::Reported(Delivered::Unknown));
        world.start("1.0.0");
        world.ticks(70);
    }
    world.on(UpgradeEvent::Pending(None));
    world.on(UpgradeEvent::Pending(Some(&pending)));
    assert_eq!(world.take(), [], "the last report had arrived");
    assert!(!world.machine.wants_answer());
}

#[test]
fn a_version_that_works_for_a_minute_is_confirmed_and_reported() {
    for command in [true, false] {
        let mut world = World::armed(command);
        world.start("2.0.0");
        assert_eq!((world.step(), world.operation().boots), (Step::Confirm, 1));
        assert_eq!(world.machine.memory().reported_version("2.0.0"), "1.0.0");
        world.ticks(59);
        assert_eq!(world.step(), Step::Confirm);
        world.tick();
        assert_eq!((world.outcome().0, world.take()), (OutcomeKind::Succeeded, vec![]));
        assert_eq!(world.machine.memory().reported_version("2.0.0"), "1.0.0", "until the result is reported");
        world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
        world.on(UpgradeEvent::Reported(Delivered::Taken));
        world.on(UpgradeEvent::Pending(None));
        assert_eq!(world.take(), [UpgradeEffect::Report]);
        assert_eq!(world.machine.memory().reported_version("2.0.0"), "2.0.0");
    }
}

#[test]
fn a_failed_command_leaves_the_running_version_at_work() {
    let mut world = World::new(true);
    world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
    world.ticks(2);
    assert_eq!(world.take(), [UpgradeEffect::Hold(true), UpgradeEffect::Run(UpgradeAction::Upgrade)]);
    world.ticks(500);
    assert_eq!((world.step(), world.take()), (Step::Run, vec![]), "the command has its own limit");
    world.on(UpgradeEvent::CommandEnded(Err("it does not exist".to_owned())));
    world.on(UpgradeEvent::CommandEnded(Err("twice".to_owned())));
    assert_eq!(world.take(), [UpgradeEffect::Hold(false)]);
    assert_eq!(world.outcome(), (OutcomeKind::Failed, "it does not exist".to_owned()));
    world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
    assert_eq!(world.take(), [UpgradeEffect::Report]);
}

#[test]
fn a_crash_while_the_command_runs_is_judged_by_the_version_that_runs_next() {
    let at_the_command = || {
        let mut world = World::new(true);
        world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
        world.ticks(2);
        world.take();
        world
    };
    let mut world = at_the_command();
    world.start("1.0.0");
    world.ticks(59);
    assert_eq!(world.step(), Step::Run, "an installer may still be at work");
    world.start("2.0.0");
    world.ticks(60);
    assert_eq!(world.outcome().0, OutcomeKind::Succeeded);
    let mut world = at_the_command();
    world.start("1.0.0");
    world.ticks(60);
    let (kind, reason) = world.outcome();
    assert!(kind == OutcomeKind::Failed && reason.contains("1.0.0 still runs"), "{reason}");
    let mut world = at_the_command();
    world.start("3.0.0");
    let (kind, reason) = world.outcome();
    assert!(
        kind == OutcomeKind::Failed && reason.contains("3.0.0 was installed instead of 2.0.0"),
        "{reason}"
    );
    assert_eq!(world.take(), [], "no process was ended twice");
}

#[test]
fn requests_that_cannot_be_carried_out_fail_without_a_restart() {
    for (version, words) in [
        ("", "letters, digits"),
        ("2.0/../0", "letters, digits"),
        ("2;reboot", "letters, digits"),
        ("2\n3", "letters, digits"),
    ] {
        let mut world = World::new(true);
        world.on(UpgradeEvent::Pending(Some(&request(7, version))));
        world.ticks(100);
        let (kind, reason) = world.outcome();
        assert!(kind == OutcomeKind::Failed && reason.contains(words), "{reason}");
        assert_eq!(world.take(), []);
    }
    let mut world = World::new(true);
    world.on(UpgradeEvent::Pending(Some(&request(7, "1.0.0"))));
    assert_eq!(world.machine.memory().operation, None, "both versions run already");
}

#[test]
fn an_upgrade_of_the_gateway_is_not_called_done() {
    let mut world = World::new(true);
    let pending = PendingUpgrade { target_openclaw_version: "2026.9.6".to_owned(), ..request(7, "2.0.0") };
    world.on(UpgradeEvent::Pending(Some(&pending)));
    world.ticks(2);
    world.on(UpgradeEvent::CommandEnded(Ok(())));
    world.start("2.0.0");
    world.ticks(60);
    let (kind, reason) = world.outcome();
    assert!(
        kind == OutcomeKind::Failed && reason.contains("OpenClaw is 2026.3.31 instead of 2026.9.6"),
        "{reason}"
    );
}

#[test]
fn a_process_that_starts_in_the_drain_first_asks_whether_the_request_stands() {
    for withdrawn in [false, true] {
        let mut world = World::new(true);
        world.condition.turns = 1;
        world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
        world.ticks(5);
        world.take();
        world.start("1.0.0");
        world.condition.turns = 0;
        world.ticks(100);
        assert_eq!(world.take(), [UpgradeEffect::Hold(true)], "the backend is away");
        world.on(UpgradeEvent::Pending((!withdrawn).then(|| request(7, "2.0.0")).as_ref()));
        world.tick();
        let expected =
            if withdrawn { UpgradeEffect::Hold(false) } else { UpgradeEffect::Run(UpgradeAction::Upgrade) };
        assert_eq!(world.take(), [expected]);
    }
}

/// Reports: what Mission Control shows, whether a report was sent before, and whether one is sent now.
#[test]
fn a_result_is_reported_once() {
    let late = Millis(1_796_000_000_000 - 31 * 60_000);
    for (id, kind, attempted, shown, sent) in [
        (Millis(7), OutcomeKind::Failed, false, true, true),
        (Millis(7), OutcomeKind::Failed, true, true, true),
        (Millis(7), OutcomeKind::Failed, true, false, false),
        // It has timed out there, which says nothing about the rollback.
        (Millis(7), OutcomeKind::RolledBack, false, false, true),
        (late, OutcomeKind::Succeeded, false, false, true),
        // Mission Control saw the version itself.
        (Millis(1_795_999_999_000), OutcomeKind::Succeeded, false, false, false),
    ] {
        let mut world = World::new(true);
        world.on(UpgradeEvent::Pending(Some(&request(id.0, "2.0.0"))));
        let mut memory = world.machine.memory().clone();
        let operation = memory.operation.as_mut().unwrap();
        operation.step = Step::Done;
        operation.outcome = Some(UpgradeOutcome { kind, reason: None, at: world.now });
        operation.report = if attempted { Report::Attempted } else { Report::Due };
        world.stored = serde_json::to_string(&memory).unwrap();
        world.start("1.0.0");
        world.on(UpgradeEvent::Pending(shown.then(|| request(id.0, "2.0.0")).as_ref()));
        assert_eq!(world.take() == [UpgradeEffect::Report], sent, "{kind} {attempted} {shown}");
        world.on(UpgradeEvent::Reported(Delivered::NotSent));
        assert_eq!(world.machine.wants_answer(), sent);
    }
}

#[test]
fn fields_of_a_newer_version_are_kept_and_unknown_words_are_not_guessed() {
    let mut world = World::armed(true);
    world.stored = world.stored.replacen('{', r#"{"later":1,"#, 1);
    world.stored = world.stored.replacen(r#""boots""#, r#""deep":[2],"boots""#, 1);
    world.start("2.0.0");
    world.ticks(2);
    assert!(
        world.stored.contains(r#""later":1"#) && world.stored.contains(r#""deep":[2]"#),
        "{}",
        world.stored
    );
    let other = world.stored.replace(r#""step":"confirm""#, r#""step":"rehearse""#);
    assert!(serde_json::from_str::<UpgradeMemory>(&other).is_err());
}
