//! Fields that only a newer version knows are kept, whatever an older version does with a delivery.

use serde_json::Value;

use super::*;
use crate::support::forge::{forge, forge_story, forge_work};

/// The columns with JSON.
const COLUMNS: [&str; 3] = ["row", "record", "story"];

fn json_of(place: &Path, id: &str) -> [Value; 3] {
    let database = rusqlite::Connection::open(place.join("ledger.sqlite")).unwrap();
    COLUMNS.map(|column| {
        let select = format!("SELECT {column} FROM deliveries WHERE id = ?");
        let text: String = database.query_row(&select, [id], |row| row.get(0)).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}

/// Any JSON value.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Adds the field to each object of a record, except to objects of the gateway. Collects the paths of the added fields.
fn add_everywhere(value: &mut Value, path: &str, field: &Value, paths: &mut Vec<String>) {
    match value {
        // The names of these objects are data, or the objects are the gateway's.
        Value::Object(_)
            if path.ends_with("/failures") || path.contains("/pending") || path.contains("/outputs") => {}
        Value::Object(fields) => {
            // A stage or an end is an object with one name, which is a variant and no field.
            let is_variant = path.ends_with("/stage") || path.ends_with("/end") || path.ends_with("/ended");
            for (name, value) in fields.iter_mut() {
                add_everywhere(value, &format!("{path}/{name}"), field, paths);
            }
            if !is_variant {
                fields.insert("later".to_owned(), field.clone());
                paths.push(format!("{path}/later"));
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter_mut().enumerate() {
                add_everywhere(value, &format!("{path}/{at}"), field, paths);
            }
        }
        _ => {}
    }
}

fn assert_kept(found: &[Value; 3], paths: &[Vec<String>; 3], field: &Value, gone: &[&str]) {
    for ((value, paths), column) in found.iter().zip(paths).zip(COLUMNS) {
        for path in paths.iter().filter(|path| !gone.iter().any(|gone| path.starts_with(gone))) {
            let kept = value.pointer(path).unwrap_or_else(|| panic!("{column}{path} is gone: {value}"));
            assert_eq!(kept.to_string(), field.to_string(), "{column}{path}");
        }
    }
}

/// Parts of a record that end with a step, with all their fields.
const OF_A_STEP: [&str; 3] = ["/record/stage", "/record/sent", "/record/unposted"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// A delivery of a newer version is opened, continued, closed, retried by a person, closed again, and noted again
    /// from a list.
    #[test]
    fn unknown_fields_outlive_all_steps_of_a_delivery(record in any_record(), field in value()) {
        let home = TempDir::new().unwrap();
        let work = row("n1");
        let first = Note::of(&work, NOW).record(&record).step(Step::TurnSent, "to ben");
        open(home.path()).ledger.note(&first, Wait::ForDisk).unwrap();
        let mut paths: [Vec<String>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        forge_work(home.path(), "n1", |row| add_everywhere(row, "", &field, &mut Vec::new()));
        forge(home.path(), "n1", |kept| add_everywhere(kept, "", &field, &mut Vec::new()));
        forge_story(home.path(), "n1", |story| add_everywhere(story, "", &field, &mut Vec::new()));
        for (mut value, paths) in json_of(home.path(), "n1").into_iter().zip(&mut paths) {
            add_everywhere(&mut value, "", &field, paths);
            paths.retain(|path| !path.ends_with("later/later") && !path.contains("/later/"));
        }

        // A step that changes only counters.
        let mut opened = open(home.path());
        prop_assert_eq!(opened.open.len(), 1, "{:?}", opened.unreadable);
        let left = opened.open.remove(0);
        let counted = Record { tries: 7, ..left.record.clone() };
        let note = Note::of(&left.work, NOW).record(&counted).step(Step::Rests, "again");
        opened.ledger.note(&note, Wait::ForDisk).unwrap();
        assert_kept(&json_of(home.path(), "n1"), &paths, &field, &[]);

        // All stages up to the end.
        for stage in [
            Stage::Fresh,
            Stage::Working(ToolRounds::default()),
            Stage::Answered(PendingAnswer::default()),
            Stage::Notice(Notice::new("a line".to_owned(), End::Stopped)),
            Stage::Ended(End::Stopped),
        ] {
            let next = Record { stage, sent: None, unposted: None, ..counted.clone() };
            opened.ledger.note(&Note::of(&left.work, NOW).record(&next), Wait::ForDisk).unwrap();
            assert_kept(&json_of(home.path(), "n1"), &paths, &field, &OF_A_STEP);
        }
        let (ended, dead) = (Record { stage: Stage::Ended(End::Stopped), ..counted }, End::Dead("no".to_owned()));
        opened.ledger.note(&Note::of(&left.work, NOW).record(&ended).ends(&dead), Wait::ForDisk).unwrap();
        drop(opened);

        // A person retries the delivery.
        let mut opened = open(home.path());
        let letter = opened.dead.remove(0);
        let again = letter.record.retried();
        opened.ledger.note(&dead_letters::started_again(&letter.work, &again, dead_letters::RETRIED_STEP, NOW), Wait::ForDisk).unwrap();
        assert_kept(&json_of(home.path(), "n1"), &paths, &field, &OF_A_STEP);
        opened.ledger.note(&Note::of(&letter.work, NOW).record(&again).ends(&dead), Wait::ForDisk).unwrap();
        drop(opened);

        // The delivery is noted with work from a list, which has none of the fields.
        let ledger = open(home.path()).ledger;
        for _ in 0..2 {
            ledger.note(&Note::of(&work, NOW).record(&again).step(Step::Rests, "listed"), Wait::ForDisk).unwrap();
            assert_kept(&json_of(home.path(), "n1"), &paths, &field, &OF_A_STEP);
        }
        drop(ledger);
        let opened = open(home.path());
        prop_assert_eq!((opened.open.len(), opened.unreadable.len()), (1, 0));
        assert_kept(&json_of(home.path(), "n1"), &paths, &field, &OF_A_STEP);
    }
}
