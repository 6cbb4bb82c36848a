//! The sessions on the disk: a secret, and a line for each issued session. Only their owner can read the files.
//!
//! Each issued session appends a line, and the latest line of a session counts. When most lines are outdated, the file
//! is rewritten. A cut or damaged line is skipped: its agent is unknown until the next delivery.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::{Digest, SessionEntry};
use mcr_core::work::{Lane, Track};
use mcr_files::Folder;
use mcr_model::clock::Millis;
use mcr_model::{AccountId, TaskId};

pub(super) const KEY: &str = "sessions.key";
const LINES: &str = "sessions.lines";
/// The lane of an agent's heartbeat in the file.
const HEARTBEAT: &str = "heartbeat";

/// One session, as a line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    account: String,
    agent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The lane, if the task does not determine it. Older versions wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<String>,
    at: i64,
    digests: Vec<String>,
}

/// The file, open for appending.
pub(super) struct SessionsFile {
    folder: Arc<Folder>,
    file: File,
    lines: usize,
}

/// A new random key.
pub(super) fn fresh_key() -> Vec<u8> {
    let mut key = vec![0; 32];
    SystemRandom::new().fill(&mut key).expect("the system has randomness, which its TLS needs, too");
    key
}

impl SessionsFile {
    /// Opens or creates the files in this folder. Also returns the key and the stored sessions of this account.
    #[expect(clippy::type_complexity, reason = "the three things that it is made of")]
    pub(super) fn open(
        folder: &Arc<Folder>,
        account: &AccountId,
    ) -> Result<(Self, Vec<u8>, Vec<(Track, SessionEntry)>), String> {
        let failed = |why: io::Error| failed(folder, &why);
        let text = folder.read(KEY).map_err(failed)?.unwrap_or_default();
        let known = BASE64_STANDARD.decode(text.trim_ascii()).ok().filter(|key| key.len() == 32);
        // Without their key the digests in the lines match nothing.
        let text = match &known {
            Some(_) => folder.read(LINES).map_err(failed)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let key = if let Some(key) = known {
            key
        } else {
            let key = fresh_key();
            folder.write(KEY, format!("{}\n", BASE64_STANDARD.encode(&key)).as_bytes()).map_err(failed)?;
            key
        };
        let left =
            String::from_utf8_lossy(&text).lines().filter_map(|line| understand(line, account)).collect();
        let file = folder.open_for_appending(LINES).map_err(failed)?;
        Ok((Self { folder: folder.clone(), file, lines: 0 }, key, left))
    }

    /// Appends a line for this session.
    pub(super) fn note(
        &mut self,
        track: &Track,
        entry: &SessionEntry,
        account: &AccountId,
    ) -> Result<(), String> {
        self.lines += 1;
        let written = self.file.write_all(line(track, entry, account).as_bytes());
        written.map_err(|why| failed(&self.folder, &why))
    }

    /// Whether most lines are outdated.
    pub(super) fn is_long(&self, sessions: usize) -> bool {
        self.lines > 2 * sessions + 1_000
    }

    /// Rewrites the file with only these sessions.
    pub(super) fn write_anew(
        &mut self,
        entries: &[(&Track, &SessionEntry)],
        account: &AccountId,
    ) -> Result<(), String> {
        let text: String = entries.iter().map(|(track, entry)| line(track, entry, account)).collect();
        let written =
            self.folder.write(LINES, text.as_bytes()).and_then(|()| self.folder.open_for_appending(LINES));
        self.file = written.map_err(|why| failed(&self.folder, &why))?;
        self.lines = entries.len();
        Ok(())
    }
}

fn failed(folder: &Folder, why: &io::Error) -> String {
    format!("sessions in {} cannot be kept ({why})", folder.path().display())
}

fn line(track: &Track, entry: &SessionEntry, account: &AccountId) -> String {
    let line = Line {
        account: account.to_string(),
        agent: track.agent.clone(),
        task: track.task().map(ToString::to_string),
        lane: match &track.lane {
            Lane::Task(_) | Lane::NoTask => None,
            Lane::Heartbeat => Some(HEARTBEAT.to_owned()),
        },
        at: entry.at.0,
        digests: entry.digests.iter().map(|digest| BASE64_STANDARD.encode(digest)).collect(),
    };
    let mut text = serde_json::to_string(&line).expect("texts and a number are JSON");
    text.push('\n');
    text
}

fn understand(text: &str, account: &AccountId) -> Option<(Track, SessionEntry)> {
    let line: Line = serde_json::from_str(text).ok()?;
    let digests: Option<Vec<Digest>> =
        line.digests.iter().map(|text| BASE64_STANDARD.decode(text).ok()?.try_into().ok()).collect();
    let digests = digests.filter(|digests| !digests.is_empty())?;
    let track = match line.lane.as_deref() {
        None => Track::new(line.agent, line.task.map(TaskId::new)),
        Some(HEARTBEAT) => Track::heartbeat(line.agent),
        // A newer version wrote this line.
        Some(_) => return None,
    };
    (line.account == account.as_str()).then_some((track, SessionEntry { digests, at: Millis(line.at) }))
}
