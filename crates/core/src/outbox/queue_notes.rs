//! The notes of a job at the queue, for a worker without the record of the worker before it.
//!
//! # The rules
//!
//! * A note precedes its step, and the lease is confirmed after the note. So the next holder of the lease sees the note
//!   of each step that the last holder may still carry out.
//! * Each author has notes of its own, so that a late one changes nothing of another worker. The author's own record is more
//!   precise than its notes, so it does not believe them.
//! * Another worker appends under the noted time, and first looks for it in the history.
//! * Another worker does not send a message that was begun. It waits a little, because the author may say what came of
//!   the message. After that the message is in doubt.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Append, Outbox, OutboxStep};
use mcr_model::clock::Millis;
use mcr_model::{ChatRole, HydrationBundle};

/// The time under which the answer is appended. The author follows the name.
const ANSWER_AT: &str = "mcrAnswerAt-";
/// How many messages are begun, and how many of them are settled. The author follows the name.
const SENT: &str = "mcrSent-";

/// How long the author of a begun message has to note what came of it.
const SETTLING: Duration = Duration::from_secs(10);

/// The metadata of a message.
pub type Metadata = BTreeMap<String, String>;

/// What the notes say about a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueNotes {
    /// The answer in the history.
    pub appended: Option<String>,
    authors: BTreeMap<String, AuthorNotes>,
}

/// What one worker has noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AuthorNotes {
    answer_at: Option<Millis>,
    begun: usize,
    settled: usize,
}

impl QueueNotes {
    /// Reads the notes and the history.
    pub fn read(bundle: &HydrationBundle) -> Self {
        let mut authors: BTreeMap<String, AuthorNotes> = BTreeMap::new();
        for (name, text) in &bundle.payload.metadata {
            if let Some(author) = name.strip_prefix(ANSWER_AT) {
                let notes = authors.entry(author.to_owned()).or_default();
                notes.answer_at = text.parse().ok().map(Millis);
            } else if let Some(author) = name.strip_prefix(SENT)
                && let Some((begun, settled)) = text.split_once('/')
            {
                let notes = authors.entry(author.to_owned()).or_default();
                let count = |text: &str| text.parse().unwrap_or(0);
                (notes.begun, notes.settled) = (count(begun), count(settled));
            }
        }
        let mut history = bundle.conversation_state.context_history.iter();
        let is_noted = |at: Millis| authors.values().any(|notes| notes.answer_at == Some(at));
        let appended = history.find(|row| row.role == ChatRole::Assistant && is_noted(row.at));
        Self { appended: appended.map(|row| row.content.clone()), authors }
    }
}

/// What an outbox has learnt from the notes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// Whether the outbox has changed, and must be stored before the next step.
    pub is_news: bool,
    /// The author of a begun message has time until then.
    pub wait: Option<Millis>,
}

impl Outbox {
    /// The outbox with its author: the lease of the claim that made it.
    #[must_use]
    pub fn by(self, author: &str) -> Self {
        Self { author: author.to_owned(), ..self }
    }

    /// The note of a step that begins; none if others need not know.
    pub fn note_of(&self, step: &OutboxStep) -> Option<Metadata> {
        match step {
            OutboxStep::Append(at) => Some(self.note(ANSWER_AT, at.0.to_string())),
            OutboxStep::Send(part) => Some(self.note_of_sends(part + 1)),
            OutboxStep::LookForAppend(_)
            | OutboxStep::Complete
            | OutboxStep::Fail(_)
            | OutboxStep::Wait(_)
            | OutboxStep::Over => None,
        }
    }

    /// The note after a send, or after one that was not carried out: no message is on its way.
    pub fn note_of_settled(&self) -> Metadata {
        self.note_of_sends(self.sent)
    }

    fn note_of_sends(&self, begun: usize) -> Metadata {
        self.note(SENT, format!("{begun}/{}", self.sent))
    }

    fn note(&self, name: &str, text: String) -> Metadata {
        [(format!("{name}{}", self.author), text)].into()
    }

    /// Takes over what other workers have done for this message.
    pub fn learn(&mut self, notes: &QueueNotes, now: Millis) -> Learnt {
        let before = self.clone();
        let others = || notes.authors.iter().filter(|(author, _)| **author != self.author).map(|(_, notes)| notes);
        let answer_at = others().filter_map(|notes| notes.answer_at).max();
        let all = self.parts.len() + self.files.len();
        let begun = others().map(|notes| notes.begun).max().unwrap_or(0).min(all);
        let settled = notes.authors.values().map(|notes| notes.settled).max().unwrap_or(0).min(all);
        match (&self.append, answer_at) {
            (Append::Due | Append::Begun(_), _) if notes.appended.is_some() => self.append = Append::Done,
            (Append::Due, Some(at)) => self.append = Append::Begun(at),
            _ => {}
        }
        if settled > self.sent {
            (self.sent, self.is_sending) = (settled, false);
        }
        let mut wait = None;
        if begun > self.sent {
            let until = *self.settled_at.get_or_insert(now + SETTLING);
            if now < until {
                wait = Some(until);
            } else {
                self.uncertain.extend(self.sent..begun);
                (self.sent, self.is_sending) = (begun, false);
            }
        }
        let is_news = (&self.append, self.sent, &self.uncertain) != (&before.append, before.sent, &before.uncertain);
        Learnt { is_news, wait }
    }
}
