//! Deliveries: throughput, latency and cost, relative to the ideal schedule and to a bare loop that makes the same HTTP calls
//! (design, "Proof").
//!
//! The program under test is a child process, and its figures come from `/proc`. Backend and gateway are doubles in another
//! process, which also record the times; the bare loop is a third process. All of them share this machine, so the figures
//! are valid only if it is otherwise idle. The doubles and the bare loop are this program in another role.
//!
//! `cargo bench --bench delivery -- NAME…` measures only the named parts: size, start, health, idle, roster, workspaces,
//! bursts, single, wake, chain, memory, slow, lists, traffic, stop, kills. `BENCH_QUICK=1` takes a minute and gives rough figures. Each of these variables changes one value:
//! `BENCH_RUNS`, `BENCH_ROWS`, `BENCH_LIST_LIMIT`, `BENCH_TRAFFIC_ROWS`, `BENCH_IDLE_SECONDS`, `BENCH_SLOW_SECONDS`, `BENCH_PATIENCE_SECONDS`
//! and `BENCH_STATE` (a folder on the disk to measure). `BENCH_SLOW_DISK_MS` is added to each sync. `BENCH_PROGRAM` names
//! another build to measure, and `BENCH_MUSL=1` selects the targets of a static build with musl.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark prints figures and panics on errors"
)]

mod backend;
mod bare;
mod bursts;
mod doubles;
mod gateway;
mod idle_cost;
mod observations;
mod polling;
mod process;
mod restarts;
mod table;
mod waits;
mod wake;
mod workspaces;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use bursts::burst;
use observations::{Load, Pace};
use process::{Behind, Runtime, Setting};
use table::{Table, Target};

/// The durations and amounts of a benchmark.
pub(crate) struct Options {
    pub(crate) runs: usize,
    /// Rows of a burst.
    pub(crate) rows: usize,
    /// The list limit of the bursts. Unset, the program's default applies.
    pub(crate) list_limit: usize,
    pub(crate) idle: Duration,
    /// The duration of one run of `/health`.
    pub(crate) health: Duration,
    /// The number of rows in the part `single`.
    pub(crate) singles: usize,
    pub(crate) hops: usize,
    /// The number of rows in a run of the part `traffic`.
    pub(crate) traffic: usize,
    /// The duration of a turn of the slow session.
    pub(crate) slow: Duration,
    /// The timeout of every wait.
    pub(crate) patience: Duration,
    /// The folder for the programs' state.
    state: PathBuf,
    /// Whether the targets are those of a static build with musl.
    musl: bool,
    only: Vec<String>,
}

impl Options {
    fn read() -> Self {
        let named = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
        let quick = named("BENCH_QUICK").is_some_and(|quick| quick > 0);
        let or = |name: &str, usual: usize, short: usize| {
            named(name).unwrap_or(if quick { short } else { usual }).max(1)
        };
        let seconds = |name: &str, usual: usize, short: usize| {
            Duration::from_secs(or(name, usual, short).try_into().unwrap_or(u64::MAX))
        };
        Self {
            runs: or("BENCH_RUNS", 5, 1),
            rows: or("BENCH_ROWS", 1000, 1000),
            list_limit: or("BENCH_LIST_LIMIT", 200, 200).min(500),
            idle: seconds("BENCH_IDLE_SECONDS", 20, 5),
            health: Duration::from_millis(if quick { 500 } else { 2000 }),
            singles: if quick { 40 } else { 200 },
            hops: if quick { 20 } else { 100 },
            traffic: or("BENCH_TRAFFIC_ROWS", 100, 30),
            slow: seconds("BENCH_SLOW_SECONDS", 20, 2),
            patience: seconds("BENCH_PATIENCE_SECONDS", 30, 15),
            state: std::env::var_os("BENCH_STATE").map_or_else(std::env::temp_dir, Into::into),
            musl: named("BENCH_MUSL").is_some_and(|musl| musl > 0),
            // Cargo passes `--bench`.
            only: std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect(),
        }
    }

    fn wants(&self, name: &str) -> bool {
        let wanted = self.only.is_empty() || self.only.iter().any(|only| only == name);
        if wanted {
            println!("{name}");
        }
        wanted
    }

    /// The target of a build with glibc, or of one with musl.
    pub(crate) fn goal(&self, glibc: f64, musl: f64) -> f64 {
        if self.musl { musl } else { glibc }
    }

    /// A fresh folder for the state of a program.
    pub(crate) fn folder(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(&self.state).unwrap()
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("doubles") => doubles::serve(args.next().unwrap().parse().unwrap()),
        Some("bare") => bare::serve(&bare::Plan::from_args(args)),
        _ => measure(&Options::read()),
    }
}

/// Whether the program delivers at all. The other figures do not depend on it.
fn delivers(table: &mut Table, behind: &Behind, options: &Options) -> bool {
    behind.pace(Pace::default());
    let state = options.folder();
    let mut runtime = Runtime::start(behind, state.path(), Setting::default());
    let result = burst(&mut runtime, Load::mentions(1, 1), options.patience.min(Duration::from_secs(10)));
    if let Err(why) = &result {
        table.note(format!("it does not deliver, so much is not measured: {why}"));
    }
    result.is_ok()
}

/// Measures one part and adds its figures to the table.
type Measure = fn(&mut Table, &Behind, &Options);

fn measure(options: &Options) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{cores} cores; {} runs; bursts of {} rows over {} tracks, {} workers, lists of {} rows\n",
        options.runs,
        options.rows,
        bursts::TRACKS,
        bursts::WORKERS,
        options.list_limit
    );
    println!(
        "limits set: FOLD_MAX=1, and the defaults of PEOPLE_RESERVE and AGENT_TURNS_PER_MINUTE; people cause all rows, so \
         neither of these applies\n"
    );
    let mut table = Table::default();
    let behind = Behind::start(world::AGENTS);
    if options.wants("size") {
        idle_cost::size(&mut table);
    }
    if options.wants("start") {
        idle_cost::start(&mut table, &behind, options);
    }
    if options.wants("idle") {
        idle_cost::idle(&mut table, &behind, options);
    }
    if options.wants("roster") {
        idle_cost::roster(&mut table, options);
    }
    if options.wants("workspaces") {
        workspaces::measure(&mut table, options);
    }
    if options.wants("health") {
        idle_cost::health(&mut table, &behind, options);
    }
    let delivers = delivers(&mut table, &behind, options);
    if options.wants("health") && delivers {
        idle_cost::health_in_a_burst(&mut table, &behind, options);
    }
    if options.wants("bursts") {
        // Its own backend, so that the two do not share rows.
        let beside = Behind::start(world::AGENTS);
        bursts::measure(&mut table, &behind, &beside, delivers, options);
    }
    let waits: [(&str, Measure); 9] = [
        ("single", waits::one_by_one),
        ("wake", wake::measure),
        ("chain", waits::chain),
        ("memory", waits::held),
        ("slow", waits::beside_a_slow_one),
        ("lists", polling::bytes),
        ("traffic", polling::traffic),
        ("stop", restarts::stop),
        ("kills", |table, _, options| restarts::kills(table, options)),
    ];
    for (name, of) in waits {
        match (options.wants(name), delivers) {
            (true, true) => of(&mut table, &behind, options),
            (true, false) => table.gap(name, Target::None),
            (false, _) => {}
        }
    }
    table.print();
}
