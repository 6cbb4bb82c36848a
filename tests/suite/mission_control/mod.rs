//! The embedded Mission Control behaves as the hosted one: the tables of backend-contract.md as rows.

mod board;
mod documents;
mod finding;
mod runtime;
mod seeds;
mod tasks;
mod team;
mod updates;
mod workflow;
