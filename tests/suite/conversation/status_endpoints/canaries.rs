//! Every configured or generated secret, and every session key in every spelling, is repeated by the agents
//! (in texts, calls, bodies, headers), by the model's provider and by Mission Control. None appears in an
//! answer, a page, a command, a log, or in the runtime's own reports to the board.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mission_control_runtime::config::{Kind, TABLE};
use mission_control_runtime::demo::gateway::{Fault, Prompt, Thought};
use mission_control_runtime::http::message::{Reply, Request};
use serde_json::{Value, json};

use super::super::over_http::{post, way};
use super::super::processes::Stack;
use super::Meddler;
use crate::support::board::agent;
use crate::support::program::exchange;

/// The setup's token.
const GATEWAYS: &str = "the-gateways-token";

/// The agents of the board. Ben works, the gateway fails ada, cleo's texts reach no thread.
const TEAM: [&str; 3] = ["ben", "ada", "cleo"];

/// The texts that must not appear anywhere.
#[derive(Default)]
struct Canaries {
    known: Mutex<Vec<String>>,
    /// How often they were repeated.
    said: AtomicUsize,
    /// The refusals that agents got over HTTP.
    refusals: Mutex<String>,
}

impl Canaries {
    fn add(&self, words: impl IntoIterator<Item = String>) {
        let mut known = self.known.lock().unwrap();
        words.into_iter().for_each(|word| {
            if !known.contains(&word) {
                known.push(word);
            }
        });
    }

    /// All of them, starting with another one each time, because long texts are cut.
    fn said_back(&self) -> String {
        let mut known = self.known.lock().unwrap().clone();
        let first = self.said.fetch_add(1, Ordering::Relaxed) % known.len().max(1);
        known.rotate_left(first);
        format!("it was {} and that was it", known.join(" "))
    }

    /// A text that is cut wherever anything is cut.
    fn longest(&self) -> String {
        self.known.lock().unwrap().iter().max_by_key(|word| word.len()).cloned().unwrap_or_default()
    }

    /// Fails if an output contains one of them.
    fn are_not_in(&self, place: &str, text: &str) {
        let lower = text.to_lowercase();
        let known = self.known.lock().unwrap();
        // Half a secret at a cut is too much.
        for word in known.iter().map(String::as_str).chain(["c4n4ry"]) {
            assert!(!lower.contains(&word.to_lowercase()), "{word} comes out of {place}: {text}");
        }
    }

    /// The check for an output in which something had to be hidden.
    fn are_hidden_in(&self, place: &str, text: &str) {
        assert!(
            text.contains("***") || text.contains("(session-key)"),
            "nothing was said in {place}: {text}"
        );
        self.are_not_in(place, text);
    }
}

/// All spellings of an agent's keys, for a task and for itself.
fn keys(account: &str, slug: &str, task: &str) -> Vec<String> {
    let plain = [
        format!("task:{task}:agent:{slug}:{account}:v1"),
        format!("agent:{slug}:task:{task}:{account}:v1"),
        format!("agent:{slug}:task:{task}:agent:{slug}:{account}:v1"),
        format!("system:agent:{slug}:{account}:v1"),
        format!("agent:{slug}:system:{account}:v1"),
        format!("agent:{slug}:{account}"),
        format!("agent:{slug}:key:0123456789abcdef0123456789abcdef"),
        format!("agent:{slug}:cron:nightly:run:abc"),
    ];
    let encoded = plain.clone().map(|key| key.replace(':', "%3A"));
    plain.into_iter().chain(encoded).collect()
}

/// Longer than any limit.
fn long(beginning: &str) -> String {
    format!("{beginning}-{}", "0f".repeat(50))
}

/// A value for every secret that can be configured, and a proxy with a password.
fn configured() -> Vec<(String, String)> {
    let secrets = TABLE.iter().filter(|variable| matches!(variable.kind, Kind::Secret { .. }));
    let names =
        secrets.flat_map(|variable| [variable.name].into_iter().chain(variable.aliases.iter().copied()));
    let ours = names.filter(|name| !["SERVICE_TOKEN", "OPENCLAW_GATEWAY_TOKEN"].contains(name));
    let canary = |name: &str| {
        (name.to_owned(), format!("{}-{}", long("c4n4ry"), name.to_lowercase().replace('_', "-")))
    };
    let proxy = ("HTTPS_PROXY".to_owned(), "http://robin:c4n4ry-of-the-proxy@127.0.0.1:9".to_owned());
    ours.map(canary).chain([proxy]).collect()
}

/// The agents' behaviour with the secrets.
fn think(prompt: &Prompt, canaries: &Canaries) -> Thought {
    let key = prompt.session.clone();
    canaries.add([key.clone()]);
    let name = canaries.longest();
    match (prompt.agent.as_str(), prompt.outputs().next()) {
        ("cleo", _) => Thought::say(format!("cleo-says {}", canaries.said_back())),
        (_, None) if prompt.tools.is_empty() => {
            call(&prompt.instructions, canaries);
            Thought::say(canaries.said_back())
        }
        (_, None) => Thought::calls([
            (key.as_str(), json!({"taskId": canaries.said_back()})),
            (GATEWAYS, json!({"serviceToken": key})),
            (name.as_str(), json!({})),
            ("task_load", json!({name.as_str(): 1})),
            ("task_load", json!({"taskId": canaries.said_back()})),
            ("document_upsert", json!({"title": canaries.said_back(), canaries.said_back(): 1})),
        ]),
        (_, Some(_)) => Thought::say(canaries.said_back()),
    }
}

/// An agent that makes its call with the secrets in every place.
fn call(instructions: &str, canaries: &Canaries) {
    let (base, headers) = way(instructions);
    canaries.add(headers.iter().map(|(_, value)| value.clone()));
    let all = canaries.said_back();
    let bodies = [
        ("task-load", json!({"taskId": all})),
        ("task-status", json!({"taskId": "t", "status": all})),
        ("document", json!({"title": "x", all.as_str(): "y"})),
        ("response-request", json!({"taskId": "t", "recipientSlugs": [all], "message": "x"})),
        ("event", json!({"text": all, "scope": all})),
        ("wake", json!({"text": all, "sessionKey": format!("agent:{all}:main")})),
        ("wake", json!({"text": all, "reason": all})),
        ("document", json!({"title": "x", canaries.longest(): "y"})),
        ("task-load", json!({"taskId": canaries.longest()})),
    ];
    let mut refusals = canaries.refusals.lock().unwrap();
    let mut refuse = |url: &str, headers: &[(String, String)], body: &Value| {
        let (status, answer) = post(url, headers, body);
        if status >= 400 {
            refusals.push_str(&answer.to_string());
        }
    };
    for (endpoint, body) in &bodies {
        refuse(&format!("{base}/agent/{endpoint}"), &headers, body);
    }
    let url = format!("{base}/agent/document-list");
    for name in ["Idempotency-Key", "Content-Type", "Content-Encoding", "X-Forwarded-For", "Host"] {
        let more = headers.iter().cloned().chain([(name.to_owned(), all.clone())]);
        refuse(&url, &more.collect::<Vec<_>>(), &json!({}));
    }
    let kind = ("Content-Type".to_owned(), format!("{}/x", canaries.longest()));
    refuse(&url, &headers.iter().cloned().chain([kind]).collect::<Vec<_>>(), &json!({}));
    for (name, _) in &headers {
        let wrong = headers
            .iter()
            .map(|(known, value)| (known.clone(), if known == name { all.clone() } else { value.clone() }));
        refuse(&url, &wrong.collect::<Vec<_>>(), &json!({}));
    }
}

/// Sends a request to the program's server; returns the whole answer.
fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let answer = exchange(&agent(), (method, &format!("http://{address}{path}")), headers, body);
    format!("{} {:?}\n{}", answer.status(), answer.headers(), answer.body())
}

/// Every request that is possible without a token, and with the operators' token.
fn look(stack: &Stack, canaries: &Canaries, operator: &str, ids: &[String], some: &[&str]) {
    let address = stack.address();
    let open = [
        "/health",
        "/metrics",
        "/version",
        "/readyz",
        "/livez",
        "/no-such-path",
        "/why/ben",
        "/deliveries",
        "/",
        "/overview",
    ];
    for path in open {
        for accept in ["*/*", "application/json"] {
            canaries.are_not_in(path, &ask(address, "GET", path, &[("Accept", accept)], ""));
        }
    }
    let bearer = format!("Bearer {operator}");
    let shown = [("Authorization", bearer.as_str())];
    let named = ids.iter().map(String::as_str).chain(TEAM).chain(some.iter().copied());
    for name in named {
        for (method, path) in [
            ("GET", format!("/why/{name}")),
            ("POST", format!("/dead/{name}/retry")),
            ("POST", format!("/turns/{name}/give-up")),
        ] {
            // A retry is not wanted here.
            if method == "GET" || some.contains(&name) {
                canaries.are_not_in(&path, &ask(address, method, &path, &shown, ""));
            }
        }
        let body = json!({"agent": name}).to_string();
        for path in ["/pause", "/resume"] {
            canaries.are_not_in(path, &ask(address, "POST", path, &shown, &body));
        }
        let wrong = [("Authorization", name), ("Origin", name)];
        canaries.are_not_in("a refusal", &ask(address, "GET", "/deliveries", &wrong, ""));
    }
    canaries.are_not_in("/evidence", &ask(address, "GET", "/evidence/604800", &shown, ""));
    for path in ["/deliveries", "/overview"] {
        canaries.are_hidden_in(path, &ask(address, "GET", path, &shown, ""));
    }
    canaries.are_hidden_in("/health", &ask(address, "GET", "/health", &[], ""));
}

/// The output of every command.
fn command(stack: &Stack, canaries: &Canaries, operator: &str, ids: &[String], some: &[&str]) {
    let run = |args: &str, text: String| {
        // The only output that must contain it for people.
        let text = if args == "status" { text.replacen(&format!("#token={operator}"), "", 1) } else { text };
        canaries.are_not_in(args, &text);
        text
    };
    for args in [["status", "--json"], ["dead", "list"], ["doctor", "--all"], ["doctor", "--json"]] {
        run(&args.join(" "), stack.command(args).1);
    }
    for args in [["status"], ["resume"]] {
        run(args[0], stack.command(args).1);
    }
    run("dead list --json", stack.command(["dead", "list", "--json"]).1);
    let mut told = String::new();
    for name in ids.iter().map(String::as_str).chain(TEAM).chain(some.iter().copied()) {
        told += &run("why", stack.command(["why", name]).1);
        run("why --json", stack.command(["why", name, "--json"]).1);
        run("dead show", stack.command(["dead", "show", name]).1);
    }
    for name in some {
        run("dead retry", stack.command(["dead", "retry", name]).1);
        run("dead drop", stack.command(["dead", "drop", name]).1);
        run("pause", stack.command(["pause", "--agent", name]).1);
    }
    // Texts that make the configuration invalid: secrets are recognised by their form.
    for name in some.iter().filter(|name| !name.starts_with("c4n4ry")) {
        run("an unknown word", stack.command([name]).1);
        run("an unknown option", stack.command(["why", "--agent", name]).1);
    }
    canaries.are_hidden_in("why", &told);
}

fn nothing_comes_out(format: &str, over_http: bool) {
    let canaries = Arc::<Canaries>::default();
    let mind = canaries.clone();
    let configured = configured();
    let tools = if over_http { "false" } else { "true" };
    let mut more: Vec<(&str, &str)> =
        configured.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    more.extend([("LOG_FORMAT", format), ("LOG_LEVEL", "trace"), ("DELIVERY_MAX_ATTEMPTS", "1")]);
    more.extend([("OPENCLAW_CLIENT_TOOLS_ENABLED", tools), ("AGENT_API_TOKENS", "on")]);
    let mut stack = Stack::set(&TEAM, move |prompt: &Prompt| think(prompt, &mind), &more);
    let (account, token) = (stack.board.account.clone(), stack.board.token.clone());
    let place = |name: &str| format!("{}/{name}", stack.state_dir());
    let operator = fs::read_to_string(place("operator-token")).unwrap().trim().to_owned();
    let secret = token.rsplit('_').next().unwrap().to_owned();
    canaries.add(configured.iter().filter(|(name, _)| name != "HTTPS_PROXY").map(|(_, value)| value.clone()));
    canaries.add([
        token.clone(),
        secret,
        GATEWAYS.to_owned(),
        operator.clone(),
        "c4n4ry-of-the-proxy".to_owned(),
    ]);
    let stored = ["sk-", &long("c4n4ry"), "-stored"].concat();
    canaries.add([stored.clone()]);
    let args = json!({"provider": "BRAVE_API_KEY", "key": stored});
    stack.board.person("secrets:upsertProviderKey", args).unwrap();

    // A name that was paused before the roster was known.
    let paused = json!({"all": false, "agents": [token]}).to_string();
    fs::write(place("paused.json"), paused).unwrap();
    // Mission Control repeats them too, in the answer to a report and in place of cleo's context.
    let (back, reports) = (canaries.clone(), Arc::<Mutex<Vec<Value>>>::default());
    let heard = reports.clone();
    let meddler = Meddler::between(&stack, move |request: &Request, reply| {
        let text = String::from_utf8_lossy(request.body());
        let is_report = text.contains("updateRuntimeStatus");
        if is_report {
            heard.lock().unwrap().push(serde_json::from_str(&text).unwrap());
        }
        if !is_report && !text.contains("cleo-says") {
            return reply;
        }
        let words = back.said_back();
        Reply::json_of(&json!({"status": "error", "errorMessage": format!(
            "[Request ID: 0123456789abcdef] Server Error\nUncaught Error: {words}\n    at handler (../x.ts:1:1)\n"
        )}))
    });
    stack.kill();
    stack.set_variable("CONVEX_URL", &meddler.url());
    let tasks = TEAM.map(|slug| stack.task("in_progress", &[slug]));
    for (slug, task) in TEAM.iter().zip(&tasks) {
        canaries.add(keys(&account, slug, task));
    }
    // And the gateway, in ada's turn. It would do so each time, so ada's row is given up at once.
    let words = format!("invalid tool configuration: {}", canaries.said_back());
    let session = format!("agent:ada:task:{}:{account}:v1", tasks[1]);
    stack.faults().always_in(&session, Fault::Failed("server_error", String::leak(words)));
    stack.start();
    stack.until("the team", |health| {
        health["agentSync"]["agents"] == 3 && health["gatewayKeys"]["names"] == json!(["BRAVE_API_KEY"])
    });
    let before: HashSet<String> = ids(&stack).into_iter().collect();
    for (slug, task) in TEAM.iter().zip(&tasks) {
        stack.mention(task, slug, "what do you know?");
    }
    let ids: Vec<String> = ids(&stack).into_iter().filter(|id| !before.contains(id)).collect();
    stack.answer_of("ben", &tasks[0]);
    stack.until("trouble", |health| {
        let reports = health["backend"]["lastReportError"].is_string();
        reports && health["delivery"]["dead"] == 1 && health["delivery"]["failed"].as_u64() >= Some(2)
    });
    let (_, cleo) = stack.command(["why", "cleo"]);
    assert!(cleo.contains("the function failed") && cleo.contains("not in the thread"), "{cleo}");

    let own = format!("system:agent:ben:{account}:v1");
    let some = [operator.as_str(), token.as_str(), own.as_str(), "c4n4ry-of-the-proxy"];
    look(&stack, &canaries, &operator, &ids, &some);
    command(&stack, &canaries, &operator, &ids, &some);
    canaries.are_hidden_in("the log", &stack.stop());
    // The same checks on the ledger of a service that has ended.
    command(&stack, &canaries, &operator, &ids, &some);
    if over_http {
        canaries.are_hidden_in("the agents' API", &canaries.refusals.lock().unwrap());
    }
    // The runtime's own reports to the board; agents' texts there are their own.
    for mut report in reports.lock().unwrap().drain(..) {
        report["args"][0]["serviceToken"] = json!("its own place");
        canaries.are_not_in("a report", &report.to_string());
    }
    let note = |slug: &str, task: &str| {
        stack.said_by(slug, task).into_iter().find(|text| text.contains("Automatic note"))
    };
    canaries.are_not_in("an automatic note", &note("ada", &tasks[1]).expect("she was given up"));
}

fn ids(stack: &Stack) -> Vec<String> {
    stack.undelivered().iter().map(|row| row["_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn repeated_secrets_leak_nowhere() {
    nothing_comes_out("text", false);
}

#[test]
fn keys_and_tokens_of_agents_over_http_leak_nowhere() {
    nothing_comes_out("json", true);
}
