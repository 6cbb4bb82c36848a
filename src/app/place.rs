//! What lies in `STATE_DIR` beside the ledger, for people and their commands: the token that lets them ask and act, who
//! is paused, and where the running service listens.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chance;
use crate::ledger;
use crate::local::{read_secret, write_secret};
use crate::ops::Paused;
use crate::secret::Secret;

/// Lets people ask and act; remove it for a new one at the next start.
const TOKEN: &str = "operator-token";
/// Who is paused.
const PAUSED: &str = "paused.json";
/// Where the service listens that runs now, or ran last.
const RUNNING: &str = "running.json";

/// A shorter token could be guessed.
const TOKEN_CHARS: usize = 16;

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

/// Where a service listens.
#[derive(Serialize, Deserialize)]
struct Running {
    process: u32,
    address: String,
}

impl Place {
    /// This directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Why nothing can be kept here, if so; one that is not there yet is made at the first start.
    pub(super) fn trouble(&self) -> Option<String> {
        let shown = self.0.display();
        match fs::metadata(&self.0) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => None,
            Err(why) => Some(format!(
                "STATE_DIR {shown} cannot be used ({why}): nothing will survive a crash; give it to the user of the service"
            )),
            Ok(found) if found.is_dir() => None,
            Ok(_) => Some(format!(
                "STATE_DIR {shown} is no directory: nothing will survive a crash; name another one"
            )),
        }
    }

    /// Whether it is kept from whoever asks.
    pub(super) fn is_shut(&self) -> bool {
        fs::read_dir(&self.0).is_err_and(|why| why.kind() == io::ErrorKind::PermissionDenied)
    }

    /// That there is a ledger, or was one that was set aside. The error is a sentence.
    pub(super) fn has_ledger(&self) -> Result<(), String> {
        let shown = self.0.display();
        if self.is_shut() {
            Err(format!("STATE_DIR {shown} is not open to you: ask as its owner, or as root"))
        } else if let Some(trouble) = self.trouble() {
            Err(trouble)
        } else if !self.0.exists() {
            Err(format!("STATE_DIR {shown} is not there: no service has run on it yet, or it is another one"))
        } else if !ledger::is_in(&self.0) && ledger::last_set_aside(&self.0).is_none() {
            Err(format!(
                "there is no ledger in STATE_DIR {shown}: no service has run on it yet, or it is another one"
            ))
        } else {
            Ok(())
        }
    }

    /// The operators' token, if there is one that can be read.
    pub(super) fn token(&self) -> Result<Option<Secret>, String> {
        let path = self.0.join(TOKEN);
        let Some(content) = read_secret(&path).map_err(|why| why.to_string())? else { return Ok(None) };
        let text = String::from_utf8_lossy(&content);
        let token = text.trim();
        if token.len() >= TOKEN_CHARS && token.chars().all(|c| c.is_ascii_graphic()) {
            return Ok(Some(Secret::new(token)));
        }
        Err(format!(
            "{} holds no operator token; remove the file to get a new one at the next start",
            path.display()
        ))
    }

    /// The same, made where there is none.
    pub(super) fn token_or_new(&self) -> Result<Secret, String> {
        if let Some(token) = self.token()? {
            return Ok(token);
        }
        let digits = chance::hex::<32>();
        if digits.bytes().all(|digit| digit == b'0') {
            return Err("the machine gives no random numbers".to_owned());
        }
        let token = Secret::new(format!("mc_operator_{digits}"));
        write_secret(&self.0.join(TOKEN), &token).map_err(|why| why.to_string())?;
        Ok(token)
    }

    /// Who is paused.
    pub(super) fn paused(&self) -> Paused {
        match read_secret(&self.0.join(PAUSED)) {
            Ok(Some(content)) => Paused::read(&String::from_utf8_lossy(&content)),
            // It is there, and perhaps somebody wanted something to wait.
            Err(_) if self.0.join(PAUSED).exists() => Paused::read(""),
            Ok(None) | Err(_) => Paused::default(),
        }
    }

    /// From now on, and after a restart, these are paused; even before the first start.
    pub(super) fn pause(&self, paused: &Paused) -> Result<(), String> {
        ledger::make(&self.0).map_err(|why| why.to_string())?;
        self.write(PAUSED, paused.to_text())
    }

    /// This process listens there.
    pub(super) fn listens(&self, address: String) -> Result<(), String> {
        let running = Running { process: std::process::id(), address };
        let text = serde_json::to_string(&running).map_err(io::Error::from).map_err(|why| why.to_string())?;
        self.write(RUNNING, text)
    }

    /// Where the service listens that has this directory, if one has. Only there our token may be shown: whoever listens
    /// where a service listened once may be anybody.
    pub(super) fn running(&self) -> Option<String> {
        let owner = ledger::owner(&self.0)?;
        let content = read_secret(&self.0.join(RUNNING)).ok()??;
        let running: Running = serde_json::from_slice(&content).ok()?;
        (running.process == owner).then_some(running.address)
    }

    fn write(&self, name: &str, text: String) -> Result<(), String> {
        write_secret(&self.0.join(name), &Secret::new(text)).map_err(|why| why.to_string())
    }
}
