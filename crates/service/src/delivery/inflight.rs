//! The table of running turns, with their signs of life, and of the deliveries that agents work on.
//!
//! The stall monitor and `/health` read the turns. The agents' API finds here the delivery that a call belongs to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::active_delivery::{ActiveDelivery, AgentRights};
use super::brake::Brake;
use super::reading::Reading;
use mcr_core::delivery::Record;
use mcr_core::delivery::tool_log::ToolLog;
use mcr_core::gateway::{LifeSigns, ToolOutput};
use mcr_core::guardrails::team::Threads;
use mcr_core::ops::TurnState;
use mcr_core::work::{Track, Work, WorkId};
use mcr_model::SessionKey;
use mcr_model::clock::Millis;

/// All running turns and deliveries. Clones share the same table.
#[derive(Clone, Debug)]
pub struct InFlight {
    inside: Arc<Mutex<InFlightState>>,
    turn_started: Sender<()>,
    lists: Arc<AtomicU64>,
    brake: Brake,
}

#[derive(Debug, Default)]
struct InFlightState {
    last: u64,
    turns: BTreeMap<u64, TurnActivity>,
    /// Work whose turn showed no sign of life for too long, with the time; until its outcome is known.
    stuck: BTreeMap<WorkId, Millis>,
    /// Deliveries that agents work on: each from its first turn until its answer or its end.
    held: HashMap<WorkId, Arc<ActiveDelivery>>,
    /// The current delivery of each track: the agent's calls over HTTP belong to it.
    at_work: HashMap<Track, WorkId>,
    /// Work whose running turn was aborted because a budget is reached.
    capped: BTreeSet<WorkId>,
    /// Work whose running turn was ended because it made this many calls without waiting for their results.
    looping: BTreeMap<WorkId, u32>,
    /// Work for which a person gave up waiting.
    given_up: BTreeSet<WorkId>,
}

/// A running turn.
#[derive(Clone, Debug)]
pub struct TurnActivity {
    /// The work that it is for.
    pub work: Arc<Work>,
    /// The slug of the agent.
    pub agent: String,
    /// The session.
    pub session: SessionKey,
    /// The marker of its question, if it sent one.
    pub marker: String,
    /// The call of its first result and the marker of that result, if it sent results.
    pub result_of: Option<ToolOutput>,
    /// The id of its run, once the gateway has named it.
    pub run: Option<String>,
    /// When it was sent.
    pub began: Millis,
    /// Its signs of life.
    pub pulse: Arc<dyn LifeSigns>,
    /// Its state.
    pub state: TurnState,
}

/// A turn, as `/health` shows it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The work that it is for.
    pub work: WorkId,
    /// The slug of the agent; none for a stuck turn that no worker waits for.
    pub agent: Option<String>,
    /// When it was sent or found to be stuck.
    pub since: Millis,
    /// The time since the last sign of life.
    pub quiet: Duration,
    /// Its state.
    pub state: TurnState,
}

impl InFlight {
    /// An empty table. Each new turn sends to the `turn_started`.
    pub fn new(turn_started: Sender<()>) -> Self {
        Self { inside: Arc::default(), turn_started, lists: Arc::default(), brake: Brake::default() }
    }

    /// The table with a loop brake that continues these counts.
    #[must_use]
    pub fn counting(self, threads: Threads) -> Self {
        Self { brake: Brake::new(threads), ..self }
    }

    /// The loop brake.
    pub fn brake(&self) -> &Brake {
        &self.brake
    }

    fn lock(&self) -> MutexGuard<'_, InFlightState> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a running turn; the drop of the guard removes it.
    pub fn enter(&self, life: TurnActivity) -> Guard<'_> {
        let mut inside = self.lock();
        inside.last += 1;
        let number = inside.last;
        inside.stuck.remove(&life.work.id);
        inside.capped.remove(&life.work.id);
        inside.turns.insert(number, life);
        drop(inside);
        // In a full channel, a signal waits already.
        let _ = self.turn_started.try_send(());
        Guard { table: self, number }
    }

    /// All running turns with their numbers.
    pub(super) fn turns(&self) -> Vec<(u64, TurnActivity)> {
        self.lock().turns.iter().map(|(number, life)| (*number, life.clone())).collect()
    }

    /// Sets the state of a turn.
    pub(super) fn is(&self, number: u64, state: TurnState) {
        if let Some(life) = self.lock().turns.get_mut(&number) {
            life.state = state;
        }
    }

    /// Records that the work's turn showed no sign of life and is not waited for; its outcome is being read.
    pub(super) fn is_stuck(&self, work: &WorkId, now: Millis) {
        self.lock().stuck.insert(work.clone(), now);
    }

    /// Records that the outcome of the work's turn is known.
    pub(super) fn is_known(&self, work: &WorkId) {
        self.lock().stuck.remove(work);
    }

    /// An agent starts to work on a delivery, with these rights. `reading` describes the context, so that news from
    /// earlier lists is known to be in it.
    pub(super) fn hold(&self, work: &Arc<Work>, record: &mut Record, rights: AgentRights, reading: Reading) {
        self.put(work, record).continue_with(work, record, rights, reading);
    }

    /// How many lists have arrived.
    pub(super) fn lists(&self) -> u64 {
        self.lists.load(Ordering::Acquire)
    }

    /// Counts an arrived list; returns its number.
    pub(super) fn one_more_list(&self) -> u64 {
        self.lists.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Adds a delivery of an earlier process: its agent may still work on it, and may repeat calls whose results it did
    /// not receive.
    pub fn resume(&self, work: &Arc<Work>, record: &mut Record) {
        record.effects.outlived();
        if record.sent.is_some() || record.effects.count() > 0 {
            self.put(work, record);
        }
    }

    /// Makes this the current delivery of its track; it takes the tool log of the record. The delivery before it keeps its
    /// own tool log here for its next attempt.
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

    /// The current delivery of this track.
    pub fn held(&self, track: &Track) -> Option<Arc<ActiveDelivery>> {
        let inside = self.lock();
        inside.at_work.get(track).and_then(|row| inside.held.get(row)).cloned()
    }

    /// The delivery of this work, if its agent works on it.
    pub(super) fn held_of(&self, work: &Work) -> Option<Arc<ActiveDelivery>> {
        self.lock().held.get(&work.id).cloned()
    }

    /// Ends the agent's work: it has answered, or will not. Later calls belong to no delivery; a running call is waited
    /// for. Returns the tool log, if it was here.
    pub(super) fn let_go(&self, work: &Work) -> Option<ToolLog> {
        self.take(work).map(|held| held.let_go())
    }

    /// Removes a delivery without waiting for its calls.
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

    /// Records a sign of life of the agent that works on this.
    pub fn beat(&self, work: &WorkId) {
        self.lock().turns.values().filter(|life| life.work.id == *work).for_each(|life| life.pulse.beat());
    }

    /// Records that a person gave up waiting for this work, and ends its turn.
    pub(super) fn give_up(&self, work: &WorkId) {
        let mut inside = self.lock();
        inside.given_up.insert(work.clone());
        inside.turns.values().filter(|life| life.work.id == *work).for_each(|life| life.pulse.end());
    }

    /// Ends the running turn of this work because it has lost its lease.
    pub(crate) fn end_turns(&self, work: &WorkId) {
        self.lock().turns.values().filter(|life| life.work.id == *work).for_each(|life| life.pulse.end());
    }

    /// Whether a person gave up waiting for this work.
    pub(super) fn is_given_up(&self, work: &WorkId) -> bool {
        self.lock().given_up.contains(work)
    }

    /// Ends the running turn of this work because a budget is reached. Returns whether there is one that was not ended
    /// before.
    pub(super) fn cap(&self, work: &WorkId) -> bool {
        let mut inside = self.lock();
        let turns: Vec<_> = inside.turns.values().filter(|life| life.work.id == *work).cloned().collect();
        if turns.is_empty() || !inside.capped.insert(work.clone()) {
            return false;
        }
        for life in &turns {
            life.pulse.end();
        }
        true
    }

    /// Whether the last turn of this work was ended because a budget is reached.
    pub(super) fn is_capped(&self, work: &WorkId) -> bool {
        self.lock().capped.contains(work)
    }

    /// Ends the running turn of this work because it makes calls without waiting for their results. Returns whether there is
    /// one that was not ended before.
    pub(super) fn loops(&self, work: &WorkId, calls: u32) -> bool {
        let mut inside = self.lock();
        let turns: Vec<_> = inside.turns.values().filter(|life| life.work.id == *work).cloned().collect();
        if turns.is_empty() || inside.looping.insert(work.clone(), calls).is_some() {
            return false;
        }
        for life in &turns {
            life.pulse.end();
        }
        true
    }

    /// How many calls the last turn of this work made, if it was ended because of them.
    pub(super) fn looping_calls(&self, work: &WorkId) -> Option<u32> {
        self.lock().looping.get(work).copied()
    }

    /// Stops a delivery because a person stopped the work on its task: its turn ends, and its agent's calls are refused.
    pub(super) fn stop(&self, held: &ActiveDelivery) {
        let inside = self.lock();
        held.stop();
        inside.turns.values().filter(|life| life.work.id == held.work().id).for_each(|life| life.pulse.end());
    }

    /// Whether a person stopped this work.
    pub(super) fn is_stopped(&self, work: &Work) -> bool {
        self.held_of(work).is_some_and(|held| held.is_stopped())
    }

    /// The current deliveries about tasks, without stopped ones.
    pub(super) fn held_on_tasks(&self) -> Vec<Arc<ActiveDelivery>> {
        let inside = self.lock();
        let held = inside.at_work.values().filter_map(|work| inside.held.get(work));
        held.filter(|held| !held.tasks().is_empty() && !held.is_stopped()).cloned().collect()
    }

    /// Removes the marks of ended work.
    pub(super) fn is_over(&self, work: &WorkId) {
        let mut inside = self.lock();
        inside.stuck.remove(work);
        inside.given_up.remove(work);
        inside.capped.remove(work);
        inside.looping.remove(work);
    }

    /// All turns, as `/health` shows them.
    pub fn seen(&self, now: Millis) -> Vec<Seen> {
        let inside = self.lock();
        let turns = inside.turns.values().map(|life| Seen {
            work: life.work.id.clone(),
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

/// A running turn; its drop removes the turn from the table.
pub struct Guard<'a> {
    table: &'a InFlight,
    number: u64,
}

impl Guard<'_> {
    /// Records the id of the run, once the gateway has named it.
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
