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
    /// The gateway runs fewer turns at once than the runtime sends.
    NarrowGateway {
        /// What the gateway runs.
        gateway: u64,
        /// What the runtime sends.
        runtime: u64,
    },
    /// A name in the env file that nobody reads.
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
    /// A name in the environment that nobody reads, but which looks like a known one.
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
    /// The env file in the usual place may not be read by this user.
    Withheld {
        /// The path of the file.
        path: String,
    },
    /// A mistake in a variable that only the gateway container reads.
    ForGateway(Mistake),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clamped { name, origin, given, used, min, max, why } => {
                write!(
                    f,
                    "{name} ({origin}) is {given}; {used} is used: allowed is {min} to {max}, as {why}."
                )
            }
            Self::LittlePatience { given_ms } => write!(
                f,
                "OPENCLAW_REQUEST_TIMEOUT_MS is {given_ms}, below {QUIET_GATEWAY_MS}: the gateway's own retries \
                 are silent for three minutes, so healthy turns may be taken for stuck ones."
            ),
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
            Self::NarrowGateway { gateway, runtime } => write!(
                f,
                "OPENCLAW_MAX_CONCURRENT is {gateway}, less than DELIVERY_MAX_CONCURRENT_SESSIONS ({runtime}): \
                 the gateway will make turns wait."
            ),
            Self::UnknownInFile { path, line, name, nearest } => {
                write!(f, "The env file {path}: nobody reads ")?;
                match name {
                    Some(name) => write!(f, "{name} (line {line})")?,
                    None => write!(f, "what line {line} sets")?,
                }
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => write!(f, "."),
                }
            }
            Self::NearMiss { name, nearest } => {
                write!(f, "The environment has {name}, which nobody reads; did you mean {nearest}?")
            }
            Self::Twice { path, line, earlier } => write!(
                f,
                "The env file {path}: line {line} sets the same name as line {earlier}; the later one counts."
            ),
            Self::HashInValue { path, line } => write!(
                f,
                "The env file {path}: the # in line {line} is part of the value; comments need lines of their \
                 own. Put quotes around the value if the # belongs to it."
            ),
            Self::AliasDiffers { used, ignored } => {
                write!(f, "{used} and {ignored} are both set, with different values; {used} counts.")
            }
            Self::OpenToAll { path } => write!(
                f,
                "The env file {path} holds secrets and everybody on this machine can read it; chmod 600 mends that."
            ),
            Self::Withheld { path } => write!(
                f,
                "The env file {path} exists, but this user may not read it; only the environment counts. Name it \
                 with --env-file if it must be read."
            ),
            Self::ForGateway(mistake) => {
                write!(f, "{mistake} The runtime does not read it and starts all the same.")
            }
        }
    }
}
