//! `fleet`: the accounts of an embedded Mission Control, from the command line.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcr_clients::wire::{self, Phases, Roots};
use mcr_model::BaseUrl;
use mcr_model::clock::Millis;
use mcr_model::secret::Secret;
use serde_json::{Map, Value, json};

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
        Ok(text) => print(&text),
        Err(why) => fail(wanted.json, Exit::Failed, &[why]),
    }
}

fn run(wanted: &Fleet) -> Result<String, String> {
    let server = FleetServer::connect(wanted)?;
    let value = match &wanted.what {
        FleetRequest::List => {
            let listed = server.list()?;
            return Ok(if wanted.json { pretty(&listed) } else { table(&listed) });
        }
        FleetRequest::Show(account) => {
            let listed = server.list()?;
            let found = find(&listed, account)?;
            return Ok(if wanted.json { pretty(found) } else { details(found) });
        }
        FleetRequest::Create(slug) => {
            server.change("accounts:create", json!({"name": slug, "slug": slug}))?
        }
        FleetRequest::Restart(account) => server.change("fleet:restart", server.accounts(account)?)?,
        FleetRequest::Upgrade { account, to, openclaw, minutes } => {
            let mut args = server.accounts(account)?;
            args["targetRuntimeVersion"] = json!(to);
            if let Some(openclaw) = openclaw {
                args["targetOpenclawVersion"] = json!(openclaw);
            }
            if let Some(minutes) = minutes {
                args["timeoutMinutes"] = json!(minutes);
            }
            server.change("fleet:upgrade", args)?
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
    Ok(if wanted.json { pretty(&value) } else { done(&value) })
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

/// The reason in an error of the platform.
fn reason(message: &str) -> &str {
    let (_, reason) = message.split_once("Uncaught Error: ").unwrap_or(("", message));
    reason.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason").trim_end_matches('.')
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

fn rows(listed: &Value) -> &[Value] {
    listed["accounts"].as_array().map_or(&[], Vec::as_slice)
}

/// The account with this slug or this id.
fn find<'a>(listed: &'a Value, account: &str) -> Result<&'a Value, String> {
    let found = rows(listed).iter().find(|row| row["slug"] == account || row["accountId"] == account);
    found.ok_or_else(|| format!("There is no account “{account}”. `fleet list` shows all."))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or("-")
}

/// A time, or a hyphen.
fn time(value: &Value) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a date in milliseconds")]
    value.as_f64().map_or_else(|| "-".to_owned(), |ms| Millis(ms as i64).to_string())
}

/// All accounts, one line each, then what needs attention.
fn table(listed: &Value) -> String {
    let mut lines = vec![
        ["ACCOUNT", "STATE", "RUNTIME", "OPENCLAW", "LAST REPORT", "OPEN", "ENDED", "MACHINE"]
            .map(str::to_owned),
    ];
    for row in rows(listed) {
        let count = |name: &str| format!("{:.0}", row["deliveries"][name].as_f64().unwrap_or_default());
        lines.push([
            text(row, "slug").to_owned(),
            text(row, "status").to_owned(),
            text(row, "runtimeVersion").to_owned(),
            text(row, "openclawVersion").to_owned(),
            time(&row["lastReport"]),
            count("open"),
            count("ended"),
            text(&row["machine"], "state").to_owned(),
        ]);
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default())
        .collect();
    let mut shown = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        shown.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        shown.push('\n');
    }
    for row in rows(listed) {
        for reason in row["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // Writing to a `String` cannot fail.
            let _ = writeln!(shown, "{}: {reason}", text(row, "slug"));
        }
    }
    for machine in listed["machinesWithoutAccount"].as_array().into_iter().flatten() {
        let _ = writeln!(
            shown,
            "A machine without an account: {} {} ({})",
            text(machine, "provider"),
            text(machine, "machineId"),
            text(machine, "state")
        );
    }
    shown + &rollout(listed)
}

fn rollout(listed: &Value) -> String {
    let Some(rollout) = listed["rollout"].as_object() else { return String::new() };
    let mut shown = format!("Last upgrade: {}", rollout["state"].as_str().unwrap_or_default());
    if let Some(reason) = rollout.get("reason").and_then(Value::as_str) {
        let _ = write!(shown, " ({reason})");
    }
    shown.push('\n');
    for step in rollout["steps"].as_array().into_iter().flatten() {
        let known = rows(listed).iter().find(|row| row["accountId"] == step["accountId"]);
        let name = known.map_or_else(|| text(step, "accountId"), |row| text(row, "slug"));
        let reason = step["reason"].as_str().map_or(String::new(), |reason| format!(" ({reason})"));
        let _ = writeln!(
            shown,
            "  {name}: {} to {}{reason}",
            text(step, "state"),
            text(step, "toRuntimeVersion")
        );
    }
    shown
}

/// Every fact of one account, one line each.
fn details(row: &Value) -> String {
    let mut shown = String::new();
    if let Some(fields) = row.as_object() {
        flatten(&mut shown, "", fields);
    }
    shown
}

fn flatten(shown: &mut String, prefix: &str, fields: &Map<String, Value>) {
    for (name, value) in fields {
        let name = format!("{prefix}{name}");
        let is_time = ["At", "Since", "Report", "oldest"].iter().any(|end| name.ends_with(end));
        match value {
            Value::Object(fields) => flatten(shown, &format!("{name}."), fields),
            Value::Null => {}
            Value::Number(_) if is_time => drop(writeln!(shown, "{name}: {}", time(value))),
            Value::String(text) => drop(writeln!(shown, "{name}: {text}")),
            Value::Array(values) => {
                for value in values {
                    let _ = writeln!(
                        shown,
                        "{name}: {}",
                        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                    );
                }
            }
            other => drop(writeln!(shown, "{name}: {other}")),
        }
    }
}

/// What a change answered, for people.
fn done(value: &Value) -> String {
    if let Some(token) = value["token"].as_str() {
        let until = time(&value["expiresAt"]);
        return format!("{token}\nValid once, until {until}, from the machine itself.\n");
    }
    match (value["state"].as_str(), value["accountId"].as_str()) {
        (Some(state), _) => format!("Accepted. The state is {state}; `fleet list` shows the progress.\n"),
        (None, Some(account)) => format!("Created the account {account}.\n"),
        (None, None) => "Done.\n".to_owned(),
    }
}
