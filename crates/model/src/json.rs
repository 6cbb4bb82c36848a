//! Repairs JSON that other programs wrote.
//!
//! JavaScript writes a lone half of a surrogate pair (`"\ud83d"`) where it cuts an emoji. That is not valid Unicode, so a
//! strict parser rejects the whole text. Every reader of foreign JSON first passes it through [`text`] or [`bytes`].
//! They replace each lone half by U+FFFD. An escape in a nested JSON text (`\\ud83d`) belongs to that text and stays
//! until the nested text is read.

use std::borrow::Cow;

/// The escape of U+FFFD. It has the length of the escape that it replaces.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// Replaces lone surrogates. Takes linear time and copies the text only if it contains some.
pub fn bytes(json: &[u8]) -> Cow<'_, [u8]> {
    let mut repaired = Cow::Borrowed(json);
    let mut from = 0;
    while let Some(at) = next_lone(&repaired, from) {
        from = at + REPLACEMENT.len();
        repaired.to_mut()[at..from].copy_from_slice(REPLACEMENT);
    }
    repaired
}

/// [`bytes`] for a `str`.
pub fn text(json: &str) -> Cow<'_, str> {
    match bytes(json.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(json),
        Cow::Owned(repaired) => Cow::Owned(String::from_utf8(repaired).expect("ASCII was replaced by ASCII")),
    }
}

/// The position of the next escaped lone surrogate. `from` is not inside an escape.
fn next_lone(json: &[u8], mut from: usize) -> Option<usize> {
    while let Some(found) = json.get(from..)?.iter().position(|byte| *byte == b'\\') {
        let at = from + found;
        from = match (surrogate(json, at), surrogate(json, at + 6)) {
            (Some(Half::High), Some(Half::Low)) => at + 12,
            (Some(_), _) => return Some(at),
            // The escaped character is not a backslash that starts another escape.
            (None, _) => at + 2,
        };
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    High,
    Low,
}

/// Which half of a pair this escape encodes, if any.
fn surrogate(json: &[u8], at: usize) -> Option<Half> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let is_hex = digits[2..].iter().all(u8::is_ascii_hexdigit);
    match digits[..2].to_ascii_lowercase().as_slice() {
        [b'd', b'8' | b'9' | b'a' | b'b'] if is_hex => Some(Half::High),
        [b'd', b'c'..=b'f'] if is_hex => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn replaces_only_lone_surrogates() {
        let rows = [
            (r#""plain \n \u00e9""#, r#""plain \n \u00e9""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\uD83D\uDE00""#, r#""\uD83D\uDE00""#),
            (r#""cut\ud83d""#, r#""cut\ufffd""#),
            (r#""\ude00cut""#, r#""\ufffdcut""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\n\ude00""#, r#""\ufffd\n\ufffd""#),
            (r#"["\ud83d","\ude00"]"#, r#"["\ufffd","\ufffd"]"#),
            (r#"{"\udBFF":1}"#, r#"{"\ufffd":1}"#),
            // An escaped backslash starts no escape. Three backslashes do.
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\\\\ud83d""#, r#""\\\\ud83d""#),
            // An invalid escape stays, so that the parser rejects it.
            (r#""\ud8""#, r#""\ud8""#),
            (r#""\ud83g""#, r#""\ud83g""#),
            ("\\", "\\"),
            ("", ""),
        ];
        for (json, expected) in rows {
            assert_eq!(text(json), expected, "{json}");
            assert_eq!(&*bytes(json.as_bytes()), expected.as_bytes(), "{json}");
        }
        assert!(matches!(text(r#""\ud83d\ude00""#), Cow::Borrowed(_)));
        assert!(matches!(bytes(b"\"\xff\xfe\""), Cow::Borrowed(_)), "broken UTF-8 is the reader's to refuse");
    }

    /// Quadratic time would be hours.
    #[test]
    fn repairs_many_lone_surrogates_in_linear_time() {
        let json = format!("\"{}\"", r"\ud83d".repeat(1_000_000));
        assert!(!text(&json).contains("ud83d"));
    }

    /// UTF-16 code units of a text that JavaScript may have cut anywhere.
    fn units() -> impl Strategy<Value = Vec<u16>> {
        let unit = prop_oneof![
            Just(u16::from(b'\\')),
            Just(u16::from(b'"')),
            Just(u16::from(b'u')),
            0xd800_u16..0xe000,
            any::<u16>()
        ];
        prop::collection::vec(unit, 0..40)
    }

    proptest! {
        /// Matches `String.prototype.toWellFormed` of JavaScript: the same text with U+FFFD for each lone half.
        #[test]
        fn reads_any_javascript_text(units in units()) {
            let mut json = String::from("\"");
            for unit in &units {
                let plain = char::from_u32(u32::from(*unit));
                let written = plain.filter(|c| !c.is_control() && !"\\\"".contains(*c));
                json += &written.map_or_else(|| format!("\\u{unit:04x}"), String::from);
            }
            json.push('"');
            let read: String = serde_json::from_str(&text(&json)).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn keeps_the_meaning_of_valid_json(json in prop::collection::vec(
            prop::sample::select(vec!["\"", "\\", "u", "d83d", "\\ude00", "[", "]", ",", "a", "\\\\"]), 0..20)
        ) {
            let json = json.concat();
            let strict: Result<Value, _> = serde_json::from_str(&json);
            if let Ok(strict) = strict {
                prop_assert_eq!(serde_json::from_str::<Value>(&text(&json)).unwrap(), strict);
            }
        }
    }
}
