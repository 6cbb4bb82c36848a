//! # Mission Control Runtime
//!
//! The runtime stands between Mission Control (a board of tasks and threads on a Convex backend) and an
//! OpenClaw gateway (where the agents live). It takes what people and agents write, hands it to the right
//! agent session, runs the tools the agent calls, and writes the answer back.
//!
//! A newcomer reads [`delivery`] first, then [`delivery::dispatcher`], then [`delivery::deliver`], and has seen the
//! house.
//!
//! ## The floors
//!
//! Imports point downwards only; `tests/suite/tidiness.rs` reads them and enforces it.
//!
//! | floor | rooms | may touch |
//! |---|---|---|
//! | 0 words | [`model`], [`clock`], [`chance`], [`secret`], [`redact`], [`visible`], [`memory`], [`json`], [`panics`], `base64` | the standard library, serde |
//! | 1 decisions | [`config`], [`gateway`], [`tools`], [`delivery`], [`heartbeat`], [`ops`], [`metrics`], [`http::message`], [`http::hosts`], [`http::operator`], [`http::page`], [`http::routes`], [`http::health`], [`http::metrics`], [`http::websocket`] | floor 0; pure: no sockets, files, threads, logging or clock reads |
//! | 2 edges | [`wire`], [`convex`], [`mission`], [`gateway::client`], [`http::server`], [`local`], [`demo`], [`ledger`], [`sessions`], [`telemetry`] | floors 0–1; not each other, except `mission` → `convex` → `wire` and `gateway::client` → `wire` |
//! | 3 workers | [`delivery::service`], [`delivery::scout`], [`delivery::watch`], [`delivery::worker`], [`delivery::deliver`], [`tools::run`], [`http::agent_api`], [`roster`] | floors 0–2 |
//! | 4 wiring | [`app`], [`cli`], `main` | everything; nobody imports it |
//!
//! ## The threads of `run`
//!
//! ```text
//!  signals ─► main                                   ┌─ jobs ─► worker-1 … worker-N ─┐  N = DELIVERY_MAX_CONCURRENT_SESSIONS
//!  scout ───Listed──┐                                │          (backend, gateway)   │
//!  prober ──Probed──┼─► inbox ─► dispatcher ─────────┘                               │
//!  http ────nudge───┘    (owns all rows; no IO) ◄─────────── Finished, nudge ────────┘
//!  roster   reporter   watch (quiet turns)   http acceptor, one thread for each connection
//! ```
//!
//! ## The words
//!
//! **Mission Control**: the backend; [`local`] is one for this machine. **Account**: what one process serves.
//! **Call**: one function of the backend, asked once ([`convex::Call`]). **Class**: what a failed call or turn
//! means for the caller ([`convex::Class`], [`gateway::Class`]). **Secret**: a value that cannot be printed
//! ([`secret::Secret`]). **Row**: a notification that is not settled. **Track**: the strict order of one agent and
//! one task, or none ([`delivery::Track`]). **Turn**: one request to the gateway and its reply ([`gateway::Turn`]).
//! **Delivery**: all turns and effects for one row; its **record** is what has been done ([`delivery::Record`]),
//! its **end** how it came out ([`delivery::End`]). **Finding**: why, in three sentences ([`ops::Finding`]). **Ledger**: the records of all deliveries, on the disk
//! ([`ledger::Ledger`]). **Dialect**: what a gateway release understands ([`gateway::dialect`]). **Roster**: all
//! agents at one moment ([`model::Roster`]). **Rival**: another runtime on the same account ([`delivery::Foreign`]).

pub mod app;
mod base64;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod convex;
pub mod delivery;
pub mod demo;
pub mod files;
pub mod gateway;
pub mod heartbeat;
pub mod http;
pub mod json;
pub mod ledger;
pub mod local;
pub mod memory;
pub mod metrics;
pub mod mission;
pub mod model;
pub mod ops;
pub mod panics;
pub mod redact;
pub mod roster;
pub mod secret;
pub mod sessions;
pub mod telemetry;
pub mod tools;
pub mod visible;
pub mod wire;
