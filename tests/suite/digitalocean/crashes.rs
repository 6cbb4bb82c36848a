//! Runs with a crash at every step, on the double's clock. The oracle is the double's book: at most one machine for an account
//! at any time, none at the end, and an entry that says what is.

use std::net::IpAddr;

use mission_control_runtime::provision::Provider as _;
use mission_control_runtime::provision::request::{
    EntryState, FindingKind, FirstReport, MachineEntry, NotReported, OnTimeout, audit,
};

use super::cloud::{Cloud, Fault, Manners};
use super::simulated::{ACCOUNT, SharedBook, client, lives, wanted_machine};
use crate::support::dice::Dice;

/// A machine that reports as soon as it exists.
pub(super) struct AtOnce;

impl FirstReport for AtOnce {
    fn wait_for(&self, _entry: &MachineEntry, _address: IpAddr) -> Result<(), NotReported> {
        Ok(())
    }
}

/// A machine that never reports.
struct Never;

impl FirstReport for Never {
    fn wait_for(&self, _entry: &MachineEntry, address: IpAddr) -> Result<(), NotReported> {
        Err(NotReported { sentence: format!("{address} is silent"), is_final: true })
    }
}

/// More runs than any script needs.
const RUNS_MAX: usize = 80;

fn entry(book: &SharedBook) -> MachineEntry {
    book.entries.lock().unwrap().first().cloned().unwrap()
}

/// Provisions until the machine is online. Each run may die.
fn provision(cloud: &Cloud, book: &SharedBook, mut arm: impl FnMut(usize)) {
    for run in 0..RUNS_MAX {
        arm(run);
        match lives(cloud, book, |it| it.provision(&wanted_machine(), &AtOnce, OnTimeout::Keep)) {
            Ok(Ok(done)) => {
                assert_eq!((done.state, entry(book).state), (EntryState::Online, EntryState::Online));
                return;
            }
            // The entry says what the failure says.
            Ok(Err(failure)) => {
                let entry = entry(book);
                assert_eq!(entry.state, EntryState::Failed, "{failure}");
                assert_eq!(failure.left.is_some(), entry.may_exist, "{failure:?}");
                if !entry.may_exist {
                    assert!(
                        cloud.book().paid().is_empty(),
                        "{failure}: something is paid for that is not shown"
                    );
                }
            }
            Err(_) => {}
        }
    }
    panic!("not online after {RUNS_MAX} runs: {:?}", entry(book));
}

/// Destroys until it is done. Each run may die.
fn destroy(cloud: &Cloud, book: &SharedBook, mut arm: impl FnMut(usize)) {
    for run in 0..RUNS_MAX {
        arm(run);
        match lives(cloud, book, |it| it.destroy(ACCOUNT)) {
            Ok(Ok(_)) => {
                check_nothing_is_left(cloud, book);
                return;
            }
            Ok(Err(_)) => assert!(!entry(book).is_over(), "a failed end is not over"),
            Err(_) => {}
        }
    }
    panic!("not gone after {RUNS_MAX} runs: {:?}", entry(book));
}

fn check_nothing_is_left(cloud: &Cloud, book: &SharedBook) {
    {
        let mut cloud = cloud.book();
        cloud.faults.clear();
        cloud.always.clear();
        cloud.manners.faults_per_mille = 0;
        cloud.now_ms += 3_600_000;
    }
    let entries = book.entries.lock().unwrap().clone();
    let machines = client(cloud).list().unwrap();
    assert_eq!(audit(&entries, &machines), []);
    let cloud = cloud.book();
    assert!(cloud.paid().is_empty(), "{:?} exists: {:#?}", cloud.paid(), cloud.requests);
    assert!(cloud.most_at_once <= 1, "{} machines at once: {:#?}", cloud.most_at_once, cloud.requests);
    assert!(entries.iter().all(MachineEntry::is_over), "{entries:?}");
}

/// Dies at each request and after each save, before and after it takes effect.
#[test]
fn a_crash_at_any_step_leaves_one_machine_and_then_none() {
    let undisturbed = {
        let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
        provision(&cloud, &book, |_| {});
        let until_online = cloud.book().requests.len();
        destroy(&cloud, &book, |_| {});
        (until_online, cloud.book().requests.len() - until_online)
    };
    let once = |cloud: &Cloud, number: usize, fault: Fault, run: usize| {
        let mut cloud = cloud.book();
        cloud.faults = if run == 0 { [(cloud.requests.len() + number, fault)].into() } else { [].into() };
    };
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        for number in 1..=undisturbed.0 {
            let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
            provision(&cloud, &book, |run| once(&cloud, number, fault, run));
            assert_eq!(cloud.counts(), (1, 1), "{fault:?} at {number}");
            destroy(&cloud, &book, |_| {});
        }
        for number in 1..=undisturbed.1 {
            let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
            provision(&cloud, &book, |_| {});
            destroy(&cloud, &book, |run| once(&cloud, number, fault, run));
        }
    }
    for save in 1..=6 {
        let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
        let dies = |run: usize| *book.dies_after.lock().unwrap() = (run == 0).then_some(save);
        provision(&cloud, &book, dies);
        destroy(&cloud, &book, dies);
    }
}

/// The machine is given up instead, at any step of its creation.
#[test]
fn a_machine_that_is_given_up_at_any_step_is_gone() {
    for number in 1..60 {
        for fault in [Fault::DiesBefore, Fault::DiesAfter] {
            let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
            cloud.book().faults = [(number, fault)].into();
            let _ = lives(&cloud, &book, |it| it.provision(&wanted_machine(), &AtOnce, OnTimeout::Keep));
            destroy(&cloud, &book, |_| {});
        }
    }
}

/// Everything at random: faults, lags, crashes, a change of mind. `PROVISION_SEEDS` sets the number of runs.
#[test]
fn seeded_runs_never_have_two_machines_and_end_with_none() {
    let seeds = std::env::var("PROVISION_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(300);
    for seed in 0..seeds {
        let mut dice = Dice(seed);
        let mut up_to = |most: u64| i64::try_from(dice.roll(most)).unwrap();
        let manners = Manners {
            boots_ms: up_to(120_000),
            lists_ms: up_to(90_000),
            tags_ms: Some(up_to(150_000)),
            firewall_ms: up_to(60_000),
            ends_ms: up_to(400_000),
            stops_ms: Some(up_to(60_000)),
            next_errs: up_to(8) == 0,
            next_vanishes: up_to(8) == 0,
            faults_per_mille: u64::try_from(up_to(60)).unwrap(),
            names_pause: up_to(2) == 0,
            per_minute: if up_to(4) == 0 { 40 } else { 250 },
            ..Manners::default()
        };
        let (cloud, book) = (Cloud::new(seed, manners), SharedBook::default());
        let arm = |dice: &mut Dice| {
            let number = cloud.book().requests.len() + 1 + dice.index(60);
            let fault = if dice.roll(2) == 0 { Fault::DiesBefore } else { Fault::DiesAfter };
            cloud.book().faults = if dice.roll(3) == 0 { [].into() } else { [(number, fault)].into() };
            *book.dies_after.lock().unwrap() = (dice.roll(4) == 0).then(|| 1 + dice.index(4));
        };
        for _ in 0..2 {
            let faults = cloud.book().manners.faults_per_mille;
            if dice.roll(3) == 0 {
                // A change of mind: the first run ends somewhere, and the machine is not wanted any more.
                arm(&mut dice);
                let _ = lives(&cloud, &book, |it| it.provision(&wanted_machine(), &AtOnce, OnTimeout::Keep));
            } else {
                provision(&cloud, &book, |_| arm(&mut dice));
            }
            destroy(&cloud, &book, |_| arm(&mut dice));
            cloud.book().manners.faults_per_mille = faults;
        }
    }
}

/// Kept to be looked at, or destroyed: as it is wanted.
#[test]
fn a_machine_that_does_not_report_is_kept_or_destroyed() {
    for (on_timeout, left) in [(OnTimeout::Keep, 1), (OnTimeout::Destroy, 0)] {
        let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
        let failed = lives(&cloud, &book, |it| it.provision(&wanted_machine(), &Never, on_timeout));
        let failure = failed.unwrap_or_else(|_| panic!("nothing dies here")).unwrap_err();
        assert!(failure.sentence.contains("127.0.0.1 is silent"), "{failure}");
        assert_eq!((cloud.book().paid().len(), failure.left.is_some()), (left, left == 1));
        destroy(&cloud, &book, |_| {});
    }
}

/// A machine without an entry, an entry without a machine, a twin: each is found, and the command mends it.
#[test]
fn an_audit_finds_what_does_not_match() {
    let (cloud, book) = (Cloud::new(1, Manners::default()), SharedBook::default());
    provision(&cloud, &book, |_| {});
    let entries = book.entries.lock().unwrap().clone();
    let machines = client(&cloud).list().unwrap();
    assert_eq!(audit(&entries, &machines), []);
    // The folder was lost.
    let orphans = audit(&[], &machines);
    assert_eq!((orphans.len(), orphans[0].kind), (1, FindingKind::Orphan));
    assert_eq!(orphans[0].command, "provision destroy --machine 500");
    // Somebody deleted it in the control panel.
    let missing = audit(&entries, &[]);
    assert_eq!((missing.len(), missing[0].kind), (1, FindingKind::Missing));
    assert_eq!(missing[0].command, "provision destroy --account acc0unt");
    // Made by hand, with our tags.
    let body = cloud.book().droplets[&500].body.clone();
    cloud.book().create(&body);
    cloud.book().now_ms += 60_000;
    let twins = audit(&entries, &client(&cloud).list().unwrap());
    assert_eq!((twins.len(), twins[0].kind), (1, FindingKind::Twin));
    assert_eq!(twins[0].machine.as_deref(), Some("501"));
    // Their end takes both.
    let gone = lives(&cloud, &book, |it| it.destroy(ACCOUNT)).unwrap_or_else(|_| panic!("nothing dies here"));
    assert_eq!(gone.unwrap(), ["500", "501"]);
    assert!(cloud.book().paid().is_empty());
}
