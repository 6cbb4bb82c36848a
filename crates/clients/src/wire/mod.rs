//! The wire: what every outgoing HTTP call stands on, whoever makes it.
//!
//! The calls to Mission Control and to the gateway have different words, but the same ground: which certificates
//! are trusted ([`Roots`]), how an agent is set up ([`agent`]), how much of a request had left the house when
//! something broke ([`Outgoing`], [`Sent`]), what broke ([`Fault`]), how all of it ends at once ([`Stop`]), and how a connection is
//! kept that is to speak something else than HTTP ([`handing_over`]).
//! Nothing here knows what is being said.
//!
//! The library below (`ureq`) never sends a request again by itself and never follows a redirect here: what goes
//! out is what the caller asked for, once. A new version of it is read for these points before it is taken.
//!
//! At level trace it also writes to the log, in hexadecimal, every byte that passes: tokens that no redaction can
//! find. So the log (`telemetry`) lets nothing below warnings through from `ureq`, `ureq_proto` and `rustls`.

mod connection_upgrade;
mod fault;
mod idle_timeout;
mod lookup;
mod roots;
mod stop;

use std::time::Duration;

use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

use mcr_model::BaseUrl;

pub use connection_upgrade::{Connection, ConnectionUpgrade, handing_over};
pub use fault::{CertificateFault, Fault, Outgoing, Sent};
pub use idle_timeout::IdleTimeout;
pub use roots::{BadRoots, BadRootsReason, Roots, RootsSource};
pub use stop::{Registration, Stop};

use idle_timeout::PatientConnector;
use lookup::Lookup;

/// How we call ourselves to servers.
const USER_AGENT: &str = concat!("mission-control-runtime/", env!("CARGO_PKG_VERSION"));

/// Bytes per direction and connection. The library's default of 128 KiB each is measurable with fifty
/// connections; a service call and its answer are mostly below 16 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// The head of an answer. It must be less than the buffer: a head that fills it looks like a lost connection.
const HEAD_BYTES_MAX: usize = 12 * 1024;

/// How long each phase of a request may take. The caller's own deadline for the whole comes on top.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Looking up the name; and then again: connecting, the TLS handshake included.
    pub connect: Duration,
    /// Sending the head and the body, each.
    pub send: Duration,
    /// Waiting for the status line and the headers.
    pub answer: Duration,
    /// Reading the body.
    pub body: Duration,
    /// A connection that idled longer is not used again: fronts close them at any moment from 30 s on, and a
    /// request sent into a closing connection is one whose fate is unknown.
    pub idle: Duration,
    /// How many idle connections are kept. An agent that serves one thread needs one.
    pub idle_connections: usize,
}

/// An agent for one thread: its own connections, and shared trust.
///
/// A loopback address is spoken to directly, whatever proxy the environment names. For other addresses the
/// variables `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` hold, as everywhere; [`proxy_of`] tells.
pub fn agent(base: &BaseUrl, roots: &Roots, phases: &Phases) -> Agent {
    let config = config(base, roots, phases)
        .timeout_recv_response(Some(phases.answer))
        .timeout_recv_body(Some(phases.body))
        .build();
    Agent::with_parts(config, roots.connector(), Lookup)
}

/// The same for answers that may take any time, but not be silent for long: instead of the phases `answer` and
/// `body` there is a limit for each silence in them, which can be changed at any time.
pub fn patient_agent(
    base: &BaseUrl,
    roots: &Roots,
    phases: &Phases,
    silence: Duration,
) -> (Agent, IdleTimeout) {
    let idle_timeout = IdleTimeout::new(silence);
    let connector = PatientConnector { below: roots.connector(), idle_timeout: idle_timeout.clone() };
    (Agent::with_parts(config(base, roots, phases).build(), connector, Lookup), idle_timeout)
}

fn config(base: &BaseUrl, roots: &Roots, phases: &Phases) -> ConfigBuilder<AgentScope> {
    let config = Agent::config_builder()
        .user_agent(USER_AGENT)
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(roots.tls_config())
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
