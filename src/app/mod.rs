//! The commands, one file each. They wire all crates together, and no other module imports this one.

mod agent_state;
mod bootstrap;
mod budget;
mod build_facts;
#[cfg(feature = "demo")]
mod child_runtime;
mod color;
mod command_env;
#[cfg(feature = "mission-control")]
mod control_plane;
mod dead;
mod delivery_report;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "demo")]
mod demo_pool;
mod doctor;
#[cfg(feature = "mission-control")]
mod embedded;
mod evidence;
mod exit;
#[cfg(feature = "mission-control")]
mod fleet;
#[cfg(feature = "provision")]
mod fly_cleanup;
mod gateway_config;
pub mod load;
#[cfg(feature = "mission-control")]
mod local;
#[cfg(all(feature = "mission-control", feature = "provision"))]
mod machines;
#[cfg(feature = "mission-control")]
mod nudge;
mod overview;
mod pause;
#[cfg(feature = "mission-control")]
mod pool_telegram;
#[cfg(feature = "provision")]
mod provision;
#[cfg(feature = "demo")]
pub mod rehearse;
mod run;
#[cfg(feature = "mission-control")]
mod runtime_env;
mod service_client;
mod skills;
mod state_dir;
mod status;
mod why;

use std::io::{ErrorKind, Write as _};

pub use agent_state::{SnapshotCommand, SnapshotWanted, snapshot};
pub use bootstrap::{Bootstrap, bootstrap};
pub use budget::{BudgetRequest, budget};
pub use build_facts::{BuildFacts, version, version_json};
#[cfg(feature = "mission-control")]
pub use control_plane::{ControlPlaneOptions, MachineRelease};
pub use dead::{Dead, dead};
#[cfg(feature = "demo")]
pub use demo::{Chaos, Demo, Fault, PORT, Play, RealGateway, SECONDS, demo};
#[cfg(feature = "demo")]
pub use demo_pool::{DemoPool, demo_pool};
pub use doctor::{ConfigurationOptions, Doctor, doctor};
pub use evidence::evidence;
pub use exit::Exit;
#[cfg(feature = "mission-control")]
pub use fleet::{Fleet, FleetRequest, fleet};
#[cfg(feature = "provision")]
pub use fly_cleanup::{FlyCleanup, fly_cleanup};
pub use gateway_config::{GatewayConfig, gateway_config};
pub use load::is_configured;
#[cfg(feature = "mission-control")]
pub use local::{DATA, LISTEN, Local, local};
pub use pause::{Pause, pause};
#[cfg(feature = "provision")]
pub use provision::{Provision, ProvisionTask, provision};
pub use run::{run, worker};
pub use service_client::ServiceLocation;
pub use skills::{Skills, skills};
pub use status::status;
pub use why::why;

use serde_json::json;

use color::StateColumn;

use mcr_model::visible;

/// Prints a text or one JSON object to standard output. Foreign characters in it are escaped, so that they
/// cannot forge output. A reader that closed early (`… | head`) is no failure.
pub fn print(text: &str) -> Exit {
    write(&if text.starts_with('{') { visible::json(text) } else { visible::lines(text) })
}

/// Prints a text as [`print()`] does, with its state words in colour on a terminal.
fn print_states(text: &str, column: StateColumn) -> Exit {
    let shown = visible::lines(text);
    write(&if color::is_wanted() { color::paint(&shown, column) } else { shown })
}

fn write(shown: &str) -> Exit {
    match std::io::stdout().lock().write_all(shown.as_bytes()) {
        Ok(()) => Exit::Done,
        Err(why) if why.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Err(_) => Exit::Failed,
    }
}

/// Reports a failure: the first line says what failed, the others explain. With `as_json`, the report is an object on
/// standard output, as every JSON answer is.
fn fail(as_json: bool, exit: Exit, lines: &[String]) -> Exit {
    if !as_json {
        complain(&lines.join("\n"));
        return exit;
    }
    let (error, details) = lines.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    print(&format!("{:#}\n", json!({"success": false, "error": error, "details": details})));
    exit
}

/// Reports a failure on standard error.
fn complain(why: &str) -> Exit {
    // If standard error is closed as well, the exit code is all that remains.
    let _ = writeln!(std::io::stderr(), "{}", visible::lines(why));
    Exit::Failed
}

/// Reports an invalid command line, as every failure of a command is reported.
pub fn misused(as_json: bool, why: &str) -> Exit {
    fail(as_json, Exit::Misused, &[why.to_owned()])
}
