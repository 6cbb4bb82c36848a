//! HTTP as we serve it: what a request and a reply are ([`message`]), which request is for whom ([`routes`]), what the
//! answers say ([`health`]), for which host names ([`hosts`]), who may ask and act ([`operator`]), what people see ([`page`]), what a connection speaks that leaves HTTP behind
//! ([`websocket`]), and the server that stands all of it before the world ([`server`]); and what agents call
//! ([`agent_api`]).

pub mod agent_api;
pub mod health;
pub mod hosts;
pub mod message;
pub mod metrics;
pub mod operator;
pub mod page;
pub mod routes;
pub mod server;
pub mod websocket;
