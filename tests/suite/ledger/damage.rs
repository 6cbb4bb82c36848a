//! Changed bytes, missing files and newer versions: the ledger recalls everything that was confirmed, or reports the
//! damage. A delivery never starts again as if nothing had been done for it.

use std::collections::HashMap;
use std::fs;

use mission_control_runtime::ledger::set_aside;

use super::*;

/// All files of a directory with their bytes.
pub(super) type Files = HashMap<String, Vec<u8>>;

pub(super) fn files(directory: &Path) -> Files {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| name != "ledger.lock" && !name.ends_with("-shm"))
        .collect()
}

pub(super) fn lay_out(files: &Files, directory: &Path) {
    let _ = fs::remove_dir_all(directory);
    fs::create_dir(directory).unwrap();
    for (name, bytes) in files {
        fs::write(directory.join(name), bytes).unwrap();
    }
}

/// A directory in memory if the machine has one: a ledger that is opened a thousand times need not wait for the disk.
pub(super) fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// The files after a kill: a database with some rows, and a log with more.
fn after_a_kill(home: &Path) -> (Files, HashMap<String, u32>) {
    let place = home.join("first");
    let ledger = open(&place).ledger;
    let mut noted = HashMap::new();
    for count in 0..12 {
        put(&ledger, &format!("n{count}"), count);
        noted.insert(format!("n{count}"), count);
    }
    close(&ledger, "over", NOW, Wait::ForDisk);
    drop(ledger);
    let ledger = open(&place).ledger;
    for count in 8..15 {
        put(&ledger, &format!("n{count}"), 100 + count);
        noted.insert(format!("n{count}"), 100 + count);
    }
    let left = files(&place);
    assert!(left["ledger.sqlite-wal"].len() > 20_000 && left["ledger.sqlite"].len() > 8_000);
    drop(ledger);
    (left, noted)
}

/// How often opening found the ledger whole, found damaged rows, or refused the ledger.
#[derive(Default, Debug)]
pub(super) struct Verdicts {
    pub(super) whole: usize,
    pub(super) rows: usize,
    pub(super) refused: usize,
}

impl Verdicts {
    /// Opens the ledger and checks that what it reports is true.
    pub(super) fn judge(
        &mut self,
        place: &Path,
        noted: &HashMap<String, u32>,
        record: impl Fn(u32) -> Record,
        what: &str,
    ) {
        match try_open(place) {
            Err(LedgerError::Damaged { .. } | LedgerError::Newer { .. }) => self.refused += 1,
            Err(why) => panic!("{what}: {why}"),
            Ok(opened) => {
                let mut missing: HashMap<&str, u32> =
                    noted.iter().map(|(id, failures)| (id.as_str(), *failures)).collect();
                for found in &opened.open {
                    let failures = missing.remove(found.work.id.as_str());
                    assert_eq!(Some(&found.record), failures.map(&record).as_ref(), "{what}");
                }
                for damaged in &opened.unreadable {
                    let known =
                        missing.remove(damaged.id.as_str()).is_some() || damaged.id.as_str() == "over";
                    assert!(known, "{what}: {damaged:?}");
                }
                assert!(missing.is_empty(), "{what}: forgotten: {missing:?}");
                *if opened.unreadable.is_empty() { &mut self.whole } else { &mut self.rows } += 1;
            }
        }
    }
}

/// "A flipped byte": at every 97th offset of each file, also of the log after a kill.
#[test]
fn a_flipped_byte_is_noticed_or_does_not_matter() {
    let home = in_memory();
    let (after_kill, noted) = after_a_kill(home.path());
    let after_end = files(&home.path().join("first"));
    assert!(!after_end.contains_key("ledger.sqlite-wal"));
    let place = home.path().join("second");
    for (good, name) in
        [(&after_kill, "ledger.sqlite-wal"), (&after_kill, "ledger.mark"), (&after_end, "ledger.sqlite")]
    {
        let mut verdicts = Verdicts::default();
        lay_out(good, &place);
        verdicts.judge(&place, &noted, record, "nothing was flipped");
        assert_eq!(verdicts.whole, 1);
        for at in (0..good[name].len()).step_by(97) {
            let mut bad = good.clone();
            bad.get_mut(name).unwrap()[at] ^= 1 << (at % 8);
            lay_out(&bad, &place);
            verdicts.judge(&place, &noted, record, &format!("{name}, byte {at}"));
        }
        match name {
            "ledger.sqlite-wal" => assert!(verdicts.refused > 100, "{verdicts:?}"),
            "ledger.sqlite" => assert!(verdicts.refused > 5 && verdicts.rows > 20, "{verdicts:?}"),
            _ => assert_eq!(verdicts.refused, 0),
        }
    }
}

/// "Torn": a file or a log that ends too early, between two pages or inside a page.
#[test]
fn what_was_cut_off_is_missed() {
    let home = in_memory();
    let (after_kill, noted) = after_a_kill(home.path());
    let after_end = files(&home.path().join("first"));
    let place = home.path().join("second");
    for (good, name) in [(&after_kill, "ledger.sqlite-wal"), (&after_end, "ledger.sqlite")] {
        let length = good[name].len();
        let mut verdicts = Verdicts::default();
        for cut in (0..length).step_by(1_999).chain([length - 1]) {
            let mut bad = good.clone();
            bad.get_mut(name).unwrap().truncate(cut);
            lay_out(&bad, &place);
            verdicts.judge(&place, &noted, record, &format!("{name} cut at {cut}"));
        }
        // The last byte alone may be an unused one.
        assert!(verdicts.whole + verdicts.rows <= 1 && verdicts.refused > 10, "{name}: {verdicts:?}");
        let mut bad = good.clone();
        bad.remove(name);
        lay_out(&bad, &place);
        assert!(matches!(try_open(&place), Err(LedgerError::Damaged { .. })), "{name} is gone");
    }
    // Additional bytes are no damage: they may be from a commit that was never confirmed.
    let mut tail = after_kill.clone();
    tail.get_mut("ledger.sqlite-wal").unwrap().extend([0xA5; 5_000]);
    lay_out(&tail, &place);
    let mut verdicts = Verdicts::default();
    verdicts.judge(&place, &noted, record, "a torn tail");
    assert_eq!(verdicts.whole, 1);
    // An older copy of the file next to a newer mark counts as a cut file.
    let mut older = after_end.clone();
    older.insert("ledger.sqlite".to_owned(), after_kill["ledger.sqlite"].clone());
    lay_out(&older, &place);
    let refused = try_open(&place).err().unwrap().to_string();
    assert!(refused.starts_with("the ledger is damaged (its end is missing: "), "{refused}");
}

/// A refused ledger is left unchanged, also when it is opened again, until a person sets it aside. Then a new ledger
/// starts and knows the time of that.
#[test]
fn a_damaged_ledger_is_left_alone_until_somebody_sets_it_aside() {
    let home = TempDir::new().unwrap();
    let (good, _) = after_a_kill(home.path());
    let place = home.path().join("second");
    let mut bad = good.clone();
    bad.get_mut("ledger.sqlite-wal").unwrap()[9_000] ^= 1;
    lay_out(&bad, &place);
    for _ in 0..2 {
        let Err(LedgerError::Damaged { known, .. }) = try_open(&place) else { panic!("it is damaged") };
        assert!(known.contains(&WorkId::new("n0")) && known.len() >= 12, "{known:?}");
        assert!(!known.contains(&WorkId::new("over")));
        assert!(files(&place) == bad, "something was changed");
    }
    let aside = set_aside(&folder(&place).unwrap(), NOW).unwrap();
    assert!(aside.known.len() >= 12 && aside.file.ends_with("ledger.damaged-1765526400123.sqlite"));
    assert_eq!(fs::read(&aside.file).unwrap(), bad["ledger.sqlite"]);
    let opened = open(&place);
    assert!(opened.open.is_empty() && opened.unreadable.is_empty() && opened.closed.is_empty());
    assert_eq!(opened.set_aside, Some(NOW));
    put(&opened.ledger, "n1", 1);
    drop(opened);
    assert_eq!(open(&place).open.len(), 1);
}

#[test]
fn what_is_not_ours_or_newer_is_refused_with_a_sentence() {
    let home = TempDir::new().unwrap();
    let first = home.path().join("first");
    put(&open(&first).ledger, "n1", 1);
    let good = files(&first);
    let place = home.path().join("second");
    let rows = [
        (
            "PRAGMA user_version = 7",
            "the ledger was written by a newer version (layout 7, this program knows 1)",
        ),
        ("PRAGMA user_version = 0", "the ledger is damaged (layout 0)"),
        ("PRAGMA application_id = 7", "the ledger is damaged (it is another program's database)"),
        ("DELETE FROM deliveries", "the ledger is damaged (its end is missing: 1 commits are expected"),
        ("DROP TABLE deliveries", "the ledger is damaged (its table has an unexpected form)"),
        (
            "DROP TABLE deliveries; DROP TABLE tasks; DROP TABLE evidence",
            "the ledger is damaged (it is empty, and 1 commits are expected)",
        ),
        ("UPDATE deliveries SET id = 'n2'", "the ledger is damaged (the id of its row 1 cannot be read)"),
    ];
    for (statement, words) in rows {
        lay_out(&good, &place);
        let database = rusqlite::Connection::open(place.join("ledger.sqlite")).unwrap();
        database.execute_batch(statement).unwrap();
        drop(database);
        let refused = try_open(&place).err().unwrap_or_else(|| panic!("{statement}"));
        assert!(refused.to_string().starts_with(words), "{statement}: {refused}");
        assert!(!refused.is_of_the_place());
    }
    fs::write(place.join("ledger.sqlite"), "a letter to my aunt ".repeat(300)).unwrap();
    let refused = try_open(&place).err().unwrap().to_string();
    assert!(
        refused.starts_with(
            "the ledger is damaged (file is not a database), so deliveries under way are unknown"
        ),
        "{refused}"
    );
}

/// Rows that a person or a newer version has changed: the id is known, the steps are not. Such a row is reported at
/// every start until the end of its delivery is noted. No other note makes the delivery look fresh.
#[test]
fn a_row_that_is_not_understood_is_reported_until_it_is_over() {
    let home = TempDir::new().unwrap();
    let first = home.path().join("first");
    let ledger = open(&first).ledger;
    put(&ledger, "n1", 1);
    put(&ledger, "n2", 2);
    drop(ledger);
    let change = |statement: &str| {
        rusqlite::Connection::open(first.join("ledger.sqlite")).unwrap().execute_batch(statement).unwrap();
    };
    change(
        "UPDATE deliveries SET record = replace(record, '\"interrupted\":1', '\"interrupted\":0') WHERE id = 'n1'",
    );
    for _ in 0..2 {
        let opened = open(&first);
        assert_eq!(opened.open.len(), 1);
        assert_eq!(
            (
                opened.unreadable[0].id.as_str(),
                opened.unreadable[0].is_open(),
                opened.unreadable[0].is_newer()
            ),
            ("n1", true, false)
        );
        assert!(opened.unreadable[0].explain().contains("its checksum is wrong"));
        let (row, record) = (row("n1"), record(0));
        let refused = opened.ledger.note(&Note::of(&row, NOW).record(&record), Wait::ForDisk).unwrap_err();
        assert_eq!(refused.to_string(), "its record is damaged, and only its end is recorded");
    }
    let seen = read(&first).unwrap();
    assert_eq!((seen.deliveries.len(), seen.unreadable.len()), (1, 1));
    close(&open(&first).ledger, "n1", NOW, Wait::ForDisk);
    let opened = open(&first);
    assert_eq!((opened.open.len(), opened.unreadable.len(), opened.closed.len()), (1, 0, 1));
}

/// Only the end of its delivery overwrites a damaged row, and the original bytes are kept.
#[test]
fn the_bytes_of_a_damaged_row_are_kept_when_its_delivery_ends() {
    let home = TempDir::new().unwrap();
    put(&open(home.path()).ledger, "n1", 1);
    let database = || rusqlite::Connection::open(home.path().join("ledger.sqlite")).unwrap();
    database()
        .execute_batch("UPDATE deliveries SET record = replace(record, '\"calls\":3', '\"calls\":4')")
        .unwrap();
    let bytes = |table: &str| {
        let select = format!("SELECT number || id || row || record || story || sum FROM {table}");
        let rows: Vec<String> = database()
            .prepare(&select)
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        rows
    };
    let before = bytes("deliveries");
    let (row, end) = (row("n1"), End::Dead("its row is damaged".to_owned()));
    let notice = Notice { doubt: Some(NOW), ..Notice::new("a line".to_owned(), end.clone()) };
    let record = Record { stage: Stage::Notice(notice), ..Record::default() };
    let ledger = open(home.path()).ledger;
    ledger.note(&Note::of(&row, NOW).record(&record).step(Step::Posting, "a line"), Wait::ForDisk).unwrap();
    assert_eq!(bytes("originals"), before);
    drop(ledger);
    // After a crash in between, the notice is not posted twice, because its posting is recorded.
    let opened = open(home.path());
    assert_eq!((opened.unreadable.len(), &opened.open[0].record), (0, &record));
    opened.ledger.note(&Note::of(&row, NOW).record(&record).ends(&end), Wait::ForDisk).unwrap();
    drop(opened);
    let opened = open(home.path());
    assert_eq!((opened.dead.len(), opened.unreadable.len(), bytes("originals")), (1, 0, before));
}

/// A row with a wrong checksum that a person drops is closed, and its original bytes are kept too.
#[test]
fn a_row_with_a_wrong_checksum_can_be_dropped() {
    let home = TempDir::new().unwrap();
    put(&open(home.path()).ledger, "n1", 1);
    let database = || rusqlite::Connection::open(home.path().join("ledger.sqlite")).unwrap();
    database().execute_batch("UPDATE deliveries SET agent = 'nobody'").unwrap();
    let ledger = open(home.path()).ledger;
    ledger.drop_unreadable(&WorkId::new("n1"), NOW, Wait::ForDisk).unwrap();
    drop(ledger);
    let opened = open(home.path());
    assert_eq!((opened.open.len(), opened.closed.len(), opened.unreadable[0].is_open()), (0, 0, false));
    let kept: String = database().query_row("SELECT agent FROM originals", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "nobody");
}

/// A row that one wrong byte closes would be marked as delivered, without an answer or a line in its thread.
#[test]
fn one_wrong_column_does_not_close_an_open_row() {
    for (columns, is_open) in [
        ("closed = 7", true),
        ("ended = '\"gone\"'", true),
        ("closed = 7, ended = 'x'", true),
        ("closed = 7, ended = '\"gone\"'", false),
    ] {
        let home = TempDir::new().unwrap();
        put(&open(home.path()).ledger, "n1", 1);
        let database = rusqlite::Connection::open(home.path().join("ledger.sqlite")).unwrap();
        database.execute_batch(&format!("UPDATE deliveries SET {columns}")).unwrap();
        drop(database);
        let opened = open(home.path());
        assert_eq!((opened.open.len(), opened.unreadable[0].is_open()), (0, is_open), "{columns}");
    }
}
