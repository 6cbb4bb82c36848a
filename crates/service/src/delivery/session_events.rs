//! Follows the sessions of silent turns over the gateway's WebSocket. Each event there is a sign of life (openclaw-gateway
//! §11.7, §12.4).
//!
//! The history of a session grows only when an item is complete. Events also come while the model writes and while a tool
//! works, and cost no requests. Only turns that were silent for a while are followed, so that quick turns cost nothing.
//! There is one connection for all of them, and none while no turn is silent. Events are an addition: whatever happens to
//! the connection, the stall monitor reads a quiet session as before.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError, select};
use log::{debug, info};

use super::inflight::{InFlight, TurnActivity};
use super::stall_monitor::StallLimits;
use mcr_clients::gateway::{EventsFailure, HttpGateway, SessionEvents};
use mcr_core::ops::TurnState;
use mcr_http::panics::Panics;

/// The time between two comparisons of the followed sessions with the running turns.
const STEP: Duration = Duration::from_secs(1);

/// A refusal is repeated after this many intervals of reading, a broken connection after one.
const REFUSED_PAUSE: u32 = 20;

/// Follows sessions whenever a `silent_turn` is signalled, until the deliveries have `ended`.
pub(super) fn follow_silent_turns(
    gateway: &HttpGateway,
    table: &InFlight,
    limits: StallLimits,
    silent_turn: &Receiver<()>,
    ended: &Receiver<()>,
    panics: &Panics,
) {
    let mut told = None;
    loop {
        select! {
            recv(silent_turn) -> signal => if signal.is_err() { return },
            recv(ended) -> _ => return,
        }
        let result = panics.catch("session-events", || follow(gateway, table, limits, ended));
        let pause = match result {
            Some(Ok(())) => continue,
            Some(Err(EventsFailure::Refused(reason))) => {
                if told.as_ref() != Some(&reason) {
                    info!(reason = reason.as_str(); "Sessions cannot be followed, so quiet turns are only read");
                }
                told = Some(reason);
                limits.look * REFUSED_PAUSE
            }
            Some(Err(EventsFailure::Broken(reason))) => {
                debug!(reason = reason.as_str(); "The connection that follows sessions broke");
                limits.look
            }
            None => limits.look,
        };
        select! { recv(ended) -> _ => return, default(pause) => {} }
    }
}

/// The sessions on one connection, by the numbers of their turns. One that the gateway refused has no name.
struct Followed<'a> {
    events: SessionEvents<'a>,
    names: HashMap<u64, Option<String>>,
    refused: String,
}

/// Follows silent turns on one connection until none is left.
fn follow(
    gateway: &HttpGateway,
    table: &InFlight,
    limits: StallLimits,
    ended: &Receiver<()>,
) -> Result<(), EventsFailure> {
    let events = gateway.session_events()?;
    debug!("Sessions of silent turns are followed");
    let mut followed = Followed { events, names: HashMap::new(), refused: String::new() };
    loop {
        let turns = table.turns();
        followed.leave_ended(&turns)?;
        followed.add_silent(&turns, limits.silent)?;
        if followed.names.values().all(Option::is_none) || ended.try_recv() == Err(TryRecvError::Disconnected)
        {
            followed.events.end();
            return if followed.names.is_empty() {
                Ok(())
            } else {
                Err(EventsFailure::Refused(followed.refused))
            };
        }
        let until = Instant::now() + STEP;
        while let Some(sign) = followed.events.next(until)? {
            for (number, life) in &turns {
                let name = followed.names.get(number).and_then(Option::as_deref);
                if name.is_some_and(|name| sign.is_of(name, life.run.as_deref())) {
                    life.pulse.beat();
                    table.is(*number, TurnState::Working);
                }
            }
        }
    }
}

impl Followed<'_> {
    fn leave_ended(&mut self, turns: &[(u64, TurnActivity)]) -> Result<(), EventsFailure> {
        let is_over = |number: &u64| turns.iter().all(|(running, _)| running != number);
        let over: Vec<u64> = self.names.keys().copied().filter(is_over).collect();
        for number in over {
            let Some(name) = self.names.remove(&number).flatten() else { continue };
            // The next turn of the session may be followed already.
            if self.names.values().flatten().all(|other| *other != name) {
                self.events.leave(&name)?;
            }
        }
        Ok(())
    }

    fn add_silent(&mut self, turns: &[(u64, TurnActivity)], silent: Duration) -> Result<(), EventsFailure> {
        for (number, life) in turns {
            if self.names.contains_key(number) || life.pulse.quiet() < silent {
                continue;
            }
            let name = match self.events.follow(&life.session, &life.agent) {
                Ok(name) => Some(name),
                Err(EventsFailure::Refused(reason)) => {
                    self.refused = reason;
                    None
                }
                Err(broken) => return Err(broken),
            };
            self.names.insert(*number, name);
        }
        Ok(())
    }
}
