//! The parts of one process that a delivery uses, and the settings of a service without variables.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::clock::Clock;
use mission_control_runtime::delivery::budget::BudgetKeeper;
use mission_control_runtime::delivery::deps::{AnswerCounter, DeliveryDeps, RecentIds, Rules};
use mission_control_runtime::delivery::inflight::InFlight;
use mission_control_runtime::delivery::journal::Journal;
use mission_control_runtime::delivery::provider_cooldown::ProviderCooldown;
use mission_control_runtime::delivery::retry::Budget;
use mission_control_runtime::gateway::Gateway;
use mission_control_runtime::heartbeat::beats::Beats;
use mission_control_runtime::metrics::Metrics;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{NoResponseNote, TeamLimits, ToolEndpoints, WakeRules};
use mission_control_runtime::roster;
use mission_control_runtime::sessions::Sessions;
use mission_control_runtime::tools::access::ToolAccess;

/// The rules of a service without settings.
pub(crate) fn rules() -> Rules {
    Rules {
        access: ToolAccess { endpoints: ToolEndpoints::Auto, client_tools: true },
        session_tokens: false,
        token_files: None,
        base_url: "http://127.0.0.1:3001".to_owned(),
        rounds_max: 8,
        calls_max: 32,
        silence_max: Duration::from_mins(15),
        budget: Budget::default(),
        notes: NoResponseNote::default(),
        wake_on: WakeRules::default(),
        team: TeamLimits::default(),
    }
}

/// The parts of one process. They end with it.
pub(crate) struct ServiceParts {
    pub(crate) rules: Rules,
    pub(crate) people: roster::Team,
    /// How many turns were answered, of all agents.
    pub(crate) answers: AnswerCounter,
    /// The agents whose key is refused.
    pub(crate) cooldown: ProviderCooldown,
    pub(crate) made: Arc<RecentIds>,
    budget: BudgetKeeper,
    /// The active turns.
    pub(crate) inflight: InFlight,
    /// The issued sessions, in which an agent may call over HTTP.
    pub(crate) sessions: Arc<Sessions>,
    /// The heartbeats of all agents.
    pub(crate) beats: Arc<Beats>,
    metrics: Metrics,
}

impl ServiceParts {
    pub(crate) fn new(people: roster::Team, sessions: Arc<Sessions>, beats: Arc<Beats>) -> Self {
        Self {
            rules: rules(),
            people,
            answers: AnswerCounter::default(),
            cooldown: ProviderCooldown::default(),
            made: Arc::default(),
            budget: BudgetKeeper::off(),
            inflight: InFlight::new(crossbeam_channel::bounded(1).0),
            sessions,
            beats,
            metrics: Metrics::new([]),
        }
    }

    /// What a delivery needs, with these ways to the outside.
    pub(crate) fn deps<'a>(
        &'a self,
        mission: &'a Mission,
        gateway: &'a dyn Gateway,
        journal: &'a dyn Journal,
        clock: &'a dyn Clock,
    ) -> DeliveryDeps<'a> {
        DeliveryDeps {
            mission,
            gateway,
            team: &self.people,
            written: &|| (),
            taken: &|_| (),
            resumed: &|_, _| (),
            answers: &self.answers,
            cooldown: &self.cooldown,
            made: &self.made,
            budget: &self.budget,
            inflight: &self.inflight,
            sessions: &self.sessions,
            beats: &self.beats,
            journal,
            clock,
            rules: &self.rules,
            metrics: &self.metrics,
            pool: None,
        }
    }
}
