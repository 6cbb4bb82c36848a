//! The program: parses the command line, runs the command, and exits with its code.

use std::process::ExitCode;

/// The commit of this build. Only this crate reads it, because a new commit recompiles the crate that does.
const COMMIT: Option<&str> = option_env!("MCR_COMMIT");

fn main() -> ExitCode {
    mission_control_runtime::cli::main(std::env::args_os(), COMMIT).into()
}
