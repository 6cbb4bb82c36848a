//! The daily budgets of the running service: the monitor's thread, and what it tells the dispatcher and the threads.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use log::warn;

use super::backend_health::observed;
use super::background;
use super::gateway_health::{GatewayStatus, marked};
use super::state::State;
use super::threads::ThreadSetup;
use mcr_clients::gateway::HttpGateway;
use mcr_clients::wire::Stop;
use mcr_core::delivery::operator_requests::{OperatorReply, OperatorRequest};
use mcr_core::guardrails::budget::{Held, Spending, TurnId};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::spending::Budgets;
use mcr_service::delivery::budget::{
    BudgetKeeper, BudgetMonitor, BudgetNotices, BudgetReader, CallsProbe, UsageReading,
};
use mcr_service::delivery::service::View;
use mcr_service::roster::Team;
use mcr_store::ledger::{Ledger, Remembered};

/// The time between two looks at the waiting work while a limit is reached.
const LOOK_AT_WAITING: Duration = Duration::from_secs(10);

/// How many turns are read at the same time.
const READERS: usize = 4;

/// The budgets with what an earlier process has stored and left open.
pub(super) fn recalled(
    budgets: &Budgets,
    kept: &BTreeMap<String, String>,
    open: &[Remembered],
    ledger: &Arc<Ledger>,
) -> BudgetKeeper {
    if !budgets.are_set() {
        return BudgetKeeper::off();
    }
    let was_sent = |id: &TurnId| {
        open.iter()
            .any(|left| left.record.sent.is_some() && *id == TurnId::new(&left.work.id, left.record.requests))
    };
    let mut spending = Spending::recall(budgets.clone(), kept, was_sent);
    spending.turn_to(SystemClock.now());
    BudgetKeeper::new(spending, ledger.clone())
}

/// Starts the monitor of the budgets, if there are any. It works as long as turns may run.
pub(super) fn start(setup: &ThreadSetup<'_>, team: &Team, view: View) -> io::Result<()> {
    if !setup.budget.is_on() {
        return Ok(());
    }
    let stop = setup.switches.turns.clone();
    if setup.budget.counts_no_dollars() {
        warn!(variable = "BUDGET_PRICES"; "A budget in dollars counts nothing: neither prices nor a reported cost is known");
    }
    let gateway = setup.gateway.as_ref().map(|gateway| Arc::new(gateway.client(&stop)));
    let (readers, readings) = bounded(0);
    for _ in 0..READERS {
        let reader = BudgetReader {
            keeper: setup.budget.clone(),
            inflight: view.inflight().clone(),
            probe: probe(gateway.clone(), setup.state.gateway.clone()),
            readings: readings.clone(),
        };
        background::spawn("budget-reader", setup.state.panics.clone(), stop.clone(), move || reader.run())?;
    }
    let mission = observed(&setup.connections.once, setup.settings, &stop, &setup.state.backend);
    let mut thread = BudgetThread {
        state: setup.state.clone(),
        view,
        keeper: setup.budget.clone(),
        readers,
        notices: BudgetNotices::new(mission, team.clone()),
        told: None,
    };
    let (panics, switch) = (setup.state.panics.clone(), stop.clone());
    background::spawn("budget", panics, stop, move || thread.run(&switch))
}

/// The parts of the monitor's thread.
struct BudgetThread {
    state: Arc<State>,
    view: View,
    keeper: Arc<BudgetKeeper>,
    readers: Sender<UsageReading>,
    notices: BudgetNotices,
    /// When the waiting work was last read, and the limits that were reached then.
    told: Option<(Instant, Held)>,
}

impl BudgetThread {
    /// Monitors until the switch is closed.
    fn run(&mut self, stop: &Stop) {
        let (state, view) = (self.state.clone(), self.view.clone());
        let mut monitor = BudgetMonitor {
            keeper: self.keeper.clone(),
            inflight: view.inflight().clone(),
            readers: self.readers.clone(),
            hold: Box::new(move |full| state.operator.hold_full(full, &view)),
        };
        monitor.run(&|| stop.is_closed(), &mut |held| self.inform(held));
    }

    /// Informs the threads of waiting work once about each limit.
    fn inform(&mut self, held: &Held) {
        if held.reached.is_empty() {
            if self.told.take().is_some() {
                self.notices.forget();
            }
            return;
        }
        let scopes =
            |held: &Held| held.reached.iter().map(|reached| reached.scope.clone()).collect::<Vec<_>>();
        let is_fresh =
            |(at, before): &(Instant, Held)| at.elapsed() < LOOK_AT_WAITING && scopes(before) == scopes(held);
        if self.told.as_ref().is_some_and(is_fresh) {
            return;
        }
        let Some(OperatorReply::Rows(pending, _)) = self.view.ask(OperatorRequest::Look) else { return };
        let day = self.keeper.report(SystemClock.now()).map_or(String::new(), |report| report.day);
        self.notices.inform(held, &day, &pending);
        self.told = Some((Instant::now(), held.clone()));
    }
}

/// Reads the model calls of a turn. Without a `gateway` there is no turn.
fn probe(gateway: Option<Arc<HttpGateway>>, status: Arc<GatewayStatus>) -> CallsProbe {
    Box::new(move |life| {
        let Some(gateway) = &gateway else { return Ok(None) };
        marked(life, |mark| status.model_calls(gateway, &life.session, &life.agent, mark))
    })
}
