//! Ledgers of other versions: recorded files of version 0.1.0 and of the last program of form 1, with a delivery in
//! every stage, and rows of a newer version, which an older one continues or leaves unchanged.

use super::*;
use crate::support::forge::{forge, forge_work};

/// Written by version 0.1.0.
const FIRST: &[u8] = include_bytes!("recorded/version-0.1.0.sqlite");

/// Written by the last program of form 1, with every field that form 1 has.
const FORM_1: &[u8] = include_bytes!("recorded/form-1.sqlite");

/// A folder with this recorded ledger.
fn recorded(ledger: &[u8]) -> TempDir {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("ledger.sqlite"), ledger).unwrap();
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

/// Opens an intact ledger of form 1, writes every open delivery again unchanged, and opens the ledger once more. The
/// rows are then of form 2, with the same records.
fn imported(home: &TempDir) -> Opened {
    let opened = open(home.path());
    assert!(opened.unreadable.is_empty(), "{:?}", opened.unreadable);
    for left in &opened.open {
        assert_eq!(record_of(home.path(), left.work.id.as_str())["form"], 1);
        let note = Note::of(&left.work, NOW).record(&left.record).step(Step::Rests, "");
        opened.ledger.note(&note, Wait::ForDisk).unwrap();
        let written = record_of(home.path(), left.work.id.as_str());
        assert_eq!(written, json!({"form": 2, "record": left.record}));
    }
    let before: Vec<Record> = opened.open.iter().map(|left| left.record.clone()).collect();
    drop(opened);
    let again = open(home.path());
    assert!(again.open.iter().map(|left| &left.record).eq(&before));
    again
}

/// Deliveries of version 0.1.0 continue in this version, in every stage.
#[test]
fn what_the_first_version_has_left_goes_on() {
    let opened = imported(&recorded(FIRST));
    assert_eq!((opened.closed.len(), opened.dead.len(), opened.crash), (2, 1, None));
    let left: Vec<(&str, &Record)> =
        opened.open.iter().map(|left| (left.work.id.as_str(), &left.record)).collect();
    let names: Vec<&str> = left.iter().map(|(id, _)| *id).collect();
    assert_eq!(names, ["fresh", "sent", "lost", "working", "answered", "notice", "ended"]);
    for (id, record) in left {
        let failed = |cause| record.failures.of(cause);
        let right = match (id, &record.stage) {
            ("fresh", Stage::Fresh) => {
                (record.failures.of_provider(), failed(Cause::BackendAway), record.rested) == (3, 2, 4_000)
            }
            ("sent", Stage::Fresh) => record.sent.as_ref().is_some_and(|sent| sent.lost.is_none()),
            ("lost", Stage::Fresh) => {
                failed(Cause::LostAnswer) == 1 && record.sent.as_ref().unwrap().grown == Some((3, NOW))
            }
            ("working", Stage::Working(work)) => {
                work.pending.len() == 2 && work.doubt == Some(NOW) && work.acted && work.whom.is_some()
            }
            ("answered", Stage::Answered(answer)) => answer.posted == 1 && answer.advance && record.answered,
            ("notice", Stage::Notice(notice)) => matches!(notice.end, End::Dead(_)),
            ("ended", Stage::Ended(End::Answered(messages))) => *messages == 2 && record.answered,
            _ => false,
        };
        assert!(right, "{id}: {record:?}");
    }
    assert!(opened.dead[0].record.unposted.is_some());
}

/// No field of a record of form 1 is lost: form 2 has the same field, or another one for its value.
#[test]
fn every_field_of_form_1_is_imported() {
    let opened = imported(&recorded(FORM_1));
    let (whom, heard) = (json!(["task:task3:agent:ada:acc1:v2", "ada"]), json!(["message9", NOW.0 - 1_000]));
    let (since, spent) = (json!(NOW.0 - 2_000), json!({"input_tokens": 1_200, "output_tokens": 34}));
    let turn = |attempt: u32| {
        json!({"session": "task:task3:agent:ada:acc1:v2", "agent": "ada", "attempt": attempt, "run": null, "at": NOW.0, "lost": null,
            "silent": false, "failed": false, "spoke": false, "looked": null, "grown": null})
    };
    let lost = json!({"session": "task:task3:agent:ada:acc1:v2", "agent": "ada", "attempt": 3, "run": "resp_7", "at": NOW.0,
        "lost": NOW.0 + 5, "silent": true, "failed": true, "spoke": true, "looked": NOW.0 + 6, "grown": [4, NOW.0 + 7],
        "interrupted": true});
    let effects = json!({"done": [
            {"call": "c0ffee", "output": "{\"success\":true}", "called": true},
            {"call": "beef", "output": "{\"success\":true,\"n\":2}", "called": false, "unheard": true, "name": "k1"}],
        "made": ["doc_1", "message_2"],
        "open": [{"call": "f00d", "name": null, "since": NOW.0 - 9, "at": NOW.0 - 1}]});
    let one_made = json!({"done": [], "made": ["message_1"]});
    let outputs = json!([{"call_id": "c1", "output": "{\"success\":true}"}]);
    let calls = json!([{"call_id": "c2", "name": "task_load", "arguments": "{}"},
        {"call_id": "c3", "name": "task_status", "arguments": "{\"status\":\"review\"}"}]);
    let working = json!({"whom": whom, "pending": calls, "doubt": NOW.0, "outputs": outputs, "rounds": 2, "calls": 3, "acted": true,
        "said": "one moment"});
    let results = json!({"whom": whom, "pending": [], "doubt": null, "outputs": outputs, "rounds": 1, "calls": 1, "acted": false,
        "said": null});
    let expected = [
        (
            "fresh",
            json!({"failures": {"interrupted": 4, "panic": 2, "earlier": 1, "unknown-agent": 5, "backend": 4, "backend-away": 2,
                "turned-away": 3, "no-context": 6, "silence": 2, "crash": 3}, "answered_then": 11, "rested": 90_000, "suspected": 2,
            "held": 1}),
        ),
        ("old-sums", json!({"tries": 12, "failures": {"earlier": 7, "earlier-provider": 19}})),
        (
            "sent",
            json!({"tries": 1, "requests": 1, "sent": turn(1), "heard": heard, "waits": "person", "since": since}),
        ),
        (
            "lost",
            json!({"tries": 3, "untold": 1, "requests": 5, "failures": {"lost-answer": 2}, "unheard": 2, "parted": 1, "sent": lost,
            "heard": heard, "began_paused": true, "waits": "agent", "since": since, "effects": effects, "spent": spent}),
        ),
        (
            "working",
            json!({"tries": 2, "requests": 4, "heard": heard, "waits": "person", "since": since, "effects": effects,
            "spent": spent, "stage": {"working": working}}),
        ),
        (
            "results-sent",
            json!({"tries": 2, "requests": 5, "heard": heard, "waits": "person", "since": since, "sent": turn(2),
            "stage": {"working": results}}),
        ),
        (
            "answered",
            json!({"tries": 1, "requests": 1, "answered": true, "heard": heard, "since": since,
            "failures": {"backend-away": 4, "backend": 1}, "effects": one_made,
            "stage": {"answered": {"parts": ["one", "two", "three"], "posted": 1, "doubt": NOW.0, "advance": true}}}),
        ),
        (
            "notice",
            json!({"tries": 4, "requests": 4, "failures": {"internal": 8}, "heard": heard, "waits": "person",
            "unposted": {"parts": ["kept"], "posted": 0, "doubt": NOW.0, "advance": true},
            "stage": {"notice": {"line": "a line", "doubt": null, "end": {"dead": "given up after 8 attempts: x"}}}}),
        ),
        (
            "reopened",
            json!({"tries": 1, "requests": 1, "answered": true, "reopened": true, "spent": spent, "effects": one_made}),
        ),
        (
            "ended",
            json!({"tries": 1, "requests": 1, "answered": true, "heard": heard, "stage": {"ended": {"answered": 2}}}),
        ),
    ];
    assert_eq!(opened.open.len(), expected.len());
    for (left, (id, record)) in opened.open.iter().zip(expected) {
        assert_eq!((left.work.id.as_str(), json!(left.record)), (id, record));
    }
    let dead = &opened.dead[0];
    let kept = json!({"parts": ["two", "three"], "posted": 0, "doubt": NOW.0, "advance": false});
    assert_eq!((dead.work.id.as_str(), json!(dead.record.unposted)), ("given-up", kept));
    assert_eq!((dead.record.failures.of(Cause::Backend), opened.closed.len()), (20, 2));
}

/// After form 1 has posted a notice and nothing else, only the end remains.
#[test]
fn a_posted_note_of_form_1_is_not_posted_again() {
    let answered = |posted: u32| json!({"stage": {"answered": {"parts": ["a line"], "posted": posted, "doubt": null, "advance": false, "note_on": "stopped"}}});
    assert_eq!(from_form_1(answered(1)).unwrap().stage, Stage::Ended(End::Stopped));
    let notice = Notice::new("a line".to_owned(), End::Stopped);
    assert_eq!(from_form_1(answered(0)).unwrap().stage, Stage::Notice(notice));
    for damaged in [
        json!({"failures": "many"}),
        json!({"causes": 7}),
        json!({"whom": 7, "stage": {"working": {}}}),
        json!([]),
    ] {
        assert!(from_form_1(damaged.clone()).is_err(), "{damaged}");
    }
}

/// Additional fields of a newer version are no damage: the delivery continues, and the fields are kept for that
/// version, in every place of the record.
#[test]
fn an_older_version_continues_a_newer_record_and_keeps_what_it_does_not_know() {
    let stages = [
        json!({"working": {"pending": [], "doubt": null, "outputs": [], "rounds": 1, "calls": 1, "acted": false, "said": null, "later": 1}}),
        json!({"answered": {"parts": ["a", "b"], "posted": 1, "doubt": null, "advance": true, "later": 2}}),
        json!({"notice": {"line": "a", "doubt": null, "end": "stopped", "later": 3}}),
    ];
    for stage in stages {
        let home = TempDir::new().unwrap();
        put(&open(home.path()).ledger, "n1", 1);
        let newer = json!({
            "later": {"more": [1, 2]}, "failures": {"later": 3},
            "sent": {"session": "s", "agent": "a", "attempt": 1, "run": null, "at": 1, "lost": null, "silent": false, "failed": false,
                "spoke": false, "looked": null, "grown": null, "later": 4},
            "unposted": {"parts": [], "posted": 0, "doubt": null, "advance": false, "later": 5},
            "effects": {"done": [{"call": "c", "output": "o", "called": true, "later": 6}], "made": [],
                "open": [{"call": "d", "name": null, "since": 1, "at": 2, "later": 7}], "later": 8},
            "stage": stage,
        });
        forge(home.path(), "n1", |kept| *kept = json!({"form": 2, "record": newer, "later": true}));
        let opened = open(home.path());
        assert_eq!((opened.unreadable.len(), opened.open.len()), (0, 1), "{newer}");
        let mut left = opened.open[0].record.clone();
        left.tries = 2;
        opened.ledger.note(&Note::of(&row("n1"), NOW).record(&left), Wait::ForDisk).unwrap();
        let mut expected = newer.clone();
        expected["tries"] = json!(2);
        assert_eq!(record_of(home.path(), "n1"), json!({"form": 2, "record": expected, "later": true}));
        assert_eq!(json!(left.retried())["later"], newer["later"], "also when it begins again");
        assert_eq!(json!(left.retried())["effects"]["done"][0]["later"], 6);
    }
}

/// A row of a newer version, or one that no version writes, is reported at every start. A note never changes a byte of
/// a newer row.
#[test]
fn rows_that_are_not_understood_are_told_apart_and_stay_as_they_are() {
    let (newer, damaged) = (true, false);
    let unknown = "its record is of an unknown shape: ";
    let whole = |record: serde_json::Value| json!({"form": 2, "record": record});
    let form_1 = |fields: serde_json::Value| whole(fields);
    let mixed = "its record has fields that only form 1 has";
    let rows = [
        (newer, "its record is of a newer form (3, this program knows 2)", json!({"form": 3, "record": {}})),
        (
            newer,
            "its record is of a newer form (3, this program knows 2)",
            json!({"form": 3, "record": {"stage": []}}),
        ),
        (newer, unknown, whole(json!({"stage": {"leased": {"until": 7}}}))),
        (newer, unknown, whole(json!({"stage": {"ended": {"deferred": 7}}}))),
        (newer, unknown, whole(json!({"waits": "robot"}))),
        (damaged, "its record is of an unknown form (0)", json!({"form": 0, "record": {}})),
        (damaged, "its record is of an unknown form (\"x\")", json!({"form": "x", "record": {}})),
        (damaged, "its record is of an unknown form (-1)", json!({"form": -1, "record": {}})),
        (damaged, unknown, json!({})),
        (damaged, unknown, json!({"form": 2, "records": []})),
        (damaged, unknown, json!([])),
        (damaged, unknown, json!({"form": 1, "record": {"failures": "many"}})),
        (damaged, unknown, json!({"form": 1, "record": {"stage": {"leased": {"until": 7}}}})),
        (damaged, unknown, whole(json!({"failures": 7}))),
        (damaged, unknown, whole(json!({"tries": "many"}))),
        (damaged, mixed, form_1(json!({"causes": {"interrupted": 2}}))),
        (damaged, mixed, form_1(json!({"outages": 2}))),
        (
            damaged,
            mixed,
            form_1(
                json!({"whom": ["s", "a"], "stage": {"working": {"pending": [], "doubt": null, "outputs": [],
            "rounds": 1, "calls": 1, "acted": false, "said": null}}}),
            ),
        ),
        (
            damaged,
            mixed,
            form_1(
                json!({"stage": {"answered": {"parts": ["a"], "posted": 0, "doubt": null, "advance": false,
            "note_on": "stopped"}}}),
            ),
        ),
    ];
    for (is_newer, what, forged) in rows {
        let home = TempDir::new().unwrap();
        let ledger = open(home.path()).ledger;
        put(&ledger, "n1", 1);
        put(&ledger, "n2", 2);
        drop(ledger);
        forge(home.path(), "n1", |kept| *kept = forged.clone());
        let before = record_of(home.path(), "n1");
        for _ in 0..2 {
            let opened = open(home.path());
            assert_eq!((opened.open.len(), opened.unreadable.len()), (1, 1), "{what}");
            let found = &opened.unreadable[0];
            assert_eq!(
                (found.id.as_str(), found.is_newer(), found.is_open()),
                ("n1", is_newer, true),
                "{forged}"
            );
            assert!(found.why.to_string().starts_with(what), "{found:?}");
            assert_eq!(found.explain().contains("newer version"), is_newer);
            let (row, record, end) = (row("n1"), record(7), End::Dead("no".to_owned()));
            let note = Note::of(&row, NOW).record(&record);
            assert!(opened.ledger.note(&note, Wait::ForDisk).is_err());
            if is_newer {
                let refused = opened.ledger.note(&note.ends(&end), Wait::ForDisk).unwrap_err();
                assert_eq!(refused.to_string(), "its record belongs to a newer version");
            }
            put(&opened.ledger, "n2", 3);
        }
        let seen = read(home.path()).unwrap();
        assert_eq!((seen.deliveries.len(), seen.unreadable.len()), (1, 1));
        assert_eq!(seen.unreadable[0].is_newer(), is_newer);
        assert_eq!(record_of(home.path(), "n1"), before, "{what}");
    }
}

/// Work of an unknown kind belongs to a newer version. Work that cannot be parsed, or that belongs to another row, is
/// damage.
#[test]
fn work_that_is_not_understood_stays_as_it_is() {
    let teleport = "its work is of a kind that this program does not know (\"teleport\")";
    let other = {
        let mut other = serde_json::from_str::<serde_json::Value>(&row("n7").to_json().unwrap()).unwrap();
        other["later"] = json!(1);
        other
    };
    let rows = [
        (true, teleport, json!({"kind": "teleport", "to": "mars"})),
        (false, "its work is of an unknown shape: ", json!({"kind": 7})),
        (false, "its notification is of an unknown shape: ", json!({})),
        (false, "it has the work of n7", other),
    ];
    for (is_newer, what, forged) in rows {
        let home = TempDir::new().unwrap();
        let ledger = open(home.path()).ledger;
        put(&ledger, "n1", 1);
        put(&ledger, "n2", 2);
        drop(ledger);
        forge_work(home.path(), "n1", |work| *work = forged.clone());
        let before = row_of(home.path(), "n1");
        for _ in 0..2 {
            let opened = open(home.path());
            let open: Vec<&str> = opened.open.iter().map(|left| left.work.id.as_str()).collect();
            assert_eq!((open, opened.unreadable.len()), (vec!["n2"], 1));
            let found = &opened.unreadable[0];
            assert_eq!((found.id.as_str(), found.is_newer()), ("n1", is_newer), "{forged}");
            assert!(found.why.to_string().starts_with(what), "{found:?}");
            let (row, record) = (row("n1"), record(7));
            assert!(opened.ledger.note(&Note::of(&row, NOW).record(&record), Wait::ForDisk).is_err());
        }
        assert_eq!(row_of(home.path(), "n1"), before);
    }
}

/// The closed row of a newer version is neither overwritten nor removed, however old it is.
#[test]
fn a_closed_row_that_is_not_understood_is_neither_changed_nor_removed() {
    for end in [End::Dead("no".to_owned()), End::Answered(1)] {
        for version in ["newer", "damaged", "own"] {
            let home = TempDir::new().unwrap();
            let ledger = open(home.path()).ledger;
            let (row, record) = (row("n1"), record(1));
            ledger.note(&Note::of(&row, NOW).record(&record).ends(&end), Wait::ForDisk).unwrap();
            drop(ledger);
            match version {
                "newer" => forge(home.path(), "n1", |kept| {
                    *kept = json!({"form": 3, "record": {"kept": "the answer"}});
                }),
                "damaged" => forge(home.path(), "n1", |kept| *kept = json!({})),
                _ => {}
            }
            let before = record_of(home.path(), "n1");
            let opened = open(home.path());
            let own = usize::from(version == "own");
            let dead = if matches!(end, End::Dead(_)) { own } else { 0 };
            assert_eq!((opened.unreadable.len(), opened.dead.len()), (1 - own, dead), "{end:?}");
            assert_eq!((opened.closed.len(), opened.open.len()), (own, 0));
            assert_eq!(opened.ledger.state().open, 0);
            for found in &opened.unreadable {
                assert_eq!((found.is_open(), found.is_newer()), (false, version == "newer"));
                assert_eq!((found.end.as_ref(), &*found.advice()), (Some(&end), "Done. No action needed."));
                assert!(
                    opened.ledger.drop_unreadable(&found.id, NOW, Wait::ForDisk).is_err(),
                    "it is closed"
                );
            }
            let later = NOW + KEPT_AGE + std::time::Duration::from_mins(1);
            for count in 0..10 {
                close(&opened.ledger, &format!("m{count}"), later, Wait::ForDisk);
            }
            drop(opened);
            let seen = read(home.path()).unwrap();
            assert_eq!(seen.unreadable.len(), 1 - own, "{version}, {end:?}");
            assert!(
                seen.deliveries.iter().all(|delivery| delivery.id.as_str() != "n1"),
                "our own is removed when it is old"
            );
            if own == 0 {
                assert_eq!(record_of(home.path(), "n1"), before);
            }
        }
    }
}

/// A person closes a row that is not understood: its record stays unchanged, and the row is no longer open.
#[test]
fn an_open_row_that_is_not_understood_can_be_closed_by_a_person() {
    for (is_newer, forged) in [(true, json!({"form": 3, "record": {"kept": [1]}})), (false, json!({}))] {
        let home = TempDir::new().unwrap();
        put(&open(home.path()).ledger, "n1", 1);
        forge(home.path(), "n1", |kept| *kept = forged.clone());
        let before = (record_of(home.path(), "n1"), row_of(home.path(), "n1"));
        let ledger = open(home.path()).ledger;
        assert_eq!(ledger.state().open, 1);
        ledger.drop_unreadable(&WorkId::new("n1"), NOW, Wait::ForDisk).unwrap();
        assert_eq!(ledger.state().open, 0);
        assert!(ledger.drop_unreadable(&WorkId::new("n2"), NOW, Wait::ForDisk).is_err());
        drop(ledger);
        let opened = open(home.path());
        let [found] = &opened.unreadable[..] else { panic!("{:?}", opened.unreadable) };
        assert_eq!((found.is_open(), found.is_newer()), (false, is_newer));
        assert!(matches!(found.end, Some(End::Dropped(_))), "{found:?}");
        assert_eq!((record_of(home.path(), "n1"), row_of(home.path(), "n1")), before);
    }
}

/// Deliveries that ended in the last hour of the last process are recalled, however long no process has worked since: a
/// call of that time may still be in doubt.
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
