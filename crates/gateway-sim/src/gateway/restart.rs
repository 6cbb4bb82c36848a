//! A gateway that was killed and comes back (openclaw-gateway §11.5): what was under way is resumed, one session after
//! another in the order of their names, without the client's tools and instructions, and answered to nobody. Whoever
//! asks for something in such a session before its turn comes replaces the recovery.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::ids::uuid;
use super::observations::Seen;
use super::run::{Turn, Watch};
use super::scripted_model::{InputItem, Prompt};
use super::sessions::{Seat, Session};
use super::transcript::{Entry, Item};
use super::{Inner, LOOK};

/// What a resumed turn begins with.
const SYSTEM: &str = "[System] Your previous turn was interrupted by a gateway restart while OpenClaw was waiting on \
    tool/model work. Continue from the existing transcript and finish the interrupted response.";

/// Nobody follows a turn that is resumed.
struct Nobody;

impl Watch for Nobody {
    fn is_open(&mut self) -> bool {
        true
    }

    fn words(&mut self, _: &str) {}
}

/// Resumes what was cut off, until this gateway ends.
pub(super) fn resume_all(inner: &Arc<Inner>) {
    let begin = Instant::now() + inner.options.resume_after;
    while Instant::now() < begin && inner.goes_on() {
        thread::sleep(LOOK.min(begin.saturating_duration_since(Instant::now())));
    }
    for session in inner.sessions.all() {
        if !inner.goes_on() {
            return;
        }
        if let Some(seat) = session.resume() {
            resume(inner, &session, seat);
        }
    }
}

fn resume(inner: &Inner, session: &Session, seat: Seat<'_>) {
    let before = seat.remembered();
    let last = before.last().and_then(|entry| user(&entry.item));
    let said = before.iter().rev().find_map(|entry| user(&entry.item)).unwrap_or_default().to_owned();
    let text = last.map_or_else(|| SYSTEM.to_owned(), |last| format!("{last}\n\n{SYSTEM}"));
    let agent = session.name.split(':').nth(1).unwrap_or_default().to_owned();
    let id = inner.ids.next();
    let run = uuid(id);
    // What was cut off is asked for once more: under its marker.
    let visit = inner.books.resume(Seen {
        run: run.clone(),
        agent: agent.clone(),
        session: session.name.clone(),
        text: said,
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
        transcript: Arc::default(),
    };
    seat.write(Entry { id, at: inner.options.clock.now(), item: Item::User(SYSTEM.to_owned()) });
    let turn = Turn { inner, agent: &agent, run: &run, fault: None, visit: &visit, seat };
    turn.play(prompt, &mut Nobody);
}

fn user(item: &Item) -> Option<&str> {
    match item {
        Item::User(text) => Some(text),
        Item::Assistant { .. } | Item::ToolResult { .. } => None,
    }
}
