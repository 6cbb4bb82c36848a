//! The endpoints of the runtime's server: health, metrics, the operator API and the agents' API.

pub mod agent_api;
pub mod health;
pub mod metrics;
pub mod operator;
pub mod routes;
