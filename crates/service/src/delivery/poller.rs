//! The poller, which lists notifications while the workers deliver, and the prober, which checks whether the gateway is
//! back. Each has its own thread, because the dispatcher never waits for a call.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use log::{info, warn};

use super::inflight::InFlight;
use super::task_stops::TaskStops;
use mcr_clients::convex::CallReason;
use mcr_clients::mission::{ListUndelivered, Mission};
use mcr_core::delivery::scheduler::Event;
use mcr_http::panics::Panics;
use mcr_model::random;

/// A request to the poller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) list: u64,
    pub(super) limit: u32,
}

/// Requests lists as ordered, until the channel of orders closes.
pub(super) fn poll(
    mission: &Mission,
    orders: &Receiver<Order>,
    inbox: &Sender<Event>,
    inflight: &InFlight,
    panics: &Panics,
) {
    let mut failing = false;
    let mut stops = TaskStops::default();
    let mut malformed = Vec::new();
    for Order { list, limit } in orders {
        let event = match panics.catch("poller", || mission.ask(&ListUndelivered { limit })) {
            Some(Ok(found)) => {
                if failing {
                    info!("Notifications can be listed again");
                }
                failing = false;
                if found.malformed != malformed {
                    found
                        .malformed
                        .iter()
                        .for_each(|why| warn!(reason = why; "Malformed notification skipped"));
                }
                let count = found.malformed.len();
                stops.listed(&found.rows, inflight);
                malformed = found.malformed;
                Event::Listed { list, limit, rows: found.rows, malformed: count, dice: random::unit() }
            }
            Some(Err(error)) => {
                // Of consecutive failures, only the first is logged.
                if !failing && error.why != CallReason::Stopped {
                    warn!(error:%; "Notifications cannot be listed");
                }
                failing = true;
                failed(error.to_string(), error.not_before)
            }
            // The panic itself is in the log.
            None => failed("the list panicked; please report this as a bug, with the log".to_owned(), None),
        };
        if inbox.send(event).is_err() {
            return;
        }
        // After the list, because workers wait for the list.
        panics.catch("poller", || stops.check(inflight, mission));
    }
}

fn failed(why: String, not_before: Option<Duration>) -> Event {
    Event::ListFailed { why, not_before, dice: random::unit() }
}

/// Probes the gateway as ordered, until the channel of orders closes.
pub(super) fn prober(
    probe: &dyn Fn() -> Option<String>,
    orders: &Receiver<()>,
    inbox: &Sender<Event>,
    panics: &Panics,
) {
    for () in orders {
        // Every order needs an answer; otherwise the dispatcher would never order another probe.
        let found = panics.catch("prober", probe).unwrap_or_else(|| {
            Some("The probe of the gateway panicked; please report this as a bug, with the log.".to_owned())
        });
        if inbox.send(Event::Probed(found)).is_err() {
            return;
        }
    }
}
