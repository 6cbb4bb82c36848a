//! Lines of structure that no other author can write, and foreign words among our own.

use std::borrow::Cow;

use mcr_model::limits;

/// Replaces the mark of the request in a foreign text. It shares no character with a mark, so no new mark can
/// form around it.
const TAKEN_OUT: &str = "(…)";

/// The mark of one request.
#[derive(Clone, Copy)]
pub struct PromptFence<'a>(pub &'a str);

impl PromptFence<'_> {
    /// A line of structure, `<<mark words>>`. The words are ours.
    pub fn line(self, words: &str) -> String {
        format!("<<{} {words}>>", self.0)
    }

    /// A foreign text without the mark, in any case of its letters.
    pub fn clean(self, text: &str) -> Cow<'_, str> {
        let mark = self.0.to_ascii_lowercase();
        let lower = text.to_ascii_lowercase();
        if mark.is_empty() || !lower.contains(&mark) {
            return Cow::Borrowed(text);
        }
        // Lower-casing ASCII keeps all positions, so a position found in one text is valid in the other.
        let mut clean = String::with_capacity(text.len());
        let mut from = 0;
        for (at, _) in lower.match_indices(&mark) {
            clean.push_str(&text[from..at]);
            clean.push_str(TAKEN_OUT);
            from = at + mark.len();
        }
        clean.push_str(&text[from..]);
        Cow::Owned(clean)
    }

    /// A foreign text as one short line, safe between quotation marks.
    pub fn one_line(self, text: &str, chars_max: usize) -> String {
        let plain: String = text
            .chars()
            .map(|c| if c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c) { ' ' } else { c })
            .map(|c| if ['"', '“', '”'].contains(&c) { '\'' } else { c })
            .collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        // Cleaned last, because removing characters may form a mark.
        shortened(&self.clean(&words.join(" ")), chars_max)
    }
}

/// The beginning of a text, with `…` where it was cut (PR-3).
pub fn shortened(text: &str, chars_max: usize) -> String {
    if limits::chars(text) <= chars_max {
        return text.to_owned();
    }
    format!("{}…", beginning(text, chars_max.saturating_sub(1)).trim_end())
}

/// The longest beginning that fits.
pub fn beginning(text: &str, chars_max: usize) -> &str {
    let mut used = 0;
    let too_far = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > chars_max
    });
    too_far.map_or(text, |(at, _)| &text[..at])
}

/// The longest end that fits.
pub fn ending(text: &str, chars_max: usize) -> &str {
    let mut used = 0;
    let too_far = text.char_indices().rev().find(|(_, c)| {
        used += c.len_utf16();
        used > chars_max
    });
    too_far.map_or(text, |(at, c)| &text[at + c.len_utf8()..])
}
