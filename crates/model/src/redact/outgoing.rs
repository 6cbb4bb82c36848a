//! Removes an agent's credentials from the texts that the agent writes.
//!
//! An agent may repeat its briefing. Its answers, documents and titles must then not publish a session token or a
//! session key. [`Redactor`](super::Redactor) hides everything that looks like a secret. This mask changes nothing
//! else, because the runtime must not damage documents.

use std::borrow::Cow;

use super::{Found, MASK, OUR_TOKENS, SESSION_KEY, ends_a_value, masked, our_token_at, prefix_of, run};
use crate::AccountId;
use crate::secret::Secret;

/// The longest session key that is recognized by its form.
const KEY_BYTES_MAX: usize = 512;

/// Shorter known values are not masked: they occur in ordinary texts.
const KNOWN_BYTES_MIN: usize = 8;

/// The first words of session keys.
const FIRST_WORDS: [&str; 3] = ["task", "system", "agent"];

/// Masks session tokens in their form, session keys of one account in every spelling, and known values.
#[derive(Clone, Debug)]
pub struct OutgoingMask {
    /// In lower case.
    account: String,
    /// In lower case.
    slug: String,
    known: Vec<(Secret, &'static str)>,
}

impl OutgoingMask {
    /// A mask for the texts of this agent.
    pub fn new(account: &AccountId, slug: &str) -> Self {
        Self {
            account: account.as_str().to_ascii_lowercase(),
            slug: slug.to_ascii_lowercase(),
            known: Vec::new(),
        }
    }

    /// Also masks this token if it stands without its prefix: the prefix is public.
    #[must_use]
    pub fn with_token(self, token: &Secret) -> Self {
        let token = token.expose();
        let tail = token.rsplit_once('_').map_or(token, |(_, tail)| tail);
        self.with(tail, MASK)
    }

    /// Also masks this session key. Its form may be unknown.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        let encoded = key.replace(':', "%3A");
        self.with(key, SESSION_KEY).with(&encoded, SESSION_KEY)
    }

    fn with(mut self, value: &str, mask: &'static str) -> Self {
        if value.len() >= KNOWN_BYTES_MIN {
            self.known.push((Secret::new(value), mask));
        }
        self
    }

    /// The text without tokens and session keys. JSON text stays JSON.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let first = self.first_bytes();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(&byte) = text.as_bytes().get(at) {
            // Only ASCII bytes are first bytes, so this is the start of a character.
            let hit = if first[usize::from(byte)] { self.found_at(text, at) } else { None };
            at = hit.map_or_else(|| at + 1, |hit| hit.to);
            found.extend(hit);
        }
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(masked(text, &found)) }
    }

    /// The bytes with which a match may start. Most texts are long and contain none, so each byte must be cheap.
    fn first_bytes(&self) -> [bool; 256] {
        let mut first = [false; 256];
        let known = self.known.iter().map(|(value, _)| value.expose());
        for byte in
            FIRST_WORDS.into_iter().chain(OUR_TOKENS).chain(known).filter_map(|text| text.bytes().next())
        {
            if byte.is_ascii() {
                first[usize::from(byte.to_ascii_lowercase())] = true;
                first[usize::from(byte.to_ascii_uppercase())] = true;
            }
        }
        first
    }

    fn found_at(&self, text: &str, at: usize) -> Option<Found> {
        our_token_at(text, at).or_else(|| self.known_at(text, at)).or_else(|| self.key_at(text, at))
    }

    fn known_at(&self, text: &str, at: usize) -> Option<Found> {
        let found = |(value, mask): &(Secret, &'static str)| {
            let bytes = prefix_of(&text[at..], value.expose())?;
            Some(Found { from: at, to: at + bytes, mask })
        };
        self.known.iter().find_map(found)
    }

    /// A session key that starts here. It names the account, or a scheduled run of the agent.
    fn key_at(&self, text: &str, at: usize) -> Option<Found> {
        let rest = &text[at..];
        let first = FIRST_WORDS.iter().find_map(|word| prefix_of(rest, word))?;
        colon(&rest[first..])?;
        let rest = &rest[..rest.floor_char_boundary(KEY_BYTES_MAX)];
        let word = &rest[..run(rest, |c| !ends_a_value(c))].to_ascii_lowercase();
        let bytes = self.end_with_account(word).or_else(|| self.end_of_run(word))?;
        Some(Found { from: at, to: at + bytes, mask: SESSION_KEY })
    }

    /// The end of a key that contains the account as one of its parts.
    fn end_with_account(&self, word: &str) -> Option<usize> {
        let ends = word.match_indices(&self.account).filter(|_| !self.account.is_empty());
        let end = ends
            .filter(|(from, _)| word[..*from].ends_with(':') || word[..*from].ends_with("%3a"))
            .map(|(from, account)| from + account.len())
            .find(|end| !word[*end..].starts_with(char::is_alphanumeric))?;
        Some(end + parts(&word[end..]))
    }

    /// The end of a key such as `agent:{slug}:cron:{id}:run:{id}`.
    fn end_of_run(&self, word: &str) -> Option<usize> {
        let mut end = prefix_of(word, "agent")?;
        for part in [Some(self.slug.as_str()), Some("cron"), None, Some("run"), None] {
            end += colon(&word[end..])?;
            end += match part {
                Some(part) => prefix_of(&word[end..], part)?,
                None => segment(&word[end..])?,
            };
        }
        Some(end + parts(&word[end..]))
    }
}

/// The length of a colon, plain or percent-encoded.
fn colon(text: &str) -> Option<usize> {
    if text.starts_with(':') { Some(1) } else { prefix_of(text, "%3a") }
}

/// The length of a part between two colons.
fn segment(text: &str) -> Option<usize> {
    let bytes = run(text, |c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    (bytes > 0).then_some(bytes)
}

/// The length of further parts, each after a colon.
fn parts(text: &str) -> usize {
    let mut end = 0;
    while let Some(part) = colon(&text[end..]).and_then(|colon| Some(colon + segment(&text[end + colon..])?))
    {
        end += part;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> OutgoingMask {
        let token = ["mc", "session", "00112233445566778899aabbccddeeff"].join("_");
        OutgoingMask::new(&AccountId::new("k57Acc"), "ben")
            .with_token(&Secret::new(token))
            .with_key("strange key:of:another form")
    }

    #[test]
    fn masks_every_spelling_and_nothing_else() {
        let session = |tail: &str| ["mc", "session", tail].join("_");
        let rows = [
            (session("0f0f"), "mc_session_***"),
            (session("0f0f").to_uppercase(), "MC_SESSION_***"),
            ("the digits 00112233445566778899AABBCCDDEEFF alone".to_owned(), "the digits *** alone"),
            ("task:t1:agent:ben:k57Acc:v1".to_owned(), "(session-key)"),
            ("(task:t1:agent:ada:k57acc:v12).".to_owned(), "((session-key))."),
            ("system:agent:ben:k57Acc:v1, next".to_owned(), "(session-key), next"),
            ("system:agent:ben:k57Acc:heartbeat:v1".to_owned(), "(session-key)"),
            ("AGENT:ben:TASK:t1:k57ACC:v1".to_owned(), "(session-key)"),
            ("agent:ben:task:t1:agent:ben:k57acc:v1".to_owned(), "(session-key)"),
            ("agent:ben:system:k57acc:v1".to_owned(), "(session-key)"),
            ("I am agent:ben:k57Acc.".to_owned(), "I am (session-key)."),
            ("_agent:ben:k57Acc_ `agent%3Aben%3ak57Acc`".to_owned(), "_(session-key)_ `(session-key)`"),
            ("{\"k\":\"a\\nagent:ben:k57Acc\"}".to_owned(), "{\"k\":\"a\\n(session-key)\"}"),
            ("agent:ben:cron:nightly:run:abc-1:subagent:x!".to_owned(), "(session-key)!"),
            ("agent%3Aben%3Acron%3An%3Arun%3A1".to_owned(), "(session-key)"),
            ("a Strange Key:of:another form b".to_owned(), "a (session-key) b"),
        ];
        for (text, clean) in &rows {
            assert_eq!(mask().clean(text), *clean, "{text}");
        }
        let kept = [
            "task: build, agent: none, system:orchestrator-chat",
            "task:t1:agent:ben:k58Acc:v1",
            "agent:main:cron:nightly:run:abc",
            "agent:ben:cron:nightly",
            "agent:ben:k57Account",
            "agent:k57Accs and k57Acc alone",
            "tokens start with mc_session_.",
            "00112233445566778899aabbccddee",
            "ämtlich: täsk:ü:k57Acc",
        ];
        for text in kept {
            assert!(matches!(mask().clean(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    /// A hostile document takes a time that grows with its length alone.
    #[test]
    fn long_words_are_bounded() {
        let long = "agent:".repeat(20_000) + "k57Acc";
        assert!(mask().clean(&long).ends_with("(session-key)"));
        let wide = "agent:ü".repeat(2_000);
        assert_eq!(mask().clean(&wide), wide);
    }
}
