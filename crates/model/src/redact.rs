//! Redacts every outgoing text: logs, replies and error sentences.
//!
//! It hides the configured secrets in every encoding in which they travel. It also hides text that looks like a secret:
//! tokens, provider keys, bearer headers, named secrets in JSON, assignments and addresses, and session keys, which open
//! the agent API.
//!
//! If in doubt it hides too much: a gap in a sentence is a nuisance, a leaked token is an incident.

mod known;
mod outgoing;

use std::sync::{Arc, PoisonError, RwLock};

use crate::secret::Secret;
use known::{Known, forms_of};

pub use outgoing::OutgoingMask;

/// Replaces a secret.
const MASK: &str = "***";

/// Marks the end of a shortened text.
const CUT: &str = "…";

/// Replaces a session key.
const SESSION_KEY: &str = "(session-key)";

/// Known values of at least this length are hidden everywhere, shorter ones only as whole words. Hiding every `abc` would
/// damage texts without protecting anything.
const ANYWHERE_BYTES: usize = 8;

/// Known values shorter than this are not hidden: they protect nothing, and `1` occurs everywhere.
const WORTH_HIDING_BYTES: usize = 4;

/// The minimum length of a key behind a provider's prefix. Real keys have at least 20 characters.
const PROVIDER_KEY_CHARS: usize = 16;

/// Prefixes of keys and tokens of providers: OpenAI and Anthropic, GitHub, GitLab, Slack, Google, AWS, Vercel,
/// DigitalOcean, Brave.
const PROVIDER_PREFIXES: [&str; 17] = [
    "sk-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "AIza",
    "AKIA",
    "vck_",
    "dop_v1_",
    "BSA",
    "eyJ",
];

/// Prefixes of this product's tokens: for an account, the admin of an embedded Mission Control, operators, and an agent's
/// session.
const OUR_TOKENS: [&str; 4] = ["mc_service_", "mc_admin_", "mc_operator_", "mc_session_"];

/// Names whose value is secret, with any prefix (`serviceToken`, `GH_TOKEN`, `x-api-key`).
const SECRET_NAMES: [&str; 8] =
    ["token", "secret", "password", "passwd", "apikey", "api_key", "api-key", "authorization"];

/// Schemes that precede a credential, as in `Authorization: Bearer …`.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// Hides secrets in texts. Clones share what they learn.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// The known values in all their forms, longest first, so that a value that contains another is hidden completely.
    known: Arc<RwLock<Arc<[Secret]>>>,
}

impl Redactor {
    /// A redactor that also hides these values.
    pub fn new<'a>(known: impl IntoIterator<Item = &'a Secret>) -> Self {
        let redactor = Self::default();
        redactor.learn(known);
        redactor
    }

    /// Also hides these values from now on. None is ever forgotten: an old text may still contain it.
    pub fn learn<'a>(&self, values: impl IntoIterator<Item = &'a Secret>) {
        let mut forms = forms_of(values);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if forms.iter().all(|form| known.iter().any(|old| old.expose() == form)) {
            return;
        }
        forms.extend(known.iter().map(|old| old.expose().to_owned()));
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        *known = forms.into_iter().map(Secret::new).collect();
    }

    /// Returns the text without its secrets.
    pub fn clean(&self, text: &str) -> String {
        let known = Known(self.known.read().unwrap_or_else(PoisonError::into_inner).clone());
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let found =
                known.found_at(text, at).or_else(|| shape_at(text, at).map(|found| known.whole(text, found)));
            if let Some(found) = found {
                out.push_str(&text[at..found.from]);
                out.push_str(found.mask);
                at = found.to;
            } else {
                out.push(c);
                at += c.len_utf8();
            }
        }
        out
    }

    /// Redacts the text, then shortens it to `limit` characters with `…` at the end. In this order the cut never leaves half
    /// a secret. (Text that others have shortened is recognized by its `…`.)
    pub fn excerpt(&self, text: &str, limit: usize) -> String {
        let enough = limit.saturating_mul(4).saturating_add(4096);
        let (head, whole) = match text.char_indices().nth(enough) {
            // Very large, for example a proxy's error page. The last word may be half a secret, so it is dropped.
            Some((cut, _)) => {
                (text[..cut].rsplit_once(char::is_whitespace).map_or("", |(head, _)| head), false)
            }
            None => (text, true),
        };
        let clean = self.clean(head);
        match clean.char_indices().nth(limit) {
            Some((cut, _)) => format!("{}…", clean[..cut].trim_end()),
            None if whole => clean,
            None => format!("{}…", clean.trim_end()),
        }
    }
}

/// A part of a text that must be hidden: bytes `from..to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The start.
    pub from: usize,
    /// The end.
    pub to: usize,
    mask: &'static str,
}

/// The tokens and provider keys in a text, of any owner. Such text must never be committed.
pub fn credentials_in(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if let Some(hit) = our_token_at(text, at).or_else(|| provider_key_at(text, at)) {
            found.push(hit);
            at = hit.to;
        } else {
            at += c.len_utf8();
        }
    }
    found
}

/// The text without its tokens and provider keys, for replies that repeat the client's text.
pub fn without_credentials(text: &str) -> String {
    masked(text, &credentials_in(text))
}

fn masked(text: &str, found: &[Found]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for found in found {
        out.push_str(&text[at..found.from]);
        out.push_str(found.mask);
        at = found.to;
    }
    out + &text[at..]
}

/// Text that looks like a secret and starts here. Its masked part may start later.
fn shape_at(text: &str, at: usize) -> Option<Found> {
    our_token_at(text, at)
        .or_else(|| provider_key_at(text, at))
        .or_else(|| session_key_at(text, at))
        .or_else(|| credential_after_scheme(text, at))
        .or_else(|| named_secret_at(text, at))
        .or_else(|| password_in_address(text, at))
}

/// A token of this product ([`OUR_TOKENS`]). The prefix stays, so that a reader knows what was hidden.
fn our_token_at(text: &str, at: usize) -> Option<Found> {
    let from = at + OUR_TOKENS.iter().find_map(|form| prefix_of(&text[at..], form))?;
    let to = from + run(&text[from..], |c| !ends_a_value(c));
    // "starts with mc_service_." names the form, not a token.
    text[from..to].contains(char::is_alphanumeric).then_some(Found { from, to, mask: MASK })
}

/// A provider key such as `sk-…` or `ghp_…`.
fn provider_key_at(text: &str, at: usize) -> Option<Found> {
    if word_before(text, at) {
        return None;
    }
    let rest = &text[at..];
    let prefix = PROVIDER_PREFIXES.iter().find(|prefix| rest.starts_with(**prefix))?;
    let key = run(&rest[prefix.len()..], |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let from = at + prefix.len();
    (key >= PROVIDER_KEY_CHARS).then_some(Found { from, to: from + key, mask: MASK })
}

/// A session key in the backend's or the gateway's form, plain or percent-encoded.
fn session_key_at(text: &str, at: usize) -> Option<Found> {
    if word_before(text, at) {
        return None;
    }
    let rest = &text[at..];
    let colon = |from: usize| {
        let tail = &rest[from..];
        if tail.starts_with(':') { Some(from + 1) } else { prefix_of(tail, "%3a").map(|n| from + n) }
    };
    let open = ["task", "system", "agent"].iter().find_map(|word| colon(prefix_of(rest, word)?))?;
    let key = open + run(&rest[open..], |c| !ends_a_value(c));
    // `agent:` alone starts many phrases. A key contains a second colon.
    let lone_agent = prefix_of(rest, "agent").is_some()
        && !(rest[open..key].contains(':') || rest[open..key].to_ascii_lowercase().contains("%3a"));
    let public_label = &rest[..key] == "system:orchestrator-chat";
    (key > open && !lone_agent && !public_label).then_some(Found {
        from: at,
        to: at + key,
        mask: SESSION_KEY,
    })
}

/// The credential after `Bearer ` or `Basic `.
fn credential_after_scheme(text: &str, at: usize) -> Option<Found> {
    if word_before(text, at) {
        return None;
    }
    let from = at + SCHEMES.iter().find_map(|scheme| prefix_of(&text[at..], scheme))?;
    let to = from + run(&text[from..], |c| !ends_a_value(c));
    // `bearer of news` is a phrase: a credential is longer than most words, or contains more than letters.
    let value = &text[from..to];
    let phrase = value.len() < PROVIDER_KEY_CHARS && value.chars().all(char::is_alphabetic);
    (!phrase).then_some(Found { from, to, mask: MASK })
}

/// `serviceToken: "…"`, `"token":"…"`, `\"apiKey\":\"…\"`, `GH_TOKEN=…`.
fn named_secret_at(text: &str, at: usize) -> Option<Found> {
    let name = SECRET_NAMES.iter().find_map(|name| prefix_of(&text[at..], name))?;
    let mut from = at + name;
    from += run(&text[from..], |c| matches!(c, '"' | '\'' | '`' | '\\'));
    from += run(&text[from..], |c| c == ' ');
    from += run(&text[from..], |c| matches!(c, ':' | '=')).min(1);
    if !text[..from].ends_with([':', '=']) {
        return None;
    }
    from += run(&text[from..], |c| c == ' ');
    let escapes = run(&text[from..], |c| c == '\\');
    from += escapes;
    let quote = text[from..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let to = match quote {
        Some(quote) => {
            from += 1;
            from + quoted(&text[from..], quote, escapes)
        }
        // `authorization: Convex prod:abc` contains a blank. A header ends with its line.
        None if text[at..].len() >= 13 && prefix_of(&text[at..], "authorization").is_some() => {
            from + run(&text[from..], |c| !matches!(c, '\r' | '\n'))
        }
        None => from + run(&text[from..], |c| !ends_a_value(c)),
    };
    (to > from).then_some(Found { from, to, mask: MASK })
}

/// `https://user:password@host`.
fn password_in_address(text: &str, at: usize) -> Option<Found> {
    let from = at + prefix_of(&text[at..], "://")?;
    let to = from + text[from..].find('@')?;
    let plain = text[from..to].chars().all(|c| !c.is_whitespace() && !matches!(c, '/' | '"' | '<' | '>'));
    (plain && to > from).then_some(Found { from, to, mask: MASK })
}

/// The length of `prefix` if the text starts with it, in any case.
fn prefix_of(text: &str, prefix: &str) -> Option<usize> {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)).then_some(prefix.len())
}

/// The length in bytes of the leading characters of this kind.
fn run(text: &str, kind: impl Fn(char) -> bool) -> usize {
    text.find(|c| !kind(c)).unwrap_or(text.len())
}

/// The length in bytes up to the closing quote: the first with no more backslashes before it than the opening quote had.
/// `"a\"b"` is thus one value, and so is `\"a\"` inside JSON text. A value ends at the latest with its line.
fn quoted(text: &str, quote: char, escapes: usize) -> usize {
    let mut backslashes = 0;
    for (at, c) in text.char_indices() {
        match c {
            '\\' => backslashes += 1,
            '\n' => return at,
            c if c == quote && backslashes <= escapes => return at - backslashes,
            _ => backslashes = 0,
        }
    }
    text.len()
}

fn ends_a_value(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '"' | '\'' | '`' | '\\' | ',' | ';' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '&'
        )
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether this position continues a word. The end of an escape (`\n`, `\u000a`, `%0A`) is not part of a word.
fn word_before(text: &str, at: usize) -> bool {
    let before = &text[..at];
    before.ends_with(is_word) && !ends_with_escape(before.as_bytes())
}

fn ends_with_escape(before: &[u8]) -> bool {
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_hexdigit);
    match before {
        [.., b'\\', letter] => b"nrtbf".contains(letter),
        [.., b'%', high, low] => digits(&[*high, *low]),
        [.., b'\\', b'u', a, b, c, d] => digits(&[*a, *b, *c, *d]),
        _ => false,
    }
}
