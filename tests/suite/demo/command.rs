//! The options of `demo`, the ports that it takes, and what it prints.

use std::net::TcpListener;
use std::path::Path;

use mission_control_runtime::app::{Chaos, Demo, Fault, Play, RealGateway};
use mission_control_runtime::cli::{Command, parse};
use mission_control_runtime::model::BaseUrl;

use super::Visitor;
use crate::support::program::{Program, text};

#[test]
fn the_options_are_parsed_or_refused_with_a_reason() {
    let gateway = "http://127.0.0.1:18789";
    let play =
        |port, runtime_port, gateway| Ok(Command::Demo(Demo::Play(Play { port, runtime_port, gateway })));
    let chaos =
        |seconds, seed, fault, json| Ok(Command::Demo(Demo::Chaos(Chaos { seconds, seed, fault, json })));
    let real = |url: &str, file: Option<&str>, turns: u64| {
        let url = BaseUrl::parse(url).unwrap();
        Some(RealGateway { url, token_file: file.map(Into::into), turns })
    };
    for (line, expected) in [
        ("demo", play(3210, None, None)),
        ("demo --port 0", play(0, None, None)),
        ("demo --port 65536", Err("--port `65536`: expected a number from 0 to 65535")),
        ("demo --port", Err("--port needs a value")),
        ("demo --env-file f", Err("--env-file is not an option of this command")),
        ("demo --runtime-port 4000", play(3210, Some(4000), None)),
        ("demo --port 4000 --runtime-port 4000", Err("--port and --runtime-port need different ports")),
        ("demo --runtime-port x", Err("--runtime-port `x`: expected a number from 0 to 65535")),
        ("demo --gateway http://127.0.0.1:18789", play(3210, None, real(gateway, None, 60))),
        (
            "demo --gateway http://127.0.0.1:18789 --turns 3 --gateway-token-file f",
            play(3210, None, real(gateway, Some("f"), 3)),
        ),
        ("demo --gateway h", Err("--gateway `h`: expected an address such as http://127.0.0.1:18789")),
        ("demo --gateway http://h --turns 0", Err("--turns `0`: expected a number from 1 to 1000000")),
        ("demo --chaos", chaos(90, None, None, false)),
        ("demo --chaos --seconds 5 --seed 7 --fault post --json", chaos(5, Some(7), Some(Fault::Post), true)),
        ("demo --chaos --fault fire", Err("--fault `fire`: expected one of loss, post, effect")),
        ("demo --chaos --seconds 0", Err("--seconds `0`: expected a number from 1 to 86400")),
        ("demo --chaos --port 1", Err("--port and --chaos exclude each other")),
        ("demo --seconds 5", Err("--seconds needs --chaos")),
        ("demo --json", Err("--json needs --chaos")),
        ("demo --turns 3", Err("--turns needs --gateway")),
        ("demo --gateway-token t", Err("there is no option `--gateway-token`")),
    ] {
        let parsed = parse(["program"].into_iter().chain(line.split_whitespace()).map(Into::into));
        match expected {
            Ok(command) => assert_eq!(parsed, Ok(command), "{line}"),
            Err(words) => {
                let sentence = parsed.unwrap_err().to_string();
                assert!(sentence.contains(words) && sentence.contains("--help"), "{line}: {sentence}");
            }
        }
    }
}

#[test]
fn a_taken_port_exits_with_code_1_and_names_the_option_and_possible_holders() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (args, expected) in [
        (["demo", "--runtime-port", "0", "--port", &port], ["--port", "demo"]),
        (["demo", "--port", "0", "--runtime-port", &port], ["--runtime-port", "HEALTH_PORT"]),
    ] {
        let output = Program::new(args).output();
        let words = text(&output);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(words.contains(&port) && expected.iter().all(|word| words.contains(word)), "{words}");
    }
}

#[test]
fn a_real_gateway_needs_a_token_that_is_no_argument() {
    let url = ["demo", "--port", "0", "--gateway", "http://127.0.0.1:1"];
    let words = text(&Program::new(url).output());
    assert!(words.contains("OPENCLAW_GATEWAY_TOKEN") && words.contains("--gateway-token-file"), "{words}");
    let missing = [&url[..], &["--gateway-token-file", "/nonexistent/token"]].concat();
    let missing: [&str; 7] = missing.try_into().unwrap();
    let words = text(&Program::new(missing).output());
    assert!(words.contains("/nonexistent/token") && words.contains("cannot be read"), "{words}");
}

/// The end of the text stays visible above the log: the links and the key.
#[test]
fn the_links_and_the_key_are_printed_last() {
    let mut program = Program::new(["demo", "--port", "0"]).start();
    let printed = program.printed_to_the_key().expect("it starts");
    let lines: Vec<&str> = printed.lines().collect();
    let starts: Vec<&str> = lines[lines.len() - 4..].iter().map(|line| &line[..8]).collect();
    assert_eq!(starts, ["  Live  ", "  Open  ", "  Log in", "ADMIN_KE"], "{printed}");
    assert!(!printed.contains("doctor"), "the demo's variables are not set in that terminal: {printed}");
}

/// A person reads the age of a delivery as how long it took.
#[test]
fn the_first_deliveries_are_as_young_as_the_demo() {
    let visitor = Visitor::comes();
    let state_dir = &visitor.printed["export STATE_DIR"];
    visitor.done(super::TITLE);
    let output = Program::new(["why", "engineer", "--json"]).with("STATE_DIR", state_dir).output();
    let found = text(&output);
    assert!(found.contains("after its creation") && !found.contains(" h after its creation"), "{found}");
}

/// The person copies the printed line and tries commands in another terminal.
#[test]
fn the_printed_state_dir_serves_the_operators_commands() {
    let visitor = Visitor::comes();
    let state_dir = &visitor.printed["export STATE_DIR"];
    assert!(Path::new(state_dir).is_dir(), "{state_dir}");
    let command = |word: &'static str| {
        let program = Program::new([word]).with("STATE_DIR", state_dir);
        let output =
            program.configured(&visitor.printed["CONVEX_URL"], &visitor.printed["SERVICE_TOKEN"]).output();
        (output.status.code(), text(&output))
    };
    for (word, expected) in [
        ("status", "gateway     open"),
        ("pause", "Everything is paused"),
        ("resume", "1 pause ended"),
        ("dead", "No dead letters"),
    ] {
        let (code, words) = command(word);
        assert!(code == Some(0) && words.contains(expected), "{word}: {words}");
    }
}

#[test]
fn a_file_without_a_usable_token_ends_the_demo_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines");
    std::fs::write(&lines, "one\ntwo\n").unwrap();
    let rows = [
        ("/dev/zero", "it is not a regular file"),
        (lines.to_str().unwrap(), "contains blanks, line ends or other characters"),
        ("missing", "cannot be read"),
    ];
    for (file, words) in rows {
        let arguments =
            ["demo", "--port", "0", "--gateway", "http://127.0.0.1:1", "--gateway-token-file", file];
        let output = Program::new(arguments).output();
        assert_eq!(output.status.code(), Some(1), "{file}: {}", text(&output));
        assert!(text(&output).contains(words), "{file}: {}", text(&output));
    }
}
