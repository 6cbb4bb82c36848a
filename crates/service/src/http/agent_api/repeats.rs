//! Writing calls by their `Idempotency-Key`: the same key with the same call gets the same answer and runs nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mcr_model::clock::Millis;

/// How long a key is kept.
pub const WINDOW: Duration = Duration::from_mins(10);
/// The most keys that are kept for one agent.
const OF_ONE: usize = 1_024;
/// The most keys that are kept for all agents.
const OF_ALL: usize = 16_384;

/// An agent and one of its keys.
type Name = (String, String);

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Arc<[u8]>,
}

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: the caller runs the call and reports its answer to [`Repeats::end`].
    Nothing,
    /// The answer to the same call.
    Answer(Answer),
    /// The same call is running.
    UnderWay,
    /// The key belongs to another call.
    Other,
}

#[derive(Debug)]
struct Entry {
    call: String,
    at: Millis,
    answer: Option<Answer>,
}

/// The keys of the last minutes.
#[derive(Debug, Default)]
pub struct Repeats {
    entries: HashMap<Name, Entry>,
    /// In the order of arrival.
    order: VecDeque<(Name, Millis)>,
    agents: HashMap<String, usize>,
}

impl Repeats {
    /// Looks up a call's key, and stores it as running if it is new.
    pub fn begin(&mut self, agent: &str, name: &str, call: &str, now: Millis) -> Known {
        self.make_room(agent, now);
        let key = (agent.to_owned(), name.to_owned());
        match self.entries.get(&key) {
            Some(entry) if entry.call != call => Known::Other,
            Some(Entry { answer: Some(answer), .. }) => Known::Answer(answer.clone()),
            Some(_) => Known::UnderWay,
            None => {
                self.order.push_back((key.clone(), now));
                *self.agents.entry(agent.to_owned()).or_default() += 1;
                self.entries.insert(key, Entry { call: call.to_owned(), at: now, answer: None });
                Known::Nothing
            }
        }
    }

    /// Stores the answer of a call. Without an answer the key is free again.
    pub fn end(&mut self, agent: &str, name: &str, answer: Option<Answer>) {
        let key = (agent.to_owned(), name.to_owned());
        if answer.is_some() {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.answer = answer;
            }
            return;
        }
        self.remove(&key);
        if let Some(at) = self.order.iter().rposition(|(other, _)| *other == key) {
            self.order.remove(at);
        }
    }

    fn make_room(&mut self, agent: &str, now: Millis) {
        while let Some((key, at)) = self.order.front() {
            let is_old = now.since(*at) >= WINDOW || self.entries.len() >= OF_ALL;
            let is_gone = self.entries.get(key).is_none_or(|entry| entry.at != *at);
            if !is_old && !is_gone {
                break;
            }
            if let Some((key, at)) = self.order.pop_front()
                && self.entries.get(&key).is_some_and(|entry| entry.at == at)
            {
                self.remove(&key);
            }
        }
        if self.agents.get(agent).is_some_and(|count| *count >= OF_ONE) {
            let own = |(key, _): &&(Name, Millis)| key.0 == agent && self.entries.contains_key(key);
            if let Some(key) = self.order.iter().find(own).map(|(key, _)| key.clone()) {
                self.remove(&key);
                self.order.retain(|(other, _)| *other != key);
            }
        }
    }

    fn remove(&mut self, key: &Name) {
        if self.entries.remove(key).is_none() {
            return;
        }
        if let Some(count) = self.agents.get_mut(&key.0) {
            *count -= 1;
            if *count == 0 {
                self.agents.remove(&key.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer { status: 200, body: Arc::from(text.as_bytes()) }
    }

    #[test]
    fn the_same_key_returns_the_same_answer_within_the_window() {
        let mut repeats = Repeats::default();
        let now = Millis(0);
        assert_eq!(repeats.begin("a", "n", "call", now), Known::Nothing);
        assert_eq!(repeats.begin("a", "n", "call", now), Known::UnderWay);
        repeats.end("a", "n", Some(answer("one")));
        assert_eq!(repeats.begin("a", "n", "call", now), Known::Answer(answer("one")));
        assert_eq!(repeats.begin("a", "n", "other", now), Known::Other);
        assert_eq!(repeats.begin("b", "n", "other", now), Known::Nothing, "each agent has its own keys");
        assert_eq!(repeats.begin("a", "n", "call", now + WINDOW), Known::Nothing);
        repeats.end("a", "n", None);
        assert_eq!(
            repeats.begin("a", "n", "other", now + WINDOW),
            Known::Nothing,
            "a call without an answer frees its key"
        );
    }

    #[test]
    fn memory_is_bounded_and_one_agent_never_evicts_another() {
        let mut repeats = Repeats::default();
        repeats.begin("b", "n", "call", Millis(0));
        repeats.end("b", "n", Some(answer("b")));
        for number in 0..30_000 {
            let name = number.to_string();
            assert_eq!(repeats.begin("a", &name, "call", Millis(0)), Known::Nothing);
            repeats.end("a", &name, (number % 2 == 0).then(|| answer("a")));
        }
        assert!(repeats.entries.len() <= OF_ONE + 1 && repeats.order.len() <= OF_ALL);
        assert_eq!(repeats.begin("b", "n", "call", Millis(0)), Known::Answer(answer("b")));
        for number in 0..30_000 {
            repeats.begin(&number.to_string(), "n", "call", Millis(0));
        }
        assert!(repeats.entries.len() <= OF_ALL && repeats.order.len() <= OF_ALL + 1);
        assert_eq!(repeats.agents.len(), repeats.entries.len());
    }
}
