//! The sessions that a WebSocket client follows, and their events (openclaw-gateway §12.4).

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::observations::{Follower, Observations};
use super::sessions::{Session, SessionView};
use super::{Inner, Release};

/// The subscriptions of one client.
#[derive(Default)]
pub(super) struct Subscriptions {
    followed: HashMap<String, (Arc<Session>, SessionView)>,
    follower: Option<Follower>,
}

impl Subscriptions {
    /// Follows a session, which need not exist yet.
    pub(super) fn add(&mut self, inner: &Inner, name: &str) {
        let session = inner.sessions.of(name);
        let seen = session.view();
        self.followed.insert(name.to_owned(), (session, seen));
        if self.follower.is_none() {
            self.follower = Some(Observations::follow(&inner.observations));
        }
    }

    /// Stops following a session.
    pub(super) fn remove(&mut self, name: &str) {
        self.followed.remove(name);
    }

    /// The payloads of `session.message` for what was written since the last call.
    pub(super) fn news(&mut self, release: Release) -> Vec<Value> {
        let mut news = Vec::new();
        for (name, (session, seen)) in &mut self.followed {
            let now = session.view();
            if now.era == seen.era {
                let from = usize::try_from(seen.last().saturating_sub(now.dropped)).unwrap_or(usize::MAX);
                let fresh = now.entries.iter().skip(from).zip(now.dropped.max(seen.last()) + 1..);
                for (message, seq) in fresh.flat_map(|(entry, seq)| {
                    entry.shown(seq, release).into_iter().map(move |item| (item, seq))
                }) {
                    let mut payload = json!({"sessionKey": name, "messageSeq": seq});
                    payload["messageId"] = message["__openclaw"]["id"].clone();
                    if let Some(run) = message["__openclaw"].get("runId") {
                        payload["runId"] = run.clone();
                    }
                    payload["message"] = message;
                    news.push(payload);
                }
            }
            *seen = now;
        }
        news
    }
}
