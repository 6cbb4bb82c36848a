//! One connected client: reads its messages, and sends transitions until one side ends the connection.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use serde_json::json;

use super::queries::Queries;
use super::slots::Slot;
use crate::engine::{Caller, Engine};
use mcr_http::message::Duplex;
use mcr_http::websocket::{self, Incoming, Reader, Side, WebSocketLimits, close_frame, frame};
use mcr_model::sync_protocol::{
    ClientMessage, FunctionResponse, Modification, QueryChange, ServerMessage, StateVersion, Timestamp,
    Transition, written,
};

/// The most bytes of a message of the client, and the most frames.
const LIMITS: WebSocketLimits = WebSocketLimits { message_bytes: 64 * 1024, frames: 1_024 };
/// The most bytes of one read.
const BUFFER_BYTES: usize = 4096;
/// How often a connection without input and without changes is looked at.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The shortest wait for input, where input has probably not arrived.
const INPUT_CHECK: Duration = Duration::from_millis(1);
/// The time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub struct SyncTimes {
    /// A ping is due after this time without another message.
    pub ping: Duration,
    /// A client is disconnected after this time without any frame from it.
    pub unheard: Duration,
    /// A client is disconnected after this time without a successful query.
    pub stranger: Duration,
}

impl Default for SyncTimes {
    fn default() -> Self {
        Self {
            ping: Duration::from_secs(15),
            unheard: Duration::from_mins(2),
            stranger: Duration::from_secs(10),
        }
    }
}

/// Close codes.
const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const TRY_AGAIN_LATER: u16 = 1013;

/// Why a connection ends: the text of a `FatalError`, if the client is wrong, and the close code.
struct Closing {
    fatal: Option<&'static str>,
    code: u16,
}

impl Closing {
    fn fatal(text: &'static str) -> Self {
        Self { fatal: Some(text), code: POLICY }
    }

    fn quiet(code: u16) -> Self {
        Self { fatal: None, code }
    }
}

enum Stopped {
    /// The server closes the connection.
    Closes(Closing),
    /// The connection is gone.
    Gone(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Gone(error)
    }
}

/// One connected client.
pub(super) struct SyncClient<'a> {
    pub(super) engine: &'a Engine,
    pub(super) is_admin_key: &'a dyn Fn(&str) -> bool,
    pub(super) connection: &'a mut dyn Duplex,
    pub(super) times: SyncTimes,
    /// Timestamps begin here, so that those of a later run are higher.
    pub(super) began: u64,
    reader: Reader,
    version: StateVersion,
    slot: Slot,
    is_connected: bool,
    caller: Caller,
    queries: Queries,
    opened: Instant,
    heard: Instant,
    sent: Instant,
}

impl<'a> SyncClient<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        is_admin_key: &'a dyn Fn(&str) -> bool,
        connection: &'a mut dyn Duplex,
        slot: Slot,
        times: SyncTimes,
        began: u64,
    ) -> Self {
        let (reader, now) = (Reader::new(Side::Client, LIMITS), Instant::now());
        let (version, queries) = (StateVersion::default(), Queries::default());
        Self {
            engine,
            is_admin_key,
            connection,
            times,
            began,
            reader,
            version,
            slot,
            is_connected: false,
            caller: Caller::Stranger,
            queries,
            opened: now,
            heard: now,
            sent: now,
        }
    }

    /// Serves the client until one side ends the connection.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            match self.step() {
                Ok(()) => {}
                Err(Stopped::Gone(error)) => return Err(error),
                Err(Stopped::Closes(closing)) => {
                    if let Some(error) = closing.fatal {
                        self.send(&ServerMessage::FatalError { error: error.to_owned() })?;
                    }
                    return self.connection.send(&close_frame(closing.code, None));
                }
            }
        }
    }

    /// Waits for a change or for input, and handles both.
    fn step(&mut self) -> Result<(), Stopped> {
        if self.queries.is_empty() {
            self.read(CHECK_INTERVAL)?;
        } else {
            let (tables, current) = self.queries.dependencies();
            self.engine.wait_for_change_of(tables, current, CHECK_INTERVAL);
            let modifications = self.refresh();
            if !modifications.is_empty() {
                self.transition(self.version, modifications)?;
            }
            self.read(INPUT_CHECK)?;
        }
        if self.sent.elapsed() >= self.times.ping {
            self.send(&ServerMessage::Ping)?;
            // The pong shows that the client still listens.
            self.connection.send(&frame(websocket::Kind::Ping, true, b"", None))?;
        }
        if self.heard.elapsed() >= self.times.unheard {
            return Err(Stopped::Closes(Closing::quiet(POLICY)));
        }
        if self.slot.is_evicted() {
            return Err(Stopped::Closes(Closing::quiet(TRY_AGAIN_LATER)));
        }
        if !self.slot.is_trusted() && self.opened.elapsed() >= self.times.stranger {
            return Err(Stopped::Closes(Closing::quiet(POLICY)));
        }
        if !self.connection.is_open() {
            return Err(Stopped::Closes(Closing::quiet(GOING_AWAY)));
        }
        Ok(())
    }

    /// Reads what has arrived, and waits for it.
    fn read(&mut self, longest: Duration) -> Result<(), Stopped> {
        let mut buffer = [0; BUFFER_BYTES];
        match self.connection.receive(&mut buffer, longest) {
            // The client has left, or the server stops.
            Ok(0) => return Err(Stopped::Closes(Closing::quiet(GOING_AWAY))),
            Ok(count) => {
                self.heard = Instant::now();
                self.reader.push(&buffer[..count]);
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        loop {
            match self.reader.take() {
                Ok(None) => return Ok(()),
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Ping(payload))) => {
                    self.connection.send(&frame(websocket::Kind::Pong, true, &payload, None))?;
                }
                Ok(Some(Incoming::Close(code))) => {
                    return Err(Stopped::Closes(Closing::quiet(code.unwrap_or(1000))));
                }
                Ok(Some(Incoming::Text(text))) => self.handle(&text)?,
                Err(broken) => return Err(Stopped::Closes(Closing::quiet(broken.code()))),
            }
        }
    }

    fn handle(&mut self, text: &str) -> Result<(), Stopped> {
        let fatal = |text| Err(Stopped::Closes(Closing::fatal(text)));
        let Ok(message) = serde_json::from_str(text) else { return fatal("The message is malformed") };
        match (self.is_connected, message) {
            (false, ClientMessage::Connect { .. }) => self.is_connected = true,
            (false, _) => return fatal("The first message must be Connect"),
            (true, ClientMessage::Connect { .. }) => return fatal("The connection is already open"),
            (true, ClientMessage::ModifyQuerySet { base_version, new_version, modifications }) => {
                if base_version != self.version.query_set || base_version.checked_add(1) != Some(new_version)
                {
                    return fatal("The version of the query set is wrong");
                }
                self.change_queries(new_version, modifications)?;
            }
            (true, ClientMessage::Authenticate { token_type, value, base_version }) => {
                if base_version != self.version.identity {
                    return fatal("The version of the identity is wrong");
                }
                self.authenticate(&token_type, &value)?;
            }
            (true, ClientMessage::Mutation { request_id }) => {
                self.send(&ServerMessage::MutationResponse(only_queries(request_id)))?;
            }
            (true, ClientMessage::Action { request_id }) => {
                self.send(&ServerMessage::ActionResponse(only_queries(request_id)))?;
            }
            (true, ClientMessage::Other) => {}
        }
        Ok(())
    }

    fn change_queries(&mut self, new_version: u32, changes: Vec<QueryChange>) -> Result<(), Stopped> {
        let mut modifications = Vec::new();
        for change in changes {
            match change {
                QueryChange::Add { query_id, udf_path, args } => {
                    self.queries
                        .add(query_id, udf_path, args)
                        .map_err(|why| Stopped::Closes(Closing::fatal(why)))?;
                }
                QueryChange::Remove { query_id } => {
                    if !self.queries.remove(query_id) {
                        return Err(Stopped::Closes(Closing::fatal("The query is not in the set")));
                    }
                    modifications.push(Modification::QueryRemoved { query_id });
                }
            }
        }
        modifications.extend(self.refresh());
        self.transition(StateVersion { query_set: new_version, ..self.version }, modifications)
    }

    /// People authenticate with the admin key. Service functions have the token among their arguments.
    fn authenticate(&mut self, token_type: &str, value: &str) -> Result<(), Stopped> {
        self.caller = match token_type {
            "None" => Caller::Stranger,
            "Admin" if (self.is_admin_key)(value) => Caller::Person,
            _ => {
                let (base_version, auth_update_attempted) = (self.version.identity, true);
                let error = "Only the admin key of this server is supported".to_owned();
                self.send(&ServerMessage::AuthError { error, base_version, auth_update_attempted })?;
                return Err(Stopped::Closes(Closing::quiet(POLICY)));
            }
        };
        self.queries.expire();
        let modifications = self.refresh();
        let identity = self.version.identity + 1;
        self.transition(StateVersion { identity, ..self.version }, modifications)
    }

    /// Runs the queries that may have new results. The first success shows that the client is no stranger.
    fn refresh(&mut self) -> Vec<Modification> {
        let modifications = self.queries.refresh(self.engine, self.caller);
        if modifications.iter().any(|modification| matches!(modification, Modification::QueryUpdated { .. }))
        {
            self.slot.trust();
        }
        modifications
    }

    /// Sends the step to this version, with the time of the data.
    fn transition(&mut self, to: StateVersion, modifications: Vec<Modification>) -> Result<(), Stopped> {
        let (_, current) = self.queries.dependencies();
        let ts = Timestamp(self.began.saturating_add(current)).max(self.version.ts);
        let (start_version, end_version) = (self.version, StateVersion { ts, ..to });
        self.version = end_version;
        let transition = Transition { start_version, end_version, modifications };
        Ok(self.send(&ServerMessage::Transition(transition))?)
    }

    fn send(&mut self, message: &ServerMessage) -> io::Result<()> {
        self.connection.send(&frame(websocket::Kind::Text, true, written(message).as_bytes(), None))?;
        self.sent = Instant::now();
        Ok(())
    }
}

/// The answer to a mutation or an action.
fn only_queries(request_id: u32) -> FunctionResponse {
    let result = json!("This server runs mutations and actions over HTTP only");
    FunctionResponse { request_id, success: false, result, log_lines: [] }
}
