//! The data directory: the database, its stored files, and its four secrets, each in a separate file that only its owner can read. The first
//! start creates them, and every later start reads them.
//!
//! `:memory:` instead of a directory keeps everything in memory.

mod error;
mod files;
mod token;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::account_setup::{NewAccount, Owner, create_account, new_token};
use super::call::Options;
use super::engine::Engine;
use super::export;
use super::rows::Account;
use super::seed;
use super::store::{Doc, Tx};
use super::vault::{self, MasterKey, Vault, VaultError};
use mcr_files::{Access, Folder};
use mcr_model::clock::Clock;
use mcr_model::json;
use mcr_model::secret::Secret;

pub use error::DataError;
pub(super) use token::TokenFiles;

use files::{database, read_secret, remove, rename, size, write_new, write_secret};

const DATABASE: &str = "mission-control.sqlite";
const ADMIN_KEY: &str = "admin-key";
const SERVICE_TOKEN: &str = "service-token";
/// The token of the pool's workers.
const WORKER_TOKEN: &str = "worker-token";
/// The folder with the stored files of the pool.
const FILES: &str = "files";
const MASTER_KEY: &str = "master-key";
/// The next master key, while a rotation is in progress.
const NEXT_MASTER_KEY: &str = "master-key.next";

/// The minimum length of an admin key. A shorter key could be guessed.
const ADMIN_KEY_CHARS: usize = 16;

/// The place of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataLocation {
    /// In memory, until the process ends.
    Memory,
    /// In this directory.
    Directory(PathBuf),
}

impl DataLocation {
    /// Parses the value of `--data`.
    pub fn parse(text: &str) -> Self {
        if text == ":memory:" { Self::Memory } else { Self::Directory(PathBuf::from(text)) }
    }
}

/// The initial content of an empty place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seed {
    /// An empty account.
    Nothing,
    /// The demo.
    Demo,
    /// The content of an export.
    Export(PathBuf),
}

impl Seed {
    /// Parses the value of `--seed`.
    pub fn parse(text: &str) -> Self {
        if text == "demo" { Self::Demo } else { Self::Export(PathBuf::from(text)) }
    }
}

/// How to open data.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The place.
    pub location: DataLocation,
    /// The initial content, if the place is empty.
    pub seed: Seed,
    /// `SECRETS_MASTER_KEY_BASE64`, if it is set. It overrides the file.
    pub master_key: Option<Secret>,
    /// Options of the engine.
    pub options: Options,
}

/// Open data, with their secrets.
pub struct Data {
    /// Mission Control itself.
    pub engine: Engine,
    /// The account that was created first.
    pub account: String,
    /// The admin key, for people.
    pub admin_key: Secret,
    /// The token of the pool's workers.
    pub worker_token: Secret,
    /// The service token, for the runtime. `None` if another token was issued meanwhile, which is not stored.
    pub service_token: Option<Secret>,
    /// Whether this start created them.
    pub is_new: bool,
    folder: Option<Arc<Folder>>,
    key_is_given: bool,
}

impl Data {
    /// Opens the data. An empty place gets an account with the content of the seed. Existing data are not changed.
    pub fn open(opening: &Opening, clock: Box<dyn Clock>) -> Result<Self, DataError> {
        let folder = match &opening.location {
            DataLocation::Memory => None,
            DataLocation::Directory(path) => Some(Folder::make(path, Access::Owner)?),
        };
        Self::open_or(opening, folder, clock, |engine, folder| begin(engine, &opening.seed, folder))
    }

    /// Opens the data in this directory. If there is no account, `begin` creates one.
    fn open_or(
        opening: &Opening,
        folder: Option<Folder>,
        clock: Box<dyn Clock>,
        begin: impl FnOnce(&Engine, Option<&Folder>) -> Result<(Doc<Account>, Secret), DataError>,
    ) -> Result<Self, DataError> {
        let folder = folder.map(Arc::new);
        let directory = folder.as_deref();
        if let Some(directory) = directory {
            refuse_emptied(directory)?;
        }
        // The database is first: if another process has it open, no file may be changed.
        let engine = match directory {
            None => Engine::in_memory(clock, opening.options)?,
            Some(directory) => Engine::open(&database(directory, DATABASE)?, clock, opening.options)?,
        };
        let master = master_key(&engine, directory, opening.master_key.as_ref())?;
        let engine = engine.with_vault(Vault::new(&master))?;
        let admin_key = admin_key(directory)?;
        let worker_token = secret_text(directory, WORKER_TOKEN, "worker token", "mc_worker_")?;
        let first = |tx: &Tx<'_>| Ok::<_, DataError>(tx.all::<Account>()?.into_iter().next());
        let (account, service_token, is_new) = if let Some(account) = engine.store.read(first)? {
            let settled = directory.map(|directory| token::settle(directory, &account)).transpose()?;
            (account, settled.flatten(), false)
        } else {
            let (account, token) = begin(&engine, directory)?;
            (account, Some(token), true)
        };
        let engine = match &folder {
            None => engine,
            Some(folder) => {
                let stored = files::stored_files(folder, FILES)?;
                engine
                    .with_files(stored)
                    .with_token_files(TokenFiles::new(folder.clone(), account.id.clone()))
            }
        };
        Ok(Self {
            engine,
            account: account.id.to_string(),
            admin_key,
            worker_token,
            service_token,
            is_new,
            folder,
            key_is_given: opening.master_key.is_some(),
        })
    }

    /// Opens existing data. It never creates data in an empty place.
    pub fn existing(opening: &Opening, clock: Box<dyn Clock>) -> Result<Self, DataError> {
        let path = match &opening.location {
            DataLocation::Memory => return Err(DataError::InMemory),
            DataLocation::Directory(path) => path,
        };
        let nothing = || DataError::Nothing(path.clone());
        // While a service of another user runs, root may copy the data.
        let folder = match Folder::open(path, Access::OwnerOrRoot) {
            Err(why) if why.is_missing() => return Err(nothing()),
            opened => opened?,
        };
        if is_empty(&folder)? && size(&folder, SERVICE_TOKEN)?.is_none() {
            return Err(nothing());
        }
        Self::open_or(opening, Some(folder), clock, |_, _| Err(nothing()))
    }

    /// Opens an empty place with the content of an export. Fails if data exist, or if they would be lost immediately.
    pub fn import(opening: &Opening, export: &Path, clock: Box<dyn Clock>) -> Result<Self, DataError> {
        if opening.location == DataLocation::Memory {
            return Err(DataError::InMemory);
        }
        let seeded = Opening { seed: Seed::Export(export.to_owned()), ..opening.clone() };
        let data = Self::open(&seeded, clock)?;
        if data.is_new {
            return Ok(data);
        }
        let what = "the directory contains data already; set --data to an empty directory".to_owned();
        Err(DataError::Copy { path: export.to_owned(), what })
    }

    /// Writes an export to a file that only its owner can read, atomically. An existing file is not overwritten.
    pub fn export(&self, file: &Path) -> Result<(), DataError> {
        write_new(file, self.engine.export()?.to_string().as_bytes())
    }

    /// Seals all provider keys with another master key: `next`, or a new key if the current one is in our file. Returns the
    /// number of keys. After an interruption at any point, the next start makes files and database consistent.
    pub fn rotate_key(&mut self, next: Option<&Secret>) -> Result<usize, DataError> {
        let next = match next {
            Some(text) => MasterKey::from_base64(text.expose())?,
            None if self.key_is_given => return Err(DataError::NextKeyMissing),
            None => MasterKey::random()?,
        };
        let folder = self.folder.as_deref().filter(|_| !self.key_is_given);
        if let Some(folder) = folder {
            write_secret(folder, NEXT_MASTER_KEY, &next.to_base64())?;
        }
        let count = self.engine.rotate(Vault::new(&next))?;
        if let Some(folder) = folder {
            take_over(folder)?;
        }
        Ok(count)
    }
}

/// The token of an account is written only after the database has tables. So a token without a database means that the
/// database was lost, and a new start would overwrite the rest of the data.
fn refuse_emptied(folder: &Folder) -> Result<(), DataError> {
    if is_empty(folder)? && size(folder, SERVICE_TOKEN)?.is_some() {
        let path = folder.path().join(DATABASE);
        let what = "it is empty or missing, but the token of its account exists; restore a copy, or set \
                    --data to another directory"
            .to_owned();
        return Err(DataError::Content { path, what });
    }
    Ok(())
}

/// The person of a new account.
pub(super) const OWNER: Owner<'_> =
    Owner { user_id: "user_owner", name: "Owner", email: "owner@example.com" };

fn is_empty(folder: &Folder) -> Result<bool, DataError> {
    Ok(size(folder, DATABASE)?.is_none_or(|bytes| bytes == 0))
}

/// Creates the first account. Its token is written to its file before the account exists. If the start is interrupted in
/// between, a token without an account remains, which the next start overwrites; an account without a token never does.
fn begin(engine: &Engine, seed: &Seed, folder: Option<&Folder>) -> Result<(Doc<Account>, Secret), DataError> {
    engine.store.write(|tx| {
        let NewAccount { account, service_token } = match seed {
            Seed::Nothing => create_account(tx, "Mission Control", "local", OWNER)?,
            Seed::Demo => seed::demo(tx, engine.options)?,
            Seed::Export(path) => take_in(tx, engine, path)?,
        };
        let token = Secret::new(service_token);
        if let Some(folder) = folder {
            write_secret(folder, SERVICE_TOKEN, &token)?;
        }
        Ok((account, token))
    })
}

fn read_copy(path: &Path) -> Result<Value, DataError> {
    let text = fs::read(path).map_err(|why| DataError::File { path: path.to_owned(), what: "read", why })?;
    let read = serde_json::from_slice(&json::bytes(&text));
    read.map_err(|why| DataError::Copy {
        path: path.to_owned(),
        what: format!("it is not valid JSON ({why})"),
    })
}

/// Gives the first account of an export a new token, because the export does not contain the old one.
fn take_in(tx: &Tx<'_>, engine: &Engine, path: &Path) -> Result<NewAccount, DataError> {
    let refused = |what: String| DataError::Copy { path: path.to_owned(), what };
    export::import(tx, &read_copy(path)?, engine.vault.as_ref(), engine.options)
        .map_err(|why| refused(why.to_string()))?;
    let first = tx.all::<Account>()?.into_iter().next();
    let mut account = first.ok_or_else(|| refused("it contains no account".to_owned()))?;
    let service_token = new_token(tx, &mut account)?;
    Ok(NewAccount { account, service_token })
}

fn admin_key(folder: Option<&Folder>) -> Result<Secret, DataError> {
    secret_text(folder, ADMIN_KEY, "admin key", "mc_admin_")
}

/// The secret in a file, which is made if it does not exist.
fn secret_text(folder: Option<&Folder>, file: &str, what: &str, prefix: &str) -> Result<Secret, DataError> {
    let stored = folder.map(|folder| read_secret(folder, file)).transpose()?.flatten();
    match (folder, stored) {
        (Some(folder), Some(content)) => {
            let text = String::from_utf8_lossy(&content);
            let key = text.trim();
            if key.len() >= ADMIN_KEY_CHARS && key.chars().all(|c| c.is_ascii_graphic()) {
                return Ok(Secret::new(key));
            }
            let why = format!(
                "this is no {what} (at least {ADMIN_KEY_CHARS} printable characters in one line); remove the file to \
                 get a new one"
            );
            Err(DataError::Content { path: folder.path().join(file), what: why })
        }
        (folder, _) => {
            let key = Secret::new(format!("{prefix}{}", vault::hex(&vault::random::<32>()?)));
            folder.map(|folder| write_secret(folder, file, &key)).transpose()?;
            Ok(key)
        }
    }
}

/// The master key: the one that is set, the one in the file, or a new one if nothing is sealed yet.
fn master_key(
    engine: &Engine,
    folder: Option<&Folder>,
    given: Option<&Secret>,
) -> Result<MasterKey, DataError> {
    if let Some(text) = given {
        return Ok(MasterKey::from_base64(text.expose())?);
    }
    let Some(folder) = folder else { return Ok(MasterKey::random()?) };
    finish_rotation(engine, folder)?;
    if let Some(key) = read_master_key(folder, MASTER_KEY)? {
        return Ok(key);
    }
    if !engine.sealed_with()?.is_empty() {
        return Err(DataError::MasterKeyGone(folder.path().join(MASTER_KEY)));
    }
    let key = MasterKey::random()?;
    write_secret(folder, MASTER_KEY, &key.to_base64())?;
    Ok(key)
}

fn read_master_key(folder: &Folder, name: &str) -> Result<Option<MasterKey>, DataError> {
    let Some(content) = read_secret(folder, name)? else { return Ok(None) };
    let misfit =
        |why: VaultError| DataError::Content { path: folder.path().join(name), what: why.to_string() };
    MasterKey::from_file(&content).map(Some).map_err(misfit)
}

/// Completes an interrupted rotation. It has sealed either all keys again or none; the database shows which.
fn finish_rotation(engine: &Engine, folder: &Folder) -> Result<(), DataError> {
    // A key that cannot be read was never completely written, so nothing is sealed with it.
    let next = read_master_key(folder, NEXT_MASTER_KEY).ok().flatten();
    let sealed_with = engine.sealed_with()?;
    match next {
        Some(next) if sealed_with.contains(Vault::new(&next).key_id()) => take_over(folder),
        Some(_) | None => remove(folder, NEXT_MASTER_KEY),
    }
}

fn take_over(folder: &Folder) -> Result<(), DataError> {
    rename(folder, NEXT_MASTER_KEY, MASTER_KEY)
}
