//! What the runtime's server answers: its health, its metrics, the operator's API and the API for agents.

pub mod agent_api;
pub mod health;
pub mod metrics;
pub mod operator;
pub mod routes;
