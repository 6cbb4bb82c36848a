//! The command line: what was typed, as a [`Command`]; everything else happens in [`crate::app`].

mod features;
mod help;
#[cfg(feature = "mission-control")]
mod local;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use self::features::BUILT_IN;
#[cfg(feature = "mission-control")]
use crate::app::Local;
use crate::app::{self, Dead, Exit, Pause};
use mcr_model::redact::Redactor;

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The service.
    Run {
        /// `--env-file`.
        env_file: Option<PathBuf>,
    },
    /// What is wrong, and how to fix it.
    Doctor {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--all`.
        all: bool,
        /// `--json`.
        json: bool,
        /// `--live`.
        live: bool,
    },
    /// What the running service says of itself.
    Status {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--json`.
        json: bool,
        /// `--ready`.
        ready: bool,
    },
    /// What happened to a notification, a task or an agent, and why.
    Why {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// Which.
        id: String,
        /// `--json`.
        json: bool,
    },
    /// What gave up, and the way out.
    Dead {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// What is asked.
        what: Dead,
        /// `--json`.
        json: bool,
    },
    /// No new turns, or new turns again.
    Pause {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// Whose.
        wanted: Pause,
    },
    /// Everything on this machine, with a scripted team.
    #[cfg(feature = "demo")]
    Demo {
        /// `--port`.
        port: u16,
    },
    /// The embedded Mission Control.
    #[cfg(feature = "mission-control")]
    Local(Local),
    /// Which build this is.
    Version,
    /// What can be asked: everything, or of one command.
    Help {
        /// Which.
        of: Option<String>,
    },
}

/// A command line that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pause = if self.0.ends_with('?') { " " } else { "; " };
        write!(f, "{}{pause}`mission-control-runtime --help` lists what there is", self.0)
    }
}

/// Runs the program; `commit` is the one it was built from.
pub fn main(args: impl IntoIterator<Item = OsString>, commit: Option<&str>) -> Exit {
    match parse(args) {
        Ok(Command::Run { env_file }) => app::run(env_file.as_deref()),
        Ok(Command::Doctor { env_file, all, json, live }) => {
            app::doctor(env_file.as_deref(), app::Doctor { all, json, live })
        }
        Ok(Command::Status { env_file, json, ready }) => app::status(env_file.as_deref(), json, ready),
        Ok(Command::Why { env_file, id, json }) => app::why(env_file.as_deref(), &id, json),
        Ok(Command::Dead { env_file, what, json }) => app::dead(env_file.as_deref(), &what, json),
        Ok(Command::Pause { env_file, wanted }) => app::pause(env_file.as_deref(), &wanted),
        #[cfg(feature = "demo")]
        Ok(Command::Demo { port }) => app::demo(port),
        #[cfg(feature = "mission-control")]
        Ok(Command::Local(what)) => app::local(&what),
        Ok(Command::Version) => app::print(&app::version(commit)),
        Ok(Command::Help { of }) => app::print(&help::text(of.as_deref(), BUILT_IN)),
        Err(misuse) => app::misused(&misuse.to_string()),
    }
}

/// Everything that can stand behind a command; each command takes what is its own, and the rest must be empty.
#[derive(Debug, Default)]
struct Given {
    words: VecDeque<String>,
    values: Vec<(&'static str, OsString)>,
    flags: Vec<&'static str>,
}

/// Options with a value, and without one.
const VALUES: [&str; 7] = ["--env-file", "--port", "--listen", "--data", "--seed", "--notify", "--agent"];
const FLAGS: [&str; 6] = ["--all", "--json", "--redact", "--original", "--live", "--ready"];

impl Given {
    fn value(&mut self, option: &str) -> Option<OsString> {
        let at = self.values.iter().rposition(|(name, _)| *name == option)?;
        let (_, value) = self.values.remove(at);
        self.values.retain(|(name, _)| *name != option);
        Some(value)
    }

    fn flag(&mut self, option: &str) -> bool {
        let before = self.flags.len();
        self.flags.retain(|name| *name != option);
        self.flags.len() < before
    }
}

/// Reads the command line; the first argument is the program's own name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Misuse> {
    let mut parser = Parser::from_iter(args);
    let mut given = Given::default();
    while let Some(arg) = parser.next().map_err(misuse)? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => {
                return match given.words.pop_front() {
                    Some(word) if help::lacks(BUILT_IN, &word).is_some() => Err(no_command(&word)),
                    of => Ok(Command::Help { of }),
                };
            }
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Value(word) => given.words.push_back(word.string().map_err(misuse)?),
            Arg::Short(letter) => return Err(unknown("option", &format!("-{letter}"), &[])),
            Arg::Long(name) => {
                let name = format!("--{name}");
                if let Some(option) = FLAGS.into_iter().find(|option| *option == name) {
                    given.flags.push(option);
                } else if let Some(option) = VALUES.into_iter().find(|option| *option == name) {
                    let value = parser.value().ok().filter(|value| !value.is_empty());
                    given
                        .values
                        .push((option, value.ok_or_else(|| Misuse(format!("{option} needs a value")))?));
                } else {
                    return Err(unknown("option", &name, &[&VALUES[..], &FLAGS[..]].concat()));
                }
            }
        }
    }
    let command = command(&mut given)?;
    if let Some(word) = given.words.pop_front() {
        return Err(unknown("argument", &word, &[]));
    }
    match given.values.iter().map(|(option, _)| option).chain(&given.flags).next() {
        Some(option) => Err(Misuse(format!("{option} does not go with this command"))),
        None => Ok(command),
    }
}

fn command(given: &mut Given) -> Result<Command, Misuse> {
    let word = given.words.pop_front();
    Ok(match word.as_deref().unwrap_or("run") {
        "run" => Command::Run { env_file: given.value("--env-file").map(Into::into) },
        "doctor" => Command::Doctor {
            env_file: given.value("--env-file").map(Into::into),
            all: given.flag("--all"),
            json: given.flag("--json"),
            live: given.flag("--live"),
        },
        "status" => Command::Status {
            env_file: given.value("--env-file").map(Into::into),
            json: given.flag("--json"),
            ready: given.flag("--ready"),
        },
        "why" => Command::Why {
            id: given.words.pop_front().ok_or_else(|| {
                Misuse("`why` needs an id: of a notification, a task or an agent, or a slug".to_owned())
            })?,
            env_file: given.value("--env-file").map(Into::into),
            json: given.flag("--json"),
        },
        "dead" => Command::Dead {
            what: dead(given)?,
            env_file: given.value("--env-file").map(Into::into),
            json: given.flag("--json"),
        },
        "pause" | "resume" => Command::Pause {
            env_file: given.value("--env-file").map(Into::into),
            wanted: Pause {
                pause: word.as_deref() == Some("pause"),
                agent: given.value("--agent").map(|agent| agent.to_string_lossy().into_owned()),
            },
        },
        #[cfg(feature = "demo")]
        "demo" => Command::Demo { port: port(given)? },
        #[cfg(feature = "mission-control")]
        "local" => Command::Local(local::read(given)?),
        "version" => Command::Version,
        "help" => Command::Help { of: asked_about(given)? },
        other => return Err(no_command(other)),
    })
}

fn dead(given: &mut Given) -> Result<Dead, Misuse> {
    const VERBS: [&str; 4] = ["list", "show", "retry", "drop"];
    let verb = given.words.pop_front().unwrap_or_else(|| "list".to_owned());
    if verb == "list" {
        return Ok(Dead::List);
    }
    if !VERBS.contains(&verb.as_str()) {
        return Err(unknown("command `dead` with", &verb, &VERBS));
    }
    let id = given
        .words
        .pop_front()
        .ok_or_else(|| Misuse(format!("`dead {verb}` needs the id of a notification")))?;
    Ok(match verb.as_str() {
        "show" => Dead::Show(id),
        "retry" => Dead::Retry(id),
        _ => Dead::Drop(id),
    })
}

#[cfg(feature = "demo")]
fn port(given: &mut Given) -> Result<u16, Misuse> {
    let Some(port) = given.value("--port") else { return Ok(app::PORT) };
    let port = port.to_string_lossy();
    port.parse().map_err(|_| Misuse(format!("--port `{}`: expected a number from 0 to 65535", tame(&port))))
}

/// The command that `help` is asked about, if any; what stands behind it (`help dead retry`) tells no more.
fn asked_about(given: &mut Given) -> Result<Option<String>, Misuse> {
    let of = given.words.pop_front();
    given.words.clear();
    match of {
        Some(word) if !help::names(BUILT_IN).any(|name| name == word) => Err(no_command(&word)),
        of => Ok(of),
    }
}

fn no_command(typed: &str) -> Misuse {
    match help::lacks(BUILT_IN, typed) {
        Some(feature) => Misuse(features::lacking(typed, feature)),
        None => unknown("command", typed, &help::names(BUILT_IN).collect::<Vec<_>>()),
    }
}

/// Something that is not there, and what may have been meant: a word with the same letters but for a slip or two.
fn unknown(what: &str, typed: &str, known: &[&str]) -> Misuse {
    let near = known.iter().find(|known| {
        let shared = known.chars().filter(|c| typed.contains(*c)).count();
        shared + 2 > known.len() && typed.len().abs_diff(known.len()) <= 1
    });
    let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Misuse(format!("there is no {what} `{}`{meant}", tame(typed)))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn misuse(why: lexopt::Error) -> Misuse {
    Misuse(tame(&why.to_string()))
}

/// A terminal must not be painted by what was typed, nor a token repeated that was typed in the wrong place.
fn tame(text: &str) -> String {
    Redactor::default().clean(text).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> String {
        let command = parse(["program"].into_iter().chain(line.split_whitespace()).map(Into::into));
        command.map_or_else(|misuse| misuse.to_string(), |_| String::new())
    }

    #[test]
    fn every_command_that_help_lists_exists() {
        for name in help::names(BUILT_IN) {
            assert!(!answer(name).contains("no command"), "{name}");
        }
    }

    /// `make test` runs this in the full build and in the one without features.
    #[test]
    fn a_command_that_this_build_lacks_is_refused_with_the_remedy() {
        let commands = [("demo", cfg!(feature = "demo")), ("local", cfg!(feature = "mission-control"))];
        for (name, built_in) in commands {
            for line in [name.to_owned(), format!("{name} --help"), format!("help {name}")] {
                assert_eq!(answer(&line).contains("without the Cargo feature"), !built_in, "{line}");
            }
        }
        let lacks_demo = answer("demo --port 0").contains("cargo build --release --features demo");
        assert_eq!(lacks_demo, !cfg!(feature = "demo"));
    }
}
