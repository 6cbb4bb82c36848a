//! The known values in the forms in which they travel, and where they are in a text.

use std::sync::Arc;

use super::{ANYWHERE_BYTES, CUT, Found, MASK, WORTH_HIDING_BYTES, is_word, word_before};
use crate::secret::Secret;

/// The known values, as one text is cleaned.
pub(super) struct Known(pub(super) Arc<[Secret]>);

impl Known {
    /// Extends a match over a known value that starts in it and ends behind it. `Bearer a,b` would otherwise end at the
    /// comma.
    pub(super) fn whole(&self, text: &str, found: Found) -> Found {
        let starts = text[found.from..found.to].char_indices().map(|(offset, _)| found.from + offset);
        let end = starts.filter_map(|at| self.found_at(text, at)).map(|known| known.to).max();
        Found { to: found.to.max(end.unwrap_or(0)), ..found }
    }

    /// The known value that starts here.
    pub(super) fn found_at(&self, text: &str, at: usize) -> Option<Found> {
        let rest = &text[at..];
        let known = || self.0.iter().map(Secret::expose);
        let whole = known().find(|value| {
            let is_whole_word = || !word_before(text, at) && !rest[value.len()..].starts_with(is_word);
            rest.starts_with(value) && (value.len() >= ANYWHERE_BYTES || is_whole_word())
        });
        let bytes = whole.map(str::len).or_else(|| known().find_map(|value| cut_off(rest, value)))?;
        Some(Found { from: at, to: at + bytes, mask: MASK })
    }
}

/// The length of a known value's start before a cut: at the end of a text, or before `…`.
fn cut_off(rest: &str, value: &str) -> Option<usize> {
    let (rest, value) = (rest.as_bytes(), value.as_bytes());
    if !rest.starts_with(value.get(..ANYWHERE_BYTES)?) {
        return None;
    }
    let common = rest.iter().zip(value).take_while(|(one, other)| one == other).count();
    let rest_after = &rest[common..];
    (rest_after.is_empty() || rest_after.starts_with(CUT.as_bytes())).then_some(common)
}

/// The forms in which these values travel.
pub(super) fn forms_of<'a>(known: impl IntoIterator<Item = &'a Secret>) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    for secret in known {
        let value = secret.expose().trim();
        forms.push(value.to_owned());
        // The last part of a service token alone opens the account: its account part is public.
        forms.extend(
            value
                .strip_prefix("mc_service_")
                .and_then(|rest| rest.split_once('_'))
                .map(|(_, s)| s.to_owned()),
        );
    }
    forms.retain(|form| form.len() >= WORTH_HIDING_BYTES);
    for at in 0..forms.len() {
        let quoted = json_escaped(&forms[at]);
        // JSON text inside JSON text is escaped twice.
        let address = percent_encoded(&forms[at]);
        let ascii = quoted.chars().map(ascii_escaped).collect();
        let slashed = quoted.replace('/', "\\/");
        forms.extend([json_escaped(&quoted), quoted, ascii, slashed, lower_escapes(&address), address]);
    }
    forms
}

/// The value as JSON text contains it.
fn json_escaped(value: &str) -> String {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// The character as a JSON writer that emits only ASCII escapes it.
fn ascii_escaped(c: char) -> String {
    if c.is_ascii() {
        return c.to_string();
    }
    c.encode_utf16(&mut [0; 2]).iter().fold(String::new(), |text, unit| text + &format!("\\u{unit:04x}"))
}

/// The address with lower-case escapes: `%2f` instead of `%2F`.
fn lower_escapes(address: &str) -> String {
    let mut parts = address.split('%');
    let head = parts.next().unwrap_or_default().to_owned();
    parts.fold(head, |text, part| {
        let (digits, rest) = part.split_at(part.len().min(2));
        text + "%" + &digits.to_ascii_lowercase() + rest
    })
}

/// The value as an address contains it.
fn percent_encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let encoded = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(encoded).collect()
}
