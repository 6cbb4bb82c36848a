//! Long texts of records, each stored once in a table next to the deliveries.
//!
//! A note carries the whole record, and each step of a long answer would write its text again. So while a delivery is
//! open, a text of at least [`LONG`] bytes is written once, to the table `texts`. The row has an envelope of form
//! [`FORM_WITH_TEXTS`] in place of its record:
//!
//! ```text
//! {"form":3,"texts":[[offset,id,checksum],…],"record":{"form":2,"record":{…,"parts":["",…],…}}}
//! ```
//!
//! Each offset is the place of an empty string in the inner record, to be replaced by the text. An older version leaves
//! such a row unchanged, as it does with any newer form. Closed rows contain all of their texts, and a process that stops
//! puts the texts of open rows back, so an older version continues after an orderly stop.

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::LedgerError;
use super::image::first_eight;
use mcr_core::delivery::ledger_row::FORM_WITH_TEXTS;

/// The table. Created when needed.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS texts (
    id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, text TEXT NOT NULL) STRICT";

/// The minimum length of a text that is stored apart, in bytes of JSON: two pages of the database.
pub(super) const LONG: usize = 8 * 1024;

/// An empty string of JSON, which marks the place of a text.
const EMPTY: &str = "\"\"";

/// How an envelope begins. Another row of this form belongs to a newer version.
fn beginning() -> String {
    format!("{{\"form\":{FORM_WITH_TEXTS},\"texts\":[")
}

/// A record without its long texts.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    form: u32,
    /// The place in the record, the id and the checksum of each text.
    texts: Vec<(usize, i64, i64)>,
    #[serde(borrow)]
    record: &'a RawValue,
}

/// A text in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredText {
    id: i64,
    digest: [u8; 32],
}

impl StoredText {
    fn sum(&self) -> i64 {
        first_eight(&self.digest)
    }
}

/// Why the texts of a record cannot be read.
#[derive(Debug)]
pub(super) enum TextError {
    /// One is missing or damaged, or the envelope is.
    Damaged(String),
    /// The database failed.
    Database(LedgerError),
}

impl From<rusqlite::Error> for TextError {
    fn from(why: rusqlite::Error) -> Self {
        Self::Database(why.into())
    }
}

/// Removes texts without a row. Returns the next free id.
pub(super) fn prepare(began: &Connection) -> Result<i64, LedgerError> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'texts'";
    if began.query_row(select, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(1);
    }
    began.execute("DELETE FROM texts WHERE delivery NOT IN (SELECT number FROM deliveries)", [])?;
    Ok(began.query_row("SELECT coalesce(max(id), 0) + 1 FROM texts", [], |row| row.get(0))?)
}

/// Writes the long texts of a record that are not among `stored` yet. Returns the record to store in the row, if it
/// differs, and the texts that it refers to.
pub(super) fn put(
    began: &Connection,
    next_id: &mut i64,
    delivery: i64,
    record: &str,
    stored: &[StoredText],
) -> Result<Option<(String, Vec<StoredText>)>, LedgerError> {
    let found = long_texts(record);
    if found.is_empty() {
        return Ok(None);
    }
    began.execute_batch(TABLE)?;
    let mut known = stored.to_vec();
    let mut used: Vec<StoredText> = Vec::with_capacity(found.len());
    let mut places = Vec::with_capacity(found.len());
    let mut bare = String::new();
    let mut copied = 0;
    for (at, text) in found {
        let digest = digest_of(text);
        let text_row = if let Some(known) = known.iter().find(|known| known.digest == digest) {
            known.clone()
        } else {
            let new = StoredText { id: *next_id, digest };
            *next_id += 1;
            let mut insert =
                began.prepare_cached("INSERT INTO texts (id, delivery, text) VALUES (?, ?, ?)")?;
            insert.execute(params![new.id, delivery, text])?;
            known.push(new.clone());
            new
        };
        bare.push_str(&record[copied..at]);
        places.push((bare.len(), text_row.id, text_row.sum()));
        bare.push_str(EMPTY);
        copied = at + text.len();
        if !used.contains(&text_row) {
            used.push(text_row);
        }
    }
    bare.push_str(&record[copied..]);
    let record = serde_json::from_str(&bare).expect("JSON with an empty string in place of another is JSON");
    let envelope = Envelope { form: FORM_WITH_TEXTS, texts: places, record };
    let envelope = serde_json::to_string(&envelope).expect("numbers and JSON are JSON");
    Ok(Some((envelope, used)))
}

/// Removes the texts of a row to which it no longer refers.
pub(super) fn remove(
    began: &Connection,
    stored: &[StoredText],
    used: &[StoredText],
) -> Result<(), LedgerError> {
    for text in stored.iter().filter(|text| !used.contains(text)) {
        began.prepare_cached("DELETE FROM texts WHERE id = ?")?.execute([text.id])?;
    }
    Ok(())
}

/// The record of a row with its texts, if the texts are stored apart.
pub(super) fn fill(
    database: &Connection,
    record: &str,
) -> Result<Option<(String, Vec<StoredText>)>, TextError> {
    if !record.starts_with(&beginning()) {
        return Ok(None);
    }
    let damaged = |what: String| TextError::Damaged(format!("the texts of its record: {what}"));
    let envelope: Envelope<'_> = serde_json::from_str(record).map_err(|why| damaged(why.to_string()))?;
    let (bare, mut copied) = (envelope.record.get(), 0);
    let (mut whole, mut used) = (String::new(), Vec::new());
    let mut select = database.prepare_cached("SELECT text FROM texts WHERE id = ?")?;
    for (at, id, sum) in envelope.texts {
        let text: Option<String> = select.query_row([id], |row| row.get(0)).optional()?;
        let text = text.ok_or_else(|| damaged(format!("text {id} is missing")))?;
        let stored = StoredText { id, digest: digest_of(&text) };
        if stored.sum() != sum {
            return Err(damaged(format!("the checksum of text {id} is wrong")));
        }
        let has_place = bare.get(at..).is_some_and(|rest| rest.starts_with(EMPTY));
        let before = bare.get(copied..at).filter(|_| has_place);
        whole.push_str(before.ok_or_else(|| damaged(format!("text {id} has no place")))?);
        whole.push_str(&text);
        copied = at + EMPTY.len();
        if !used.contains(&stored) {
            used.push(stored);
        }
    }
    whole.push_str(&bare[copied..]);
    Ok(Some((whole, used)))
}

fn digest_of(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

/// The strings of a JSON text that are long enough to be stored apart, with their quotes, each with its place.
fn long_texts(json: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    if json.len() < LONG {
        return found;
    }
    let mut at = 0;
    while let Some(opening) = json[at..].find('"') {
        let start = at + opening;
        at = end_of_string(json, start);
        if at - start >= LONG {
            found.push((start, &json[start..at]));
        }
    }
    found
}

/// Where the string ends that starts here. The text is valid JSON, so it ends.
fn end_of_string(json: &str, start: usize) -> usize {
    let mut end = start + 1;
    while let Some(next) = json[end..].find('"') {
        end += next + 1;
        let before = json.as_bytes()[..end - 1].iter().rev();
        if before.take_while(|byte| **byte == b'\\').count() % 2 == 0 {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        let database = Connection::open_in_memory().expect("a database");
        database.execute_batch("CREATE TABLE deliveries (number INTEGER PRIMARY KEY)").expect("a table");
        assert_eq!(prepare(&database).expect("no table yet"), 1);
        database
    }

    fn count(database: &Connection) -> i64 {
        database.query_row("SELECT count(*) FROM texts", [], |row| row.get(0)).expect("a count")
    }

    /// A record with a text of this many characters, next to escapes and short texts.
    fn record(text: &str) -> String {
        let record = serde_json::json!({"a": "\"\\", text: [text, "short \\", text], "ü": {"z": "\\\""}});
        serde_json::json!({"form": 2, "record": record}).to_string()
    }

    #[test]
    fn a_record_comes_back_byte_for_byte_and_its_texts_are_written_once() {
        for text in ["x".repeat(LONG), "\"".repeat(LONG), "\\".repeat(LONG), "ü\n".repeat(LONG)] {
            let (database, mut next) = (database(), 1);
            let record = record(&text);
            let (stored, used) =
                put(&database, &mut next, 7, &record, &[]).expect("written").expect("a long text");
            assert!(stored.starts_with(&beginning()) && stored.len() < 400, "{stored}");
            assert_eq!((used.len(), count(&database), next), (1, 1, 2), "the text is there three times");
            let (filled, found) = fill(&database, &stored).expect("intact").expect("texts apart");
            assert_eq!((&filled, &found), (&record, &used));
            let again = put(&database, &mut next, 7, &record, &used).expect("written");
            assert_eq!((again, next), (Some((stored, used.clone())), 2));
            remove(&database, &used, &[]).expect("removed");
            assert_eq!(count(&database), 0);
        }
    }

    #[test]
    fn short_texts_stay_in_their_record() {
        let (database, mut next) = (database(), 1);
        let record = record(&"x".repeat(LONG - 3));
        assert_eq!(put(&database, &mut next, 7, &record, &[]).expect("nothing to write"), None);
        assert!(fill(&database, &record).expect("intact").is_none());
    }

    #[test]
    fn damage_to_a_text_or_its_envelope_is_noticed() {
        let (database, mut next) = (database(), 1);
        let (stored, used) = put(&database, &mut next, 7, &record(&"x".repeat(LONG)), &[])
            .expect("written")
            .expect("a long text");
        let damaged = |stored: &str| match fill(&database, stored) {
            Err(TextError::Damaged(why)) => why,
            other => panic!("{stored}: {other:?}"),
        };
        let cut = &stored[..stored.len() - 1];
        assert!(damaged(cut).contains("EOF"), "{}", damaged(cut));
        let place = stored.replace("\"texts\":[[", "\"texts\":[[1");
        assert_eq!(damaged(&place), "the texts of its record: text 1 has no place");
        database.execute("UPDATE texts SET text = text || 'y'", []).expect("changed");
        assert_eq!(damaged(&stored), "the texts of its record: the checksum of text 1 is wrong");
        remove(&database, &used, &[]).expect("removed");
        assert_eq!(damaged(&stored), "the texts of its record: text 1 is missing");
    }

    #[test]
    fn texts_without_a_row_are_removed_at_the_next_start() {
        let (database, mut next) = (database(), 1);
        database.execute("INSERT INTO deliveries VALUES (7)", []).expect("a row");
        for delivery in [7, 8] {
            put(&database, &mut next, delivery, &record(&"x".repeat(LONG)), &[]).expect("written");
        }
        assert_eq!((count(&database), prepare(&database).expect("prepared"), count(&database)), (2, 2, 1));
    }
}
