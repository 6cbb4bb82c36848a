//! The scout: lists what is to be delivered, while the workers work; and beside it the prober, who asks the gateway
//! whether it is back.

use crossbeam_channel::{Receiver, Sender};
use log::warn;

use super::dispatcher::Event;
use crate::chance;
use crate::convex::Why;
use crate::mission::{ListUndelivered, Mission};

/// One order to the scout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    pub(super) list: u64,
    pub(super) limit: u32,
}

/// Lists as ordered, until there are no more orders to come.
pub(super) fn scout(mission: &Mission, orders: &Receiver<Order>, inbox: &Sender<Event>) {
    let mut failing = false;
    for Order { list, limit } in orders {
        let event = match mission.ask(&ListUndelivered { limit }) {
            Ok(rows) => {
                failing = false;
                Event::Listed { list, limit, rows }
            }
            Err(error) => {
                // The first is news, the others are patience.
                if !failing && error.why != Why::Stopped {
                    warn!("nothing can be listed: {error}");
                }
                failing = true;
                Event::ListFailed {
                    why: error.to_string(),
                    not_before: error.not_before,
                    dice: chance::unit(),
                }
            }
        };
        if inbox.send(event).is_err() {
            return;
        }
    }
}

/// Asks the gateway as ordered, until there are no more orders to come.
pub(super) fn prober(probe: &dyn Fn() -> Option<String>, orders: &Receiver<()>, inbox: &Sender<Event>) {
    for () in orders {
        if inbox.send(Event::Probed(probe())).is_err() {
            return;
        }
    }
}
