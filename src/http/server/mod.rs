//! The bounded HTTP server: whatever clients do, it answers the next one.
//!
//! One thread accepts, and each connection has its own thread, so a slow client costs itself only. Everything a
//! client can make us hold is bounded and everything it can make us wait for has a deadline ([`Limits`]):
//! `registry` bounds connections, `wire` time, `framing` and `chunked` what is a request at all, `connection` reads
//! and answers, `answer` writes through `tiny_http`. `tiny_http`'s own listener is not used: one packet aborts it.
//!
//! ```no_run
//! use mission_control_runtime::http::message::Reply;
//! use mission_control_runtime::http::server::{Limits, Server};
//! let server = Server::bind("127.0.0.1:0", Limits::default(), |request| match request.path().as_ref() {
//!     "/health" => Reply::json(r#"{"status":"ok"}"#).no_store(),
//!     _ => Reply::error(404, "Not Found"),
//! })?;
//! println!("listening on http://{}", server.local_addr());
//! let unfinished = server.stop(std::time::Duration::from_secs(5));
//! # std::io::Result::Ok(())
//! ```

mod answer;
mod chunked;
mod connection;
mod framing;
mod limits;
mod refusal;
mod registry;
mod wire;

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};

pub use self::limits::Limits;
use self::registry::{Admission, Place, Registry};
use crate::http::message::{Reply, Request};

/// Who speaks in the log.
const LOG: &str = "http::server";
/// After an accept error, mostly "too many open files": the machine gets a moment.
const PAUSE: Duration = Duration::from_millis(20);
/// Clients told "no place" politely at the same time; above that they are just closed.
const TURNED_AWAY_AT_ONCE: usize = 32;
/// The least time the acceptor gets to end; it needs about a millisecond.
const LAST_CALL: Duration = Duration::from_secs(1);

type Handler = dyn Fn(Request) -> Reply + Send + Sync;

/// What all threads of one server share.
struct Shared {
    handler: Box<Handler>,
    limits: Limits,
    registry: Arc<Registry>,
    stopping: AtomicBool,
    /// Bytes of all bodies held at this moment.
    bodies: AtomicUsize,
    turned_away: AtomicUsize,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// A server that listens. Dropping it stops it without waiting for anybody.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Server {
    /// Listens, and answers every request with what `handler` makes of it.
    ///
    /// The handler runs on the connection's thread (its stack is [`Limits::stack_bytes`]) and may take as long as
    /// it likes: only its own client waits. If it panics, the answer is 500.
    pub fn bind(
        address: impl ToSocketAddrs,
        limits: Limits,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            registry: Arc::new(Registry::new(&limits)),
            limits,
            stopping: AtomicBool::new(false),
            bodies: AtomicUsize::new(0),
            turned_away: AtomicUsize::new(0),
        });
        let acceptor = Arc::clone(&shared);
        thread::Builder::new().name("http-accept".into()).stack_size(shared.limits.stack_bytes).spawn(
            move || {
                accept(&listener, &acceptor);
                drop(listener);
                acceptor.registry.acceptor_ended();
            },
        )?;
        Ok(Self { shared, address })
    }

    /// Where it listens, with the real port if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have a place at this moment.
    pub fn connections(&self) -> usize {
        self.shared.registry.open()
    }

    /// Stops listening, lets requests that have arrived be answered within `limit`, and cuts off the rest.
    /// Idle connections are closed at once. Says how many had to be cut off: 0 is a clean stop.
    pub fn stop(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let last_call = Instant::now() + limit.max(LAST_CALL);
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.registry.close();
        // The acceptor sleeps in `accept`, which only a connection ends. That may fail for want of a descriptor,
        // but then connections are ending at this very moment, so it is tried again.
        while Instant::now() < last_call {
            let door = TcpStream::connect_timeout(&knockable(self.address), LAST_CALL);
            if self.shared.registry.wait_for_acceptor(last_call.min(Instant::now() + PAUSE)) {
                break;
            }
            drop(door);
        }
        self.shared.registry.wait_until_empty(until);
        self.shared.registry.cut_off()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// Where to knock: a server that listens on all addresses is found on loopback.
fn knockable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Takes connections in until the server stops. No error ends it.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.is_stopping() {
        match listener.accept() {
            Ok((stream, peer)) => admit(shared, stream, peer),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                // Mostly descriptors have run out. An idle connection's is the cheapest to have back.
                let evicted = shared.registry.evict_one();
                warn!(target: LOG, "cannot accept: {error}; idle connection closed for it: {evicted}");
                thread::sleep(PAUSE);
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    match shared.registry.admit(stream, peer) {
        Admission::Admitted(place) => start(shared, place),
        Admission::Full(stream) => turn_away(shared, stream, peer),
        Admission::Closed => {}
    }
}

fn start(shared: &Arc<Shared>, place: Place) {
    // Answers leave in one write, so there is nothing for the kernel to wait for and collect.
    let _ = place.stream().set_nodelay(true);
    let on_thread = Arc::clone(shared);
    let thread = thread::Builder::new().name("http-connection".into()).stack_size(shared.limits.stack_bytes);
    // Without a thread the place is dropped with the closure, and the connection closed.
    if let Err(error) = thread.spawn(move || connection::serve(&place, &on_thread)) {
        warn!(target: LOG, "no thread for a connection: {error}");
    }
}

/// Says 503 without holding up the acceptor.
fn turn_away(shared: &Arc<Shared>, stream: TcpStream, peer: SocketAddr) {
    debug!(target: LOG, "turned away {peer}: every connection is busy");
    let tally = Tally(Arc::clone(shared));
    if shared.turned_away.fetch_add(1, Ordering::AcqRel) >= TURNED_AWAY_AT_ONCE {
        return;
    }
    let thread = thread::Builder::new().name("http-full".into()).stack_size(shared.limits.stack_bytes);
    // Without a thread the connection is closed without a word.
    let _ = thread.spawn(move || connection::turn_away(&stream, &tally.0.limits));
}

/// Counts one client turned away, until dropped.
struct Tally(Arc<Shared>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.turned_away.fetch_sub(1, Ordering::AcqRel);
    }
}
