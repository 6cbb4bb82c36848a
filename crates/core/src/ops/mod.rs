//! What operators ask: why is there no answer, what gave up, what is held. Pure: everything that is known goes in, sentences
//! come out.
//!
//! [`why`] answers for one notification, and for all of a task or of an agent; [`ServiceCondition`] is what stands in everybody's
//! way; [`agents`] sums up who does what; [`Paused`] is what people have told to wait; [`HealthReason`] has a sentence for each word in `/health`.

pub mod agents;
mod cost;
pub mod finding;
pub mod pause;
pub mod reasons;
pub mod service_condition;
mod turn_state;
pub mod unreadable;
pub mod why;

pub use finding::{Brief, Finding};
pub use pause::Paused;
pub use reasons::HealthReason;
pub use service_condition::ServiceCondition;
pub use turn_state::TurnState;
pub use why::{Case, TurnStatus, brief, many, one};
