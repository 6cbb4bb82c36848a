//! `demo --chaos`: the count is zero after kills, and each damaged record is noticed.

use std::path::Path;
use std::thread;

use serde_json::{Value, json};

use crate::support::program::Program;

/// Runs it and returns the exit code and the report.
fn chaos<const N: usize>(temporary: &Path, args: [&str; N]) -> (Option<i32>, Value) {
    let output = Program::new(args).with("TMPDIR", temporary.to_str().unwrap()).output();
    let report = serde_json::from_slice(&output.stdout);
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), report.unwrap_or_else(|why| panic!("{why}: {log}")))
}

#[test]
fn kills_under_load_lose_and_repeat_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (code, report) = chaos(place.path(), ["demo", "--chaos", "--seconds", "6", "--seed", "7", "--json"]);
    assert_eq!(code, Some(0), "{report:#}");
    let count = |field: &str| report[field].as_u64().unwrap();
    assert!(count("kills") >= 2 && count("rows") > 10 && count("turns") >= count("rows"), "{report:#}");
    assert_eq!(count("delivered"), count("rows"), "{report:#}");
    for field in ["lost", "duplicated", "repeatedEffects"] {
        assert_eq!(report[field], 0, "{report:#}");
    }
    assert_eq!((&report["seed"], &report["exact"]), (&json!(7), &json!(true)));
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "no folder is left");
}

#[test]
fn a_damaged_record_is_counted_and_fails_the_run() {
    let runs =
        [("loss", "lost"), ("post", "duplicated"), ("effect", "repeatedEffects")].map(|(fault, field)| {
            thread::spawn(move || {
                let place = tempfile::tempdir().unwrap();
                let args = ["demo", "--chaos", "--seconds", "3", "--fault", fault, "--json"];
                let (code, report) = chaos(place.path(), args);
                assert_eq!(code, Some(1), "{fault}: {report:#}");
                for other in ["lost", "duplicated", "repeatedEffects"] {
                    assert_eq!(report[other], u64::from(other == field), "{fault}: {report:#}");
                }
                let kept = Path::new(report["kept"].as_str().unwrap());
                assert!(kept.join("state").is_dir() && kept.join("runtime.log").is_file(), "{report:#}");
            })
        });
    for run in runs {
        run.join().unwrap();
    }
}
