//! The messages of Convex's sync protocol (convex-http-api B.1), for its clients and for its servers: one JSON object each,
//! named by `type`.
//!
//! Messages and fields that neither of our sides uses are not listed. A reader ignores them.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Number, Value};

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
pub struct StateVersion {
    /// The version of the set of queries.
    pub query_set: u32,
    /// The version of the client's identity.
    pub identity: u32,
    /// The time of the data.
    pub ts: Timestamp,
}

/// A message of the client. It has no `Debug`, because arguments contain tokens.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum ClientMessage {
    /// The first message of a connection.
    Connect {
        /// A UUID, the same for all connections of a client.
        session_id: String,
        /// The number of earlier connections.
        connection_count: u32,
        /// Why the last connection ended, for the server's log.
        last_close_reason: Option<String>,
        /// The highest timestamp of the earlier connections.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_observed_timestamp: Option<Timestamp>,
        /// The client's clock in milliseconds. Browsers send a fraction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_ts: Option<Number>,
    },
    /// Changes the set of queries.
    ModifyQuerySet {
        /// The version of the set before the change.
        base_version: u32,
        /// The version after it: the next number.
        new_version: u32,
        /// The changes, in order.
        modifications: Vec<QueryChange>,
    },
    /// Changes the client's identity.
    Authenticate {
        /// `None`, `User` or `Admin`.
        token_type: String,
        /// The token.
        #[serde(default)]
        value: String,
        /// The version of the identity before the change.
        base_version: u32,
    },
    /// Runs a mutation. Our server refuses it, and our client sends none.
    Mutation {
        /// The number of the request, to find its answer.
        request_id: u32,
    },
    /// Runs an action. Our server refuses it, and our client sends none.
    Action {
        /// The number of the request, to find its answer.
        request_id: u32,
    },
    /// Telemetry, and what later clients may send.
    #[serde(other)]
    Other,
}

/// A change of the set of queries.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum QueryChange {
    /// Subscribes to a query.
    Add {
        /// The client's number for the query.
        query_id: u32,
        /// The path of the query, such as `service/wake:changed`.
        udf_path: String,
        /// One object of arguments, or none.
        args: Vec<Value>,
    },
    /// Ends a subscription.
    Remove {
        /// The client's number for the query.
        query_id: u32,
    },
}

/// A message of the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// A step from one version to the next.
    Transition(Transition),
    /// A part of a transition over 5 MB.
    TransitionChunk {
        /// A part of the transition's JSON.
        chunk: String,
        /// The number of the part, from 0.
        part_number: u32,
        /// The number of all parts.
        total_parts: u32,
        /// The id of the transition, which all its parts have.
        transition_id: String,
    },
    /// The answer to a mutation.
    MutationResponse(FunctionResponse),
    /// The answer to an action.
    ActionResponse(FunctionResponse),
    /// Sent after some time without another message.
    Ping,
    /// The server sees a mistake of the client. The connection ends.
    FatalError {
        /// The mistake.
        error: String,
    },
    /// The server refuses an identity. The connection ends.
    AuthError {
        /// Why.
        error: String,
        /// The version of the identity before the refused change.
        #[serde(default)]
        base_version: u32,
        /// Whether the client has tried to change its identity.
        #[serde(default)]
        auth_update_attempted: bool,
    },
    /// What later servers may send.
    #[serde(other)]
    Other,
}

/// The answer to a mutation or an action.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FunctionResponse {
    /// The number of the request.
    pub request_id: u32,
    /// Whether the function has succeeded.
    pub success: bool,
    /// The function's value, or the text of its error.
    pub result: Value,
    /// Never read, and empty when written.
    #[serde(skip_deserializing)]
    pub log_lines: [(); 0],
}

/// A step from one version to the next.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// The version before the step.
    pub start_version: StateVersion,
    /// The version after it.
    pub end_version: StateVersion,
    /// The results that have changed.
    pub modifications: Vec<Modification>,
}

/// What has become of a query.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Modification {
    /// The query has a new value.
    QueryUpdated {
        /// The client's number for the query.
        query_id: u32,
        /// The value.
        value: Value,
        /// Never read, and empty when written.
        #[serde(skip_deserializing)]
        log_lines: [(); 0],
        /// Never read, and null when written.
        #[serde(skip_deserializing)]
        journal: (),
    },
    /// The query fails.
    QueryFailed {
        /// The client's number for the query.
        query_id: u32,
        /// The text of the error.
        error_message: String,
        /// The data of an error that the function has thrown for its callers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error_data: Option<Value>,
        /// Never read, and empty when written.
        #[serde(skip_deserializing)]
        log_lines: [(); 0],
        /// Never read, and null when written.
        #[serde(skip_deserializing)]
        journal: (),
    },
    /// The query is no longer in the set.
    QueryRemoved {
        /// The client's number for the query.
        query_id: u32,
    },
    /// What later servers may send.
    #[serde(other)]
    Other,
}

impl Modification {
    /// A new value of a query.
    pub fn updated(query_id: u32, value: Value) -> Self {
        Self::QueryUpdated { query_id, value, log_lines: [], journal: () }
    }

    /// A failure of a query.
    pub fn failed(query_id: u32, error_message: String) -> Self {
        Self::QueryFailed { query_id, error_message, error_data: None, log_lines: [], journal: () }
    }
}

/// The JSON of a message.
pub fn written(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("texts, numbers and values are always JSON")
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

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

    fn survives<T: Serialize + DeserializeOwned>(message: &Value) {
        let read: T = serde_json::from_value(message.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), *message);
    }

    /// What one side writes, the other reads, and both have the platform's form.
    #[test]
    fn each_message_is_the_same_in_both_directions() {
        let version = |query_set: u32| json!({"querySet": query_set, "identity": 0, "ts": "AQAAAAAAAAA="});
        let of_client = [
            json!({"type": "Connect", "sessionId": "s", "connectionCount": 0, "lastCloseReason": null}),
            json!({"type": "Connect", "sessionId": "s", "connectionCount": 3, "lastCloseReason": "x",
                "maxObservedTimestamp": "AQAAAAAAAAA=", "clientTs": 1.5}),
            json!({"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [
                {"type": "Add", "queryId": 7, "udfPath": "m:f", "args": [{"a": 1}]},
                {"type": "Remove", "queryId": 8}]}),
            json!({"type": "Authenticate", "tokenType": "Admin", "value": "key", "baseVersion": 0}),
            json!({"type": "Mutation", "requestId": 1}),
            json!({"type": "Action", "requestId": 2}),
        ];
        of_client.iter().for_each(survives::<ClientMessage>);
        let of_server = [
            json!({"type": "Transition", "startVersion": version(0), "endVersion": version(1), "modifications": [
                {"type": "QueryUpdated", "queryId": 7, "value": 5.0, "logLines": [], "journal": null},
                {"type": "QueryFailed", "queryId": 8, "errorMessage": "no", "logLines": [], "journal": null},
                {"type": "QueryFailed", "queryId": 9, "errorMessage": "no", "errorData": {"code": "x"},
                    "logLines": [], "journal": null},
                {"type": "QueryRemoved", "queryId": 8}]}),
            json!({"type": "TransitionChunk", "chunk": "{", "partNumber": 0, "totalParts": 2, "transitionId": "t"}),
            json!({"type": "MutationResponse", "requestId": 1, "success": false, "result": "no", "logLines": []}),
            json!({"type": "ActionResponse", "requestId": 2, "success": true, "result": {"a": 1}, "logLines": []}),
            json!({"type": "Ping"}),
            json!({"type": "FatalError", "error": "bad"}),
            json!({"type": "AuthError", "error": "no", "baseVersion": 2, "authUpdateAttempted": true}),
        ];
        of_server.iter().for_each(survives::<ServerMessage>);
    }

    #[test]
    fn unknown_messages_and_unused_fields_are_ignored() {
        let message = json!({"type": "Event", "eventType": "x", "event": {}});
        assert!(matches!(serde_json::from_value(message), Ok(ClientMessage::Other)));
        let message = json!({"type": "Future", "new": 1});
        assert!(matches!(serde_json::from_value(message), Ok(ServerMessage::Other)));
        let message = json!({"type": "QueryUpdated", "queryId": 7, "value": 1, "logLines": [{"level": "info"}],
            "journal": "j", "new": 1});
        assert!(matches!(
            serde_json::from_value(message),
            Ok(Modification::QueryUpdated { query_id: 7, .. })
        ));
        let message = json!({"type": "Mutation", "requestId": 1, "udfPath": "m:f", "args": [{}]});
        assert!(matches!(serde_json::from_value(message), Ok(ClientMessage::Mutation { request_id: 1 })));
    }
}
