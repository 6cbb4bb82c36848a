//! Numbers as callers write them: plain, or, where JSON has no word for it, as `{"$float": base64}`
//! (convex-http-api A.4).

use serde::Deserialize;
use serde_json::Value;

/// The bytes of a base64 text, strict about its alphabet and its padding.
pub(super) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if text.len() % 4 != 0 {
        return None;
    }
    let padding = text.iter().rev().take_while(|c| **c == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in &text[..text.len() - padding] {
        let sextet = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(sextet);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(out)
}

/// The number that a value stands for, if it stands for one.
pub(super) fn read(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return Some(number);
    }
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let bytes = base64_decode(fields.get("$float")?.as_str()?)?;
    Some(f64::from_le_bytes(bytes.try_into().ok()?))
}

/// For `#[serde(deserialize_with)]` on an optional number of a request.
pub(super) fn optional<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(read(&Value::deserialize(from)?))
}

/// The same for a number that is to be stored: rows are JSON, which has no word for those that are not finite, so such
/// a one counts as absent.
pub(super) fn finite<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(optional(from)?.filter(|number| number.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_read_in_both_spellings() {
        let rows = [
            (json!(5), Some(5.0)),
            (json!(5.5), Some(5.5)),
            (json!({"$float": "AAAAAAAA8D8="}), Some(1.0)),
            (json!({"$float": "AAAAAAAA8H8="}), Some(f64::INFINITY)),
            (json!({"$float": "AAAAAAAA8D8"}), None),
            (json!({"$float": "AAAA"}), None),
            (json!({"$integer": "AAAAAAAA8D8="}), None),
            (json!("5"), None),
            (json!(null), None),
        ];
        for (value, expected) in rows {
            assert_eq!(read(&value), expected, "{value}");
        }
    }
}
