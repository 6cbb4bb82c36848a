//! `fleet`: the accounts of an embedded Mission Control, from the command line.

mod shown;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcr_clients::wire::{self, Phases, Roots};
use mcr_model::BaseUrl;
use mcr_model::secret::Secret;
use serde_json::{Value, json};

use self::shown::{details, done, find, pretty, restarts, rollout, table, upgrades_nothing};
use super::exit::Exit;
use super::{fail, print};

/// The time limit of each phase of a request.
const REQUEST: Duration = Duration::from_secs(30);

/// The largest file with a key or a token.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// The word for every account.
const ALL: &str = "all";

/// A `fleet` command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// `--url`.
    pub url: BaseUrl,
    /// `--admin-key-file`.
    pub admin_key_file: PathBuf,
    /// What to do.
    pub what: FleetRequest,
    /// `--json`.
    pub json: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetRequest {
    /// List all accounts.
    List,
    /// Show one.
    Show(String),
    /// Create one with this slug.
    Create(String),
    /// Restart one or all.
    Restart(String),
    /// Upgrade one or all.
    Upgrade {
        /// The account, or `all`.
        account: String,
        /// `--to`.
        to: String,
        /// `--openclaw`.
        openclaw: Option<String>,
        /// `--minutes`.
        minutes: Option<u32>,
    },
    /// Take the last upgrade back.
    RollBack,
    /// Stop the running upgrade.
    Stop,
    /// Request a machine.
    Provision {
        /// The account.
        account: String,
        /// `--provider`, `--region`, `--size` and `--image`.
        machine: [String; 4],
    },
    /// Press a button of an account's machine: the function, and the account.
    Press(&'static str, String),
    /// Store the token of a provider.
    Token {
        /// The provider.
        provider: String,
        /// `--token-file`.
        file: PathBuf,
    },
    /// Set a switch.
    Switch {
        /// Its name.
        key: String,
        /// Its value.
        on: bool,
    },
}

/// Runs the command.
pub fn fleet(wanted: &Fleet) -> Exit {
    match run(wanted) {
        Ok((text, Exit::Done)) => print(&text),
        Ok((text, exit)) => {
            print(&text);
            exit
        }
        Err(why) => fail(wanted.json, Exit::Failed, &[why]),
    }
}

/// Carries the command out. Returns what it shows, and the exit code.
fn run(wanted: &Fleet) -> Result<(String, Exit), String> {
    let server = FleetServer::connect(wanted)?;
    let shown = |value: &Value, text: &dyn Fn() -> String| {
        (if wanted.json { pretty(value) } else { text() }, Exit::Done)
    };
    let value = match &wanted.what {
        FleetRequest::List => {
            let listed = server.list()?;
            return Ok(shown(&listed, &|| table(&listed)));
        }
        FleetRequest::Show(account) => {
            let listed = server.list()?;
            let found = find(&listed, account)?;
            return Ok(shown(found, &|| details(found)));
        }
        FleetRequest::Create(slug) => {
            server.change("accounts:create", json!({"name": slug, "slug": slug}))?
        }
        FleetRequest::Restart(account) => {
            let answer = server.change("fleet:restart", server.accounts(account)?)?;
            return Ok(shown(&answer, &|| restarts(&answer)));
        }
        FleetRequest::Upgrade { account, to, openclaw, minutes } => {
            let mut args = server.accounts(account)?;
            args["targetRuntimeVersion"] = json!(to);
            if let Some(openclaw) = openclaw {
                args["targetOpenclawVersion"] = json!(openclaw);
            }
            if let Some(minutes) = minutes {
                args["timeoutMinutes"] = json!(minutes);
            }
            // Before the change: a failure of this read must not look like one of the upgrade.
            let listed = server.list()?;
            let answer = server.change("fleet:upgrade", args)?;
            let (text, _) = shown(&answer, &|| rollout(&listed, &answer));
            let exit = if upgrades_nothing(&answer) { Exit::Failed } else { Exit::Done };
            return Ok((text, exit));
        }
        FleetRequest::RollBack => server.change("fleet:rollBack", json!({}))?,
        FleetRequest::Stop => server.change("fleet:cancelUpgrade", json!({}))?,
        FleetRequest::Provision { account, machine: [provider, region, size, image] } => {
            let mut args = server.account(account)?;
            for (name, value) in
                [("provider", provider), ("region", region), ("size", size), ("image", image)]
            {
                args[name] = json!(value);
            }
            server.change("provisioning:request", args)?
        }
        FleetRequest::Press(function, account) => server.change(function, server.account(account)?)?,
        FleetRequest::Token { provider, file } => {
            let token = read_secret(file)?;
            let args = json!({"provider": provider, "key": token.expose()});
            server.change("provisioning:setProviderToken", args)?
        }
        FleetRequest::Switch { key, on } => {
            let value = if *on { "true" } else { "false" };
            server.change("systemConfig:set", json!({"key": key, "value": value}))?
        }
    };
    Ok(shown(&value, &|| done(&value)))
}

/// The embedded Mission Control.
struct FleetServer {
    agent: ureq::Agent,
    url: BaseUrl,
    admin_key: Secret,
}

impl FleetServer {
    fn connect(wanted: &Fleet) -> Result<Self, String> {
        let url = wanted.url.clone();
        if !url.is_https() && !url.is_loopback() {
            return Err(format!("The admin key is not sent to {url}: use an https address."));
        }
        let admin_key = read_secret(&wanted.admin_key_file)?;
        let roots = Roots::load(None).map_err(|why| why.to_string())?;
        let phases = Phases {
            connect: REQUEST,
            send: REQUEST,
            answer: REQUEST,
            body: REQUEST,
            idle: REQUEST,
            idle_connections: 1,
        };
        Ok(Self { agent: wire::agent(&url, &roots, &phases), url, admin_key })
    }

    fn list(&self) -> Result<Value, String> {
        self.call("/api/query", "fleet:list", &json!({}))
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers make the arguments for this call")]
    fn change(&self, function: &str, args: Value) -> Result<Value, String> {
        self.call("/api/mutation", function, &args)
    }

    fn call(&self, endpoint: &str, function: &str, args: &Value) -> Result<Value, String> {
        let body = json!({"path": function, "args": args}).to_string();
        let request = self.agent.post(self.url.join(endpoint)).header("Content-Type", "application/json");
        let request = request.header("Authorization", format!("Convex {}", self.admin_key.expose()));
        let url = &self.url;
        let answer = request.send(body).map_err(|why| {
            format!("No Mission Control answers at {url}: {why}. Start `local`, or see --url.")
        })?;
        let text = answer.into_body().read_to_string();
        let text = text.map_err(|why| format!("The answer of {url} could not be read: {why}."))?;
        let answer: Value = serde_json::from_str(&text)
            .map_err(|_| format!("The server at {url} is no embedded Mission Control; see --url."))?;
        if answer["status"] == "success" {
            return Ok(answer["value"].clone());
        }
        let message =
            answer["errorMessage"].as_str().or_else(|| answer["message"].as_str()).unwrap_or_default();
        Err(format!("{function} was refused: {}.", reason(message)))
    }

    /// The arguments that name one account.
    fn account(&self, account: &str) -> Result<Value, String> {
        Ok(json!({"accountId": find(&self.list()?, account)?["accountId"]}))
    }

    /// The arguments that name one account, or all.
    fn accounts(&self, account: &str) -> Result<Value, String> {
        if account == ALL {
            return Ok(json!({}));
        }
        Ok(json!({"accountIds": [find(&self.list()?, account)?["accountId"]]}))
    }
}

/// The reason in an error of the platform: what a function has thrown, or else everything below the number of the request.
fn reason(message: &str) -> String {
    if let Some((_, thrown)) = message.split_once("Uncaught Error: ") {
        return thrown.lines().next().unwrap_or_default().trim_end_matches('.').to_owned();
    }
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let (numbers, words): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("[Request ID"));
    if words.is_empty() {
        return format!("it gave no reason {}", numbers.join(" ")).trim_end().to_owned();
    }
    words.join(" ").trim_end_matches('.').to_owned()
}

fn read_secret(file: &Path) -> Result<Secret, String> {
    let shown = file.display();
    let size = fs::metadata(file).map_err(|why| format!("{shown} cannot be read: {why}."))?.len();
    if size > SECRET_BYTES_MAX {
        return Err(format!("{shown} is too large for a key or a token."));
    }
    let text = fs::read_to_string(file).map_err(|why| format!("{shown} cannot be read: {why}."))?;
    Ok(Secret::new(text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_refusal_is_shown_whatever_its_form() {
        let rows = [
            ("[Request ID: 1] Server Error\nUncaught Error: No.\n    at handler (a.ts:1:1)\n", "No"),
            (
                "[Request ID: 1] Server Error\nArgumentValidationError: Value does not match validator.\nPath: .key\n",
                "ArgumentValidationError: Value does not match validator. Path: .key",
            ),
            ("[Request ID: 1] Server Error", "it gave no reason [Request ID: 1] Server Error"),
            ("", "it gave no reason"),
        ];
        for (message, expected) in rows {
            assert_eq!(reason(message), expected);
        }
    }
}
