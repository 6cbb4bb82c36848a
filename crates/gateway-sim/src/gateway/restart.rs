//! A restarted gateway resumes interrupted turns (openclaw-gateway §11.5).
//!
//! It resumes one session after another, by name, without the client's tools and instructions, and sends no response. A
//! new request in such a session before its turn replaces the recovery.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::ids::uuid;
use super::observations::Seen;
use super::run::Turn;
use super::scripted_model::{InputItem, Prompt};
use super::sessions::{Session, SessionSlot};
use super::transcript::{Entry, Item};
use super::turn::NoWatcher;
use super::{Inner, POLL_INTERVAL};

/// The text that starts a resumed turn.
const SYSTEM: &str = "[System] Your previous turn was interrupted by a gateway restart while OpenClaw was waiting on \
    tool/model work. Continue from the existing transcript and finish the interrupted response.";

/// Resumes all interrupted turns until this gateway ends.
pub(super) fn resume_all(inner: &Arc<Inner>) {
    let start = Instant::now() + inner.options.resume_after;
    while Instant::now() < start && inner.is_running() {
        thread::sleep(POLL_INTERVAL.min(start.saturating_duration_since(Instant::now())));
    }
    for session in inner.sessions.all() {
        if !inner.is_running() {
            return;
        }
        if let Some(session_slot) = session.resume() {
            resume(inner, &session, session_slot);
        }
    }
}

fn resume(inner: &Inner, session: &Session, session_slot: SessionSlot<'_>) {
    let before = session_slot.remembered();
    let last = before.last().and_then(|entry| user(&entry.item));
    let last_user_text =
        before.iter().rev().find_map(|entry| user(&entry.item)).unwrap_or_default().to_owned();
    let text = last.map_or_else(|| SYSTEM.to_owned(), |last| format!("{last}\n\n{SYSTEM}"));
    let agent = session.name.split(':').nth(1).unwrap_or_default().to_owned();
    let id = inner.ids.next();
    let run = uuid(id);
    // The interrupted request counts once more under its marker.
    let visit = inner.observations.resume(Seen {
        run: run.clone(),
        agent: agent.clone(),
        session: session.name.clone(),
        text: last_user_text,
        ..Seen::default()
    });
    let prompt = Prompt {
        agent: agent.clone(),
        session: session.name.clone(),
        run: run.clone(),
        instructions: String::new(),
        tools: Vec::new(),
        said: vec![InputItem::User(text.clone())],
        text,
        abandoned: None,
        nudged: false,
        waits: false,
        transcript: Arc::default(),
    };
    session_slot.write(Entry { id, at: inner.options.clock.now(), item: Item::User(SYSTEM.to_owned()) });
    let turn = Turn {
        inner,
        agent: &agent,
        run: &run,
        fault: None,
        visit: &visit,
        session_slot,
        usage: Cell::default(),
    };
    turn.play(prompt, &mut NoWatcher);
}

fn user(item: &Item) -> Option<&str> {
    match item {
        Item::User(text) => Some(text),
        Item::Assistant { .. } | Item::Notice(_) | Item::ToolResult { .. } => None,
    }
}
