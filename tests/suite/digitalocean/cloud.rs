//! The double of the API: its book, its faults, and which request goes where. Delays are milliseconds of its own clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use mission_control_runtime::http::message::{Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};
use serde_json::{Value, json};

use crate::support::dice::Dice;

pub(super) const TOKEN: &str = "dop_v1_t0k3n_c4n4ry";

/// The double's 1 December 2026.
const BEGIN_MS: i64 = 1_796_083_200_000;

/// What happens to a request instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The answer has this status, and nothing is done.
    Refused(u16),
    /// It is done, and the answer is lost.
    AnswerLost,
    /// The connection ends before anything is done.
    RequestLost,
    /// It is done, and the answer is an error 500.
    DoneAnd500,
    /// The client dies before the request is sent.
    DiesBefore,
    /// It is done, and the client dies before it reads the answer.
    DiesAfter,
}

/// How awkward the double is. All delays are assumptions.
#[derive(Clone, Debug)]
pub(super) struct Manners {
    /// Until a droplet runs.
    pub(super) boots_ms: i64,
    /// Until lists show a droplet.
    pub(super) lists_ms: i64,
    /// Until a droplet bears the tags of its creation. `None`: never.
    pub(super) tags_ms: Option<i64>,
    /// Until the firewall follows a tag.
    pub(super) firewall_ms: i64,
    /// How long a deleted droplet stays visible.
    pub(super) ends_ms: i64,
    /// Until a droplet that was told to is off. `None`: a shutdown is ignored.
    pub(super) stops_ms: Option<i64>,
    /// The action of the next creation ends `errored`.
    pub(super) next_errs: bool,
    /// The next droplet disappears after it was accepted.
    pub(super) next_vanishes: bool,
    /// How many droplets the account may have.
    pub(super) droplet_limit: u64,
    /// How many requests a minute are allowed.
    pub(super) per_minute: usize,
    /// Whether a 429 has `Retry-After`.
    pub(super) names_pause: bool,
    /// Faults per thousand requests, at random.
    pub(super) faults_per_mille: u64,
    /// What the token may not do: parts of a request line.
    pub(super) forbidden: Vec<&'static str>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            boots_ms: 20_000,
            lists_ms: 8_000,
            tags_ms: Some(12_000),
            firewall_ms: 6_000,
            ends_ms: 70_000,
            stops_ms: Some(15_000),
            next_errs: false,
            next_vanishes: false,
            droplet_limit: 10,
            per_minute: 250,
            names_pause: true,
            faults_per_mille: 0,
            forbidden: Vec::new(),
        }
    }
}

impl Manners {
    /// Without delays, for a program that waits in real time.
    pub(super) fn quick() -> Self {
        Self { boots_ms: 0, lists_ms: 0, tags_ms: Some(0), firewall_ms: 0, ends_ms: 0, ..Self::default() }
    }
}

/// A droplet of the double.
#[derive(Clone, Debug)]
pub(super) struct FakeDroplet {
    pub(super) name: String,
    pub(super) body: Value,
    pub(super) created_ms: i64,
    pub(super) runs_ms: i64,
    pub(super) listed_ms: i64,
    /// When each tag shows.
    pub(super) tags: BTreeMap<String, i64>,
    pub(super) off_ms: Option<i64>,
    /// When it is gone, once that is certain.
    pub(super) gone_ms: Option<i64>,
    pub(super) errs: bool,
    /// Until then another action runs.
    pub(super) busy_ms: i64,
}

/// The book of the double.
pub(super) struct Book {
    pub(super) now_ms: i64,
    /// What the client has said about its waits.
    pub(super) told: Vec<String>,
    pub(super) manners: Manners,
    pub(super) droplets: BTreeMap<u64, FakeDroplet>,
    pub(super) tags: BTreeSet<String>,
    pub(super) firewalls: BTreeMap<String, Value>,
    /// `METHOD path?query`, in order.
    pub(super) requests: Vec<String>,
    /// The bodies of all requests.
    pub(super) bodies: String,
    /// Faults by the number of the request, from 1.
    pub(super) faults: BTreeMap<usize, Fault>,
    /// Faults of every request whose line contains the text.
    pub(super) always: Vec<(&'static str, Fault)>,
    /// The most droplets that existed with one account's tag at the same time.
    pub(super) most_at_once: usize,
    /// How many droplets were ever made.
    pub(super) created: u64,
    /// How many requests were too many.
    pub(super) refused_429: usize,
    /// Whether the requests of an hour are used up: the window opens only after half an hour.
    pub(super) hour_is_used_up: bool,
    recent: VecDeque<i64>,
    recent_keys: VecDeque<i64>,
    dice: Dice,
    pub(super) next_id: u64,
}

/// An answer: status, headers, body.
pub(super) type FakeAnswer = (u16, Vec<(&'static str, String)>, String);

/// What becomes of a request.
pub(super) enum Outcome {
    Answered(FakeAnswer),
    Lost,
    Dies,
}

/// The double. Clones are the same one.
#[derive(Clone)]
pub(super) struct Cloud(Arc<Mutex<Book>>);

impl Cloud {
    pub(super) fn new(seed: u64, manners: Manners) -> Self {
        Self(Arc::new(Mutex::new(Book {
            now_ms: BEGIN_MS,
            told: Vec::new(),
            manners,
            droplets: BTreeMap::new(),
            tags: BTreeSet::new(),
            firewalls: BTreeMap::new(),
            requests: Vec::new(),
            bodies: String::new(),
            faults: BTreeMap::new(),
            always: Vec::new(),
            most_at_once: 0,
            created: 0,
            refused_429: 0,
            hour_is_used_up: false,
            recent: VecDeque::new(),
            recent_keys: VecDeque::new(),
            dice: Dice(seed),
            next_id: 500,
        })))
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// Serves the API on a port of its own.
    pub(super) fn serve(&self) -> Server {
        let cloud = self.clone();
        let answer = move |request: Request| {
            let token = request.header("authorization").unwrap_or_default().to_owned();
            let method = request.method().to_string();
            match cloud.take(&method, request.target(), &token, request.body()) {
                Outcome::Answered((204, ..)) => Reply::empty(204),
                Outcome::Answered((status, headers, body)) => {
                    let reply = Reply::json(body).with_status(status);
                    headers.iter().fold(reply, |reply, (name, value)| reply.with_header(name, value))
                }
                Outcome::Lost | Outcome::Dies => Reply::abrupt(""),
            }
        };
        Server::bind("127.0.0.1:0", ServerLimits::default(), answer).unwrap()
    }

    /// How many droplets were ever made, and how many cost money now.
    pub(super) fn counts(&self) -> (u64, usize) {
        let book = self.book();
        (book.created, book.paid().len())
    }

    /// Takes a request.
    pub(super) fn take(&self, method: &str, target: &str, token: &str, body: &[u8]) -> Outcome {
        let mut book = self.book();
        book.now_ms += 150;
        let line = format!("{method} {target}");
        book.requests.push(line.clone());
        book.bodies.push_str(&String::from_utf8_lossy(body));
        match book.fault(&line) {
            Some(Fault::DiesBefore) => Outcome::Dies,
            Some(Fault::RequestLost) => Outcome::Lost,
            Some(Fault::Refused(status)) => Outcome::Answered(error(status, "a fault of the test")),
            fault => {
                let answer = book.answer(method, target, token, body);
                match fault {
                    Some(Fault::AnswerLost) => Outcome::Lost,
                    Some(Fault::DiesAfter) => Outcome::Dies,
                    Some(Fault::DoneAnd500) => Outcome::Answered(error(500, "internal server error")),
                    _ => Outcome::Answered(answer),
                }
            }
        }
    }
}

pub(super) fn error(status: u16, message: &str) -> FakeAnswer {
    let id = match status {
        400 => "bad_request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        422 => "unprocessable_entity",
        429 => "too_many_requests",
        _ => "server_error",
    };
    (status, Vec::new(), json!({"id": id, "message": message, "request_id": "r-1"}).to_string())
}

pub(super) fn not_found() -> FakeAnswer {
    error(404, "The resource you were accessing could not be found.")
}

pub(super) fn answered(status: u16, body: &Value) -> FakeAnswer {
    (status, Vec::new(), body.to_string())
}

impl Book {
    fn fault(&mut self, line: &str) -> Option<Fault> {
        let number = self.requests.len();
        let always = self.always.iter().find(|(part, _)| line.contains(part)).map(|(_, fault)| *fault);
        if let Some(fault) = self.faults.get(&number).copied().or(always) {
            return Some(fault);
        }
        if self.dice.roll(1000) >= self.manners.faults_per_mille {
            return None;
        }
        let kinds = [
            Fault::Refused(429),
            Fault::Refused(500),
            Fault::Refused(503),
            Fault::AnswerLost,
            Fault::RequestLost,
            Fault::DoneAnd500,
        ];
        Some(kinds[self.dice.index(kinds.len())])
    }

    /// The sliding windows: per minute, and for lists of keys per 60 s.
    fn limited(&mut self, target: &str) -> Option<FakeAnswer> {
        let now = self.now_ms;
        if self.hour_is_used_up {
            let reset_s = now / 1000 + 1_800;
            let headers =
                vec![("ratelimit-remaining", "0".to_owned()), ("ratelimit-reset", reset_s.to_string())];
            return Some((429, headers, "too many requests".to_owned()));
        }
        let (recent, most) = if target.starts_with("/v2/account/keys") {
            (&mut self.recent_keys, 10)
        } else {
            (&mut self.recent, self.manners.per_minute)
        };
        while recent.front().is_some_and(|at| at + 60_000 <= now) {
            recent.pop_front();
        }
        if recent.len() < most {
            recent.push_back(now);
            return None;
        }
        self.refused_429 += 1;
        let oldest_ends_ms = recent.front().map_or(now, |at| at + 60_000);
        let reset_s = oldest_ends_ms.div_euclid(1000) + 1;
        let mut headers =
            vec![("ratelimit-remaining", "0".to_owned()), ("ratelimit-reset", reset_s.to_string())];
        if self.manners.names_pause {
            headers.push(("retry-after", ((oldest_ends_ms - now) / 1000 + 1).to_string()));
        }
        Some((429, headers, "too many requests".to_owned()))
    }

    fn answer(&mut self, method: &str, target: &str, token: &str, body: &[u8]) -> FakeAnswer {
        if token != format!("Bearer {TOKEN}") {
            return error(401, "Unable to authenticate you");
        }
        let line = format!("{method} {target}");
        if self.manners.forbidden.iter().any(|part| line.contains(part)) {
            return error(403, "You are not authorized to perform this operation");
        }
        if let Some(limited) = self.limited(target) {
            return limited;
        }
        self.pass();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: BTreeMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), plain(value)))
            .collect();
        let parts: Vec<String> = path.trim_start_matches("/v2/").split('/').map(plain).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match (method, parts.as_slice()) {
            ("POST", ["droplets"]) => self.create(&body),
            ("GET", ["droplets"]) => self.list_droplets(&query),
            ("GET", ["droplets", id]) => self.show_droplet(id),
            ("DELETE", ["droplets", id]) => self.delete_droplet(id),
            ("POST", ["droplets", id, "actions"]) => self.order(id, &body),
            ("GET", ["droplets", id, "actions", action]) => self.show_action(id, action),
            ("GET", ["droplets", id, "firewalls"]) => self.firewalls_of(id, &query),
            ("POST", ["tags"]) => self.create_tag(&body),
            ("GET", ["tags", name]) => self.show_tag(name),
            ("POST", ["tags", name, "resources"]) => self.tag_resources(name, &body),
            ("POST", ["firewalls"]) => self.create_firewall(&body),
            ("GET", ["firewalls"]) => self.list_firewalls(&query),
            ("PUT", ["firewalls", id]) => self.replace_firewall(id, &body),
            ("GET", _) => self.facts(&parts, &query),
            _ => not_found(),
        }
    }

    /// A page of a list, as the API cuts it.
    pub(super) fn page(field: &str, rows: &[Value], query: &BTreeMap<String, String>) -> FakeAnswer {
        let number = |name: &str, or: usize| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(or);
        let (page, size) = (number("page", 1), number("per_page", 20).clamp(1, 200));
        let shown: Vec<Value> = rows.iter().skip((page - 1) * size).take(size).cloned().collect();
        let mut links = json!({});
        if page * size < rows.len() {
            // On the real host, which nobody may follow.
            let next = format!("https://api.digitalocean.com/v2/{field}?page={}&per_page={size}", page + 1);
            links = json!({"pages": {"next": next, "last": next}});
        }
        let mut answer = json!({"links": links, "meta": {"total": rows.len()}});
        answer[field] = Value::from(shown);
        answered(200, &answer)
    }

    /// The names of the droplets that exist and cost money.
    pub(super) fn paid(&self) -> Vec<&str> {
        let alive =
            self.droplets.values().filter(|droplet| droplet.gone_ms.is_none_or(|at| at > self.now_ms));
        alive.map(|droplet| droplet.name.as_str()).collect()
    }

    /// The requests that change something.
    pub(super) fn changes(&self) -> Vec<&str> {
        self.requests.iter().map(String::as_str).filter(|line| !line.starts_with("GET")).collect()
    }
}

/// The text of an escaped part of an address.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = (*first == b'%').then(|| after.get(..2)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[2..];
            }
            None => plain.push(*first),
        }
    }
    String::from_utf8(plain).unwrap()
}
