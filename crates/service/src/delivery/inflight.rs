//! The turns that are under way: who waits for whom since when, and how long there has been no sign of life; and the
//! deliveries that agents are at work on, for what they call over HTTP.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::active_delivery::{ActiveDelivery, AgentRights};
use super::reading::Reading;
use mcr_core::delivery::Record;
use mcr_core::delivery::tool_log::ToolLog;
use mcr_core::gateway::LifeSigns;
use mcr_core::ops::TurnState;
use mcr_core::work::{Track, Work, WorkId};
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// All turns under way. Clones are the same.
#[derive(Clone, Debug)]
pub struct InFlight {
    inside: Arc<Mutex<InFlightState>>,
    bell: Sender<()>,
    lists: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct InFlightState {
    last: u64,
    turns: BTreeMap<u64, TurnActivity>,
    /// Rows whose turn showed no sign of life for too long, and since when; until something new is known of them.
    stuck: BTreeMap<WorkId, Millis>,
    /// Deliveries that agents were put to work on: each from its first turn until its answer is there, or it is over.
    held: HashMap<WorkId, Arc<ActiveDelivery>>,
    /// The one of them that each agent is at work on about each task: what the agent calls belongs to it.
    at_work: HashMap<Track, WorkId>,
    /// Rows for which a person does not want to wait any longer.
    given_up: BTreeSet<WorkId>,
}

/// One turn under way.
#[derive(Clone, Debug)]
pub struct TurnActivity {
    /// For which work.
    pub work: WorkId,
    /// Whose turn it is.
    pub agent: String,
    /// In this session.
    pub session: SessionKey,
    /// With what it began, if it was words.
    pub marker: String,
    /// Of which call it brought the first result, if it was results.
    pub result_of: Option<String>,
    /// The id of its run, once the gateway has named it.
    pub run: Option<String>,
    /// When it was sent.
    pub began: Millis,
    /// Its signs of life.
    pub pulse: Arc<dyn LifeSigns>,
    /// What is known of it.
    pub state: TurnState,
}

/// What others may see of a turn.
#[derive(Clone, Debug)]
pub struct Seen {
    /// For which work.
    pub work: WorkId,
    /// Whose it is; none of a turn that is stuck and no longer waited for.
    pub agent: Option<String>,
    /// Since when.
    pub since: Millis,
    /// How long there has been no sign of life.
    pub quiet: Duration,
    /// How it does.
    pub state: TurnState,
}

impl InFlight {
    /// None yet. The bell rings with each that begins.
    pub fn new(bell: Sender<()>) -> Self {
        Self { inside: Arc::default(), bell, lists: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, InFlightState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn begins; it is over when the guard goes.
    pub fn enter(&self, life: TurnActivity) -> Guard<'_> {
        let mut inside = self.lock();
        inside.last += 1;
        let number = inside.last;
        inside.stuck.remove(&life.work);
        inside.turns.insert(number, life);
        drop(inside);
        // A full channel has the news already.
        let _ = self.bell.try_send(());
        Guard { table: self, number }
    }

    /// All of them, with their numbers.
    pub(super) fn turns(&self) -> Vec<(u64, TurnActivity)> {
        self.lock().turns.iter().map(|(number, life)| (*number, life.clone())).collect()
    }

    /// What was found out of one.
    pub(super) fn is(&self, number: u64, state: TurnState) {
        if let Some(life) = self.lock().turns.get_mut(&number) {
            life.state = state;
        }
    }

    /// The row's turn shows no sign of life and is not waited for any more; it is looked for.
    pub(super) fn is_stuck(&self, work: &WorkId, now: Millis) {
        self.lock().stuck.insert(work.clone(), now);
    }

    /// Something new is known of the row.
    pub(super) fn is_known(&self, work: &WorkId) {
        self.lock().stuck.remove(work);
    }

    /// An agent is put to work on this, with this standing. `lists` is how many lists had come before the context was
    /// read: what those told is in it.
    pub(super) fn hold(
        &self,
        work: &Arc<Work>,
        record: &mut Record,
        standing: AgentRights,
        reading: Reading,
    ) {
        self.put(work, record).stands(work, record, standing, reading);
    }

    /// How many lists have come.
    pub(super) fn lists(&self) -> u64 {
        self.lists.load(Ordering::Acquire)
    }

    /// One more list has come; its number.
    pub(super) fn one_more_list(&self) -> u64 {
        self.lists.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// An earlier process has left this: its agent may still be at work on it, and may ask again what it was not told.
    pub fn resume(&self, work: &Arc<Work>, record: &mut Record) {
        record.effects.outlived();
        if record.sent.is_some() || record.effects.count() > 0 {
            self.put(work, record);
        }
    }

    /// The delivery that its agent is at work on from now on; it takes the tool log of the record. Another one that was in its place keeps its tool log here
    /// for its next attempt.
    fn put(&self, work: &Arc<Work>, record: &mut Record) -> Arc<ActiveDelivery> {
        let mut inside = self.lock();
        let begun = || Arc::new(ActiveDelivery::new(Arc::clone(work), record));
        let held = Arc::clone(inside.held.entry(work.id.clone()).or_insert_with(begun));
        let before = inside.at_work.insert(work.track.clone(), work.id.clone());
        let before = before.filter(|before| *before != work.id);
        let before = before.and_then(|before| inside.held.get(&before).cloned());
        drop(inside);
        if let Some(before) = before {
            before.forget();
        }
        held
    }

    /// What the agent of this track is at work on.
    pub fn held(&self, track: &Track) -> Option<Arc<ActiveDelivery>> {
        let inside = self.lock();
        inside.at_work.get(track).and_then(|row| inside.held.get(row)).cloned()
    }

    /// This delivery, if its agent was put to work on it.
    pub(super) fn held_of(&self, work: &Work) -> Option<Arc<ActiveDelivery>> {
        self.lock().held.get(&work.id).cloned()
    }

    /// The agent has answered, or will not: what it calls from now on belongs to nothing. What it calls just now is
    /// waited for. Returns the tool log, if it was held here.
    pub(super) fn let_go(&self, work: &Work) -> Option<ToolLog> {
        self.take(work).map(|held| held.let_go())
    }

    /// The row is nobody's business any more.
    pub(super) fn forget(&self, work: &Work) {
        if let Some(held) = self.take(work) {
            held.forget();
        }
    }

    fn take(&self, work: &Work) -> Option<Arc<ActiveDelivery>> {
        let mut inside = self.lock();
        let held = inside.held.remove(&work.id)?;
        if inside.at_work.get(&work.track).is_some_and(|at_work| *at_work == work.id) {
            inside.at_work.remove(&work.track);
        }
        Some(held)
    }

    /// The agent that is at work on this row has shown a sign of life.
    pub fn beat(&self, work: &WorkId) {
        self.lock().turns.values().filter(|life| life.work == *work).for_each(|life| life.pulse.beat());
    }

    /// A person does not want to wait for this row any longer.
    pub(super) fn give_up(&self, work: &WorkId) {
        let mut inside = self.lock();
        inside.given_up.insert(work.clone());
        inside.turns.values().filter(|life| life.work == *work).for_each(|life| life.pulse.end());
    }

    /// Whether somebody has said so.
    pub(super) fn is_given_up(&self, work: &WorkId) -> bool {
        self.lock().given_up.contains(work)
    }

    /// A person has stopped the work on the row's task: its turn is not waited for, and its agent's calls are refused.
    pub(super) fn stop(&self, held: &ActiveDelivery) {
        let inside = self.lock();
        held.stop();
        inside.turns.values().filter(|life| life.work == held.work().id).for_each(|life| life.pulse.end());
    }

    /// Whether the work on the row was stopped.
    pub(super) fn is_stopped(&self, work: &Work) -> bool {
        self.held_of(work).is_some_and(|held| held.is_stopped())
    }

    /// All deliveries that agents are at work on about tasks, but for those that are stopped.
    pub(super) fn held_on_tasks(&self) -> Vec<Arc<ActiveDelivery>> {
        let inside = self.lock();
        let held = inside.at_work.values().filter_map(|work| inside.held.get(work));
        held.filter(|held| held.work().track.task().is_some() && !held.is_stopped()).cloned().collect()
    }

    /// The row is over.
    pub(super) fn is_over(&self, work: &WorkId) {
        let mut inside = self.lock();
        inside.stuck.remove(work);
        inside.given_up.remove(work);
    }

    /// All turns, as people see them.
    pub fn seen(&self, now: Millis) -> Vec<Seen> {
        let inside = self.lock();
        let turns = inside.turns.values().map(|life| Seen {
            work: life.work.clone(),
            agent: Some(life.agent.clone()),
            since: life.began,
            quiet: life.pulse.quiet(),
            state: life.state,
        });
        let stuck = inside.stuck.iter().map(|(work, since)| Seen {
            work: work.clone(),
            agent: None,
            since: *since,
            quiet: now.since(*since),
            state: TurnState::Stuck,
        });
        turns.chain(stuck).collect()
    }
}

/// As long as it lives, the turn is under way.
pub struct Guard<'a> {
    table: &'a InFlight,
    number: u64,
}

impl Guard<'_> {
    /// The gateway has named its run.
    pub fn is_run(&self, run: &str) {
        if let Some(life) = self.table.lock().turns.get_mut(&self.number) {
            life.run = Some(run.to_owned());
            life.state = TurnState::Working;
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.table.lock().turns.remove(&self.number);
    }
}

#[cfg(test)]
mod tests;
