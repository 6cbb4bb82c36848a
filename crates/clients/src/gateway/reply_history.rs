//! Reads the history of a turn that was just answered.

use std::time::Duration;

use super::session_history::{self, HistoryUnavailable};
use super::{HttpGateway, Outbound};
use mcr_core::gateway::history::{Item, TurnMark};
use mcr_core::gateway::{Input, marker};

/// The history may have an answer a moment after the reply: how often to read it, after which pause.
const READINGS_MAX: u32 = 3;
const READING_PAUSE: Duration = Duration::from_millis(300);

/// Reads the history until `judge` finds something in it. `None` if it never does, or if no history is open.
pub(super) fn find<T>(
    gateway: &HttpGateway,
    outbound: &Outbound<'_>,
    run: Option<&str>,
    mut judge: impl FnMut(&TurnMark<'_>, &[Item]) -> Option<T>,
) -> Option<T> {
    let (marker, outputs) = match outbound.turn.input {
        Input::Message(text) => (marker::first(text).unwrap_or(text), &[][..]),
        Input::Outputs(outputs) => ("", outputs),
    };
    let mark = TurnMark { marker, outputs, run, ..TurnMark::default() };
    for reading in 1..=READINGS_MAX {
        match session_history::read(gateway, &outbound.session, &mark) {
            Ok(shown) => {
                if let Some(found) = judge(&mark, &shown.items) {
                    return Some(found);
                }
            }
            Err(HistoryUnavailable::Refused) => return None,
            Err(HistoryUnavailable::Away(_) | HistoryUnavailable::Temporary) => {}
        }
        if reading < READINGS_MAX && gateway.stop.wait(READING_PAUSE) {
            break;
        }
    }
    None
}
