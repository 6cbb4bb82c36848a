//! The command, from the outside.

use serde_json::Value;

use super::machines_api::{APP, Fault, MachinesApi, TOKEN};
use crate::support::program::Program;

fn command(api: &MachinesApi, more: &[&str]) -> (Option<i32>, String, String) {
    let args: Vec<&str> = ["fly-cleanup", "--app", APP].into_iter().chain(more.iter().copied()).collect();
    run(Program::of(args).with("FLY_API_TOKEN", TOKEN).with("FLY_API_BASE_URL", &api.url()))
}

fn run(program: Program) -> (Option<i32>, String, String) {
    let output = program.output();
    let shown = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    let (out, err) = (shown(&output.stdout), shown(&output.stderr));
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "{out}{err}");
    (output.status.code(), out, err)
}

#[test]
fn without_yes_it_only_shows_what_would_go() {
    for more in [&[][..], &["--dry-run"]] {
        let api = MachinesApi::start();
        let (machine, volume) = api.machine_with_volume("afw-1-0", "started");
        let (code, out, _) = command(&api, more);
        assert_eq!(code, Some(0), "{out}");
        assert!(out.contains("1 machines and 1 volumes would be deleted"), "{out}");
        assert!(out.contains(&machine) && out.contains(&volume) && out.contains("add --yes"), "{out}");
        assert!(api.book().changes().is_empty());
    }
}

#[test]
fn with_yes_it_deletes_and_reports_as_json() {
    let api = MachinesApi::start();
    api.machine_with_volume("afw-1-0", "started");
    let (code, out, _) = command(&api, &["--yes", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(report["appName"], APP);
    for (field, expected) in [("machinesFound", 1), ("machinesDeleted", 1), ("volumesDeleted", 1)] {
        assert_eq!(report[field], expected, "{field}: {out}");
    }
    for field in ["machineIdsRemaining", "volumeIdsRemaining", "warnings", "errors", "kept"] {
        assert!(report[field].as_array().is_some_and(Vec::is_empty), "{field}: {out}");
    }
    assert!(api.book().live_machines().is_empty() && api.book().live_volumes().is_empty());
    let (code, ..) = command(&api, &["--yes"]);
    assert_eq!(code, Some(0), "nothing is left to delete");
}

#[test]
fn what_is_left_is_exit_code_1() {
    let api = MachinesApi::start();
    api.machine("afw-1-0", "stopped");
    api.book().always = vec![("DELETE", Fault::Refused(403))];
    let (code, out, _) = command(&api, &["--yes"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("machine still there: m1") && out.contains("HTTP 403"), "{out}");
}

#[test]
fn the_filters_are_variables_and_a_bad_one_deletes_nothing() {
    let api = MachinesApi::start();
    api.machine("afw-1-0", "stopped");
    api.machine("database", "stopped");
    let with = |name: &str, value: &str| {
        let program = Program::of(vec!["fly-cleanup", "--app", APP, "--yes"]);
        run(program.with("FLY_API_TOKEN", TOKEN).with("FLY_API_BASE_URL", &api.url()).with(name, value))
    };
    let (code, _, err) = with("FLY_CLEANUP_MIN_AGE_S", "an hour");
    assert_eq!(code, Some(3), "{err}");
    assert!(err.contains("FLY_CLEANUP_MIN_AGE_S"), "{err}");
    let (code, _, err) = with("FLY_CLEANUP_NAME_PREFIX", "a b");
    assert_eq!(code, Some(3), "{err}");
    assert!(api.book().requests.is_empty());
    let (code, out, _) = with("FLY_CLEANUP_NAME_PREFIX", "afw-");
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(api.book().live_machines(), ["m2"]);
    assert!(out.contains("kept: m2: its name does not begin with afw-"), "{out}");
}

#[test]
fn each_mistake_is_a_sentence() {
    let api = MachinesApi::start();
    let bare = |args: Vec<&str>| Program::of(args).with("FLY_API_BASE_URL", &api.url());
    let rows = [
        (bare(vec!["fly-cleanup"]), 2, "needs --app NAME"),
        (bare(vec!["fly-cleanup", "--app", "a/b"]), 2, "expected lower-case letters"),
        (bare(vec!["fly-cleanup", "--app", APP, "--yes", "--dry-run"]), 2, "exclude each other"),
        (bare(vec!["fly-cleanup", "--app", APP]), 3, "FLY_API_TOKEN is not set"),
        (
            bare(vec!["fly-cleanup", "--app", APP]).with("FLY_API_TOKEN", "wrong"),
            1,
            "does not accept the token",
        ),
        (bare(vec!["fly-cleanup", "--app", "other"]).with("FLY_API_TOKEN", TOKEN), 1, "it does not exist"),
        (
            Program::of(vec!["fly-cleanup", "--app", APP])
                .with("FLY_API_TOKEN", TOKEN)
                .with("FLY_API_BASE_URL", "fly.example"),
            3,
            "FLY_API_BASE_URL",
        ),
    ];
    for (program, code, part) in rows {
        let (seen, out, err) = run(program);
        assert_eq!(seen, Some(code), "{part}: {out}{err}");
        assert!(err.contains(part), "{part}: {err}");
    }
    assert!(api.book().changes().is_empty());
    // As Fly shows it, with its scheme.
    let (code, _, err) = run(bare(vec!["fly-cleanup", "--app", APP]).with("FLY_API_TOKEN", "FlyV1 fm2_abc"));
    assert_eq!(code, Some(1));
    assert!(err.contains("does not accept the token") && !err.contains("fm2_abc"), "{err}");
}
