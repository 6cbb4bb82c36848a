//! A proxy in front of a gateway that loses answers: the gateway's answer is read to its end, so the gateway considers it
//! delivered, and the client gets only its beginning.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The number of bytes of a lost answer that pass: its head, and not its first word.
const PASSING_BYTES: usize = 300;
/// How the request of a turn begins, how an answer to it begins, and how that answer ends. A refusal is no answer: a gateway that
/// wants tools in another shape refuses the first request.
const TURN: &[u8] = b"POST /v1/responses ";
const ANSWER: &[u8] = b"HTTP/1.1 200";
const END: &[u8] = b"data: [DONE]";

/// The running proxy. It stops when this value is dropped.
pub struct LossyProxy {
    address: SocketAddr,
    state: Arc<ProxyState>,
}

/// Which answers are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Losses {
    /// The number of turns whose answers pass first.
    pub after: usize,
    /// The number of turns after them whose answers are lost.
    pub count: usize,
}

struct ProxyState {
    /// Host and port of the gateway.
    to: String,
    /// Answers that still pass before the first loss.
    passing: AtomicUsize,
    /// Answers that are still to be lost.
    losses: AtomicUsize,
    is_ended: AtomicBool,
}

impl LossyProxy {
    /// Starts a proxy for the gateway at this address, which begins with `http://`.
    pub fn start(url: &str, losses: Losses) -> io::Result<Self> {
        let to = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/').to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let (passing, losses) = (AtomicUsize::new(losses.after), AtomicUsize::new(losses.count));
        let state = Arc::new(ProxyState { to, passing, losses, is_ended: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        thread::Builder::new().name("lossy-proxy".to_owned()).spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.is_ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.carry(client));
            }
        })?;
        Ok(Self { address, state })
    }

    /// Its address for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of answers that are still to be lost.
    pub fn left(&self) -> usize {
        self.state.losses.load(Ordering::SeqCst)
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        self.state.is_ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts. If that fails, the thread has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

impl ProxyState {
    /// Carries one connection until either side closes it.
    fn carry(self: &Arc<Self>, mut client: TcpStream) {
        let Ok(mut gateway) = TcpStream::connect(&self.to) else { return };
        let (Ok(to), Ok(from)) = (client.try_clone(), gateway.try_clone()) else { return };
        let carried = Arc::new(Carried::default());
        let back = {
            let (state, carried) = (Arc::clone(self), Arc::clone(&carried));
            thread::spawn(move || state.carry_answers(from, to, &carried))
        };
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            // The client sends the head of a request in one piece.
            if buffer[..count].starts_with(TURN) {
                carried.awaits_answer.store(true, Ordering::SeqCst);
            }
            if gateway.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if !carried.is_losing.load(Ordering::SeqCst) {
            // It fails if the gateway has closed the connection already.
            let _ = gateway.shutdown(Shutdown::Both);
        }
        // A panic there ends only this connection.
        let _ = back.join();
    }

    /// Carries the answers of one connection, until one of them is lost.
    fn carry_answers(&self, mut from: TcpStream, mut to: TcpStream, carried: &Carried) {
        let (mut buffer, mut lost) = ([0; 16 * 1024], Vec::new());
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if carried.awaits_answer.swap(false, Ordering::SeqCst) && buffer[..count].starts_with(ANSWER) {
                let is_lost = !take_one(&self.passing) && take_one(&self.losses);
                carried.is_losing.store(is_lost, Ordering::SeqCst);
            }
            if !carried.is_losing.load(Ordering::SeqCst) {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
                continue;
            }
            let passes = PASSING_BYTES.saturating_sub(lost.len()).min(count);
            // The gateway is read to the end, even if the client is gone.
            let _ = to.write_all(&buffer[..passes]);
            let before = lost.len().saturating_sub(END.len());
            lost.extend_from_slice(&buffer[..count]);
            if lost[before..].windows(END.len()).any(|window| window == END) {
                break;
            }
        }
        // Either side may be closed already.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}

/// The state of one connection.
#[derive(Default)]
struct Carried {
    /// A turn was sent, and its answer has not begun.
    awaits_answer: AtomicBool,
    /// The present answer is lost.
    is_losing: AtomicBool,
}

/// Subtracts one. `false` if nothing is left.
fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
