//! The guardrails in the demo: they do not stop the team, and their variables have an effect.

use std::time::Instant;

use serde_json::Value;

use super::{PATIENCE, Visitor};
use crate::support::program::{Program, get};

/// The health of the runtime at this address.
fn health(address: &str) -> Value {
    serde_json::from_str(&get(address, "/health").1).expect("health is JSON")
}

/// No guardrail has held back a row since the runtime at this address started.
pub(super) fn nothing_was_stopped(address: &str) {
    let health = health(address);
    assert_eq!(health["delivery"]["skipped"]["team-limit"], Value::Null, "{health:#}");
    assert_eq!(health["delivery"]["guardrails"]["stoppedThreads"], 0, "{health:#}");
    let guardrails = health["guardrails"].as_object().expect("the guardrails");
    for (name, guardrail) in guardrails {
        assert_eq!(guardrail["holds"], false, "{name}: {guardrail}");
    }
}

/// The team needs more than one turn, so a limit of one stops it.
#[test]
fn the_variables_of_the_guardrails_apply_to_the_demo() {
    let program = Program::new(["demo", "--port", "0"]);
    let set =
        [("TEAM_TURNS_MAX", "1"), ("TEAM_TURNS_PER_PROGRESS", "0"), ("BUDGET_DAILY_TOKENS", "70000000")];
    let program = set.iter().fold(program, |program, (name, value)| program.with(name, value));
    let visitor = Visitor::of(program);
    let until = Instant::now() + PATIENCE;
    let health = loop {
        let health = health(&visitor.runtime_address());
        if health["guardrails"]["TEAM_TURNS_MAX"]["holds"] == true {
            break health;
        }
        assert!(Instant::now() < until, "{health:#}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    for (name, value) in set {
        let guardrail = &health["guardrails"][name];
        assert_eq!((&guardrail["value"], &guardrail["isDefault"]), (&value.into(), &false.into()), "{name}");
    }
    assert!(health["delivery"]["skipped"]["team-limit"].as_u64() > Some(0), "{health:#}");
}

/// A value that cannot be used ends the demo with the sentence of the runtime.
#[test]
fn an_unusable_value_ends_the_demo_with_a_sentence() {
    let output = Program::new(["demo", "--port", "0"]).with("BUDGET_DAILY_TOKENS", "-5").output();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains("BUDGET_DAILY_TOKENS"), "{said}");
}
