//! Numbers as the backend writes them: all are floats, and whole ones arrive as `3.0`.
//!
//! [`whole`] and [`optional`] are for `#[serde(with = …)]` on whole-number fields. A fractional number is an error where
//! it matters. Only timestamps (`_creationTime` is fractional) are truncated to the millisecond.

use serde::de::{DeserializeOwned, Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::clock::Millis;

/// Whole numbers below this are exact in the backend's floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number that may arrive as `3` or `3.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Whole(i64);

struct Reader {
    fractions: bool,
}

impl Visitor<'_> for Reader {
    type Value = Whole;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
        Ok(Whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
        i64::try_from(value).map(Whole).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
        if value.abs() > EXACT || !(value.fract() == 0.0 || self.fractions) {
            return Err(E::invalid_value(Unexpected::Float(value), &self));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, as checked above")]
        Ok(Whole(value.floor() as i64))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader { fractions: false })
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader { fractions: true }).map(|whole| Self(whole.0))
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(self.0)
    }
}

/// A required whole number.
pub fn whole<'de, D: Deserializer<'de>, T: TryFrom<i64>>(from: D) -> Result<T, D::Error> {
    let Whole(value) = Whole::deserialize(from)?;
    T::try_from(value).map_err(|_| D::Error::invalid_value(Unexpected::Signed(value), &"a number in range"))
}

/// A number that the backend does not check and that nothing depends on. An unusable value counts as absent, so that one
/// odd value does not make a whole list unreadable. Use with `#[serde(default)]`.
pub fn unchecked<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).ok())
}

/// An optional whole number. Use with `#[serde(default)]`.
pub fn optional<'de, D: Deserializer<'de>, T: TryFrom<i64>>(from: D) -> Result<Option<T>, D::Error> {
    let Some(Whole(value)) = Option::<Whole>::deserialize(from)? else { return Ok(None) };
    let fits = T::try_from(value);
    fits.map(Some).map_err(|_| D::Error::invalid_value(Unexpected::Signed(value), &"a number in range"))
}

/// Writes a whole number without `.0`, as people and models do.
pub fn plain<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, as checked above")]
        return to.serialize_i64(*number as i64);
    }
    to.serialize_f64(*number)
}

/// [`plain`] for an optional number. Use with `skip_serializing_if`.
pub fn optional_plain<S: Serializer>(number: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => plain(number, to),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Counted {
        #[serde(deserialize_with = "whole")]
        count: u32,
        #[serde(default, deserialize_with = "optional")]
        pr: Option<i64>,
        #[serde(default)]
        at: Millis,
    }

    #[test]
    fn reads_whole_numbers_from_floats() {
        let rows = [
            (r#"{"count":3}"#, Some((3, None, 0))),
            (r#"{"count":3.0}"#, Some((3, None, 0))),
            (r#"{"count":3e2,"pr":65.0}"#, Some((300, Some(65), 0))),
            (r#"{"count":0,"pr":null}"#, Some((0, None, 0))),
            (r#"{"count":1,"at":1750222681271.6697}"#, Some((1, None, 1_750_222_681_271))),
            (r#"{"count":1,"at":1750222681271.0,"new":[1]}"#, Some((1, None, 1_750_222_681_271))),
            (r#"{"count":-1}"#, None),
            (r#"{"count":3.5}"#, None),
            (r#"{"count":"3"}"#, None),
            (r#"{"count":4294967296.0}"#, None),
            (r#"{"count":18446744073709551615}"#, None),
            (r#"{"count":1e300}"#, None),
            (r#"{"count":1,"pr":0.5}"#, None),
            (r#"{"count":1,"at":"NaN"}"#, None),
            ("{}", None),
        ];
        for (text, expected) in rows {
            let read = serde_json::from_str::<Counted>(text).ok();
            assert_eq!(read.map(|c| (c.count, c.pr, c.at.0)), expected, "{text}");
        }
    }
}
