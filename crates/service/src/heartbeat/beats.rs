//! The source of heartbeats: offers each beat to the dispatcher when it is due, and learns from its end.
//!
//! One thread follows the roster, the wakes and the schedule. Workers report the attempts and the ends of
//! beats. The end of a beat arrives even after a panic of its worker, so no agent's schedule waits for a beat that is gone.
//! A beat that an earlier process left in the ledger is the agent's current one until it ends.
//!
//! The schedule runs on a clock that no change of the system's clock affects. Dates and hours are those of the system's
//! clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use log::{info, warn};

use super::checklist_file;
use super::keeper::Keeper;
use super::tally::BeatTally;
use crate::clock::SteadyClock;
use crate::roster::Team;
use mcr_core::delivery::scheduler::Event;
use mcr_core::delivery::{End, Record};
use mcr_core::heartbeat::gate::BeatRules;
use mcr_core::heartbeat::memory::BeatMemory;
use mcr_core::heartbeat::schedule::{BeatSchedule, Interval, Recalled};
use mcr_core::work::{Beat, Kind, Work, WorkId};
use mcr_core::workspace::heartbeat_text;
use mcr_http::panics::Panics;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::zone::Zone;
use mcr_model::{AgentId, LocalTime, Roster, random};

/// How long the thread sleeps at most: a new roster is noticed by then.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long the thread sleeps at least.
const WAIT_MIN: Duration = Duration::from_millis(20);

/// The settings of heartbeats.
#[derive(Clone, Debug)]
pub struct BeatSettings {
    /// When a beat is sent to the model. None: there are no beats.
    pub rules: Option<BeatRules>,
    /// The file with the operator's checklist.
    pub checklist: Option<PathBuf>,
    /// The zone of the active hours, and of the day that is an input of the gate.
    pub zone: Zone,
}

/// What an earlier process left: the beats that have not ended, and what the ended ones mean for the next.
#[derive(Debug, Default)]
pub struct BeatsLeft {
    /// Works that have not ended.
    pub open: Vec<Arc<Work>>,
    /// By agent.
    pub memories: BTreeMap<AgentId, BeatMemory>,
}

/// The heartbeats of all agents.
pub struct Beats {
    settings: BeatSettings,
    team: Team,
    wakes: Arc<Keeper>,
    clock: SteadyClock,
    inside: Mutex<BeatsState>,
    nudges: (Sender<()>, Receiver<()>),
}

#[derive(Default)]
struct BeatsState {
    schedule: BeatSchedule,
    memories: BTreeMap<AgentId, BeatMemory>,
    tally: BTreeMap<AgentId, BeatTally>,
    /// When Mission Control last took the report of each agent's heartbeat.
    reported: BTreeMap<AgentId, Millis>,
    followed: Option<Arc<Roster>>,
    /// Why the operator's checklist is not used, as last logged.
    checklist_trouble: Option<String>,
    /// Whether the thread runs.
    running: bool,
}

/// The figures of one agent's beats.
#[derive(Clone, Debug)]
pub struct BeatFigures {
    /// The agent's slug.
    pub agent: String,
    /// The interval of its beats.
    pub interval: Duration,
    /// Why the interval differs from the one that is set, if it does.
    pub corrected: Option<&'static str>,
    /// When its next beat is due; none while one runs.
    pub next: Option<Millis>,
    /// When Mission Control last took the report of its heartbeat, since the start.
    pub reported: Option<Millis>,
    /// The counts.
    pub tally: BeatTally,
}

impl Beats {
    /// The beats of this team. `wakes` are the events that wait for its agents.
    pub fn new(settings: BeatSettings, team: Team, wakes: Arc<Keeper>, left: BeatsLeft) -> Self {
        let mut schedule = BeatSchedule::default();
        let mut recalled: BTreeMap<AgentId, Recalled> = BTreeMap::new();
        for (agent, memory) in &left.memories {
            recalled.entry(agent.clone()).or_default().began = memory.began;
        }
        for work in &left.open {
            if let Kind::Heartbeat(beat) = &work.kind {
                recalled.entry(beat.agent.clone()).or_default().running = Some(work.id.clone());
            }
        }
        for (agent, left) in recalled {
            schedule.recall(agent, left);
        }
        let inside = BeatsState { schedule, memories: left.memories, ..BeatsState::default() };
        let (clock, inside) = (SteadyClock::new(), Mutex::new(inside));
        Self { settings, team, wakes, clock, inside, nudges: bounded(1) }
    }

    fn lock(&self) -> MutexGuard<'_, BeatsState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules of the beats; none if there are no beats.
    pub fn rules(&self) -> Option<&BeatRules> {
        self.settings.rules.as_ref()
    }

    /// The time in the zone of the heartbeats.
    pub(crate) fn local(&self, now: Millis) -> LocalTime {
        self.settings.zone.local(now)
    }

    /// The events that wait for agents.
    pub fn wakes(&self) -> &Keeper {
        &self.wakes
    }

    /// Wakes the thread: an event has arrived, or a beat has ended.
    pub fn nudge(&self) {
        // In a full channel, a nudge waits already.
        let _ = self.nudges.0.try_send(());
    }

    /// Offers the beats that are due to the `inbox`, until `until` closes.
    pub(crate) fn run(&self, inbox: &Sender<Event>, until: &Receiver<()>, panics: &Panics) {
        if self.settings.rules.is_none() {
            return;
        }
        self.lock().running = true;
        loop {
            for beat in panics.catch("heartbeats", || self.due()).unwrap_or_default() {
                if inbox.send(Event::Offered(Arc::new(beat.into()))).is_err() {
                    return;
                }
            }
            let now = self.clock.now();
            let scheduled = self.lock().schedule.wake_at(now);
            // A wake is due by the system's clock.
            let woken = self.wakes.read(mcr_core::heartbeat::wake::WakeQueues::wake_at);
            let woken = woken.map(|at| at.since(SystemClock.now()));
            let wait = scheduled.map(|at| at.since(now)).into_iter().chain(woken);
            // After a panic the due time may still be in the past.
            let wait = wait.min().unwrap_or(WAIT_MAX).clamp(WAIT_MIN, WAIT_MAX);
            select! {
                recv(until) -> _ => return,
                recv(self.nudges.1) -> _ => {}
                default(wait) => {}
            }
        }
    }

    /// The beats that begin now.
    fn due(&self) -> Vec<Beat> {
        let roster = self.team.now();
        let wall = SystemClock.now();
        let is_due = self.wakes.read(|wakes| wakes.wake_at().is_some_and(|at| at <= wall));
        let woken = if is_due { self.wakes.change(|wakes| wakes.due(wall)).0 } else { Vec::new() };
        let now = self.clock.now();
        let mut inside = self.lock();
        self.follow(&mut inside, &roster, now);
        for slug in woken {
            if let Some(agent) = roster.by_slug(&slug) {
                inside.schedule.wake(&agent.id, now);
            }
        }
        let mut name = |agent: &AgentId| WorkId::new(format!("beat-{agent}-{}", random::hex::<8>()));
        let due = inside.schedule.due(now, &mut name);
        drop(inside);
        let beat = |due: mcr_core::heartbeat::schedule::DueBeat| Beat {
            id: due.id,
            agent: due.agent,
            created_at: wall,
            woken: due.woken,
        };
        due.into_iter().map(beat).collect()
    }

    /// Adapts the schedule to a new roster. Agents without a session of their own have no beats.
    fn follow(&self, inside: &mut BeatsState, roster: &Arc<Roster>, now: Millis) {
        if inside.followed.as_ref().is_some_and(|followed| Arc::ptr_eq(followed, roster)) {
            return;
        }
        let is_first = inside.followed.replace(roster.clone()).is_none_or(|before| before.is_empty());
        let mut agents = Vec::with_capacity(roster.agents().len());
        for agent in roster.agents() {
            let has_session =
                agent.system_session_key.as_ref().is_some_and(|key| !key.expose().trim().is_empty());
            if !has_session {
                continue;
            }
            agents.push((agent.id.clone(), Interval::of(agent.heartbeat_interval).span));
        }
        inside.memories.retain(|agent, _| roster.agent(agent).is_some());
        inside.tally.retain(|agent, _| roster.agent(agent).is_some());
        inside.reported.retain(|agent, _| roster.agent(agent).is_some());
        inside.schedule.follow(&agents, now, &mut random::unit);
        if is_first && !agents.is_empty() {
            info!(agents = agents.len(); "Heartbeats are scheduled");
            // An earlier process may have ended between a wake and its beat.
            for agent in roster.agents() {
                if self.has_events(&agent.slug) {
                    inside.schedule.wake(&agent.id, now);
                }
            }
        }
    }

    fn has_events(&self, slug: &str) -> bool {
        self.wakes.read(|wakes| !wakes.waiting(slug).0.is_empty())
    }

    /// A worker starts an attempt at a beat.
    pub(crate) fn attempted(&self, beat: &Beat) {
        let now = self.clock.now();
        self.lock().schedule.attempted(&beat.agent, &beat.id, now);
    }

    /// Mission Control took the report of an agent's heartbeat.
    pub(crate) fn reported(&self, agent: &AgentId, now: Millis) {
        self.lock().reported.insert(agent.clone(), now);
    }

    /// What earlier beats of an agent mean for the next one.
    pub fn memory(&self, agent: &AgentId) -> BeatMemory {
        self.lock().memories.get(agent).cloned().unwrap_or_default()
    }

    /// A beat has ended.
    pub fn ended(&self, beat: &Beat, record: &Record, end: &End) {
        let roster = self.team.now();
        let events_wait = roster.agent(&beat.agent).is_some_and(|agent| self.has_events(&agent.slug));
        let now = self.clock.now();
        let mut inside = self.lock();
        if let Some(of_beat) = &record.beat {
            inside.memories.entry(beat.agent.clone()).or_default().add(of_beat, end, record.asked() > 0);
        }
        inside.tally.entry(beat.agent.clone()).or_default().add(record, end);
        inside.schedule.ended(&beat.agent, &beat.id, events_wait, now);
        drop(inside);
        self.nudge();
    }

    /// The checklist of all agents, read now. If the operator's file cannot be used, the built-in one is.
    pub(crate) fn checklist(&self) -> String {
        let Some(path) = &self.settings.checklist else { return heartbeat_text().to_owned() };
        let read = checklist_file::read(path);
        let trouble = read.as_ref().err().cloned();
        let before = std::mem::replace(&mut self.lock().checklist_trouble, trouble.clone());
        if let Some(why) = trouble.filter(|_| before != read.as_ref().err().cloned()) {
            warn!(file:% = path.display(), reason = why.as_str(); "The built-in checklist is used for heartbeats");
        }
        read.unwrap_or_else(|_| heartbeat_text().to_owned())
    }

    /// Why the operator's checklist is not used, if it is not.
    pub fn checklist_trouble(&self) -> Option<String> {
        self.lock().checklist_trouble.clone()
    }

    /// Whether beats are offered.
    pub fn is_running(&self) -> bool {
        self.lock().running
    }

    /// The figures of all scheduled agents, in the order of the roster.
    pub fn figures(&self) -> Vec<BeatFigures> {
        let (roster, now, wall) = (self.team.now(), self.clock.now(), SystemClock.now());
        let inside = self.lock();
        let of = |agent: &mcr_model::Agent| {
            let tally = inside.tally.get(&agent.id).cloned().unwrap_or_default();
            let interval = Interval::of(agent.heartbeat_interval);
            let next = inside.schedule.next_of(&agent.id).map(|at| wall + at.since(now));
            BeatFigures {
                agent: agent.slug.clone(),
                interval: interval.span,
                corrected: interval.corrected,
                next,
                reported: inside.reported.get(&agent.id).copied(),
                tally,
            }
        };
        if inside.running { roster.agents().iter().map(of).collect() } else { Vec::new() }
    }

    /// The counts of all agents together.
    pub fn total(&self) -> BeatTally {
        let inside = self.lock();
        inside.tally.values().fold(BeatTally::default(), BeatTally::plus)
    }

    /// How many agents have a scheduled beat.
    pub fn scheduled(&self) -> usize {
        self.lock().schedule.len()
    }
}
