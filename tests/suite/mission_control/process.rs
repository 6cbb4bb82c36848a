//! `local` as a separate process, and clients for it.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::{Program, Running};

/// A running embedded Mission Control.
pub(super) struct Process {
    pub(super) running: Running,
    pub(super) client: Client,
}

/// A client with both the service token and the admin key.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) url: String,
    pub(super) account: String,
    pub(super) token: String,
    pub(super) admin_key: String,
    agent: ureq::Agent,
}

/// A failed call: the status, if there was a response, and the body.
pub(super) type Refused = (Option<u16>, String);

/// The program for data in this directory.
pub(super) fn program(data: &Path) -> Program {
    Program::new(["local", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"])
}

/// The program, started by a shell after these words.
pub(super) fn program_after(words: &str, data: &Path) -> Program {
    Program::after(words, ["local", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"])
}

impl Process {
    /// Starts the program and waits until it listens. Fails with its exit code and output.
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
    /// A client with the same credentials and new connections.
    pub(super) fn another(&self) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        Self { agent: agent.into(), ..self.clone() }
    }

    /// Calls a service function with the account's id and token.
    pub(super) fn service(&self, name: &str, mut args: Value) -> Result<Value, Refused> {
        args["accountId"] = json!(self.account);
        args["serviceToken"] = json!(self.token);
        self.call("action", &format!("service/actions:{name}"), &args, false)
    }

    /// Calls a mutation as the account's person.
    pub(super) fn person(&self, path: &str, mut args: Value) -> Result<Value, Refused> {
        args["accountId"] = json!(self.account);
        self.call("mutation", path, &args, true)
    }

    /// Calls a query as the account's person.
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

    /// Posts any body. Returns the status and the text of the response, or the connection error.
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
