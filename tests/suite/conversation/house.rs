//! Mission Control, the gateway, and the program between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{
    self, BODY_BYTES, Books, Directives, Faults, Mind, Options, ScriptedGateway,
};
use mission_control_runtime::http::server::{Limits, Server};
use serde_json::{Value, json};

use crate::support::board::Board;
use crate::support::program::{Program, Running, get};

/// The longest that anything here may take; far more than it ever does.
const PATIENCE: Duration = Duration::from_mins(1);

const TOKEN: &str = "the-gateways-token";

pub(super) struct House {
    pub(super) board: Board,
    agents: Vec<(String, String)>,
    gateway: ScriptedGateway,
    _server: Option<Server>,
    program: Option<Running>,
    address: String,
    nudging: bool,
    said: AtomicUsize,
}

impl House {
    /// Agents with these slugs and this mind. Whatever the person writes is told to the program at once.
    pub(super) fn new(slugs: &[&str], mind: impl Mind + 'static) -> Self {
        Self::built(slugs, Some(Arc::new(mind)), "1000")
    }

    /// The same where lists are made once a minute unless there is a reason.
    pub(super) fn slow_polls(slugs: &[&str], mind: impl Mind + 'static) -> Self {
        Self::built(slugs, Some(Arc::new(mind)), "60000")
    }

    pub(super) fn without_gateway(slugs: &[&str]) -> Self {
        Self::built(slugs, None, "1000")
    }

    fn built(slugs: &[&str], mind: Option<Arc<dyn Mind>>, interval: &str) -> Self {
        let board = Board::new();
        let agents = slugs
            .iter()
            .map(|slug| ((*slug).to_owned(), board.agent(slug, &format!("Agent {slug}"), "Works", json!({}))))
            .collect();
        let options = Options {
            token: Some(TOKEN.to_owned()),
            agents: slugs.iter().map(|slug| (*slug).to_owned()).collect(),
            ..Options::default()
        };
        let there = mind.is_some();
        let gateway = ScriptedGateway::new(options, mind.unwrap_or_else(|| Arc::new(Directives)));
        let doors = gateway.clone();
        let limits = Limits::default().with_body_limit(gateway::PATH, BODY_BYTES);
        let server = Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, move |request| {
            doors.answer(&request)
        })
        .unwrap();
        let url = format!("http://{}", server.local_addr());
        let server = there.then_some(server);
        let mut program = Program::new(["run"])
            .with("ACCOUNT_ID", &board.account)
            .with("SERVICE_TOKEN", &board.token)
            .with("CONVEX_URL", &board.url())
            .with("OPENCLAW_GATEWAY_URL", &url)
            .with("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .with("DELIVERY_INTERVAL", interval)
            .with("DELIVERY_MAX_CONCURRENT_SESSIONS", "20")
            .with("HEALTH_PORT", "0")
            .start();
        let address = program.address();
        program.hear("the team:");
        Self {
            board,
            agents,
            gateway,
            _server: server,
            program: Some(program),
            address,
            nudging: true,
            said: AtomicUsize::new(0),
        }
    }

    pub(super) fn agent(&self, slug: &str) -> &str {
        &self.agents.iter().find(|(name, _)| name == slug).unwrap().1
    }

    pub(super) fn task(&self, status: &str, slugs: &[&str]) -> String {
        let ids: Vec<&str> = slugs.iter().map(|slug| self.agent(slug)).collect();
        self.board.task(json!({"status": status, "assignedAgentIds": ids}))
    }

    /// The person names an agent.
    pub(super) fn mention(&self, task: &str, slug: &str, words: &str) {
        let number = self.said.fetch_add(1, Ordering::Relaxed);
        self.board.person_says(task, &format!("@{slug}, {words} ({number})"));
        if self.nudging {
            assert_eq!(self.ask("POST", "/nudge", ""), 202);
        }
    }

    /// Waits for the one message of an agent in a thread.
    pub(super) fn answer_of(&self, slug: &str, task: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = self.board.engine.changes();
        loop {
            let rows = self.board.rows("messages").into_iter();
            let own = |row: &Value| row["authorId"] == self.agent(slug) && row["taskId"] == task;
            let found: Vec<Value> = rows.filter(own).collect();
            assert!(found.len() < 2, "{slug} said it {} times", found.len());
            if let Some(message) = found.first() {
                return message["content"].as_str().unwrap().to_owned();
            }
            assert!(Instant::now() < until, "{slug} never answered: {}", self.health());
            seen = self.board.engine.wait_for_change(seen, Duration::from_millis(500));
        }
    }

    /// Waits until the program has nothing to do any more.
    pub(super) fn settled(&self) {
        let until = Instant::now() + PATIENCE;
        let mut seen = self.board.engine.changes();
        while !self.undelivered().is_empty() || self.health()["delivery"]["waiting"] != 0 {
            assert!(Instant::now() < until, "never settled: {}", self.health());
            seen = self.board.engine.wait_for_change(seen, Duration::from_millis(20));
        }
    }

    pub(super) fn undelivered(&self) -> Vec<Value> {
        let rows = self.board.service("listUndeliveredNotifications", json!({"limit": 100})).unwrap();
        rows.as_array().unwrap().clone()
    }

    pub(super) fn health(&self) -> Value {
        serde_json::from_str(&get(&self.address, "/health").1).unwrap()
    }

    /// Asks the program's own server; the status.
    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> u16 {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let url = format!("http://{}{path}", self.address);
        let answer = match method {
            "GET" => agent.get(&url).call(),
            _ => agent.post(&url).send(body),
        };
        answer.unwrap().status().as_u16()
    }

    /// How many lists the program has made, by the log of its health.
    pub(super) fn lists(&self) -> u64 {
        self.health()["delivery"]["lists"].as_u64().unwrap()
    }

    pub(super) fn hear(&mut self, words: &str) {
        self.program.as_mut().unwrap().hear(words);
    }

    pub(super) fn account(&self) -> Value {
        self.board.row("accounts", &self.board.account)
    }

    pub(super) fn gateway(&self) -> &Books {
        self.gateway.books()
    }

    pub(super) fn faults(&self) -> &Faults {
        self.gateway.faults()
    }

    /// Tells the program to stop; its log.
    pub(super) fn stop(&mut self) -> String {
        let program = self.program.take().unwrap();
        program.signal("TERM");
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.program = None;
        self.gateway.end();
    }
}
