//! JSON that other programs wrote, made readable.
//!
//! JavaScript writes a lone half of a surrogate pair (`"\ud83d"`) where it cuts an emoji. That is no Unicode, so a
//! strict reader refuses the whole text. Every reader of foreign JSON passes the text through [`text`] or [`bytes`]
//! first, which put U+FFFD in place of each lone half. An escape in a nested JSON text (`\\ud83d`) belongs to that text
//! and stays until the nested text is read.

use std::borrow::Cow;

/// The escape of U+FFFD, as long as the escape that it replaces.
const REPLACEMENT: &[u8; 6] = b"\\ufffd";

/// JSON without lone surrogates. Takes linear time, and copies only a text that has some.
pub fn bytes(json: &[u8]) -> Cow<'_, [u8]> {
    let mut mended = Cow::Borrowed(json);
    let mut from = 0;
    while let Some(at) = next_lone(&mended, from) {
        from = at + REPLACEMENT.len();
        mended.to_mut()[at..from].copy_from_slice(REPLACEMENT);
    }
    mended
}

/// [`bytes`] for a text.
pub fn text(json: &str) -> Cow<'_, str> {
    match bytes(json.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(json),
        Cow::Owned(mended) => Cow::Owned(String::from_utf8(mended).expect("ASCII was replaced by ASCII")),
    }
}

/// Where the next escape of a lone surrogate begins. `from` is not inside an escape.
fn next_lone(json: &[u8], mut from: usize) -> Option<usize> {
    while let Some(found) = json.get(from..)?.iter().position(|byte| *byte == b'\\') {
        let at = from + found;
        from = match (surrogate(json, at), surrogate(json, at + 6)) {
            (Some(Half::High), Some(Half::Low)) => at + 12,
            (Some(_), _) => return Some(at),
            // The escaped character is no backslash that begins an escape of its own.
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

/// Which half of a pair is escaped here, if one is.
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
    fn only_lone_halves_are_replaced() {
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
            // A backslash that is escaped begins no escape; three of them do.
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d""#, r#""\\\ufffd""#),
            (r#""\\\\ud83d""#, r#""\\\\ud83d""#),
            // What is no escape stays for the reader to refuse.
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
    fn a_text_full_of_halves_takes_linear_time() {
        let json = format!("\"{}\"", r"\ud83d".repeat(1_000_000));
        assert!(!text(&json).contains("ud83d"));
    }

    /// Pieces of a text that JavaScript may have cut anywhere.
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
        /// As `String.prototype.toWellFormed` of JavaScript: the text is the same, with U+FFFD for each lone half.
        #[test]
        fn any_text_of_javascript_is_read(units in units()) {
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
        fn whatever_a_strict_reader_takes_means_the_same(json in prop::collection::vec(
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
