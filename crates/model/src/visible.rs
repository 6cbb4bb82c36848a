//! Escapes foreign text for terminals, so that a person sees what the text really contains.
//!
//! Control characters drive a terminal, bidirectional controls (U+202E) reorder the display, and invisible characters
//! hide the difference between two names. All of them are escaped visibly.

use std::fmt::Write as _;

/// The longest title that is shown next to an id.
const TITLE_CHARS_MAX: usize = 60;

/// Appends the text on one line. Line ends are escaped too.
pub fn push_line(line: &mut String, text: &str) {
    for c in text.chars() {
        if is_deceptive(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// Escapes text for a terminal. Line ends and tabs stay.
pub fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) && !matches!(c, '\n' | '\t') {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Escapes JSON for a terminal with JSON's own escapes. The values stay the same.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) && !matches!(c, '\n' | '\t' | '\r') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a `String` cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A title as it stands next to an id: on one line, without deceptive characters, and not long.
pub fn title(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_deceptive(*c));
    let plain: String = plain.collect();
    let words: Vec<&str> = plain.split(' ').filter(|word| !word.is_empty()).collect();
    let mut chars = words.join(" ").chars().collect::<Vec<_>>();
    if chars.len() > TITLE_CHARS_MAX {
        chars.truncate(TITLE_CHARS_MAX - 1);
        chars.push('…');
    }
    chars.into_iter().collect()
}

/// Whether a reader sees something other than this character, or nothing.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Soft hyphen, and letters without a glyph.
            '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
            // Controls of direction and joining, line and paragraph separators, invisible operators.
            | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotations, tags.
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_only_deceptive_characters() {
        let mut line = String::new();
        push_line(&mut line, "a\u{202e}b\n\u{1b}[31m\u{9b}c\u{200b}");
        assert_eq!(line, "a\\u{202e}b\\n\\u{1b}[31m\\u{9b}c\\u{200b}");
        assert_eq!(lines("a\tb\nc\r\u{2066}"), "a\tb\nc\\r\\u{2066}");
        let plain = "grüße – 你好 🎉 שלום é\u{fe0f}";
        assert_eq!((lines(plain), json(plain)), (plain.to_owned(), plain.to_owned()));
    }

    #[test]
    fn a_title_is_one_short_plain_line() {
        let rows = [
            ("Fix the page", "Fix the page"),
            (" Fix\n\tthe\r\n page ", "Fix the page"),
            ("\u{1b}[31mred\u{202e}\u{200b}\u{9b}", "[31mred"),
            ("<b>grüße</b>", "<b>grüße</b>"),
            ("\u{2066}\u{feff}", ""),
        ];
        for (text, shown) in rows {
            assert_eq!(title(text), shown, "{text:?}");
        }
        let long = title(&"ä".repeat(100));
        assert!(long.chars().count() == TITLE_CHARS_MAX && long.ends_with('…'), "{long}");
    }

    #[test]
    fn escaping_json_keeps_its_values() {
        let value = serde_json::json!({"a\u{202e}": "x\u{85}\u{e0041}\ny\u{1b}"});
        for text in [value.to_string(), format!("{value:#}\n")] {
            let shown = json(&text);
            assert!(!shown.trim_end().chars().any(|c| c != '\n' && is_deceptive(c)), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}
