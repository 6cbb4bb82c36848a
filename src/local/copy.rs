//! The whole of the data as one JSON value, out and in: to move it, to keep it, to begin with it.

use serde_json::{Map, Value, json};

use super::answer::{Refusal, ensure};
use super::engine::Engine;
use super::keys::{self, KeyError};
use super::plant::{dig_table, named, plant_row};
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
        self.store.write(|tx| import(tx, copy, self.vault.as_ref()))
    }
}

/// A row that does not fit is a fault of the copy here, not of ours.
fn misfit(why: StoreError) -> Refusal {
    match why {
        StoreError::Fault(what) => Refusal::thrown(format!("the export does not fit ({what})")),
        other @ (StoreError::Full
        | StoreError::Locked
        | StoreError::Newer { .. }
        | StoreError::Corrupt(_)
        | StoreError::Disk(_)
        | StoreError::Unwritable(_)) => Refusal::Store(other),
    }
}

/// Whether nothing is there yet.
fn is_empty(tx: &Tx<'_>) -> Result<bool, StoreError> {
    for table in Table::ALL {
        if !dig_table(tx, table)?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same inside a transaction. Keys that `vault` cannot open are refused.
pub(super) fn import(tx: &Tx<'_>, copy: &Value, vault: Option<&Vault>) -> Result<usize, Refusal> {
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
    let mut count = 0;
    for (name, rows) in tables {
        let table = named(name).map_err(misfit)?;
        let Some(rows) = rows.as_array() else {
            return Err(Refusal::thrown(format!("the export's table {name} is no list")));
        };
        for row in rows {
            let whole = row["_id"].is_string() && row["_creationTime"].is_number();
            ensure!(whole, "the export has a row of {name} without its _id or its _creationTime");
            plant_row(tx, table, row.clone()).map_err(misfit)?;
        }
        // A row that takes another's place would be lost without a word.
        ensure!(
            dig_table(tx, table)?.len() == rows.len(),
            "the export has two rows of {name} with the same _id"
        );
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
