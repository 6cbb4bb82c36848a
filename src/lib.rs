//! # Mission Control Runtime
//!
//! The runtime stands between Mission Control (a board of tasks and threads on a Convex backend) and an
//! OpenClaw gateway (where the agents live). It takes what people and agents write, hands it to the right
//! agent session, runs the tools the agent calls, and writes the answer back.
//!
//! ## The floors
//!
//! Imports point downwards only; `tests/suite/tidiness.rs` reads them and enforces it.
//!
//! | floor | rooms | may touch |
//! |---|---|---|
//! | 0 words | [`model`], [`clock`], [`secret`], [`redact`] | the standard library, serde |
//! | 1 decisions | [`config`], [`http::message`], [`http::routes`], [`http::health`] | floor 0; pure: no sockets, files, threads, logging or clock reads |
//! | 2 edges | [`wire`], [`convex`], [`mission`], [`http::server`], [`local`], [`telemetry`] | floors 0–1; not each other, except `mission` → `convex` → `wire` |
//! | 3 workers | none yet | floors 0–2 |
//! | 4 wiring | [`app`], [`cli`], `main` | everything; nobody imports it |
//!
//! ## The words
//!
//! **Mission Control**: the backend; [`local`] is one for this machine. **Account**: what one process serves. **Call**: one function of the
//! backend, asked once ([`convex::Call`]). **Class**: what a failed call means for the caller
//! ([`convex::Class`]). **Secret**: a value that cannot be printed ([`secret::Secret`]).

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod convex;
pub mod gateway;
pub mod http;
pub mod local;
pub mod mission;
pub mod model;
pub mod redact;
pub mod secret;
pub mod telemetry;
pub mod wire;
