//! Parses the command line into a [`Command`]. [`crate::app`] carries the commands out.

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
use crate::app::{self, Dead, Exit, GatewayConfig, Pause};
use mcr_model::redact::Redactor;

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Runs the service.
    Run {
        /// `--env-file`.
        env_file: Option<PathBuf>,
    },
    /// Reports what is wrong, and how to fix it.
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
    /// Shows the state of the running service.
    Status {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// `--json`.
        json: bool,
        /// `--ready`.
        ready: bool,
    },
    /// Explains what happened to a notification, a task or an agent, and why.
    Why {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// The id of the notification, task or agent, or an agent's slug.
        id: String,
        /// `--json`.
        json: bool,
    },
    /// Lists, shows, retries or drops the deliveries that were given up.
    Dead {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// The subcommand.
        what: Dead,
        /// `--json`.
        json: bool,
    },
    /// Pauses or resumes new turns.
    Pause {
        /// `--env-file`.
        env_file: Option<PathBuf>,
        /// Whether to pause or resume, and which agent.
        wanted: Pause,
    },
    /// Writes the configuration of the OpenClaw gateway.
    GatewayConfig(GatewayConfig),
    /// Runs Mission Control with a scripted team on this machine.
    #[cfg(feature = "demo")]
    Demo {
        /// `--port`.
        port: u16,
    },
    /// Runs the embedded Mission Control.
    #[cfg(feature = "mission-control")]
    Local(Local),
    /// Prints the version of this build.
    Version,
    /// Prints the help on everything, or on one command.
    Help {
        /// The command.
        of: Option<String>,
    },
}

/// An invalid command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse(String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pause = if self.0.ends_with('?') { " " } else { "; " };
        write!(f, "{}{pause}see `mission-control-runtime --help`", self.0)
    }
}

/// Runs the program. `commit` is the commit it was built from.
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
        Ok(Command::GatewayConfig(options)) => app::gateway_config(&options),
        #[cfg(feature = "demo")]
        Ok(Command::Demo { port }) => app::demo(port),
        #[cfg(feature = "mission-control")]
        Ok(Command::Local(what)) => app::local(&what),
        Ok(Command::Version) => app::print(&app::version(commit)),
        Ok(Command::Help { of }) => app::print(&help::text(of.as_deref(), BUILT_IN)),
        Err(misuse) => app::misused(&misuse.to_string()),
    }
}

/// All words, values and flags of the command line. Each command takes its own; any left over are an error.
#[derive(Debug, Default)]
struct Given {
    words: VecDeque<String>,
    values: Vec<(&'static str, OsString)>,
    flags: Vec<&'static str>,
}

/// Options with a value, and flags.
const VALUES: [&str; 12] = [
    "--env-file",
    "--port",
    "--listen",
    "--data",
    "--seed",
    "--notify",
    "--agent",
    "--template",
    "--existing",
    "--generated",
    "--out",
    "--release",
];
const FLAGS: [&str; 7] = ["--all", "--json", "--redact", "--original", "--live", "--ready", "--check"];

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

/// Parses the command line. The first argument is the program's name.
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
        Some(option) => Err(Misuse(format!("{option} is not an option of this command"))),
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
                Misuse(
                    "`why` needs the id of a notification, a task or an agent, or the slug of an agent"
                        .to_owned(),
                )
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
        "gateway-config" => Command::GatewayConfig(gateway_config(given)?),
        #[cfg(feature = "demo")]
        "demo" => Command::Demo { port: port(given)? },
        #[cfg(feature = "mission-control")]
        "local" => Command::Local(local::read(given)?),
        "version" => Command::Version,
        "help" => Command::Help { of: asked_about(given)? },
        other => return Err(no_command(other)),
    })
}

fn gateway_config(given: &mut Given) -> Result<GatewayConfig, Misuse> {
    let mut required = |option| {
        let path = given.value(option).map(PathBuf::from);
        path.ok_or_else(|| Misuse(format!("`gateway-config` needs {option} FILE")))
    };
    Ok(GatewayConfig {
        template: required("--template")?,
        out: required("--out")?,
        existing: given.value("--existing").map(Into::into),
        generated: given.value("--generated").map(Into::into),
        release: given.value("--release").map(|text| text.to_string_lossy().into_owned()),
        check: given.flag("--check"),
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

/// The command that `help` was given, if any. Further words (`help dead retry`) select nothing more.
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

/// The error for an unknown word, with a suggestion: a known word that differs by a letter or two.
fn unknown(what: &str, typed: &str, known: &[&str]) -> Misuse {
    let near = known.iter().find(|known| {
        let shared = known.chars().filter(|c| typed.contains(*c)).count();
        shared + 2 > known.len() && typed.len().abs_diff(known.len()) <= 1
    });
    let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    Misuse(format!("there is no {what} `{}`{meant}", tame(typed)))
}

#[expect(clippy::needless_pass_by_value, reason = "used in map_err")]
fn misuse(why: lexopt::Error) -> Misuse {
    Misuse(tame(&why.to_string()))
}

/// Removes control characters, which could alter the terminal, and tokens typed in the wrong place.
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
