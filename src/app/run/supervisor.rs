//! Informs systemd about this service.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use super::background;
use super::state::State;
use crate::app::service_client::ServiceEndpoint;
use mcr_clients::wire::Stop;
use mcr_service::http::health::Health;
use mcr_service::systemd::{Notifier, Reports, Watchdog};

/// The time limit of the service's own answer.
const LIVEZ_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts the thread that informs systemd, if systemd started this process. The thread ends when `ended` disconnects.
pub(super) fn start(
    systemd: &Notifier,
    address: String,
    state: &Arc<State>,
    is_alive: impl Fn() -> bool + Send + 'static,
    ended: Receiver<()>,
) -> io::Result<()> {
    if !systemd.is_on() {
        return Ok(());
    }
    let watchdog = Watchdog::of(|name| std::env::var_os(name), std::process::id());
    let (systemd, state) = (systemd.clone(), state.clone());
    let own = ServiceEndpoint::at(address);
    background::spawn("supervisor", state.panics.clone(), Stop::new(), move || {
        let reports = Reports {
            is_ready: &|| own.ask("GET", "/livez", "", LIVEZ_TIMEOUT).is_ok_and(|(status, _)| status == 200),
            is_alive: &is_alive,
            status: &|| status_line(&state.health()),
        };
        reports.send(&systemd, watchdog, &ended);
    })
}

/// The status and its first reason, for a person.
fn status_line(health: &Health) -> String {
    let status = health.status.name();
    health
        .reasons
        .first()
        .map_or_else(|| status.to_owned(), |reason| format!("{status}: {}", reason.advice()))
}
