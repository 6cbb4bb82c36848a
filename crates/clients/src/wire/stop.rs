//! One switch that ends all outgoing calls at once: those that wait for their next try, and those in flight.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

/// The switch. Clones are the same switch; it only ever goes from open to closed.
///
/// A name lookup or a TCP connect under way is not interrupted: it ends by its own limit (`Phases::connect`).
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<StopState>,
    closed: Condvar,
}

#[derive(Default)]
struct StopState {
    closed: bool,
    next: u64,
    agents: Vec<(u64, Agent)>,
}

impl Stop {
    /// An open switch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends all waits and all calls of the registered agents; they make no new ones.
    pub fn close(&self) {
        let agents = {
            let mut state = self.0.lock();
            state.closed = true;
            std::mem::take(&mut state.agents)
        };
        self.0.closed.notify_all();
        for (_, agent) in agents {
            agent.shutdown();
        }
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }

    /// Waits this long, or until the switch is closed; says whether it is.
    pub fn wait(&self, span: Duration) -> bool {
        let begun = Instant::now();
        let mut state = self.0.lock();
        while !state.closed {
            let left = span.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            state = self.0.closed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Lets the switch end this agent's calls, for as long as the registration lives.
    pub fn register(&self, agent: &Agent) -> Registration {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        if state.closed {
            drop(state);
            agent.clone().shutdown();
        } else {
            state.agents.push((number, agent.clone()));
        }
        Registration { number, stop: self.clone() }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, StopState> {
        // No code below panics while it holds the lock, and a list of agents cannot be half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_closed() { "Stop(closed)" } else { "Stop(open)" })
    }
}

/// An agent's entry at a [`Stop`]; dropping it takes the agent off the list.
#[derive(Debug)]
pub struct Registration {
    number: u64,
    stop: Stop,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut state = self.stop.0.lock();
        let gone = state.agents.iter().position(|(number, _)| *number == self.number);
        let agent = gone.map(|at| state.agents.swap_remove(at));
        drop(state);
        // The last handle closes sockets: not under the lock.
        drop(agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_ends_a_wait_at_once() {
        let stop = Stop::new();
        assert!(!stop.wait(Duration::from_millis(1)));
        let other = stop.clone();
        let waiter = std::thread::spawn(move || other.wait(Duration::from_mins(1)));
        stop.close();
        assert!(waiter.join().unwrap());
        assert!(stop.wait(Duration::from_mins(1)), "a closed switch lets nobody wait");
    }

    #[test]
    fn an_agent_leaves_with_its_registration_and_none_comes_after_the_close() {
        let stop = Stop::new();
        let agent = Agent::new_with_defaults();
        let registration = stop.register(&agent);
        assert_eq!(stop.0.lock().agents.len(), 1);
        drop(registration);
        assert_eq!(stop.0.lock().agents.len(), 0);
        stop.close();
        let late = stop.register(&agent);
        assert_eq!(stop.0.lock().agents.len(), 0);
        drop(late);
    }
}
