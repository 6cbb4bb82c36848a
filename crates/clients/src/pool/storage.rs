//! The files of the queue's deployment: each is posted to, or fetched from, an address that the queue has given out.
//!
//! A file is streamed in both directions, so it is never in memory as a whole. The addresses carry a permission, so no
//! error has one.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::time::Duration;

use serde::Deserialize;

use crate::wire::{self, Fault, Phases, Roots, Stop};
use mcr_model::{BaseUrl, StorageId};

/// The largest answer to an upload.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The bytes that are copied at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The limit of one transfer, and of its phases.
const TRANSFER: Duration = Duration::from_mins(30);

/// Uploads and downloads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileStorage {
    roots: Roots,
    phases: Phases,
    stop: Stop,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    storage_id: StorageId,
}

/// Why a file was not transferred.
#[derive(Debug)]
pub enum StorageFault {
    /// The address cannot be used.
    Address(String),
    /// The storage refused, with this status.
    Status(u16),
    /// The connection broke.
    Broken(Fault),
    /// The answer is not the expected one.
    NotUnderstood(String),
    /// The file is larger than allowed.
    TooLarge(u64),
    /// The file cannot be written here.
    Disk(io::Error),
}

impl fmt::Display for StorageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(why) => write!(f, "the address of the file cannot be used: {why}"),
            Self::Status(status) => write!(f, "the file storage answered with status {status}"),
            Self::Broken(fault) => write!(f, "the transfer broke off: {fault}"),
            Self::NotUnderstood(why) => write!(f, "the answer of the file storage was not understood: {why}"),
            Self::TooLarge(most) => write!(f, "the file has more than {most} bytes"),
            Self::Disk(why) => write!(f, "the file cannot be written: {why}"),
        }
    }
}

impl std::error::Error for StorageFault {}

impl FileStorage {
    /// The storage, for all files of the deployment. `stop` ends its transfers.
    pub fn new(roots: &Roots, stop: &Stop) -> Self {
        let phases = Phases {
            connect: Duration::from_secs(10),
            send: TRANSFER,
            answer: Duration::from_mins(2),
            body: TRANSFER,
            idle: Duration::ZERO,
            idle_connections: 0,
        };
        Self { roots: roots.clone(), phases, stop: stop.clone() }
    }

    /// Posts a file, from its present position on.
    pub fn upload(&self, url: &str, file: &File, content_type: &str) -> Result<StorageId, StorageFault> {
        let agent = wire::agent(&base_of(url)?, &self.roots, &self.phases);
        let _registration = self.stop.register(&agent);
        let sent = agent.post(url).header("Content-Type", content_type).send(file);
        let response = sent.map_err(|error| StorageFault::Broken(Fault::of(&error)))?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(StorageFault::Status(status));
        }
        let mut body = Vec::new();
        let mut reader = response.into_body().into_reader().take(ANSWER_BYTES_MAX);
        reader.read_to_end(&mut body).map_err(|error| StorageFault::Broken(Fault::of_io(&error)))?;
        let stored: Stored =
            serde_json::from_slice(&body).map_err(|why| StorageFault::NotUnderstood(why.to_string()))?;
        Ok(stored.storage_id)
    }

    /// Fetches a file of at most this size. Returns its size.
    pub fn download(&self, url: &str, bytes_max: u64, into: &mut dyn Write) -> Result<u64, StorageFault> {
        let agent = wire::agent(&base_of(url)?, &self.roots, &self.phases);
        let _registration = self.stop.register(&agent);
        let response = agent.get(url).call().map_err(|error| StorageFault::Broken(Fault::of(&error)))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(StorageFault::Status(status));
        }
        let mut reader = response.into_body().into_reader();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut total: u64 = 0;
        loop {
            let count =
                reader.read(&mut chunk).map_err(|error| StorageFault::Broken(Fault::of_io(&error)))?;
            if count == 0 {
                return Ok(total);
            }
            total += count as u64;
            if total > bytes_max {
                return Err(StorageFault::TooLarge(bytes_max));
            }
            into.write_all(&chunk[..count]).map_err(StorageFault::Disk)?;
        }
    }
}

/// The server of an address.
fn base_of(url: &str) -> Result<BaseUrl, StorageFault> {
    let before = url.split(['?', '#']).next().unwrap_or_default();
    BaseUrl::parse(before).map_err(|why| StorageFault::Address(why.explain().to_owned()))
}
