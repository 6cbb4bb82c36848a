//! What does not keep a start from happening, but somebody should know.

use std::fmt;

use super::mistake::Mistake;
use super::report::Origin;
use super::table::QUIET_GATEWAY_MS;

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A number outside its range was moved to the nearer end.
    Clamped {
        /// The variable.
        name: String,
        /// Where the number came from.
        origin: Origin,
        /// The number as it was given.
        given: String,
        /// The number that is used.
        used: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
        /// Why.
        why: &'static str,
    },
    /// The gateway's own retries can be silent for longer than this.
    LittlePatience {
        /// The silence that is allowed.
        given_ms: u64,
    },
    /// There is no gateway, on purpose or not.
    NoGateway,
    /// The gateway's token is the word that the TypeScript runtime put there without being asked.
    FormerDefault {
        /// The variable.
        name: &'static str,
    },
    /// A secret too short to be hidden wherever it occurs.
    ShortSecret {
        /// The secret, in words.
        what: &'static str,
        /// How long it is.
        chars: usize,
    },
    /// A token travels unencrypted to another machine.
    InTheClear {
        /// The variable with the address.
        name: &'static str,
        /// The variable with the token.
        token: &'static str,
    },
    /// Agents in other containers cannot use a loopback address.
    LoopbackBase {
        /// Where the server listens.
        health_host: String,
    },
    /// Agents are told an address at which the server does not listen.
    UnreachableBase {
        /// The host that agents are told.
        base_host: String,
        /// Where the server listens.
        health_host: String,
    },
    /// Agents on other machines are told an address where they are not let in.
    ClosedDoors {
        /// The host that agents are told.
        base_host: String,
    },
    /// The gateway runs fewer turns at once than the runtime sends.
    NarrowGateway {
        /// What the gateway runs.
        gateway: u64,
        /// What the runtime sends.
        runtime: u64,
    },
    /// A name in the env file that is not known.
    UnknownInFile {
        /// The path of the file.
        path: String,
        /// The line.
        line: usize,
        /// The name, unless it might be something secret.
        name: Option<String>,
        /// A known name like it.
        nearest: Option<String>,
    },
    /// A name in the environment that is not known, but much like one that is.
    NearMiss {
        /// The name.
        name: String,
        /// The known name.
        nearest: String,
    },
    /// A name that the env file gives twice.
    Twice {
        /// The path of the file.
        path: String,
        /// The line that counts.
        line: usize,
        /// The line that does not.
        earlier: usize,
    },
    /// What looks like a comment behind a value belongs to the value.
    HashInValue {
        /// The path of the file.
        path: String,
        /// The line.
        line: usize,
    },
    /// Two names for one thing, with different values.
    AliasDiffers {
        /// The name that counts.
        used: String,
        /// The name that does not.
        ignored: String,
    },
    /// Everybody on the machine can read the secrets in the env file.
    OpenToAll {
        /// The path of the file.
        path: String,
    },
    /// Everybody on the machine can read a file with a secret.
    SecretOpenToAll {
        /// The variable that names the file.
        name: String,
        /// The path of the file.
        path: String,
    },
    /// A `NAME_FILE` that is not read.
    FileInVain {
        /// The name.
        name: String,
        /// Where it was given.
        origin: Origin,
        /// The name to give instead.
        instead: String,
        /// Whether that is a secret, one that only the gateway container reads.
        secret: bool,
    },
    /// The env file in the usual place may not be read by this user.
    Withheld {
        /// The path of the file.
        path: String,
    },
    /// A mistake in a variable that only the gateway container reads.
    ForGateway(Mistake),
    /// A value that asks for something which this version does not do.
    NotYet {
        /// The variable.
        name: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// What is missing, to stand behind "this version".
        lacks: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clamped { name, origin, given, used, min, max, why } => {
                write!(
                    f,
                    "{name} ({origin}) is {given}; {used} is used (allowed: {min} to {max}, because {why})."
                )
            }
            Self::LittlePatience { given_ms } => write!(
                f,
                "OPENCLAW_REQUEST_TIMEOUT_MS is {given_ms}, below {QUIET_GATEWAY_MS}: the gateway's own retries \
                 are silent for three minutes, so healthy turns may be taken for stuck ones."
            ),
            Self::NoGateway => f.write_str(
                "OPENCLAW_GATEWAY_URL is set but blank: there is no gateway and nothing is sent to agents. \
                 Remove it for http://127.0.0.1:18789.",
            ),
            // Without the word itself: it is known as a secret now, and hidden.
            Self::FormerDefault { name } => write!(
                f,
                "{name} has the default value of the TypeScript runtime, which is sent as a real token. \
                 Remove it if the gateway has none."
            ),
            Self::ShortSecret { what, chars } => {
                let characters = if *chars == 1 { "character" } else { "characters" };
                write!(
                    f,
                    "{what} has {chars} {characters}: too short to be hidden reliably in logs; use a longer one."
                )
            }
            Self::InTheClear { name, token } => write!(
                f,
                "{name} is an http address of another machine: {token} travels unencrypted. Use https."
            ),
            Self::LoopbackBase { health_host } => write!(
                f,
                "HEALTH_HOST is {health_host}, but TASK_STATUS_BASE_URL is not set: agents in other containers \
                 cannot use the loopback address they are told. Set it to an address that they can reach."
            ),
            Self::UnreachableBase { base_host, health_host } => write!(
                f,
                "TASK_STATUS_BASE_URL names the host {base_host}, but HEALTH_HOST is {health_host}: /agent/* may \
                 be unreachable for others. Listen on 0.0.0.0, or name this machine."
            ),
            Self::ClosedDoors { base_host } => write!(
                f,
                "TASK_STATUS_BASE_URL names the host {base_host}, client tools are off, and AGENT_API_ALLOW is not set: \
                 agents that call from another machine or container are refused. Name their network."
            ),
            Self::NarrowGateway { gateway, runtime } => write!(
                f,
                "OPENCLAW_MAX_CONCURRENT is {gateway}, less than DELIVERY_MAX_CONCURRENT_SESSIONS ({runtime}): \
                 the gateway will make turns wait."
            ),
            Self::UnknownInFile { path, line, name, nearest } => {
                write!(f, "The env file {path}: ")?;
                match name {
                    Some(name) => write!(f, "{name} (line {line}) is not a known variable")?,
                    None => write!(f, "what line {line} sets is not a known variable")?,
                }
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => write!(f, "."),
                }
            }
            Self::NearMiss { name, nearest } => {
                write!(f, "{name} (environment) is not a known variable; did you mean {nearest}?")
            }
            Self::Twice { path, line, earlier } => write!(
                f,
                "The env file {path}: line {line} sets the same name as line {earlier}; the later one counts."
            ),
            Self::HashInValue { path, line } => write!(
                f,
                "The env file {path}: the # in line {line} belongs to the value; a comment needs a line of its \
                 own or a value in quotes. Put quotes around all of it if the # is meant."
            ),
            Self::AliasDiffers { used, ignored } => {
                write!(f, "{used} and {ignored} are both set, with different values; {used} counts.")
            }
            Self::OpenToAll { path } => write!(
                f,
                "The env file {path} holds secrets and everybody on this machine can read it; chmod 600 prevents that."
            ),
            Self::SecretOpenToAll { name, path } => write!(
                f,
                "{name}={path}: the file holds a secret and everybody on this machine can read it; chmod 600 \
                 prevents that."
            ),
            Self::FileInVain { name, origin, instead, secret: false } => write!(
                f,
                "{name} ({origin}) has no effect: only secrets can be given as a file. Set {instead} itself."
            ),
            Self::FileInVain { name, origin, instead, secret: true } => write!(
                f,
                "{name} ({origin}) has no effect: only the gateway container uses {instead}, and it does not read \
                 files. Set {instead} itself."
            ),
            Self::Withheld { path } => write!(
                f,
                "The env file {path} exists, but this user may not read it; only the environment counts. Name it \
                 with --env-file if it must be read."
            ),
            Self::NotYet { name, origin, lacks } => {
                write!(f, "{name} ({origin}) is not yet in effect: this version {lacks}.")
            }
            Self::ForGateway(mistake) => {
                write!(f, "{mistake} The runtime does not read it and starts all the same.")
            }
        }
    }
}
