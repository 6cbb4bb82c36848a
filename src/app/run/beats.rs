//! Sets up the heartbeats of the running service, with what an earlier process has stored for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcr_config::Settings;
use mcr_core::delivery::scheduler::RecoveredState;
use mcr_core::heartbeat::gate::BeatRules;
use mcr_core::heartbeat::memory::BeatMemory;
use mcr_files::Folder;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{AccountId, AgentId};
use mcr_service::heartbeat::beats::{BeatSettings, Beats, BeatsLeft};
use mcr_service::heartbeat::keeper::Keeper;
use mcr_service::roster::Team;
use mcr_store::ledger::Ledger;

/// Opens the heartbeats of this team.
pub(super) fn open(
    settings: &Settings,
    folder: Option<&Arc<Folder>>,
    ledger: &Ledger,
    team: Team,
    (left, memories): (&RecoveredState, BTreeMap<AgentId, BeatMemory>),
) -> Arc<Beats> {
    let open = left.open.iter().map(|(work, ..)| work.clone()).collect();
    let wakes = Arc::new(open_wakes(settings, folder, ledger));
    Arc::new(Beats::new(beat_settings(settings), team, wakes, BeatsLeft { open, memories }))
}

/// Opens the wake-ups that an earlier process has stored for agents, next to the ledger. Without a writable
/// folder they are kept in memory only.
pub(super) fn open_wakes(settings: &Settings, folder: Option<&Arc<Folder>>, ledger: &Ledger) -> Keeper {
    let account = AccountId::new(&settings.account.id);
    match (folder, ledger.state().off) {
        (Some(folder), None) => Keeper::open(folder, &account, SystemClock.now()),
        (_, why) => Keeper::in_memory(&account, why.unwrap_or_default()),
    }
}

/// The settings of heartbeats. Without a gateway there are none.
fn beat_settings(settings: &Settings) -> BeatSettings {
    let beats = &settings.heartbeats;
    let rules = beats.mode.filter(|_| settings.gateway.url.is_some()).map(|mode| BeatRules {
        mode,
        quiet_max: beats.quiet_max,
        active_hours: beats.active_hours,
    });
    BeatSettings { rules, checklist: beats.checklist.clone(), zone: beats.zone }
}
