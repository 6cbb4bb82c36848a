//! The reasons in `/health`: the word, its meaning, and what to do.

use mcr_model::words;

/// The advice if the backend refuses every call without a reason.
pub const REFUSES_ALL: &str = "Mission Control refuses every call and hides the reason: SERVICE_TOKEN was probably renewed or belongs to another \
     deployment; make a new one there; the deployment's log has the reason";

/// The advice if the folder is not where the service opened it, with what a restart would lose.
pub const STATE_DIR_MOVED: &str = "STATE_DIR was moved, deleted or replaced under the running service: move it back; a restart without it starts \
     with an empty ledger and loses pauses, dead letters and the progress of each delivery";

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
        /// The gateway does not have agents of the account.
        AgentsMissing = "agents_missing",
        /// The gateway cannot run agents, although it runs others.
        AgentsBlocked = "agents_blocked",
        /// The gateway shows no session, so a lost answer cannot be found.
        GatewayHistoryClosed = "gateway_history_closed",
        /// No gateway is configured.
        NoGateway = "no_gateway",
        /// The configured number of turns was sent.
        TurnLimitReached = "turn_limit_reached",
        /// The limit of a daily budget is reached.
        BudgetReached = "budget_reached",
        /// Turns cost dollars that a limit in dollars does not count.
        BudgetUncounted = "budget_uncounted",
        /// The thread that checks the daily budgets has stopped.
        BudgetStalled = "budget_stalled",
        /// Mission Control has not answered the first calls yet.
        BackendPending = "backend_pending",
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
        /// Mission Control has more waiting notifications than a list shows.
        Backlog = "backlog",
        /// Notifications that agents have caused wait for AGENT_TURNS_PER_MINUTE.
        AgentTurnsLimited = "agent_turns_limited",
        /// A delivery was given up and waits for a person.
        DeadLetters = "dead_letters",
        /// An open row of the ledger is not understood.
        UnreadableRows = "unreadable_rows",
        /// A turn shows no sign of life.
        StuckTurns = "stuck_turns",
        /// The roster is old.
        RosterStale = "roster_stale",
        /// Mission Control describes an agent in an unusable way.
        AgentsUnusable = "agents_unusable",
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
        /// The gateway that the runtime runs itself does not stay up.
        GatewayProcessFailing = "gateway_process_failing",
        /// The gateway does not get the keys that are stored in Mission Control.
        KeysNotSynced = "keys_not_synced",
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
            Self::TurnLimitReached => {
                "the limit of turns is reached, so no more are sent: raise DELIVERY_MAX_TURNS, or set it to 0, and restart"
            }
            Self::GatewayUnreachable => {
                "the gateway does not answer correctly, so nothing is sent to agents: see the line `gateway`, or run `doctor`"
            }
            Self::GatewayRefusedToken => {
                "the gateway does not accept the token: set OPENCLAW_GATEWAY_TOKEN to its gateway.auth.token"
            }
            Self::GatewayEndpointOff => {
                "the gateway's endpoint for turns is switched off: set gateway.http.endpoints.responses.enabled to true"
            }
            Self::GatewayTooOld => {
                "the gateway is too old and shows no function tools to agents, which use the HTTP endpoints unless AGENT_API is off: upgrade it to 2026.3.31 or newer"
            }
            Self::AgentsMissing => {
                "the gateway does not have agents of the account, so their work waits: add them to its configuration; \
                 `gateway.missingAgents` of /health, or `doctor`, has the names and the setting"
            }
            Self::AgentsBlocked => {
                "every turn of an agent fails inside the gateway, while other agents are answered, so its work waits: restart \
                 the gateway; `gateway.blockedAgents` of /health has the names"
            }
            Self::GatewayHistoryClosed => {
                "the gateway shows no session, so a lost answer ends as dead: add \"sessions_list\" and \"sessions_history\" to tools.alsoAllow in its configuration, and restart it"
            }
            Self::BudgetReached => {
                "a daily budget is reached, so turns wait: run `budget show`, or `budget raise` or `budget reset` to go on today"
            }
            Self::BudgetUncounted => {
                "the cost of turns is not known, so a budget in dollars does not count them: set BUDGET_PRICES to the prices of the models"
            }
            Self::BudgetStalled => {
                "the daily budgets were not checked lately, so running turns may pass a limit: see the log, and restart the service"
            }
            Self::BackendPending => {
                "Mission Control has not answered the first calls yet: if that lasts, check CONVEX_URL and the network, or run `doctor`"
            }
            Self::BackendUnreachable => {
                "Mission Control does not answer: check CONVEX_URL and the network, or run `doctor`"
            }
            Self::BackendRefusedToken => {
                "Mission Control does not accept the token: check ACCOUNT_ID and SERVICE_TOKEN"
            }
            Self::BackendRefusesAll => REFUSES_ALL,
            Self::DeliveryFailing => "the last attempts failed in a row: see the last error below",
            Self::BreakerOpen => "no turn starts until the gateway answers again: check the gateway",
            Self::Backlog => {
                "more notifications wait than Mission Control lists at a time: see `backlog` for their number and the \
                 estimated time; `pause` stops the agents"
            }
            Self::AgentTurnsLimited => {
                "agents cause more requests to the gateway than AGENT_TURNS_PER_MINUTE allows, so their notifications wait: look \
                 for agents that answer each other"
            }
            Self::DeadLetters => "a delivery was given up: run `dead list`",
            Self::UnreadableRows => {
                "this version does not understand a row of the ledger, and the work behind it waits: run `dead list`"
            }
            Self::StuckTurns => "a turn shows no sign of life: run `why` with the agent's slug",
            Self::RosterStale => {
                "the list of agents is outdated, because Mission Control does not return it: see the log for the reason"
            }
            Self::AgentsUnusable => {
                "an agent in Mission Control has an unusable slug, session or heartbeat interval: see `agentSync.problems`, or run `doctor`"
            }
            Self::ReportFailing => {
                "Mission Control does not accept the status report: see the log for the reason"
            }
            Self::LedgerOff => "progress cannot be recorded: see the line `ledger`, or run `doctor`",
            Self::StateDirMoved => STATE_DIR_MOVED,
            Self::DiskLow => "the disk of STATE_DIR is almost full: free space on it",
            Self::ClockSkew => {
                "the clocks of this machine and of Mission Control differ: set this machine's clock"
            }
            Self::ThreadPanicked => {
                "a thread of the service panicked and continues: report it as a bug, with the log"
            }
            Self::ProfilesUnwritable => {
                "the agents' workspaces cannot be written: check the permissions of their folder"
            }
            Self::GatewayProcessFailing => {
                "the gateway that OPENCLAW_COMMAND starts does not stay up: see `gateway.child` of /health, and its lines in the log"
            }
            Self::KeysNotSynced => {
                "the gateway does not get the keys that are stored in Mission Control: see `gatewayKeys.lastError` of /health"
            }
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
