//! The sessions in which agents may call the agent API: maps session keys to agents.
//!
//! A key is known after it was issued: the roster has it as an agent's own session, or a delivery sends turns in it.
//! Each agent and task has one session, and a newer key replaces the older one. Agents present a key in the spelling of
//! the backend or of the gateway. The key of an agent's own session is also valid as `agent:{slug}:{account}`. The run
//! of a gateway's cron job counts as its agent's own session ([`AgentKey::is_cron_run`]).
//!
//! Keys consist of public parts. They are therefore kept only as digests under a secret of this machine (`file`), also
//! on the disk, and are compared in constant time. The same secret produces the token of each session, for accounts
//! that require more than the key.

mod file;
pub mod names;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::hmac;

use self::file::SessionsFile;
use mcr_core::gateway::{SessionNames, session_key};
use mcr_core::heartbeat::session::AgentKey;
use mcr_core::work::{Lane, Track};
use mcr_files::Folder;
use mcr_model::clock::Millis;
use mcr_model::secret::{Secret, same};
use mcr_model::{AccountId, Agent, AgentId, Roster, SessionKey, SessionKind, TaskId};

/// Maximum number of sessions about tasks. The oldest are evicted: nothing was delivered in them for a long time.
pub const TASKS_MAX: usize = 8_192;

/// A session expires after this time without a delivery. An agent's own session stays valid.
pub const IDLE_MAX: Duration = Duration::from_hours(7 * 24);

/// How often the use of a session is written to the disk.
const NOTED_AGAIN: Duration = Duration::from_hours(24);

/// The session that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The agent that uses the session.
    pub agent: AgentId,
    /// The subject of the session.
    pub lane: Lane,
    /// The token that the agent must present with the key, if the account requires one.
    pub token: Secret,
    /// The token that the agent may present in each of its sessions. It is in a file of the agent's workspace.
    pub agent_token: Secret,
    /// Whether the last briefing of the session described the endpoints of tools.
    pub endpoints: bool,
}

impl Session {
    /// The track of its deliveries, which keeps them in order.
    pub fn track(&self) -> Track {
        Track { agent: self.agent.as_str().to_owned(), lane: self.lane.clone() }
    }

    /// The task that the session is about, if any.
    pub fn task(&self) -> Option<&TaskId> {
        self.lane.task()
    }

    /// Whether `shown` is a token for the session, compared in constant time.
    pub fn has_token(&self, shown: &str) -> bool {
        self.token.is(shown) | self.agent_token.is(shown)
    }
}

/// The digest of one spelling of a key.
type Digest = [u8; 32];

/// One session, as kept in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SessionEntry {
    /// The digest of each spelling of the key, the backend's first.
    digests: Vec<Digest>,
    /// When the use of the session was last noted: at most [`NOTED_AGAIN`] before its last delivery.
    at: Millis,
    /// Whether the last briefing described the endpoints of tools.
    endpoints: bool,
}

/// All issued sessions, shared by all threads.
pub struct Sessions {
    account: AccountId,
    key: hmac::Key,
    inside: Mutex<SessionsState>,
}

struct SessionsState {
    entries: HashMap<Track, SessionEntry>,
    /// How many entries are about tasks.
    tasks: usize,
    /// Tracks by the first bytes of a digest. The whole digest is then compared to find the right one.
    index: HashMap<[u8; 8], Vec<Track>>,
    /// When each agent last used the endpoints of events, at most [`NOTED_AGAIN`] earlier.
    event_users: HashMap<String, Millis>,
    file: Option<SessionsFile>,
    /// The roster of the last [`Sessions::follow`].
    followed: Option<Arc<Roster>>,
    /// Why the sessions will not survive a restart, if they will not.
    off: Option<String>,
}

impl Sessions {
    /// Loads the sessions that an earlier process has left in this folder, and keeps them there for the next one. If
    /// the folder cannot be used, sessions are kept only in memory.
    pub fn open(folder: &Arc<Folder>, account: AccountId, now: Millis) -> Self {
        match SessionsFile::open(folder, &account) {
            Ok((file, left)) => {
                let sessions = Self::with(account, &left.key, Some(file), None);
                let mut inside = sessions.lock();
                inside.event_users.extend(left.event_users);
                for (track, entry) in left.entries {
                    if now.since(entry.at) < IDLE_MAX {
                        inside.put(track, entry);
                    }
                }
                inside.make_room();
                inside.compact(&sessions.account);
                drop(inside);
                sessions
            }
            Err(why) => Self::with(account, &file::fresh_key(), None, Some(why)),
        }
    }

    /// Sessions that are kept only in memory.
    pub fn in_memory(account: AccountId) -> Self {
        Self::with(account, &file::fresh_key(), None, None)
    }

    fn with(account: AccountId, key: &[u8], file: Option<SessionsFile>, off: Option<String>) -> Self {
        let inside = SessionsState {
            entries: HashMap::new(),
            tasks: 0,
            index: HashMap::new(),
            event_users: HashMap::new(),
            file,
            followed: None,
            off,
        };
        Self { account, key: hmac::Key::new(hmac::HMAC_SHA256, key), inside: Mutex::new(inside) }
    }

    fn lock(&self) -> MutexGuard<'_, SessionsState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the sessions will not survive a restart, if they will not.
    pub fn off(&self) -> Option<String> {
        self.lock().off.clone()
    }

    /// The number of sessions.
    pub fn count(&self) -> usize {
        self.lock().entries.len()
    }

    /// Issues the session of this key, because the agent receives turns in it.
    pub fn issue(&self, key: &SessionKey, slug: &str, track: &Track, now: Millis) -> Session {
        let is_own = key.kind() == SessionKind::System;
        let track = match &track.lane {
            Lane::Task(_) if is_own => Track::new(&track.agent, None),
            Lane::Task(_) | Lane::NoTask | Lane::Heartbeat | Lane::Conversation(_) => track.clone(),
        };
        let mut spellings = vec![key.expose().to_owned()];
        spellings
            .extend([SessionNames::Renamed, SessionNames::Kept].map(|naming| session_key(key, slug, naming)));
        if track.task().is_none() {
            let short = self.short_key(slug);
            spellings.extend([short.to_ascii_lowercase(), short]);
        }
        let mut digests: Vec<Digest> = Vec::new();
        for spelling in &spellings {
            let digest = self.digest(spelling);
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        let mut inside = self.lock();
        let known = inside.entries.get(&track).filter(|entry| entry.digests == digests).cloned();
        let entry = match known {
            Some(entry) if now.since(entry.at) < NOTED_AGAIN => entry,
            known => {
                let endpoints = known.is_some_and(|entry| entry.endpoints);
                let entry = SessionEntry { digests, at: now, endpoints };
                inside.set(&track, &entry, &self.account);
                entry
            }
        };
        drop(inside);
        self.session(&track, &entry)
    }

    /// Records whether the briefing that this session gets now describes the endpoints of tools.
    pub fn is_briefed(&self, session: &Session, endpoints: bool) {
        let (track, mut inside) = (session.track(), self.lock());
        let Some(entry) = inside.entries.get(&track).filter(|entry| entry.endpoints != endpoints) else {
            return;
        };
        let entry = SessionEntry { endpoints, ..entry.clone() };
        inside.set(&track, &entry, &self.account);
    }

    /// Records that an agent uses the endpoints of events, or tries to: its briefings then state its token.
    pub fn uses_events(&self, agent: &AgentId, now: Millis) {
        let mut inside = self.lock();
        let noted = inside.event_users.get(agent.as_str());
        if noted.is_some_and(|at| now.since(*at) < NOTED_AGAIN) {
            return;
        }
        inside.event_users.insert(agent.as_str().to_owned(), now);
        inside.write(&self.account, |file, account| file.note_event_user(agent.as_str(), now, account));
    }

    /// Whether the agent lately used the endpoints of events, or tried to.
    pub fn leaves_events(&self, agent: &AgentId, now: Millis) -> bool {
        self.lock().event_users.get(agent.as_str()).is_some_and(|at| now.since(*at) < IDLE_MAX)
    }

    /// The agent's own session with its short key. That key is also valid in scheduled runs, and it does not end with a
    /// task. `None` if the roster names no own session.
    pub fn own(&self, agent: &AgentId, slug: &str) -> Option<(SessionKey, Session)> {
        let own = Track::new(agent.as_str(), None);
        let entry = self.lock().entries.get(&own)?.clone();
        Some((SessionKey::new(self.short_key(slug)), self.session(&own, &entry)))
    }

    /// The short key of an agent's own session.
    fn short_key(&self, slug: &str) -> String {
        format!("agent:{slug}:{}", self.account)
    }

    /// Issues each agent's own session as the roster has it now, and removes the sessions of agents that are gone.
    pub fn follow(&self, roster: &Arc<Roster>, now: Millis) {
        let before = self.lock().followed.replace(roster.clone());
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, roster)) {
            return;
        }
        for agent in roster.agents() {
            if let Some(key) = agent.system_session_key.as_ref().filter(|key| !key.expose().is_empty()) {
                let own = Track::new(agent.id.as_str(), None);
                let former = before.as_ref().and_then(|before| before.agent(&agent.id));
                let is_same = |former: &Agent| {
                    former.slug == agent.slug && former.system_session_key == agent.system_session_key
                };
                if !former.is_some_and(is_same) || !self.is_noted(&own, now) {
                    self.issue(key, &agent.slug, &own, now);
                }
            }
        }
        let is_gone = |agent: &str| roster.is_gone(&AgentId::new(agent));
        let mut inside = self.lock();
        let gone: Vec<Track> = inside.entries.keys().filter(|track| is_gone(&track.agent)).cloned().collect();
        for track in &gone {
            inside.remove(track);
        }
        inside.event_users.retain(|agent, _| !is_gone(agent));
    }

    /// Whether the session's use was noted so lately that it need not be noted again.
    fn is_noted(&self, track: &Track, now: Millis) -> bool {
        self.lock().entries.get(track).is_some_and(|entry| now.since(entry.at) < NOTED_AGAIN)
    }

    /// The session of this key, if the key is known.
    pub fn find(&self, shown: &str, roster: &Roster, now: Millis) -> Option<Session> {
        let digest = self.digest(shown);
        let found = self.lock().find(&digest, now);
        let found = found.or_else(|| {
            let slug = AgentKey::parse(shown).filter(AgentKey::is_cron_run)?.agent;
            let agent = roster.by_slug(&slug)?;
            let own = Track::new(agent.id.as_str(), None);
            let entry = self.lock().entries.get(&own)?.clone();
            Some((own, entry))
        });
        found.map(|(track, entry)| self.session(&track, &entry))
    }

    /// Removes the session, because its task has ended.
    pub fn forget(&self, session: &Session) {
        self.lock().remove(&session.track());
    }

    /// The token that an agent may present in each of its sessions.
    pub fn agent_token(&self, agent: &AgentId) -> Secret {
        self.token_of("token of agent ", agent.as_str().as_bytes())
    }

    fn session(&self, track: &Track, entry: &SessionEntry) -> Session {
        let (agent, lane) = (AgentId::new(&track.agent), track.lane.clone());
        let token = self.token_of("token of ", &entry.digests[0]);
        let agent_token = self.agent_token(&agent);
        Session { agent, lane, token, agent_token, endpoints: entry.endpoints }
    }

    fn token_of(&self, kind: &str, whose: &[u8]) -> Secret {
        let tag = hmac::sign(&self.key, &[kind.as_bytes(), whose].concat());
        // Redaction recognizes tokens by this prefix, wherever they appear.
        let token = tag.as_ref().iter().take(16).fold("mc_session_".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Secret::new(token)
    }

    fn digest(&self, key: &str) -> Digest {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.key, key.as_bytes()).as_ref());
        digest
    }
}

fn first_of(digest: &Digest) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

impl SessionsState {
    fn put(&mut self, track: Track, entry: SessionEntry) {
        self.remove(&track);
        for digest in &entry.digests {
            self.index.entry(first_of(digest)).or_default().push(track.clone());
        }
        self.tasks += usize::from(track.task().is_some());
        self.entries.insert(track, entry);
    }

    fn remove(&mut self, track: &Track) {
        let Some(entry) = self.entries.remove(track) else { return };
        self.tasks -= usize::from(track.task().is_some());
        for digest in &entry.digests {
            let first = first_of(digest);
            if let Some(tracks) = self.index.get_mut(&first) {
                tracks.retain(|other| other != track);
                if tracks.is_empty() {
                    self.index.remove(&first);
                }
            }
        }
    }

    fn find(&self, digest: &Digest, now: Millis) -> Option<(Track, SessionEntry)> {
        self.index.get(&first_of(digest))?.iter().find_map(|track| {
            let entry = self.entries.get(track)?;
            let is_it = entry.digests.iter().any(|known| same(known, digest));
            // An agent's own session is valid as long as the agent exists.
            let lives = track.task().is_none() || now.since(entry.at) < IDLE_MAX;
            (is_it && lives).then(|| (track.clone(), entry.clone()))
        })
    }

    fn make_room(&mut self) {
        while self.tasks > TASKS_MAX {
            let tasks = self.entries.iter().filter(|(track, _)| track.task().is_some());
            let Some(oldest) = tasks.min_by_key(|(_, entry)| entry.at).map(|(track, _)| track.clone()) else {
                return;
            };
            self.remove(&oldest);
        }
    }

    /// Sets the entry of a session, in memory and in the file.
    fn set(&mut self, track: &Track, entry: &SessionEntry, account: &AccountId) {
        // First in memory: the write may rewrite the whole file from there.
        self.put(track.clone(), entry.clone());
        self.make_room();
        self.write(account, |file, account| file.note(track, entry, account));
    }

    fn write(
        &mut self,
        account: &AccountId,
        note: impl FnOnce(&mut SessionsFile, &AccountId) -> Result<(), String>,
    ) {
        let Some(file) = &mut self.file else { return };
        let noted = note(file, account);
        if file.is_long(self.entries.len()) {
            self.compact(account);
        }
        if let Err(why) = noted {
            self.off = Some(why);
            self.file = None;
        }
    }

    fn compact(&mut self, account: &AccountId) {
        let Some(file) = &mut self.file else { return };
        let mut entries: Vec<(&Track, &SessionEntry)> = self.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.at);
        if let Err(why) = file.write_anew(&entries, &self.event_users, account) {
            self.off = Some(why);
            self.file = None;
        }
    }
}
