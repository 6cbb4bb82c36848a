//! Preserves fields that a newer version has written. This version does not interpret them, and writes them back
//! unchanged.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

/// Fields that this version does not know, in their order. They are written back with their object, so that the newer
/// version finds them. Fields that any version of this program wrote come back byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownFields(Vec<(String, Json)>);

impl UnknownFields {
    /// The fields of a JSON object. Empty if the text is not an object.
    pub fn of(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a field has this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Removes a field and returns its value.
    pub fn take(&mut self, name: &str) -> Option<serde_json::Value> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        serde_json::to_value(self.0.remove(at).1).ok()
    }

    /// The fields whose names the other object does not have.
    #[must_use]
    pub fn without(mut self, known: &Self) -> Self {
        self.0.retain(|(name, _)| !known.has(name));
        self
    }

    /// Adds those fields of another object whose names are not taken.
    pub fn add(&mut self, others: Self) {
        let others = others.without(self);
        self.0.extend(others.0);
    }

    /// The JSON of an object with these fields appended to its own.
    pub fn append_to(&self, object: String) -> String {
        let (Some(own), false) = (object.strip_suffix('}'), self.is_empty()) else { return object };
        let fields = serde_json::to_string(self).expect("fields of JSON are always JSON");
        let comma = if own.trim_end().ends_with('{') { "" } else { "," };
        format!("{own}{comma}{}", &fields[1..])
    }
}

/// Adds unknown fields to a part of a record whose type has no place for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithUnknown<T> {
    /// The part itself.
    #[serde(flatten)]
    pub known: T,
    /// The fields that this version does not know.
    #[serde(flatten)]
    pub extra: UnknownFields,
}

impl<T> From<T> for WithUnknown<T> {
    fn from(known: T) -> Self {
        Self { known, extra: UnknownFields::default() }
    }
}

impl<T> Deref for WithUnknown<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.known
    }
}

impl<T> DerefMut for WithUnknown<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.known
    }
}

/// A JSON value. `serde_json::Value` is not used because it would sort the fields of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    Object(UnknownFields),
}

impl Serialize for UnknownFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for UnknownFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = UnknownFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UnknownFields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(UnknownFields(fields))
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(values) => values.serialize(serializer),
            Self::Object(fields) => fields.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json, A::Error> {
        FieldsVisitor.visit_map(map).map(Json::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Known {
        input: u64,
        output: u64,
    }

    /// An object as `serde_json` writes structs and maps: any order of fields, every kind of value.
    const FIELDS: &str = r#"{"z":1,"a":{"d":[1,-2,0.1,1e-7,1.7976931348623157e+308,18446744073709551615,null,true],"b":"\"ü\n","a":{}},"m":[]}"#;

    #[test]
    fn fields_come_back_byte_for_byte_in_their_order() {
        assert_eq!(serde_json::to_string(&UnknownFields::of(FIELDS)).unwrap(), FIELDS);
        let spent = format!(r#"{{"input":1,"output":2,{}"#, &FIELDS[1..]);
        let read: WithUnknown<Known> = serde_json::from_str(&spent).unwrap();
        assert_eq!((read.output, serde_json::to_string(&read).unwrap()), (2, spent));
    }

    #[test]
    fn fields_are_appended_to_an_object() {
        let rows = [
            ("{}", r#"{"a":1}"#, r#"{"a":1}"#),
            (r#"{"b":2}"#, r#"{"a":1}"#, r#"{"b":2,"a":1}"#),
            (r#"{"b":2}"#, "{}", r#"{"b":2}"#),
        ];
        for (object, fields, expected) in rows {
            assert_eq!(UnknownFields::of(fields).append_to(object.to_owned()), expected);
        }
    }

    #[test]
    fn an_own_field_wins_over_an_unknown_one_of_its_name() {
        let mut own = UnknownFields::of(r#"{"a":1}"#);
        own.add(UnknownFields::of(r#"{"a":2,"b":3}"#));
        assert_eq!(serde_json::to_string(&own).unwrap(), r#"{"a":1,"b":3}"#);
        assert!(own.has("b") && !own.has("c") && UnknownFields::of("7").is_empty());
    }
}
