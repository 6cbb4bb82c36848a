//! `/metrics` and `/health` (http-and-tools §3, runtime-behaviour Appendix C): every row of their tables over
//! a socket, the text checked by Prometheus' rules, the alerts checked against the text, and every reason
//! produced for real.

/// The rule file.
mod alerts;
/// No secret in any answer.
mod canaries;
/// A strict parser of the text format.
mod exposition;
/// Each variable of the guardrails.
mod guardrails;
/// Each reason, produced for real.
mod reasons;
/// The reports to the backend.
mod statuses;
/// The tables, row by row.
mod tables;

use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};

use super::processes::Stack;
use crate::support::board::agent;

/// An answer of the program's own server.
pub(super) struct Answer {
    status: u16,
    kind: String,
    headers: String,
    pub(super) body: String,
}

/// Requests a path, accepting this content type.
pub(super) fn ask(address: &str, method: &str, path: &str, accept: &str) -> Answer {
    let url = format!("http://{address}{path}");
    let agent = agent();
    let answer = match method {
        "GET" => agent.get(&url).header("Accept", accept).call(),
        "HEAD" => agent.head(&url).header("Accept", accept).call(),
        "DELETE" => agent.delete(&url).header("Accept", accept).call(),
        _ => agent.post(&url).header("Accept", accept).send(""),
    };
    let mut answer = answer.unwrap();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    Answer {
        status: answer.status().as_u16(),
        kind: kind.unwrap_or_default(),
        headers: format!("{:?}", answer.headers()),
        body: answer.body_mut().read_to_string().unwrap(),
    }
}

/// The present page of figures.
pub(super) fn figures(stack: &Stack) -> exposition::Page {
    let answer = ask(stack.address(), "GET", "/metrics", "text/plain");
    exposition::read(&answer.body).unwrap_or_else(|why| panic!("{why}:\n{}", answer.body))
}

/// Waits until a condition on the figures holds: they are cached, and may be a moment old.
fn figures_once(stack: &Stack, is_so: impl Fn(&exposition::Page) -> bool) -> exposition::Page {
    let mut page = figures(stack);
    stack.until("figures", |_| {
        page = figures(stack);
        is_so(&page)
    });
    page
}

/// Replaces the running program by one with these variables.
pub(super) fn restart(stack: &mut Stack, more: &[(&str, &str)]) {
    stack.kill();
    start(stack, more);
}

/// Starts a program with these variables after another one has ended.
fn start(stack: &mut Stack, more: &[(&str, &str)]) {
    let mut program = stack.another_with(more);
    let address = program.address();
    stack.take(program, address);
}

/// A proxy between the program and Mission Control.
pub(super) struct Meddler(Server);

impl Meddler {
    /// Changes the answers on their way.
    pub(super) fn between(
        stack: &Stack,
        change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (url, client) = (stack.board.url(), agent());
        let server = Server::bind("127.0.0.1:0", ServerLimits::default(), move |request| {
            let sent = client
                .post(format!("{url}{}", request.path()))
                .header("Content-Type", "application/json")
                .send(request.body());
            let mut answer = sent.unwrap();
            let status = answer.status().as_u16();
            let body = answer.body_mut().read_to_vec().unwrap();
            change(&request, Reply::json(body).with_status(status))
        });
        Self(server.unwrap())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr())
    }
}
