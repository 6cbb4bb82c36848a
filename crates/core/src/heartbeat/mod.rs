//! Wakes agents when no message does: heartbeats, and events that concern an agent without a message to it.
//!
//! # Heartbeats
//!
//! A **beat** is a turn on schedule: the agent looks at its tasks and takes one step, or says that nothing needs it.
//! [`schedule`] decides when a beat is due. [`board`] chooses its tasks. [`gate`] decides whether it is sent to the model
//! or saved. [`prompt`] writes the question, with the [`checklist`] and the waiting events, and [`answer`] reads the
//! reply. [`follow_up`] decides which assignees the orchestrator asks without a turn. [`memory`] is what ended beats mean for
//! the next ones.
//!
//! # Events
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

pub mod answer;
pub mod board;
pub mod checklist;
pub mod follow_up;
pub mod gate;
pub mod memory;
pub mod prompt;
pub mod schedule;
pub mod session;
pub mod text;
pub mod wake;
pub mod wake_body;
