//! The heartbeats of a test: off, or with rules.

use std::sync::Arc;
use std::time::Duration;

use mission_control_runtime::heartbeat::beats::{BeatSettings, Beats, BeatsLeft};
use mission_control_runtime::heartbeat::gate::BeatRules;
use mission_control_runtime::heartbeat::keeper::Keeper;
use mission_control_runtime::model::zone::Zone;
use mission_control_runtime::model::{AccountId, BeatMode};
use mission_control_runtime::roster;

/// The rules of a service without settings.
pub(crate) const GATED: BeatRules =
    BeatRules { mode: BeatMode::Gated, quiet_max: Duration::from_hours(24), active_hours: None };

/// No beats, and no waiting events.
pub(crate) fn none(account: &str) -> Arc<Beats> {
    with_events(Arc::new(Keeper::in_memory(&AccountId::new(account), String::new())))
}

/// No beats, and these waiting events.
pub(crate) fn with_events(wakes: Arc<Keeper>) -> Arc<Beats> {
    let settings = BeatSettings { rules: None, checklist: None, zone: Zone::default() };
    Arc::new(Beats::new(settings, roster::Team::default(), wakes, BeatsLeft::default()))
}
