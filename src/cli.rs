//! The command line: what was typed, as a [`Command`]; everything else happens in [`crate::app`].

mod help;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::app::{self, Dead, Exit, Local, Pause};
use mcr_mission_control::Options;
use mcr_model::BaseUrl;
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
    Demo {
        /// `--port`.
        port: u16,
    },
    /// The embedded Mission Control.
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

/// Runs the program.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    match parse(args) {
        Ok(Command::Run { env_file }) => app::run(env_file.as_deref()),
        Ok(Command::Doctor { env_file, all, json, live }) => {
            app::doctor(env_file.as_deref(), app::Doctor { all, json, live })
        }
        Ok(Command::Status { env_file, json, ready }) => app::status(env_file.as_deref(), json, ready),
        Ok(Command::Why { env_file, id, json }) => app::why(env_file.as_deref(), &id, json),
        Ok(Command::Dead { env_file, what, json }) => app::dead(env_file.as_deref(), &what, json),
        Ok(Command::Pause { env_file, wanted }) => app::pause(env_file.as_deref(), &wanted),
        Ok(Command::Demo { port }) => app::demo(port),
        Ok(Command::Local(what)) => app::local(&what),
        Ok(Command::Version) => app::print(&app::version()),
        Ok(Command::Help { of }) => app::print(&help::text(of.as_deref())),
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

    fn text(&mut self, option: &str, default: &str) -> String {
        self.value(option).map_or_else(|| default.to_owned(), |value| value.to_string_lossy().into_owned())
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
                return Ok(Command::Help { of: given.words.pop_front() });
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
        "demo" => Command::Demo { port: port(given)? },
        "local" => Command::Local(local(given)?),
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

fn port(given: &mut Given) -> Result<u16, Misuse> {
    let Some(port) = given.value("--port") else { return Ok(app::PORT) };
    let port = port.to_string_lossy();
    port.parse().map_err(|_| Misuse(format!("--port `{}`: expected a number from 0 to 65535", tame(&port))))
}

fn local(given: &mut Given) -> Result<Local, Misuse> {
    let data = given.text("--data", app::DATA);
    let Some(verb) = given.words.pop_front() else {
        let options = Options { original: given.flag("--original"), redact: given.flag("--redact") };
        let seed = given.value("--seed").map(|seed| seed.to_string_lossy().into_owned());
        let listen = given.text("--listen", app::LISTEN);
        if !listen
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            let listen = tame(&listen);
            return Err(Misuse(format!("--listen `{listen}`: expected HOST:PORT, such as {}", app::LISTEN)));
        }
        let notify = given.value("--notify").map(|url| {
            let url = url.to_string_lossy();
            let expected = "expected an address such as http://127.0.0.1:3001";
            BaseUrl::parse(&url).map_err(|_| Misuse(format!("--notify `{}`: {expected}", tame(&url))))
        });
        return Ok(Local::Serve { listen, data, seed, options, notify: notify.transpose()? });
    };
    if verb == "rotate-key" {
        return Ok(Local::RotateKey { data });
    }
    if !["export", "import"].contains(&verb.as_str()) {
        return Err(unknown("command `local` with", &verb, &["export", "import", "rotate-key"]));
    }
    let file = given.words.pop_front().map(PathBuf::from);
    let file = file.ok_or_else(|| Misuse(format!("`local {verb}` needs a file")))?;
    Ok(if verb == "export" { Local::Export { data, file } } else { Local::Import { data, file } })
}

/// The command that `help` is asked about, if any; what stands behind it (`help dead retry`) tells no more.
fn asked_about(given: &mut Given) -> Result<Option<String>, Misuse> {
    let of = given.words.pop_front();
    given.words.clear();
    match of {
        Some(word) if !help::names().any(|name| name == word) => Err(no_command(&word)),
        of => Ok(of),
    }
}

fn no_command(typed: &str) -> Misuse {
    unknown("command", typed, &help::names().collect::<Vec<_>>())
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
