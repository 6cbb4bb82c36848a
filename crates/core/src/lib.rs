//! Every decision of the runtime, as pure functions and structs. Time and chance are arguments. Nothing here
//! reads a clock, opens a file or a socket, or starts a thread (`clippy.toml` forbids it).
//!
//! [`work`] is the unit that is scheduled. [`delivery`] schedules it and decides its outcome. [`tools`]
//! defines what agents may call. [`gateway`] reads and writes the gateway's messages. [`heartbeat`] decides
//! when to wake which agent. [`guardrails`] limits what agents cause and spend. [`workspace`] decides which files an
//! agent's workspace has. [`ops`] explains deliveries to operators. [`repeated_call`] is the pace of the
//! service's own calls. [`absence`] decides when an agent is gone. [`wake_query`] learns from
//! the backend when to list. [`upgrade`] carries out restarts and upgrades. [`telegram`] writes and reads the messages
//! of Telegram's Bot API. [`pool`] decides what a worker of a pool does; [`outbox`] keeps what follows an answer of it.
//! [`skills`] checks published skills, and [`snapshot`] has the form of the archives with an agent's state. [`bridge`]
//! describes the calls of an application.

pub mod absence;
pub mod bridge;
pub mod delivery;
pub mod digest;
pub mod gateway;
pub mod gateway_child;
pub mod gateway_config;
pub mod gateway_keys;
pub mod guardrails;
pub mod heartbeat;
pub mod ops;
pub mod outbox;
pub mod pool;
pub mod repeated_call;
pub mod skills;
pub mod snapshot;
pub mod spans;
mod split;
pub mod telegram;
pub mod tools;
pub mod unknown_fields;
pub mod unreadable;
pub mod upgrade;
pub mod wake_query;
pub mod work;
pub mod workspace;
