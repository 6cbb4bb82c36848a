//! The bounded HTTP server: whatever its clients do, the server still answers the next one.
//!
//! One thread accepts, and each connection has its own thread, so a slow client delays only itself. All memory that a
//! client can occupy is bounded, and every wait for a client has a deadline ([`ServerLimits`]). The parts:
//!
//! - `limits` explains the policy and lists every limit; `registry` bounds connections; `client_socket` bounds time;
//! - `acceptor` accepts connections; `framing` and `chunked` decide where a request ends; `intake` reads requests;
//! - `connection` answers them; `answer` writes the replies through `tiny_http`;
//! - [`dry_run()`] parses bytes as the server would, without sockets.
//!
//! The listener of `tiny_http` is not used: one packet from a local process aborts it.
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

pub use self::dry_run::{DryRun, Ending, dry_run};
pub use self::limits::ServerLimits;
use self::pipelining::PipelineSlots;
use self::registry::Registry;
use crate::message::{Reply, Request};
use crate::panics::Panics;

/// The pause between two attempts to wake the acceptor when the server stops.
const ACCEPTOR_RETRY: Duration = Duration::from_millis(20);
/// The minimum time the acceptor has to end. It needs about a millisecond.
const ACCEPTOR_END: Duration = Duration::from_secs(1);

/// Builds a refusal from its status and its sentence. It may choose another status. Its body must be whole.
pub type Refusals = fn(u16, &str) -> Reply;

type Handler = dyn Fn(Request) -> Reply + Send + Sync;
type AdmissionCheck = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// The state that all threads of one server share.
struct Shared {
    handler: Box<Handler>,
    admission: Box<AdmissionCheck>,
    refusals: Refusals,
    limits: ServerLimits,
    registry: Arc<Registry>,
    stopping: AtomicBool,
    /// Bytes of all replies that wait for their clients.
    answers: AtomicUsize,
    /// The slots for pipelined requests.
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

/// A listening server. Dropping it stops it immediately.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Server {
    /// Listens, and answers every request with the reply of `handler`.
    ///
    /// The handler runs on the connection's thread, whose stack has [`ServerLimits::stack_bytes`]. It may take any time:
    /// only its own client waits. If it panics, the reply is 500.
    pub fn bind(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::bind_admitting(address, limits, |_| None, handler)
    }

    /// Listens, and lets `admission` decide from the head alone whether a request is admitted. A reply of `admission` is
    /// sent immediately, and the body of that request is never read.
    pub fn bind_admitting(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        admission: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(address, limits, Reply::error, Box::new(admission), Box::new(handler))
    }

    /// Listens, and builds refusals with `refusals`. They answer requests the handler never receives, and its panics.
    pub fn bind_refusing(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        refusals: Refusals,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(address, limits, refusals, Box::new(|_| None), Box::new(handler))
    }

    /// Listens like [`bind_refusing`](Self::bind_refusing), with a check of heads like
    /// [`bind_admitting`](Self::bind_admitting).
    pub fn bind_admitting_and_refusing(
        address: impl ToSocketAddrs,
        limits: ServerLimits,
        refusals: Refusals,
        admission: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
        handler: impl Fn(Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(address, limits, refusals, Box::new(admission), Box::new(handler))
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
                    thread::sleep(ACCEPTOR_RETRY);
                }
                drop(listener);
                acceptor.registry.acceptor_ended();
            },
        )?;
        Ok(Self { shared, address })
    }

    /// The bound address, with the actual port if port 0 was requested.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Records panics of the acceptor and of the handler here from now on.
    pub fn notes_panics(&self, panics: Panics) {
        // Only the owner sets this, once, at the start.
        let _ = self.shared.panics.set(panics);
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.registry.open()
    }

    /// Stops listening, waits up to `limit` for requests that have arrived, and cuts off the rest.
    /// Idle connections are closed immediately. Returns the number of connections cut off: 0 is a clean stop.
    ///
    /// A client that does not read its reply looks like one that reads slowly, so it also has `limit`.
    pub fn stop(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let acceptor_deadline = Instant::now() + limit.max(ACCEPTOR_END);
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.registry.close();
        // The acceptor blocks in `accept` until a connection arrives. Connecting can fail for lack of descriptors.
        // In that case other connections are about to end, so the loop tries again.
        while Instant::now() < acceptor_deadline {
            let wake_up = TcpStream::connect_timeout(&connectable(self.address), ACCEPTOR_END);
            if self.shared.registry.wait_for_acceptor(acceptor_deadline.min(Instant::now() + ACCEPTOR_RETRY))
            {
                break;
            }
            drop(wake_up);
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

/// The address to connect to: a server that listens on all addresses is reached on loopback.
fn connectable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
