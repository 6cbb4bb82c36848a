//! The program `worker` with the queue of the program `local`: from an update of Telegram to its answer in the chat.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mission_control_runtime::demo::pool::PoolPolicy;
use mission_control_runtime::http::hosts::Hosts;
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::local::http_api::{HttpApi, with_limits};
use mission_control_runtime::local::{Kind, MasterKey, Options, Vault};
use mission_control_runtime::secret::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::bench::PoolBench;
use crate::support::board::{ADMIN_KEY, Board};
use crate::support::program::{Program, Running, exchange};
use crate::support::wait::until;

/// A token as Telegram's bot for bots writes it.
const BOT: &str = "4711:AAbbccddeeffgghhiijjkkllmm";

/// The person and the chat.
const PERSON: i64 = 4242;

/// The agent.
const AGENT: &str = "support";

/// `local` with an agent, the token of its bot and its webhook. Telegram and the gateway are doubles.
struct Joined {
    /// Telegram and the gateway. Its queue is not used.
    bench: PoolBench,
    home: TempDir,
    running: Running,
    url: String,
    admin_key: String,
    client: ureq::Agent,
}

impl Joined {
    fn new() -> Self {
        Self::with_options([])
    }

    /// With further options of `local`.
    fn with_options<const N: usize>(options: [&str; N]) -> Self {
        let bench = PoolBench::new(PoolPolicy::default());
        bench.api.add_bot(BOT);
        let home = tempfile::tempdir().unwrap();
        let program = Program::new(["local", "--listen", "127.0.0.1:0"]);
        let program = program.and(["--data", home.path().to_str().unwrap()]).and(options);
        let mut running = program.with("TELEGRAM_API_BASE_URL", &bench.telegram_url()).start();
        let lines = running.environment().unwrap();
        let client = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let (url, admin_key) = (lines["CONVEX_URL"].clone(), lines["ADMIN_KEY"].clone());
        let joined = Self { bench, home, running, url, admin_key, client };
        joined.person(
            "mutation",
            "configureAgent",
            &json!({"agentKey": AGENT, "version": "1", "secretsRef": [], "enabled": true}),
        );
        let token = json!({"consumerUserId": "u1", "agentKey": AGENT, "plaintextValue": BOT});
        joined.person("action", "importTelegramTokenForAgent", &token);
        let webhook = json!({"convexSiteUrl": "https://control.example.com", "agentKey": AGENT});
        let configured = joined.person("action", "configureTelegramWebhook", &webhook);
        assert_eq!((&configured["isReady"], &configured["botIdentity"]), (&json!(true), &json!("4711")));
        joined
    }

    /// Calls a function of the queue as the operator.
    fn person(&self, kind: &str, name: &str, args: &Value) -> Value {
        let body =
            json!({"path": format!("agentFactory:{name}"), "args": args, "format": "json"}).to_string();
        let key = format!("Convex {}", self.admin_key);
        let headers = [("Content-Type", "application/json"), ("Authorization", &key)];
        let url = format!("{}/api/{kind}", self.url);
        let answer = exchange(&self.client, ("POST", &url), &headers, &body);
        let mut read: Value = serde_json::from_str(answer.body()).unwrap();
        assert_eq!((answer.status().as_u16(), &read["status"]), (200, &json!("success")), "{name}: {read}");
        read["value"].take()
    }

    /// Posts an update as Telegram does, to the path that the bot's webhook has.
    fn update(&self, id: u32, text: &str) -> (u16, Value) {
        let webhook = self.bench.api.webhook(BOT).unwrap();
        let path = webhook.url.strip_prefix("https://control.example.com").unwrap();
        let chat = json!({"id": PERSON, "type": "private"});
        let message = json!({"message_id": id, "text": text, "chat": chat, "from": {"id": PERSON}});
        let body = json!({"update_id": id, "message": message}).to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Telegram-Bot-Api-Secret-Token", webhook.secret.as_str()),
        ];
        let answer = exchange(&self.client, ("POST", &format!("{}{path}", self.url)), &headers, &body);
        (answer.status().as_u16(), serde_json::from_str(answer.body()).unwrap())
    }

    /// The person shows a code to the bot.
    fn pair(&self) {
        let user = json!({"consumerUserId": "u1", "agentKey": AGENT});
        let made = self.person("mutation", "createUserAgentPairing", &user);
        let link = made["deepLink"].as_str().unwrap();
        let (bot, code) = link.split_once("?start=").unwrap();
        assert_eq!(bot, "https://t.me/the_4711_bot");
        let (status, answer) = self.update(1, &format!("/start {code}"));
        assert_eq!((status, &answer["pairing"]["status"]), (200, &json!("used")), "{answer}");
    }

    /// The worker, with the token that `local` has made for it.
    fn worker(&self, state: &Path) -> Program {
        let token = fs::read_to_string(self.home.path().join("worker-token")).unwrap();
        self.bench.worker(state).with("CONVEX_URL", &self.url).with("WORKER_AUTH_TOKEN", token.trim())
    }

    /// The conversation as the application sees it.
    fn conversation(&self) -> Value {
        let user = json!({"consumerUserId": "u1", "agentKey": AGENT});
        self.person("query", "getConversationViewForUserAgent", &user)
    }

    /// The statuses of the conversation's messages, the oldest first.
    fn statuses(&self) -> Vec<String> {
        let view = self.conversation();
        let items = view["queueItems"].as_array().unwrap().iter().rev();
        items.map(|item| item["status"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn until_done(&self, messages: usize) {
        until("the end of the jobs", || self.statuses() == vec!["done"; messages]);
    }

    /// What the agent has said, as the history has it.
    fn answers(&self) -> Vec<String> {
        let view = self.conversation();
        let history = view["contextHistory"].as_array().unwrap().iter();
        let said = history.filter(|line| line["role"] == "assistant");
        said.map(|line| line["content"].as_str().unwrap().to_owned()).collect()
    }

    /// What the chat shows.
    fn chat(&self) -> Vec<String> {
        self.bench.api.texts(&PERSON.to_string())
    }
}

/// Worker-pool B.3, C.7 and F.31: the update comes twice, and the person gets one answer.
#[test]
fn an_update_is_answered_once_in_the_chat_and_in_the_history() {
    let joined = Joined::new();
    let state = tempfile::tempdir().unwrap();
    let _worker = joined.worker(state.path()).start();
    assert_eq!(joined.update(7, "too early").1["reason"], "no active binding");
    joined.pair();
    let first = joined.update(2, "hello");
    assert_eq!(first.1["ok"], true, "{first:?}");
    assert_eq!(joined.update(2, "hello").1, first.1);
    joined.until_done(1);
    assert_eq!(joined.update(2, "hello").1, first.1);
    joined.update(3, "again");
    joined.until_done(2);
    assert_eq!(joined.chat(), ["re: hello", "re: again"]);
    assert_eq!(joined.answers(), ["re: hello", "re: again"]);
    assert_eq!(joined.bench.runs(), 2);
    let shown = joined.bench.api.messages();
    assert!(shown.iter().all(|message| message.token == BOT), "{shown:?}");
}

/// Worker-pool E.5, check 6, with the real queue: the next process continues the turn of the one that was killed.
#[test]
fn a_second_worker_continues_after_the_first_was_killed() {
    let joined = Joined::new();
    joined.pair();
    let state = tempfile::tempdir().unwrap();
    let first = joined.worker(state.path()).start();
    joined.update(2, "SLOW 500 hello");
    until("the turn", || joined.bench.runs() == 1);
    first.kill();
    joined.update(3, "again");
    let mut second = joined.worker(state.path()).start();
    second.wait_for_log("Listening");
    joined.until_done(2);
    assert_eq!(joined.chat(), ["re: hello", "re: again"]);
    assert_eq!(joined.answers(), ["re: hello", "re: again"]);
    let attempts: Vec<Value> = joined.conversation()["queueItems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["attempts"].clone())
        .collect();
    assert_eq!(attempts, [0.0, 0.0].map(Value::from), "no attempt was counted");
}

/// Worker-pool B.4 and E.5, check 6: the machine is gone with its records, and another one gets the message when the lease has
/// ended. The queue has a clock of its own here.
#[test]
fn another_machine_continues_when_the_lease_has_ended() {
    let bench = PoolBench::new(PoolPolicy::default());
    let mut board = Board::unserved(Options::default());
    let engine = Arc::into_inner(board.engine).unwrap();
    board.engine = Arc::new(engine.with_vault(Vault::new(&MasterKey::from_file(&[7; 32]).unwrap())).unwrap());
    let api = HttpApi::new(board.engine.clone(), Secret::new(ADMIN_KEY), Hosts::default())
        .with_worker_token(Secret::new("mc_worker_test"));
    let limits = with_limits(ServerLimits::default());
    let server = Server::bind("127.0.0.1:0", limits, move |request| api.answer(&request)).unwrap();
    let call = |kind: Kind, name: &str, args: Value| {
        board.call(kind, &format!("agentFactory:{name}"), &args).unwrap()
    };
    bench.api.add_bot(BOT);
    let profile = json!({"agentKey": AGENT, "version": "1", "enabled": true, "secretsRef": ["telegram.botToken.support"]});
    call(Kind::Mutation, "configureAgent", profile);
    let secret = json!({"secretRef": "telegram.botToken.support", "plaintextValue": BOT});
    call(Kind::Mutation, "importSecret", secret);
    let message = json!({"conversationId": "c1", "agentKey": AGENT, "provider": "telegram", "providerUserId": "4242",
        "messageText": "SLOW 500 hello"});
    call(Kind::Mutation, "enqueue", message);
    let machine = |state: &Path| {
        let program = bench.worker(state).with("CONVEX_URL", &format!("http://{}", server.local_addr()));
        program.with("WORKER_AUTH_TOKEN", "mc_worker_test").start()
    };
    let item =
        || call(Kind::Query, "listQueueItemsForConversation", json!({"conversationId": "c1"}))[0].take();

    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = machine(one.path());
    until("the turn", || bench.runs() == 1);
    first.kill();
    let mut second = machine(other.path());
    second.wait_for_log("Listening");
    assert_eq!(item()["status"], "processing", "the lease of the first machine protects the message");
    board.advance(361_000);
    until("the end of the job", || item()["status"] == "done");
    assert_eq!(bench.api.texts("4242"), ["re: hello"]);
}

/// Worker-pool B.3, C.1 and F.10: a worker is killed before it knows its claim, so it never renews the lease. The option
/// says how long the message waits for another worker.
#[test]
fn a_claim_whose_worker_was_killed_ends_with_the_lease_of_the_option() {
    let joined = Joined::with_options(["--pool-lease", "20"]);
    joined.pair();
    joined.update(2, "hello");
    let lost = joined.person("mutation", "workerClaim", &json!({"workerId": "killed"}));
    let (claimed, _) = lost["leaseId"].as_str().unwrap().split_once('-').unwrap();
    let claimed: f64 = claimed.parse().unwrap();
    assert_eq!(lost["leaseExpiresAt"], json!(claimed + 20_000.0), "{lost}");
    let state = tempfile::tempdir().unwrap();
    let _worker = joined.worker(state.path()).start();
    joined.until_done(1);
    assert_eq!(joined.chat(), ["re: hello"]);
    let item = joined.conversation()["queueItems"][0].take();
    assert!(item["attempts"].as_f64().unwrap() >= 1.0, "an expired lease is a failed attempt: {item}");
}

/// A worker with another token gets no job, and says what to do.
#[test]
fn a_worker_with_another_token_takes_nothing() {
    let mut joined = Joined::new();
    joined.pair();
    joined.update(2, "hello");
    let state = tempfile::tempdir().unwrap();
    let worker = joined.worker(state.path()).with("WORKER_AUTH_TOKEN", "mc_worker_another");
    let mut worker = worker.start();
    let address = worker.address();
    until("the refusal in the health", || {
        let (_, health) = crate::support::program::get(&address, "/health");
        health.contains("the queue does not answer") && health.contains("Set WORKER_AUTH_TOKEN")
    });
    assert_eq!(joined.statuses(), ["queued"]);
    assert!(!joined.running.has_ended() && joined.chat().is_empty());
}

/// Worker-pool B.10: what `skills pack` prints is the argument of `globalSkillsDeploy` as it is, and a worker installs the
/// files that were packed.
#[test]
fn a_packed_skill_is_deployed_and_installed_as_it_is() {
    let joined = Joined::new();
    let place = tempfile::tempdir().unwrap();
    let source = place.path().join("weather");
    let files: [(&str, &[u8]); 4] = [
        ("SKILL.md", "# weather\r\n\nIt says „sunny“. \u{1f31e}\n".as_bytes()),
        ("scripts/index.mjs", b"export default {};"),
        ("docs/deep/notes.txt", b"\ttwo  blanks \\ \"quotes\"\n\n"),
        ("docs/empty.txt", b""),
    ];
    for (path, content) in files {
        fs::create_dir_all(source.join(path).parent().unwrap()).unwrap();
        fs::write(source.join(path), content).unwrap();
    }
    let output =
        Program::of(vec!["skills", "pack", source.to_str().unwrap(), "--as", "weather@1.2.0"]).output();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let bundle: Value = serde_json::from_slice(&output.stdout).unwrap();
    let deployed = joined.person("mutation", "globalSkillsDeploy", &bundle);
    let manifest = joined.person("query", "workerGlobalSkillsManifest", &json!({}));
    assert_eq!(manifest["skills"][0]["sha256"], deployed["sha256"], "{manifest}");

    let token = fs::read_to_string(joined.home.path().join("worker-token")).unwrap();
    let of_worker = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let sync = || {
        let output = Program::of(vec!["skills", "sync", "--json"])
            .with("CONVEX_URL", &joined.url)
            .with("WORKER_AUTH_TOKEN", token.trim())
            .with("OPENCLAW_STATE_DIR", &of_worker("state"))
            .with("OPENCLAW_WORKSPACE_DIR", &of_worker("workspace"))
            .output();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let outcome = sync();
    assert_eq!(outcome["installed"], json!(["weather"]), "{outcome}");
    assert_eq!(outcome["manifestVersion"], manifest["manifestVersion"]);
    let installed = place.path().join("workspace/skills/weather");
    for (path, content) in files {
        assert_eq!(fs::read(installed.join(path)).unwrap(), content, "{path}");
    }
    assert_eq!(sync()["unchanged"], json!(["weather"]));
}
