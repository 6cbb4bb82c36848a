//! The thread that subscribes to the wake query, and the condition of the subscription for `/health`.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::Receiver;
use log::info;

use super::state::State;
use super::threads::ThreadSetup;
use mcr_clients::convex::{SubscriptionEnd, WakeLimits, WakeSubscriber};
use mcr_clients::wire::Stop;
use mcr_core::wake_query::condition_log::ConditionLog;
use mcr_core::wake_query::pace::{EndClass, ReconnectPace};
use mcr_core::wake_query::{WakeCondition, WakeQueryStatus, WakeSignal};
use mcr_model::AccountId;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::random;
use mcr_service::delivery::service::View;
use mcr_service::wakeup::Wakeup;

/// The condition of the subscription.
#[derive(Default)]
pub(super) struct WakeQueryState {
    status: Mutex<WakeQueryStatus>,
    /// Ends the pause before the next connection, for a stop.
    pub(super) wakeup: Wakeup,
}

impl WakeQueryState {
    /// The condition now.
    pub(super) fn now(&self) -> WakeQueryStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, condition: WakeCondition, reason: Option<String>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let since = status.since.filter(|_| status.condition == condition);
        let since = Some(since.unwrap_or_else(|| SystemClock.now()));
        *status = WakeQueryStatus { condition, since, reason };
    }
}

/// Subscribes again and again.
pub(super) struct WakeQuery {
    subscriber: WakeSubscriber,
    view: View,
    state: Arc<State>,
    pace: ReconnectPace,
    log: ConditionLog,
    /// Receives a message when the backend is back.
    returned: Receiver<()>,
    /// Whether the scheduler relies on the subscription.
    is_relied_on: bool,
}

impl WakeQuery {
    /// The subscriber of this account, unless the settings turn it off.
    pub(super) fn new(setup: &ThreadSetup<'_>, view: View) -> Option<Self> {
        let (settings, state) = (setup.settings, setup.state.clone());
        if !settings.delivery.wake_query {
            return None;
        }
        let (account, token) = (AccountId::new(&settings.account.id), &settings.account.service_token);
        let endpoint = setup.connections.once.endpoint.clone();
        let subscriber = WakeSubscriber::new(endpoint, &account, token, WakeLimits::default());
        state.wake_query.set(WakeCondition::Connecting, None);
        let returned = state.backend.on_return();
        let (pace, log) = (ReconnectPace::default(), ConditionLog::default());
        Some(Self { returned, subscriber, view, state, pace, log, is_relied_on: false })
    }

    /// Subscribes until the switch is closed.
    pub(super) fn run(&mut self, stop: &Stop) {
        while !stop.is_closed() {
            let (view, state, is_relied_on) = (&self.view, &self.state, &mut self.is_relied_on);
            let log = &mut self.log;
            let ended = self.subscriber.subscribe(stop, &mut || {
                note_value(state, log);
                *is_relied_on = true;
                view.signal(WakeSignal::Changed);
                ControlFlow::Continue(())
            });
            self.state.metrics.wake_query.record_end();
            let Some(end) = ended else { return };
            if std::mem::take(&mut self.is_relied_on) {
                self.view.signal(WakeSignal::Lost);
            }
            self.note_end(&end);
            let pause = self.pace.pause(end.class, end.lasted.unwrap_or_default(), random::unit());
            self.state.wake_query.wakeup.wait_or(&self.returned, pause);
        }
    }

    /// Notes the end of a subscription.
    fn note_end(&mut self, end: &SubscriptionEnd) {
        let condition = end.condition();
        self.state.wake_query.set(condition, Some(end.reason.clone()));
        let Some(changes) = self.log.take(condition, SystemClock.now()) else { return };
        let reason = end.reason.as_str();
        match end.class {
            EndClass::Missing => {
                info!(changes, reason; "The backend offers no wake query; notifications are polled");
            }
            EndClass::Broken | EndClass::Overloaded(_) | EndClass::Refused => {
                info!(changes, reason; "The wake query does not work; notifications are polled");
            }
        }
    }
}

fn note_value(state: &State, log: &mut ConditionLog) {
    state.wake_query.set(WakeCondition::Subscribed, None);
    state.metrics.wake_query.record_value();
    if let Some(changes) = log.take(WakeCondition::Subscribed, SystemClock.now()) {
        info!(changes; "The wake query works; notifications are listed when it changes");
    }
}
