//! The whole of the data as one JSON value, out and in: to move it, to keep it, to begin with it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::answer::{Refusal, ensure};
use super::call::Options;
use super::engine::Engine;
use super::imported::Imported;
use super::keys::{self, KeyError};
use super::raw_rows::{dig_table, fault_in, plant_row};
use super::store::{StoreError, Table, Tx};
use super::vault::Vault;

/// What says that a value is such a copy.
const FORMAT: &str = "mission-control-runtime export";
/// The version of its form; newer ones are refused.
const VERSION: u64 = 1;

impl Engine {
    /// All tables with all rows, ids and instants included. Providers' keys stay sealed: whoever reads the copy needs
    /// the master key, too. Of service tokens there are only hashes.
    pub fn export(&self) -> Result<Value, Refusal> {
        self.store.read(|tx| {
            let mut tables = Map::new();
            for table in Table::ALL {
                tables.insert(table.name().to_owned(), dig_table(tx, table)?.into());
            }
            Ok(json!({"format": FORMAT, "version": VERSION, "tables": tables}))
        })
    }

    /// Puts a copy into an empty engine, all of it or nothing; how many rows there were.
    pub fn import(&self, copy: &Value) -> Result<usize, Refusal> {
        self.store.write(|tx| import(tx, copy, self.vault.as_ref(), self.options))
    }
}

/// A row that does not fit is a fault of the copy here, not of ours.
fn misfit(table: &str, row: &Value, field: &str, why: &str) -> Refusal {
    let id = row["_id"].as_str().unwrap_or_default();
    Refusal::thrown(format!("the export does not fit (row {id} of {table}, field {field}: {why})"))
}

/// Whether nothing is there yet.
fn is_empty(tx: &Tx<'_>) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if !tx.all_json(table)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same inside a transaction. Keys that `vault` cannot open are refused, and rows that no function would
/// have written.
pub(super) fn import(
    tx: &Tx<'_>,
    copy: &Value,
    vault: Option<&Vault>,
    options: Options,
) -> Result<usize, Refusal> {
    ensure!(is_empty(tx)?, "there are data already; a copy goes only into an empty place");
    let known = copy["format"] == FORMAT;
    ensure!(known, "this is no export of the embedded Mission Control (its \"format\" says something else)");
    let version = copy["version"].as_u64().unwrap_or_default();
    ensure!(version >= 1, "the export does not say its version");
    ensure!(
        version <= VERSION,
        "the export was made by a newer version (form {version}, this program knows {VERSION}); use that version"
    );
    let Some(tables) = copy["tables"].as_object() else {
        return Err(Refusal::thrown("the export has no tables"));
    };
    let mut rules = Imported::of(tables, options);
    let mut count = 0;
    if let Some(name) = tables.keys().find(|name| Table::ALL.iter().all(|table| table.name() != **name)) {
        return Err(Refusal::thrown(format!("the export does not fit (there is no table {name})")));
    }
    // In this order what is wrong is found before what depends on it.
    for table in Table::ALL {
        let name = table.name();
        let Some(rows) = tables.get(name) else { continue };
        let Some(rows) = rows.as_array() else {
            return Err(Refusal::thrown(format!("the export's table {name} is no list")));
        };
        let mut ids = HashSet::new();
        for row in rows {
            let whole = row["_id"].is_string() && row["_creationTime"].is_number();
            ensure!(whole, "the export has a row of {name} without its _id or its _creationTime");
            // A row that takes another's place would be lost without a word.
            ensure!(ids.insert(row["_id"].as_str()), "the export has two rows of {name} with the same _id");
            if let Some((field, why)) = fault_in(table, row) {
                return Err(misfit(name, row, &field, &why));
            }
            rules.check(table, row).map_err(|(field, why)| misfit(name, row, field, &why))?;
            plant_row(tx, table, row.clone())?;
        }
        count += rows.len();
    }
    if let Some(vault) = vault {
        keys::check(tx, vault).map_err(|why| match why {
            KeyError::Store(why) => Refusal::Store(why),
            KeyError::Vault(why) => why.into(),
        })?;
    }
    Ok(count)
}
