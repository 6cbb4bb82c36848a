//! # Mission Control Runtime
//!
//! The runtime stands between Mission Control (a board of tasks and threads on a Convex backend) and an
//! OpenClaw gateway (where the agents live). It takes what people and agents write, hands it to the right
//! agent session, runs the tools the agent calls, and writes the answer back.
//!
//! ## The layers
//!
//! Each layer is a crate, and its manifest lists the layers below that it may use, so that the compiler keeps them. This
//! crate is the wiring: one file for each command, the command line and the log.
//!
//! | crate | contents | may use |
//! |---|---|---|
//! | [`mcr_model`] | the words of the domain, ids, limits, time, chance, secrets and redaction | the standard library, serde |
//! | [`mcr_files`] | private files that are written whole or not at all | the standard library, nix |
//! | [`mcr_config`] | the table of variables and what is read from it | model |
//! | [`mcr_core`] | every decision, without clocks, dice, files, sockets and threads | model |
//! | [`mcr_http`] | the server, its messages, WebSocket frames, the frame of a page | model |
//! | [`mcr_clients`] | outgoing connections: the backend and the gateway | model, files, core, http |
//! | [`mcr_store`] | what must outlive the process: the ledger and the sessions | model, files, core |
//! | [`mcr_mission_control`] | a Mission Control for one machine | model, files, http |
//! | [`mcr_gateway_sim`] | a scripted gateway with a team of agents | model, core, http |
//! | [`mcr_service`] | the threads: deliveries, tools, the API for agents, metrics | all but the two stand-ins |
//!
//! The modules of this crate that have the names of older ones are a facade for the tests.
//!
//! ## The threads of `run`
//!
//! ```text
//!  signals ─► main                                   ┌─ jobs ─► worker-1 … worker-N ─┐  N = DELIVERY_MAX_CONCURRENT_SESSIONS
//!  poller ──Listed──┐                                │          (backend, gateway)   │
//!  prober ──Probed──┼─► inbox ─► dispatcher ─────────┘                               │
//!  http ────nudge───┘    (owns all rows; no IO) ◄─────────── Finished, nudge ────────┘
//!  roster   reporter   stall monitor         http acceptor, one thread for each connection
//! ```
//!
//! ## The words
//!
//! **Mission Control**: the backend; [`local`] is one for this machine. **Account**: what one process serves.
//! **Call**: one function of the backend, asked once ([`convex::Call`]). **Class**: what a failed call or turn
//! means for the caller ([`convex::Class`], [`gateway::Class`]). **Secret**: a value that cannot be printed
//! ([`secret::Secret`]). **Work**: a unit that the dispatcher schedules ([`work::Work`]). **Row**: a notification
//! that is not settled. **Track**: the strict order of one agent and one task, or none ([`work::Track`]).
//! **Turn**: one request to the gateway and its reply ([`gateway::Turn`]). **Delivery**: all turns and effects for
//! one unit of work; its **record** is what has been done ([`delivery::Record`]), its **end** how it came out
//! ([`delivery::End`]). **Finding**: why, in three sentences ([`ops::Finding`]). **Ledger**: the records of all
//! deliveries, on the disk ([`ledger::Ledger`]). **Dialect**: what a gateway release understands
//! ([`gateway::dialect`]). **Roster**: all agents at one moment ([`model::Roster`]). **Duplicate runtime**: another
//! runtime on the same account ([`delivery::ForeignRuntime`]).

pub mod app;
pub mod cli;
pub mod telemetry;

pub use mcr_clients::{convex, mission, wire};
pub use mcr_config as config;
pub use mcr_core::{ops, spans, work};
pub use mcr_files as files;
#[cfg(feature = "demo")]
pub use mcr_gateway_sim as demo;
pub use mcr_http::panics;
#[cfg(feature = "mission-control")]
pub use mcr_mission_control as local;
pub use mcr_model as model;
pub use mcr_model::{json, memory, random, redact, secret, visible};
pub use mcr_service::{metrics, roster};
pub use mcr_store::{ledger, sessions};

/// The time, and clocks of the running process.
pub mod clock {
    pub use mcr_model::clock::*;
    pub use mcr_service::clock::*;
}

/// Deliveries: what is decided, and what is done.
pub mod delivery {
    pub use mcr_core::delivery::*;
    pub use mcr_service::delivery::*;
}

/// The gateway: what it speaks, and the client.
pub mod gateway {
    pub use mcr_clients::gateway as client;
    pub use mcr_core::gateway::*;
}

/// Heartbeats: what is decided, and what is kept.
pub mod heartbeat {
    pub use mcr_core::heartbeat::*;
    pub use mcr_service::heartbeat::*;
}

/// The server, and what it answers.
pub mod http {
    pub use mcr_http::*;
    pub use mcr_service::http::*;
}

/// Tools: what agents may call, and what happens then.
pub mod tools {
    pub use mcr_core::tools::*;
    pub use mcr_service::tools::*;
}
