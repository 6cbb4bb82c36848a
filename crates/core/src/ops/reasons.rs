//! The reasons in `/health`: the word, its meaning, and what to do.

use mcr_model::words;

/// The advice if the backend refuses every call without a reason.
pub const REFUSES_ALL: &str = "Mission Control refuses every call and hides why: most likely SERVICE_TOKEN was renewed or is of another deployment; \
     make a new one there; its log has the reason";

/// The advice if the folder is not where the service opened it, with what a restart would lose.
pub const STATE_DIR_MOVED: &str = "STATE_DIR was moved, deleted or replaced under the running service: move it back; a restart without it begins \
     with an empty ledger and forgets pauses, what was given up, and how far each delivery had come";

words! {
    /// A reason why the service is not healthy, with the word that dashboards count.
    HealthReason {
        /// The gateway does not answer correctly.
        GatewayUnreachable = "gateway_unreachable",
        /// The gateway does not accept our token.
        GatewayRefusedToken = "gateway_refused_token",
        /// The gateway's endpoint for turns is switched off.
        GatewayEndpointOff = "gateway_endpoint_off",
        /// The gateway's agents cannot call our tools.
        GatewayTooOld = "gateway_too_old",
        /// No gateway is configured.
        NoGateway = "no_gateway",
        /// Mission Control does not answer.
        BackendUnreachable = "backend_unreachable",
        /// Mission Control does not accept our token.
        BackendRefusedToken = "backend_refused_token",
        /// Mission Control refuses every call without a reason.
        BackendRefusesAll = "backend_refuses_all",
        /// The last attempts or lists failed in a row.
        DeliveryFailing = "delivery_failing",
        /// No turn begins until the gateway is back.
        BreakerOpen = "breaker_open",
        /// A delivery was given up and waits for a person.
        DeadLetters = "dead_letters",
        /// An open row of the ledger is not understood.
        UnreadableRows = "unreadable_rows",
        /// A turn shows no sign of life.
        StuckTurns = "stuck_turns",
        /// The roster is old.
        RosterStale = "roster_stale",
        /// Mission Control does not accept our report.
        ReportFailing = "report_failing",
        /// The ledger cannot be written.
        LedgerOff = "ledger_off",
        /// The state folder was moved, deleted or replaced.
        StateDirMoved = "state_dir_moved",
        /// The disk of the state folder is almost full.
        DiskLow = "disk_low",
        /// Mission Control's clock differs from ours.
        ClockSkew = "clock_skew",
        /// The agents' workspaces cannot be written.
        ProfilesUnwritable = "profiles_unwritable",
        /// Another runtime works on the account.
        ForeignInstance = "foreign_instance",
        /// A thread panicked lately.
        ThreadPanicked = "thread_panicked",
    }
}

impl HealthReason {
    /// What the reason means and what to do, for people.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoGateway => "no gateway is configured: set OPENCLAW_GATEWAY_URL",
            Self::GatewayUnreachable => "nothing is sent to agents; see the line `gateway`, and `doctor`",
            Self::GatewayRefusedToken => "OPENCLAW_GATEWAY_TOKEN must equal the gateway's gateway.auth.token",
            Self::GatewayEndpointOff => "switch gateway.http.endpoints.responses.enabled on at the gateway",
            Self::GatewayTooOld => {
                "the gateway never shows tools to agents: 2026.3.31 is the oldest that can work"
            }
            Self::BackendUnreachable => {
                "Mission Control does not answer: check CONVEX_URL and the network, and `doctor`"
            }
            Self::BackendRefusedToken => {
                "Mission Control refuses our login: check ACCOUNT_ID and SERVICE_TOKEN"
            }
            Self::BackendRefusesAll => REFUSES_ALL,
            Self::DeliveryFailing => "the last attempts failed one after another; see the last error below",
            Self::BreakerOpen => "no turn begins until the gateway is back",
            Self::DeadLetters => "a delivery was given up: see `dead list`",
            Self::UnreadableRows => {
                "a row of the ledger is not understood, and the work behind it waits: see `dead list`"
            }
            Self::StuckTurns => "a turn shows no sign of life: run `why` with the agent's slug",
            Self::RosterStale => "the list of agents is outdated: Mission Control does not return it",
            Self::ReportFailing => "Mission Control does not accept our status report",
            Self::LedgerOff => "progress cannot be recorded: see the line `ledger`, and `doctor`",
            Self::StateDirMoved => STATE_DIR_MOVED,
            Self::DiskLow => "make room on the disk of STATE_DIR",
            Self::ClockSkew => "our clock and Mission Control's differ: set the clock",
            Self::ThreadPanicked => {
                "a thread of the service panicked and continued: report it as a bug, with the log"
            }
            Self::ProfilesUnwritable => "the agents' workspaces cannot be written",
            Self::ForeignInstance => "another runtime works on this account: stop one of the two",
        }
    }
}

/// The advice for a word of `/health`. The word may come from another version; an unknown word is its own
/// advice.
pub fn explain(word: &str) -> &str {
    match word.parse() {
        Ok(reason) => HealthReason::advice(reason),
        // Earlier versions had one word for both refusals.
        Err(()) if word == "backend_refuses" => HealthReason::BackendRefusedToken.advice(),
        Err(()) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_has_advice_and_an_unknown_word_is_its_own() {
        for reason in HealthReason::ALL {
            assert_eq!(explain(reason.as_str()), reason.advice());
        }
        assert_eq!(explain("backend_refuses"), HealthReason::BackendRefusedToken.advice());
        assert_eq!(explain("of_a_newer_version"), "of_a_newer_version");
    }
}
