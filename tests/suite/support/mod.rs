//! (see the index)

/// The heartbeats of a test.
pub(crate) mod beats;
/// A board to test on.
pub(crate) mod board;
/// Exports of boards of any size.
pub(crate) mod copies;
/// Dice that can be thrown again.
pub(crate) mod dice;
/// The embedded backend, called directly; its calls counted, and failing on request.
pub(crate) mod direct;
/// Documents of the project and their generated parts.
pub(crate) mod documents;
/// The way to Mission Control, breaking calls.
pub(crate) mod faulty;
/// Rows of a ledger as another version would have written them.
pub(crate) mod forge;
/// The log lines of a test's own thread.
pub(crate) mod log_capture;
/// The socket on which systemd receives the messages of a service.
pub(crate) mod notify_socket;
/// A gateway that plays its lines.
pub(crate) mod played;
/// The program as a process.
pub(crate) mod program;
/// What every provider of machines promises.
pub(crate) mod provider_contract;
/// A real gateway that a test kills and starts.
pub(crate) mod real_gateway;
/// Tables of rules of the specification.
pub(crate) mod rules;
/// A server that cuts, stalls and answers on request.
pub(crate) mod scripted_http;
/// What stands on a board, and what stands on it afterwards.
pub(crate) mod seeds;
/// The parts of one process that a delivery uses.
pub(crate) mod service_parts;
/// A board with a team on it.
pub(crate) mod team;
/// An https server and its certificate.
pub(crate) mod tls_server;
/// Waits for a state that no channel announces.
pub(crate) mod wait;
/// Jobs and the notifications that they deliver.
pub(crate) mod work;

/// Tests that measure how soon a server answers, and tests that load both cores for long, run one at a time.
pub(crate) fn one_at_a_time() -> std::sync::MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
