//! A pool for the program: a queue, Telegram and a gateway, each served over loopback with its own book.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mission_control_runtime::demo::gateway::{self, Options, Prompt, ScriptedGateway, Thought};
use mission_control_runtime::demo::pool::{Enqueue, PoolAgent, PoolBackend, PoolPolicy, question};
use mission_control_runtime::demo::telegram::ScriptedTelegram;
use mission_control_runtime::http::server::{Server, ServerLimits};
use tempfile::TempDir;

use crate::support::program::Program;
use crate::support::wait::{until, until_free};

pub(super) const TOKEN: &str = "123:abc";

/// The parts of a pool outside of the worker.
pub(super) struct PoolBench {
    pub(super) backend: PoolBackend,
    pub(super) api: ScriptedTelegram,
    pub(super) workspace: TempDir,
    gateway: Mutex<ScriptedGateway>,
    queue: Mutex<Option<Server>>,
    turns: Mutex<Option<Server>>,
    telegram: Server,
    queue_address: String,
    turns_address: String,
}

/// The answer of the model: the message decides.
fn think(prompt: &Prompt) -> Thought {
    let Some(text) = question(prompt) else { return Thought::say("re: nothing") };
    let text = &*text;
    let after = |word: &str| text.strip_prefix(word);
    if let Some(rest) = after("SLOW ") {
        let (ms, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        return Thought::say(format!("re: {rest}")).after(Duration::from_millis(ms.parse().unwrap()));
    }
    if let Some(rest) = after("SAY ") {
        return Thought::say(rest.replace("\\n", "\n"));
    }
    if let Some(rest) = after("FAIL ") {
        return Thought::fail(400, rest);
    }
    // Only a turn that a restarted gateway resumes, with a text of its own, is answered.
    if let Some(rest) = after("HANG ") {
        let is_resumed = prompt.text.contains("[System]");
        return if is_resumed { Thought::say(format!("re: {rest}")) } else { Thought::hang() };
    }
    // The first attempt fails.
    if let Some(rest) = after("SECOND ") {
        return if prompt.text.contains(" try 1]") {
            Thought::fail(500, "overloaded")
        } else {
            Thought::say(format!("re: {rest}"))
        };
    }
    if text == "EMPTY" {
        return Thought::nothing();
    }
    Thought::say(format!("re: {text}"))
}

fn serve_gateway(scripted: &ScriptedGateway, address: &str) -> Server {
    let limits = ServerLimits::default().with_body_limit(gateway::PATH, gateway::BODY_BYTES);
    let scripted = scripted.clone();
    Server::bind_refusing(address, limits, ScriptedGateway::refuse, move |request| scripted.answer(&request))
        .unwrap()
}

impl PoolBench {
    pub(super) fn new(policy: PoolPolicy) -> Self {
        let backend = PoolBackend::new(policy);
        let api = ScriptedTelegram::new();
        api.add_bot(TOKEN);
        let agents = vec!["main".to_owned()];
        let scripted = ScriptedGateway::new(
            Options { agents, resume_after: Duration::from_millis(200), ..Options::default() },
            Arc::new(think),
        );
        let (queue, telegram) = (backend.serve("127.0.0.1:0").unwrap(), api.serve("127.0.0.1:0").unwrap());
        let turns = serve_gateway(&scripted, "127.0.0.1:0");
        let (queue_address, turns_address) = (queue.local_addr().to_string(), turns.local_addr().to_string());
        let bench = Self {
            backend,
            api,
            workspace: tempfile::tempdir().unwrap(),
            gateway: Mutex::new(scripted),
            queue: Mutex::new(Some(queue)),
            turns: Mutex::new(Some(turns)),
            telegram,
            queue_address,
            turns_address,
        };
        bench.put_agent("a");
        bench
    }

    pub(super) fn put_agent(&self, key: &str) {
        let telegram_token = Some(TOKEN.to_owned());
        self.backend.put_agent(PoolAgent {
            key: key.to_owned(),
            enabled: true,
            telegram_token,
            bridge: None,
        });
    }

    /// A worker with its state in this folder.
    pub(super) fn worker(&self, state: &Path) -> Program {
        self.program("worker", state)
    }

    /// The program with this command and the environment of a worker.
    pub(super) fn program(&self, command: &str, state: &Path) -> Program {
        Program::new([command])
            .with("CONVEX_URL", &format!("http://{}", self.queue_address))
            .with("OPENCLAW_GATEWAY_URL", &format!("http://{}", self.turns_address))
            .with("TELEGRAM_API_BASE_URL", &self.telegram_url())
            .with("OPENCLAW_WORKSPACE_DIR", self.workspace.path().to_str().unwrap())
            .with("STATE_DIR", state.to_str().unwrap())
            .with("OPENCLAW_STATE_DIR", state.join("openclaw").to_str().unwrap())
            .with("HEALTH_PORT", "0")
            .with("POLL_INTERVAL_MS", "100")
    }

    /// The address of Telegram.
    pub(super) fn telegram_url(&self) -> String {
        format!("http://{}", self.telegram.local_addr())
    }

    /// Enqueues a message of the chat with the name of the conversation.
    pub(super) fn ask(&self, conversation: &str, text: &str) -> String {
        self.backend.enqueue(Enqueue::telegram(conversation, "a", conversation, text)).unwrap()
    }

    pub(super) fn status(&self, job: &str) -> String {
        self.backend.message(job).unwrap().status.to_string()
    }

    #[track_caller]
    pub(super) fn until_done(&self, job: &str) {
        until("the end of the job", || self.status(job) == "done");
    }

    pub(super) fn gateway(&self) -> ScriptedGateway {
        self.gateway.lock().unwrap().clone()
    }

    /// How many turns the model was asked for.
    pub(super) fn runs(&self) -> u64 {
        self.gateway().observations().runs()
    }

    /// How often the answer of this message was sent, and how often it is in the history.
    pub(super) fn sent_and_appended(&self, conversation: &str, answer: &str) -> (usize, usize) {
        let sent = self.api.texts(conversation).iter().filter(|text| *text == answer).count();
        let history = self.backend.conversation(conversation).map(|row| row.history).unwrap_or_default();
        let appended = history.iter().filter(|row| row["content"] == answer && row["role"] == "assistant");
        (sent, appended.count())
    }

    /// The gateway crashes and starts again with its sessions.
    pub(super) fn restart_gateway(&self) {
        self.crash_gateway();
        self.start_gateway();
    }

    /// The gateway crashes.
    pub(super) fn crash_gateway(&self) {
        self.gateway.lock().unwrap().end();
        if let Some(server) = self.turns.lock().unwrap().take() {
            server.stop(Duration::ZERO);
        }
    }

    /// The crashed gateway starts again with its sessions, and resumes its interrupted turns after some seconds.
    pub(super) fn start_gateway(&self) {
        let mut gateway = self.gateway.lock().unwrap();
        *gateway = gateway.restarted();
        until_free(&self.turns_address);
        *self.turns.lock().unwrap() = Some(serve_gateway(&gateway, &self.turns_address));
    }

    /// The queue's server ends and starts again with its rows.
    pub(super) fn restart_queue(&self) {
        if let Some(server) = self.queue.lock().unwrap().take() {
            server.stop(Duration::ZERO);
        }
        until_free(&self.queue_address);
        *self.queue.lock().unwrap() = Some(self.backend.serve(&*self.queue_address).unwrap());
    }
}
