//! Long texts of open deliveries: each is written once, survives crashes and damage as its row does, and is part of the row
//! again for an older version.

use std::fs;

use mission_control_runtime::delivery::ledger_row::{FORM_WITH_TEXTS, RowText};

use super::damage::{Files, Verdicts, files, in_memory, lay_out};
use super::*;

/// A message of the backend's maximum length, different for each number.
fn part(number: u32) -> String {
    format!("{number} \"ünïcode\"\n{}", "long words ".repeat(9_000))
}

/// A record with an answer of several long messages, of which some are posted.
fn answered(posted: usize) -> Record {
    let parts = (0..4).map(part).collect();
    let answer = PendingAnswer { posted, ..PendingAnswer::new(parts, true) };
    Record { stage: Stage::Answered(answer), ..Record::default() }
}

fn post(ledger: &Ledger, id: &str, posted: usize) {
    let (row, record) = (row(id), answered(posted));
    ledger.note(&Note::of(&row, NOW).record(&record).step(Step::Posting, "a part"), Wait::ForDisk).unwrap();
}

fn database(place: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(place.join("ledger.sqlite")).unwrap()
}

fn record_text(place: &Path, id: &str) -> String {
    let select = "SELECT record FROM deliveries WHERE id = ?";
    database(place).query_row(select, [id], |row| row.get(0)).unwrap()
}

fn texts(place: &Path) -> Vec<i64> {
    let database = database(place);
    let mut select = database.prepare("SELECT id FROM texts ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The files after a crash of the process that has this ledger open.
fn crashed(place: &Path, home: &Path) -> std::path::PathBuf {
    let copy = home.join("crashed");
    lay_out(&files(place), &copy);
    copy
}

#[test]
fn the_steps_of_a_long_answer_write_its_texts_once() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("state");
    let ledger = open(&place).ledger;
    post(&ledger, "n1", 0);
    let written = fs::metadata(place.join("ledger.sqlite-wal")).unwrap().len();
    for posted in 0..=4 {
        post(&ledger, "n1", posted);
        assert!(record_text(&place, "n1").len() < 1_000, "the row has the texts");
        assert_eq!(texts(&place), [1, 2, 3, 4], "the texts were written again");
    }
    let grown = fs::metadata(place.join("ledger.sqlite-wal")).unwrap().len() - written;
    assert!(grown < 150_000, "five steps of an answer of {written} bytes have written {grown}");
    close(&ledger, "n1", NOW, Wait::ForDisk);
    assert!(texts(&place).is_empty(), "a closed delivery needs none of its texts");
}

#[test]
fn a_crash_leaves_the_texts_with_their_delivery() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("state");
    let ledger = open(&place).ledger;
    post(&ledger, "n1", 1);
    put(&ledger, "n2", 1);
    assert_eq!(read(&place).unwrap().deliveries[0].record, answered(1), "also for a reader");
    let place = crashed(&place, home.path());
    let opened = open(&place);
    assert_eq!((opened.open.len(), &opened.open[0].record), (2, &answered(1)));
    post(&opened.ledger, "n1", 2);
    assert_eq!(texts(&place), [1, 2, 3, 4], "the texts of the last process were written again");
    let note = Note::of(&opened.open[0].work, NOW).record(&opened.open[1].record);
    opened.ledger.note(&note, Wait::ForDisk).unwrap();
    assert!(texts(&place).is_empty(), "the record no longer has them");
}

/// After an orderly stop, an older version finds rows of its own form.
#[test]
fn a_stop_puts_the_texts_back_into_their_rows() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    post(&ledger, "n1", 1);
    drop(ledger);
    let stored: serde_json::Value = serde_json::from_str(&record_text(home.path(), "n1")).unwrap();
    assert_eq!(stored, json!({"form": 2, "record": answered(1)}));
    assert!(texts(home.path()).is_empty());
    let opened = open(home.path());
    assert_eq!(opened.open[0].record, answered(1));
    post(&opened.ledger, "n1", 2);
    assert_eq!(texts(home.path()).len(), 4);
}

/// After a crash, an older version leaves the row as it is and says so: it does not know where the texts are.
#[test]
fn after_a_crash_an_older_version_refuses_the_row_with_a_sentence() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    post(&ledger, "n1", 1);
    let (work, record) = (row("n1").to_json().unwrap(), record_text(home.path(), "n1"));
    let row = RowText { id: "n1", work: &work, record: &record, closed: None, end: None };
    let why = row.read().unwrap_err().to_string();
    let words = format!("its record is of a newer form ({FORM_WITH_TEXTS}, this program knows 2)");
    assert_eq!(why, words);
}

/// Fields of a newer version stay next to the record and in it.
#[test]
fn unknown_fields_stay_with_a_long_record() {
    let home = TempDir::new().unwrap();
    let ledger = open(home.path()).ledger;
    post(&ledger, "n1", 1);
    drop(ledger);
    crate::support::forge::forge(home.path(), "n1", |kept| {
        kept["later"] = json!([part(9)]);
        kept["record"]["later"] = json!({"a": part(10)});
    });
    let opened = open(home.path());
    let mut record = opened.open[0].record.clone();
    record.tries = 3;
    opened.ledger.note(&Note::of(&opened.open[0].work, NOW).record(&record), Wait::ForDisk).unwrap();
    assert_eq!(texts(home.path()).len(), 6);
    drop(opened);
    let stored: serde_json::Value = serde_json::from_str(&record_text(home.path(), "n1")).unwrap();
    assert_eq!((&stored["later"], &stored["record"]["later"]), (&json!([part(9)]), &json!({"a": part(10)})));
    assert_eq!(stored["record"]["tries"], 3);
}

/// A delivery with a damaged text is not continued with another answer: only its end is recorded.
#[test]
fn a_damaged_text_damages_its_row_alone() {
    for change in ["UPDATE texts SET text = '\"other\"' WHERE id = 2", "DELETE FROM texts WHERE id = 2"] {
        let home = TempDir::new().unwrap();
        let place = home.path().join("state");
        let ledger = open(&place).ledger;
        post(&ledger, "n1", 1);
        put(&ledger, "n2", 1);
        let place = crashed(&place, home.path());
        database(&place).execute_batch(change).unwrap();
        for _ in 0..2 {
            let opened = open(&place);
            let [damaged] = &opened.unreadable[..] else { panic!("{:?}", opened.unreadable) };
            assert_eq!((damaged.id.as_str(), damaged.is_open(), damaged.is_newer()), ("n1", true, false));
            assert!(damaged.explain().contains("the texts of its record: "), "{}", damaged.explain());
            assert_eq!(opened.open[0].work.id, WorkId::new("n2"));
            let (row, record) = (row("n1"), answered(1));
            assert!(opened.ledger.note(&Note::of(&row, NOW).record(&record), Wait::ForDisk).is_err());
        }
        let remaining = texts(&place);
        let opened = open(&place);
        opened.ledger.drop_unreadable(&WorkId::new("n1"), NOW, Wait::ForDisk).unwrap();
        assert_eq!(texts(&place), remaining, "what can still be read is kept for people");
        drop(opened);
        let originals = "SELECT count(*) FROM originals WHERE id = 'n1'";
        assert_eq!(database(&place).query_row(originals, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }
}

/// "A flipped byte" and "torn", for a database and a log that consist mostly of long texts.
#[test]
fn damage_to_long_texts_is_noticed_or_does_not_matter() {
    let home = in_memory();
    let first = home.path().join("first");
    let ledger = open(&first).ledger;
    let noted = [("n1", 1), ("n2", 2), ("n3", 3)];
    let long = |failures| Record { failures: [(Cause::Interrupted, failures)].into(), ..answered(1) };
    for (id, failures) in noted {
        let (row, record) = (row(id), long(failures));
        ledger.note(&Note::of(&row, NOW).record(&record), Wait::ForDisk).unwrap();
    }
    let good: Files = files(&first);
    let noted = noted.map(|(id, failures)| (id.to_owned(), failures)).into();
    let place = home.path().join("second");
    let name = "ledger.sqlite-wal";
    let mut verdicts = Verdicts::default();
    for at in (0..good[name].len()).step_by(6_007) {
        for torn in [false, true] {
            let mut bad = good.clone();
            let bytes = bad.get_mut(name).unwrap();
            if torn {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << (at % 8);
            }
            lay_out(&bad, &place);
            verdicts.judge(&place, &noted, long, &format!("byte {at}, torn: {torn}"));
        }
    }
    assert!(verdicts.refused > 100, "{verdicts:?}");
    // The database without its log.
    lay_out(&good, &place);
    database(&place).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let (good, name) = (files(&place), "ledger.sqlite");
    let mut verdicts = Verdicts::default();
    for at in (0..good[name].len()).step_by(6_007) {
        let mut bad = good.clone();
        bad.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
        lay_out(&bad, &place);
        verdicts.judge(&place, &noted, long, &format!("{name}, byte {at}"));
    }
    assert!(verdicts.rows > 100, "{verdicts:?}");
}

/// A commit that fails leaves no text behind, and the next one writes all of them.
#[test]
fn a_failed_commit_is_repeated_with_its_texts() {
    let home = TempDir::new().unwrap();
    let place = home.path().join("state");
    let ledger = open(&place).ledger;
    put(&ledger, "n1", 1);
    let other = database(&place);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (row, record) = (row("n1"), answered(1));
    let note = Note::of(&row, NOW).record(&record);
    assert!(ledger.note(&note, Wait::ForDisk).is_err(), "the database is locked");
    other.execute_batch("ROLLBACK").unwrap();
    ledger.note(&note, Wait::ForDisk).unwrap();
    assert_eq!(texts(&place).len(), 4);
    assert_eq!(open(&crashed(&place, home.path())).open[0].record, answered(1));
}
