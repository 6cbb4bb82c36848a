//! Versions on trial: confirmed, rolled back, and what an installer says of them.

use super::*;

#[test]
fn a_version_that_crashes_is_rolled_back_at_its_fourth_start() {
    let mut world = World::armed(true);
    for boot in 1..=3 {
        world.start("2.0.0");
        world.ticks(5);
        assert_eq!((world.step(), world.operation().boots, world.take()), (Step::Confirm, boot, vec![]));
    }
    world.start("2.0.0");
    assert_eq!(
        (world.step(), world.take()),
        (Step::RollBack, vec![UpgradeEffect::Run(UpgradeAction::RollBack)])
    );
    world.on(UpgradeEvent::CommandEnded(Ok(())));
    assert_eq!(world.take(), [UpgradeEffect::Leave]);
    world.start("1.0.0");
    let (kind, reason) = world.outcome();
    assert!(kind == OutcomeKind::RolledBack && reason.contains("started 4 times"), "{reason}");
    world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
    world.on(UpgradeEvent::Reported(Delivered::Taken));
    assert_eq!(world.take(), [UpgradeEffect::Report]);
    // The bad version is refused from now on, and another one is not.
    world.start("1.0.0");
    world.ticks(2);
    world.on(UpgradeEvent::Pending(Some(&request(8, "2.0.0"))));
    let (kind, reason) = world.outcome();
    assert!(kind == OutcomeKind::Failed && reason.contains("was rolled back here before"), "{reason}");
    world.ticks(100);
    world.on(UpgradeEvent::Pending(Some(&request(8, "2.0.0"))));
    world.on(UpgradeEvent::Reported(Delivered::Taken));
    world.on(UpgradeEvent::Pending(Some(&request(9, "2.0.1"))));
    assert_eq!((world.step(), world.take()), (Step::Accept, vec![UpgradeEffect::Report]));
}

#[test]
fn a_version_in_quarantine_that_is_installed_on_the_machine_is_free_again() {
    let mut world = World::armed(true);
    world.start("2.0.0");
    world.start("1.0.0");
    assert_eq!((world.outcome().0, world.machine.memory().quarantine.len()), (OutcomeKind::RolledBack, 1));
    world.start("2.0.0");
    assert_eq!(world.machine.memory().quarantine, []);
}

#[test]
fn orderly_stops_of_a_version_on_trial_are_no_crashes() {
    let mut world = World::armed(true);
    for _ in 0..9 {
        world.start("2.0.0");
        world.ticks(5);
        world.on(UpgradeEvent::Stopping);
    }
    world.start("2.0.0");
    assert_eq!((world.step(), world.operation().boots), (Step::Confirm, 1));
}

#[test]
fn a_version_that_never_gets_ready_is_rolled_back_only_while_the_backend_answers() {
    let mut world = World::armed(true);
    world.start("2.0.0");
    world.condition.is_ready = false;
    world.condition.backend_answers = false;
    world.ticks(2_000);
    assert_eq!(
        (world.step(), world.take()),
        (Step::Confirm, vec![]),
        "no version is ready without a backend"
    );
    world.condition.backend_answers = true;
    world.ticks(59);
    world.condition.backend_answers = false;
    world.ticks(300);
    assert_eq!(world.step(), Step::Confirm);
    world.condition.backend_answers = true;
    world.tick();
    assert_eq!(
        (world.step(), world.take()),
        (Step::RollBack, vec![UpgradeEffect::Run(UpgradeAction::RollBack)])
    );
    // The command hangs until its limit, or fails.
    world.on(UpgradeEvent::CommandEnded(Err("no answer".to_owned())));
    let (kind, reason) = world.outcome();
    assert!(kind == OutcomeKind::Failed && reason.ends_with("cannot be rolled back: no answer"), "{reason}");
}

#[test]
fn a_version_that_gets_ready_late_is_confirmed() {
    let mut world = World::armed(true);
    world.start("2.0.0");
    world.condition.is_ready = false;
    world.condition.backend_answers = false;
    world.ticks(300);
    world.condition.backend_answers = true;
    world.ticks(50);
    world.condition.is_ready = true;
    world.tick();
    assert_eq!(world.outcome().0, OutcomeKind::Succeeded);
}

#[test]
fn a_version_is_not_blamed_for_what_the_version_before_lacked_too() {
    let mut world = World::new(true);
    world.condition.is_ready = false;
    world.on(UpgradeEvent::Pending(Some(&request(7, "2.0.0"))));
    world.ticks(2);
    world.on(UpgradeEvent::CommandEnded(Ok(())));
    world.start("2.0.0");
    world.ticks(59);
    world.condition.backend_answers = false;
    world.ticks(100);
    assert_eq!(world.step(), Step::Confirm, "not the same backend");
    world.condition.backend_answers = true;
    world.tick();
    assert_eq!(world.outcome().0, OutcomeKind::Succeeded);
}

#[test]
fn a_version_that_does_not_answer_is_rolled_back_even_without_a_backend() {
    let mut world = World::armed(true);
    world.start("2.0.0");
    world.condition =
        ServiceSigns { is_alive: false, is_ready: false, backend_answers: false, ..world.condition };
    world.ticks(60);
    assert_eq!(world.take(), [UpgradeEffect::Run(UpgradeAction::RollBack)]);
    // Killed before the command has done anything: not tried for ever.
    world.start("2.0.0");
    world.ticks(60);
    let (kind, reason) = world.outcome();
    assert!(kind == OutcomeKind::Failed && reason.contains("2.0.0 runs 60 s after"), "{reason}");
    assert_eq!(world.take(), []);
}

#[test]
fn without_a_command_a_bad_version_stays_and_is_reported() {
    let mut world = World::armed(false);
    world.start("2.0.0");
    world.condition.is_ready = false;
    world.ticks(60);
    let (kind, reason) = world.outcome();
    assert!(kind == OutcomeKind::Failed && reason.contains("without UPGRADE_COMMAND"), "{reason}");
    assert_eq!(world.take(), []);
}

#[test]
fn the_installer_reports_a_version_that_cannot_even_start() {
    let result = |id, kind| InstallerResult { id: Millis(id), kind, reason: "it exits at once".to_owned() };
    let mut world = World::armed(true);
    world.on(UpgradeEvent::Installer(&result(7, OutcomeKind::RolledBack)));
    assert_eq!(world.step(), Step::Arm, "this process ends");
    world.start("1.0.0");
    world.on(UpgradeEvent::Installer(&result(6, OutcomeKind::RolledBack)));
    assert_eq!(world.step(), Step::Arm, "an earlier request");
    world.on(UpgradeEvent::Installer(&result(7, OutcomeKind::RolledBack)));
    assert_eq!(world.outcome(), (OutcomeKind::RolledBack, "it exits at once".to_owned()));
    assert_eq!(world.machine.memory().quarantine.len(), 1);
    assert_eq!(
        InstallerResult::parse("7 rolled_back\nit exits at once\n"),
        Some(result(7, OutcomeKind::RolledBack))
    );
    for bad in ["", "7", "x failed", "7 nonsense", "failed 7"] {
        assert_eq!(InstallerResult::parse(bad), None, "{bad}");
    }
}
