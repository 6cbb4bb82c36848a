//! # Mission Control Runtime
//!
//! The runtime connects a Mission Control with an OpenClaw gateway. Mission Control is a board of tasks and
//! threads on a Convex backend; the gateway runs the agents. The runtime takes what people and agents write,
//! and sends it to the right agent session. It runs the tools that the agent calls, and posts the answer.
//!
//! ## The layers
//!
//! Each layer is a crate. Its manifest lists the lower layers that it may use, so that the compiler enforces
//! them. This crate is the wiring: one file per command, the command line and the log.
//!
//! | crate | contents | may use |
//! |---|---|---|
//! | [`mcr_model`] | domain types, ids, limits, time, randomness, secrets and redaction | the standard library, serde |
//! | [`mcr_files`] | private files, written atomically | the standard library, nix |
//! | [`mcr_config`] | the table of variables and the settings read from it | model |
//! | [`mcr_core`] | every decision, without clocks, randomness, files, sockets and threads | model |
//! | [`mcr_http`] | the server, its messages, WebSocket frames, page layout | model |
//! | [`mcr_clients`] | outgoing connections: the backend and the gateway | model, files, core, http |
//! | [`mcr_store`] | what must survive the process: the ledger and the sessions | model, files, core |
//! | [`mcr_mission_control`] | a Mission Control for one machine | model, files, core, http |
//! | [`mcr_gateway_sim`] | a scripted gateway with a team of agents | model, core, http |
//! | [`mcr_provision`] | machines at a provider | model, clients |
//! | [`mcr_service`] | the threads: deliveries, tools, the API for agents, metrics | all but the two stand-ins |
//!
//! Some modules of this crate only re-export others, as a facade for the tests.
//!
//! ## The threads of `run`
//!
//! ```text
//!  signals ─► main                                   ┌─ jobs ─► worker-1 … worker-N ─┐  N = DELIVERY_MAX_CONCURRENT_SESSIONS
//!  poller ──Listed──┐                                │          (backend, gateway)   │
//!  prober ──Probed──┼─► inbox ─► dispatcher ─────────┘                               │
//!  http ────nudge───┤    (owns all rows; no IO) ◄─────────── Finished, nudge ────────┘
//!  wake query ──────┘
//!  roster   reporter   stall monitor   session events   http acceptor, one thread for each connection
//! ```
//!
//! ## Vocabulary
//!
//! **Mission Control**: the backend; [`local`] is one for this machine. **Account**: what one process serves.
//! **Call**: one call of a backend function ([`convex::Call`]). **Class**: what a failed call or turn means
//! for the caller ([`convex::CallClass`], [`gateway::Class`]). **Secret**: a value that cannot be printed
//! ([`secret::Secret`]). **Work**: a unit that the dispatcher schedules ([`work::Work`]). **Row**: a
//! notification that is not settled. **Track**: the strict order of one agent and one task, or none
//! ([`work::Track`]). **Turn**: one request to the gateway and its reply ([`gateway::Turn`]). **Delivery**:
//! all turns and effects for one unit of work. Its **record** is what has been done ([`delivery::Record`]),
//! its **end** how it ended ([`delivery::End`]). **Finding**: an explanation in three sentences
//! ([`ops::Finding`]). **Ledger**: the records of all deliveries on disk ([`ledger::Ledger`]). **Dialect**:
//! what a gateway release understands ([`gateway::dialect`]). **Roster**: all agents at one moment
//! ([`model::Roster`]). **Duplicate runtime**: another runtime on the same account
//! ([`delivery::ForeignRuntime`]).

pub mod app;
pub mod cli;
pub mod telemetry;

pub use mcr_clients::{convex, mission, wire};
pub use mcr_config as config;
pub use mcr_core::{absence, gateway_config, guardrails, ops, repeated_call, spans, wake_query, work};
pub use mcr_files as files;
#[cfg(feature = "demo")]
pub use mcr_gateway_sim as demo;
pub use mcr_http::panics;
#[cfg(feature = "mission-control")]
pub use mcr_mission_control as local;
pub use mcr_model as model;
pub use mcr_model::{json, memory, random, redact, secret, visible};
#[cfg(feature = "provision")]
pub use mcr_provision as provision;
pub use mcr_service::{metrics, roster, systemd, wakeup};
pub use mcr_store::{ledger, sessions};

/// The bridge to a consumer's application: its settings and its client.
pub mod bridge {
    pub use mcr_clients::bridge::*;
    pub use mcr_core::bridge::*;
}

/// Time, and the clocks of the running process.
pub mod clock {
    pub use mcr_model::clock::*;
    pub use mcr_service::clock::*;
}

/// Deliveries: the decisions and the work.
pub mod delivery {
    pub use mcr_core::delivery::*;
    pub use mcr_service::delivery::*;
}

/// The gateway: its protocol and its client.
pub mod gateway {
    pub use mcr_clients::gateway as client;
    pub use mcr_core::gateway::*;
}

/// The gateway as a process of the runtime: the decisions and the supervisor.
pub mod gateway_child {
    pub use mcr_core::gateway_child::*;
    pub use mcr_service::gateway_child::*;
}

/// Keys that are stored in Mission Control: the decisions, and the env file for the gateway.
pub mod gateway_keys {
    pub use mcr_core::gateway_keys::*;
    pub use mcr_service::gateway_keys::*;
}

/// Heartbeats: the decisions and the state.
pub mod heartbeat {
    pub use mcr_core::heartbeat::*;
    pub use mcr_service::heartbeat::*;
}

/// The HTTP server and its endpoints.
pub mod http {
    pub use mcr_http::*;
    pub use mcr_service::http::*;
}

/// The worker of a pool: its client of the queue, its decisions and its work.
pub mod pool {
    pub use mcr_clients::pool::*;
    pub use mcr_core::pool::*;
    pub use mcr_service::pool::*;
}

/// Published skills: the checks, and the folder on this disk.
pub mod skills {
    pub use mcr_core::skills::*;
    pub use mcr_service::skills::*;
}

/// Snapshots of an agent's state: their form, and the work.
pub mod snapshots {
    pub use mcr_core::snapshot::*;
    pub use mcr_service::snapshots::*;
}

/// Telegram: its messages and its client.
pub mod telegram {
    pub use mcr_clients::telegram as client;
    pub use mcr_core::telegram::*;
}

/// Tools: what agents may call, and how calls are carried out.
pub mod tools {
    pub use mcr_core::tools::*;
    pub use mcr_service::tools::*;
}

/// Workspaces: the decisions and the files.
pub mod workspace {
    pub use mcr_core::workspace::*;
    pub use mcr_service::workspace::*;
}
