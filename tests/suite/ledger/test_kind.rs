//! Work of a source without lists: only the ledger knows the work, and whether its source has confirmed its end.

use mission_control_runtime::model::TaskId;
use mission_control_runtime::work::{TestWork, Work};

use super::*;

fn work(id: &str) -> Work {
    let test = TestWork {
        id: WorkId::new(id),
        agent: "a1".to_owned(),
        task: TaskId::new("t1"),
        messages: vec!["one".to_owned()],
        created_at: NOW,
    };
    test.into()
}

/// No list contains the work again, so a service without a ledger would lose it.
#[test]
fn the_ledger_cannot_be_switched_off_over_offered_work_that_only_waits() {
    let home = TempDir::new().unwrap();
    let opened = open(home.path());
    let (offered, record) = (work("w1"), Record::default());
    opened
        .ledger
        .note(&Note::of(&offered, NOW).record(&record).step(Step::Rests, ""), Wait::ForDisk)
        .unwrap();
    drop(opened);
    let refused = Ledger::switched_off(Some(&folder(home.path()).unwrap())).err().expect("it refuses");
    assert!(refused.to_string().contains("deliveries under way (1)"), "{refused}");
    let opened = open(home.path());
    let ended = Record { stage: Stage::Ended(End::Answered(1)), ..Record::default() };
    let note = Note::of(&offered, NOW).record(&ended).step(Step::Ended, "").ends(&End::Answered(1));
    opened.ledger.note(&note, Wait::ForDisk).unwrap();
    drop(opened);
    Ledger::switched_off(Some(&folder(home.path()).unwrap())).expect("nothing is under way");
}

#[test]
fn the_ledger_keeps_whether_the_source_has_confirmed_an_end() {
    let home = TempDir::new().unwrap();
    let opened = open(home.path());
    for (id, unmarked) in [("confirmed", false), ("unconfirmed", true)] {
        let end = End::Answered(1);
        let record = Record { stage: Stage::Ended(end.clone()), unmarked, ..Record::default() };
        let offered = work(id);
        let note = Note::of(&offered, NOW).record(&record).step(Step::Ended, "").ends(&end);
        opened.ledger.note(&note, Wait::ForDisk).unwrap();
    }
    drop(opened);
    let opened = open(home.path());
    let closed: Vec<_> = opened.closed.iter().map(|closed| (closed.id.as_str(), closed.unmarked)).collect();
    assert_eq!(closed, [("confirmed", false), ("unconfirmed", true)]);
}
