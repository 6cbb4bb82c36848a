//! Access to the running delivery for other parts of the program: its state, its turns, and requests to its dispatcher.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::inflight::{InFlight, Seen};
use mcr_core::delivery::operator_requests::{OperatorReply, OperatorRequest, ReplyTo};
use mcr_core::delivery::scheduler::{Event, SchedulerState};
use mcr_core::wake_query::WakeSignal;
use mcr_core::work::Work;
use mcr_model::clock::{Clock as _, SystemClock};

/// The limit for the dispatcher's answer to an operator; it normally takes microseconds.
const ANSWER: Duration = Duration::from_secs(5);

/// Access to the delivery for other parts of the program. Cheap to clone.
#[derive(Clone)]
pub struct View {
    pub(super) nudges: Sender<()>,
    pub(super) writes: Sender<()>,
    pub(super) inbox: Sender<Event>,
    pub(super) asks: Sender<(OperatorRequest, ReplyTo)>,
    pub(super) inflight: InFlight,
    pub(super) state: Arc<Mutex<SchedulerState>>,
}

impl View {
    /// Offers work to the dispatcher. Returns whether the dispatcher still runs.
    pub fn offer(&self, work: Arc<Work>) -> bool {
        self.inbox.send(Event::Offered(work)).is_ok()
    }

    /// Reports that there may be new notifications.
    pub fn nudge(&self) {
        // In a full channel, a nudge waits already.
        let _ = self.nudges.try_send(());
    }

    /// Reports that this runtime has written something that may have made new notifications.
    pub fn written(&self) {
        // As above.
        let _ = self.writes.try_send(());
    }

    /// Passes on a signal of the wake query.
    pub fn signal(&self, signal: WakeSignal) {
        // The send fails only if the dispatcher has ended, and then no list follows.
        let _ = self.inbox.send(Event::WakeQuery(signal));
    }

    /// Sends a request to the dispatcher; none if the answer does not arrive in time.
    pub fn ask(&self, ask: OperatorRequest) -> Option<OperatorReply> {
        let until = Instant::now() + ANSWER;
        let (reply, replied) = bounded(1);
        // The send fails only if the caller has stopped waiting.
        let reply_to = ReplyTo::new(move |answer| drop(reply.send(answer)));
        self.asks.send_deadline((ask, reply_to), until).ok()?;
        replied.recv_deadline(until).ok()
    }

    /// The running turns.
    pub fn turns(&self) -> Vec<Seen> {
        self.inflight.seen(SystemClock.now())
    }

    /// The table of running turns and deliveries.
    pub fn inflight(&self) -> &InFlight {
        &self.inflight
    }

    /// The state of the scheduler.
    pub fn state(&self) -> SchedulerState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
