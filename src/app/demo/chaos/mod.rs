//! `demo --chaos`: kills and restarts its own runtime under load, and counts what was lost, duplicated or repeated.
//!
//! The runtime is killed by SIGKILL every few seconds, at moments that depend on a seed. Meanwhile `load` keeps it
//! busy. The count compares the records of the board and of the gateway, which both live in this process
//! ([`mcr_gateway_sim::load`]). What the runtime reports is not used.

mod load;
mod report;

use std::fs::{File, OpenOptions};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use log::{LevelFilter, error, info, warn};

use self::load::LoadDriver;
use self::report::ChaosReport;
use super::gateway::ScriptedServer;
use super::{OPTION, open_in_memory, start_log};
use crate::app::child_runtime::{GatewayAccess, Runtime, Setting};
use crate::app::embedded::{self, Board, BoardAccess};
use crate::app::exit::Exit;
use crate::app::{complain, print};
use mcr_gateway_sim::derived;
use mcr_gateway_sim::load::{Load, Records, Tally};
use mcr_mission_control::Seed;
use mcr_model::random;

/// The address of the board: any free port, since no person looks at it.
const LISTEN: &str = "127.0.0.1:0";

/// The duration of each agent turn.
const TURN: Duration = Duration::from_millis(300);

/// The shortest and the longest life of a runtime, from the start of its process, in milliseconds. The shortest end
/// during the start.
const LIFE_MS: (u64, u64) = (30, 5_000);

/// The number of turns that may run at once.
const TURNS_AT_ONCE: u32 = 20;

/// The pause between two additions to the load.
const TICK: Duration = Duration::from_millis(100);

/// How often the log shows the progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// How long the last runtime may take to finish all rows.
const SETTLE_LIMIT: Duration = Duration::from_mins(3);

/// The default duration of the kills, in seconds.
pub const SECONDS: u64 = 90;

/// The command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chaos {
    /// `--seconds`: how long the runtime is killed again and again.
    pub seconds: u64,
    /// `--seed`: repeats the moments of an earlier run.
    pub seed: Option<u64>,
    /// `--fault`: damages one record on purpose, to see that the count notices it.
    pub fault: Option<Fault>,
    /// `--json`.
    pub json: bool,
}

/// A record that is damaged on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A row without an answer.
    Loss,
    /// An answer that is posted twice.
    Post,
    /// A document that is created twice.
    Effect,
}

impl Fault {
    /// All faults with their names.
    pub const ALL: [(&str, Self); 3] = [("loss", Self::Loss), ("post", Self::Post), ("effect", Self::Effect)];
}

/// Runs the kills, and prints the count. The exit code is 1 unless every effect happened exactly once.
pub(super) fn run(wanted: &Chaos) -> Exit {
    let report = match survive(wanted) {
        Ok(report) => report,
        Err(why) => return complain(&why),
    };
    let printed = print(&if wanted.json { report.json() } else { report.table() });
    if report.is_exact() { printed } else { Exit::Failed }
}

/// What kills, load and count share.
struct Run {
    setting: Setting,
    signals: Receiver<()>,
    load: LoadDriver,
    kills: u64,
    /// The times that a runtime ended although it was not killed.
    unexpected: Vec<String>,
}

fn survive(wanted: &Chaos) -> Result<ChaosReport, String> {
    let seed = wanted.seed.unwrap_or_else(|| u64::from_le_bytes(random::bytes()) % 1_000_000_000);
    let data = open_in_memory(LISTEN, Seed::Nothing, OPTION)?;
    let mut access = GatewayAccess::scripted();
    start_log(LevelFilter::Info, &data, &access);
    let signals = embedded::signals()?;
    let board = Board::start(data, LISTEN, OPTION, BoardAccess::default(), || ())?;
    let load = LoadDriver::new(&board)?;
    let gateway = ScriptedServer::start(&mut access, load.slugs(), Arc::new(Load { turn: TURN }))?;
    let mut setting = Setting::new(&board, &access, 0)?;
    setting.set("DELIVERY_MAX_CONCURRENT_SESSIONS", TURNS_AT_ONCE.to_string());
    info!(seconds = wanted.seconds, seed; "Chaos started: the runtime is killed and restarted repeatedly");
    let mut run = Run { setting, signals, load, kills: 0, unexpected: Vec::new() };
    let began = Instant::now();
    let killed = run.kill_until(began + Duration::from_secs(wanted.seconds), seed);
    let seconds = began.elapsed().as_secs();
    let done = killed.and_then(|()| run.settle());
    if let (Ok(()), Some(fault)) = (&done, wanted.fault) {
        run.load.damage(fault)?;
    }
    let tally = run.count(&gateway);
    let turns = gateway.observations().runs();
    gateway.stop();
    board.stop();
    done?;
    let Run { setting, kills, unexpected, .. } = run;
    let report = ChaosReport { seconds, seed, kills, turns, tally: tally?, unexpected, kept: None };
    let kept = if report.is_exact() { None } else { Some(setting.keep()?) };
    Ok(ChaosReport { kept, ..report })
}

impl Run {
    /// Starts runtimes and kills them until this moment, or until a signal.
    fn kill_until(&mut self, end: Instant, seed: u64) -> Result<(), String> {
        let began = Instant::now();
        let mut progress = began + PROGRESS_INTERVAL;
        while Instant::now() < end {
            let runtime = self.start()?;
            let (shortest, longest) = LIFE_MS;
            let life = derived::number(&[&seed.to_string(), &self.kills.to_string()]) % (longest - shortest);
            let killed_at = (Instant::now() + Duration::from_millis(shortest + life)).min(end);
            while Instant::now() < killed_at {
                self.load.top_up()?;
                if progress <= Instant::now() {
                    progress += PROGRESS_INTERVAL;
                    let (made, open) = (self.load.made(), self.load.open()?);
                    let seconds = began.elapsed().as_secs();
                    info!(seconds, kills = self.kills, rows = made, open; "Chaos goes on");
                }
                let pause = TICK.min(killed_at.saturating_duration_since(Instant::now()));
                if self.signals.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    warn!("Chaos ends early because of a signal");
                    return Ok(());
                }
            }
            self.kills += 1;
            self.end(runtime);
        }
        Ok(())
    }

    /// Lets a last runtime finish all rows, and stops it.
    fn settle(&mut self) -> Result<(), String> {
        let runtime = self.start()?;
        info!(kills = self.kills; "The last runtime finishes the open rows");
        let until = Instant::now() + SETTLE_LIMIT;
        while self.load.open()? > 0 {
            if Instant::now() > until {
                error!(seconds = SETTLE_LIMIT.as_secs(); "Rows are still open; they count as lost");
                break;
            }
            if self.signals.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout) {
                return Err("stopped by a signal before the count".to_owned());
            }
        }
        runtime.stop();
        Ok(())
    }

    fn start(&self) -> Result<Runtime, String> {
        let failed = |why: std::io::Error| format!("the demo's runtime cannot be started: {why}");
        Runtime::start(&self.setting, self.log().map_err(failed)?).map_err(failed)
    }

    /// The log of all runtimes, in the demo's folder.
    fn log(&self) -> std::io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.setting.log_file())
    }

    /// Kills a runtime and notes whether it had ended before.
    fn end(&mut self, runtime: Runtime) {
        let status = runtime.kill();
        if !status.contains("signal: 9") {
            warn!(status:%; "The runtime ended by itself");
            self.unexpected.push(status);
        }
    }

    fn count(&self, gateway: &ScriptedServer) -> Result<Tally, String> {
        let [notifications, messages, documents] =
            ["notifications", "messages", "documents"].map(|table| self.load.records(table));
        let records = Records {
            notifications: &notifications?,
            messages: &messages?,
            documents: &documents?,
            markers: &gateway.observations().markers(),
            agents: &self.load.agents(),
        };
        Ok(records.tally())
    }
}
