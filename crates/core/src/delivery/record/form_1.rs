//! Reads records of form 1, which the first version wrote.
//!
//! Form 1 counted failures in several sums as well as in the map of causes. It kept the receiver of results with the
//! record, and a line for people as an answer with a `note_on`. All other fields are the same in form 2, and unknown
//! fields stay where they are.

use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Error, Map, Value, json};

use super::{Record, Stage};
use crate::delivery::cause::{Cause, Failures};

/// The sums of form 1 that count one cause alone.
const SUMS: [(&str, Cause); 7] = [
    ("crashes", Cause::Crash),
    ("doubts", Cause::Backend),
    ("outages", Cause::BackendAway),
    ("turned_away", Cause::TurnedAway),
    ("lost", Cause::LostAnswer),
    ("silences", Cause::Silence),
    ("unknown", Cause::NoContext),
];

/// Other fields that only form 1 has. Their names stay reserved: no later form gives them a meaning.
const OTHERS: [&str; 3] = ["causes", "provider", "whom"];

/// Whether a record that says that it is of a later form has fields that only form 1 has. Their meaning would be lost.
pub(in crate::delivery) fn has_fields_of_form_1(record: &Record) -> bool {
    let names = SUMS.iter().map(|(sum, _)| *sum).chain(OTHERS);
    let has_note = matches!(&record.stage, Stage::Answered(answer) if answer.extra.has("note_on"));
    has_note || names.into_iter().any(|name| record.extra.has(name))
}

/// Reads a record of form 1.
pub fn from_form_1(record: Value) -> Result<Record, Error> {
    let Value::Object(mut fields) = record else {
        return Err(Error::custom("a record of form 1 is an object"));
    };
    let failures = failures(&mut fields)?;
    let whom = fields.remove("whom");
    if let Some(stage) = fields.remove("stage") {
        fields.insert("stage".to_owned(), stage_of(stage, whom)?);
    }
    // By way of text, because reading a record from values as well would add 150 KB of code.
    let mut record: Record = serde_json::from_str(&Value::Object(fields).to_string())?;
    record.failures = failures;
    Ok(record)
}

/// The counters in one map. Failures in the sums that no cause explains are kept without a cause. They are shown to
/// people, and no limit counts them.
fn failures(fields: &mut Map<String, Value>) -> Result<Failures, Error> {
    let mut failures: Failures = take(fields, "causes")?;
    let (row, provider): (u32, u32) = (take(fields, "failures")?, take(fields, "provider")?);
    let (row, provider) =
        (row.saturating_sub(failures.of_row()), provider.saturating_sub(failures.of_provider()));
    failures.add(Cause::Earlier, row);
    failures.add(Cause::EarlierProvider, provider);
    for (sum, cause) in SUMS {
        failures.add(cause, take(fields, sum)?);
    }
    Ok(failures)
}

fn take<T: Default + DeserializeOwned>(fields: &mut Map<String, Value>, name: &str) -> Result<T, Error> {
    let Some(value) = fields.remove(name) else { return Ok(T::default()) };
    serde_json::from_value(value).map_err(|why| Error::custom(format!("`{name}`: {why}")))
}

fn stage_of(mut stage: Value, whom: Option<Value>) -> Result<Value, Error> {
    if let (Some(work), Some(whom)) = (stage.get_mut("working").and_then(Value::as_object_mut), whom) {
        work.insert("whom".to_owned(), whom);
    }
    let Some(answer) = stage.get_mut("answered").and_then(Value::as_object_mut) else { return Ok(stage) };
    let note_on = answer.remove("note_on").filter(|end| !end.is_null());
    let Some(end) = note_on else { return Ok(stage) };
    let mut notice = std::mem::take(answer);
    let (parts, posted): (Vec<String>, usize) = (take(&mut notice, "parts")?, take(&mut notice, "posted")?);
    notice.remove("advance");
    let Some(line) = parts.get(posted) else {
        return Ok(json!({"ended": end}));
    };
    notice.insert("line".to_owned(), json!(line));
    notice.insert("end".to_owned(), end);
    Ok(json!({"notice": notice}))
}
