//! The readers of running turns. There are several, so that a slow reading delays no other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use log::{Level, debug};

use super::super::inflight::{InFlight, TurnActivity};
use super::super::log_item::LogItem;
use super::BudgetKeeper;
use mcr_core::gateway::{GatewayError, ModelCall};
use mcr_core::guardrails::budget::{Spending, TurnCost, TurnId};

/// Reads the finished model calls of a running turn; none if the gateway does not show them.
pub type CallsProbe = Box<dyn Fn(&TurnActivity) -> Result<Option<Vec<ModelCall>>, GatewayError> + Send>;

/// One reading of a running turn.
pub struct UsageReading {
    /// The open reservation.
    pub(super) id: TurnId,
    /// The turn.
    pub(super) life: TurnActivity,
    /// When the reading was requested.
    pub(super) began: Instant,
    /// The time since the reading before, or since the turn was sent.
    pub(super) since: Duration,
    /// When the last reading that succeeded began. The monitor requests no other one while this one goes on.
    pub(super) read: Arc<Mutex<Instant>>,
}

/// A reader.
pub struct BudgetReader {
    /// The budgets.
    pub keeper: Arc<BudgetKeeper>,
    /// The running turns.
    pub inflight: InFlight,
    /// Reads a turn.
    pub probe: CallsProbe,
    /// The requested readings.
    pub readings: Receiver<UsageReading>,
}

impl BudgetReader {
    /// Reads until the monitor ends. A limit is checked after each reading.
    pub fn run(&self) {
        for reading in &self.readings {
            match (self.probe)(&reading.life) {
                Ok(Some(calls)) => {
                    let (id, since) = (&reading.id, reading.since);
                    self.keeper.change(|spending| spending.observe(id, &TurnCost(calls), since));
                    *reading.read.lock().unwrap_or_else(PoisonError::into_inner) = reading.began;
                    abort(&self.keeper, &self.inflight);
                }
                Ok(None) => {}
                Err(error) => {
                    let agent = reading.life.agent.as_str();
                    debug!(agent, error:%; "The usage of a running turn cannot be read");
                }
            }
            drop(reading);
            self.keeper.wake_monitor();
        }
    }
}

/// Ends the wait for the turns that must not go on. Their workers abort them at the gateway.
pub(super) fn abort(keeper: &BudgetKeeper, inflight: &InFlight) {
    let ids = keeper.change(Spending::to_abort).unwrap_or_default();
    if ids.is_empty() {
        return;
    }
    for (_, life) in inflight.turns() {
        if ids.iter().any(|id| id.is_of(&life.work.id)) && inflight.cap(&life.work.id) {
            let item = LogItem::from(&*life.work).with_slug(&life.agent);
            item.log(Level::Warn, "A running turn is aborted: a daily budget is reached", &[]);
        }
    }
}
