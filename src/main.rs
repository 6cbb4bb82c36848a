//! The program: read the command line, do what it says, leave with an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mission_control_runtime::cli::main(std::env::args_os()).into()
}
