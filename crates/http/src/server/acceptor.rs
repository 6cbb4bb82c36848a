//! The thread that accepts connections. Only the server's stop ends it.
//!
//! When the machine has no descriptor or thread left for a new connection, several idle connections are closed at once.
//! A `/health` request then waits neither for a timeout nor behind a long queue.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::debug;

use super::log_throttle::LogThrottle;
use super::registry::{Activity, Admission, Place};
use super::{Shared, connection};

/// The maximum time a new connection delays those behind it while the acceptor tries to spawn its thread.
const SPAWN_PATIENCE: Duration = Duration::from_millis(40);
/// A connection's thread ends slightly later than the connection.
const SPAWN_RETRY: Duration = Duration::from_micros(200);

/// Accepts connections until the server stops. No error ends the loop.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut accept_failures = LogThrottle::new("Connections cannot be accepted");
    let mut spawn_failures = LogThrottle::new("No thread can be started for a connection");
    while !shared.is_stopping() {
        match listener.accept() {
            Ok((stream, peer)) => {
                accept_failures.recovered();
                match shared.registry.admit(stream, peer) {
                    Admission::Admitted(place) => start(shared, place, &mut spawn_failures),
                    Admission::Full => debug!(peer:%; "Connection refused: every place is busy"),
                    Admission::Closed => {}
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                // Usually the process has run out of descriptors.
                accept_failures.report(&error);
                shared.registry.free_resources();
            }
        }
    }
}

fn start(shared: &Arc<Shared>, place: Place, spawn_failures: &mut LogThrottle) {
    // A reply leaves in one write, so Nagle's algorithm would only delay it.
    let _ = place.stream().set_nodelay(true);
    let until = Instant::now() + SPAWN_PATIENCE;
    // A failed spawn drops its closure, so only a thread that runs takes the place.
    let handed_over = Arc::new(Mutex::new(Some(place)));
    loop {
        let (thread_shared, thread_place) = (Arc::clone(shared), Arc::clone(&handed_over));
        let thread =
            thread::Builder::new().name("http-connection".into()).stack_size(shared.limits.stack_bytes);
        let spawned = thread.spawn(move || {
            let place = thread_place.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(thread_place);
            if let Some(place) = place {
                connection::serve(&place, &thread_shared);
            }
        });
        let Err(error) = spawned else { return spawn_failures.recovered() };
        spawn_failures.report(&error);
        if Instant::now() >= until || shared.is_stopping() {
            return; // closes the connection without a reply
        }
        if let Some(place) = &*handed_over.lock().unwrap_or_else(PoisonError::into_inner) {
            place.enter(Activity::Busy); // this connection must not evict itself
        }
        shared.registry.free_resources();
        thread::sleep(SPAWN_RETRY);
    }
}
