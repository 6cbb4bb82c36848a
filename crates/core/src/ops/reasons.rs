//! The words of `/health`, each with a sentence and what can be done.

/// What it means that a backend that hides its reasons does nothing that it is asked for.
pub const REFUSES_ALL: &str = "Mission Control refuses every call and hides why: most likely SERVICE_TOKEN was renewed or is of another deployment; \
     make a new one there; its log has the reason";

/// The folder is not where the service opened it, and what a restart would lose.
pub const STATE_DIR_MOVED: &str = "STATE_DIR was moved, deleted or replaced under the running service: move it back; a restart without it begins \
     with an empty ledger and forgets pauses, what was given up, and how far each delivery had come";

/// What a reason means and what to do, for people; the word itself where a newer version has more of them.
pub fn explain(reason: &str) -> &str {
    match reason {
        "no_gateway" => "no gateway is configured: set OPENCLAW_GATEWAY_URL",
        "gateway_unreachable" => "nothing is sent to agents; see the line `gateway`, and `doctor`",
        "gateway_refused_token" => "OPENCLAW_GATEWAY_TOKEN must equal the gateway's gateway.auth.token",
        "gateway_endpoint_off" => "switch gateway.http.endpoints.responses.enabled on at the gateway",
        "gateway_too_old" => "the gateway never shows tools to agents: 2026.3.31 is the oldest that can work",
        "backend_unreachable" => {
            "Mission Control does not answer: check CONVEX_URL and the network, and `doctor`"
        }
        "backend_refuses" | "backend_refused_token" => {
            "Mission Control does not let us in: check ACCOUNT_ID and SERVICE_TOKEN"
        }
        "backend_refuses_all" => REFUSES_ALL,
        "delivery_failing" => "the last attempts failed one after another; see the last error below",
        "breaker_open" => "nothing is begun until the gateway is back",
        "dead_letters" => "something was given up: `dead list`",
        "stuck_turns" => "an agent shows no sign of life; `why` with its slug",
        "roster_stale" => "the list of agents is old: Mission Control does not tell it",
        "report_failing" => "Mission Control does not hear that we live",
        "ledger_off" => "what is done cannot be written down: see the line `ledger`, and `doctor`",
        "state_dir_moved" => STATE_DIR_MOVED,
        "disk_low" => "make room on the disk of STATE_DIR",
        "clock_skew" => "our clock and Mission Control's differ: set the clock",
        "thread_panicked" => "a part of the service panicked and goes on: report it as a bug, with the log",
        "profiles_unwritable" => "the agents' workspaces cannot be written",
        "foreign_instance" => "another runtime works on this account: stop one of the two",
        other => other,
    }
}
