//! The HTTP server under attack. "Notes" are the measured failures of another server (§5) and the rules derived from
//! them (§6). Each test names the one it proves.

/// The attacks, each while a prober keeps requesting `/health`.
mod attacks;
/// Bodies: lengths, chunks, limits.
mod bodies;
/// The child process of tests that need one.
mod child;
/// Many clients at once: places, eviction, resets, descriptors.
mod crowds;
/// One client on one connection: order, keep-alive, `HEAD`, HTTP/1.0.
mod exchanges;
/// Malformed requests.
mod malformed;
/// The memory of connections.
mod memory;
/// Slow clients, and stopping.
mod patience;
/// The latency of `/health` during an attack.
mod prober;
/// Replies that are streams.
mod streams;
/// Connections that switch to another protocol.
mod switched;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::wait::until as wait_until;
use mission_control_runtime::http::message::{Method, Reply, Request};
use mission_control_runtime::http::server::{Server, ServerLimits};

/// No reply within this time is a failure. Nothing here takes that long, even on a loaded machine.
const GUARD: Duration = Duration::from_mins(1);
/// A request for the route that must always answer.
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n";

/// Deadlines that no client of a test misses, even on a loaded machine.
fn long_limits() -> ServerLimits {
    let linger_time = Duration::from_secs(2);
    let patience = Duration::from_millis(100);
    ServerLimits {
        head_time: GUARD,
        body_time: GUARD,
        write_time: GUARD,
        idle_time: GUARD,
        linger_time,
        patience,
        ..ServerLimits::default()
    }
}

/// Deadlines short enough for a test that waits for their end.
fn short_limits() -> ServerLimits {
    ServerLimits {
        head_time: Duration::from_millis(400),
        body_time: Duration::from_millis(400),
        write_time: Duration::from_millis(400),
        linger_time: Duration::from_millis(200),
        patience: Duration::from_millis(100),
        ..ServerLimits::default()
    }
}

fn serve(limits: ServerLimits) -> Server {
    Server::bind("127.0.0.1:0", limits, |request| routes(&request)).unwrap()
}

/// More bytes than the kernel buffers for a client that does not read.
static LARGE: [u8; 3_000_000] = [b'x'; 3_000_000];

/// The routes of most tests.
fn routes(request: &Request) -> Reply {
    match request.path().as_ref() {
        "/health" | "/livez" => Reply::json(r#"{"status":"ok"}"#).no_store(),
        "/page" => Reply::html(vec![b'x'; 60_000]),
        "/echo" => Reply::text(format!("{} {:?}", request.method(), String::from_utf8_lossy(request.body()))),
        "/length" => Reply::text(request.body().len().to_string()),
        "/target" => Reply::text(request.target().to_owned()),
        "/large" => Reply::whole("application/octet-stream", LARGE.as_slice()),
        "/nothing" => Reply::empty(204),
        "/json" => match serde_json::from_slice::<serde_json::Value>(request.body()) {
            Ok(_) => Reply::json("true"),
            Err(_) => Reply::error(400, "Invalid JSON body"),
        },
        "/panic" => panic!("this handler always panics (the test wants it to)"),
        "/stream" => Reply::events(|sink| {
            sink.send(b"data: 1\n\n")?;
            sink.send(b"")?;
            sink.send(b"data: 2\n\n")
        }),
        _ => Reply::error(404, "Not Found"),
    }
}

/// One connection to a server.
struct Client {
    stream: BufReader<TcpStream>,
}

/// One reply as a client receives it.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, GUARD).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.set_write_timeout(Some(GUARD)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.socket().write_all(bytes.as_ref()).unwrap();
        self
    }

    /// The reply. Its absence is a failure.
    fn answer(&mut self) -> Answer {
        self.answer_or_end(&Method::Get).expect("an answer, not the end of the connection")
    }

    fn answer_to_head(&mut self) -> Answer {
        self.answer_or_end(&Method::Head).expect("an answer, not the end of the connection")
    }

    /// The reply, or `None` if the connection ended without one. Half a reply is a failure.
    fn answer_or_end(&mut self, method: &Method) -> Option<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match self.stream.read_line(&mut head) {
                Ok(1..) => {}
                Ok(0) if head.is_empty() => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset && head.is_empty() => return None,
                end => panic!("after {head:?} came {end:?}"),
            }
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        let mut answer = Answer { status, head, body: String::new() };
        if *method != Method::Head {
            answer.body = self.body_of(&answer);
        }
        Some(answer)
    }

    fn body_of(&mut self, answer: &Answer) -> String {
        let mut body = Vec::new();
        if let Some(length) = answer.header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body).unwrap();
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let (mut size, mut end) = (String::new(), [0; 2]);
                self.stream.read_line(&mut size).unwrap();
                let mut chunk = vec![0; usize::from_str_radix(size.trim_end(), 16).unwrap()];
                self.stream.read_exact(&mut chunk).unwrap();
                self.stream.read_exact(&mut end).unwrap();
                if chunk.is_empty() {
                    break;
                }
                body.extend(chunk);
            }
        } else if answer.status >= 200 && answer.status != 204 {
            self.stream.read_to_end(&mut body).unwrap();
        }
        String::from_utf8(body).unwrap()
    }

    fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).answer()
    }

    /// Waits for the server to close the connection. Any further bytes are a failure.
    fn expect_end(&mut self) {
        match self.stream.read(&mut [0; 1]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            more => panic!("expected the end of the connection, not {more:?}"),
        }
    }

    fn expect_health(&mut self) {
        assert_eq!(self.ask(HEALTH).status, 200);
    }
}

/// A gate at which handlers wait, and a handler that waits at it.
fn gate() -> (Arc<Gate>, impl Fn(Request) -> Reply + Send + Sync + 'static) {
    let gate = Arc::new(Gate::default());
    let handlers = Arc::clone(&gate);
    (gate, move |request: Request| {
        if request.path() == "/gate" {
            handlers.pass();
        }
        routes(&request)
    })
}

/// Closed until it is opened.
#[derive(Default)]
struct Gate {
    state: std::sync::Mutex<(usize, bool)>,
    changed: std::sync::Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        let (state, late) = self.changed.wait_timeout_while(state, GUARD, |(_, open)| !*open).unwrap();
        drop(state);
        assert!(!late.timed_out(), "the gate was not opened in time");
    }

    /// Waits until this many handlers wait at the gate.
    fn await_waiting(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let (state, late) =
            self.changed.wait_timeout_while(state, GUARD, |(waiting, _)| *waiting < count).unwrap();
        assert!(!late.timed_out(), "{} of {count} reached the gate", state.0);
    }

    fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

const GATE: &[u8] = b"GET /gate HTTP/1.1\r\nHost: h\r\n\r\n";
