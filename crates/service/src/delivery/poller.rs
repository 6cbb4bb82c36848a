//! The poller: lists what is to be delivered, while the workers work; and beside it the prober, who asks the gateway
//! whether it is back.

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

/// One order to the poller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) list: u64,
    pub(super) limit: u32,
}

/// Lists as ordered, until there are no more orders to come.
pub(super) fn poll(
    mission: &Mission,
    orders: &Receiver<Order>,
    inbox: &Sender<Event>,
    inflight: &InFlight,
    panics: &Panics,
) {
    let mut failing = false;
    let mut halt = TaskStops::default();
    let mut spoilt = Vec::new();
    for Order { list, limit } in orders {
        let event = match panics.catch("poller", || mission.ask(&ListUndelivered { limit })) {
            Some(Ok(found)) => {
                if failing {
                    info!("notifications are listed again");
                }
                failing = false;
                if found.spoilt != spoilt {
                    found
                        .spoilt
                        .iter()
                        .for_each(|why| warn!("a notification makes no sense and is left alone: {why}"));
                }
                let count = found.spoilt.len();
                halt.listed(&found.rows, inflight);
                spoilt = found.spoilt;
                Event::Listed { list, limit, rows: found.rows, spoilt: count, dice: random::unit() }
            }
            Some(Err(error)) => {
                // The first is news, the others are patience.
                if !failing && error.why != CallReason::Stopped {
                    warn!("nothing can be listed: {error}");
                }
                failing = true;
                failed(error.to_string(), error.not_before)
            }
            // The panic itself stands in the log.
            None => failed("the list panicked; please report this as a bug, with the log".to_owned(), None),
        };
        if inbox.send(event).is_err() {
            return;
        }
        // Behind the list, which the workers wait for.
        panics.catch("poller", || halt.look(inflight, mission));
    }
}

fn failed(why: String, not_before: Option<Duration>) -> Event {
    Event::ListFailed { why, not_before, dice: random::unit() }
}

/// Asks the gateway as ordered, until there are no more orders to come.
pub(super) fn prober(
    probe: &dyn Fn() -> Option<String>,
    orders: &Receiver<()>,
    inbox: &Sender<Event>,
    panics: &Panics,
) {
    for () in orders {
        // Without an answer the dispatcher would never ask again.
        let found = panics.catch("prober", probe).unwrap_or_else(|| {
            Some("The probe of the gateway panicked; please report this as a bug, with the log.".to_owned())
        });
        if inbox.send(Event::Probed(found)).is_err() {
            return;
        }
    }
}
