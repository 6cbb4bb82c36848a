//! Checks of the disk under `STATE_DIR`, of the ledger in it, and of the clock.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Check, CheckResult, PATIENCE};
use crate::app::command_env::BackendConnection;
use crate::app::state_dir::{OUR_FILES, StateDir};
use mcr_clients::wire::{self, Phases};
use mcr_config::{LedgerSwitch, Settings};
use mcr_core::ops::unreadable;
use mcr_core::spans::{clock, span};
use mcr_files::Folder;
use mcr_model::AccountId;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_store::ledger;

/// The least free space in KiB. With less, a growing ledger is soon off: it can record nothing more.
const SPACE_KIB: u64 = 64 * 1024;

/// The most unreadable rows of the ledger that the report names.
const NAMED: usize = 5;

/// How much the two clocks may differ.
const SKEW: Duration = Duration::from_secs(30);

/// Checks whether the service can record its deliveries. `displaced` is the reason why the running service has lost
/// the directory, if it has.
pub(super) fn disk(settings: &Settings, displaced: Option<String>) -> Check {
    let directory = &settings.state_dir;
    let shown = directory.display();
    let mut check = Check::new("disk", CheckResult::Good, Vec::new());
    let is_displaced = displaced.is_some();
    if let Some(why) = displaced {
        check.wrong(why);
    }
    // With `LEDGER=off` the service starts without the directory.
    let unusable = |check: &mut Check, why: String| match settings.ledger {
        LedgerSwitch::On => check.wrong(format!("STATE_DIR {shown} {why}, or set LEDGER=off")),
        LedgerSwitch::Off => check.note(format!("STATE_DIR {shown} {why}")),
    };
    let folder = match StateDir::new(directory).folder() {
        Ok(folder) => folder,
        Err(why) if why.is_missing() && is_displaced => return check,
        Err(why) if why.is_missing() => {
            match try_to_make(directory) {
                Ok(()) => check.say(format!("{shown} is not there yet; the first start makes it")),
                Err(why) => unusable(
                    &mut check,
                    format!(
                        "is not there, and cannot be made ({why}): nothing can be recorded; name another one, or make it \
                         and give it to the user of the service"
                    ),
                ),
            }
            return check;
        }
        Err(why) => {
            check.wrong(format!("STATE_DIR {why}"));
            return check;
        }
    };
    if let Err(why) = folder.check_all(&OUR_FILES) {
        check.wrong(format!("STATE_DIR {why}"));
    }
    let written = try_to_write(&folder);
    if let Err(why) = &written {
        let words = "nothing can be recorded; make room, or give it to the user of the service";
        unusable(&mut check, format!("cannot be written ({why}): {words}"));
    }
    match free_kib(directory) {
        Some(free) if free < SPACE_KIB => {
            check.wrong(format!("only {} MiB are free under {shown}: make room", free / 1024));
        }
        _ if written.is_err() => {}
        Some(free) => check.say(format!("{shown} can be written, {} MiB are free", free / 1024)),
        None => check.say(format!("{shown} can be written")),
    }
    let read = match settings.ledger {
        LedgerSwitch::On => ledger::read(&folder),
        LedgerSwitch::Off => ledger::may_be_off(&folder).map(|()| ledger::Read::default()),
    };
    match read {
        Ok(read) => {
            let account = AccountId::new(&settings.account.id);
            let ours = || read.unreadable.iter().filter(|row| row.is_of(&account));
            let open: Vec<_> = ours().filter(|row| row.is_open()).collect();
            for row in open.iter().take(NAMED) {
                check.wrong(format!("{} {}", row.explain(), row.advice()));
            }
            if open.len() > NAMED {
                check.wrong(format!(
                    "{} more rows of the ledger are not understood; `dead list` names them",
                    open.len() - NAMED
                ));
            }
            if let Some(words) = unreadable::closed_in_words(ours()) {
                check.say(words);
            }
        }
        Err(why) => check.wrong(why.to_string()),
    }
    if let Some(at) = ledger::last_set_aside(&folder) {
        check.say(format!(
            "a damaged ledger was set aside at {}: what was under way in it is not known; look at the threads of that time",
            clock(at)
        ));
    }
    check
}

/// Tries to create a directory in the nearest existing ancestor of `directory`.
pub(super) fn try_to_make(directory: &Path) -> std::io::Result<()> {
    let above = directory.ancestors().skip(1).find(|above| above.is_dir());
    // The last ancestor of a relative path is empty: it means the current directory.
    let above = above.filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let path = above.join(format!(".doctor-{}", std::process::id()));
    fs::create_dir(&path)?;
    fs::remove_dir(&path)
}

fn try_to_write(folder: &Folder) -> std::io::Result<()> {
    let name = format!(".doctor-{}", std::process::id());
    // The file is not empty, because a full disk still creates empty files.
    let tried = folder.write(&name, &[0; 4096]);
    let removed = folder.remove(&name);
    tried.and(removed)
}

/// The free space under the directory, in KiB. The standard library has no function for it; every system has `df`.
fn free_kib(directory: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(directory).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// Compares the clock of this machine with the backend's, as its HTTP answers give the time.
pub(super) fn clocks(settings: &Settings, way: &BackendConnection) -> Check {
    let phases = Phases {
        connect: PATIENCE,
        send: PATIENCE,
        answer: PATIENCE,
        body: PATIENCE,
        idle: PATIENCE,
        idle_connections: 0,
    };
    let base = &settings.account.convex_url;
    let agent = wire::agent(base, &way.roots, &phases);
    let asked = agent.get(base.join("/version")).config().http_status_as_error(false).build().call();
    let date = asked.ok().and_then(|answer| {
        let date = answer.headers().get("Date")?.to_str().ok()?;
        Millis::from_http_date(date)
    });
    let Some(theirs) = date else {
        return Check::new(
            "clock",
            CheckResult::Skipped,
            vec!["Mission Control does not say what time it is".to_owned()],
        );
    };
    let ours = SystemClock.now();
    let skew = ours.since(theirs).max(theirs.since(ours));
    if skew > SKEW {
        let side = if ours > theirs { "ahead of" } else { "behind" };
        let words = format!(
            "our clock is {} {side} Mission Control's: set the clock of this machine (NTP)",
            span(skew)
        );
        return Check::new("clock", CheckResult::Wrong, vec![words]);
    }
    Check::new("clock", CheckResult::Good, vec!["our clock and Mission Control's agree".to_owned()])
}
