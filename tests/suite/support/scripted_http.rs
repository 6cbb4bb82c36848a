//! A server that does to each request exactly what it is told: answers byte for byte, cuts the connection, or stays
//! silent, at any point of the conversation. It keeps count of what it saw.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(2);

/// What happens to one request.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    /// The connection is closed as soon as it is there.
    CutAtOnce,
    /// It is closed when the head has been read.
    CutAfterHead,
    /// It is closed when the head and this many bytes of the body have been read.
    CutInBody(usize),
    /// The request is read, these bytes are written (maybe none), and the connection is closed.
    SendAndCut(Vec<u8>),
    /// The request is read, these bytes are written, and nothing more happens.
    SendAndStall(Vec<u8>),
    /// The connection is accepted and nothing is read.
    StallAtOnce,
    /// The request is read, these bytes are written, and the connection waits for the next request.
    Send(Vec<u8>),
    /// The same in pieces, with this pause before each.
    SendSlowly(Vec<Vec<u8>>, Duration),
    /// The request is read, the first bytes are written, and then the others again and again until the client goes.
    SendForever(Vec<u8>, Vec<u8>),
}

/// A request that was read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The request line and the headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The server. It ends with this value.
pub(crate) struct ScriptedHttp {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// The moves to come; the last one stays.
    moves: Mutex<Vec<Move>>,
    seen: Mutex<Vec<Seen>>,
    /// One more was seen.
    news: Condvar,
    /// The open connections, by the number of their arrival.
    open: Mutex<HashMap<usize, TcpStream>>,
    arrived: AtomicUsize,
    ended: AtomicBool,
}

/// An address that refuses connections: the discard service's, which nobody runs any more.
///
/// A port that was free a moment ago would not do. It is one of those that clients get, and a client that asks for a
/// connection to the very port it was given is connected to itself, and reads its own request as the answer.
pub(crate) struct Refusing(SocketAddr);

impl Refusing {
    pub(crate) fn new() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let why = TcpStream::connect(address).expect_err("nobody runs a discard service here");
        assert_eq!(why.kind(), ErrorKind::ConnectionRefused);
        Self(address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0
    }
}

/// A complete answer with a length.
pub(crate) fn answer(status: u16, body: &str) -> Vec<u8> {
    answer_with(status, "Content-Type: application/json\r\n", body.as_bytes())
}

/// The same with other headers (each ends with CR LF) and any bytes.
pub(crate) fn answer_with(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl ScriptedHttp {
    /// A server for these moves, in this order, one per request; the last is repeated.
    pub(crate) fn start(moves: impl IntoIterator<Item = Move>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let moves = moves.into_iter().collect();
        let state = Arc::new(State {
            moves: Mutex::new(moves),
            seen: Mutex::default(),
            news: Condvar::new(),
            open: Mutex::default(),
            arrived: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let number = shared.arrived.fetch_add(1, Ordering::SeqCst);
                shared.open.lock().unwrap().insert(number, stream.try_clone().unwrap());
                let shared = shared.clone();
                thread::spawn(move || {
                    shared.serve(stream);
                    // Only now is the last handle gone, and the connection closed.
                    shared.open.lock().unwrap().remove(&number);
                });
            }
        });
        Self { address, state }
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a whole request has been read.
    pub(crate) fn wait_for_one(&self) {
        let nothing = |seen: &mut Vec<Seen>| seen.is_empty();
        let seen = self.state.seen.lock().unwrap();
        let seen = self.state.news.wait_timeout_while(seen, PATIENCE, nothing).unwrap().0;
        assert!(!seen.is_empty(), "no request came within {PATIENCE:?}");
    }

    /// The complete requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.arrived.load(Ordering::SeqCst)
    }

    /// Closes all connections, as a front does with idle ones, and goes on serving new ones.
    pub(crate) fn close_connections(&self) {
        for stream in self.state.open.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for ScriptedHttp {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.close_connections();
        // Frees the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn next_move(&self) -> Move {
        let mut moves = self.moves.lock().unwrap();
        if moves.len() > 1 { moves.remove(0) } else { moves[0].clone() }
    }

    /// Serves a connection until a move ends it or the client goes.
    fn serve(&self, mut stream: TcpStream) {
        loop {
            // A move belongs to a request, so it is drawn only when one begins to come, or for a connection that
            // is to be cut before it does.
            let first = { self.moves.lock().unwrap()[0].clone() };
            match first {
                Move::CutAtOnce => {
                    self.next_move();
                    return;
                }
                Move::StallAtOnce => {
                    self.next_move();
                    return wait_for_end(&stream);
                }
                _ => {}
            }
            let mut bytes = Vec::new();
            let Some(head_end) = read_head(&mut stream, &mut bytes) else { return };
            let now = self.next_move();
            let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
            let length = content_length(&head);
            let wanted = match now {
                Move::CutAfterHead => return,
                Move::CutInBody(count) => head_end + count.min(length),
                _ => head_end + length,
            };
            let mut chunk = [0; 16 * 1024];
            while bytes.len() < wanted {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => return,
                    Ok(count) => bytes.extend_from_slice(&chunk[..count]),
                }
            }
            if matches!(now, Move::CutInBody(_)) {
                return;
            }
            let body = String::from_utf8_lossy(&bytes[head_end..]).into_owned();
            self.seen.lock().unwrap().push(Seen { head, body });
            self.news.notify_all();
            match now {
                Move::Send(answer) => {
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
                Move::SendSlowly(pieces, pause) => {
                    for piece in pieces {
                        thread::sleep(pause);
                        if stream.write_all(&piece).is_err() {
                            return;
                        }
                    }
                }
                Move::SendForever(first, again) => {
                    let mut going = stream.write_all(&first);
                    while going.is_ok() {
                        going = stream.write_all(&again);
                    }
                    return;
                }
                Move::SendAndCut(answer) => {
                    let _ = stream.write_all(&answer);
                    return;
                }
                Move::SendAndStall(answer) => {
                    let _ = stream.write_all(&answer);
                    return wait_for_end(&stream);
                }
                Move::CutAtOnce | Move::StallAtOnce | Move::CutAfterHead | Move::CutInBody(_) => return,
            }
        }
    }
}

/// Holds the connection until the client, or the end of the server, closes it.
fn wait_for_end(stream: &TcpStream) {
    while let Ok(count) = stream.peek(&mut [0]) {
        if count == 0 {
            return;
        }
        // Unread bytes make a peek return at once.
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads until the blank line; where the body begins, or nothing if the client went.
fn read_head(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<usize> {
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Some(at + 4);
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn content_length(head: &str) -> usize {
    let value =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    value.map_or(0, |value| value.trim().parse().unwrap())
}
