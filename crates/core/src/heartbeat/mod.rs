//! The agents' own rhythm: what wakes an agent when nobody has written to it.
//!
//! Things happen in an agent's surroundings that it should hear of: a command that it has started is over, a job of
//! its schedule has something to say. They become **events**, which wait until the agent's next beat shows them; some of
//! them **wake** it, so that the beat comes at once.
//!
//! [`session`] says whose queue an event belongs to and whom to wake (worker-pool part D): what happens inside a run of a
//! schedule belongs to the agent's main session, never to the run. [`text`] reads what kind of event a text is.
//! [`wake`] holds the queues: who may wake whom, how many events wait, how often anybody is woken. [`wake_body`] reads what the
//! endpoints are told, and `keeper` brings the queues to the disk.

pub mod session;
pub mod text;
pub mod wake;
pub mod wake_body;
