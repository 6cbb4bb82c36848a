//! The messages of the sync protocol (convex-http-api B.1), as the server reads and writes them.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// A message of the client. Fields that this server does not need are not read.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum ClientMessage {
    Connect {},
    ModifyQuerySet {
        base_version: u32,
        new_version: u32,
        modifications: Vec<QueryChange>,
    },
    Authenticate {
        token_type: String,
        #[serde(default)]
        value: String,
        base_version: u32,
    },
    Mutation {
        request_id: u32,
    },
    Action {
        request_id: u32,
    },
    /// Telemetry, and what later clients may send.
    #[serde(other)]
    Other,
}

/// A change of the set of queries.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum QueryChange {
    Add { query_id: u32, udf_path: String, args: Vec<Value> },
    Remove { query_id: u32 },
}

/// A point in the history of the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp(pub(super) u64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(self.0.to_le_bytes()))
    }
}

/// What client and server have agreed on.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateVersion {
    pub(super) query_set: u32,
    pub(super) identity: u32,
    pub(super) ts: Timestamp,
}

/// A message of the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum ServerMessage<'a> {
    Transition { start_version: StateVersion, end_version: StateVersion, modifications: &'a [Modification] },
    MutationResponse { request_id: u32, success: bool, result: &'a str, log_lines: [(); 0] },
    ActionResponse { request_id: u32, success: bool, result: &'a str, log_lines: [(); 0] },
    AuthError { error: &'a str, base_version: u32, auth_update_attempted: bool },
    FatalError { error: &'a str },
    Ping,
}

/// What has become of a query.
#[derive(Serialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub(super) enum Modification {
    #[serde(rename = "QueryUpdated")]
    Updated { query_id: u32, value: Value, log_lines: [(); 0], journal: () },
    #[serde(rename = "QueryFailed")]
    Failed { query_id: u32, error_message: String, log_lines: [(); 0], journal: () },
    #[serde(rename = "QueryRemoved")]
    Removed { query_id: u32 },
}

/// The JSON of a message.
pub(super) fn written(message: &ServerMessage<'_>) -> String {
    serde_json::to_string(message).expect("texts, numbers and values are always JSON")
}
