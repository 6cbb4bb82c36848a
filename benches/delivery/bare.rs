//! The bare loop: only the necessary work of a delivery. Its threads make the same HTTP calls in the same order with
//! prepared bodies, and one track always uses the same thread. It keeps, checks and decides nothing.

use std::collections::HashSet;
use std::io::{BufRead, Read, stdin};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::wire::{self, Phases, Roots};
use serde::Deserialize;
use ureq::Agent;

use super::world::{self, ACCOUNT, TOKEN, Track};

/// The maximum that the backend allows: without state there is no reason to request less.
const LIST_LIMIT: usize = 500;

/// The relevant part of a listed row.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(rename = "_id")]
    id: String,
    task_id: String,
    recipient_id: String,
}

#[derive(Deserialize)]
struct Listed {
    value: Vec<Row>,
}

/// The addresses and amounts.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Addresses with ports.
    pub(crate) backend: String,
    pub(crate) gateway: String,
    pub(crate) workers: usize,
    /// Bytes of a turn's request.
    pub(crate) turn_bytes: usize,
}

impl Plan {
    /// The arguments for this program's command line.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let numbers = [self.workers, self.turn_bytes].map(|number| number.to_string());
        ["bare".to_owned(), self.backend.clone(), self.gateway.clone()].into_iter().chain(numbers).collect()
    }

    /// Parses the arguments after `bare`.
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Self {
        let mut next = || args.next().unwrap();
        let (backend, gateway) = (next(), next());
        let mut number = || next().parse().unwrap();
        let (workers, turn_bytes) = (number(), number());
        Self { backend, gateway, workers, turn_bytes }
    }
}

/// A thread's connections to backend and gateway.
struct Way {
    agent: Agent,
    call: String,
    turn: String,
    /// Padding that brings a turn's request to its real size.
    filling: String,
    answer: Vec<u8>,
}

impl Way {
    fn new(plan: &Plan, roots: &Roots) -> Self {
        let base = BaseUrl::parse(&format!("http://{}", plan.backend)).unwrap();
        let long = Duration::from_mins(2);
        let phases = Phases {
            connect: Duration::from_secs(10),
            send: Duration::from_secs(30),
            answer: long,
            body: long,
            idle: Duration::from_secs(25),
            // One connection for each side.
            idle_connections: 2,
        };
        Self {
            agent: wire::agent(&base, roots, &phases),
            call: base.join("/api/action"),
            turn: format!("http://{}/v1/responses", plan.gateway),
            filling: "x".repeat(plan.turn_bytes),
            answer: Vec::with_capacity(64 * 1024),
        }
    }

    fn read(&mut self, response: ureq::http::Response<ureq::Body>) -> &[u8] {
        assert_eq!(response.status(), 200);
        self.answer.clear();
        response.into_body().into_reader().read_to_end(&mut self.answer).unwrap();
        &self.answer
    }

    /// One call of the backend, whose reply is read completely.
    fn call(&mut self, name: &str, args: &str) -> &[u8] {
        let body = format!(
            r#"{{"path":"service/actions:{name}","format":"json","args":[{{"accountId":"{ACCOUNT}","serviceToken":"{TOKEN}",{args}}}]}}"#
        );
        let request = self.agent.post(&self.call).header("Content-Type", "application/json");
        let request = request.header("Accept", "application/json").header("Content-Length", body.len());
        let response = request.send(body.as_bytes()).unwrap();
        self.read(response)
    }

    /// One turn, whose stream is read completely. Returns the agent's text.
    fn turn(&mut self, track: Track) -> String {
        let slug = world::slug(track.agent);
        let head = format!(r#"{{"model":"openclaw/{slug}","stream":true,"input":""#);
        let left = self.filling.len().saturating_sub(head.len() + 2);
        let body = [&head, &self.filling[..left], r#""}"#].concat();
        let request = self.agent.post(&self.turn).header("Content-Type", "application/json");
        let request = request.header("Accept", "text/event-stream").header("Content-Length", body.len());
        let request =
            request.header("x-openclaw-agent-id", slug).header("x-openclaw-session-key", track.session());
        let response = request.send(body.as_bytes()).unwrap();
        let stream = self.read(response);
        let mark = br#""delta":""#;
        let from = stream.windows(mark.len()).position(|window| window == mark).unwrap() + mark.len();
        let length = stream[from..].iter().position(|byte| *byte == b'"').unwrap();
        String::from_utf8_lossy(&stream[from..from + length]).into_owned()
    }

    fn deliver(&mut self, row: &Row, track: Track) {
        let (id, task, agent) = (&row.id, &row.task_id, &row.recipient_id);
        let named = format!(r#""notificationId":"{id}""#);
        self.call("getNotificationForDelivery", &named);
        self.call("markNotificationRead", &named);
        let said = self.turn(track);
        let message = format!(
            r#""taskId":"{task}","agentId":"{agent}","content":"{said}","suppressAgentNotifications":false,"sourceNotificationId":"{id}""#
        );
        self.call("createMessageFromAgent", &message);
        self.call("markNotificationDelivered", &named);
    }
}

/// Reads numbers from its input, one per line, and delivers that many rows for each. Ends with its input.
pub(crate) fn serve(plan: &Plan) {
    let roots = Roots::load(None).unwrap_or_else(|why| panic!("{why}"));
    let (finished, ended) = unbounded();
    let workers: Vec<Sender<(Row, Track)>> = (0..plan.workers)
        .map(|_| {
            let (give, take): (_, Receiver<(Row, Track)>) = unbounded();
            let (mut way, finished) = (Way::new(plan, &roots), finished.clone());
            let work = move || {
                for (row, track) in take {
                    way.deliver(&row, track);
                    finished.send(()).unwrap();
                }
            };
            thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap();
            give
        })
        .collect();
    let mut way = Way::new(plan, &roots);
    let mut given = HashSet::new();
    println!("ready");
    for line in stdin().lock().lines() {
        let count: usize = line.unwrap().trim().parse().unwrap();
        let (mut out, mut done) = (0, 0);
        while done < count {
            // The next list is requested when half of the last one is done.
            if out < count && out - done <= LIST_LIMIT / 2 {
                let answer = way.call("listUndeliveredNotifications", &format!(r#""limit":{LIST_LIMIT}"#));
                let listed: Listed = serde_json::from_slice(answer).unwrap();
                for row in listed.value {
                    let number = |id: &str| world::number(id).unwrap();
                    let track = Track { task: number(&row.task_id), agent: number(&row.recipient_id) };
                    if given.insert(row.id.clone()) {
                        workers[track.task % workers.len()].send((row, track)).unwrap();
                        out += 1;
                    }
                }
                if out == 0 {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
            }
            ended.recv().unwrap();
            done += 1;
        }
    }
}
