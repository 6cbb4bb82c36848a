//! The program `local` as a control plane, against the double of the API: a machine from its request to its end.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use mission_control_runtime::demo::gateway::{BODY_BYTES, Options, PATH, Prompt, ScriptedGateway, Thought};
use mission_control_runtime::http::message::Request;
use mission_control_runtime::http::server::{Server, ServerLimits};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::api_lists::KEY_ID;
use super::cloud::{Cloud, Fault, Manners, TOKEN};
use crate::support::board::agent;
use crate::support::program::{Program, Running, exchange, text};
use crate::support::wait::{until, until_free};

/// `local` with the double as its provider.
struct Plane {
    cloud: Cloud,
    _api: Server,
    place: TempDir,
    api_url: String,
    url: String,
    variables: &'static [(&'static str, &'static str)],
    running: Option<Running>,
}

/// An address on which nothing listens now. The public address must be known before the start.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Plane {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With these variables of `local`.
    fn with(variables: &'static [(&'static str, &'static str)]) -> Self {
        let cloud = Cloud::new(1, Manners::quick());
        let api = cloud.serve();
        let place = tempfile::tempdir().unwrap();
        let (url, api_url) = (format!("http://{}", free_address()), format!("http://{}", api.local_addr()));
        let mut started = Self { cloud, _api: api, place, api_url, url, variables, running: None };
        started.start();
        fs::write(started.path("do-token"), TOKEN).unwrap();
        for words in [
            "create acme",
            "enable runtime_provisioning_enabled",
            &format!("token digitalocean --token-file {}", started.path("do-token").display()),
        ] {
            started.fleet(words);
        }
        started
    }

    /// Starts `local` with its data, for the first time or again.
    fn start(&mut self) {
        let address = self.url.trim_start_matches("http://");
        until_free(address);
        let release = format!("https://example.com/mcr.tar.gz#sha256={}", "ab".repeat(32));
        let program = Program::new(["local", "--listen", address, "--public-url", &self.url])
            .and(["--data", self.path("data").to_str().unwrap()])
            .and(["--release", &release, "--ssh-keys", &KEY_ID.to_string()])
            .with("DIGITALOCEAN_API_BASE_URL", &self.api_url);
        let with_all =
            self.variables.iter().fold(program, |program, (name, value)| program.with(name, value));
        let mut running = with_all.start();
        running.environment().unwrap();
        self.running = Some(running);
    }

    fn request(&self) {
        self.fleet(
            "provision acme --provider digitalocean --region fra1 --size s-1vcpu-2gb --image debian-12-x64",
        );
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Runs `fleet` with these words, which must succeed.
    fn fleet(&self, words: &str) -> String {
        let key = self.path("data/admin-key");
        let args: Vec<&str> = ["fleet"].into_iter().chain(words.split_whitespace()).collect();
        let at = ["--url", &self.url, "--admin-key-file", key.to_str().unwrap()];
        let output = Program::of(args).and(at).output();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{words}: {said}");
        assert!(!said.contains(TOKEN), "{said}");
        said
    }

    /// Adds an agent to the account.
    fn add_agent(&self, slug: &str) {
        let id = self.account()["accountId"].clone();
        let args = json!({"accountId": id, "name": slug, "slug": slug, "role": "Support"});
        let body = json!({"path": "agents:create", "args": args, "format": "json"}).to_string();
        let key = format!("Convex {}", fs::read_to_string(self.path("data/admin-key")).unwrap().trim());
        let headers = [("Content-Type", "application/json"), ("Authorization", key.as_str())];
        let answer = exchange(&agent(), ("POST", &format!("{}/api/mutation", self.url)), &headers, &body);
        assert!(answer.body().contains("success"), "{}", answer.body());
    }

    /// The account.
    fn account(&self) -> Value {
        serde_json::from_str(&self.fleet("show acme --json")).unwrap()
    }

    #[track_caller]
    fn until_state(&self, state: &str) -> Value {
        let mut account = Value::Null;
        until(&format!("the state {state}"), || {
            account = self.account();
            assert_ne!(account["machine"]["state"], "error", "{account:#}");
            account["machine"]["state"] == state
        });
        account
    }

    /// What the newest machine got as user data.
    fn user_data(&self) -> String {
        let book = self.cloud.book();
        let (_, droplet) = book.droplets.last_key_value().unwrap();
        droplet.body["user_data"].as_str().unwrap().to_owned()
    }
}

/// The content of a file that cloud-init writes.
fn written(user_data: &str, path: &str) -> String {
    let (_, rest) = user_data.split_once(&format!("- path: {path}\n")).unwrap();
    let (_, rest) = rest.split_once("content: |\n").unwrap();
    let lines = rest.lines().take_while(|line| line.starts_with("      ") || line.is_empty());
    lines.fold(String::new(), |text, line| text + line.trim_start() + "\n")
}

/// The value of a line in the set-up.
fn value<'a>(user_data: &'a str, name: &str) -> &'a str {
    let line = user_data.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='));
    line.unwrap()
}

/// Runs `bootstrap` as cloud-init does.
fn bootstrap(env: &Path, token: &Path, url: &str) -> Output {
    Program::new(["bootstrap", "--env-file", env.to_str().unwrap()])
        .with("RUNTIME_BOOTSTRAP_URL", url)
        .with("RUNTIME_BOOTSTRAP_TOKEN_FILE", token.to_str().unwrap())
        .output()
}

/// A gateway that accepts this token only.
fn gateway(token: &str) -> Server {
    let options = Options { token: Some(token.to_owned()), ..Options::default() };
    let scripted = ScriptedGateway::new(options, Arc::new(|_: &Prompt| Thought::nothing()));
    let limits = ServerLimits::default().with_body_limit(PATH, BODY_BYTES);
    let answer = move |request: Request| scripted.answer(&request);
    Server::bind_refusing("127.0.0.1:0", limits, ScriptedGateway::refuse, answer).unwrap()
}

#[test]
fn a_requested_machine_comes_online_with_its_own_secrets_and_goes() {
    let mut plane = Plane::new();
    plane.add_agent("support");
    plane.add_agent("sales");
    plane.request();
    let account = plane.until_state("booting");
    assert_eq!(plane.cloud.counts(), (1, 1), "{account:#}");

    // The new machine does what its user data says.
    let user_data = plane.user_data();
    let (env, token) = (plane.path("runtime.env"), plane.path("bootstrap.token"));
    fs::write(&env, written(&user_data, "/etc/mission-control-runtime.env")).unwrap();
    fs::write(&token, written(&user_data, "/etc/mission-control-bootstrap.token").trim()).unwrap();
    let one_time = fs::read_to_string(&token).unwrap();
    assert_eq!(value(&user_data, "RUNTIME_BOOTSTRAP_URL"), plane.url);
    // The gateway refuses turns of agents that it does not know.
    assert_eq!(value(&user_data, "OPENCLAW_AGENTS"), "support,sales");
    let output = bootstrap(&env, &token, value(&user_data, "RUNTIME_BOOTSTRAP_URL"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let supplied = fs::read_to_string(&env).unwrap();
    assert!(supplied.contains(&format!("CONVEX_URL={}\n", plane.url)), "{supplied}");
    let service_token = value(&supplied, "SERVICE_TOKEN");
    assert!(service_token.starts_with("mc_service_"), "{supplied}");
    {
        let book = plane.cloud.book();
        assert!(!book.bodies.contains(service_token), "the provider never sees the service token");
    }
    plane.until_state("reporting");

    // The token is used up.
    fs::write(&token, &one_time).unwrap();
    fs::write(plane.path("other.env"), "").unwrap();
    let again = bootstrap(&plane.path("other.env"), &token, &plane.url);
    assert!(again.status.code() == Some(1) && text(&again).contains("does not accept the one-time token"));

    // The gateway on the machine has the token that came with the secrets.
    let gateway = gateway(value(&supplied, "OPENCLAW_GATEWAY_TOKEN"));
    let mut runtime = Program::new(["run", "--env-file", env.to_str().unwrap()])
        .with("OPENCLAW_GATEWAY_URL", &format!("http://{}", gateway.local_addr()))
        .with("HEALTH_PORT", "0")
        .start();
    runtime.wait_for_log("Listening");
    let account = plane.until_state("online");
    until("the status of the account", || plane.account()["status"] == "online");
    assert_eq!(account["machine"]["machineId"], "500", "{account:#}");

    plane.fleet("destroy acme");
    plane.until_state("gone");
    assert_eq!(plane.cloud.counts(), (1, 0));
    assert_eq!(plane.cloud.book().most_at_once, 1);
    // The token of a machine ends with it.
    runtime.kill();
    let status =
        Program::new(["doctor", "--env-file", env.to_str().unwrap()]).with("OPENCLAW_GATEWAY_URL", "");
    let output = status.output();
    assert_ne!(output.status.code(), Some(0), "{}", text(&output));
    assert!(!plane.running.as_mut().unwrap().has_ended());
}

/// The server is killed after DigitalOcean has taken the creation, whose answer is lost. The next start finds the machine by
/// its name and its tag, and the one-time token in it is still good.
#[test]
fn a_creation_that_a_crash_interrupts_buys_one_machine() {
    let mut plane = Plane::new();
    plane.cloud.book().always.push(("POST /v2/droplets", Fault::AnswerLost));
    plane.request();
    until("the creation", || plane.cloud.counts().0 == 1);
    plane.running.take().unwrap().kill();
    assert_eq!(plane.cloud.counts(), (1, 1));
    plane.start();
    plane.until_state("booting");
    assert_eq!((plane.cloud.counts(), plane.cloud.book().most_at_once), ((1, 1), 1));
    let user_data = plane.user_data();
    let (env, token) = (plane.path("runtime.env"), plane.path("bootstrap.token"));
    fs::write(&env, written(&user_data, "/etc/mission-control-runtime.env")).unwrap();
    fs::write(&token, written(&user_data, "/etc/mission-control-bootstrap.token")).unwrap();
    let output = bootstrap(&env, &token, &plane.url);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    plane.until_state("reporting");
    plane.fleet("cancel acme");
    plane.until_state("gone");
    assert_eq!(plane.cloud.counts(), (1, 0));
}

/// The address follows the variable, and a token goes nowhere in the clear.
#[test]
fn an_address_that_would_show_tokens_is_refused() {
    let public = ["--public-url", "http://127.0.0.1:1", "--release"];
    let release = format!("https://example.com/a#sha256={}", "ab".repeat(32));
    for name in ["DIGITALOCEAN_API_BASE_URL", "TELEGRAM_API_BASE_URL"] {
        let local = Program::new(["local", "--listen", "127.0.0.1:0", "--data", ":memory:"]);
        let output = local.and(public).and([&release]).with(name, "http://api.example.com").output();
        let said = text(&output);
        assert!(output.status.code() == Some(1) && said.contains(name), "{name}: {said}");
        assert!(said.contains("must begin with https://"), "{said}");
    }
}

/// The machine never takes its secrets, and the variables say how long that may last and what becomes of it.
#[test]
fn a_machine_that_does_not_report_in_time_is_destroyed_if_wished() {
    let plane = Plane::with(&[("PROVISION_TIMEOUT_S", "1"), ("PROVISION_DESTROY_ON_TIMEOUT", "true")]);
    plane.request();
    until("the end of the machine", || plane.cloud.counts() == (1, 0));
}

#[test]
fn a_time_limit_that_cannot_be_used_is_refused() {
    let release = format!("https://example.com/a#sha256={}", "ab".repeat(32));
    for (name, value) in [("PROVISION_TIMEOUT_S", "soon"), ("PROVISION_DESTROY_ON_TIMEOUT", "perhaps")] {
        let local = Program::new(["local", "--listen", "127.0.0.1:0", "--data", ":memory:"]);
        let local = local.and(["--public-url", "http://127.0.0.1:1", "--release"]).and([&release]);
        let output = local.with(name, value).output();
        let said = text(&output);
        assert!(output.status.code() == Some(1) && said.contains(name), "{name}: {said}");
    }
}
