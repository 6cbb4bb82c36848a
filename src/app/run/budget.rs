//! The daily budgets of the running service: the threads of the monitor, the readers and the notices.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use log::warn;

use super::backend_health::observed;
use super::background;
use super::gateway_health::{GatewayStatus, marked};
use super::threads::ThreadSetup;
use mcr_clients::gateway::HttpGateway;
use mcr_clients::wire::Stop;
use mcr_core::delivery::operator_requests::{OperatorReply, OperatorRequest};
use mcr_core::guardrails::budget::{Held, Spending, TurnId};
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::spending::Budgets;
use mcr_service::delivery::budget::{BudgetKeeper, BudgetMonitor, BudgetNotices, BudgetReader, CallsProbe};
use mcr_service::delivery::service::View;
use mcr_service::roster::Team;
use mcr_store::ledger::{Ledger, Remembered};

/// The time between two looks at the waiting work while a limit is reached.
const LOOK_AT_WAITING: Duration = Duration::from_secs(10);

/// The time between two checks of the limits for notices.
const NOTICE_ROUND: Duration = Duration::from_secs(1);

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
    BudgetKeeper::new(spending, ledger.clone()).with_notices(kept)
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
    let mut notices = NoticeThread {
        view: view.clone(),
        keeper: setup.budget.clone(),
        notices: BudgetNotices::new(mission, team.clone(), setup.budget.clone()),
        informed: None,
    };
    let (panics, switch) = (setup.state.panics.clone(), stop.clone());
    background::spawn("budget-notices", panics, stop.clone(), move || notices.run(&switch))?;
    let state = setup.state.clone();
    let mut monitor = BudgetMonitor {
        keeper: setup.budget.clone(),
        inflight: view.inflight().clone(),
        readers,
        hold: Box::new(move |full| state.operator.hold_full(full, &view)),
    };
    let (panics, switch) = (setup.state.panics.clone(), stop.clone());
    background::spawn("budget", panics, stop, move || monitor.run(&|| switch.is_closed()))
}

/// Informs the threads of waiting work. This takes calls of Mission Control, so the monitor does not wait for it.
struct NoticeThread {
    view: View,
    keeper: Arc<BudgetKeeper>,
    notices: BudgetNotices,
    /// When all threads of the waiting work were last informed, and the limits that were reached then.
    informed: Option<(Instant, Held)>,
}

impl NoticeThread {
    fn run(&mut self, stop: &Stop) {
        while !stop.is_closed() {
            let held = self.keeper.held();
            self.inform(held);
            stop.wait(NOTICE_ROUND);
        }
    }

    fn inform(&mut self, held: Held) {
        if held.reached.is_empty() {
            self.informed = None;
            return;
        }
        let scopes =
            |held: &Held| held.reached.iter().map(|reached| reached.scope.clone()).collect::<Vec<_>>();
        let is_fresh = |(at, before): &(Instant, Held)| {
            at.elapsed() < LOOK_AT_WAITING && scopes(before) == scopes(&held)
        };
        if self.informed.as_ref().is_some_and(is_fresh) {
            return;
        }
        let Some(OperatorReply::Rows(pending, _)) = self.view.ask(OperatorRequest::Look) else { return };
        let day = self.keeper.report(SystemClock.now()).map_or(String::new(), |report| report.day);
        // The next round continues with the threads that are left.
        let is_done = self.notices.inform(&held, &day, &pending);
        self.informed = is_done.then(|| (Instant::now(), held));
    }
}

/// Reads the model calls of a turn. Without a `gateway` there is no turn.
fn probe(gateway: Option<Arc<HttpGateway>>, status: Arc<GatewayStatus>) -> CallsProbe {
    Box::new(move |life| {
        let Some(gateway) = &gateway else { return Ok(None) };
        marked(life, |mark| status.model_calls(gateway, &life.session, &life.agent, mark))
    })
}
