//! Opens the state in `STATE_DIR`, and reports why that fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use log::{error, info, warn};

use super::budget;
use crate::app::exit::Exit;
use crate::app::state_dir;
use mcr_config::{LedgerSwitch, Settings};
use mcr_core::delivery::dead_letters::{self, RESUMED_STEP};
use mcr_core::delivery::duplicate_runtime::{Predecessor, STAND_BACK};
use mcr_core::delivery::journal::{Journal as _, Wait};
use mcr_core::delivery::operator_requests::Hold;
use mcr_core::delivery::scheduler::RecoveredState;
use mcr_core::delivery::stopped_rows::StoppedRows;
use mcr_core::delivery::{ClosedWork, crash};
use mcr_core::heartbeat::memory::BeatMemory;
use mcr_core::ops::unreadable;
use mcr_files::Folder;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::{AccountId, AgentId};
use mcr_service::delivery::budget::BudgetKeeper;
use mcr_service::delivery::deps::RecentIds;
use mcr_store::ledger::{self, Closed, Ledger, LedgerError};
use mcr_store::sessions::Sessions;

/// How often, and at what interval, to retry a locked ledger. A command of an operator (`dead retry`) holds
/// the lock only briefly. A runtime that leaves because of another one does not return.
const LOCK_RETRIES: u32 = 10;
const LOCK_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The remedy if the ledger cannot be written.
const WITHOUT_A_LEDGER: &str =
    "; to run without a ledger, and lose running deliveries in a crash, set LEDGER=off";

/// Opens `STATE_DIR`. Returns `None` if a service without a ledger cannot use it.
pub(super) fn open_folder(settings: &Settings) -> Result<Option<Arc<Folder>>, LedgerError> {
    match state_dir::claim(&settings.state_dir) {
        Ok(folder) => {
            if let Some(mode) = folder.narrowed() {
                warn!(
                    path:% = folder.path().display(), mode = format!("{mode:o}");
                    "STATE_DIR was open to other users; their permissions are withdrawn"
                );
            }
            Ok(Some(folder))
        }
        Err(why) if settings.ledger == LedgerSwitch::Off && !why.is_unsafe() => {
            warn!(reason:% = why; "Nothing is kept across restarts: STATE_DIR cannot be used");
            Ok(None)
        }
        Err(why) => Err(why.into()),
    }
}

/// The opened ledger, and what an earlier process has left.
pub(super) struct OpenState {
    pub(super) ledger: Arc<Ledger>,
    pub(super) left: RecoveredState,
    pub(super) made: Arc<RecentIds>,
    pub(super) budget: Arc<BudgetKeeper>,
    /// What the kept heartbeats mean for the next ones of their agents.
    pub(super) memories: BTreeMap<AgentId, BeatMemory>,
}

/// Opens the ledger with the state that an earlier process has left. A ledger that exists but cannot be
/// trusted is an error, not a reason to start with an empty one.
pub(super) fn open_ledger(
    settings: &Settings,
    folder: Option<&Arc<Folder>>,
) -> Result<OpenState, LedgerError> {
    let folder = match (folder, settings.ledger) {
        (Some(folder), LedgerSwitch::On) => folder,
        (folder, _) => {
            let ledger = Ledger::switched_off(folder)?;
            warn!("Running deliveries will not survive a crash: LEDGER=off is set");
            let (left, made) = (RecoveredState::default(), Arc::default());
            // The configuration refuses budgets without a ledger.
            let budget = Arc::new(BudgetKeeper::off());
            let memories = BTreeMap::new();
            return Ok(OpenState { ledger: Arc::new(ledger), left, made, budget, memories });
        }
    };
    let options = ledger::Options::new(AccountId::new(&settings.account.id), settings.ledger_sync);
    let mut opened = Ledger::open(folder, &options);
    for look in 0..LOCK_RETRIES {
        if !matches!(opened, Err(LedgerError::Locked { .. })) {
            break;
        }
        if look == 0 {
            info!("Another process has the ledger open, perhaps a command; waiting");
        }
        thread::sleep(LOCK_RETRY_PAUSE);
        opened = Ledger::open(folder, &options);
    }
    let opened = opened?;
    if !opened.open.is_empty() {
        info!(deliveries = opened.open.len(); "Deliveries of an earlier process continue");
    }
    let made = Arc::<RecentIds>::default();
    let before = opened.closed.iter().flat_map(|closed| closed.made.clone());
    let now = opened.open.iter().flat_map(|left| left.record.effects.all_made().to_vec());
    before.chain(now).for_each(|id| made.add(id));
    opened
        .requests
        .iter()
        .chain(opened.open.iter().filter_map(|left| left.work.notification()))
        .for_each(|row| made.begins(row));
    for row in opened.unreadable.iter().filter(|row| row.is_open()) {
        error!(
            notification = row.id.as_str(), reason = row.explain(), remedy = row.advice();
            "A row of the ledger is not understood"
        );
    }
    if let Some(words) = unreadable::closed_in_words(opened.unreadable.iter()) {
        info!(rows = words; "The ledger has closed rows that are not understood");
    }
    let ledger = Arc::new(opened.ledger);
    let budget = Arc::new(budget::recalled(&settings.budgets, &opened.kept, &opened.open, &ledger));
    let closed = opened.closed.into_iter().map(|closed| {
        let Closed { id, end, unmarked, .. } = closed;
        (id, ClosedWork { end, unmarked })
    });
    let now = SystemClock.now();
    let mut open: Vec<_> = opened.open.into_iter().map(|it| (it.work, it.record, it.not_before)).collect();
    let crashed = opened.crash.iter().map(|crash| crash.active.len());
    crashed.for_each(|active| warn!(active; "The last process crashed"));
    ledger.works(now);
    if let Err(why) = crash::go_on(&mut open, opened.crash.as_ref(), &*ledger, now) {
        warn!(reason:% = why; "The restart cannot be recorded for the open deliveries");
    }
    let (stopped, due) = StoppedRows::recovered(opened.stopped, &opened.threads);
    for (work, record) in due {
        let record = record.resumed();
        // `Wait::Not` never returns an error.
        let note = dead_letters::started_again(&work, &record, RESUMED_STEP, now);
        let _ = ledger.note(&note, Wait::Not);
        open.push((work, record, None));
    }
    let predecessor = match opened.stopped_at {
        _ if !opened.is_original => Predecessor::Unknown,
        // A longer time ago, another runtime may have been started in its place.
        Some(at) if at <= now && now.since(at) < STAND_BACK => Predecessor::Stopped,
        _ if opened.crash.is_some() => Predecessor::Crashed,
        _ => Predecessor::Unknown,
    };
    let left = RecoveredState {
        predecessor,
        open,
        closed: closed.collect(),
        unreadable: opened.unreadable,
        dead: opened.dead,
        stopped,
        threads: opened.threads,
        hold: Hold::default(),
        agent_turns: opened.agent_turns,
    };
    Ok(OpenState { ledger, left, made, budget, memories: opened.beats })
}

/// Why the state cannot be opened, with the remedies.
pub(super) fn in_words(why: &LedgerError) -> String {
    let without = if why.is_of_the_place() { WITHOUT_A_LEDGER } else { "" };
    format!("{why}{without}")
}

/// A second runtime on one ledger is a lasting conflict, so it has its own exit code.
pub(super) fn not_opened(why: &LedgerError) -> Exit {
    error!(reason = in_words(why); "Not started");
    if matches!(why, LedgerError::Locked { .. }) { Exit::Foreign } else { Exit::Failed }
}

/// Opens the sessions that an earlier process has issued, next to the ledger. Without a writable folder they
/// are kept in memory only.
pub(super) fn open_sessions(settings: &Settings, folder: Option<&Arc<Folder>>, ledger: &Ledger) -> Sessions {
    let account = AccountId::new(&settings.account.id);
    let Some(folder) = folder.filter(|_| ledger.state().off.is_none()) else {
        return Sessions::in_memory(account);
    };
    let sessions = Sessions::open(folder, account, SystemClock.now());
    if let Some(why) = sessions.off() {
        warn!(reason = why; "After a restart, agents' calls are refused until their next delivery");
    }
    sessions
}
