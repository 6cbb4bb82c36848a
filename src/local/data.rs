//! A data directory: the database, and beside it the three secrets that belong to it, each in a file of its own that
//! only its owner can read. They are made at the first start and read again at every other one.
//!
//! `:memory:` in the place of a directory keeps everything in memory.

mod error;
mod files;
mod token;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::call::Options;
use super::copy;
use super::engine::Engine;
use super::founding::{Founded, found, new_token};
use super::rows::Account;
use super::seed;
use super::store::{Doc, Tx};
use super::vault::{self, MasterKey, Vault, VaultError};
use crate::clock::Clock;
use crate::json;
use crate::secret::Secret;

pub use error::DataError;
pub(super) use token::TokenFiles;

pub use files::{read_secret, write_secret};

use files::{claim, make_directory, rename, write_new};

const DATABASE: &str = "mission-control.sqlite";
const ADMIN_KEY: &str = "admin-key";
const SERVICE_TOKEN: &str = "service-token";
const MASTER_KEY: &str = "master-key";
/// The master key that is about to take over, while a rotation is under way.
const NEXT_MASTER_KEY: &str = "master-key.next";

/// A shorter admin key could be guessed.
const ADMIN_KEY_CHARS: usize = 16;

/// Where the data are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// In memory, until the process ends.
    Memory,
    /// In this directory.
    Directory(PathBuf),
}

impl Whereabouts {
    /// As `--data` says it.
    pub fn parse(text: &str) -> Self {
        if text == ":memory:" { Self::Memory } else { Self::Directory(PathBuf::from(text)) }
    }
}

/// What an empty place begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seed {
    /// An account without anything in it.
    Nothing,
    /// The demo.
    Demo,
    /// What an export holds.
    Export(PathBuf),
}

impl Seed {
    /// As `--seed` says it.
    pub fn parse(text: &str) -> Self {
        if text == "demo" { Self::Demo } else { Self::Export(PathBuf::from(text)) }
    }
}

/// How data are to be opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where they are.
    pub whereabouts: Whereabouts,
    /// What they begin with, if nothing is there.
    pub seed: Seed,
    /// `SECRETS_MASTER_KEY_BASE64`, if it is set; it comes before the file.
    pub master_key: Option<Secret>,
    /// How the engine behaves.
    pub options: Options,
}

/// Data that are open, with what opens them.
pub struct Data {
    /// Mission Control itself.
    pub engine: Engine,
    /// The account that was founded first.
    pub account: String,
    /// What a person shows.
    pub admin_key: Secret,
    /// What the runtime shows; none if another token was made meanwhile, which only its maker knows.
    pub service_token: Option<Secret>,
    /// Whether they were made just now.
    pub is_new: bool,
    directory: Option<PathBuf>,
    key_is_given: bool,
}

impl Data {
    /// Opens the data; an empty place gets an account, with what the seed says. Data that are there are left alone.
    pub fn open(opening: &Opening, clock: Box<dyn Clock>) -> Result<Self, DataError> {
        Self::open_or(opening, clock, |engine, directory| begin(engine, &opening.seed, directory))
    }

    /// Opens the data; where there is no account, `begin` makes one.
    fn open_or(
        opening: &Opening,
        clock: Box<dyn Clock>,
        begin: impl FnOnce(&Engine, Option<&Path>) -> Result<(Doc<Account>, Secret), DataError>,
    ) -> Result<Self, DataError> {
        let directory = match &opening.whereabouts {
            Whereabouts::Memory => None,
            Whereabouts::Directory(path) => {
                make_directory(path)?;
                Some(path.clone())
            }
        };
        if let Some(directory) = &directory {
            refuse_emptied(directory)?;
        }
        // The database first: it says so if another process has it, before any file is touched.
        let engine = match &directory {
            None => Engine::in_memory(clock, opening.options)?,
            Some(directory) => Engine::open(&claim(&directory.join(DATABASE))?, clock, opening.options)?,
        };
        let master = master_key(&engine, directory.as_deref(), opening.master_key.as_ref())?;
        let engine = engine.with_vault(Vault::new(&master))?;
        let admin_key = admin_key(directory.as_deref())?;
        let first = |tx: &Tx<'_>| Ok::<_, DataError>(tx.all::<Account>()?.into_iter().next());
        let (account, service_token, is_new) = if let Some(account) = engine.store.read(first)? {
            let settled =
                directory.as_deref().map(|directory| token::settle(directory, &account)).transpose()?;
            (account, settled.flatten(), false)
        } else {
            let (account, token) = begin(&engine, directory.as_deref())?;
            (account, Some(token), true)
        };
        let engine = match &directory {
            None => engine,
            Some(directory) => {
                engine.with_token_files(TokenFiles::new(directory.clone(), account.id.clone()))
            }
        };
        Ok(Self {
            engine,
            account: account.id.to_string(),
            admin_key,
            service_token,
            is_new,
            directory,
            key_is_given: opening.master_key.is_some(),
        })
    }

    /// Opens data that are there already: no other place becomes one with data by looking into it.
    pub fn existing(opening: &Opening, clock: Box<dyn Clock>) -> Result<Self, DataError> {
        match &opening.whereabouts {
            Whereabouts::Memory => Err(DataError::InMemory),
            Whereabouts::Directory(path) if path.exists() && !path.is_dir() => {
                Err(DataError::NotADirectory(path.clone()))
            }
            Whereabouts::Directory(path) if is_empty(path) && !path.join(SERVICE_TOKEN).exists() => {
                Err(DataError::Nothing(path.clone()))
            }
            Whereabouts::Directory(path) => {
                Self::open_or(opening, clock, |_, _| Err(DataError::Nothing(path.clone())))
            }
        }
    }

    /// Opens an empty place with what an export holds; refused if data are there, or if it would be lost at once.
    pub fn import(opening: &Opening, export: &Path, clock: Box<dyn Clock>) -> Result<Self, DataError> {
        if opening.whereabouts == Whereabouts::Memory {
            return Err(DataError::InMemory);
        }
        let seeded = Opening { seed: Seed::Export(export.to_owned()), ..opening.clone() };
        let data = Self::open(&seeded, clock)?;
        if data.is_new {
            return Ok(data);
        }
        let what = "there are data already; give --data an empty directory".to_owned();
        Err(DataError::Copy { path: export.to_owned(), what })
    }

    /// Writes everything to a file that only its owner can read, as a whole or not at all; one that is there already is
    /// not overwritten.
    pub fn export(&self, file: &Path) -> Result<(), DataError> {
        write_new(file, self.engine.export()?.to_string().as_bytes())
    }

    /// Seals all provider keys with another master key: `next`, or, if the present one stands in our file, a new one;
    /// how many keys there were. Whenever this is interrupted, the files and the database find together again.
    pub fn rotate_key(&mut self, next: Option<&Secret>) -> Result<usize, DataError> {
        let next = match next {
            Some(text) => MasterKey::from_base64(text.expose())?,
            None if self.key_is_given => return Err(DataError::NextKeyMissing),
            None => MasterKey::random()?,
        };
        let directory = self.directory.as_deref().filter(|_| !self.key_is_given);
        if let Some(directory) = directory {
            write_secret(&directory.join(NEXT_MASTER_KEY), &next.to_base64())?;
        }
        let count = self.engine.rotate(Vault::new(&next))?;
        if let Some(directory) = directory {
            take_over(directory)?;
        }
        Ok(count)
    }
}

/// An account has its token only after the database has tables: a token beside nothing means that the database was
/// lost, and beginning anew would overwrite what is left of it.
fn refuse_emptied(directory: &Path) -> Result<(), DataError> {
    if is_empty(directory) && directory.join(SERVICE_TOKEN).exists() {
        let path = directory.join(DATABASE);
        let what = "it is empty or gone, but the token of its account is still there; restore a copy, or start with \
                    another --data directory"
            .to_owned();
        return Err(DataError::Content { path, what });
    }
    Ok(())
}

fn is_empty(directory: &Path) -> bool {
    fs::metadata(directory.join(DATABASE)).map_or(true, |file| file.len() == 0)
}

/// The first account, with what belongs to it. Its token is in its file before the account is: a start that ends in
/// between leaves a token without an account, which the next one overwrites, and never an account that nobody can open.
fn begin(
    engine: &Engine,
    seed: &Seed,
    directory: Option<&Path>,
) -> Result<(Doc<Account>, Secret), DataError> {
    engine.store.write(|tx| {
        let Founded { account, service_token } = match seed {
            Seed::Nothing => {
                found(tx, "Mission Control", "local", ("user_owner", "Owner", "owner@example.com"))?
            }
            Seed::Demo => seed::demo(tx, engine.options)?,
            Seed::Export(path) => take_in(tx, engine, path)?,
        };
        let token = Secret::new(service_token);
        if let Some(directory) = directory {
            write_secret(&directory.join(SERVICE_TOKEN), &token)?;
        }
        Ok((account, token))
    })
}

fn read_copy(path: &Path) -> Result<Value, DataError> {
    let text = fs::read(path).map_err(|why| DataError::File { path: path.to_owned(), what: "read", why })?;
    let read = serde_json::from_slice(&json::bytes(&text));
    read.map_err(|why| DataError::Copy { path: path.to_owned(), what: format!("it is no JSON ({why})") })
}

/// The export's first account gets a new token, because nobody here knows the old one.
fn take_in(tx: &Tx<'_>, engine: &Engine, path: &Path) -> Result<Founded, DataError> {
    let refused = |what: String| DataError::Copy { path: path.to_owned(), what };
    copy::import(tx, &read_copy(path)?, engine.vault.as_ref(), engine.options)
        .map_err(|why| refused(why.to_string()))?;
    let first = tx.all::<Account>()?.into_iter().next();
    let mut account = first.ok_or_else(|| refused("there is no account in it".to_owned()))?;
    let service_token = new_token(tx, &mut account)?;
    Ok(Founded { account, service_token })
}

fn admin_key(directory: Option<&Path>) -> Result<Secret, DataError> {
    let path = directory.map(|directory| directory.join(ADMIN_KEY));
    let stored = path.as_deref().map(read_secret).transpose()?.flatten();
    match (path, stored) {
        (Some(path), Some(content)) => {
            let text = String::from_utf8_lossy(&content);
            let key = text.trim();
            if key.len() >= ADMIN_KEY_CHARS && key.chars().all(|c| c.is_ascii_graphic()) {
                return Ok(Secret::new(key));
            }
            let what = format!(
                "this is no admin key (at least {ADMIN_KEY_CHARS} printable characters in one line); remove the file to \
                 get a new one"
            );
            Err(DataError::Content { path, what })
        }
        (path, _) => {
            let key = Secret::new(format!("mc_admin_{}", vault::hex(&vault::random::<32>()?)));
            path.map(|path| write_secret(&path, &key)).transpose()?;
            Ok(key)
        }
    }
}

/// The master key: the given one, or that in the file, or a new one if nothing is sealed yet.
fn master_key(
    engine: &Engine,
    directory: Option<&Path>,
    given: Option<&Secret>,
) -> Result<MasterKey, DataError> {
    if let Some(text) = given {
        return Ok(MasterKey::from_base64(text.expose())?);
    }
    let Some(directory) = directory else { return Ok(MasterKey::random()?) };
    finish_rotation(engine, directory)?;
    let path = directory.join(MASTER_KEY);
    if let Some(key) = read_master_key(&path)? {
        return Ok(key);
    }
    if !engine.sealed_with()?.is_empty() {
        return Err(DataError::MasterKeyGone(path));
    }
    let key = MasterKey::random()?;
    write_secret(&path, &key.to_base64())?;
    Ok(key)
}

fn read_master_key(path: &Path) -> Result<Option<MasterKey>, DataError> {
    let Some(content) = read_secret(path)? else { return Ok(None) };
    let misfit = |why: VaultError| DataError::Content { path: path.to_owned(), what: why.to_string() };
    MasterKey::from_file(&content).map(Some).map_err(misfit)
}

/// A rotation that was interrupted either has sealed everything anew or nothing: the database says which.
fn finish_rotation(engine: &Engine, directory: &Path) -> Result<(), DataError> {
    let path = directory.join(NEXT_MASTER_KEY);
    // One that cannot be read was never finished, so nothing can be sealed with it.
    let next = read_master_key(&path).ok().flatten();
    let sealed_with = engine.sealed_with()?;
    match next {
        Some(next) if sealed_with.contains(Vault::new(&next).key_id()) => take_over(directory),
        Some(_) | None => match fs::remove_file(&path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                Err(DataError::File { path, what: "removed", why })
            }
            Ok(()) | Err(_) => Ok(()),
        },
    }
}

fn take_over(directory: &Path) -> Result<(), DataError> {
    rename(&directory.join(NEXT_MASTER_KEY), &directory.join(MASTER_KEY))
}
