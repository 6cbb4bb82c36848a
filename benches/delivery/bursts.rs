//! Bursts: many rows at once, delivered by the program and by the bare loop in turn, and compared with the ideal
//! schedule.

use std::fs;
use std::thread;
use std::time::Duration;

use super::Options;
use super::observations::{Kind, Load, Observations, Pace, ratio};
use super::process::{Bare, Behind, Carrier, Runtime, Setting};
use super::table::{Table, Target, share_of};

pub(crate) const TRACKS: usize = 50;
pub(crate) const WORKERS: usize = 50;
/// Work after the last mark belongs to the burst, too.
const AFTERMATH: Duration = Duration::from_millis(150);
/// The bytes of a turn's request until a real one was measured.
const TURN_BYTES: usize = 12 * 1024;

/// The figures of one burst.
pub(crate) struct Burst {
    pub(crate) observations: Observations,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// Milliseconds of processor time for each delivery.
    pub(crate) cpu: f64,
    /// The processor time of the doubles, which share the machine.
    pub(crate) doubles: f64,
}

/// Has this many rows delivered. `Err` says how many were delivered.
pub(crate) fn burst(carrier: &mut dyn Carrier, load: Load, patience: Duration) -> Result<Burst, String> {
    carrier.behind().reset();
    let clocks = |carrier: &dyn Carrier| [carrier.process().cpu(), carrier.behind().process.cpu()];
    let before = clocks(carrier);
    carrier.behind().load(load);
    carrier.go(load.count);
    let delivered = carrier.behind().delivered(load.count, patience);
    if delivered < load.count {
        let (name, words) = (carrier.name(), carrier.last_words());
        return Err(format!(
            "the {name} settled {delivered} of {} rows in {patience:?}; its last words:\n{words}",
            load.count
        ));
    }
    thread::sleep(AFTERMATH);
    let after = clocks(carrier);
    let observations = carrier.behind().observations();
    let (seconds, rows) = (observations.elapsed(), ratio(load.count, 1));
    let [cpu, doubles] =
        [0, 1].map(|at: usize| after[at].saturating_sub(before[at]).as_secs_f64() * 1e3 / rows);
    Ok(Burst { seconds, per_second: rows / seconds, cpu, doubles, observations })
}

/// The bursts of one pace, by both carriers in turn.
#[derive(Default)]
struct Pair {
    ours: Vec<Burst>,
    bare: Vec<Burst>,
}

impl Pair {
    fn figures(bursts: &[Burst], of: impl Fn(&Burst) -> f64) -> Vec<f64> {
        bursts.iter().map(of).collect()
    }

    /// Each run of the program relative to the bare loop's median.
    fn ratios(&self, of: impl Fn(&Burst) -> f64) -> Vec<f64> {
        let bare = share_of(Self::figures(&self.bare, &of), 0.5);
        Self::figures(&self.ours, of).into_iter().map(|figure| figure / bare).collect()
    }
}

/// Reports irregularities of a burst.
pub(crate) fn complain(table: &mut Table, name: &str, observations: &Observations) {
    for what in observations.complaints() {
        table.note(format!("{name}: {what}"));
    }
}

/// If the program does not deliver, only the bare loop has figures.
pub(crate) fn measure(
    table: &mut Table,
    behind: &Behind,
    beside: &Behind,
    mut delivers: bool,
    options: &Options,
) {
    let state = options.folder();
    let setting =
        Setting { workers: Some(WORKERS), list_limit: Some(options.list_limit), ..Setting::default() };
    let mut runtime = Runtime::start(behind, state.path(), setting);
    // Opens connections and warms up.
    let mut turn_bytes = TURN_BYTES;
    behind.pace(Pace::default());
    if delivers {
        match burst(&mut runtime, Load::mentions(4 * TRACKS, TRACKS), options.patience) {
            Ok(warm) => turn_bytes = warm.observations.turn_bytes / warm.observations.turns.max(1),
            Err(why) => {
                delivers = false;
                table.note(why);
            }
        }
        if runtime.nudged != 202 {
            let status = runtime.nudged;
            table.note(format!("POST /nudge was answered with {status} (0: not at all), not with 202"));
        }
    }
    println!("  (a turn's request has {turn_bytes} bytes)");
    let mut bare = Bare::start(beside, WORKERS, turn_bytes);
    beside.pace(Pace::default());
    if let Err(why) = burst(&mut bare, Load::mentions(4 * TRACKS, TRACKS), options.patience) {
        return table.note(why);
    }
    for millis in [0, 50, 500] {
        let pace = Pace { millis, slow: None };
        behind.pace(pace);
        beside.pace(pace);
        let load = Load::mentions(options.rows, TRACKS);
        let ideal = ratio(options.rows.div_ceil(TRACKS), 1) * Duration::from_millis(millis).as_secs_f64();
        let patience = options.patience + Duration::from_secs_f64(3.0 * ideal);
        let mut pair = Pair::default();
        for _ in 0..options.runs {
            if delivers {
                match burst(&mut runtime, load, patience) {
                    Ok(burst) => {
                        complain(table, &format!("burst, gateway {millis} ms"), &burst.observations);
                        pair.ours.push(burst);
                    }
                    Err(why) => {
                        delivers = false;
                        table.note(why);
                    }
                }
            }
            match burst(&mut bare, load, patience) {
                Ok(burst) => {
                    complain(table, "bare loop", &burst.observations);
                    pair.bare.push(burst);
                }
                Err(why) => table.note(why),
            }
        }
        report(table, &pair, millis, ideal, options);
    }
    if delivers {
        calls(table, &mut runtime, options);
        if fs::read_dir(state.path()).unwrap().next().is_none() {
            table.note(
                "the program keeps nothing on the disk, so these figures hold no wait for it".to_owned(),
            );
        }
    }
}

fn report(table: &mut Table, pair: &Pair, millis: u64, ideal: f64, options: &Options) {
    let at = format!("burst, gateway {millis} ms");
    if millis == 0 {
        let rates = Pair::figures(&pair.ours, |burst| burst.per_second);
        table.add(
            &format!("{at}: deliveries a second"),
            "/s",
            rates,
            Target::AtLeast(options.goal(2000.0, 1300.0)),
        );
        table.add(
            &format!("{at}: the same / bare loop"),
            "",
            pair.ratios(|b| b.per_second),
            Target::AtLeast(0.6),
        );
        let bare = Pair::figures(&pair.bare, |burst| burst.per_second);
        table.add(&format!("{at}: bare loop"), "/s", bare, Target::None);
    } else {
        let (most, beside) = match millis {
            50 => (1.15, Target::AtMost(1.10)),
            _ => (1.02, Target::None),
        };
        let of_ideal = |bursts: &[Burst]| Pair::figures(bursts, |burst| burst.seconds / ideal);
        table.add(&format!("{at}: elapsed / ideal"), "", of_ideal(&pair.ours), Target::AtMost(most));
        table.add(&format!("{at}: elapsed / bare loop"), "", pair.ratios(|burst| burst.seconds), beside);
        table.add(&format!("{at}: bare loop / ideal"), "", of_ideal(&pair.bare), Target::None);
    }
    if millis < 500 {
        let cpu = Pair::figures(&pair.ours, |burst| burst.cpu);
        table.add(
            &format!("{at}: processor per delivery"),
            "ms",
            cpu,
            Target::AtMost(options.goal(0.6, 0.8)),
        );
        table.add(&format!("{at}: the same / bare loop"), "", pair.ratios(|b| b.cpu), Target::AtMost(2.2));
        let bare = Pair::figures(&pair.bare, |burst| burst.cpu);
        table.add(&format!("{at}: bare loop's processor"), "ms", bare, Target::None);
        let doubles = Pair::figures(&pair.bare, |burst| burst.doubles);
        table.add(&format!("{at}: the doubles' beside it"), "ms", doubles, Target::None);
    }
    if millis == 50 {
        let calls = Pair::figures(&pair.ours, |burst| burst.observations.calls_per_delivery());
        table.add("backend calls, a mention", "", calls, Target::AtMost(4.1));
    }
}

/// The backend calls of notifications other than mentions.
fn calls(table: &mut Table, runtime: &mut Runtime<'_>, options: &Options) {
    runtime.behind().pace(Pace { millis: 50, slow: None });
    for (kind, name) in [
        (Kind::Assignment, "backend calls, an assignment"),
        (Kind::ThreadUpdate, "backend calls, a thread_update"),
    ] {
        let load = Load { kind, ..Load::mentions(options.rows / 2, TRACKS) };
        match burst(runtime, load, options.patience) {
            Ok(burst) => {
                complain(table, name, &burst.observations);
                table.add(name, "", vec![burst.observations.calls_per_delivery()], Target::AtMost(5.1));
            }
            Err(why) => table.missing(name, Target::AtMost(5.1), &why),
        }
    }
}
