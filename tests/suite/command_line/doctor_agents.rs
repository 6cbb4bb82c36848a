//! What `doctor` says about the agents of the gateway.

use super::{TOKEN, good_backend, throwing};
use crate::support::program::{Program, text};
use crate::support::scripted_http::{Move, ScriptedHttp, answer};

/// Without Mission Control's list, nothing is said about how many agents the gateway knows.
#[test]
fn doctor_checks_the_agents_only_if_mission_control_lists_them() {
    let json = |body: &str| Move::Send(answer(200, body));
    let ready = || {
        ScriptedHttp::start([
            json(r#"{"ok":true,"status":"started","version":"2026.9.6","uptimeMs":12}"#),
            json(r#"{"ready":true,"failing":[],"uptimeMs":12}"#),
            json("{}"),
        ])
    };
    // The second backend accepts the token, and answers with no list.
    let rows = [(throwing("Invalid service token"), "fix the backend first"), (good_backend(), "listAgents")];
    for (backend, reason) in rows {
        let gateway = ready();
        let program = Program::new(["doctor"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let found = text(&program.with("OPENCLAW_GATEWAY_URL", &gateway.url()).output());
        let words = "the agents were not checked, because Mission Control did not list them: ";
        let line = found.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{found}"));
        assert!(line.contains(reason) && !found.contains("agents of the account"), "{found}");
    }
}
