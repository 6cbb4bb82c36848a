//! What polls cost and how soon they find a new row, without a nudge and without the wake query.

use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::bursts::{TRACKS, WORKERS, burst, complain};
use super::observations::{Load, Pace};
use super::process::{Behind, Carrier, Runtime, Setting};
use super::table::{Table, Target, share_of};
use super::waits::waits;

/// The pause between two rows, on average.
const ARRIVALS: Duration = Duration::from_millis(200);

/// The rows that are not counted: the polls follow the first ones.
const FIRST_ROWS: usize = 5;

/// Settings of the measurements, by name.
pub(crate) fn settings(options: &Options) -> [(&'static str, Setting); 2] {
    let tuned =
        Setting { workers: Some(WORKERS), list_limit: Some(options.list_limit), ..Setting::default() };
    [("defaults", Setting::default()), ("tuned", tuned)]
}

/// The bytes of all lists of a burst.
pub(crate) fn bytes(table: &mut Table, behind: &Behind, options: &Options) {
    behind.pace(Pace { millis: 50, slow: None });
    for (of, setting) in settings(options) {
        let name = format!("burst, gateway 50 ms, {of}: bytes of lists");
        let (mut bytes, mut lists) = (Vec::new(), Vec::new());
        for _ in 0..options.runs {
            let state = options.folder();
            let mut runtime = Runtime::start(behind, state.path(), setting);
            if let Err(why) = burst(&mut runtime, Load::mentions(1, 1), options.patience) {
                return table.missing(&name, Target::AtMost(1.0), &why);
            }
            match burst(&mut runtime, Load::mentions(options.rows, TRACKS), 2 * options.patience) {
                Ok(burst) => {
                    complain(table, &name, &burst.observations);
                    bytes.push(megabytes(burst.observations.list_bytes));
                    lists.push(f64::from(burst.observations.lists()));
                }
                Err(why) => return table.missing(&name, Target::AtMost(1.0), &why),
            }
        }
        table.add(&name, "MB", bytes, Target::AtMost(1.0));
        table.add(&format!("burst, gateway 50 ms, {of}: lists"), "", lists, Target::None);
    }
}

#[allow(clippy::cast_precision_loss, reason = "a burst lists far less than 2^53 bytes")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// Five rows a second.
pub(crate) fn traffic(table: &mut Table, behind: &Behind, options: &Options) {
    behind.pace(Pace { millis: 50, slow: None });
    for (of, setting) in settings(options) {
        let name = format!("5 rows a second, {of}: row to turn, p50");
        let (mut middle, mut late, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..options.runs {
            let state = options.folder();
            let mut runtime = Runtime::start(behind, state.path(), setting);
            // The program has ruled out another one.
            if let Err(why) = burst(&mut runtime, Load::mentions(1, 1), options.patience) {
                return table.missing(&name, Target::AtMost(150.0), &why);
            }
            behind.reset();
            let count = FIRST_ROWS + options.traffic;
            let began = Instant::now();
            for number in 0..count {
                behind.load(Load { first_task: number % TRACKS, ..Load::mentions(1, 1) });
                thread::sleep(arrival(number + 1).saturating_sub(began.elapsed()));
            }
            let came = behind.delivered(count, options.patience);
            if came < count {
                let why = format!("{came} of {count} rows were settled:\n{}", runtime.last_words());
                return table.missing(&name, Target::AtMost(150.0), &why);
            }
            let observations = behind.observations();
            complain(table, "5 rows a second", &observations);
            let to_turn = waits(&observations, |row| (row.created, row.turn)).split_off(FIRST_ROWS);
            middle.push(share_of(to_turn.clone(), 0.5));
            late.push(share_of(to_turn, 0.99));
            lists.push(f64::from(observations.lists()) / began.elapsed().as_secs_f64());
        }
        table.add(&name, "ms", middle, Target::AtMost(150.0));
        table.add(&format!("5 rows a second, {of}: the same, p99"), "ms", late, Target::AtMost(500.0));
        table.add(&format!("5 rows a second, {of}: lists a second"), "", lists, Target::None);
    }
}

/// When this row arrives. The pauses vary, so that they never keep step with the polls.
fn arrival(number: usize) -> Duration {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let part = (f64::from(number) * 0.618_034).fract();
    ARRIVALS * number + ARRIVALS.mul_f64(part)
}
