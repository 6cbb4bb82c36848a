//! Exports all data as one JSON value, and imports it: to move data, to keep a copy, or to start from one.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::answer::{Refusal, ensure};
use super::call::Options;
use super::engine::Engine;
use super::imported::ImportCheck;
use super::keys::{self, KeyError};
use super::raw_rows::{fault_in, read_table, write_row};
use super::rules::system_config;
use super::store::{StoreError, Table, Tx};
use super::vault::Vault;

/// Marks a value as an export.
const FORMAT: &str = "mission-control-runtime export";
/// The version of the format. Newer versions are refused.
const VERSION: u64 = 1;

impl Engine {
    /// All tables with all rows, including ids and creation times. Providers' keys stay sealed, so a reader also needs the
    /// master key. Of service tokens, the export contains only hashes.
    pub fn export(&self) -> Result<Value, Refusal> {
        self.store.read(|tx| {
            let mut tables = Map::new();
            for table in Table::ALL {
                tables.insert(table.name().to_owned(), read_table(tx, table)?.into());
            }
            Ok(json!({"format": FORMAT, "version": VERSION, "tables": tables}))
        })
    }

    /// Imports a copy into an empty engine, completely or not at all. Returns the number of rows.
    pub fn import(&self, copy: &Value) -> Result<usize, Refusal> {
        self.store.write(|tx| import(tx, copy, self.vault.as_ref(), self.options))
    }
}

/// The error for a row that does not fit: the copy is wrong, not this program.
fn misfit(table: &str, row: &Value, field: &str, why: &str) -> Refusal {
    let id = row["_id"].as_str().unwrap_or_default();
    Refusal::thrown(format!("the export is invalid (row {id} of {table}, field {field}: {why})"))
}

/// Whether all tables are empty.
fn is_empty(tx: &Tx<'_>) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if !tx.all_json(table)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Imports a copy inside a transaction. Keys that `vault` cannot open are refused, and so are rows that no function would
/// have written.
pub(super) fn import(
    tx: &Tx<'_>,
    copy: &Value,
    vault: Option<&Vault>,
    options: Options,
) -> Result<usize, Refusal> {
    ensure!(is_empty(tx)?, "data exist already; an export can only be imported into an empty place");
    let known = copy["format"] == FORMAT;
    ensure!(known, "this is not an export of the embedded Mission Control (the field \"format\" differs)");
    let version = copy["version"].as_u64().unwrap_or_default();
    ensure!(version >= 1, "the export contains no version");
    ensure!(
        version <= VERSION,
        "the export was made by a newer version (format {version}, this program supports up to {VERSION}); use that version"
    );
    let Some(tables) = copy["tables"].as_object() else {
        return Err(Refusal::thrown("the export has no tables"));
    };
    let mut rules = ImportCheck::of(tables, options);
    let mut count = 0;
    if let Some(name) = tables.keys().find(|name| Table::ALL.iter().all(|table| table.name() != **name)) {
        return Err(Refusal::thrown(format!("the export contains the unknown table {name}")));
    }
    // In this order, an invalid row is found before rows that depend on it.
    for table in Table::ALL {
        let name = table.name();
        let Some(rows) = tables.get(name) else { continue };
        let Some(rows) = rows.as_array() else {
            return Err(Refusal::thrown(format!("the table {name} of the export is not a list")));
        };
        let mut ids = HashSet::new();
        for row in rows {
            let whole = row["_id"].is_string() && row["_creationTime"].is_number();
            ensure!(whole, "the export has a row of {name} without _id or _creationTime");
            // One of two rows with the same id would be lost silently.
            ensure!(ids.insert(row["_id"].as_str()), "the export has two rows of {name} with the same _id");
            if let Some((field, why)) = fault_in(table, row) {
                return Err(misfit(name, row, &field, &why));
            }
            rules.check(table, row).map_err(|(field, why)| misfit(name, row, field, &why))?;
            write_row(tx, table, row.clone())?;
        }
        count += rows.len();
    }
    // Two backends must not provide the same machines. A person switches this on where the old backend has ended.
    system_config::switch_off(tx, system_config::PROVISIONING)?;
    if let Some(vault) = vault {
        keys::check(tx, vault).map_err(|why| match why {
            KeyError::Store(why) => Refusal::Store(why),
            KeyError::Vault(why) => why.into(),
        })?;
    }
    Ok(count)
}
