//! Wakes agents when no message does.
//!
//! Some events concern an agent without a message to it: a command that it started has finished, or a
//! scheduled job reports something. Such an **event** waits until the agent's next heartbeat shows it. Some
//! events also **wake** the agent, so that the heartbeat comes at once.
//!
//! [`session`] determines the queue of an event and the agent to wake (worker-pool part D). An event inside a
//! run of a schedule belongs to the agent's main session, not to the run. [`text`] classifies the text of an
//! event. [`wake`] holds the queues and their rules: who may wake whom, how many events wait, how often an
//! agent is woken. [`wake_body`] reads the requests of the endpoints. The service's `keeper` stores the
//! queues.

pub mod session;
pub mod text;
pub mod wake;
pub mod wake_body;
