//! Extracts the texts from the content of a message.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply::ItemType;

/// The most JSON around the texts of one message.
const PARTS_BYTES: usize = 1024 * 1024;

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// A lower bound of the texts' length after unescaping: a string, or parts with little else.
pub(super) fn shortest(json: &str) -> usize {
    let (mut bytes, mut rest) = (0, json.as_bytes());
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = if rest.get(at + 1) == Some(&b'u') { 6 } else { 2 };
        bytes += at + 1;
        rest = rest.get(at + escape..).unwrap_or_default();
    }
    (bytes + rest.len()).saturating_sub(PARTS_BYTES)
}

/// A string, or the texts of its parts. Parts of other types may have any shape.
pub(super) fn text_of(content: &str) -> Result<String, serde_json::Error> {
    if let Ok(text) = serde_json::from_str::<String>(content) {
        return Ok(text);
    }
    let parts: Vec<&RawValue> = serde_json::from_str(content)?;
    let mut all = String::new();
    for part in parts {
        let kind = serde_json::from_str::<ItemType<'_>>(part.get()).ok().and_then(|kind| kind.r#type);
        if matches!(kind.as_deref(), Some("output_text" | "text")) {
            all.push_str(&serde_json::from_str::<Part<'_>>(part.get())?.text.unwrap_or_default());
        }
    }
    Ok(all)
}
