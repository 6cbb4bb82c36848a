//! Reads and writes rows as JSON without the rules of the functions: for import and export, and for tests that set up
//! a board. A row that does not fit its table is refused.

use serde_json::{Map, Value};

use super::Engine;
use super::rows::normalized;
use super::store::{StoreError, StoredRow, Table, Tx, table_of};

/// The fields of a row, without its id and its creation time.
type Fields = Map<String, Value>;

/// A field that does not fit its table, and why.
pub(super) type FieldMisfit = (String, String);

/// The characters of a reason that an error repeats.
const REASON_CHARS: usize = 200;

impl Engine {
    /// Writes a row to a table and returns its id. If a row with its `_id` exists, only the given fields change, and
    /// `null` removes a field. A row with a new `_id` keeps that id and its `_creationTime`.
    pub fn write_row(&self, table: &str, row: Value) -> Result<String, StoreError> {
        let table = named(table)?;
        self.store.write(|tx| write_row(tx, table, row))
    }

    /// All rows of a table in the order of their creation, with `_id` and `_creationTime`.
    pub fn read_table(&self, table: &str) -> Result<Vec<Value>, StoreError> {
        let table = named(table)?;
        self.store.read(|tx| read_table(tx, table))
    }
}

/// Writes a row to a table inside a transaction and returns its id.
pub(super) fn write_row(tx: &Tx<'_>, table: Table, row: Value) -> Result<String, StoreError> {
    let Value::Object(mut row) = row else {
        return Err(StoreError::Fault("a row must be a JSON object".to_owned()));
    };
    let Some(id) = row.remove("_id") else { return Ok(tx.insert_json(table, &encode(table, row)?)?.0) };
    let Some(id) = id.as_str().filter(|id| table_of(id) == Some(table)) else {
        return Err(refused(table, &format!("{id} is not an id of this table")));
    };
    let created = row.remove("_creationTime").and_then(|at| at.as_f64());
    match (tx.get_json(table, id)?, created) {
        (Some(stored), _) => {
            let mut fields = decode(table, &stored)?;
            fields.extend(row);
            tx.put_json(table, id, &encode(table, fields)?)?;
        }
        (None, Some(created)) => tx.restore_json(table, id, created, &encode(table, row)?)?,
        (None, None) => return Err(refused(table, &format!("row {id} does not exist"))),
    }
    Ok(id.to_owned())
}

/// All rows of a table inside a transaction.
pub(super) fn read_table(tx: &Tx<'_>, table: Table) -> Result<Vec<Value>, StoreError> {
    let rows = tx.all_json(table)?.into_iter().map(|stored| {
        let mut fields = decode(table, &stored)?;
        fields.insert("_id".to_owned(), stored.id.into());
        fields.insert("_creationTime".to_owned(), stored.created.into());
        Ok(fields.into())
    });
    rows.collect()
}

/// The first field of a row that does not fit its table. `None` if all fields fit.
pub(super) fn fault_in(table: Table, row: &Value) -> Option<FieldMisfit> {
    let mut fields = row.as_object()?.clone();
    fields.remove("_id");
    fields.remove("_creationTime");
    checked(table, fields).err()
}

/// The table with this name.
fn named(name: &str) -> Result<Table, StoreError> {
    let table = Table::ALL.into_iter().find(|table| table.name() == name);
    table.ok_or_else(|| StoreError::Fault(format!("unknown table {name}")))
}

/// The fields of a stored row that its type defines.
fn decode(table: Table, stored: &StoredRow) -> Result<Fields, StoreError> {
    let fields = normalized(table, &stored.json).and_then(|row| serde_json::from_str(&row));
    fields.map_err(|why| stored.corrupt(&why))
}

/// The JSON of a row. Fails if the row does not fit its table.
fn encode(table: Table, fields: Fields) -> Result<String, StoreError> {
    checked(table, fields).map_err(|(field, why)| refused(table, &format!("field {field}: {why}")))
}

/// The JSON of a row, if all its fields fit. `null` stands for an absent field.
fn checked(table: Table, mut fields: Fields) -> Result<String, FieldMisfit> {
    fields.retain(|_, value| !value.is_null());
    let row = read(table, &fields).map_err(|why| misfit(table, &fields, &why))?;
    let known: Fields = serde_json::from_str(&row).expect("a row was just written as a JSON object");
    match fields.keys().find(|name| !known.contains_key(*name)) {
        Some(unknown) => Err((unknown.clone(), "unknown field".to_owned())),
        None => Ok(row),
    }
}

/// The normalized JSON of these fields, or the reason why they do not fit, without a position in the text.
fn read(table: Table, fields: &Fields) -> Result<String, String> {
    let text = serde_json::to_string(fields).map_err(|why| why.to_string())?;
    normalized(table, &text).map_err(|why| {
        let why = why.to_string();
        why.rsplit_once(" at line ").map(|(reason, _)| reason.to_owned()).unwrap_or(why)
    })
}

/// The field that caused a reason, and the reason.
fn misfit(table: Table, fields: &Fields, why: &str) -> FieldMisfit {
    if let Some((name, _)) = why.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
        return (name.to_owned(), "the field is missing".to_owned());
    }
    // Without the field that caused the error, the reason changes or disappears.
    let is_at_fault = |name: &&String| {
        let mut without = fields.clone();
        without.remove(*name);
        read(table, &without).map_or_else(|other| other != why, |_| true)
    };
    let name = fields.keys().find(is_at_fault).cloned().unwrap_or_default();
    (name, why.chars().take(REASON_CHARS).collect())
}

fn refused(table: Table, why: &str) -> StoreError {
    StoreError::Fault(format!("{}: {why}", table.name()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::Options;
    use mcr_model::clock::SystemClock;

    #[test]
    fn the_field_that_does_not_fit_is_named_with_the_reason() {
        let fits = json!({"_id": "x", "_creationTime": 1.5, "contentType": "text/plain", "size": 3});
        let rows = [
            (json!({}), None),
            (json!({"size": null}), Some(("size", "the field is missing"))),
            (json!({"size": "3"}), Some(("size", "invalid type: string \"3\", expected f64"))),
            (
                json!({"contentType": 5}),
                Some(("contentType", "invalid type: integer `5`, expected a string")),
            ),
            (
                json!({"contentType": " at line 1 column 2", "size": {}}),
                Some(("size", "invalid type: map, expected f64")),
            ),
            (json!({"colour": "red"}), Some(("colour", "unknown field"))),
            (json!({"colour": null}), None),
        ];
        for (change, expected) in rows {
            let mut row = fits.clone();
            row.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            let found = fault_in(Table::Storage, &row);
            let found = found.as_ref().map(|(field, why)| (field.as_str(), why.as_str()));
            assert_eq!(found, expected, "{change}");
        }
    }

    #[test]
    fn a_row_is_added_changed_and_restored_under_its_own_id() {
        let engine = Engine::in_memory(Box::new(SystemClock), Options::default()).expect("an engine");
        let id =
            engine.write_row("_storage", json!({"contentType": "text/plain", "size": 3})).expect("a new row");
        engine.write_row("_storage", json!({"_id": id, "size": 4})).expect("a changed row");
        let other = format!("{}0", &id[..id.len() - 1]);
        let other = if other == id { format!("{}1", &id[..id.len() - 1]) } else { other };
        let restored = json!({"_id": other, "_creationTime": 1.5, "contentType": "a/b", "size": 5.5});
        engine.write_row("_storage", restored.clone()).expect("a restored row");
        let rows = engine.read_table("_storage").expect("rows");
        assert_eq!(rows[0], restored);
        assert_eq!(rows[1]["_id"], json!(id));
        assert_eq!((&rows[1]["contentType"], &rows[1]["size"]), (&json!("text/plain"), &json!(4.0)));
        assert!(rows[1]["_creationTime"].is_f64());

        let refused = [
            ("boats", json!({})),
            ("_storage", json!([])),
            ("_storage", json!({"_id": "kx", "contentType": "a/b", "size": 1})),
            (
                "_storage",
                json!({"_id": other.replace("kg", "kx"), "_creationTime": 1, "contentType": "a/b", "size": 1}),
            ),
            ("_storage", json!({"_id": id, "size": null})),
            ("_storage", json!({"_creationTime": 1, "contentType": "a/b", "size": 1})),
        ];
        for (table, row) in refused {
            assert!(engine.write_row(table, row.clone()).is_err(), "{table} {row}");
        }
        assert_eq!(engine.read_table("_storage").expect("rows"), rows);
    }

    #[test]
    fn a_field_that_the_type_does_not_know_is_left_out_of_what_is_read() {
        let engine = Engine::in_memory(Box::new(SystemClock), Options::default()).expect("an engine");
        let row = r#"{"contentType":"a/b","later":true,"size":1.0}"#;
        let (id, _) = engine.store.write(|tx| tx.insert_json(Table::Storage, row)).expect("a new row");
        engine.write_row("_storage", json!({"_id": id, "size": 2})).expect("a changed row");
        let rows = engine.read_table("_storage").expect("rows");
        assert_eq!((&rows[0]["size"], rows[0].get("later")), (&json!(2.0), None));
    }
}
