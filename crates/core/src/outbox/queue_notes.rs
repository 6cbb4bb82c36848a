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

use super::{Append, GRACE, Outbox, OutboxStep};
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
        let notes = Self { appended: None, authors };
        let appended = history.find(|row| row.role == ChatRole::Assistant && notes.is_noted(row.at));
        Self { appended: appended.map(|row| row.content.clone()), ..notes }
    }

    /// Whether an append with this time is noted.
    fn is_noted(&self, at: Millis) -> bool {
        self.authors.values().any(|notes| notes.answer_at == Some(at))
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

    /// The note after an append that was not carried out.
    pub fn note_of_no_append(&self) -> Metadata {
        self.note(ANSWER_AT, String::new())
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
        let others =
            || notes.authors.iter().filter(|(author, _)| **author != self.author).map(|(_, notes)| notes);
        let answer_at = others().filter_map(|notes| notes.answer_at).max();
        let all = self.parts.len() + self.files.len();
        let begun = others().map(|notes| notes.begun).max().unwrap_or(0).min(all);
        let settled = notes.authors.values().map(|notes| notes.settled).max().unwrap_or(0).min(all);
        match (&self.append, answer_at) {
            (Append::Due | Append::Begun(_), _) if notes.appended.is_some() => self.append = Append::Done,
            // After that time it can no longer arrive.
            (Append::Due, Some(at)) if now < at + GRACE => self.append = Append::Begun(at),
            // The author has withdrawn the append, or has begun another one.
            (Append::Begun(at), other) if !notes.is_noted(*at) => {
                self.append = other.map_or(Append::Due, Append::Begun);
            }
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
        let is_news =
            (&self.append, self.sent, &self.uncertain) != (&before.append, before.sent, &before.uncertain);
        Learnt { is_news, wait }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Destination, OutboxEvent};
    use super::*;
    use mcr_model::TelegramParseMode;

    const NOW: Millis = Millis(1_000_000);

    fn outbox(author: &str) -> Outbox {
        let parts = vec!["one".to_owned(), "two".to_owned()];
        let to = Destination::new("7", TelegramParseMode::Plain);
        Outbox::new("one two".to_owned(), parts, Some(to)).by(author)
    }

    /// What the queue shows with these notes, and with answers in the history at these times.
    fn notes(noted: &[Metadata], history: &[i64]) -> QueueNotes {
        let metadata: Metadata = noted.iter().flat_map(Clone::clone).collect();
        let rows: Vec<Value> =
            history.iter().map(|at| json!({"role": "assistant", "content": "theirs", "at": at})).collect();
        let bundle = json!({"messageId": "m", "conversationId": "c", "agentKey": "a",
            "payload": {"provider": "telegram", "providerUserId": "7", "messageText": "hi", "metadata": metadata},
            "conversationState": {"contextHistory": rows, "pendingToolCalls": []}});
        QueueNotes::read(&serde_json::from_value(bundle).unwrap())
    }

    /// An outbox that has taken these steps, and its notes.
    fn worked(author: &str, events: Vec<OutboxEvent>) -> (Outbox, Vec<Metadata>) {
        let (mut outbox, mut noted) = (outbox(author), Vec::new());
        for event in events {
            let step = outbox.next(NOW);
            noted.extend(outbox.note_of(&step));
            outbox.begin(&step);
            outbox.on(event, NOW);
            noted.push(outbox.note_of_settled());
        }
        (outbox, noted)
    }

    #[test]
    fn another_worker_continues_after_what_is_settled() {
        let (_, noted) = worked("a", vec![OutboxEvent::Appended, OutboxEvent::Sent]);
        let found = notes(&noted, &[NOW.0]);
        assert_eq!(found.appended.as_deref(), Some("theirs"));
        let mut other = outbox("b");
        assert_eq!(other.learn(&found, NOW), Learnt { is_news: true, wait: None });
        assert_eq!((other.next(NOW), other.uncertain.len()), (OutboxStep::Send(1), 0));
        assert_eq!(other.learn(&found, NOW), Learnt::default(), "it is no news twice");
    }

    #[test]
    fn an_append_of_another_worker_is_looked_for_before_a_second_one() {
        let mut other = outbox("b");
        let begun = outbox("a").note_of(&OutboxStep::Append(Millis(999_000))).unwrap();
        other.learn(&notes(std::slice::from_ref(&begun), &[]), NOW);
        other.sent = 2;
        assert_eq!(other.next(NOW), OutboxStep::LookForAppend(Millis(999_000)));
        // The author begins it once more, and withdraws it at last.
        let again = outbox("a").note_of(&OutboxStep::Append(Millis(999_500))).unwrap();
        other.learn(&notes(&[begun.clone(), again.clone()], &[]), NOW);
        assert_eq!(other.next(NOW), OutboxStep::LookForAppend(Millis(999_500)));
        let withdrawn = outbox("a").note_of_no_append();
        other.learn(&notes(&[begun, again, withdrawn], &[]), NOW);
        assert_eq!(other.next(NOW), OutboxStep::Append(NOW));
    }

    #[test]
    fn a_message_that_another_worker_has_begun_is_waited_for_and_then_in_doubt() {
        let begun = outbox("a").note_of(&OutboxStep::Send(0)).unwrap();
        let mut other = outbox("b");
        let found = notes(std::slice::from_ref(&begun), &[]);
        let until = NOW + SETTLING;
        assert_eq!(other.learn(&found, NOW).wait, Some(until));
        // The author says that nothing was sent.
        let withdrawn = notes(&[begun, outbox("a").note_of_settled()], &[]);
        assert_eq!(other.clone().learn(&withdrawn, NOW), Learnt::default());
        assert_eq!(other.learn(&found, until), Learnt { is_news: true, wait: None });
        assert_eq!((other.uncertain.as_slice(), other.sent()), (&[0][..], 1));
    }

    #[test]
    fn the_author_believes_its_own_record() {
        let (mut own, mut noted) = worked("a", vec![OutboxEvent::Appended]);
        noted.extend(own.note_of(&OutboxStep::Send(0)));
        assert_eq!(own.learn(&notes(&noted, &[]), NOW), Learnt::default());
        assert_eq!(own.next(NOW), OutboxStep::Send(0), "it knows that the send has not begun");
        // A late note of the author changes nothing that another worker has noted.
        let (_, theirs) = worked("b", vec![OutboxEvent::Appended, OutboxEvent::Sent, OutboxEvent::Sent]);
        own.learn(&notes(&[theirs, noted].concat(), &[]), NOW);
        assert_eq!(own.next(NOW), OutboxStep::Complete);
    }

    /// The queue and the chat, as all workers see them.
    struct Shared {
        now: Millis,
        metadata: Metadata,
        history: Vec<i64>,
        chat: Vec<usize>,
    }

    /// Works under the lease until the job is over, or the worker dies at this point. Returns what its disk has, and whether
    /// the job is over.
    fn work(mut outbox: Outbox, shared: &mut Shared, mut points: usize) -> (Outbox, bool) {
        let mut disk = outbox.clone();
        let mut dies = || {
            points = points.saturating_sub(1);
            points == 0
        };
        for _ in 0..200 {
            let found = notes(std::slice::from_ref(&shared.metadata), &shared.history);
            let learnt = outbox.learn(&found, shared.now);
            if learnt.is_news {
                disk = outbox.clone();
            }
            if let Some(until) = learnt.wait {
                shared.now = until;
                continue;
            }
            let step = outbox.next(shared.now);
            if let OutboxStep::Wait(until) = step {
                shared.now = until;
                continue;
            }
            if matches!(step, OutboxStep::Complete) {
                return (outbox, true);
            }
            shared.metadata.extend(outbox.note_of(&step).unwrap_or_default());
            if dies() {
                return (disk, false);
            }
            if outbox.begin(&step) {
                disk = outbox.clone();
            }
            if dies() {
                return (disk, false);
            }
            let event = match &step {
                OutboxStep::Append(at) => {
                    shared.history.push(at.0);
                    OutboxEvent::Appended
                }
                OutboxStep::LookForAppend(at) => OutboxEvent::LookedForAppend(shared.history.contains(&at.0)),
                OutboxStep::Send(part) => {
                    shared.chat.push(*part);
                    OutboxEvent::Sent
                }
                other => panic!("{other:?}"),
            };
            if dies() {
                return (disk, false);
            }
            shared.now = shared.now + Duration::from_millis(5);
            outbox.on(event, shared.now);
            disk = outbox.clone();
            if dies() {
                return (disk, false);
            }
            if let OutboxStep::Send(_) = step {
                shared.metadata.extend(outbox.note_of_settled());
            }
        }
        panic!("the job does not end: {outbox:?}");
    }

    /// Three holders of the lease after each other: each dies at any point, and the third is new or the first one again.
    #[test]
    fn no_sequence_of_deaths_appends_or_sends_twice_or_loses_a_message_without_a_word() {
        const POINTS: usize = 24;
        let read = |outbox: &Outbox| -> Outbox {
            serde_json::from_str(&serde_json::to_string(outbox).unwrap()).unwrap()
        };
        let mut ended_early = 0;
        for (first, second) in (1..POINTS).flat_map(|first| (1..POINTS).map(move |second| (first, second))) {
            for is_first_again in [false, true] {
                let mut shared =
                    Shared { now: NOW, metadata: Metadata::new(), history: Vec::new(), chat: Vec::new() };
                let (one, is_over) = work(outbox("a"), &mut shared, first);
                ended_early += usize::from(is_over);
                let (two, _) = work(outbox("b"), &mut shared, second);
                let third = if is_first_again { read(&one).reclaimed() } else { outbox("c") };
                let (three, is_over) = work(third, &mut shared, usize::MAX);
                let what = format!("deaths at {first} and {second}, the first again: {is_first_again}");
                assert!(is_over && three.is_delivered(), "{what}");
                assert_eq!(shared.history.len(), 1, "appended once: {what}");
                assert!(shared.chat.windows(2).all(|pair| pair[0] < pair[1]), "{what}: {:?}", shared.chat);
                let is_named =
                    |part: &usize| [&one, &two, &three].iter().any(|at| at.uncertain.contains(part));
                let lost: Vec<usize> =
                    (0..2).filter(|part| !shared.chat.contains(part) && !is_named(part)).collect();
                assert!(lost.is_empty(), "{what}: {lost:?}");
            }
        }
        assert!(ended_early > 0 && ended_early < POINTS * POINTS, "the points cover all steps");
    }
}
