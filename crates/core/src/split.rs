//! Splits a reply that exceeds the length of a message into several parts, in order.
//!
//! A part ends, by preference, at a blank line, then at the end of a line, of a sentence, of a word, or
//! between characters. A border counts if the part is then at least half full. A fenced code block stays
//! whole if it fits into one part. Otherwise the part closes the fence and the next part opens it again, so
//! that each part renders correctly. Only blanks at the cuts are lost, and inside code only the line break at
//! the cut.
//!
//! Characters are UTF-16 units, as everywhere with the backend; a surrogate pair is one character and never
//! split.

use mcr_model::limits::chars;

/// A fence whose lines take more than this share of a part (a half) does not count as a fence: it would leave
/// no room for code.
const FENCE_SHARE: usize = 2;

/// Splits a text into parts of at most `chars_max` characters (at least 2, the longest character). A text
/// that fits is a single, unchanged part; a blank text has no parts.
pub fn split(text: &str, chars_max: usize) -> Vec<String> {
    let max = chars_max.max(2);
    let mut parts = Vec::new();
    let mut rest = text;
    let mut reopened: Option<CodeFence<'_>> = None;
    loop {
        let head = reopened.map_or(String::new(), |fence| format!("{}\n", fence.opening));
        if chars(&head) + chars(rest) <= max {
            if !rest.trim().is_empty() || reopened.is_some() {
                parts.push(format!("{head}{rest}"));
            }
            return parts;
        }
        let cut = cut(rest, reopened, max - chars(&head), max);
        let content = &rest[..cut.end];
        if !content.trim().is_empty() || reopened.is_some() {
            let tail = cut.inside.map_or(String::new(), |fence| format!("\n{}", fence.marker));
            parts.push(format!("{head}{content}{tail}"));
        }
        rest = &rest[cut.resume..];
        reopened = cut.inside;
    }
}

/// An open code block.
#[derive(Clone, Copy)]
struct CodeFence<'a> {
    /// The opening line, without indentation.
    opening: &'a str,
    /// The run of back-ticks or tildes at its beginning.
    marker: &'a str,
}

impl<'a> CodeFence<'a> {
    /// The fence that a line opens, by the rules of `CommonMark`.
    fn opened_by(line: &'a str, max: usize) -> Option<Self> {
        let opening = unindented(line)?.trim_end();
        let mark = opening.chars().next().filter(|c| ['`', '~'].contains(c))?;
        let marker = &opening[..opening.len() - opening.trim_start_matches(mark).len()];
        let info = &opening[marker.len()..];
        let is_fence = marker.len() >= 3 && !(mark == '`' && info.contains('`'));
        let costs = chars(opening) + chars(marker) + 2;
        (is_fence && costs <= max / FENCE_SHARE).then_some(Self { opening, marker })
    }

    fn is_closed_by(self, line: &str) -> bool {
        unindented(line).is_some_and(|line| {
            let mark = &self.marker[..1];
            let run = line.trim_end();
            run.len() >= self.marker.len() && run.trim_start_matches(mark).is_empty()
        })
    }

    /// The cost of closing the fence at the end of a part.
    fn closing(self) -> usize {
        self.marker.len() + 1
    }
}

/// A line without up to three leading blanks; more would make it indented code.
fn unindented(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(' ');
    (line.len() - text.len() <= 3).then_some(text)
}

/// The end of one part and the beginning of the next.
struct Cut<'a> {
    end: usize,
    resume: usize,
    /// The fence that is cut.
    inside: Option<CodeFence<'a>>,
}

/// The borders found so far within the room.
#[derive(Default)]
struct Borders {
    paragraph: Option<usize>,
    line: Option<usize>,
    /// In the open code block.
    in_code: Option<usize>,
}

/// Finds the cut of a text that does not fit. `room` is the space left in this part, `max` the size of a
/// whole part.
fn cut<'a>(text: &'a str, reopened: Option<CodeFence<'a>>, room: usize, max: usize) -> Cut<'a> {
    // The open fence, and where it was opened.
    let mut fence = reopened.map(|fence| (fence, 0));
    let mut just_opened = false;
    let (mut seen, mut full_enough) = (Borders::default(), Borders::default());
    let (mut at, mut used) = (0_usize, 0_usize);
    let mut line_before = "";
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches('\n');
        // The border before this line: the line break does not belong to the text before it.
        let before = used.saturating_sub(1);
        if before > room {
            break;
        }
        if at > 0 {
            let mut note = |place: fn(&mut Borders) -> &mut Option<usize>| {
                *place(&mut seen) = Some(at);
                if before * 2 >= room {
                    *place(&mut full_enough) = Some(at);
                }
            };
            match fence {
                None if line_before.trim().is_empty() || bare.trim().is_empty() => note(|b| &mut b.paragraph),
                None => note(|b| &mut b.line),
                Some((open, _)) => {
                    let has_code = !just_opened && !open.is_closed_by(bare);
                    if has_code && before + open.closing() <= room {
                        note(|b| &mut b.in_code);
                    }
                }
            }
        }
        let fits = used + chars(bare) <= room;
        just_opened = false;
        fence = match fence {
            Some((open, _)) if fits && open.is_closed_by(bare) => None,
            Some(open) => Some(open),
            None => {
                just_opened = true;
                seen.in_code = None;
                CodeFence::opened_by(bare, max).map(|open| (open, at))
            }
        };
        if !fits {
            break;
        }
        at += line.len();
        used += chars(line);
        line_before = bare;
    }
    if let Some(at) = full_enough.paragraph.or(full_enough.line) {
        return between_lines(text, at);
    }
    match fence {
        Some((open, from))
            if from > 0 && (fits_whole(&text[from..], open, max) || seen.in_code.is_none()) =>
        {
            between_lines(text, from)
        }
        Some((open, _)) => in_code(text, open, seen.in_code, room),
        None => in_prose(text, seen.paragraph.max(seen.line), room),
    }
}

/// Whether a code block, from its opening line on, fits into one part.
fn fits_whole(block: &str, fence: CodeFence<'_>, max: usize) -> bool {
    let mut used = 0;
    for (number, line) in block.split_inclusive('\n').enumerate() {
        used += chars(line);
        if number > 0 && fence.is_closed_by(line.trim_end_matches('\n')) {
            return used - usize::from(line.ends_with('\n')) <= max;
        }
        if used > max + 1 {
            return false;
        }
    }
    used <= max
}

/// A cut between lines drops blank lines; the indentation of the next line stays.
fn between_lines(text: &str, at: usize) -> Cut<'_> {
    let blank = blanks_to_skip(&text[at..]);
    let resume = at + text[at..at + blank].rfind('\n').map_or(0, |end| end + 1);
    Cut { end: text[..at].trim_end().len(), resume, inside: None }
}

/// The blanks before the next word; if that is on another line, up to the beginning of the line.
fn blanks_to_skip(after: &str) -> usize {
    let blank = after.len() - after.trim_start().len();
    after[..blank].rfind('\n').map_or(blank, |end| end + 1)
}

fn in_code<'a>(text: &'a str, fence: CodeFence<'a>, border: Option<usize>, room: usize) -> Cut<'a> {
    let (end, resume) = border.map_or_else(
        || {
            let at = end_of(text, room - fence.closing());
            (at, at)
        },
        |at| (at - 1, at),
    );
    Cut { end, resume, inside: Some(fence) }
}

fn in_prose(text: &str, line_border: Option<usize>, room: usize) -> Cut<'_> {
    let all = end_of(text, room);
    // The character after the room shows whether the last word in the room is complete.
    let next = text[all..].chars().next().map_or(0, char::len_utf8);
    let window = &text[..all + next];
    let half = end_of(text, room / 2);
    let mut sentence = None;
    let mut word = None;
    let mut before = ' ';
    for (at, c) in window.char_indices() {
        if c.is_whitespace() && at > 0 && !before.is_whitespace() {
            word = Some(at);
            if ['.', '!', '?', '…', '。'].contains(&before) {
                sentence = Some(at);
            }
        }
        before = c;
    }
    let full_enough = |border: &usize| *border >= half;
    let (sentence, full_word) = (sentence.filter(full_enough), word.filter(full_enough));
    if let Some(at) = sentence.or(full_word) {
        return Cut { end: at, resume: at + blanks_to_skip(&text[at..]), inside: None };
    }
    match line_border {
        Some(at) => between_lines(text, at),
        None => Cut { end: all, resume: all, inside: None },
    }
}

/// The byte offset after as many characters as fit into the room.
fn end_of(text: &str, room: usize) -> usize {
    let mut used = 0;
    let too_far = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > room
    });
    too_far.map_or(text.len(), |(at, _)| at)
}
