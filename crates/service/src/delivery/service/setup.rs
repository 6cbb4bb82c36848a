//! What the delivery is made of.

use std::sync::Arc;

use super::super::stall_monitor::StallWatch;
use super::super::worker::Worker;
use crate::heartbeat::beats::Beats;
use crate::pool::ClaimedJobs;
use crate::roster::Team;
use crate::wakeup::Wakeup;
use mcr_clients::mission::Mission;
use mcr_core::delivery::journal::Journal;
use mcr_core::delivery::scheduler::{RecoveredState, SchedulerConfig};
use mcr_http::panics::Panics;

/// The parts of the delivery.
pub struct DeliverySetup {
    /// The settings of the scheduler.
    pub plan: SchedulerConfig,
    /// The poller's backend client.
    pub mission: Mission,
    /// The workers; one thread each.
    pub workers: Vec<Worker>,
    /// The ledger, for ends that the dispatcher decides.
    pub journal: Arc<dyn Journal>,
    /// The work that an earlier process left.
    pub left: RecoveredState,
    /// The stall monitor.
    pub watch: StallWatch,
    /// The heartbeats of all agents.
    pub beats: Arc<Beats>,
    /// Probes the gateway; returns why it cannot take turns, if so.
    pub probe: Box<dyn Fn() -> Option<String> + Send>,
    /// The current roster, for the names of the agents.
    pub team: Team,
    /// How many calls of the backend the process has made.
    pub backend_calls: Box<dyn Fn() -> u64 + Send>,
    /// Wakes the reporter of the status after a change that the report shows.
    pub reporter: Wakeup,
    /// The record of panics.
    pub panics: Panics,
    /// The claimed jobs of a worker of a pool. It has no notifications, so it makes no lists.
    pub jobs: Option<ClaimedJobs>,
}
