//! A proxy in front of Mission Control that breaks calls on purpose. It reads whole requests and whole answers, so it
//! knows which function is called and where an answer can be cut.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// The request does not arrive, and the connection ends.
    DropBefore,
    /// The function runs, and the connection ends without an answer.
    DropAfter,
    /// The function runs, and the connection ends in the middle of the answer.
    Truncate,
    /// The request arrives this much later.
    LateRequest(Duration),
    /// The function runs, and the answer leaves this much later.
    LateAnswer(Duration),
}

/// Decides what happens to a call of this function with these arguments.
pub(crate) type Plan = Box<dyn Fn(&str, &Value) -> Option<Break> + Send + Sync>;

/// Enough for nested JSON in a debug build.
const STACK_BYTES: usize = 512 * 1024;

/// The proxy. It ends with this value.
pub(crate) struct Faulty {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    late: Arc<Late>,
}

/// How many requests are held back.
#[derive(Default)]
struct Late {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Late {
    fn add(&self, change: isize) {
        let mut count = self.count.lock().unwrap();
        *count = count.checked_add_signed(change).unwrap();
        self.changed.notify_all();
    }
}

impl Faulty {
    /// To the backend at this URL.
    pub(crate) fn to(url: &str, plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let backend: Arc<str> = url.strip_prefix("http://").unwrap().into();
        let (plan, ended, late) = (Arc::new(plan), Arc::new(AtomicBool::new(false)), Arc::<Late>::default());
        let (over, held) = (Arc::clone(&ended), Arc::clone(&late));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (backend, plan, held) = (Arc::clone(&backend), Arc::clone(&plan), Arc::clone(&held));
                let serve = move || while_open(&client, &backend, &plan, &held);
                thread::Builder::new().stack_size(STACK_BYTES).spawn(serve).unwrap();
            }
        });
        Self { address, ended, late }
    }

    /// Waits until no request is held back any more.
    pub(crate) fn has_delivered_all(&self) {
        let held = self.late.count.lock().unwrap();
        drop(self.late.changed.wait_while(held, |count| *count > 0).unwrap());
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves one connection until it ends or is broken.
fn while_open(client: &TcpStream, backend: &str, plan: &Plan, late: &Late) {
    let mut reader = BufReader::new(client);
    while let Some(request) = message(&mut reader) {
        let fault = called(&request.body).and_then(|(function, args)| plan(&function, &args));
        match fault {
            Some(Break::DropBefore) => break,
            Some(Break::LateRequest(delay)) => {
                late.add(1);
                thread::sleep(delay);
            }
            _ => {}
        }
        let answer = forward(backend, &request);
        if matches!(fault, Some(Break::LateRequest(_))) {
            late.add(-1);
        }
        let Some(answer) = answer else { break };
        match fault {
            Some(Break::DropAfter) => break,
            Some(Break::LateAnswer(delay)) => thread::sleep(delay),
            _ => {}
        }
        let kept = if fault == Some(Break::Truncate) { answer.body.len() / 2 } else { answer.body.len() };
        let sent = [&answer.head, &answer.body[..kept]].concat();
        let mut to = client;
        if to.write_all(&sent).is_err() || kept < answer.body.len() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// The backend's answer, over a connection of its own.
fn forward(backend: &str, request: &Message) -> Option<Message> {
    let mut connection = TcpStream::connect(backend).ok()?;
    connection.write_all(&[&request.head[..], &request.body].concat()).ok()?;
    message(&mut BufReader::new(connection))
}

/// A request or an answer.
struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// The next message with its whole body, if the connection still has one.
fn message(from: &mut impl BufRead) -> Option<Message> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let begin = head.len();
        if from.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
        let line = String::from_utf8_lossy(&head[begin..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        assert!(!line.starts_with("transfer-encoding:"), "only bodies with a length are understood");
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(Message { head, body })
}

/// The function that a request calls, without its module, and its arguments.
fn called(body: &[u8]) -> Option<(String, Value)> {
    let mut call: Value = serde_json::from_slice(body).ok()?;
    let function = call["path"].as_str()?.rsplit(':').next()?.to_owned();
    Some((function, call["args"][0].take()))
}
