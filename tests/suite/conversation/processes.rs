//! Starts Mission Control, the gateway, and the program between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{
    self, BODY_BYTES, Directives, Faults, Observations, Options, Release, ScriptedGateway, ScriptedModel,
};
use mission_control_runtime::demo::lossy_proxy::{Losses, LossyProxy};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::board::{Board, agent};
use crate::support::program::{Program, Running, get, text};
use crate::support::real_gateway::{RealGateway, shared_gateway};

/// The interval of the lists of [`Stack::slow_polls`].
pub(super) const SLOW_POLLS: Duration = Duration::from_mins(1);
/// The longest that any step may take. A real gateway retries a failing provider for minutes.
const PATIENCE: Duration = Duration::from_mins(3);
const PATIENCE_WITH_A_REAL_ONE: Duration = Duration::from_mins(10);

const TOKEN: &str = "the-gateways-token";

/// A backend as hosted in production: with its defects, and without reasons for refusals.
const PRODUCTION: local::Options = local::Options { original: true, redact: true };

/// The gateway of the program.
enum Place {
    /// The scripted one, with this model.
    Ours(Arc<dyn ScriptedModel>, Options),
    /// A process of its own, such as a real one: address and token.
    Real(String, String),
}

/// The gateway in this process.
struct Ours {
    gateway: ScriptedGateway,
    server: Option<Server>,
}

pub(super) struct Stack {
    pub(super) board: Board,
    agents: Vec<(String, String)>,
    gateway: Option<Ours>,
    url: String,
    /// The proxy that loses answers on the way.
    lossy: Option<LossyProxy>,
    token: String,
    program: Option<Running>,
    variables: Vec<(String, String)>,
    state: TempDir,
    address: String,
    said: AtomicUsize,
}

impl Stack {
    /// Agents with these slugs and this model. Each message of the person nudges the program at once.
    pub(super) fn new(slugs: &[&str], mind: impl ScriptedModel + 'static) -> Self {
        Self::built(slugs, Place::Ours(Arc::new(mind), options(slugs)), "1000", None, &[])
    }

    /// With a backend that gives reasons.
    pub(super) fn frank(slugs: &[&str], mind: impl ScriptedModel + 'static) -> Self {
        let place = Place::Ours(Arc::new(mind), options(slugs));
        let backend = local::Options { redact: false, ..PRODUCTION };
        Self::built_over(slugs, (place, backend), ("1000", None, &[]), 0)
    }

    /// With these variables.
    pub(super) fn set(slugs: &[&str], mind: impl ScriptedModel + 'static, more: &[(&str, &str)]) -> Self {
        Self::built(slugs, Place::Ours(Arc::new(mind), options(slugs)), "1000", None, more)
    }

    /// With a gateway of these options.
    pub(super) fn played(
        slugs: &[&str],
        mind: impl ScriptedModel + 'static,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        Self::played_with(slugs, mind, change, &[])
    }

    /// [`Stack::played`] with these variables.
    pub(super) fn played_with(
        slugs: &[&str],
        mind: impl ScriptedModel + 'static,
        change: impl FnOnce(&mut Options),
        more: &[(&str, &str)],
    ) -> Self {
        let mut options = options(slugs);
        change(&mut options);
        Self::built(slugs, Place::Ours(Arc::new(mind), options), "1000", None, more)
    }

    /// With an orchestrator.
    pub(super) fn led_by(lead: &str, slugs: &[&str], mind: impl ScriptedModel + 'static) -> Self {
        let stack = Self::new(slugs, mind);
        stack.board.set(json!({"orchestratorAgentId": stack.agent(lead)}));
        stack
    }

    /// With a list once a minute unless there is a reason.
    pub(super) fn slow_polls(slugs: &[&str], mind: impl ScriptedModel + 'static) -> Self {
        let interval = SLOW_POLLS.as_millis().to_string();
        Self::built(slugs, Place::Ours(Arc::new(mind), options(slugs)), &interval, None, &[])
    }

    pub(super) fn without_gateway(slugs: &[&str]) -> Self {
        Self::with_child(slugs, "http://127.0.0.1:1", &[])
    }

    /// With a gateway that the program starts at this address.
    pub(super) fn with_child(slugs: &[&str], url: &str, more: &[(&str, &str)]) -> Self {
        Self::built(slugs, Place::Real(url.to_owned(), TOKEN.to_owned()), "1000", None, more)
    }

    /// With a gateway of these options, and this token in place of its own.
    pub(super) fn at(
        slugs: &[&str],
        change: impl FnOnce(&mut Options),
        shown: Option<&str>,
        mind: impl ScriptedModel + 'static,
    ) -> Self {
        let mut options = options(slugs);
        change(&mut options);
        Self::built(slugs, Place::Ours(Arc::new(mind), options), "1000", shown, &[])
    }

    /// With the real gateway of this release if there is one, else with the scripted one and these agents,
    /// whose messages contain their instructions. The program sends the gateway's token, or this one.
    pub(super) fn both(release: Release, agents: &[&str], slugs: &[&str], token: Option<&str>) -> Self {
        Self::built(slugs, Self::place(release, agents), "1000", token, &[])
    }

    /// [`Stack::both`] with these variables.
    pub(super) fn both_with(
        release: Release,
        agents: &[&str],
        slugs: &[&str],
        more: &[(&str, &str)],
    ) -> Self {
        Self::built(slugs, Self::place(release, agents), "1000", None, more)
    }

    /// With this real gateway and these variables.
    pub(super) fn over(gateway: &RealGateway, slugs: &[&str], more: &[(&str, &str)]) -> Self {
        Self::built(slugs, Place::Real(gateway.url(), gateway.token()), "1000", None, more)
    }

    /// With a connection that loses this many answers.
    pub(super) fn lossy(release: Release, agents: &[&str], slugs: &[&str], losses: usize) -> Self {
        let place = Self::place(release, agents);
        Self::built_over(slugs, (place, PRODUCTION), ("1000", None, &[]), losses)
    }

    fn place(release: Release, agents: &[&str]) -> Place {
        if let Some((url, token)) = shared_gateway(release) {
            return Place::Real(url, token);
        }
        // As tests/conformance/configuration.mjs configures a release with a closed history.
        let allowed: &[&str] =
            if release < Release::V2026_5_7 { &["sessions_list", "sessions_history"] } else { &[] };
        let tools_allowed = allowed.iter().map(|tool| (*tool).to_owned()).collect();
        Place::Ours(Arc::new(Directives), Options { release, tools_allowed, ..options(agents) })
    }

    fn built(
        slugs: &[&str],
        place: Place,
        interval: &str,
        shown: Option<&str>,
        more: &[(&str, &str)],
    ) -> Self {
        Self::built_over(slugs, (place, PRODUCTION), (interval, shown, more), 0)
    }

    fn built_over(
        slugs: &[&str],
        (place, backend): (Place, local::Options),
        (interval, shown, more): (&str, Option<&str>, &[(&str, &str)]),
        losses: usize,
    ) -> Self {
        let board = Board::with_vault(backend);
        let agents = slugs
            .iter()
            .map(|slug| ((*slug).to_owned(), board.agent(slug, &format!("Agent {slug}"), "Works", json!({}))))
            .collect();
        let (url, token, gateway) = match place {
            Place::Real(url, token) => (url, token, None),
            Place::Ours(mind, options) => {
                let gateway = ScriptedGateway::new(options, mind);
                let server = serve(&gateway, "127.0.0.1:0");
                let url = format!("http://{}", server.local_addr());
                (url, TOKEN.to_owned(), Some(Ours { gateway, server: Some(server) }))
            }
        };
        let lossy =
            (losses > 0).then(|| LossyProxy::start(&url, Losses { after: 0, count: losses }).unwrap());
        let state = tempfile::tempdir().unwrap();
        let variables = [
            ("ACCOUNT_ID", board.account.clone()),
            ("SERVICE_TOKEN", board.token.clone()),
            ("CONVEX_URL", board.url()),
            ("OPENCLAW_GATEWAY_URL", lossy.as_ref().map_or_else(|| url.clone(), LossyProxy::url)),
            ("OPENCLAW_GATEWAY_TOKEN", shown.unwrap_or(&token).to_owned()),
            ("DELIVERY_INTERVAL", interval.to_owned()),
            ("DELIVERY_MAX_CONCURRENT_SESSIONS", "20".to_owned()),
            ("HEALTH_PORT", "0".to_owned()),
            // The clock of the board stands still, so the value of the wake query would often stay the same.
            ("WAKE_QUERY", "off".to_owned()),
            ("STATE_DIR", state.path().to_str().unwrap().to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables: Vec<_> = variables.into_iter().chain(more).collect();
        let mut program = started(&variables);
        let address = program.address();
        program.wait_for_log("The roster has changed");
        Self {
            board,
            agents,
            gateway,
            url,
            lossy,
            token,
            program: Some(program),
            variables,
            state,
            address,
            said: AtomicUsize::new(0),
        }
    }

    pub(super) fn agent(&self, slug: &str) -> &str {
        &self.agents.iter().find(|(name, _)| name == slug).unwrap().1
    }

    /// Adds an agent to the account and to the gateway, which is restarted with it.
    pub(super) fn hire(&mut self, slug: &str) {
        let id = self.board.agent(slug, &format!("Agent {slug}"), "Works", json!({}));
        self.agents.push((slug.to_owned(), id));
        self.add_to_gateway(slug);
    }

    pub(super) fn add_to_gateway(&mut self, slug: &str) {
        let address = self.stop_gateway_for(|options| options.agents.push(slug.to_owned()));
        self.start_gateway(&address);
    }

    pub(super) fn task(&self, status: &str, slugs: &[&str]) -> String {
        let ids: Vec<&str> = slugs.iter().map(|slug| self.agent(slug)).collect();
        self.board.task(json!({"status": status, "assignedAgentIds": ids}))
    }

    /// The person mentions an agent with exactly this text.
    pub(super) fn tell(&self, task: &str, slug: &str, words: &str) {
        self.board.person_says(task, &format!("@{slug}\n{words}"));
        assert_eq!(self.ask("POST", "/nudge", ""), 202);
    }

    /// The person mentions an agent.
    pub(super) fn mention(&self, task: &str, slug: &str, words: &str) {
        let number = self.said.fetch_add(1, Ordering::Relaxed);
        self.board.person_says(task, &format!("@{slug}, {words} ({number})"));
        assert_eq!(self.ask("POST", "/nudge", ""), 202);
    }

    fn patience(&self) -> Duration {
        if self.gateway.is_some() { PATIENCE } else { PATIENCE_WITH_A_REAL_ONE }
    }

    /// An agent's messages in a thread.
    pub(super) fn messages_of(&self, slug: &str, task: &str) -> Vec<Value> {
        let rows = self.board.rows("messages").into_iter();
        rows.filter(|row| row["authorId"] == self.agent(slug) && row["taskId"] == task).collect()
    }

    /// An agent's messages in a thread, as texts.
    pub(super) fn said_by(&self, slug: &str, task: &str) -> Vec<String> {
        let texts = self.messages_of(slug, task).into_iter();
        texts.map(|row| row["content"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until a condition on `/health` holds.
    pub(super) fn until(&self, what: &str, mut is_so: impl FnMut(&Value) -> bool) -> Value {
        let until = Instant::now() + self.patience();
        loop {
            let health = self.health();
            if is_so(&health) {
                return health;
            }
            assert!(Instant::now() < until, "{what} does not come: {health}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a condition on the account's row holds.
    pub(super) fn until_account(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        let until = Instant::now() + self.patience();
        let mut seen = self.board.engine.changes();
        while !is_so(&self.account()) {
            assert!(Instant::now() < until, "{what} does not come: {}", self.account());
            seen = self.board.engine.wait_for_change(seen, Duration::from_millis(500));
        }
    }

    /// The gateway's history of an agent's session about a task.
    pub(super) fn history(&self, slug: &str, task: &str) -> Vec<Value> {
        self.history_of(&format!("agent:{slug}:task:{task}:{}:v1", self.board.account))
    }

    /// The gateway's history of the session with this key at the gateway.
    pub(super) fn history_of(&self, session: &str) -> Vec<Value> {
        let url = format!("{}/sessions/{}/history", self.url, session.to_lowercase());
        let client = agent();
        let mut looks = 0;
        loop {
            let bearer = format!("Bearer {}", self.token);
            let mut answer = client.get(&url).header("Authorization", &bearer).call().unwrap();
            let (status, body) = (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap());
            // A real gateway answers 500 while it maintains its database.
            if status == 500 && self.gateway.is_none() && looks < 3 {
                looks += 1;
                std::thread::sleep(Duration::from_millis(500));
                continue;
            }
            assert_eq!(status, 200, "{body}");
            let history: Value = serde_json::from_str(&body).unwrap();
            return history["items"].as_array().unwrap().clone();
        }
    }

    /// Waits for the one message of an agent in a thread.
    pub(super) fn answer_of(&self, slug: &str, task: &str) -> String {
        let until = Instant::now() + self.patience();
        let mut seen = self.board.engine.changes();
        loop {
            let mut found = self.said_by(slug, task);
            assert!(found.len() < 2, "{slug} said it {} times", found.len());
            if let Some(message) = found.pop() {
                return message;
            }
            assert!(Instant::now() < until, "{slug} never answered: {}", self.health());
            seen = self.board.engine.wait_for_change(seen, Duration::from_millis(500));
        }
    }

    /// Waits until the program has no more work.
    pub(super) fn settled(&self) {
        let until = Instant::now() + self.patience();
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

    /// Sends a request to the program's own server; returns the status.
    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> u16 {
        let agent = agent();
        let url = format!("http://{}{path}", self.address);
        let answer = if method == "GET" { agent.get(&url).call() } else { agent.post(&url).send(body) };
        answer.unwrap().status().as_u16()
    }

    /// How many lists the program has made, by its `/health`.
    pub(super) fn lists(&self) -> u64 {
        self.health()["delivery"]["lists"].as_u64().unwrap()
    }

    /// How many answers are still to be lost.
    pub(super) fn losses_left(&self) -> usize {
        self.lossy.as_ref().map_or(0, LossyProxy::left)
    }

    pub(super) fn wait_for_log(&mut self, words: &str) {
        self.program.as_mut().unwrap().wait_for_log(words);
    }

    pub(super) fn account(&self) -> Value {
        self.board.row("accounts", &self.board.account)
    }

    pub(super) fn gateway(&self) -> &Observations {
        self.gateway.as_ref().expect("it is ours").gateway.observations()
    }

    pub(super) fn faults(&self) -> &Faults {
        self.gateway.as_ref().expect("it is ours").gateway.faults()
    }

    /// Waits until the program works on something, or has no work.
    pub(super) fn works(&self) {
        self.until("work", |health| health["delivery"]["inFlight"] != 0 || self.undelivered().is_empty());
    }

    /// Waits until the gateway has a turn.
    pub(super) fn begun(&self) {
        let until = Instant::now() + PATIENCE;
        while self.gateway().in_flight() == 0 {
            assert!(Instant::now() < until, "no turn begins: {}", self.health());
            self.board.engine.wait_for_change(self.board.engine.changes(), Duration::from_millis(5));
        }
    }

    /// Waits until the gateway has had this many turns, and one is active.
    pub(super) fn until_posts(&self, count: u64) {
        self.until("the turn", |_| self.gateway().posts() >= count && self.gateway().in_flight() > 0);
    }

    /// Kills the gateway and starts another one at the same address.
    pub(super) fn restart_gateway(&mut self) {
        let address = self.stop_gateway();
        self.start_gateway(&address);
    }

    /// Replaces the gateway by one of this release.
    pub(super) fn replace_gateway(&mut self, release: Release) {
        let address = self.stop_gateway_for(|options| options.release = release);
        self.start_gateway(&address);
    }

    /// Kills the gateway; returns its address.
    pub(super) fn stop_gateway(&mut self) -> String {
        self.stop_gateway_for(|_| {})
    }

    /// Kills the gateway; the next one has these changed options.
    pub(super) fn stop_gateway_for(&mut self, change: impl FnOnce(&mut Options)) -> String {
        let ours = self.gateway.as_mut().expect("it is ours");
        let server = ours.server.take().unwrap();
        let next = ours.gateway.restarted_as(change);
        server.stop(Duration::ZERO);
        // The books are kept: the killed gateway's active turns must leave them before the next one starts.
        let until = Instant::now() + PATIENCE;
        while next.observations().in_flight() > 0 {
            assert!(Instant::now() < until, "the killed gateway still works");
            std::thread::yield_now();
        }
        ours.gateway = next;
        server.local_addr().to_string()
    }

    /// Starts a gateway at the address of the killed one.
    pub(super) fn start_gateway(&mut self, address: &str) {
        let ours = self.gateway.as_mut().expect("it is ours");
        ours.server = Some(serve(&ours.gateway, address));
    }

    /// Kills the program and starts another one.
    pub(super) fn kill_and_start(&mut self) {
        self.kill();
        self.start();
    }

    /// Starts another program in place of the killed one.
    pub(super) fn start(&mut self) {
        let mut program = started(&self.variables);
        self.address = program.address();
        self.program = Some(program);
    }

    /// Kills the program without a successor.
    pub(super) fn kill(&mut self) {
        self.program.take().unwrap().kill();
    }

    /// Another program at the same board and gateway, as on another machine; it is not ready yet.
    pub(super) fn another(&self) -> Running {
        self.another_with(&[])
    }

    /// Another program with these variables.
    pub(super) fn another_with(&self, more: &[(&str, &str)]) -> Running {
        let elsewhere = self.variables.iter().filter(|(name, _)| name != "STATE_DIR");
        let elsewhere =
            elsewhere.map(|(name, value)| (name.as_str(), value.as_str())).chain(more.iter().copied());
        elsewhere.fold(Program::new(["run"]), |program, (name, value)| program.with(name, value)).start()
    }

    /// Runs a command of the program in its environment; returns the exit code and all output.
    pub(super) fn command<const N: usize>(&self, args: [&str; N]) -> (Option<i32>, String) {
        self.command_with(args, &[])
    }

    /// Runs a command with these variables.
    pub(super) fn command_with<const N: usize>(
        &self,
        args: [&str; N],
        more: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let variables = variables.chain(more.iter().copied());
        let program = variables.fold(Program::new(args), |program, (name, value)| program.with(name, value));
        let output = program.output();
        (output.status.code(), text(&output))
    }

    /// Sets a variable for the next start and for commands.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The present value of a variable.
    pub(super) fn variable(&self, name: &str) -> String {
        self.variables.iter().find(|(known, _)| known == name).unwrap().1.clone()
    }

    /// The program's state directory.
    pub(super) fn state_dir(&self) -> &str {
        self.state.path().to_str().unwrap()
    }

    /// The program's address.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The id of its process.
    pub(super) fn process(&self) -> u32 {
        self.program.as_ref().unwrap().id()
    }

    /// Hands the running program over to the caller.
    pub(super) fn give(&mut self) -> Running {
        self.program.take().unwrap()
    }

    /// Takes over this program.
    pub(super) fn take(&mut self, program: Running, address: String) {
        self.address = address;
        self.program = Some(program);
    }

    /// Stops the program; returns its log.
    pub(super) fn stop(&mut self) -> String {
        self.end(1)
    }

    /// Stops the program with a second signal; returns its log.
    pub(super) fn stop_twice(&mut self) -> String {
        self.end(2)
    }

    fn end(&mut self, signals: usize) -> String {
        let mut program = self.program.take().unwrap();
        program.signal("TERM");
        if signals > 1 {
            program.wait_for_log("Stopping");
            program.signal("TERM");
        }
        let (code, log) = program.end();
        assert_eq!(code, Some(0), "{log}");
        log
    }
}

fn started(variables: &[(String, String)]) -> Running {
    let program = Program::new(["run"]);
    variables.iter().fold(program, |program, (name, value)| program.with(name, value)).start()
}

pub(super) fn serve(gateway: &ScriptedGateway, address: &str) -> Server {
    crate::support::wait::until_free(address);
    let own = gateway.clone();
    let limits = ServerLimits::default().with_body_limit(gateway::PATH, BODY_BYTES);
    Server::bind_refusing(address, limits, ScriptedGateway::refuse, move |asked| own.answer(&asked)).unwrap()
}

pub(super) fn options(agents: &[&str]) -> Options {
    Options {
        token: Some(TOKEN.to_owned()),
        agents: agents.iter().map(|slug| (*slug).to_owned()).collect(),
        ..Options::default()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.program = None;
        if let Some(ours) = &self.gateway {
            ours.gateway.end();
        }
    }
}
