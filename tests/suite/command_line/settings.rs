//! Settings without a warning, the log's output, and a token that is never accepted.

use std::time::{Duration, Instant};

use super::{TOKEN, good_backend, throwing};
use crate::support::program::{Program, text};

#[test]
fn good_settings_cause_no_warning() {
    let backend = good_backend();
    let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN);
    let quiet = program.with("OPENCLAW_PROFILE_SYNC", "off").with("UPGRADE_MODE", "none");
    let said = text(&quiet.with("HEALTH_PORT", "0").output());
    assert!(!said.contains("warning:"), "{said}");
}

/// Even if the rest of the configuration cannot be used.
#[test]
fn the_log_goes_to_standard_error_or_to_standard_output() {
    for (wished, to_stdout) in [(None, false), (Some("stderr"), false), (Some("stdout"), true)] {
        let program = Program::new(["run"]).with("ACCOUNT_ID", "acc");
        let program = wished.into_iter().fold(program, |program, to| program.with("LOG_OUTPUT", to));
        let output = program.output();
        assert_eq!(output.status.code(), Some(3), "{wished:?}");
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let (full, empty) = if to_stdout { (&out, &err) } else { (&err, &out) };
        assert!(full.contains("Not started") && empty.is_empty(), "{wished:?}: {out:?} {err:?}");
    }
}

/// A start whose token was never accepted is a configuration mistake, which a supervisor should not repeat.
#[test]
#[ignore = "takes eleven minutes; the rule itself is tested in virtual time"]
fn a_token_that_is_never_accepted_ends_the_process_with_3() {
    let backend = throwing("Invalid service token");
    let began = Instant::now();
    let program = Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let mut service = program.start();
    let until = began + Duration::from_mins(12);
    while !service.has_ended() {
        assert!(Instant::now() < until, "still running after {:?}", began.elapsed());
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(began.elapsed() >= Duration::from_mins(10), "{:?}", began.elapsed());
    let (code, log) = service.end();
    assert_eq!(code, Some(3), "{log}");
    assert!(log.contains("no call has ever succeeded"), "{log}");
}
