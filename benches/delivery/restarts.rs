//! Restarts: from a stop to the next turn, and a burst during which the program is killed four times.

use std::time::{Duration, Instant};

use mission_control_runtime::demo::gateway::{Options as GatewayOptions, Prompt, ScriptedGateway, Thought};
use mission_control_runtime::http::server::{Server, ServerLimits};

use super::Options;
use super::bursts::{TRACKS, burst, complain};
use super::observations::{Load, Pace, seconds};
use super::polling::settings;
use super::process::{Behind, Carrier, GATEWAY_TOKEN, Runtime};
use super::table::{Table, Target};
use super::world;

/// The longest that a program may take to stop.
const STOP: Duration = Duration::from_secs(10);

const KILLS: usize = 4;
const ROWS: usize = 200;

/// The duration of a turn while the program is killed.
const TURN: Duration = Duration::from_millis(200);

/// The time of a row that arrives while the program stops. The program starts again at once.
pub(crate) fn stop(table: &mut Table, behind: &Behind, options: &Options) {
    let target = Target::AtMost(500.0);
    behind.pace(Pace { millis: 50, slow: None });
    for (of, setting) in settings(options) {
        let name = format!("stop to the next turn, {of}");
        let mut waits = Vec::new();
        for _ in 0..options.runs {
            behind.reset();
            let state = options.folder();
            let mut runtime = Runtime::start(behind, state.path(), setting);
            behind.load(Load::mentions(TRACKS, TRACKS));
            runtime.go(TRACKS);
            let mut came = behind.delivered(TRACKS, options.patience);
            runtime.signal_stop();
            behind.load(Load::mentions(1, 1));
            if !runtime.ends_within(STOP) {
                return table.missing(&name, target, "the program does not stop");
            }
            let runtime = Runtime::start(behind, state.path(), setting);
            came = came.max(behind.delivered(TRACKS + 1, options.patience));
            let observations = behind.observations();
            complain(table, &name, &observations);
            match observations.rows.last() {
                Some(row) if came > TRACKS => {
                    waits.push(seconds(row.turn.saturating_sub(row.created)) * 1e3);
                }
                _ => return table.missing(&name, target, &format!("no turn:\n{}", runtime.last_words())),
            }
        }
        table.add(&name, "ms", waits, target);
    }
}

/// A burst. After each fifth of it the program is killed and starts again at once.
pub(crate) fn kills(table: &mut Table, options: &Options) {
    let target = Target::AtMost(10.0);
    for (of, setting) in settings(options) {
        let name = format!("{ROWS} rows, gateway {TURN:?}, {KILLS} kills, {of}: elapsed");
        let (mut elapsed, mut alone) = (Vec::new(), Vec::new());
        for run in 0..options.runs {
            // The double of the gateway keeps no history, which a program needs after a crash.
            let gateway = gateway();
            let mut behind = Behind::start(world::AGENTS);
            behind.gateway = gateway.local_addr().to_string();
            for (kills, figures) in [(KILLS, &mut elapsed), (0, &mut alone)] {
                match killed(&behind, options, setting, kills) {
                    Ok(took) => figures.push(took),
                    Err(why) => return table.missing(&name, target, &format!("run {run}: {why}")),
                }
            }
            let observations = behind.observations();
            for (what, count) in observations.odd {
                table.note(format!("{name}: {what}: {count}"));
            }
            gateway.stop(Duration::from_secs(1));
        }
        table.add(&name, "s", elapsed, target);
        table.add(&format!("the same without kills, {of}"), "s", alone, Target::None);
    }
}

fn killed(
    behind: &Behind,
    options: &Options,
    setting: super::process::Setting,
    kills: usize,
) -> Result<f64, String> {
    let state = options.folder();
    let mut runtime = Runtime::start(behind, state.path(), setting);
    // The program has ruled out another one.
    burst(&mut runtime, Load::mentions(1, 1), options.patience)?;
    behind.reset();
    let began = Instant::now();
    behind.load(Load::mentions(ROWS, TRACKS));
    for kill in 1..=kills {
        behind.delivered(kill * ROWS / (KILLS + 1), options.patience);
        // Dropping it kills it.
        drop(runtime);
        runtime = Runtime::start(behind, state.path(), setting);
    }
    let came = behind.delivered(ROWS, 2 * options.patience);
    if came < ROWS {
        return Err(format!(
            "{came} of {ROWS} rows were settled in {:?}:\n{}",
            began.elapsed(),
            runtime.last_words()
        ));
    }
    Ok(behind.observations().elapsed())
}

/// A gateway that keeps histories. All sessions give the same answer, in [`TURN`].
fn gateway() -> Server {
    let agents = (0..world::AGENTS).map(world::slug).collect();
    let options =
        GatewayOptions { agents, token: Some(GATEWAY_TOKEN.to_owned()), ..GatewayOptions::default() };
    let model = |_: &Prompt| Thought { delay: TURN, ..Thought::say(world::reply(0)) };
    let gateway = ScriptedGateway::new(options, std::sync::Arc::new(model));
    let limits = ServerLimits { connections: 700, ..ServerLimits::default() };
    Server::bind("127.0.0.1:0", limits, move |request| gateway.answer(&request)).unwrap()
}
