//! Reads the numbers of callers: plain JSON numbers, or `{"$float": base64}` for values that JSON cannot express
//! (convex-http-api A.4).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use serde_json::Value;

/// The number that a value represents, if it represents one.
pub(super) fn read(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return Some(number);
    }
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let bytes = BASE64_STANDARD.decode(fields.get("$float")?.as_str()?).ok()?;
    Some(f64::from_le_bytes(bytes.try_into().ok()?))
}

/// For `#[serde(deserialize_with)]` on an optional number of a request.
pub(super) fn optional<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(read(&Value::deserialize(from)?))
}

/// Like [`optional`], for a number that is stored. Rows are JSON, which cannot express a number that is not finite, so such
/// a number counts as absent.
pub(super) fn finite<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(optional(from)?.filter(|number| number.is_finite()))
}

/// A value for a row, with plain numbers only. `None` if a number is not finite.
pub(super) fn plain(value: &Value) -> Option<Value> {
    if let Some(number) = read(value) {
        return serde_json::Number::from_f64(number).map(Value::Number);
    }
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Some((name.clone(), plain(value)?)));
            fields.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
    }
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
