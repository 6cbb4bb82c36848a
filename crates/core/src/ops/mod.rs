//! Answers operators' questions: why is there no answer, what was given up, what is held up. The functions
//! are pure: all facts are arguments, and the results are sentences and figures.
//!
//! [`why`] answers for one notification, and [`many`] for all of a task or of an agent. [`ServiceCondition`] holds
//! what blocks every delivery. [`agents`] counts per agent, and [`Paused`] is what operators have paused.
//! [`HealthReason`] explains each word in `/health`.

mod after_end;
mod agent_problems;
pub mod agents;
mod cost;
mod deliveries;
pub mod evidence;
pub mod finding;
pub mod id_prefix;
mod missing_agents;
pub mod pause;
pub mod quiet_mode;
pub mod reasons;
pub mod service_condition;
pub mod stops;
mod turn_state;
pub mod unreadable;
pub mod why;

pub use agent_problems::{AgentProblem, agent_problems};
pub use deliveries::many;
pub use finding::{Brief, Finding};
pub use missing_agents::{MissingAgents, MissingAgentsReport};
pub use pause::Paused;
pub use reasons::HealthReason;
pub use service_condition::ServiceCondition;
pub use stops::StoppedByBrake;
pub use turn_state::TurnState;
pub use why::{Case, TurnStatus, brief, one};
