//! `/metrics` and `/health` (http-and-tools §3, runtime-behaviour Appendix C): every row of their tables over a socket,
//! the text held to Prometheus' rules, the alerts held to the text, and the reasons brought about for real.

/// The rule file.
mod alerts;
/// No secret in any answer.
mod canaries;
/// A strict reader of the text form.
mod exposition;
/// Each reason, brought about.
mod reasons;
/// What the backend is told.
mod statuses;
/// What the tables say, row by row.
mod tables;

use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};

use super::processes::House;
use crate::support::board::agent;

/// An answer of the program's own server.
pub(super) struct Answer {
    status: u16,
    kind: String,
    headers: String,
    pub(super) body: String,
}

/// Asks for a path, accepting this kind.
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

/// The page of figures as it is now.
pub(super) fn figures(house: &House) -> exposition::Page {
    let answer = ask(house.address(), "GET", "/metrics", "text/plain");
    exposition::read(&answer.body).unwrap_or_else(|why| panic!("{why}:\n{}", answer.body))
}

/// Waits for the figures to be so: they are prepared for many, and may be a moment old.
fn figures_once(house: &House, is_so: impl Fn(&exposition::Page) -> bool) -> exposition::Page {
    let mut page = figures(house);
    house.until("figures", |_| {
        page = figures(house);
        is_so(&page)
    });
    page
}

/// Another program takes the place of the house's, with these variables.
pub(super) fn restart(house: &mut House, more: &[(&str, &str)]) {
    house.kill();
    start(house, more);
}

/// A program with these variables takes the place of one that has ended.
fn start(house: &mut House, more: &[(&str, &str)]) {
    let mut program = house.another_with(more);
    let address = program.address();
    house.take(program, address);
}

/// Somebody between the program and Mission Control.
pub(super) struct Meddler(Server);

impl Meddler {
    /// Changes the answers on their way.
    pub(super) fn between(
        house: &House,
        change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (url, client) = (house.board.url(), agent());
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
