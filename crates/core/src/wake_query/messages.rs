//! The messages of the sync protocol (convex-http-api B.1): one JSON object each, named by `type`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A point in the backend's history. On the wire it is eight bytes, the lowest first, in base64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(self.0.to_le_bytes()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        let bytes = bytes.try_into().map_err(|_| D::Error::custom("a timestamp has 8 bytes"))?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }
}

/// What client and server have agreed on. Every connection starts at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateVersion {
    pub(super) query_set: u32,
    pub(super) identity: u32,
    pub(super) ts: Timestamp,
}

/// A message of the client.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum ClientMessage<'a> {
    Connect {
        session_id: &'a str,
        connection_count: u32,
        last_close_reason: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        max_observed_timestamp: Option<Timestamp>,
        client_ts: i64,
    },
    ModifyQuerySet {
        base_version: u32,
        new_version: u32,
        modifications: [AddQuery<'a>; 1],
    },
}

/// Adds a query to the set.
#[derive(Serialize)]
#[serde(tag = "type", rename = "Add", rename_all = "camelCase")]
pub(super) struct AddQuery<'a> {
    pub(super) query_id: u32,
    pub(super) udf_path: &'a str,
    pub(super) args: [&'a RawValue; 1],
}

/// A message of the server, as far as a client with one query needs it.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum ServerMessage {
    Transition(Transition),
    TransitionChunk {
        chunk: String,
        part_number: u32,
        total_parts: u32,
        transition_id: String,
    },
    Ping,
    FatalError {
        error: String,
    },
    AuthError {
        error: String,
    },
    /// A message that this client does not need.
    #[serde(other)]
    Other,
}

/// A step from one version to the next.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transition {
    pub(super) start_version: StateVersion,
    pub(super) end_version: StateVersion,
    pub(super) modifications: Vec<Modification>,
}

/// What has become of a query.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Modification {
    QueryUpdated {
        query_id: u32,
        value: Value,
    },
    QueryFailed {
        query_id: u32,
        error_message: String,
        #[serde(default)]
        error_data: Option<Value>,
    },
    QueryRemoved {
        query_id: u32,
    },
    #[serde(other)]
    Other,
}

/// The JSON of a message.
pub(super) fn written(message: &ClientMessage<'_>) -> String {
    serde_json::to_string(message).expect("texts and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_eight_bytes_lowest_first() {
        for (number, text) in [(0, "AAAAAAAAAAA="), (1, "AQAAAAAAAAA="), (u64::MAX, "//////////8=")] {
            assert_eq!(serde_json::to_value(Timestamp(number)).unwrap(), text);
            assert_eq!(serde_json::from_value::<Timestamp>(text.into()).unwrap(), Timestamp(number));
        }
        for bad in ["", "AAAA", "AAAAAAAAAAAA", "!AAAAAAAAAA="] {
            assert!(serde_json::from_value::<Timestamp>(bad.into()).is_err(), "{bad}");
        }
    }
}
