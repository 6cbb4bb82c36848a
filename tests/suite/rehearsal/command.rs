//! The command `rehearse`: its options, its bad inputs, and what it leaves behind.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mission_control_runtime::app::rehearse::Rehearse;
use mission_control_runtime::cli::{Command, parse};
use mission_control_runtime::demo::gateway::{Options, Prompt, Release, ScriptedGateway, Thought};
use mission_control_runtime::demo::model_book::ModelBook;
use mission_control_runtime::model::BaseUrl;
use serde_json::{Value, json};

use super::{ScriptedCandidate, TOKEN, options, serve};
use crate::support::board::Board;
use crate::support::program::{Program, text};
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

/// The longest that a step may take.
const PATIENCE: Duration = Duration::from_mins(3);

fn program(url: &str, more: &[&str]) -> Program {
    let args = [&["rehearse", "--gateway", url, "--model-port", "0"], more].concat();
    Program::of(args).with("OPENCLAW_GATEWAY_TOKEN", TOKEN)
}

fn candidate() -> Arc<ScriptedCandidate> {
    ScriptedCandidate::start(options(Release::V2026_9_6), &ModelBook::default())
}

#[test]
fn the_options_are_parsed_or_refused_with_a_reason() {
    let rehearse = Rehearse {
        env_file: None,
        gateway: BaseUrl::parse("http://127.0.0.1:18889").unwrap(),
        token_file: None,
        agents: Vec::new(),
        cases: Vec::new(),
        model_port: 18_790,
        real_model: false,
        restart: None,
        live: false,
        json: false,
    };
    let all = Rehearse {
        token_file: Some("t".into()),
        agents: vec!["qa".to_owned(), "writer".to_owned()],
        cases: vec!["mention".to_owned()],
        model_port: 0,
        restart: Some("r".into()),
        live: true,
        json: true,
        ..rehearse.clone()
    };
    let real = Rehearse { real_model: true, ..rehearse.clone() };
    for (line, expected) in [
        ("", Ok(rehearse)),
        (
            "--token-file t --agents qa,writer --cases mention --model-port 0 --restart r --live --json",
            Ok(all),
        ),
        ("--real-model", Ok(real)),
        ("--real-model --model-port 1", Err("--model-port and --real-model exclude each other")),
        ("--agents qa,,writer", Err("expected names with commas between them")),
        ("--cases mentio", Err("did you mean `mention`?")),
        ("--model-port 65536", Err("expected a number from 0 to 65535")),
        ("--turns 3", Err("--turns is not an option of this command")),
    ] {
        let words = ["program", "rehearse", "--gateway", "http://127.0.0.1:18889"].into_iter();
        match (parse(words.chain(line.split_whitespace()).map(Into::into)), expected) {
            (Ok(Command::Rehearse(parsed)), Ok(expected)) => assert_eq!(parsed, expected, "{line}"),
            (Err(misuse), Err(words)) => assert!(misuse.to_string().contains(words), "{line}: {misuse}"),
            (parsed, _) => panic!("{line}: {parsed:?}"),
        }
    }
    let misuse = parse(["program", "rehearse"].map(Into::into)).unwrap_err().to_string();
    assert!(misuse.contains("`rehearse` needs --gateway URL"), "{misuse}");
}

#[test]
fn a_go_has_exit_code_0_and_the_account_is_only_read() {
    let (board, gateway) = (Board::new(), candidate());
    for slug in ["engineer", "qa"] {
        board.agent(slug, slug, "Works", json!({}));
    }
    let before = everything(&board);
    let cases = "access,version,agents,history,mention,three-agents,tool-rounds-2,calls-2";
    let url = format!("http://{}", gateway.address);
    let output = program(&url, &["--json", "--cases", cases])
        .configured(&board.url(), &board.token)
        .with("ACCOUNT_ID", &board.account)
        .output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["go"], &report["differs"]), (&json!(true), &json!([])), "{report:#}");
    assert_eq!(report["agents"], json!(["engineer", "qa"]), "those of the account");
    let ids: Vec<&str> =
        report["cases"].as_array().unwrap().iter().map(|c| c["case"].as_str().unwrap()).collect();
    assert_eq!(ids.join(","), cases);
    assert_eq!(everything(&board), before, "nothing was written");
}

/// All rows of the tables that a runtime writes to.
fn everything(board: &Board) -> Vec<Value> {
    let tables = [
        "accounts",
        "agents",
        "tasks",
        "messages",
        "notifications",
        "documents",
        "activities",
        "subscriptions",
    ];
    tables.iter().flat_map(|table| board.rows(table)).collect()
}

#[test]
fn a_gateway_that_cannot_be_used_is_a_no_go_with_exit_code_1() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let page = ScriptedHttp::start([Move::Send(answer(200, "<html>hello</html>"))]);
    let gateway = candidate();
    let rows = [
        (format!("http://{closed}"), TOKEN, "unreachable"),
        (page.url(), TOKEN, "is not an OpenClaw gateway"),
        (format!("http://{}", gateway.address), "wrong", "does not accept the runtime's token"),
    ];
    for (url, token, words) in rows {
        let output = program(&url, &["--json"]).with("OPENCLAW_GATEWAY_TOKEN", token).output();
        assert_eq!(output.status.code(), Some(1), "{words}: {}", text(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["go"], &report["differs"]), (&json!(false), &json!(["access"])), "{report:#}");
        let why = report["cases"][0]["sentence"].as_str().unwrap();
        assert!(why.contains(words), "{why}");
        let output = program(&url, &[]).with("OPENCLAW_GATEWAY_TOKEN", token).output();
        assert!(text(&output).ends_with("no-go: access\n"), "{}", text(&output));
        // The questions to the gateway belong to every rehearsal.
        let output = program(&url, &["--cases", "mention"]).with("OPENCLAW_GATEWAY_TOKEN", token).output();
        assert!(
            text(&output).contains("not played to the end: version, agents, history, mention"),
            "{}",
            text(&output)
        );
        assert!(text(&output).ends_with("no-go: access\n"), "{}", text(&output));
    }
}

#[test]
fn the_gateway_in_use_a_taken_port_and_a_silent_backend_are_refused() {
    let (board, gateway) = (Board::new(), candidate());
    let url = format!("http://{}", gateway.address);
    let in_use = url.replace("127.0.0.1", "localhost");
    let cases = ["--cases", "mention"];
    let configured = |more: &[&str]| {
        program(&url, &[&cases[..], more].concat())
            .configured(&board.url(), &board.token)
            .with("ACCOUNT_ID", &board.account)
            .with("OPENCLAW_GATEWAY_URL", &in_use)
    };
    let output = configured(&[]).output();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("is the gateway in use") && text(&output).contains("--live"),
        "{}",
        text(&output)
    );
    let output = configured(&["--live"]).output();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = program(&url, &[&cases[..], &["--model-port", &port]].concat()).output();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("--model-port") && text(&output).contains(&port), "{}", text(&output));

    let configured = |account: &str| {
        program(&url, &cases).configured("http://127.0.0.1:9", &board.token).with("ACCOUNT_ID", account)
    };
    let rows = [(board.account.as_str(), "did not list the agents"), ("another", "is invalid")];
    for (account, words) in rows {
        let output = configured(account).output();
        assert_eq!(output.status.code(), Some(1));
        let found = text(&output);
        assert!(found.contains(words) && found.contains("Name the agents with --agents"), "{found}");
    }
    let output = program(&url, &cases).without("OPENCLAW_GATEWAY_TOKEN").output();
    let remedy = "Set OPENCLAW_GATEWAY_TOKEN, or name a file that contains it with --token-file FILE";
    assert!(text(&output).contains(remedy), "{}", text(&output));
}

/// The token of the gateway in use is sent to this machine and to the host of that gateway only.
#[test]
fn the_token_in_use_is_sent_to_no_other_host() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    std::fs::write(&file, "candidates-own-token").unwrap();
    let cases = ["--agents", "qa", "--cases", "mention"];
    let configured = |url: &str, in_use: &str, more: &[&str]| {
        let output = program(url, &[&cases[..], more].concat()).with("OPENCLAW_GATEWAY_URL", in_use).output();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        text(&output)
    };
    // Nothing listens at these addresses. A name of `.invalid` is never resolved.
    let (away, local) = ("http://candidate.invalid:9", "http://127.0.0.1:9");
    let kept = "OPENCLAW_GATEWAY_TOKEN is not sent to candidate.invalid";
    let words = configured(away, local, &[]);
    assert!(words.contains(kept) && words.contains("with --token-file"), "{words}");
    for (url, in_use, more) in [
        (local, away, &[][..]),
        (away, "http://candidate.invalid:18789", &[]),
        (away, local, &["--token-file", file.to_str().unwrap()]),
    ] {
        let words = configured(url, in_use, more);
        assert!(!words.contains(kept) && words.contains("that --gateway is its address"), "{url} {words}");
    }
}

/// An account is not needed, so its absence is no reason to ignore the token. An env file is read only as a whole.
#[test]
fn a_token_in_an_invalid_env_file_is_named() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("env");
    std::fs::write(&file, "OPENCLAW_GATEWAY_TOKEN=candidates-own-token\nACCOUNT_ID=x\n").unwrap();
    let more = ["--agents", "qa", "--env-file", file.to_str().unwrap()];
    let output = program("http://127.0.0.1:9", &more).without("OPENCLAW_GATEWAY_TOKEN").output();
    assert_eq!(output.status.code(), Some(1));
    let words = text(&output);
    assert!(words.contains("OPENCLAW_GATEWAY_TOKEN (") && words.contains("--token-file"), "{words}");
    assert!(!words.contains("candidates-own"), "{words}");
}

/// A real model that calls tools without end: each case ends at its limit of turns, and all cases together at 20.
#[test]
fn a_real_model_gets_twenty_turns_at_most() {
    let model = |_: &Prompt| Thought::calls([("get_agent_skills", json!({}))]);
    let gateway = ScriptedGateway::new(options(Release::V2026_9_6), Arc::new(model));
    let server = serve(&gateway, "127.0.0.1:0");
    let url = format!("http://{}", server.local_addr());
    let args = ["rehearse", "--gateway", &url, "--real-model", "--json", "--agents", "engineer,qa,writer"];
    let output = Program::of(args.to_vec()).with("OPENCLAW_GATEWAY_TOKEN", TOKEN).output();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report["differs"],
        json!(["mention"]),
        "without an answer no other case is played: {report:#}"
    );
    assert_eq!(gateway.observations().requests().len(), 2, "the limit of the case");

    let args = [&args[..], &["--cases", "three-agents,tool-rounds-1"]].concat();
    let output = Program::of(args).with("OPENCLAW_GATEWAY_TOKEN", TOKEN).output();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["differs"], json!(["three-agents", "tool-rounds-1"]), "{report:#}");
    assert_eq!(gateway.observations().requests().len(), 2 + 6 + 6);
    gateway.end();
}

/// The processes that this one has started.
fn children(process: u32) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Whether the process is gone. A zombie only waits for its parent.
fn has_ended(process: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z')))
}

#[test]
fn a_signal_ends_it_and_leaves_no_process_and_no_file() {
    let place = tempfile::tempdir().unwrap();
    let hanging = Options { run_timeout: PATIENCE, ..options(Release::V2026_9_6) };
    let gateway = ScriptedGateway::new(hanging, Arc::new(|_: &Prompt| Thought::hang()));
    let server = serve(&gateway, "127.0.0.1:0");
    let url = format!("http://{}", server.local_addr());
    let running =
        program(&url, &["--cases", "mention"]).with("TMPDIR", place.path().to_str().unwrap()).start();
    let until = Instant::now() + PATIENCE;
    while gateway.observations().in_flight() == 0 {
        assert!(Instant::now() < until, "no turn begins");
        std::thread::sleep(Duration::from_millis(20));
    }
    let runtimes = children(running.id());
    assert_eq!(runtimes.len(), 1, "{runtimes:?}");
    running.signal("INT");
    let (code, words) = running.end();
    assert!(code == Some(1) && words.contains("stopped by a signal"), "{words}");
    assert!(has_ended(&runtimes[0]), "{words}");
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    while gateway.observations().in_flight() > 0 {
        assert!(Instant::now() < until, "the turn goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    gateway.end();
}
