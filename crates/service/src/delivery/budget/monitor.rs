//! The budget monitor: reads the usage of running turns, aborts them at a limit, and tells the dispatcher which agents'
//! turns wait.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use log::{Level, debug, info, warn};

use super::super::inflight::{InFlight, TurnActivity};
use super::super::log_item::LogItem;
use super::BudgetKeeper;
use mcr_core::gateway::{GatewayError, ModelCall};
use mcr_core::guardrails::budget::{Held, Scope, TurnCost, TurnId};
use mcr_model::clock::{Clock as _, SystemClock};

/// The time between two readings of one turn.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// For tests: the time between two readings of one turn, in milliseconds.
pub const LOOK: &str = "MCR_TEST_BUDGET_LOOK_MS";

/// The time between two checks of the clock and of all turns.
const ROUND: Duration = Duration::from_secs(1);

/// The shortest time between two rounds.
const PAUSE: Duration = Duration::from_millis(20);

/// Reads the finished model calls of a running turn; none if the gateway does not show them.
pub type CallsProbe = Box<dyn Fn(&TurnActivity) -> Result<Option<Vec<ModelCall>>, GatewayError> + Send>;

/// Gives the dispatcher the scopes in which no turn may start. Returns whether it has them.
pub type HoldTurns = Box<dyn Fn(&[Scope]) -> bool + Send>;

/// The monitor.
pub struct BudgetMonitor {
    /// The budgets.
    pub keeper: Arc<BudgetKeeper>,
    /// The running turns.
    pub inflight: InFlight,
    /// Reads a turn.
    pub probe: CallsProbe,
    /// Gives the dispatcher the scopes in which no turn may start. Returns whether it has them.
    pub hold: HoldTurns,
}

/// What the monitor remembers between two rounds.
struct MonitorMemory {
    look_interval: Duration,
    /// When each turn was last read.
    looked: HashMap<u64, Instant>,
    /// What the dispatcher has.
    applied: Option<Vec<Scope>>,
    /// The limits that were reached at the last round.
    held: Held,
}

impl BudgetMonitor {
    /// Monitors until the service `is_over`. `inform` gets the limits that are reached, in each round.
    pub fn run(&mut self, is_over: &dyn Fn() -> bool, inform: &mut dyn FnMut(&Held)) {
        let Some(changes) = self.keeper.changes() else { return };
        let given = std::env::var(LOOK).ok().and_then(|text| text.parse().ok());
        let look_interval = given.map_or(LOOK_INTERVAL, Duration::from_millis);
        let mut memory =
            MonitorMemory { look_interval, looked: HashMap::new(), applied: None, held: Held::default() };
        while !is_over() {
            self.round(&mut memory);
            inform(&memory.held);
            // Many turns end at the same time, and one round serves all of them.
            thread::sleep(PAUSE);
            // The keeper holds the sender, so an error only means that the time has passed.
            let _ = changes.recv_timeout(ROUND.min(memory.look_interval));
        }
    }

    fn round(&self, memory: &mut MonitorMemory) {
        let now = SystemClock.now();
        if self.keeper.read(|spending| spending.is_another_day(now)) == Some(true) {
            self.keeper.change(|spending| spending.turn_to(now));
        }
        self.look(memory);
        self.abort();
        self.apply(memory);
    }

    /// Reads the turns that are due. Each reading may take as long as the gateway needs, so a limit is checked after each.
    fn look(&self, memory: &mut MonitorMemory) {
        let turns = self.inflight.turns();
        memory.looked.retain(|number, _| turns.iter().any(|(other, _)| other == number));
        for (number, life) in &turns {
            // The first reading follows after one interval: a short turn is never read.
            let looked = memory.looked.entry(*number).or_insert_with(Instant::now);
            let Some(id) = self.open_turn(life).filter(|_| looked.elapsed() >= memory.look_interval) else {
                continue;
            };
            *looked = Instant::now();
            match (self.probe)(life) {
                Ok(Some(calls)) => {
                    self.keeper.change(|spending| spending.observe(&id, &TurnCost(calls)));
                    self.abort();
                }
                Ok(None) => {}
                Err(error) => {
                    debug!(agent = life.agent.as_str(), error:%; "The usage of a running turn cannot be read");
                }
            }
        }
    }

    /// The open reservation of a running turn.
    fn open_turn(&self, life: &TurnActivity) -> Option<TurnId> {
        let is_of = |id: &&TurnId| id.is_of(&life.work.id);
        self.keeper.read(|spending| spending.open().keys().find(is_of).cloned()).flatten()
    }

    /// Ends the wait for the turns that must not go on. Their workers abort them at the gateway.
    fn abort(&self) {
        let ids = self.keeper.change(mcr_core::guardrails::budget::Spending::to_abort).unwrap_or_default();
        if ids.is_empty() {
            return;
        }
        for (_, life) in self.inflight.turns() {
            if ids.iter().any(|id| id.is_of(&life.work.id)) && self.inflight.cap(&life.work.id) {
                let item = LogItem::from(&*life.work).with_slug(&life.agent);
                item.log(Level::Warn, "A running turn is aborted: a daily budget is used up", &[]);
            }
        }
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
            warn!(reason = reason.as_str(); "No turns start: a daily budget is used up");
        }
        for (scope, _) in before.iter().filter(|(scope, _)| !after.contains_key(scope)) {
            info!(budget = scope.name(); "Turns may start again: a daily budget has room");
        }
        memory.held = held;
    }
}
