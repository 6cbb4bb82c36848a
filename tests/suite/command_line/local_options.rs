//! The options of `local`.

use mission_control_runtime::app::Local;
use mission_control_runtime::cli::{Command, parse};
use mission_control_runtime::local::{Options, PoolTimes};

use super::check_parsing;

#[test]
fn the_options_of_local_are_parsed_or_refused_with_a_reason() {
    let serve = |listen: &str, data: &str, seed: Option<&str>, redact, original| {
        let (listen, data, seed) = (listen.to_owned(), data.to_owned(), seed.map(ToOwned::to_owned));
        Ok(Command::Local(Local::Serve {
            listen,
            hosts: None,
            data,
            seed,
            options: Options { original, redact },
            notify: None,
            runtime_page: None,
            env_out: None,
            control_plane: Box::default(),
        }))
    };
    let rows: [(&str, Result<Command, &str>); _] = [
        ("local", serve("127.0.0.1:3210", "./.mission-control", None, false, false)),
        (
            "local --listen [::1]:0 --data :memory: --seed demo --redact --original",
            serve("[::1]:0", ":memory:", Some("demo"), true, true),
        ),
        (
            "local export f",
            Ok(Command::Local(Local::Export { data: "./.mission-control".into(), file: "f".into() })),
        ),
        ("--data d local import f", Ok(Command::Local(Local::Import { data: "d".into(), file: "f".into() }))),
        ("local rotate-key --data d", Ok(Command::Local(Local::RotateKey { data: "d".into() }))),
        (
            "local --notify nonsense",
            Err(
                "--notify `nonsense`: it has no http:// or https:// in front; expected an address such as http://127.0.0.1:3001",
            ),
        ),
        (
            "local --runtime-page javascript://x",
            Err("--runtime-page `javascript://x`: Only http and https are allowed"),
        ),
        (
            "local --runtime-page http://x/?a",
            Err("--runtime-page `http://x/?a`: a base address has no ? or # part"),
        ),
        (
            "local --runtime-page http://me:hunter2@x",
            Err("--runtime-page `http://***@x`: a user or password"),
        ),
        ("local --listen 3210", Err("--listen `3210`: expected HOST:PORT, such as 127.0.0.1:3210")),
        ("local --listen foo:x", Err("expected HOST:PORT")),
        ("local export", Err("`local export` needs a file")),
        ("local exprt f", Err("did you mean `export`?")),
        ("local --env-file f", Err("--env-file is not an option of this command")),
        ("local export f --seed demo", Err("--seed is not an option of this command")),
    ];
    check_parsing(rows);
}

/// Worker-pool C.1: without options, the times are those of the original.
#[test]
fn leases_and_silences_have_options_with_the_times_of_the_original() {
    let rows: [(&str, (u32, u32)); _] = [
        ("local", (360_000, 420_000)),
        ("local --pool-lease 10", (10_000, 420_000)),
        ("local --pool-stale 86400", (360_000, 86_400_000)),
        ("local --pool-lease 86400 --pool-stale 60", (86_400_000, 60_000)),
    ];
    for (line, (lease, stale)) in rows {
        match parse(["program"].into_iter().chain(line.split_whitespace()).map(Into::into)) {
            Ok(Command::Local(Local::Serve { control_plane, .. })) => {
                assert_eq!(
                    control_plane.pool_times,
                    PoolTimes { lease, stale, ..PoolTimes::default() },
                    "{line}"
                );
            }
            got => panic!("{line}: {got:?}"),
        }
    }
    check_parsing([
        ("local --pool-lease 9", Err("--pool-lease `9`: expected a number from 10 to 86400")),
        ("local --pool-lease 86401", Err("--pool-lease `86401`: expected a number from 10 to 86400")),
        ("local --pool-stale 59", Err("--pool-stale `59`: expected a number from 60 to 86400")),
        ("local --pool-stale 7m", Err("--pool-stale `7m`: expected a number from 60 to 86400")),
        ("local export f --pool-lease 20", Err("--pool-lease is not an option of this command")),
    ]);
}
