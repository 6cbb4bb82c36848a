//! The list of an account's agents, which the backend repeats in each delivery context.
//!
//! With ten thousand agents it is a megabyte. Each delivery would receive, copy and decode the same list. Here the last
//! list stays in memory, as text and decoded. An answer is compared with the text while it arrives. If the list is the
//! same, only `[]` is kept of it, and all deliveries share the decoded one. Any other answer passes unchanged.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;

use mcr_model::Team;

/// What precedes the list, and its first byte. No text inside a JSON string contains these bytes, since its quotes are
/// escaped.
const START: &str = r#""mentionableAgents":["#;
const START_BYTES: usize = START.len();
/// Shorter lists are not worth the search.
const LIST_BYTES_MIN: usize = 32 * 1024;
/// Bytes of one read.
const PIECE_BYTES: usize = 4 * 1024;

/// The last long list.
#[derive(Debug, Default)]
pub(super) struct KnownTeam(Mutex<Option<KnownList>>);

/// A list as text and decoded. Clones share both.
#[derive(Clone, Debug)]
pub(super) struct KnownList {
    text: Arc<str>,
    pub(super) team: Team,
}

impl KnownTeam {
    pub(super) fn get(&self) -> Option<KnownList> {
        self.lock().clone()
    }

    /// Takes a long list out of a value: returns the value without the list, and the list. `None` if there is no long
    /// list, or if it cannot be read.
    pub(super) fn learn(&self, value: &RawValue) -> Option<(Box<RawValue>, Team)> {
        let text = value.get();
        if text.len() < LIST_BYTES_MIN {
            return None;
        }
        let at = text.find(START)? + START_BYTES - 1;
        // Decoded under the lock: concurrent answers then wait for one copy instead of making their own.
        let mut known = self.lock();
        let list = match &*known {
            Some(list) if text[at..].starts_with(&*list.text) => list.clone(),
            Some(_) | None => {
                let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<&RawValue>();
                let list = values.next()?.ok()?.get();
                if list.len() < LIST_BYTES_MIN {
                    return None;
                }
                let team = serde_json::from_str(list).ok()?;
                known.insert(KnownList { text: list.into(), team }).clone()
            }
        };
        drop(known);
        let rest = &text[at + list.text.len()..];
        let value = RawValue::from_string(format!("{}[]{rest}", &text[..at])).ok()?;
        Some((value, list.team))
    }

    fn lock(&self) -> MutexGuard<'_, Option<KnownList>> {
        // The list is always replaced as a whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer and leaves a known list out of it.
pub(super) struct ShorteningReader<'r> {
    answer: &'r mut dyn Read,
    list: &'r [u8],
    state: State,
    /// The last bytes passed on, in which [`START`] may begin.
    recent: Vec<u8>,
    /// The part of the list that is passed on, because the answer differs behind it.
    replayed: &'r [u8],
    /// Bytes behind the list that are passed on next.
    rest: Vec<u8>,
    found: bool,
}

#[derive(Clone, Copy)]
enum State {
    /// [`START`] has not come yet.
    Searching,
    /// So many bytes of the list have come.
    Comparing(usize),
    /// The remaining bytes are passed on unchanged.
    Passing,
}

impl<'r> ShorteningReader<'r> {
    pub(super) fn new(answer: &'r mut dyn Read, known: &'r KnownList) -> Self {
        let (state, recent, rest) = (State::Searching, Vec::new(), Vec::new());
        Self { answer, list: known.text.as_bytes(), state, recent, replayed: &[], rest, found: false }
    }

    /// Whether the list was left out.
    pub(super) fn has_left_out(&self) -> bool {
        self.found
    }

    /// The position behind [`START`], if it ends in this piece of the answer.
    fn start_in(&mut self, piece: &[u8]) -> Option<usize> {
        let before = self.recent.len();
        self.recent.extend(&piece[..piece.len().min(START_BYTES - 1)]);
        let find = |bytes: &[u8]| {
            bytes
                .windows(START_BYTES)
                .position(|window| window == START.as_bytes())
                .map(|at| at + START_BYTES)
        };
        let found = find(&self.recent).map(|end| end - before).or_else(|| find(piece));
        let tail = &piece[piece.len().saturating_sub(START_BYTES - 1)..];
        if tail.len() == START_BYTES - 1 {
            self.recent = tail.to_vec();
        } else {
            self.recent.drain(..self.recent.len().saturating_sub(START_BYTES - 1));
        }
        found
    }

    fn compare(&mut self, from: usize, piece: &[u8]) {
        let expected = &self.list[from..];
        let count = piece.len().min(expected.len());
        if piece[..count] != expected[..count] {
            (self.replayed, self.rest) = (&self.list[..from], piece.to_vec());
            self.state = State::Passing;
        } else if count == expected.len() {
            self.rest = [b"[]", &piece[count..]].concat();
            (self.state, self.found) = (State::Passing, true);
        } else {
            self.state = State::Comparing(from + count);
        }
    }
}

impl Read for ShorteningReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.replayed.is_empty() {
                return self.replayed.read(into);
            }
            if !self.rest.is_empty() {
                let count = self.rest.as_slice().read(into)?;
                self.rest.drain(..count);
                return Ok(count);
            }
            match self.state {
                State::Passing => return self.answer.read(into),
                State::Searching => {
                    let count = self.answer.read(into)?;
                    let Some(behind) = self.start_in(&into[..count]) else { return Ok(count) };
                    let list_at = behind - 1;
                    self.compare(0, &into[list_at..count]);
                    if list_at > 0 {
                        return Ok(list_at);
                    }
                }
                State::Comparing(from) => {
                    let mut piece = [0; PIECE_BYTES];
                    let count = self.answer.read(&mut piece)?;
                    if count == 0 {
                        self.replayed = &self.list[..from];
                        self.state = State::Passing;
                    } else {
                        self.compare(from, &piece[..count]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn list(agents: usize) -> String {
        let agent =
            |n| json!({"id": format!("js{n:030}"), "slug": format!("agent-{n}"), "name": "A", "role": "B"});
        (0..agents).map(agent).collect::<serde_json::Value>().to_string()
    }

    fn known(text: &str) -> KnownList {
        KnownList { text: text.into(), team: Team::default() }
    }

    /// Gives at most so many bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }

    fn shortened(answer: &str, known: &KnownList, pace: usize) -> (String, bool) {
        let mut slow = Slow(answer.as_bytes(), pace);
        let mut reader = ShorteningReader::new(&mut slow, known);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        let left_out = reader.has_left_out();
        (read, left_out)
    }

    proptest! {
        #[test]
        fn only_the_known_list_is_left_out(
            before in "[a-z\":\\[{,]{0,40}", after in "[a-z\":\\[{,]{0,40}", pace in 1_usize..70, cut in 0_usize..200,
        ) {
            let list = list(3);
            let known = known(&list);
            let answer = format!("{before}{START}{}{after}", &list[1..]);
            let expected = (format!("{before}{START}]{after}"), true);
            prop_assert_eq!(shortened(&answer, &known, pace), expected);
            for other in [
                format!("{before}{START}{}", &list[1..=cut.min(list.len() - 2)]),
                format!("{before}{START}{}{after}", list[1..].replacen("agent-2", "agent-x", 1)),
                format!("{before}{after}"),
            ] {
                prop_assert_eq!(shortened(&other, &known, pace), (other.clone(), false));
            }
        }
    }

    #[test]
    fn a_long_list_is_learned_once_and_a_changed_one_replaces_it() {
        let value = |list: &str| {
            RawValue::from_string(format!(r#"{{"a":1,"mentionableAgents":{list},"z":[2]}}"#)).unwrap()
        };
        let team = KnownTeam::default();
        assert!(team.learn(&value(&list(10))).is_none(), "a short list is left in the value");
        let (rest, first) = team.learn(&value(&list(1000))).unwrap();
        assert_eq!(rest.get(), r#"{"a":1,"mentionableAgents":[],"z":[2]}"#);
        assert_eq!(first.len(), 1000);
        let (_, again) = team.learn(&value(&list(1000))).unwrap();
        assert_eq!(first.as_ptr(), again.as_ptr(), "both share one list");
        let (_, changed) = team.learn(&value(&list(1001))).unwrap();
        assert_eq!(changed.len(), 1001);
        assert_eq!(team.get().unwrap().team.len(), 1001);
        let broken = list(1000).replacen("slug", "glug", 1);
        assert!(team.learn(&value(&broken)).is_none(), "the reader of the value reports the error");
    }
}
