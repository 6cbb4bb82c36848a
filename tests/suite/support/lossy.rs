//! The way between a client and a gateway that loses answers: the gateway is read to the end of its answer, so for it
//! everything went well, and the client gets only the beginning.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// So much of a lost answer passes: its head, and not its first word.
const PASSES: usize = 300;
/// What a turn begins with, and its answer ends with.
const TURN: &[u8] = b"POST /v1/responses ";
const END: &[u8] = b"data: [DONE]";

/// The way; it ends with this value.
pub(crate) struct Lossy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: String,
    /// Answers that are still to be lost.
    losses: AtomicUsize,
    ended: AtomicBool,
}

impl Lossy {
    /// To a gateway, of whose next turns so many answers are lost.
    pub(crate) fn to(url: &str, losses: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to = url.strip_prefix("http://").unwrap().to_owned();
        let state = Arc::new(State { to, losses: AtomicUsize::new(losses), ended: AtomicBool::new(false) });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.carry(client));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many answers are still to be lost.
    pub(crate) fn left(&self) -> usize {
        self.state.losses.load(Ordering::SeqCst)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // Frees the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    /// One connection, until either side ends it.
    fn carry(&self, mut client: TcpStream) {
        let Ok(mut gateway) = TcpStream::connect(&self.to) else { return };
        let losing = Arc::new(AtomicBool::new(false));
        let back = {
            let (losing, to, from) =
                (Arc::clone(&losing), client.try_clone().unwrap(), gateway.try_clone().unwrap());
            thread::spawn(move || answers(from, to, &losing))
        };
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            // A head leaves in one piece.
            if buffer[..count].starts_with(TURN) {
                let one_less = |left: usize| left.checked_sub(1);
                let is_lost = self.losses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
                losing.store(is_lost, Ordering::SeqCst);
            }
            if gateway.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        if !losing.load(Ordering::SeqCst) {
            let _ = gateway.shutdown(Shutdown::Both);
        }
        let _ = back.join();
    }
}

fn answers(mut from: TcpStream, mut to: TcpStream, losing: &AtomicBool) {
    let (mut buffer, mut lost) = ([0; 16 * 1024], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !losing.load(Ordering::SeqCst) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            continue;
        }
        let passes = PASSES.saturating_sub(lost.len()).min(count);
        let _ = to.write_all(&buffer[..passes]);
        let before = lost.len().saturating_sub(END.len());
        lost.extend_from_slice(&buffer[..count]);
        if lost[before..].windows(END.len()).any(|window| window == END) {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
