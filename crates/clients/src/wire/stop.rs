//! A switch that ends all outgoing calls at once: those in flight, and those that wait for a retry.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Agent;

/// The switch. Clones are the same switch. It goes from open to closed only.
///
/// A name lookup or a TCP connect in progress is not interrupted. It ends by its own limit
/// (`Phases::connect`).
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

    /// Ends all waits and all calls of the registered agents. They can make no new calls.
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

    /// Waits for this long, or until the switch is closed. Returns whether it is closed.
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

    /// Lets the switch end this agent's calls while the registration lives.
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

/// An agent's registration at a [`Stop`]. Dropping it unregisters the agent.
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
        assert!(stop.wait(Duration::from_mins(1)), "a closed switch lets no thread wait");
    }

    #[test]
    fn dropping_a_registration_removes_the_agent_and_a_closed_switch_registers_none() {
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
