//! Every limit of the server, each with its unit and its reason.

use std::time::Duration;

use mcr_model::memory::Pool;

/// What one server allows. `ServerLimits::default()` is what the house runs with.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// From the first byte of a request to the end of its head.
    pub head_time: Duration,
    /// From the end of the head to the end of the body.
    pub body_time: Duration,
    /// For each 64 KiB of an answer, or of a chunk of a stream, to leave.
    pub write_time: Duration,
    /// For the first byte of the next request.
    pub idle_time: Duration,
    /// For a client to read our last answer and hang up, before we do.
    pub linger_time: Duration,
    /// How long a request may take to arrive, or a piece of an answer to be taken, before the connection can be given up
    /// for a new one.
    pub patience: Duration,
    /// Connections served at once.
    pub connections: usize,
    /// Further connections while all places are taken: they are told so, or served if they ask for a reserved path.
    pub reserve: usize,
    /// Paths that are served even while all places are taken. Their answers must be small and quick.
    pub reserved_paths: Vec<&'static str>,
    /// Bytes of request line and headers.
    pub head_bytes: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
    /// Bytes of a body, wherever [`ServerLimits::larger_bodies`] does not say otherwise.
    pub body_bytes: usize,
    /// Exact paths whose bodies may be larger (or must be smaller), each with its limit in bytes.
    pub larger_bodies: Vec<(&'static str, usize)>,
    /// The memory of all bodies: being read, or with a handler.
    pub bodies: Pool,
    /// Bytes of all answers that wait for their clients to take them. Answers that every client shares for ever cost nothing.
    pub answer_bytes: usize,
    /// Bytes of stack for a connection's thread, which also runs the handler.
    pub stack_bytes: usize,
}

/// A head comes in one packet or a few; longer than this is a fault or a siege.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Enough for 8 MiB over a slow home line's upload, not enough to collect stalled uploads.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Enough for 64 KiB over the slowest link; a client that does not read is given up.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// Longer than the usual scrape interval of 10 s, so that monitors keep their connection.
const IDLE_TIME: Duration = Duration::from_secs(15);
/// One slow round trip.
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Well-behaved requests are here in milliseconds, and `/health` has 50 ms in all when slow ones hold every place.
const PATIENCE: Duration = Duration::from_millis(30);
/// Below the usual 1,024 descriptors with room for the gateway's and the backend's; some 10 KiB each when idle.
const CONNECTIONS: usize = 256;
/// What other servers allow, so what clients are used to.
const HEAD_BYTES: usize = 16 * 1024;
/// Half a head.
const TARGET_BYTES: usize = 8 * 1024;
/// Ten times the largest message an agent sends.
const BODY_BYTES: usize = 1024 * 1024;
/// Eight of the largest bodies at once; a small droplet has 512 MiB for everything.
const BODIES_BYTES: usize = 64 * 1024 * 1024;
/// Some of the largest answers at once.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Probes come one by one; each refusal takes such a place for a moment.
const RESERVE: usize = 64;
/// JSON nested 128 deep, read by `serde_json` in a debug build, fits twice. Untouched stack costs no memory.
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
    /// The same limits, with bodies up to `bytes` at exactly this path.
    #[must_use]
    pub fn with_body_limit(mut self, path: &'static str, bytes: usize) -> Self {
        self.larger_bodies.push((path, bytes));
        self
    }

    /// How many bytes a body may have at this path.
    pub(super) fn body_limit(&self, path: &str) -> usize {
        let named = self.larger_bodies.iter().find(|(named, _)| *named == path);
        named.map_or(self.body_bytes, |(_, bytes)| *bytes)
    }
}
