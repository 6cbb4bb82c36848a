//! The sessions on the disk: a secret, and a line for each issued session. Only their owner can read the files.
//!
//! Each issued session appends a line, and the latest line of a session counts. When most lines are outdated, the file
//! is rewritten. A cut or damaged line is skipped: its agent is unknown until the next delivery.

use std::collections::HashMap;
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
/// The lane of a line without a session: the agent uses the endpoints of events. Older versions skip such a line.
const EVENTS: &str = "events";

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
    /// Whether the last briefing of the session described the endpoints of tools.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    endpoints: bool,
}

/// What an earlier process has left.
pub(super) struct StoredSessions {
    pub(super) key: Vec<u8>,
    pub(super) entries: Vec<(Track, SessionEntry)>,
    /// When each agent last used the endpoints of events.
    pub(super) event_users: Vec<(String, Millis)>,
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
    /// Opens or creates the files in this folder. Also returns what they contain about this account.
    pub(super) fn open(folder: &Arc<Folder>, account: &AccountId) -> Result<(Self, StoredSessions), String> {
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
        let mut left = StoredSessions { key, entries: Vec::new(), event_users: Vec::new() };
        for line in String::from_utf8_lossy(&text).lines() {
            left.add(line, account);
        }
        let file = folder.open_for_appending(LINES).map_err(failed)?;
        Ok((Self { folder: folder.clone(), file, lines: 0 }, left))
    }

    /// Appends a line for this session.
    pub(super) fn note(
        &mut self,
        track: &Track,
        entry: &SessionEntry,
        account: &AccountId,
    ) -> Result<(), String> {
        self.append(&line(track, entry, account))
    }

    /// Appends a line for an agent that uses the endpoints of events.
    pub(super) fn note_event_user(
        &mut self,
        agent: &str,
        at: Millis,
        account: &AccountId,
    ) -> Result<(), String> {
        self.append(&event_user_line(agent, at, account))
    }

    fn append(&mut self, line: &str) -> Result<(), String> {
        self.lines += 1;
        self.file.write_all(line.as_bytes()).map_err(|why| failed(&self.folder, &why))
    }

    /// Whether most lines are outdated.
    pub(super) fn is_long(&self, sessions: usize) -> bool {
        self.lines > 2 * sessions + 1_000
    }

    /// Rewrites the file with only these sessions and users of events.
    pub(super) fn write_anew(
        &mut self,
        entries: &[(&Track, &SessionEntry)],
        event_users: &HashMap<String, Millis>,
        account: &AccountId,
    ) -> Result<(), String> {
        let lines = entries.iter().map(|(track, entry)| line(track, entry, account));
        let users = event_users.iter().map(|(agent, at)| event_user_line(agent, *at, account));
        let text: String = lines.chain(users).collect();
        let written =
            self.folder.write(LINES, text.as_bytes()).and_then(|()| self.folder.open_for_appending(LINES));
        self.file = written.map_err(|why| failed(&self.folder, &why))?;
        self.lines = entries.len() + event_users.len();
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
            // A worker of a pool keeps its sessions in memory only.
            Lane::Task(_) | Lane::NoTask | Lane::Conversation(_) => None,
            Lane::Heartbeat => Some(HEARTBEAT.to_owned()),
        },
        at: entry.at.0,
        digests: entry.digests.iter().map(|digest| BASE64_STANDARD.encode(digest)).collect(),
        endpoints: entry.endpoints,
    };
    text_of(&line)
}

fn event_user_line(agent: &str, at: Millis, account: &AccountId) -> String {
    text_of(&Line {
        account: account.to_string(),
        agent: agent.to_owned(),
        task: None,
        lane: Some(EVENTS.to_owned()),
        at: at.0,
        digests: Vec::new(),
        endpoints: false,
    })
}

fn text_of(line: &Line) -> String {
    let mut text = serde_json::to_string(line).expect("texts, numbers and flags are JSON");
    text.push('\n');
    text
}

impl StoredSessions {
    /// Adds a line of the file. A line that cannot be understood is skipped.
    fn add(&mut self, text: &str, account: &AccountId) {
        let Ok(line) = serde_json::from_str::<Line>(text) else { return };
        if line.account != account.as_str() {
            return;
        }
        if line.lane.as_deref() == Some(EVENTS) {
            self.event_users.push((line.agent, Millis(line.at)));
            return;
        }
        self.entries.extend(session_of(line));
    }
}

fn session_of(line: Line) -> Option<(Track, SessionEntry)> {
    let digests: Option<Vec<Digest>> =
        line.digests.iter().map(|text| BASE64_STANDARD.decode(text).ok()?.try_into().ok()).collect();
    let digests = digests.filter(|digests| !digests.is_empty())?;
    let track = match line.lane.as_deref() {
        None => Track::new(line.agent, line.task.map(TaskId::new)),
        Some(HEARTBEAT) => Track::heartbeat(line.agent),
        // A newer version wrote this line.
        Some(_) => return None,
    };
    Some((track, SessionEntry { digests, at: Millis(line.at), endpoints: line.endpoints }))
}
