//! A double of the Machines API that is as awkward as the real one: a stop is answered before the machine has stopped, a
//! deletion before it is gone, a volume stays bound to a deleted machine and listed after it was deleted, and answers get
//! lost. Delays are counted in requests, so that a test needs no clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mission_control_runtime::http::message::{Method, Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::provision::fly::{AppName, Fly, FlyLimits};
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};
use serde_json::{Value, json};

pub(super) const APP: &str = "agents-eu";
pub(super) const TOKEN: &str = "fly-s3cr3t-c4n4ry";

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
}

/// A machine of the double.
#[derive(Clone, Debug)]
pub(super) struct FakeMachine {
    pub(super) name: String,
    pub(super) state: String,
    created_at: String,
    volume: Option<String>,
    cordoned: bool,
    /// How many more looks show it before it has stopped, or is gone.
    looks_left: u32,
}

/// A volume of the double.
#[derive(Clone, Debug)]
pub(super) struct FakeVolume {
    name: String,
    pub(super) machine: Option<String>,
    /// How many more deletions are refused because it is still bound.
    bound_left: u32,
    /// How many more lists show it after it was deleted.
    listed_left: Option<u32>,
    created_at: String,
}

/// The book of the double.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) machines: BTreeMap<String, FakeMachine>,
    pub(super) volumes: BTreeMap<String, FakeVolume>,
    /// `METHOD path?query`, in order.
    pub(super) requests: Vec<String>,
    /// The environments and authorizations that were sent.
    pub(super) bodies: Vec<Value>,
    pub(super) created: u32,
    /// Faults by the number of the request, from 1.
    pub(super) faults: BTreeMap<usize, Fault>,
    /// Faults of every request whose line contains the text.
    pub(super) always: Vec<(&'static str, Fault)>,
    /// A stop is seen after this many looks.
    pub(super) stop_looks: u32,
    /// A deletion is seen after this many looks.
    pub(super) delete_looks: u32,
    /// A volume stays bound for this many deletions.
    pub(super) bound: u32,
    /// A volume is listed this many times after it was deleted.
    pub(super) listed: u32,
    /// Whether the list of machines is empty although there are some.
    pub(super) hides_machines: bool,
    /// A machine with this name and volume appears after the first request that contains the text.
    pub(super) appears_after: Option<(&'static str, &'static str, String)>,
    /// The seconds of the header `Retry-After` of every 429.
    pub(super) retry_after: Option<u32>,
    next: u32,
}

/// The double, on a loopback port.
pub(super) struct MachinesApi {
    server: Server,
    book: Arc<Mutex<Book>>,
}

impl MachinesApi {
    pub(super) fn start() -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let shared = book.clone();
        let server =
            Server::bind("127.0.0.1:0", ServerLimits::default(), move |request| answer(&shared, &request))
                .unwrap();
        Self { server, book }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// A machine, and its id.
    pub(super) fn machine(&self, name: &str, state: &str) -> String {
        self.book().add(name, state, "2026-11-01T00:00:00Z")
    }

    /// A machine with a volume; the ids of both.
    pub(super) fn machine_with_volume(&self, name: &str, state: &str) -> (String, String) {
        let mut book = self.book();
        let id = book.add(name, state, "2026-11-01T00:00:00Z");
        let volume = book.add_volume("openclaw_data_1", Some(&id), "2026-11-01T00:00:00Z");
        (id, volume)
    }

    pub(super) fn client(&self) -> Fly {
        self.client_of(APP, TOKEN)
    }

    pub(super) fn client_of(&self, app: &str, token: &str) -> Fly {
        let limits = FlyLimits {
            request: Duration::from_secs(10),
            retry_pause: Duration::from_millis(1),
            attempts: 4,
            stopping: Duration::from_millis(400),
            ending: Duration::from_millis(400),
            volumes: Duration::from_millis(400),
            look: Duration::from_millis(1),
        };
        let base = BaseUrl::parse(&self.url()).unwrap();
        let app = AppName::parse(app).unwrap();
        Fly::new(base, &Secret::new(token), app, &Roots::load(None).unwrap(), limits, &Stop::new())
    }
}

impl Book {
    pub(super) fn add(&mut self, name: &str, state: &str, created_at: &str) -> String {
        self.next += 1;
        let id = format!("m{}", self.next);
        let machine = FakeMachine {
            name: name.to_owned(),
            state: state.to_owned(),
            created_at: created_at.to_owned(),
            volume: None,
            cordoned: false,
            looks_left: 0,
        };
        self.machines.insert(id.clone(), machine);
        id
    }

    pub(super) fn add_volume(&mut self, name: &str, machine: Option<&str>, created_at: &str) -> String {
        self.next += 1;
        let id = format!("vol_{}", self.next);
        let volume = FakeVolume {
            name: name.to_owned(),
            machine: machine.map(str::to_owned),
            bound_left: self.bound,
            listed_left: None,
            created_at: created_at.to_owned(),
        };
        if let Some(machine) = machine {
            self.machines.get_mut(machine).unwrap().volume = Some(id.clone());
        }
        self.volumes.insert(id.clone(), volume);
        id
    }

    /// A machine without an id.
    pub(super) fn add_nameless(&mut self) {
        let id = self.add("nameless", "stopped", "2026-11-01T00:00:00Z");
        let machine = self.machines.remove(&id).unwrap();
        self.machines.insert(String::new(), machine);
    }

    /// The machines that exist and cost money.
    pub(super) fn live_machines(&self) -> Vec<&str> {
        let live = self.machines.iter().filter(|(_, machine)| machine.state != "destroyed");
        live.map(|(id, _)| id.as_str()).collect()
    }

    /// The volumes that exist and cost money.
    pub(super) fn live_volumes(&self) -> Vec<&str> {
        let live = self.volumes.iter().filter(|(_, volume)| volume.listed_left.is_none());
        live.map(|(id, _)| id.as_str()).collect()
    }

    /// The requests that change something.
    pub(super) fn changes(&self) -> Vec<&str> {
        self.requests.iter().map(String::as_str).filter(|line| !line.starts_with("GET")).collect()
    }

    /// One look at a machine: what was ordered comes true after some of them.
    fn look(&mut self, id: &str) -> Option<Value> {
        let machine = self.machines.get_mut(id)?;
        if machine.looks_left > 0 {
            machine.looks_left -= 1;
        } else if machine.state == "stopping" {
            "stopped".clone_into(&mut machine.state);
        } else if machine.state == "destroying" {
            "destroyed".clone_into(&mut machine.state);
        }
        Some(shown(id, machine))
    }
}

fn shown(id: &str, machine: &FakeMachine) -> Value {
    let mounts: Vec<Value> =
        machine.volume.iter().map(|volume| json!({"volume": volume, "path": "/data"})).collect();
    json!({
        "id": id,
        "name": machine.name,
        "state": machine.state,
        "region": "fra",
        "instance_id": format!("01{id}"),
        "created_at": machine.created_at,
        "config": {"image": "registry/worker:1", "mounts": mounts},
        "host_status": "ok",
    })
}

fn error(status: u16, words: &str) -> Reply {
    Reply::json(json!({"error": words}).to_string()).with_status(status)
}

fn answer(book: &Mutex<Book>, request: &Request) -> Reply {
    let mut book = book.lock().unwrap();
    let line = format!("{} {}", request.method(), request.target());
    book.requests.push(line.clone());
    let number = book.requests.len();
    let always = book.always.iter().find(|(part, _)| line.contains(part)).map(|(_, fault)| *fault);
    let fault = book.faults.get(&number).copied().or(always);
    match fault {
        Some(Fault::Refused(429)) => {
            let reply = Reply::text("slow down").with_status(429);
            return match book.retry_after {
                Some(seconds) => reply.with_header("Retry-After", &seconds.to_string()),
                None => reply,
            };
        }
        Some(Fault::Refused(status)) => return error(status, "a fault of the test"),
        Some(Fault::RequestLost) => return Reply::abrupt(""),
        Some(Fault::AnswerLost | Fault::DoneAnd500) | None => {}
    }
    let reply = route(&mut book, request);
    if let Some((_, name, volume)) = book.appears_after.take_if(|(part, ..)| line.contains(*part)) {
        let id = book.add(name, "started", "2026-11-01T00:00:00Z");
        // Only the machine names the volume.
        book.machines.get_mut(&id).unwrap().volume = Some(volume);
    }
    match fault {
        Some(Fault::AnswerLost) => Reply::abrupt(""),
        Some(Fault::DoneAnd500) => error(500, "internal server error"),
        _ => reply,
    }
}

fn route(book: &mut Book, request: &Request) -> Reply {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return error(401, "unauthorized");
    }
    let path = request.path().into_owned();
    let Some(rest) = path.strip_prefix(&format!("/v1/apps/{APP}")) else {
        return error(404, "app not found");
    };
    let parts: Vec<&str> = rest.split('/').skip(1).collect();
    match (request.method(), parts.as_slice()) {
        (Method::Get, []) => Reply::json(json!({"id": "a1", "name": APP, "status": "deployed"}).to_string()),
        (Method::Get, ["machines"]) => list(book),
        (Method::Post, ["machines"]) => create(book, request),
        (Method::Get, ["machines", id]) => match book.look(id) {
            Some(row) if row["state"] != "destroyed" => Reply::json(row.to_string()),
            _ => error(404, "machine not found"),
        },
        (Method::Get, ["machines", id, "wait"]) => wait(book, id, request.query().unwrap_or_default()),
        (Method::Post, ["machines", id, "cordon"]) => act(book, id, request, |machine| {
            machine.cordoned = true;
        }),
        (Method::Post, ["machines", id, "stop"]) => {
            let looks = book.stop_looks;
            act(book, id, request, |machine| {
                if machine.state == "started" {
                    (machine.state, machine.looks_left) = ("stopping".to_owned(), looks);
                }
            })
        }
        (Method::Delete, ["machines", id]) => delete(book, id, request.query() == Some("force=true")),
        (Method::Get, ["volumes"]) => list_volumes(book),
        (Method::Delete, ["volumes", id]) => delete_volume(book, id),
        _ => error(404, "page not found"),
    }
}

fn list(book: &mut Book) -> Reply {
    let ids: Vec<String> = book.machines.keys().cloned().collect();
    let rows = ids.iter().filter_map(|id| book.look(id));
    let rows: Vec<Value> = rows.filter(|row| row["state"] != "destroyed").collect();
    Reply::json(if book.hides_machines { "[]".to_owned() } else { Value::from(rows).to_string() })
}

fn create(book: &mut Book, request: &Request) -> Reply {
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    let name = body["name"].as_str().unwrap().to_owned();
    book.bodies.push(body);
    let taken =
        book.machines.iter().find(|(_, machine)| machine.name == name && machine.state != "destroyed");
    if let Some((id, _)) = taken {
        return error(
            409,
            &format!("already_exists: unique machine name violation, machine ID {id} already exists"),
        );
    }
    let id = book.add(&name, "created", "2026-11-20T10:00:00Z");
    book.created += 1;
    Reply::json(shown(&id, &book.machines[&id]).to_string())
}

/// An order for a machine, whose body must be nothing or an object.
fn act(book: &mut Book, id: &str, request: &Request, act: impl FnOnce(&mut FakeMachine)) -> Reply {
    let is_object = serde_json::from_slice::<Value>(request.body()).is_ok_and(|body| body.is_object());
    if !request.body().is_empty() && !is_object {
        return error(400, "invalid_argument: body");
    }
    match book.machines.get_mut(id).filter(|machine| machine.state != "destroyed") {
        Some(machine) => {
            act(machine);
            Reply::json(r#"{"ok":true}"#)
        }
        None => error(404, "machine not found"),
    }
}

fn wait(book: &mut Book, id: &str, query: &str) -> Reply {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let seconds: u32 = value("timeout").unwrap_or("60").parse().unwrap_or(0);
    if !(1..=60).contains(&seconds) || value("state") != Some("stopped") || value("instance_id").is_none() {
        return error(400, "invalid_argument: wait");
    }
    match book.look(id) {
        Some(row) if row["state"] == "stopped" => Reply::json(r#"{"ok":true}"#),
        Some(row) if row["state"] == "destroyed" => error(404, "machine not found"),
        Some(_) => error(408, "deadline_exceeded: machine is still stopping"),
        None => error(404, "machine not found"),
    }
}

fn delete(book: &mut Book, id: &str, force: bool) -> Reply {
    let looks = book.delete_looks;
    match book.machines.get_mut(id).filter(|machine| machine.state != "destroyed") {
        None => error(404, "machine not found"),
        Some(machine) if machine.state == "destroying" => Reply::json(r#"{"ok":true}"#),
        Some(machine) => {
            let may =
                force || matches!(machine.state.as_str(), "stopped" | "suspended" | "failed" | "created");
            if !may {
                return error(412, "failed_precondition: unable to destroy machine, not currently stopped");
            }
            (machine.state, machine.looks_left) = ("destroying".to_owned(), looks);
            Reply::json(r#"{"ok":true}"#)
        }
    }
}

fn list_volumes(book: &mut Book) -> Reply {
    let mut rows = Vec::new();
    for (id, volume) in &mut book.volumes {
        match &mut volume.listed_left {
            Some(0) => continue,
            Some(left) => *left -= 1,
            None => {}
        }
        rows.push(json!({
            "id": id,
            "name": volume.name,
            "state": "created",
            "region": "fra",
            "attached_machine_id": volume.machine,
            "created_at": volume.created_at,
        }));
    }
    Reply::json(Value::from(rows).to_string())
}

fn delete_volume(book: &mut Book, id: &str) -> Reply {
    let listed = book.listed;
    let machine = book.volumes.get(id).and_then(|volume| volume.machine.clone());
    let lives = machine
        .as_ref()
        .and_then(|id| book.machines.get(id))
        .is_some_and(|machine| !matches!(machine.state.as_str(), "destroying" | "destroyed"));
    match book.volumes.get_mut(id).filter(|volume| volume.listed_left.is_none()) {
        None => error(404, "volume not found"),
        Some(volume) if lives || volume.bound_left > 0 => {
            volume.bound_left = volume.bound_left.saturating_sub(1);
            error(412, "failed_precondition: volume is currently bound to machine")
        }
        Some(volume) => {
            (volume.machine, volume.listed_left) = (None, Some(listed));
            Reply::json(json!({"id": id, "state": "pending_destroy"}).to_string())
        }
    }
}
