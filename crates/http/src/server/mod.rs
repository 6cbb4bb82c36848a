//! The bounded HTTP server: whatever clients do, it answers the next one.
//!
//! One thread accepts, and each connection has its own thread, so a slow client costs itself only. Everything a
//! client can make us hold is bounded and everything it can make us wait for has a deadline ([`ServerLimits`]):
//! `acceptor` lets in, `registry` bounds connections, `client_socket` time, `framing` and `chunked` what is a request at all, `intake` reads
//! requests, `connection` answers them, `answer` writes through `tiny_http`; [`rehearse`] shows without any of them
//! but the reading what bytes are taken for. `tiny_http`'s own listener is not used: one packet aborts it.
//!
//! ```no_run
//! use mcr_http::message::Reply;
//! use mcr_http::server::{ServerLimits, Server};
//! let server = Server::bind("127.0.0.1:0", ServerLimits::default(), |request| match request.path().as_ref() {
//!     "/health" => Reply::json(r#"{"status":"ok"}"#).no_store(),
//!     _ => Reply::error(404, "Not Found"),
//! })?;
//! println!("listening on http://{}", server.local_addr());
//! let unfinished = server.stop(std::time::Duration::from_secs(5));
//! # std::io::Result::Ok(())
//! ```

mod acceptor;
mod answer;
mod chunked;
mod client_socket;
mod connection;
mod dry_run;
mod framing;
mod intake;
mod limits;
mod log_throttle;
mod pipelining;
mod refusal;
mod registry;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

pub use self::dry_run::{DryRun, Ending, rehearse};
pub use self::limits::ServerLimits;
use self::pipelining::PipelineSlots;
use self::registry::Registry;
use crate::message::{Reply, Request};
use crate::panics::Panics;

/// Between two knocks at the door when the acceptor is to end.
const PAUSE: Duration = Duration::from_millis(20);
/// The least time the acceptor gets to end; it needs about a millisecond.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What a refusal looks like: from its status and its sentence. It may choose another status; its body must be whole.
pub type Refusals = fn(u16, &str) -> Reply;

type Handler = dyn Fn(Request) -> Reply + Send + Sync;
type AdmissionCheck = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// What all threads of one server share.
struct Shared {
    handler: Box<Handler>,
    admission: Box<AdmissionCheck>,
    refusals: Refusals,
    limits: ServerLimits,
    registry: Arc<Registry>,
    stopping: AtomicBool,
    /// Bytes of all answers that wait for their clients.
    answers: AtomicUsize,
    /// For pipelined requests.
    turns: PipelineSlots,
    panics: OnceLock<Panics>,
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn panics(&self) -> Panics {
        self.panics.get().cloned().unwrap_or_default()
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
    /// The handler runs on the connection's thread (its stack is [`ServerLimits::stack_bytes`]) and may take as long as
    /// it likes: only its own client waits. If it panics, the answer is 500.
    pub fn bind(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::bind_admitting(address, limits, |_| None, handler)
    }

    /// Listens; `admission` decides by the head alone whether a request is let in. Its answer is sent at once, and the body
    /// of that request is never read.
    pub fn bind_admitting(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        admission: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(address, limits, Reply::error, Box::new(admission), Box::new(handler))
    }

    /// The same with a form of its own for what is refused before the handler hears of it, and for its panics.
    pub fn bind_refusing(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        refusals: Refusals,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(address, limits, refusals, Box::new(|_| None), Box::new(handler))
    }

    fn start(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        refusals: Refusals,
        admission: Box<AdmissionCheck>,
        handler: Box<Handler>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handler,
            admission,
            refusals,
            registry: Arc::new(Registry::new(&limits)),
            limits,
            stopping: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            turns: PipelineSlots::default(),
            panics: OnceLock::new(),
        });
        let acceptor = Arc::clone(&shared);
        thread::Builder::new().name("http-accept".into()).stack_size(shared.limits.stack_bytes).spawn(
            move || {
                while acceptor
                    .panics()
                    .catch("http-accept", || acceptor::accept(&listener, &acceptor))
                    .is_none()
                {
                    thread::sleep(PAUSE);
                }
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

    /// From now on panics of the acceptor and of the handler are noted here.
    pub fn notes_panics(&self, panics: Panics) {
        // It is set once, by the one who starts.
        let _ = self.shared.panics.set(panics);
    }

    /// How many connections have a place at this moment.
    pub fn connections(&self) -> usize {
        self.shared.registry.open()
    }

    /// Stops listening, lets requests that have arrived be answered within `limit`, and cuts off the rest.
    /// Idle connections are closed at once. Says how many had to be cut off: 0 is a clean stop.
    ///
    /// A client that does not read its answer cannot be told from one that reads slowly, so it gets `limit` too.
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
