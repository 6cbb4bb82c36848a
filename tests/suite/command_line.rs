//! The program as people and supervisors use it: commands, exit codes, messages.

/// Colours on a terminal.
mod color;
/// The completions for bash, zsh and fish.
mod completions;
/// The agents in `doctor`'s check of the gateway.
mod doctor_agent_files;
mod doctor_agents;
/// The gateway's configuration in `doctor`, and its repair.
mod doctor_configuration;
/// The configuration of the gateway.
mod gateway_config;
/// Command lines that are invalid.
mod invalid;
/// Damaged ledgers that prevent a start.
mod ledger_files;
/// The options of `local`.
mod local_options;
/// The help, and the messages about missing services, folders and ledgers.
mod no_service;
/// Settings without effect, the log's output, and a token that is never accepted.
mod settings;
/// The state folder: where it is, and which folders are refused.
mod state_dir;
/// Commands that need the state folder only.
mod state_dir_only;
/// The messages to systemd.
mod supervised;

use std::fs;
use std::net::TcpListener;

use mission_control_runtime::app::{
    self, BuildFacts, ConfigurationOptions, Dead, Exit, Pause, ServiceLocation,
};
use mission_control_runtime::cli::documents::tables;
use mission_control_runtime::cli::{Command, Shell, parse};
use serde_json::{Value, json};

use crate::support::board::Board;
use crate::support::documents::{check_fresh, with_block};
use crate::support::program::{Program, folder, get, text};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp, answer};

const TOKEN: &str = "mc_service_acc0unt_s3cr3t-c4n4ry";

/// A backend that knows the account.
fn good_backend() -> ScriptedHttp {
    let value = json!({"status": "success", "value": {"orchestratorAgentId": "a1"}});
    ScriptedHttp::start([Move::Send(answer(200, &value.to_string()))])
}

/// A backend whose function throws.
fn throwing(text: &str) -> ScriptedHttp {
    let message =
        format!("[Request ID: 96a6d283e177e540] Server Error\nUncaught Error: {text}\n    at handler\n");
    ScriptedHttp::start([Move::Send(answer(
        200,
        &json!({"status": "error", "errorMessage": message}).to_string(),
    ))])
}

/// The command with these flags: all, JSON and live.
fn doctor(env_file: Option<&str>, [all, json, live]: [bool; 3]) -> Command {
    let configuration = ConfigurationOptions::default();
    Command::Doctor { env_file: env_file.map(Into::into), all, json, live, configuration }
}

fn here() -> ServiceLocation {
    ServiceLocation::default()
}

#[test]
fn the_command_line_is_parsed_or_refused_with_a_reason() {
    let run = |file: Option<&str>| Ok(Command::Run { env_file: file.map(Into::into), stop_on_eof: false });
    let rows: [(&str, Result<Command, &str>); _] = [
        ("", Ok(Command::Bare)),
        ("run", run(None)),
        ("--env-file f", run(Some("f"))),
        ("run --env-file=f", run(Some("f"))),
        ("doctor", Ok(doctor(None, [false; 3]))),
        ("--json doctor --env-file f", Ok(doctor(Some("f"), [false, true, false]))),
        ("doctor --live", Ok(doctor(None, [false, false, true]))),
        ("status", Ok(Command::Status { at: here(), json: false, ready: false })),
        ("status --json --ready", Ok(Command::Status { at: here(), json: true, ready: true })),
        ("why k1", Ok(Command::Why { at: here(), id: "k1".to_owned(), json: false })),
        ("why", Err("`why` needs the id")),
        ("why k1 k2", Err("there is no argument `k2`")),
        ("dead", Ok(Command::Dead { at: here(), what: Dead::List, json: false })),
        ("dead list --json", Ok(Command::Dead { at: here(), what: Dead::List, json: true })),
        ("dead show k1", Ok(Command::Dead { at: here(), what: Dead::Show("k1".to_owned()), json: false })),
        ("dead retry", Err("`dead retry` needs the id of a notification")),
        ("dead retri k1", Err("did you mean `retry`?")),
        (
            "pause --agent ben",
            Ok(Command::Pause {
                at: here(),
                wanted: Pause { pause: true, agent: Some("ben".to_owned()) },
                json: false,
            }),
        ),
        (
            "resume --json",
            Ok(Command::Pause { at: here(), wanted: Pause { pause: false, agent: None }, json: true }),
        ),
        (
            "status --env-file f --state-dir d",
            Ok(Command::Status {
                at: ServiceLocation { env_file: Some("f".into()), state_dir: Some("d".into()) },
                json: false,
                ready: false,
            }),
        ),
        ("run --state-dir d", Err("--state-dir is not an option of this command")),
        ("why k1 --agent ben", Err("--agent is not an option of this command")),
        ("run --live", Err("--live is not an option of this command")),
        ("run --stop-on-eof", Ok(Command::Run { env_file: None, stop_on_eof: true })),
        ("doctor --stop-on-eof", Err("--stop-on-eof is not an option of this command")),
        ("run --port 1", Err("--port is not an option of this command")),
        ("completions fish", Ok(Command::Completions(Shell::Fish))),
        ("completions fish zsh", Err("there is no argument `zsh`")),
        ("version", Ok(Command::Version { json: false })),
        ("version --json", Ok(Command::Version { json: true })),
        ("-V", Ok(Command::Version { json: false })),
        ("help", Ok(Command::Help { of: None })),
        ("--help", Ok(Command::Help { of: None })),
        ("run --help", Ok(Command::Help { of: Some("run".to_owned()) })),
        ("dead retry -h", Ok(Command::Help { of: Some("dead".to_owned()) })),
        ("help why", Ok(Command::Help { of: Some("why".to_owned()) })),
        ("help dead retry", Ok(Command::Help { of: Some("dead".to_owned()) })),
        ("help doctr", Err("there is no command `doctr`; did you mean `doctor`?")),
        ("run --data d", Err("--data is not an option of this command")),
        ("doctor --all", Ok(doctor(None, [true, false, false]))),
        ("--json", Err("--json is not an option of this command")),
        ("version --env-file f", Err("--env-file is not an option of this command")),
        ("dance", Err("there is no command `dance`;")),
        ("doctr", Err("there is no command `doctr`; did you mean `doctor`?")),
        ("run fast", Err("there is no argument `fast`")),
        ("run --env-file", Err("--env-file needs a value")),
        ("run --env-file=", Err("--env-file needs a value")),
        ("--envfile f", Err("there is no option `--envfile`; did you mean `--env-file`?")),
        ("-x", Err("there is no option `-x`")),
        ("--nonsense", Err("there is no option `--nonsense`;")),
    ];
    check_parsing(rows);
}

/// Parses each command line. A refusal must contain the given words, and name the help.
fn check_parsing<const N: usize>(rows: [(&str, Result<Command, &str>); N]) {
    for (line, expected) in rows {
        let got = parse(["program"].into_iter().chain(line.split_whitespace()).map(Into::into));
        match expected {
            Ok(command) => assert_eq!(got, Ok(command), "{line}"),
            Err(words) => {
                let sentence = got.unwrap_err().to_string();
                assert!(sentence.contains(words) && sentence.contains("--help"), "{line}: {sentence}");
            }
        }
    }
}

#[test]
fn the_documents_list_every_command_and_option() {
    check_fresh("docs/operations.md", |page| with_block(page, "commands", &tables()));
}

#[test]
fn help_and_the_documents_list_every_exit_code() {
    let help = Program::new(["help"]).output();
    assert_eq!(help.status.code(), Some(0));
    let operations = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    for exit in Exit::ALL {
        let row = format!("  {}  {}", exit.code(), exit.explain());
        assert!(text(&help).contains(&row), "{row}");
        let row = format!("| {} | {} |", exit.code(), exit.explain());
        assert!(operations.contains(&row), "docs/operations.md lacks: {row}");
    }
}

#[test]
fn version_identifies_the_build() {
    let version = Program::new(["version"]).output();
    let expected = format!("mission-control-runtime {} (", env!("CARGO_PKG_VERSION"));
    assert!(text(&version).starts_with(&expected), "{}", text(&version));
    for (commit, shown) in [(Some("7f00ab1"), "7f00ab1"), (Some(""), "unknown"), (None, "unknown")] {
        assert!(app::version(commit).ends_with(&format!(", commit {shown})\n")), "{commit:?}");
    }
    // The suite needs the feature `demo`, so it runs the full build.
    let facts = serde_json::to_value(BuildFacts::new(None)).unwrap();
    assert_eq!((&facts["edition"], &facts["commit"]), (&json!("full"), &json!("unknown")));
    let json = Program::new(["version", "--json"]).output();
    let shown: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&shown["version"], &shown["edition"]), (&json!(env!("CARGO_PKG_VERSION")), &json!("full")));
    let linkage = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };
    let libc = if cfg!(target_env = "musl") { "musl" } else { "glibc" };
    assert_eq!((&facts["linkage"], &facts["libc"]), (&json!(linkage), &json!(libc)));
    assert!(facts["features"].as_array().unwrap().starts_with(&[json!("mission-control"), json!("demo")]));
    assert!(
        text(&version).contains(&format!(", {linkage} {libc}, full build, commit ")),
        "{}",
        text(&version)
    );
}

/// A right-to-left override changes the displayed text; invisible characters hide a part of it.
#[test]
fn characters_that_forge_output_are_escaped_in_the_log_and_on_the_terminal() {
    let forged = "all\u{202e}dab si\u{200b}\u{feff}\u{2066}\u{85}\u{9b}31m\u{ad}\u{e0041}end";
    let body = json!({"code": "BadJsonBody", "message": forged}).to_string();
    let backend = ScriptedHttp::start([Move::Send(answer(400, &body))]);
    let configured = |program: Program| program.configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let mut shown = vec![
        text(&configured(Program::new(["doctor"])).output()),
        text(&configured(Program::new(["doctor", "--json"])).output()),
    ];
    for format in ["text", "json"] {
        let mut service = configured(Program::new(["run"])).with("LOG_FORMAT", format).start();
        service.wait_for_log("BadJsonBody");
        service.signal("TERM");
        shown.push(service.end().1);
    }
    for text in shown {
        assert!(text.contains("BadJsonBody") && text.contains("202e"), "it is shown, escaped:\n{text}");
        for c in forged.chars().filter(|c| !c.is_ascii()) {
            assert!(!text.contains(c), "{} in\n{text}", c.escape_unicode());
        }
    }
}

/// One start with ten mistakes prints ten sentences.
#[test]
fn ten_mistakes_are_ten_sentences_and_code_3() {
    let program = Program::new(["run"])
        .with("ACCOUNT_ID", "acc0unt")
        .with("SERVICE_TOKEN", "mc_service_0ther_s3cr3t-c4n4ry")
        .with("CONVEX_URL", "https://happy-animal-123.convex.site")
        .with("HEALTH_PORT", "http")
        .with("DELIVERY_INTERVAL", "30000abc")
        .with("LOG_LEVEL", "loud")
        .with("OPENCLAW_GATEWAY_URL", "file:///etc/passwd")
        .with("TASK_STATUS_BASE_URL", "runtime:3000")
        .with("OPENCLAW_CLIENT_TOOLS_ENABLED", "perhaps")
        .with("UPGRADE_MODE", "later")
        .with("SSL_CERT_FILE", "/");
    let output = program.output();
    assert_eq!(output.status.code(), Some(3));
    let text = text(&output);
    let errors: Vec<&str> = text.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert_eq!(errors.len(), 11, "ten mistakes and a summary:\n{text}");
    let names = [
        "SERVICE_TOKEN",
        "CONVEX_URL",
        "HEALTH_PORT",
        "DELIVERY_INTERVAL",
        "LOG_LEVEL",
        "OPENCLAW_GATEWAY_URL",
        "TASK_STATUS_BASE_URL",
        "OPENCLAW_CLIENT_TOOLS_ENABLED",
        "UPGRADE_MODE",
        "SSL_CERT_FILE",
    ];
    for name in names {
        assert_eq!(
            errors.iter().filter(|line| line.contains(&format!("{name} "))).count(),
            1,
            "{name}:\n{text}"
        );
    }
    assert!(errors[10].contains("Not started: the configuration is invalid errors=10"), "{text}");
    assert!(!text.contains("c4n4ry"), "{text}");
}

#[test]
fn a_json_log_is_json_even_when_the_start_fails() {
    let output = Program::new(["run"]).with("LOG_FORMAT", "json").output();
    assert_eq!(output.status.code(), Some(3));
    let text = text(&output);
    assert!(text.contains("ACCOUNT_ID, CONVEX_URL, SERVICE_TOKEN"), "{text}");
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert_eq!(line["component"], "app");
    }
}

/// Invalid input: env files and certificate files that cannot be used.
#[test]
fn unusable_files_are_named_with_code_3() {
    let (_kept, path) = folder();
    let shown = |name: &str| path(name).to_str().unwrap().to_owned();
    fs::write(path("empty.pem"), "nothing").unwrap();
    fs::write(path("binary.env"), [0xff, 0xfe, 0]).unwrap();
    fs::create_dir(path("folder")).unwrap();
    fs::write(path("bad.pem"), "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n").unwrap();
    let rows = [
        ("env", "missing.env", "no such file"),
        ("env", "folder", "directory"),
        ("env", "binary.env", "text"),
        ("cert", "missing.pem", "no such file"),
        ("cert", "folder", "directory"),
        ("cert", "empty.pem", "contains no certificate"),
        ("cert", "bad.pem", "certificate 1 in it is malformed"),
    ];
    for (kind, name, words) in rows {
        let file = shown(name);
        let program = if kind == "env" {
            Program::new(["run", "--env-file", &file]).configured("http://127.0.0.1:9", TOKEN)
        } else {
            let program = Program::new(["run"]).configured("https://127.0.0.1:9", TOKEN);
            program.with("SSL_CERT_FILE", &file).with("HEALTH_PORT", "together with the others")
        };
        let output = program.output();
        let text = text(&output);
        assert_eq!(output.status.code(), Some(3), "{name}: {text}");
        assert!(text.contains(&file) && text.contains(words), "{name}: {text}");
        assert_eq!(kind == "cert", text.contains("HEALTH_PORT"), "{name}: {text}");
    }
}

#[test]
fn a_taken_port_is_code_1_with_the_variable_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output =
        Program::new(["run"]).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", &port).output();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("HEALTH_PORT"), "{}", text(&output));
}

#[test]
fn the_service_answers_until_a_signal_stops_it() {
    for (signal, format) in [("TERM", "text"), ("INT", "json")] {
        let board = Board::new();
        let program = Program::new([]).configured(&board.url(), &board.token);
        let mut service = program
            .with("ACCOUNT_ID", &board.account)
            .with("HEALTH_PORT", "0")
            .with("DROPLET_REGION", "fra1")
            .with("LOG_FORMAT", format)
            .start();
        let address = service.address();
        service.wait_for_log("knows the account");

        let judged = || {
            let (status, health) = get(&address, "/health");
            let health: Value = serde_json::from_str(&health).unwrap();
            (health["status"] != "starting").then_some((status, health))
        };
        let (status, health) = std::iter::repeat_with(judged).flatten().next().unwrap();
        assert_eq!((status, &health["status"]), (200, &json!("degraded")), "there is no gateway");
        assert_eq!(health["backend"]["reachable"], json!(true));
        assert_eq!(health["infrastructure"]["region"], json!("fra1"));
        let (status, version) = get(&address, "/version");
        let expected = json!({"runtimeServiceVersion": env!("CARGO_PKG_VERSION"), "openclawVersion": "unknown",
            "dropletId": "unknown", "region": "fra1"});
        assert_eq!((status, serde_json::from_str::<Value>(&version).unwrap()), (200, expected));
        assert_eq!(get(&address, "/agent/task-status").0, 405);
        assert_eq!(get(&address, "/agent/nothing").0, 404);

        service.signal(signal);
        let (code, log) = service.end();
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("Stopped") && !log.contains("c4n4ry"), "{log}");
    }
}

#[test]
fn the_service_runs_and_reports_an_absent_backend() {
    let refusing = Refusing::new();
    let backend = format!("http://{}", refusing.address());
    let mut service = Program::new(["run"]).configured(&backend, TOKEN).with("HEALTH_PORT", "0").start();
    let address = service.address();
    service
        .wait_for_log("The status cannot be reported error=\"service/actions:updateRuntimeStatus: Mission Control is unreachable");
    let (status, health) = get(&address, "/health");
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!((status, &health["backend"]["reachable"]), (200, &json!(false)));
    assert_eq!(health["backend"]["accepted"], Value::Null);
    service.signal("TERM");
    let (code, log) = service.end();
    assert_eq!(code, Some(0), "{log}");
}

/// Nothing waits for the gateway yet, so only the probe at the start can find that it is absent.
#[test]
fn an_absent_gateway_is_reported_at_the_start() {
    let (board, gateway) = (Board::new(), Refusing::new());
    let program = Program::new(["run"]).configured(&board.url(), &board.token).with("HEALTH_PORT", "0");
    let program = program.with("ACCOUNT_ID", &board.account);
    let url = format!("http://{}", gateway.address());
    let mut service = program.with("OPENCLAW_GATEWAY_URL", &url).start();
    let line = service.wait_for_log("The gateway is not available");
    assert!(line.contains(" WARN ") && line.contains("unreachable"), "{line}");
    let first = "Mission Control answers and knows the account";
    service.wait_for_log(first);
    service.signal("TERM");
    let (_, log) = service.end();
    assert_eq!(log.matches("The gateway is not available").count(), 1, "only changes are logged:\n{log}");
}

#[test]
fn a_backend_that_refuses_the_token_counts_as_reachable() {
    let backend = throwing("Invalid service token");
    let mut service =
        Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0").start();
    let address = service.address();
    service.wait_for_log("The status cannot be reported error=\"service/actions:updateRuntimeStatus: Mission Control does not accept the service token");
    let health: Value = serde_json::from_str(&get(&address, "/health").1).unwrap();
    assert_eq!(
        (&health["backend"]["reachable"], &health["backend"]["accepted"]),
        (&json!(true), &json!(false))
    );
    assert!(
        health["backend"]["lastError"].as_str().unwrap().contains("does not accept the service token"),
        "{health}"
    );
}

#[test]
fn doctor_accepts_a_valid_setup() {
    let backend = good_backend();
    let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN);
    let output = program.with("OPENCLAW_GATEWAY_URL", "").output();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("backend         ok")
            && text.contains("knows the account; it has an orchestrator")
            && text.ends_with("\nready to run\n"),
        "{text}"
    );
    assert!(text.contains("SERVICE_TOKEN = *** (environment)"), "{text}");
    assert_eq!(
        backend.seen().len(),
        5,
        "doctor makes one call each: the account, the agents, the time, whether reasons are hidden, the wake query"
    );
}

#[test]
fn a_live_turn_without_a_gateway_is_skipped_with_that_reason() {
    let backend = good_backend();
    let program =
        Program::new(["doctor", "--live"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let found = text(&program.with("OPENCLAW_GATEWAY_URL", "").output());
    assert!(found.contains("live turn       skipped\n  no gateway is configured\n"), "{found}");
}

#[test]
fn doctor_reports_problems_and_their_remedies() {
    let refusing = format!("http://{}", Refusing::new().address());
    let page = ScriptedHttp::start([Move::Send(answer(404, ""))]);
    let token = throwing("Invalid service token");
    let account = throwing("Forbidden: Service token does not match account");
    let hidden = {
        let message =
            json!({"status": "error", "errorMessage": "[Request ID: 96a6d283e177e540] Server Error"});
        ScriptedHttp::start([Move::Send(answer(200, &message.to_string()))])
    };
    let rows = [
        (refusing, "Check that Mission Control runs, that CONVEX_URL is right"),
        (page.url(), "https://NAME.convex.cloud"),
        (token.url(), "issue a new token"),
        (account.url(), "Check ACCOUNT_ID and SERVICE_TOKEN"),
        (hidden.url(), "SERVICE_TOKEN was probably renewed or belongs to another deployment; make a new one"),
    ];
    for (backend, mend) in rows {
        let output = Program::new(["doctor", "--json"]).configured(&backend, TOKEN).output();
        assert_eq!(output.status.code(), Some(1), "{mend}");
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        let check = &found["checks"][2];
        assert_eq!(
            (&found["ok"], &check["name"], &check["verdict"]),
            (&json!(false), &json!("backend"), &json!("wrong"))
        );
        assert!(check["findings"][0].as_str().unwrap().contains(mend), "{check}");
    }
}

/// The gateway: absent, another server, not open to us, and ready.
#[test]
fn doctor_reports_the_state_of_the_gateway() {
    let json = |status, body: &str| Move::Send(answer(status, body));
    let started = r#"{"ok":true,"status":"started","version":"2026.9.6","uptimeMs":12}"#;
    let ready = r#"{"ready":true,"failing":[],"uptimeMs":12}"#;
    let refused = r#"{"error":{"message":"Unauthorized","type":"unauthorized"}}"#;
    let rows: [(Vec<Move>, i32, &str); 4] = [
        (vec![json(200, started), json(200, ready), json(200, "{}")], 0, "is ready (2026.9.6)"),
        (vec![json(200, started), json(200, ready), json(401, refused)], 1, "Set OPENCLAW_GATEWAY_TOKEN to"),
        (vec![json(200, started), json(200, ready), json(404, "Not Found")], 1, "responses.enabled"),
        (vec![json(200, "<html>hello</html>")], 1, "is not an OpenClaw gateway"),
    ];
    for (moves, code, words) in rows {
        let (backend, gateway) = (good_backend(), ScriptedHttp::start(moves));
        let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let output = program
            .with("OPENCLAW_GATEWAY_URL", &gateway.url())
            .with("OPENCLAW_GATEWAY_TOKEN", "the-gateways-t0ken")
            .output();
        let found = text(&output);
        assert!(output.status.code() == Some(code) && found.contains(words), "{words}: {found}");
        assert!(!found.contains("the-gateways-t0ken"), "{found}");
    }
    let (backend, refusing) = (good_backend(), Refusing::new());
    let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let found =
        text(&program.with("OPENCLAW_GATEWAY_URL", &format!("http://{}", refusing.address())).output());
    assert!(found.contains("gateway         WRONG") && found.contains("unreachable"), "{found}");
}

/// A port may be taken by the running service, which is fine, or by another program, which is not.
#[test]
fn doctor_identifies_the_owner_of_the_port() {
    let backend = good_backend();
    let doctor = |port: &str| {
        let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN);
        let output = program.with("HEALTH_PORT", port).with("OPENCLAW_GATEWAY_URL", "").output();
        (output.status.code(), text(&output))
    };
    let mut service =
        Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0").start();
    let address = service.address();
    let (code, found) = doctor(address.rsplit(':').next().unwrap());
    assert!(code == Some(0) && found.contains("the running service has it"), "{found}");

    let (_, port) = backend.url().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (code, found) = doctor(&port);
    assert!(code == Some(1) && found.contains("port            WRONG"), "{found}");
}

#[test]
fn doctor_lists_every_mistake_and_continues() {
    let output = Program::new(["doctor"]).with("ACCOUNT_ID", "acc0unt").with("HEALTH_PORT", "x").output();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in [
        "configuration   WRONG",
        "HEALTH_PORT",
        "CONVEX_URL, SERVICE_TOKEN",
        "backend         skipped",
        "not ready to run: configuration",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
}
