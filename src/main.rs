//! The program: read the command line, do what it says, leave with an exit code.

use std::process::ExitCode;

/// The commit that this program was built from. It is read here and nowhere below, because a new commit compiles the
/// crate that reads it anew.
const COMMIT: Option<&str> = option_env!("MCR_COMMIT");

fn main() -> ExitCode {
    mission_control_runtime::cli::main(std::env::args_os(), COMMIT).into()
}
