//! Ledgers of other versions: one as version 0.1.0 left it, with a delivery in every stage, and rows as a newer version
//! writes them, which an older one continues or leaves untouched.

use super::*;
use crate::support::forge::{forge, forge_work};

/// Written by version 0.1.0.
const FIRST: &[u8] = include_bytes!("recorded/version-0.1.0.sqlite");

/// A place with the ledger of version 0.1.0.
fn recorded() -> TempDir {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("ledger.sqlite"), FIRST).unwrap();
    home
}

fn record_of(place: &Path, id: &str) -> serde_json::Value {
    let database = rusqlite::Connection::open(place.join("ledger.sqlite")).unwrap();
    let text: String =
        database.query_row("SELECT record FROM deliveries WHERE id = ?", [id], |row| row.get(0)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn row_of(place: &Path, id: &str) -> String {
    let database = rusqlite::Connection::open(place.join("ledger.sqlite")).unwrap();
    database.query_row("SELECT row FROM deliveries WHERE id = ?", [id], |row| row.get(0)).unwrap()
}

/// What version 0.1.0 has left goes on here, whatever its stage, and is what it was when it is written again.
#[test]
fn what_the_first_version_has_left_goes_on() {
    let home = recorded();
    let opened = open(home.path());
    assert!(opened.damaged.is_empty() && opened.newer.is_empty(), "{:?} {:?}", opened.damaged, opened.newer);
    assert_eq!((opened.closed.len(), opened.dead.len(), opened.crash), (2, 1, None));
    let left: Vec<(&str, &Record)> =
        opened.open.iter().map(|left| (left.work.id.as_str(), &left.record)).collect();
    let names: Vec<&str> = left.iter().map(|(id, _)| *id).collect();
    assert_eq!(names, ["fresh", "sent", "lost", "working", "answered", "notice", "ended"]);
    for (id, record) in left {
        let right = match (id, &record.stage) {
            ("fresh", Stage::Fresh) => (record.provider, record.outages, record.rested) == (3, 2, 4_000),
            ("sent", Stage::Fresh) => record.sent.as_ref().is_some_and(|sent| sent.lost.is_none()),
            ("lost", Stage::Fresh) => {
                record.lost == 1 && record.sent.as_ref().unwrap().grown == Some((3, NOW))
            }
            ("working", Stage::Working(work)) => {
                work.pending.len() == 2 && work.doubt == Some(NOW) && work.acted
            }
            ("answered", Stage::Answered { posted: 1, advance: true, note_on: None, .. }) => record.answered,
            ("notice", Stage::Answered { note_on: Some(End::Dead(_)), .. }) => true,
            ("ended", Stage::Ended(End::Answered(messages))) => *messages == 2 && record.answered,
            _ => false,
        };
        assert!(right, "{id}: {record:?}");
        let before = record_of(home.path(), id);
        let row = row(id);
        opened.ledger.note(&Note::of(&row, NOW).record(record).step(Step::Rests, ""), Wait::ForDisk).unwrap();
        assert_eq!(record_of(home.path(), id), before, "{id} is another one when it is written again");
    }
    assert!(opened.dead[0].record.unposted.is_some());
}

/// What a newer version knows besides is no damage: the delivery goes on, and the rest is kept for that version.
#[test]
fn an_older_version_continues_a_newer_record_and_keeps_what_it_does_not_know() {
    let home = TempDir::new().unwrap();
    put(&open(home.path()).ledger, "n1", 1);
    forge(home.path(), "n1", |kept| {
        kept["record"]["later"] = json!({"more": [1, 2]});
        kept["record"]["stage"]["working"]["later"] = json!("x");
        kept["record"]["stage"]["working"]["outputs"][0]["later"] = json!(7);
        kept["later"] = json!(true);
    });
    let opened = open(home.path());
    assert_eq!(
        (opened.damaged.len(), opened.newer.len(), opened.open.len()),
        (0, 0, 1),
        "{:?}",
        opened.damaged
    );
    let mut left = opened.open[0].record.clone();
    assert_eq!((left.failures, json!(left.stage)["working"]["rounds"].as_u64()), (1, Some(2)));
    left.failures = 2;
    let row = row("n1");
    opened.ledger.note(&Note::of(&row, NOW).record(&left), Wait::ForDisk).unwrap();
    let kept = record_of(home.path(), "n1")["record"].clone();
    assert_eq!((&kept["failures"], &kept["later"]), (&json!(2), &json!({"more": [1, 2]})));
    assert_eq!(kept["stage"]["working"]["later"], "x", "{kept}");
    assert_eq!(json!(left.retried())["later"], kept["later"], "also when it begins again");
}

/// A form, a stage or an end that this version does not know: the row is reported at every start, and nothing that is
/// noted for it changes a byte of it.
#[test]
fn what_only_a_newer_version_understands_stays_as_it_is() {
    let unknown = "its record is of an unknown shape: ";
    let whole = |record: serde_json::Value| json!({"form": 1, "record": record});
    let rows = [
        ("its record is of a newer form (2, this program knows 1)", json!({"form": 2, "record": {}})),
        (unknown, whole(json!({"stage": {"leased": {"until": 7}}}))),
        (unknown, whole(json!({"stage": {"ended": {"deferred": 7}}}))),
        (unknown, whole(json!({"waits": "robot"}))),
        (unknown, json!({"form": 1, "records": []})),
    ];
    for (what, newer) in rows {
        let home = TempDir::new().unwrap();
        let ledger = open(home.path()).ledger;
        put(&ledger, "n1", 1);
        put(&ledger, "n2", 2);
        drop(ledger);
        forge(home.path(), "n1", |kept| *kept = newer.clone());
        let before = record_of(home.path(), "n1");
        for _ in 0..2 {
            let opened = open(home.path());
            assert_eq!((opened.open.len(), opened.damaged.len(), opened.newer.len()), (1, 0, 1), "{what}");
            let newer = &opened.newer[0];
            assert!(newer.id.as_str() == "n1" && newer.what.starts_with(what), "{newer:?}");
            let (row, record, end) = (row("n1"), record(7), End::Dead("no".to_owned()));
            let note = Note::of(&row, NOW).record(&record).ends(&end);
            let refused = opened.ledger.note(&note, Wait::ForDisk).unwrap_err();
            assert_eq!(refused.to_string(), "its record belongs to a newer version");
            opened.ledger.note(&note, Wait::Not).unwrap();
            put(&opened.ledger, "n2", 3);
        }
        let seen = read(home.path()).unwrap();
        assert_eq!((seen.tales.len(), seen.newer.len(), seen.damaged.len()), (1, 1, 0));
        assert_eq!(record_of(home.path(), "n1"), before, "{what}");
    }
}

/// Work of a kind that this version does not know is a newer version's: it is named at every start and stays as it is.
#[test]
fn work_of_an_unknown_kind_stays_as_it_is() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    put(&ledger, "n1", 1);
    put(&ledger, "n2", 2);
    drop(ledger);
    forge_work(home.path(), "n1", |work| *work = json!({"kind": "teleport", "to": "mars"}));
    let before = row_of(home.path(), "n1");
    for _ in 0..2 {
        let opened = open(home.path());
        let open: Vec<&str> = opened.open.iter().map(|left| left.work.id.as_str()).collect();
        assert_eq!((open, opened.damaged.len(), opened.newer.len()), (vec!["n2"], 0, 1));
        let what = "its work is of a kind that this program does not know (\"teleport\")";
        assert_eq!((opened.newer[0].id.as_str(), &*opened.newer[0].what), ("n1", what));
        let (row, record) = (row("n1"), record(7));
        let refused = opened.ledger.note(&Note::of(&row, NOW).record(&record), Wait::ForDisk).unwrap_err();
        assert_eq!(refused.to_string(), "its record belongs to a newer version");
    }
    let seen = read(home.path()).unwrap();
    assert_eq!((seen.tales.len(), seen.newer.len(), seen.damaged.len()), (1, 1, 0));
    assert_eq!(row_of(home.path(), "n1"), before);
}

/// The same of deliveries that are over: what a newer version has kept of one that was given up is not written over by
/// the mark that may still be missing.
#[test]
fn a_newer_record_of_what_is_over_stays_as_it_is() {
    for end in [End::Dead("no".to_owned()), End::Answered(1)] {
        for version in ["newer", "own"] {
            let home = TempDir::new().unwrap();
            let ledger = open(home.path()).ledger;
            let (row, record) = (row("n1"), record(1));
            ledger.note(&Note::of(&row, NOW).record(&record).ends(&end), Wait::ForDisk).unwrap();
            drop(ledger);
            if version == "newer" {
                forge(home.path(), "n1", |kept| *kept = json!({"form": 2, "record": {"kept": "the answer"}}));
            }
            let opened = open(home.path());
            let newer: Vec<&str> = opened.newer.iter().map(|newer| newer.id.as_str()).collect();
            let dead = usize::from(version == "own" && matches!(end, End::Dead(_)));
            assert_eq!((newer.len(), opened.dead.len()), (usize::from(version == "newer"), dead), "{end:?}");
            assert_eq!((opened.closed.len(), opened.open.len()), (1, 0));
        }
    }
}

/// What ended shortly before the last process did is looked back at, however long no process worked since: a call of
/// that time may still be in doubt.
#[test]
fn the_last_hour_of_the_last_process_counts_however_long_ago_it_was() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    let hour = std::time::Duration::from_hours(1);
    for (id, at) in [("early", NOW - hour - hour), ("late", NOW - hour / 2), ("last", NOW)] {
        let mut request = notification(id);
        request.kind = serde_json::from_value(json!("response_request")).unwrap();
        let effects = serde_json::from_value(json!({"made": [format!("by-{id}")]})).unwrap();
        let (record, end) = (Record { effects, ..Record::default() }, End::Answered(1));
        ledger.note(&Note::of(&request.into(), at).record(&record).ends(&end), Wait::ForDisk).unwrap();
    }
    drop(ledger);
    let opened = open(home.path());
    let requests: Vec<&str> = opened.requests.iter().map(|row| row.id.as_str()).collect();
    let made: Vec<&str> = opened.closed.iter().flat_map(|closed| &closed.made).map(String::as_str).collect();
    assert_eq!((requests, made), (vec!["late", "last"], vec!["by-late", "by-last"]));
}
