//! Checks whether the backend offers the wake query.

use std::ops::ControlFlow;

use super::{Check, CheckResult, PATIENCE};
use crate::app::command_env::BackendConnection;
use mcr_clients::convex::{WakeLimits, WakeSubscriber};
use mcr_clients::wire::Stop;
use mcr_config::Settings;
use mcr_core::wake_query::PATH;
use mcr_core::wake_query::pace::EndClass;
use mcr_model::AccountId;

/// The check; none if the settings turn the wake query off. Polling works without it, so nothing is wrong.
pub(super) fn check(settings: &Settings, connection: &BackendConnection) -> Option<Check> {
    if !settings.delivery.wake_query {
        return None;
    }
    let (account, token) = (AccountId::new(&settings.account.id), &settings.account.service_token);
    let limits = WakeLimits { connect: PATIENCE, silence: PATIENCE, ..WakeLimits::default() };
    let mut subscriber = WakeSubscriber::new(connection.endpoint.clone(), &account, token, limits);
    let end = subscriber.subscribe(&Stop::new(), &mut || ControlFlow::Break(()));
    let sentence = match end {
        Some(end) if end.class == EndClass::Missing => format!(
            "notifications are polled: {}; if you host the backend, you can add it (docs/delivery-rate-limiting.md)",
            end.reason
        ),
        Some(end) => {
            let sentence = format!("notifications are polled: {}", end.reason);
            return Some(Check::new("wake query", CheckResult::Note, vec![sentence]));
        }
        None => format!("{PATH} answers: notifications are listed when it changes"),
    };
    Some(Check::new("wake query", CheckResult::Good, vec![sentence]))
}
