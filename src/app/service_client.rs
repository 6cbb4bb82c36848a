//! How a command calls the running service, and what it uses where none runs.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;
use serde_json::Value;

use super::command_env::CommandEnv;
use super::delivery_report::{DeliveryReport, ReportSources, ServiceSnapshot};
use super::exit::Exit;
use super::fail;
use super::state_dir::StateDir;
use crate::telemetry;
use mcr_config::{LogFormat, LogOutput, Settings};
use mcr_core::ops::ServiceCondition;
use mcr_core::ops::reasons::STATE_DIR_MOVED;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_model::redact::Redactor;
use mcr_model::secret::Secret;
use mcr_model::spending::Budgets;
use mcr_model::{AccountId, DonePolicy, LedgerSync, Notification, Roster, TaskId};
use mcr_store::ledger::{self, Read};

/// The time limit of a request to the service, which is on this machine.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(8);
/// The time limit for identifying the server at the service's address.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer: an answer shows at most what the ledger keeps.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The state folder of a service started by our systemd unit. A shell does not have that unit's variables.
const UNIT_STATE_DIR: &str = "/var/lib/mission-control-runtime";

/// Where a command finds the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceLocation {
    /// `--env-file`.
    pub env_file: Option<PathBuf>,
    /// `--state-dir`: overrides the variable `STATE_DIR`, and the address in the configuration.
    pub state_dir: Option<PathBuf>,
}

/// The context of a command. It needs the state folder only: the running service publishes its address and its token
/// there.
pub(super) struct CommandContext {
    pub(super) redactor: Arc<Redactor>,
    pub(super) place: StateDir,
    /// The configured account, if any.
    account: Option<AccountId>,
    pub(super) sync: LedgerSync,
    silence: Duration,
    /// The configured budgets, if the configuration is complete.
    pub(super) budgets: Option<Budgets>,
    pub(super) done_policy: DonePolicy,
    /// The configured address of the service.
    listens: Option<String>,
    /// The mistakes in the configuration that prevent a start. Absent variables are not among them.
    mistakes: Vec<String>,
    /// Whether the state folder was named, or follows from a complete configuration.
    is_named: bool,
}

impl CommandContext {
    /// Reads the configuration. Errors have been printed.
    pub(super) fn find(at: &ServiceLocation, as_json: bool) -> Result<Self, Exit> {
        Self::on(&CommandEnv::load(at.env_file.as_deref()), at, as_json)
    }

    /// The context of this environment. Errors have been printed.
    pub(super) fn on(env: &CommandEnv, at: &ServiceLocation, as_json: bool) -> Result<Self, Exit> {
        // Failures are part of the command's answer, so the log stays quiet.
        telemetry::start(LevelFilter::Off, LogFormat::Text, LogOutput::Stderr, env.redactor.clone());
        Self::of(env, at.state_dir.as_deref()).ok_or_else(|| {
            let unknown = "The state folder is unknown. Set STATE_DIR, or give --state-dir DIR.".to_owned();
            let lines: Vec<String> = [unknown].into_iter().chain(mistakes(env)).collect();
            fail(
                as_json,
                Exit::Misconfigured,
                &lines.iter().map(|line| env.redactor.clean(line)).collect::<Vec<_>>(),
            )
        })
    }

    /// The context of this environment, if the state folder is known. `state_dir` overrides the configured one.
    pub(super) fn of(env: &CommandEnv, state_dir: Option<&Path>) -> Option<Self> {
        let (settings, report) = (&env.configuration.settings, &env.configuration.report);
        let configured = |name: &str| report.row(name).and_then(|row| row.value.clone());
        let named = state_dir.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let directory = named.or_else(|| settings.as_ref().map(|settings| settings.state_dir.clone()));
        let directory = directory.or_else(|| configured("STATE_DIR").map(PathBuf::from))?;
        let account = settings.as_ref().map(|settings| settings.account.id.clone());
        let is_given = report.row("STATE_DIR").is_some_and(|row| row.origin.is_given());
        Some(Self {
            place: StateDir::new(&directory),
            account: account.or_else(|| configured("ACCOUNT_ID")).map(AccountId::new),
            sync: settings.as_ref().map_or(LedgerSync::Full, |settings| settings.ledger_sync),
            done_policy: settings.as_ref().map(|settings| settings.delivery.done_policy).unwrap_or_default(),
            silence: settings.as_ref().map_or(Duration::ZERO, |settings| settings.gateway.silence_max),
            budgets: settings.as_ref().map(|settings| settings.budgets.clone()),
            listens: settings.as_ref().filter(|_| state_dir.is_none()).map(listens),
            mistakes: if state_dir.is_some() { Vec::new() } else { mistakes(env) },
            is_named: state_dir.is_some() || is_given || settings.is_some(),
            redactor: env.redactor.clone(),
        })
    }

    /// The service that runs on this folder, with our token. `None` if no service runs. The error is a
    /// sentence: why the running service cannot be called from here, and what would help.
    pub(super) fn service(&self) -> Result<Option<ServiceEndpoint>, String> {
        if let Some(address) = self.place.running() {
            return Ok(Some(ServiceEndpoint { address, token: self.place.token().ok().flatten() }));
        }
        if let Some(why) = self.listens.as_ref().and_then(|address| self.elsewhere(address)) {
            return Err(why);
        }
        match self.place.closed() {
            Some(closed) => Err(format!("The service cannot be found, because {closed}.")),
            None => Ok(None),
        }
    }

    /// Why nothing may be written while no service was found. With a mistake in the configuration, the
    /// service's address and its folder are not certain.
    pub(super) fn uncertain(&self) -> Option<String> {
        let shown = self.place.path().display();
        if !self.mistakes.is_empty() {
            let mistakes = self.mistakes.join("\n");
            return Some(format!(
                "{mistakes}\nNothing was changed: no service runs on STATE_DIR {shown}, and these mistakes hide where one \
                 may run. Correct them, or name the folder of the service with --state-dir."
            ));
        }
        (!self.is_named).then(|| {
            format!(
                "Nothing was changed: no service runs on STATE_DIR {shown}, and the configuration does not name another \
                 folder. Name the folder of the service with --state-dir DIR or STATE_DIR."
            )
        })
    }

    /// The account whose deliveries are meant: the configured one, else the only one in the ledger.
    pub(super) fn account(&self, read: &Read) -> Result<AccountId, String> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let accounts: BTreeSet<&str> =
            read.deliveries.iter().map(|history| history.account.as_str()).collect();
        if accounts.len() > 1 {
            let accounts: Vec<&str> = accounts.into_iter().collect();
            return Err(format!(
                "the ledger contains deliveries of several accounts ({}): set ACCOUNT_ID to one of them",
                accounts.join(", ")
            ));
        }
        Ok(AccountId::new(accounts.first().copied().unwrap_or_default()))
    }

    /// Why the running service has lost its folder, if so.
    pub(super) fn displaced(&self) -> Option<String> {
        let address = self.place.running().or_else(|| self.listens.clone())?;
        displaced(&address, &health(&address)?).map(|why| self.clean(&why))
    }

    /// Why the service at this address is not the one of this folder, if a service answers there.
    fn elsewhere(&self, address: &str) -> Option<String> {
        let health = health(address)?;
        let shown = self.place.path().display();
        let why = if let Some(displaced) = displaced(address, &health) {
            displaced
        } else if let Some(off) = health["ledger"]["off"].as_str() {
            format!("A service runs at {address}, but it stores nothing, so it has no operator token: {off}")
        } else if let Some(closed) = self.place.closed() {
            format!("A service runs at {address}, but {closed}")
        } else if self.place.owner().is_some() {
            format!(
                "A service runs at {address}, but running.json in STATE_DIR {shown} does not name it: it is \
                 starting, or could not write the file; try again in a few seconds"
            )
        } else {
            format!(
                "A service runs at {address}, but not on STATE_DIR {shown}: set STATE_DIR or --state-dir to the folder of \
                 the service (under the systemd unit: {UNIT_STATE_DIR})"
            )
        };
        Some(self.clean(&why))
    }

    /// The server at the configured address. It does not get our token.
    pub(super) fn listener(&self) -> Option<ServiceEndpoint> {
        self.listens.clone().map(ServiceEndpoint::at)
    }

    /// Explains from the ledger alone, while no service runs. `listed` rows of Mission Control are shown as
    /// waiting.
    pub(super) fn tell<T>(
        &self,
        listed: Vec<Notification>,
        tell: impl FnOnce(&DeliveryReport<'_>) -> T,
    ) -> Result<T, String> {
        let folder = self.place.with_ledger()?;
        let read = ledger::read(&folder).map_err(|why| self.clean(&why.to_string()))?;
        let (paused, mistake) = (self.place.paused(), self.mistakes.first().cloned());
        let account = self.account(&read).map_err(|why| self.clean(&why))?;
        let facts = |task: &TaskId| ledger::task_facts(&folder, &account, Some(task)).ok()?.remove(task);
        Ok(tell(&DeliveryReport::new(ReportSources {
            account: &account,
            roster: &Roster::default(),
            read: &read,
            memory: ServiceSnapshot::waiting(listed, &read),
            condition: &ServiceCondition { mistake, paused, ..ServiceCondition::default() },
            silence: self.silence,
            facts: &facts,
            done_policy: self.done_policy,
            now: SystemClock.now(),
        })))
    }

    /// The text, cleaned for display.
    pub(super) fn clean(&self, text: &str) -> String {
        self.redactor.clean(text)
    }
}

/// Every mistake in the configuration, as a sentence.
fn mistakes(env: &CommandEnv) -> Vec<String> {
    env.configuration.report.mistakes().map(ToString::to_string).collect()
}

/// The `/health` of the service at this address, if one answers.
fn health(address: &str) -> Option<Value> {
    match ServiceEndpoint::at(address.to_owned()).ask("GET", "/health", "", IDENTIFY_TIMEOUT) {
        Ok((200, health)) if is_health(&health) => Some(health),
        _ => None,
    }
}

/// Why the service at this address has lost its folder, if its health says so.
fn displaced(address: &str, health: &Value) -> Option<String> {
    let why = health["ledger"]["displaced"].as_str()?;
    Some(format!("A service runs at {address}, but {STATE_DIR_MOVED} ({why})"))
}

/// Whether an answer has the shape of a service's `/health`.
pub(super) fn is_health(answer: &Value) -> bool {
    answer["status"].is_string() && answer["delivery"].is_object()
}

/// The address of a service with these settings, as far as known before it listens.
pub(super) fn listens(settings: &Settings) -> String {
    address(settings.http.connect_host(), settings.http.port)
}

/// Joins host and port.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A running service.
pub(super) struct ServiceEndpoint {
    pub(super) address: String,
    pub(super) token: Option<Secret>,
}

impl ServiceEndpoint {
    /// A service without our token.
    pub(super) fn at(address: String) -> Self {
        Self { address, token: None }
    }

    /// Sends a GET. Returns status and answer. The error is the end of a sentence.
    pub(super) fn get(&self, path: &str) -> Result<(u16, Value), String> {
        self.ask("GET", path, "", REQUEST_TIMEOUT)
    }

    /// Sends a POST.
    pub(super) fn post(&self, path: &str, body: &str) -> Result<(u16, Value), String> {
        self.ask("POST", path, body, REQUEST_TIMEOUT)
    }

    /// Sends a GET and returns the status only, whatever the body is.
    #[cfg(feature = "mission-control")]
    pub(super) fn status(&self, path: &str) -> Result<u16, String> {
        let answer = self.exchange("GET", path, "", IDENTIFY_TIMEOUT).map_err(|why| why.to_string())?;
        status_of(&answer).ok_or_else(|| "its answer is not HTTP".to_owned())
    }

    /// Sends a request to a server that may be slow or speak another protocol.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: &str,
        patience: Duration,
    ) -> Result<(u16, Value), String> {
        let asked = self.exchange(method, path, body, patience).map_err(|why| why.to_string())?;
        let (head, body) = asked.split_once("\r\n\r\n").ok_or("its answer is not HTTP")?;
        let status = status_of(head);
        let body = serde_json::from_str(body).map_err(|_| "its answer is not one of this service")?;
        Ok((status.ok_or("its answer is not HTTP")?, body))
    }

    fn exchange(&self, method: &str, path: &str, body: &str, patience: Duration) -> io::Result<String> {
        let address = self.address.to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let token = self
            .token
            .as_ref()
            .map_or(String::new(), |token| format!("Authorization: Bearer {}\r\n", token.expose()));
        let length =
            if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
        let host = &self.address;
        // HTTP/1.0: the answer ends with the connection.
        let head = format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n{token}{length}\r\n{body}");
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// The status in the head of an answer.
fn status_of(head: &str) -> Option<u16> {
    head.split(' ').nth(1)?.parse().ok()
}

/// The sentence in an error answer.
pub(super) fn refusal(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or("The service refused the request without a reason. Look at its log.")
}

/// Whether the text can be part of a path, as ids and slugs can.
pub(super) fn is_word(id: &str) -> bool {
    !id.is_empty()
        && !id.starts_with('.')
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b))
}
