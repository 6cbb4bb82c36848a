//! The ledger in memory: a crash loses any number of the latest notes without a waiting caller, and nothing else.

use mission_control_runtime::delivery::cause::Cause;
use mission_control_runtime::ledger::MemoryLedger;

use super::*;

#[test]
fn a_crash_takes_what_nobody_waited_for() {
    for survive in 0..5 {
        let paper = MemoryLedger::default();
        let note = |id: &str, failures, wait| {
            let (row, record) = (row(id), record(failures));
            paper.note(&Note::of(&row, NOW).record(&record), wait).unwrap();
        };
        note("n1", 1, Wait::Not);
        note("n2", 1, Wait::ForDisk);
        for failures in 2..5 {
            note("n1", failures, Wait::Not);
        }
        assert_eq!((paper.on_the_table(), paper.waited()), (3, 1));
        let found = paper.crash(survive);
        let counts: Vec<_> = found
            .iter()
            .map(|found| (found.work.id.as_str(), found.record.failures.of(Cause::Interrupted)))
            .collect();
        let left = 1 + u32::try_from(survive.min(3)).unwrap();
        assert_eq!(counts, [("n1", left), ("n2", 1)]);
        assert_eq!(paper.on_the_table(), 0);
    }
}

#[test]
fn what_is_over_is_not_recalled_and_a_disk_can_refuse() {
    let paper = MemoryLedger::default();
    let row = row("n1");
    paper.refuse(true);
    assert!(paper.note(&Note::of(&row, NOW), Wait::ForDisk).is_err());
    assert_eq!(paper.on_the_table(), 1);
    paper.refuse(false);
    paper.note(&Note::of(&row, NOW).ends(&End::Gone), Wait::ForDisk).unwrap();
    assert!(paper.crash(9).is_empty());
}
