//! The embedded Mission Control behaves as the hosted one: the tables of backend-contract.md as rows.

mod board;
