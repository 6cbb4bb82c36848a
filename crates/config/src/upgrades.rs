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

/// The most characters of a command.
const COMMAND_CHARS_MAX: usize = 4_000;

/// The words of a command. Without a shell, quotes would become a part of a word.
fn command(text: &str) -> Result<Vec<String>, Problem> {
    value::line(text, COMMAND_CHARS_MAX)?;
    let words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
    let is_plain = !text.contains(['"', '\'', '`', '$', ';', '|', '&', '<', '>']);
    if is_plain && words.first().is_some_and(|program| program.starts_with('/')) {
        return Ok(words);
    }
    Err(value::expected(
        "the absolute path of a program, and its arguments separated by blanks; no shell reads them",
    ))
}
