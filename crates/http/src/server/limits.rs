//! Every limit of the server with its unit and its reason, and the policy behind the limits.
//!
//! # The problem
//!
//! The server runs in a process with 512 MiB of memory and about 1,024 descriptors, next to work that is paid for.
//! Agents, people, browsers and monitors connect to it; on a public address, so does everyone else. A client may be
//! slow, broken or hostile: it sends one byte a minute, announces a body and never sends it, or never reads its reply.
//! Each such connection holds a descriptor, a thread and memory. Hundreds of them must not delay `/health`, because a
//! monitor restarts a service that does not answer.
//!
//! # The policy
//!
//! 1. **One client delays only itself.** Each connection has its own thread with a small stack, so no
//!    handler and no slow client blocks another connection.
//! 2. **Deadlines, not timeouts.** A head, a body and each piece of a reply have one deadline each. A timeout per read
//!    never fires for a client that sends one byte per interval. A large reply has a deadline per 64 KiB, so a slow
//!    client that makes progress receives all of it.
//! 3. **Places are bounded, and the least useful connection is evicted.** When all places are taken, a new connection
//!    evicts the one that has been idle longest, for [`ServerLimits::patience`] at least. Next come slow clients: a
//!    request is incomplete after that time, or a piece of a reply is not taken. Last come connections that have just
//!    become idle. A request in its handler is never evicted, because its side effects are under way. `registry` has
//!    the protocol.
//! 4. **Probes have a reserve.** Beyond the cap, further places serve only [`ServerLimits::reserved_paths`]. Every
//!    other request there is refused with 503. When the reserve is full too, the connection is closed. `/health` thus answers while busy requests hold all ordinary places.
//! 5. **Memory follows received bytes, not announced ones.** All bodies share one pool and all unread replies share
//!    one count. A body takes its share of the pool as its bytes arrive. When the memory for replies is short, the
//!    peer that has stalled longest on its reply is cut off first. If that frees too little, a request is refused with 503.
//! 6. **Pipelining earns nothing.** Only a few pipelined requests are handled at once. A client that sends many
//!    requests and reads no reply therefore cannot occupy the processor.
//! 7. **A refusal closes the connection.** The bytes after a malformed request may not be a request at all. The server
//!    sends the reason, waits [`ServerLimits::linger_time`] for the client to read it, and closes.
//! 8. **Scarce machine resources are reclaimed.** When descriptors or threads run out, an eighth of the idle
//!    connections is closed at once. New connections then do not wait for timeouts.
//!
//! # Why these and not others
//!
//! There is no limit per address: behind a proxy all clients have the same address. There is no rate limit here: bounded
//! connections and bounded memory already bound the work. (The agent API has a rate limit per agent.) A queue of waiting
//! connections would only hide overload. An immediate 503 with `Retry-After` tells the client what to do. The defaults
//! below are for one account on a small droplet. Each constant states its own reason.

use std::time::Duration;

use mcr_model::memory::Pool;

/// The limits of one server. `ServerLimits::default()` holds the values the runtime uses.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Maximum time from the first byte of a request to the end of its head.
    pub head_time: Duration,
    /// Maximum time from the end of the head to the end of the body.
    pub body_time: Duration,
    /// Maximum time to send each 64 KiB of a reply, or of a chunk of a stream.
    pub write_time: Duration,
    /// Maximum wait for the first byte of the next request.
    pub idle_time: Duration,
    /// Maximum time for a client to read the last reply and disconnect, before the server closes the connection.
    pub linger_time: Duration,
    /// After this time without a whole request, or with a piece of the reply not taken, a new connection may evict this
    /// one.
    pub patience: Duration,
    /// Maximum connections served at once.
    pub connections: usize,
    /// Further connections while all places are taken: served on a reserved path, otherwise refused with 503.
    pub reserve: usize,
    /// Paths that are served even while all places are taken. Their replies must be small and quick.
    pub reserved_paths: Vec<&'static str>,
    /// Maximum bytes of request line and headers.
    pub head_bytes: usize,
    /// Maximum bytes of the request target.
    pub target_bytes: usize,
    /// Maximum bytes of a body, unless [`ServerLimits::larger_bodies`] lists the path.
    pub body_bytes: usize,
    /// Exact paths with another body limit, each with its limit in bytes.
    pub larger_bodies: Vec<(&'static str, usize)>,
    /// The memory for all bodies, from their first byte until their handler returns.
    pub bodies: Pool,
    /// Maximum bytes of all replies that wait for their clients. Static bodies do not count.
    pub answer_bytes: usize,
    /// Bytes of stack for a connection's thread, which also runs the handler.
    pub stack_bytes: usize,
}

/// A head arrives in a few packets. A longer wait means a fault or an attack.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Enough for 8 MiB over a slow home uplink, but stalled uploads do not accumulate.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Enough for 64 KiB over the slowest link. A client that does not read is cut off.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Longer than the usual scrape interval of 10 s, so that monitors keep their connection.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// One slow round trip.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Normal requests arrive within milliseconds. `/health` must answer in 50 ms even while slow requests hold every place.
const PATIENCE: Duration = Duration::from_millis(30);
/// Below the usual 1,024 descriptors, with room for the gateway's and the backend's. An idle connection uses about 10 KiB.
const CONNECTIONS: usize = 256;
/// The limit of other common servers, so clients are used to it.
const HEAD_BYTES: usize = 16 * 1024;
/// Half of a head.
const TARGET_BYTES: usize = 8 * 1024;
/// Ten times the largest message an agent sends.
const BODY_BYTES: usize = 1024 * 1024;
/// Eight of the largest bodies at once. A small droplet has 512 MiB in total.
const BODIES_BYTES: usize = 64 * 1024 * 1024;
/// Several of the largest replies at once.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Probes arrive one at a time, but each refusal also takes a place in the reserve for a moment.
const RESERVE: usize = 64;
/// Twice the stack that `serde_json` needs for JSON nested 128 deep in a debug build. Untouched stack costs no memory.
const STACK_BYTES: usize = 256 * 1024;

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            head_time: HEAD_TIME,
            body_time: BODY_TIME,
            write_time: WRITE_TIME,
            idle_time: IDLE_TIME,
            linger_time: LINGER_TIME,
            patience: PATIENCE,
            connections: CONNECTIONS,
            reserve: RESERVE,
            reserved_paths: Vec::new(),
            head_bytes: HEAD_BYTES,
            target_bytes: TARGET_BYTES,
            body_bytes: BODY_BYTES,
            larger_bodies: Vec::new(),
            bodies: Pool::new(BODIES_BYTES),
            answer_bytes: ANSWER_BYTES,
            stack_bytes: STACK_BYTES,
        }
    }
}

impl ServerLimits {
    /// Sets the body limit of exactly this path.
    #[must_use]
    pub fn with_body_limit(mut self, path: &'static str, bytes: usize) -> Self {
        self.larger_bodies.push((path, bytes));
        self
    }

    /// The body limit of this path, in bytes.
    pub(super) fn body_limit(&self, path: &str) -> usize {
        let listed = self.larger_bodies.iter().find(|(listed, _)| *listed == path);
        listed.map_or(self.body_bytes, |(_, bytes)| *bytes)
    }
}
