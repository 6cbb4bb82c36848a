//! The HTTP transport below every outgoing call. It does not depend on the content of the calls.
//!
//! The calls to Mission Control and to the gateway share:
//!
//! - the trusted certificates ([`Roots`]) and the set-up of an agent ([`agent`]);
//! - how much of a request had been sent when a connection broke ([`Outgoing`], [`Sent`]), and what broke
//!   ([`Fault`]);
//! - the switch that ends all calls at once ([`Stop`]);
//! - the takeover of a connection for another protocol ([`upgradable_agent`]), above all [`WebSocket`].
//!
//! The library below (`ureq`) never repeats a request by itself and never follows a redirect here. Each
//! request of a caller is sent once. Check these points before taking a new version of it.
//!
//! At level trace the library also logs every byte that passes, in hexadecimal: tokens that no redaction can
//! find. So the log (`telemetry`) passes only warnings and errors from `ureq`, `ureq_proto` and `rustls`.

mod buffers;
mod connection_upgrade;
mod fault;
mod idle_timeout;
mod lookup;
mod network;
mod roots;
mod socket;
mod stop;
mod tls;
mod web_socket;

use std::time::Duration;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

use mcr_model::BaseUrl;

pub use connection_upgrade::{Connection, ConnectionUpgrade, upgradable_agent};
pub use fault::{CertificateFault, Fault, Outgoing, Sent};
pub use idle_timeout::IdleTimeout;
pub use roots::{BadRoots, BadRootsReason, Roots, RootsSource};
pub use stop::{Registration, Stop};
pub use web_socket::{WebSocket, WebSocketFault, WebSocketRequest};

use idle_timeout::PatientConnector;
use lookup::Lookup;
use network::NetworkConnector;

/// The name of this program in its requests.
const USER_AGENT: &str = concat!("mission-control-runtime/", env!("CARGO_PKG_VERSION"));

/// Bytes per direction and connection in use. The library's default of 128 KiB each is measurable with fifty
/// connections. A service call and its answer are mostly below 16 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// The largest head of an answer. It must be less than the buffer: a head that fills it looks like a lost
/// connection.
const HEAD_BYTES_MAX: usize = 12 * 1024;

/// The time limit of each phase of a request. The caller's own deadline for the whole call applies as well.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Looking up the host name, and separately connecting (including the TLS handshake).
    pub connect: Duration,
    /// Sending the head, and sending the body.
    pub send: Duration,
    /// Waiting for the status line and the headers.
    pub answer: Duration,
    /// Reading the body.
    pub body: Duration,
    /// A connection idle for longer is not reused. Proxies close them at any moment from 30 s on. A request
    /// sent into a closing connection has an unknown outcome.
    pub idle: Duration,
    /// How many idle connections are kept. An agent that serves one thread needs one.
    pub idle_connections: usize,
}

/// An agent for one thread, with its own connections and the shared trust.
///
/// A loopback address is always contacted directly, whatever proxy the environment names. For other addresses
/// the variables `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` apply as usual; see [`proxy_of`].
pub fn agent(base: &BaseUrl, roots: &Roots, phases: &Phases) -> Agent {
    let config = config(base, phases)
        .timeout_recv_response(Some(phases.answer))
        .timeout_recv_body(Some(phases.body))
        .build();
    Agent::with_parts(config, NetworkConnector { roots: roots.clone() }, Lookup)
}

/// An [`agent`] for answers that may take any time, but not be silent for long. The returned [`IdleTimeout`]
/// replaces the phases `answer` and `body`. It limits each silence and can be changed at any time.
pub fn patient_agent(
    base: &BaseUrl,
    roots: &Roots,
    phases: &Phases,
    silence: Duration,
) -> (Agent, IdleTimeout) {
    let idle_timeout = IdleTimeout::new(silence);
    let below = NetworkConnector { roots: roots.clone() };
    let connector = PatientConnector { below, idle_timeout: idle_timeout.clone() };
    (Agent::with_parts(config(base, phases).build(), connector, Lookup), idle_timeout)
}

fn config(base: &BaseUrl, phases: &Phases) -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        .max_redirects(0)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .max_response_header_size(HEAD_BYTES_MAX)
        .timeout_resolve(Some(phases.connect))
        .timeout_connect(Some(phases.connect))
        .timeout_send_request(Some(phases.send))
        .timeout_send_body(Some(phases.send))
        .max_idle_age(phases.idle)
        .max_idle_connections(phases.idle_connections)
        .max_idle_connections_per_host(phases.idle_connections);
    if base.is_loopback() { config.proxy(None) } else { config }
}

/// The proxy (host and port) between this agent and the address, if there is one.
pub fn proxy_of(agent: &Agent, base: &BaseUrl) -> Option<String> {
    let proxy = agent.config().proxy()?;
    let uri = base.as_str().parse().ok()?;
    (!proxy.is_no_proxy(&uri)).then(|| format!("{}:{}", proxy.host(), proxy.port()))
}
