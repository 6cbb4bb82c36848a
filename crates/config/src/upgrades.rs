//! The reaction to requests for a restart or an upgrade.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::table::{
    UPGRADE_COMMAND, UPGRADE_COMMAND_TIMEOUT, UPGRADE_CONFIRM_MS, UPGRADE_MODE, UPGRADE_RESULT_FILE,
};
use super::value::{self, Problem};

/// The reaction to requests for a restart or an upgrade.
#[derive(Clone, Debug)]
pub struct Upgrades {
    /// Whether requests are read and carried out.
    pub acts: bool,
    /// The program that installs another version, and its first arguments.
    pub command: Option<Vec<String>>,
    /// How long the program may run.
    pub command_timeout: Duration,
    /// How long a new version must work, and how long it may fail to.
    pub confirm: Duration,
    /// The file in which an installer leaves its result.
    pub result_file: Option<PathBuf>,
}

pub(super) fn read(reader: &mut Reader) -> Upgrades {
    Upgrades {
        acts: reader.text(&UPGRADE_MODE) != "none",
        command: reader.parsed(&UPGRADE_COMMAND, command),
        command_timeout: reader.millis(&UPGRADE_COMMAND_TIMEOUT),
        confirm: reader.millis(&UPGRADE_CONFIRM_MS),
        result_file: reader.given_text(&UPGRADE_RESULT_FILE).map(PathBuf::from),
    }
}

/// The words of a command. An installer is named by its path, and signs of a shell show a misunderstanding.
fn command(text: &str) -> Result<Vec<String>, Problem> {
    let command = value::command(text)?;
    let is_plain = !text.contains(['`', '$', ';', '|', '&', '<', '>']);
    if is_plain && command.program.starts_with('/') {
        return Ok([command.program].into_iter().chain(command.arguments).collect());
    }
    Err(value::expected(
        "the absolute path of a program, and its arguments separated by blanks; no shell reads them",
    ))
}
