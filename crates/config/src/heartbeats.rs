//! The settings of heartbeats.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::table::{
    HEARTBEAT_ACTIVE_HOURS, HEARTBEAT_CHECKLIST, HEARTBEAT_MAX_QUIET, HEARTBEAT_MODE, HEARTBEAT_TIME_ZONE,
};
use super::value;
use mcr_model::zone::Zone;
use mcr_model::{ActiveHours, BeatMode};

/// The heartbeats of agents.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    /// Which are sent to the model. `None`: there are none.
    pub mode: Option<BeatMode>,
    /// The longest time between two that are sent.
    pub quiet_max: Duration,
    /// When they are sent; `None` at any hour.
    pub active_hours: Option<ActiveHours>,
    /// The zone of these hours, and of midnight.
    pub zone: Zone,
    /// The operator's checklist.
    pub checklist: Option<PathBuf>,
}

/// Reads the settings.
pub(super) fn read(reader: &mut Reader) -> Heartbeats {
    let mode = match reader.text(&HEARTBEAT_MODE).as_str() {
        "off" => None,
        "always" => Some(BeatMode::Always),
        _ => Some(BeatMode::Gated),
    };
    Heartbeats {
        mode,
        quiet_max: reader.millis(&HEARTBEAT_MAX_QUIET),
        active_hours: reader.parsed(&HEARTBEAT_ACTIVE_HOURS, value::active_hours),
        zone: reader.parsed(&HEARTBEAT_TIME_ZONE, value::zone).unwrap_or_default(),
        checklist: reader.given_text(&HEARTBEAT_CHECKLIST).map(PathBuf::from),
    }
}
