//! The platform's sync protocol: clients subscribe to queries over a WebSocket (convex-http-api B).
//!
//! Each query runs at once, and again after each commit in a table that it has read. The client gets the results that are
//! new. `client` serves one connection on its own thread, and `queries` runs its queries. `slots` limits the connections.
//! Mutations and actions run over HTTP only.

mod client;
mod queries;
mod slots;

use std::sync::Arc;

use super::engine::Engine;
use client::SyncClient;
pub use client::SyncTimes;
use mcr_http::message::{Reply, Request};
use mcr_http::websocket::{accept_key, requested_key};
use mcr_model::clock::{Clock as _, SystemClock};
use slots::Slots;

/// Whether this is the path of the endpoint: `/api/sync`, or `/api/{version}/sync` for browsers.
pub(super) fn is_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/api/") else { return false };
    rest == "sync" || rest.strip_suffix("/sync").is_some_and(|version| !version.contains('/'))
}

/// The endpoint.
pub(super) struct SyncServer {
    slots: Slots,
    times: SyncTimes,
    /// The first timestamp: nanoseconds of the Unix time, as on the platform.
    began: u64,
}

impl SyncServer {
    pub(super) fn new(times: SyncTimes) -> Self {
        let began = u64::try_from(SystemClock.now().0).unwrap_or_default().saturating_mul(1_000_000);
        Self { slots: Slots::default(), times, began }
    }

    /// Answers a request for the endpoint.
    pub(super) fn answer(
        &self,
        engine: &Arc<Engine>,
        is_admin_key: impl Fn(&str) -> bool + Send + 'static,
        request: &Request,
    ) -> Reply {
        let Some(key) = requested_key(request) else {
            return Reply::error(400, "This endpoint takes WebSocket requests only").no_store();
        };
        let Some(slot) = self.slots.enter() else {
            return Reply::error(503, "Too many subscribers").with_header("Retry-After", "1").no_store();
        };
        let accept = accept_key(key);
        let (engine, times, began) = (engine.clone(), self.times, self.began);
        let reply = Reply::switched("websocket", move |connection| {
            SyncClient::new(&engine, &is_admin_key, connection, slot, times, began).run()
        });
        reply.with_header("Sec-WebSocket-Accept", &accept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_has_a_form_with_a_version() {
        for path in ["/api/sync", "/api/1.48.0/sync", "/api/rust-0.10/sync"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["/api/a/b/sync", "/api/query", "/sync", "/api//", "/api/synced", "/api/1.48.0/query"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
