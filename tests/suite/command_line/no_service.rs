//! The help of one command, and the messages of commands without a service, a folder, or a usable one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mission_control_runtime::cli::parse;
use mission_control_runtime::ops::HealthReason;
use serde_json::json;

use super::{TOKEN, good_backend};
use crate::support::program::{Program, folder, text};
use crate::support::scripted_http::{Move, Refusing, ScriptedHttp, answer};

/// Runs a command where nothing listens, with a state folder. Returns its exit code and output.
fn output_of<const N: usize>(args: [&str; N], state: &str, more: &[(&str, &str)]) -> (Option<i32>, String) {
    let program = Program::new(args).configured("http://127.0.0.1:9", TOKEN);
    let program = program.with("HEALTH_PORT", "0").with("STATE_DIR", state);
    let output = more.iter().fold(program, |program, (name, value)| program.with(name, value)).output();
    (output.status.code(), text(&output))
}

#[test]
fn each_command_has_its_own_help_with_an_example_that_works() {
    let whole = text(&Program::new(["--help"]).output());
    let commands = [
        "run",
        "doctor",
        "status",
        "why",
        "evidence",
        "dead",
        "pause",
        "resume",
        "demo",
        "local",
        "completions",
        "version",
        "help",
    ];
    for command in commands {
        let help = text(&Program::new(["help", command]).output());
        assert_eq!(text(&Program::new([command, "--help"]).output()), help);
        let (lines, example) = help.split_once("\nExample:\n").unwrap();
        assert!(lines.starts_with(&format!("  {command} ")), "{help}");
        let parts: Vec<&str> = lines.split("\nOptions:\n").collect();
        assert!(parts.iter().flat_map(|part| part.lines()).all(|line| whole.contains(line)), "{help}");
        assert_eq!(
            lines.contains("--json"),
            ["doctor", "status", "why", "evidence", "dead", "pause", "resume", "budget", "version", "demo"]
                .contains(&command),
            "{help}"
        );
        parse(example.split_whitespace().map(Into::into)).unwrap();
    }
    assert!(
        whole
            .contains("Options of status, why, evidence, dead, pause, resume and budget:\n  --state-dir DIR"),
        "{whole}"
    );
    assert!(whole.contains("End every pause, including those of single agents"), "{whole}");
}

#[test]
fn without_a_ledger_nothing_is_said_about_given_up_deliveries() {
    let (_kept, path) = folder();
    let (missing, empty) = (path("missing"), path("empty"));
    fs::create_dir(&empty).unwrap();
    let rows =
        [(&missing, "does not exist. Start the service"), (&empty, "contains no ledger. Start the service")];
    for (place, words) in rows {
        let shown = place.to_str().unwrap();
        for args in [["dead", "list"], ["why", "ben"]] {
            let (code, said) = output_of(args, shown, &[]);
            assert!(code == Some(1) && said.contains(words) && said.contains(shown), "{args:?}: {said}");
            assert!(said.to_lowercase().contains("no service runs here"), "{args:?}: {said}");
        }
    }
    assert!(!missing.exists());
}

/// A missing folder is a typo, or the folder of no service.
#[test]
fn a_pause_on_a_missing_folder_changes_nothing() {
    let (_kept, path) = folder();
    let place = path("new/state");
    for args in [["pause"], ["resume"]] {
        let (code, said) = output_of(args, place.to_str().unwrap(), &[]);
        assert!(code == Some(1) && said.contains("does not exist. Start the service"), "{said}");
        assert!(said.contains("Nothing was changed: STATE_DIR"), "{said}");
    }
    assert!(!path("new").exists());
}

/// The folder may have been created for the service, such as by systemd.
#[test]
fn a_pause_before_the_first_start_applies_to_it() {
    let (_kept, path) = folder();
    let place = path("state");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    let (code, said) = output_of(["pause"], place.to_str().unwrap(), &[]);
    assert!(code == Some(0) && said.contains("this applies from its next start on"), "{said}");
    let (_, found) = output_of(["doctor"], place.to_str().unwrap(), &[]);
    assert!(found.contains("disk            ok\n"), "{found}");
}

/// A worker of a pool reads no pauses, so a pause that seems to be accepted would be a control without effect.
#[test]
fn the_folder_of_a_worker_takes_no_pause() {
    let (_kept, path) = folder();
    let place = path("state");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(path("state/worker-ids.json"), "{}").unwrap();
    for args in [["pause"], ["resume"]] {
        let (code, said) = output_of(args, place.to_str().unwrap(), &[]);
        assert!(code == Some(1) && said.contains("belongs to a worker of a pool"), "{said}");
    }
    assert!(!path("state/paused.json").exists());
}

/// With a mistake in the configuration the service's address is not certain, so a pause could miss it.
#[test]
fn with_a_mistake_in_the_configuration_a_pause_next_to_a_service_changes_nothing() {
    let mut service =
        Program::new(["run"]).configured("http://127.0.0.1:9", TOKEN).with("HEALTH_PORT", "0").start();
    let address = service.address();
    let port = address.rsplit(':').next().unwrap();
    let (_kept, path) = folder();
    let place = path("elsewhere");
    let shown = place.to_str().unwrap();
    for args in [["pause"], ["resume"]] {
        let (code, said) = output_of(args, shown, &[("HEALTH_PORT", port), ("LEDGER", "bogus")]);
        assert_eq!(code, Some(3), "{said}");
        for words in ["LEDGER (environment) is", "Nothing was changed", shown] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
    assert!(!place.exists());
}

#[test]
fn doctor_tests_whether_the_folder_can_be_created() {
    let (_kept, path) = folder();
    let (code, found) = output_of(["doctor"], "/proc/x/y", &[]);
    assert_eq!(code, Some(1));
    for words in
        ["disk            WRONG: STATE_DIR /proc/x/y is not there, and cannot be made", "name another one"]
    {
        assert!(found.contains(words), "{words}: {found}");
    }
    let place = path("new/state");
    let (_, found) = output_of(["doctor"], place.to_str().unwrap(), &[]);
    assert!(found.contains("is not there yet; the first start makes it"), "{found}");
    assert_eq!(fs::read_dir(path("")).unwrap().count(), 0, "the test leaves nothing behind");
}

#[test]
fn doctor_names_the_address_of_an_absent_gateway_once() {
    let (_kept, path) = folder();
    let gateway = format!("http://{}", Refusing::new().address());
    let backend = good_backend();
    let more = [("OPENCLAW_GATEWAY_URL", &*gateway), ("CONVEX_URL", &backend.url())];
    let (_, found) = output_of(["doctor"], path("s").to_str().unwrap(), &more);
    let line = found.lines().find(|line| line.starts_with("gateway         WRONG")).unwrap();
    assert!(line.contains("unreachable") && line.matches(&gateway).count() == 1, "{line}");
}

/// Foreign text is redacted. Our own advice is shown in full, even where it mentions tokens.
#[test]
fn status_shows_its_advice_in_full() {
    let error = format!("refused {TOKEN}");
    let health = json!({"status": "degraded", "reasons": HealthReason::ALL, "uptime": 1.0,
        "gateway": {"lastSendError": error}, "versions": {"openclaw": "unknown"},
        "backend": {"accepted": true}, "delivery": {"ended": {}}, "ledger": {}});
    let service = ScriptedHttp::start([Move::SendAndCut(answer(200, &health.to_string()))]);
    let port = service.url().rsplit(':').next().unwrap().to_owned();
    let (_kept, path) = folder();
    let (code, said) = output_of(["status"], path("s").to_str().unwrap(), &[("HEALTH_PORT", &port)]);
    assert_eq!(code, Some(0), "{said}");
    // An open breaker follows from the gateway's failure and shares its line.
    for reason in HealthReason::ALL.iter().filter(|reason| **reason != HealthReason::BreakerOpen) {
        let (word, advice) = (reason.as_str(), reason.advice());
        let names = if word == "gateway_unreachable" { "gateway_unreachable, breaker_open" } else { word };
        let line = format!("{:<11} {names}: {}", "", advice);
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    assert!(said.contains("gateway     open, version unknown\n"), "{said}");
    assert!(said.contains("its last turn: refused ***") && !said.contains("c4n4ry"), "{said}");
}
