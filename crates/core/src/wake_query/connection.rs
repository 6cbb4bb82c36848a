//! One connection to the backend's sync endpoint, with one query. The caller carries the messages.

use std::mem;

use serde_json::Value;

use mcr_model::sync_protocol::{
    ClientMessage, Modification, QueryChange, ServerMessage, StateVersion, Timestamp, Transition, written,
};

/// The only query of the set.
const QUERY: u32 = 0;

/// The most bytes of a transition that comes in parts. The value is one number.
const TRANSITION_BYTES_MAX: usize = 1024 * 1024;

/// What `lastCloseReason` says on the first connection.
const FIRST: &str = "InitialConnect";

/// What lasts over the connections of one process.
#[derive(Clone, Debug)]
pub struct SyncSession {
    /// A UUID.
    id: String,
    /// The number of connections so far.
    connections: u32,
    last_close: String,
    /// The highest timestamp so far.
    observed: Option<Timestamp>,
}

impl SyncSession {
    /// A session with this UUID.
    pub fn new(id: String) -> Self {
        Self { id, connections: 0, last_close: FIRST.to_owned(), observed: None }
    }

    /// Begins a connection that subscribes to this query. Returns its first messages.
    pub fn begin(&mut self, path: &str, args: Value, now: i64) -> (WakeConnection, [String; 2]) {
        let connect = ClientMessage::Connect {
            session_id: self.id.clone(),
            connection_count: self.connections,
            last_close_reason: Some(self.last_close.clone()),
            max_observed_timestamp: self.observed,
            client_ts: Some(now.into()),
        };
        let add = QueryChange::Add { query_id: QUERY, udf_path: path.to_owned(), args: vec![args] };
        let subscribe =
            ClientMessage::ModifyQuerySet { base_version: 0, new_version: 1, modifications: vec![add] };
        let messages = [written(&connect), written(&subscribe)];
        self.connections = self.connections.saturating_add(1);
        (WakeConnection::default(), messages)
    }

    /// Records the end of a connection, and its reason for the server's log.
    pub fn ended(&mut self, connection: &WakeConnection, reason: &str) {
        self.observed = self.observed.max(connection.observed);
        reason.clone_into(&mut self.last_close);
    }
}

/// The state of a connection.
#[derive(Debug, Default)]
pub struct WakeConnection {
    version: StateVersion,
    observed: Option<Timestamp>,
    value: Option<f64>,
    parts: Option<TransitionParts>,
}

/// A transition that has not arrived completely.
#[derive(Debug)]
struct TransitionParts {
    id: String,
    total: u32,
    next: u32,
    text: String,
}

/// Why a connection has to end.
#[derive(Clone, Debug, PartialEq)]
pub enum WakeEnd {
    /// A transition does not continue from our version: a message was lost.
    VersionGap,
    /// A message does not follow the protocol.
    Malformed(String),
    /// The server sees a mistake of this client.
    Fatal(String),
    /// The server refuses an identity.
    Auth(String),
    /// The query failed, with the backend's error text and data.
    Failed(String, Option<Value>),
    /// The server has removed the query from the set.
    Removed,
    /// The query's value is not a number.
    NotANumber(String),
}

impl WakeConnection {
    /// Takes a message of the server. Returns whether the value is new.
    pub fn receive(&mut self, text: &str) -> Result<bool, WakeEnd> {
        let message = serde_json::from_str(text).map_err(|why| WakeEnd::Malformed(why.to_string()))?;
        let has_parts = self.parts.is_some();
        match message {
            ServerMessage::TransitionChunk { chunk, part_number, total_parts, transition_id } => {
                match self.assemble(&chunk, part_number, total_parts, &transition_id)? {
                    Some(whole) => {
                        let transition = serde_json::from_str(&whole)
                            .map_err(|why| WakeEnd::Malformed(why.to_string()))?;
                        self.apply_whole(transition)
                    }
                    None => Ok(false),
                }
            }
            ServerMessage::Ping => Ok(false),
            ServerMessage::FatalError { error } => Err(WakeEnd::Fatal(error)),
            ServerMessage::AuthError { error, .. } => Err(WakeEnd::Auth(error)),
            _ if has_parts => {
                Err(WakeEnd::Malformed("a message between the parts of a transition".to_owned()))
            }
            ServerMessage::Transition(transition) => self.apply(transition),
            // Not requested, or unknown.
            ServerMessage::MutationResponse(_) | ServerMessage::ActionResponse(_) | ServerMessage::Other => {
                Ok(false)
            }
        }
    }

    /// Adds a part. Returns the whole text after the last one.
    fn assemble(&mut self, chunk: &str, part: u32, total: u32, id: &str) -> Result<Option<String>, WakeEnd> {
        let malformed = |why: &str| Err(WakeEnd::Malformed(why.to_owned()));
        let parts = self.parts.get_or_insert_with(|| TransitionParts {
            id: id.to_owned(),
            total,
            next: 0,
            text: String::new(),
        });
        if parts.id != id || parts.total != total || part != parts.next || part >= total {
            return malformed("the parts of a transition are out of order");
        }
        if parts.text.len() + chunk.len() > TRANSITION_BYTES_MAX {
            return malformed("a transition is over the size limit");
        }
        parts.text.push_str(chunk);
        parts.next += 1;
        if parts.next < total {
            return Ok(None);
        }
        let text = mem::take(&mut parts.text);
        self.parts = None;
        Ok(Some(text))
    }

    fn apply_whole(&mut self, message: ServerMessage) -> Result<bool, WakeEnd> {
        match message {
            ServerMessage::Transition(transition) => self.apply(transition),
            _ => Err(WakeEnd::Malformed("the parts of a transition contain another message".to_owned())),
        }
    }

    fn apply(&mut self, transition: Transition) -> Result<bool, WakeEnd> {
        if transition.start_version != self.version {
            return Err(WakeEnd::VersionGap);
        }
        self.version = transition.end_version;
        self.observed = self.observed.max(Some(self.version.ts));
        let mut is_new = false;
        for modification in transition.modifications {
            match modification {
                Modification::QueryUpdated { query_id: QUERY, value, .. } => is_new |= self.take(&value)?,
                Modification::QueryFailed { query_id: QUERY, error_message, error_data, .. } => {
                    return Err(WakeEnd::Failed(error_message, error_data));
                }
                Modification::QueryRemoved { query_id: QUERY } => return Err(WakeEnd::Removed),
                // Not ours.
                Modification::QueryUpdated { .. }
                | Modification::QueryFailed { .. }
                | Modification::QueryRemoved { .. }
                | Modification::Other => {}
            }
        }
        Ok(is_new)
    }

    /// Takes the value. Returns whether it is another one.
    fn take(&mut self, value: &Value) -> Result<bool, WakeEnd> {
        let number = value.as_f64().ok_or_else(|| {
            let text: String = value.to_string().chars().take(80).collect();
            WakeEnd::NotANumber(text)
        })?;
        Ok(self.value.replace(number) != Some(number))
    }

    /// Whether the query has brought a value on this connection.
    pub fn has_value(&self) -> bool {
        self.value.is_some()
    }
}

#[cfg(test)]
mod tests;
