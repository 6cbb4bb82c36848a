//! The space in a briefing, and the foreign texts that share it.

use super::fence::{PromptFence, beginning, ending};
use mcr_model::limits::chars;

/// A cut text shorter than this is useless and is left out.
const LEAST_SHOWN: usize = 200;

/// The characters that are left.
pub(super) struct Room(pub(super) usize);

impl Room {
    /// Takes the space for a text and its line break; returns `false` if there is not enough.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let wanted = chars(text) + 1;
        let enough = wanted <= self.0;
        if enough {
            self.0 -= wanted;
        }
        enough
    }
}

/// A foreign text between its two lines of structure.
pub(super) struct Block<'a> {
    /// The title, in our words.
    pub(super) title: &'a str,
    /// One line of foreign text that must be visible even if the text is cut.
    pub(super) head: Option<String>,
    /// The foreign text.
    pub(super) text: &'a str,
    /// Our lines about it that must be visible even if the text is cut.
    pub(super) foot: Option<String>,
    /// The most characters that are shown.
    pub(super) chars_max: usize,
    /// Whether its end matters as much as its beginning; then the middle is cut.
    pub(super) keeps_end: bool,
}

impl Block<'_> {
    /// The block, as far as there is space; `None` if only a useless piece would fit.
    pub(super) fn write(&self, fence: PromptFence<'_>, room: &mut Room) -> Option<String> {
        let clean = fence.clean(self.text);
        let text = match (clean.trim(), &self.foot) {
            ("", None) => "(empty)",
            ("", Some(_)) => "(no text)",
            (text, _) => text,
        };
        let (open, close) = (fence.line(self.title), fence.line("end"));
        let head = self.head.as_ref().map_or(String::new(), |head| format!("{head}\n"));
        let close = self.foot.as_ref().map_or_else(|| close.clone(), |foot| format!("{foot}\n{close}"));
        let around = chars(&open) + chars(&head) + chars(&close) + 2;
        let length = chars(text);
        let left = room.0.saturating_sub(around + 1);
        let written = if length <= self.chars_max.min(left) {
            format!("{open}\n{head}{text}\n{close}")
        } else {
            // At least as long as any such line for this text.
            let longest = chars(&cut_line(fence, length, length)) + 1;
            let shown = self.chars_max.min(left.saturating_sub(longest + 1));
            if shown < LEAST_SHOWN {
                return None;
            }
            let end = if self.keeps_end { ending(text, shown / 3).trim_start() } else { "" };
            let begin = beginning(text, shown - chars(end)).trim_end();
            let cut = cut_line(fence, length - chars(begin) - chars(end), length);
            let end = if end.is_empty() { String::new() } else { format!("{end}\n") };
            format!("{open}\n{head}{begin}\n{cut}\n{end}{close}")
        };
        room.take(&written).then_some(written)
    }
}

fn cut_line(fence: PromptFence<'_>, missing: usize, length: usize) -> String {
    fence.line(&format!("cut: {missing} of {length} characters are missing here"))
}

/// A block of as many lines as fit; `None` if not even the first one fits.
pub(super) fn list(fence: PromptFence<'_>, title: &str, lines: &[String], room: &mut Room) -> Option<String> {
    let (open, close) = (fence.line(title), fence.line("end"));
    let more = |count: usize| fence.line(&format!("cut: {count} more are missing here"));
    let around = chars(&open) + chars(&close) + chars(&more(lines.len())) + 2;
    let mut left = Room(room.0.saturating_sub(around + 1));
    let fitting = lines.iter().take_while(|line| left.take(line)).count();
    if fitting == 0 {
        return None;
    }
    let mut written = vec![open];
    written.extend_from_slice(&lines[..fitting]);
    if fitting < lines.len() {
        written.push(more(lines.len() - fitting));
    }
    written.push(close);
    let written = written.join("\n");
    room.take(&written).then_some(written)
}
