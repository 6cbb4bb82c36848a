//! A model provider for a real gateway, without a model: the part of OpenAI's chat completions that OpenClaw uses.
//!
//! A [`ScriptedModel`] decides what the model does, as in the scripted gateway. `chat_request` turns a request into its
//! [`Prompt`](crate::gateway::Prompt), and `chat_stream` writes its thought as a stream.

mod chat_request;
mod chat_stream;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use self::chat_request::ChatRequest;
use self::chat_stream::write_thought;
use crate::gateway::{Act, ScriptedModel};
use mcr_http::message::{Method, Reply, Request};
use mcr_http::server::{Server, ServerLimits};

/// The path of the provider's API. The gateway's `baseUrl` ends with it.
pub const BASE_PATH: &str = "/v1";

/// The id of the only model.
pub const MODEL: &str = "mock-1";

const COMPLETIONS: &str = "/v1/chat/completions";

/// The longest request: a prompt with the whole history of a session.
const BODY_BYTES: usize = 32 * 1024 * 1024;

/// How long running answers may take when the provider stops.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// The pause between two checks whether the client still waits.
const CHECK_PAUSE: Duration = Duration::from_millis(25);

/// A provider that listens on this machine. Dropping it stops it.
pub struct MockProvider {
    server: Server,
    state: Arc<ProviderState>,
}

/// What all requests share.
#[derive(Default)]
struct ProviderState {
    /// The number of tool calls so far.
    calls: AtomicU64,
    /// Ends every wait.
    is_stopped: AtomicBool,
}

impl ProviderState {
    /// Waits, at most until the provider stops.
    fn wait(&self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time && !self.is_stopped.load(Ordering::Acquire) {
            thread::sleep(CHECK_PAUSE.min(time.saturating_sub(began.elapsed())));
        }
    }
}

impl MockProvider {
    /// Listens on this port of 127.0.0.1; 0 takes any free port.
    pub fn start(port: u16, model: Arc<dyn ScriptedModel>) -> io::Result<Self> {
        let limits = ServerLimits { answer_bytes: 2 * BODY_BYTES, ..ServerLimits::default() };
        let limits = limits.with_body_limit(COMPLETIONS, BODY_BYTES);
        let state = Arc::new(ProviderState::default());
        let shared = Arc::clone(&state);
        let server = Server::bind((Ipv4Addr::LOCALHOST, port), limits, move |request: Request| {
            answer(&request, model.as_ref(), &shared)
        })?;
        Ok(Self { server, state })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// The `baseUrl` for the gateway's configuration.
    pub fn base_url(&self) -> String {
        format!("http://{}{BASE_PATH}", self.address())
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.state.is_stopped.store(true, Ordering::Release);
        self.server.stop(STOP_LIMIT);
    }
}

fn answer(request: &Request, model: &dyn ScriptedModel, state: &Arc<ProviderState>) -> Reply {
    if request.path() != COMPLETIONS || *request.method() != Method::Post {
        return Reply::json_of(&json!({"object": "list", "data": [{"id": MODEL, "object": "model"}]}));
    }
    let chat = match ChatRequest::parse(request.body()) {
        Ok(chat) => chat,
        Err(why) => return refusal(400, &format!("the request is no chat completion: {why}")),
    };
    let thought = model.think(&chat.prompt);
    match &thought.act {
        Act::Fail { status, message } => {
            state.wait(thought.delay);
            refusal(*status, message)
        }
        Act::Drop => Reply::abrupt(Vec::new()),
        // Not a byte is sent, so the handler itself waits.
        Act::Hang => {
            state.wait(Duration::MAX);
            Reply::abrupt(Vec::new())
        }
        Act::Say(_) | Act::SayCut(_) | Act::Call { .. } | Act::Work { .. } | Act::Nothing | Act::Stall => {
            let (name, state) = (chat.model, Arc::clone(state));
            let next_id = move || format!("call_{}", state.calls.fetch_add(1, Ordering::Relaxed) + 1);
            Reply::events(move |sink| write_thought(sink, &thought, &name, next_id))
        }
    }
}

fn refusal(status: u16, message: &str) -> Reply {
    Reply::json_of(&json!({"error": {"message": message, "type": "mock_error"}})).with_status(status)
}
