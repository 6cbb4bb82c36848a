//! `local` as a process of its own, and clients that talk to it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::{Program, Running};

/// The embedded Mission Control while it runs.
pub(super) struct Process {
    pub(super) running: Running,
    pub(super) client: Client,
}

/// Somebody who has both the service token and the admin key.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) url: String,
    pub(super) account: String,
    pub(super) token: String,
    pub(super) admin_key: String,
    agent: ureq::Agent,
}

/// A service that cannot be reached, or that answered without a value: status, if there is one, and body.
pub(super) type Refused = (Option<u16>, String);

/// The program for data in this directory.
pub(super) fn program(data: &Path) -> Program {
    Program::new(["local", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"])
}

/// The same after words for a shell.
pub(super) fn program_after(words: &str, data: &Path) -> Program {
    Program::after(words, ["local", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"])
}

impl Process {
    /// Starts it and waits until it listens; what it said, if it would not.
    pub(super) fn start(program: Program) -> Result<Self, (Option<i32>, String)> {
        let mut running = program.start();
        match running.environment() {
            None => Err(running.end()),
            Some(lines) => {
                let word = |name: &str| lines[name].clone();
                let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
                let client = Client {
                    url: word("CONVEX_URL"),
                    account: word("ACCOUNT_ID"),
                    token: word("SERVICE_TOKEN"),
                    admin_key: word("ADMIN_KEY"),
                    agent: agent.into(),
                };
                Ok(Self { running, client })
            }
        }
    }
}

impl Client {
    /// The same with connections of its own.
    pub(super) fn another(&self) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Self { agent: agent.into(), ..self.clone() }
    }

    /// A service function with the account's id and token.
    pub(super) fn service(&self, name: &str, mut args: Value) -> Result<Value, Refused> {
        args["accountId"] = json!(self.account);
        args["serviceToken"] = json!(self.token);
        self.call("action", &format!("service/actions:{name}"), &args, false)
    }

    /// A mutation by the account's person.
    pub(super) fn person(&self, path: &str, mut args: Value) -> Result<Value, Refused> {
        args["accountId"] = json!(self.account);
        self.call("mutation", path, &args, true)
    }

    /// A query by the account's person.
    pub(super) fn look(&self, path: &str, mut args: Value) -> Result<Value, Refused> {
        args["accountId"] = json!(self.account);
        self.call("query", path, &args, true)
    }

    fn call(&self, endpoint: &str, path: &str, args: &Value, as_person: bool) -> Result<Value, Refused> {
        let body = json!({"path": path, "args": args, "format": "json"}).to_string();
        let (status, answer) =
            self.post(&format!("/api/{endpoint}"), body.as_bytes(), as_person).map_err(|why| (None, why))?;
        let read: Value = serde_json::from_str(&answer).map_err(|why| (None, why.to_string()))?;
        match read["status"].as_str() {
            Some("success") if status == 200 => Ok(read["value"].clone()),
            _ => Err((Some(status), answer)),
        }
    }

    /// Any body; status and text of the answer, or why there is none.
    pub(super) fn post(&self, path: &str, body: &[u8], as_person: bool) -> Result<(u16, String), String> {
        let request =
            self.agent.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        let request = if as_person {
            request.header("Authorization", &format!("Convex {}", self.admin_key))
        } else {
            request
        };
        let mut answer = request.send(body).map_err(|why| why.to_string())?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string();
        Ok((status, text.map_err(|why| why.to_string())?))
    }
}
