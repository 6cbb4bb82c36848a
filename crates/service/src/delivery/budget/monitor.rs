//! The budget monitor: has the usage of running turns read in time, and tells the dispatcher which agents' turns wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use log::{info, warn};

use super::super::inflight::{InFlight, TurnActivity};
use super::BudgetKeeper;
use super::reader::{UsageReading, abort};
use mcr_core::guardrails::budget::{Held, READING_INTERVAL, SHORTEST_READING_INTERVAL, Scope, TurnId};
use mcr_model::clock::{Clock as _, SystemClock};

/// The time between two checks of the clock and of all turns.
const ROUND: Duration = Duration::from_secs(1);

/// The shortest time between two rounds.
const PAUSE: Duration = Duration::from_millis(20);

/// The pause after a reading that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Gives the dispatcher the scopes in which no turn may start. Returns whether it has them.
pub type HoldTurns = Box<dyn Fn(&[Scope]) -> bool + Send>;

/// The monitor.
pub struct BudgetMonitor {
    /// The budgets.
    pub keeper: Arc<BudgetKeeper>,
    /// The running turns.
    pub inflight: InFlight,
    /// Hands a reading to a reader that waits for one.
    pub readers: Sender<UsageReading>,
    /// Gives the dispatcher the scopes in which no turn may start. Returns whether it has them.
    pub hold: HoldTurns,
}

/// What the monitor remembers between two rounds.
#[derive(Default)]
struct MonitorMemory {
    /// The readings of each running turn, by its number.
    looks: HashMap<u64, Look>,
    /// What the dispatcher has.
    applied: Option<Vec<Scope>>,
    /// The limits that were reached at the last round.
    held: Held,
}

/// The readings of a running turn.
struct Look {
    /// When the last one that succeeded began, or when the turn was sent. A reading that goes on shares it.
    read: Arc<Mutex<Instant>>,
    /// When the last one began.
    tried: Option<Instant>,
}

impl Look {
    /// No reading of this turn so far.
    fn of(life: &TurnActivity) -> Self {
        let age = SystemClock.now().since(life.began).min(READING_INTERVAL);
        let sent = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        Self { read: Arc::new(Mutex::new(sent)), tried: None }
    }

    fn is_busy(&self) -> bool {
        Arc::strong_count(&self.read) > 1
    }

    fn since(&self) -> Duration {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// The pause after a reading that failed.
    fn pause(&self) -> Duration {
        let read = *self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = self.tried.filter(|tried| *tried > read);
        failed.map_or(Duration::ZERO, |tried| RETRY_PAUSE.saturating_sub(tried.elapsed()))
    }
}

impl BudgetMonitor {
    /// Monitors until the service `is_over`.
    pub fn run(&mut self, is_over: &dyn Fn() -> bool) {
        let Some(changes) = self.keeper.changes() else { return };
        let mut memory = MonitorMemory::default();
        while !is_over() {
            let rest = self.round(&mut memory);
            self.keeper.checked();
            // Many turns end at the same time, and one round serves all of them.
            thread::sleep(PAUSE);
            // The keeper holds the sender, so an error only means that the time has passed.
            let _ = changes.recv_timeout(rest.saturating_sub(PAUSE));
        }
    }

    /// Returns the time until the next round.
    fn round(&self, memory: &mut MonitorMemory) -> Duration {
        let now = SystemClock.now();
        if self.keeper.read(|spending| spending.is_another_day(now)) == Some(true) {
            self.keeper.change(|spending| spending.turn_to(now));
        }
        let rest = self.look(memory);
        abort(&self.keeper, &self.inflight);
        self.apply(memory);
        rest
    }

    /// Has the turns read that are due. Returns the time until the next one is due.
    fn look(&self, memory: &mut MonitorMemory) -> Duration {
        let running: Vec<(u64, TurnActivity)> = self.inflight.turns();
        memory.looks.retain(|number, _| running.iter().any(|(other, _)| other == number));
        let open: Vec<TurnId> =
            self.keeper.read(|spending| spending.open().keys().cloned().collect()).unwrap_or_default();
        // A turn with a reservation that does not run yet is about to.
        let mut rest = if open.len() > running.len() { SHORTEST_READING_INTERVAL } else { ROUND };
        let of_turn = |life: &TurnActivity| open.iter().find(|id| id.is_of(&life.work.id)).cloned();
        let turns = running.into_iter().filter_map(|(number, life)| Some((number, of_turn(&life)?, life)));
        let turns: Vec<(u64, TurnId, TurnActivity)> = turns.collect();
        for (number, _, life) in &turns {
            memory.looks.entry(*number).or_insert_with(|| Look::of(life));
        }
        let since = turns.iter().map(|(number, id, _)| (id.clone(), memory.looks[number].since()));
        let since: BTreeMap<TurnId, Duration> = since.collect();
        let next = self.keeper.read(|spending| spending.next_readings(&since)).unwrap_or_default();
        for (number, id, life) in turns {
            let Some(look) = memory.looks.get_mut(&number).filter(|look| !look.is_busy()) else { continue };
            let due = next.get(&id).copied().unwrap_or(ROUND).max(look.pause());
            if !due.is_zero() {
                rest = rest.min(due);
                continue;
            }
            let began = Instant::now();
            let reading = UsageReading { since: since[&id], id, life, began, read: Arc::clone(&look.read) };
            // If no reader waits, the next round tries again: each reader wakes the monitor at the end of a reading.
            if self.readers.try_send(reading).is_ok() {
                look.tried = Some(began);
            }
        }
        rest
    }

    /// Gives the dispatcher the scopes in which no turn may start, and logs what changed.
    fn apply(&self, memory: &mut MonitorMemory) {
        let full = self.keeper.full();
        if memory.applied.as_ref() != Some(&full) && (self.hold)(&full) {
            memory.applied = Some(full);
        }
        let held = self.keeper.held();
        let by_scope = |held: &Held| -> BTreeMap<Scope, String> {
            held.reached.iter().map(|reached| (reached.scope.clone(), reached.in_words())).collect()
        };
        let (before, after) = (by_scope(&memory.held), by_scope(&held));
        for (_, reason) in after.iter().filter(|(scope, _)| !before.contains_key(scope)) {
            warn!(reason = reason.as_str(); "No turns start: a daily budget is reached");
        }
        for (scope, _) in before.iter().filter(|(scope, _)| !after.contains_key(scope)) {
            info!(budget = scope.name(); "Turns may start again: a daily budget has room");
        }
        memory.held = held;
    }
}
