//! The thread that lets clients in. Only the server's stop ends it.
//!
//! When the machine has no descriptor or no thread left for a newcomer, connections that do nothing give theirs
//! back, several at once: whoever asks for `/health` then waits neither for a time-out nor behind a long queue.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::debug;

use super::log_throttle::LogThrottle;
use super::registry::{Admission, Doing, Place};
use super::{Shared, connection};

/// How long a newcomer may hold up those behind it while a thread is sought for it.
const THREAD_SOUGHT: Duration = Duration::from_millis(40);
/// A connection's thread ends a little later than the connection.
const THREAD_ENDS: Duration = Duration::from_micros(200);

/// Takes connections in until the server stops. No error ends it.
pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut closed_door = LogThrottle::new("cannot accept");
    let mut no_thread = LogThrottle::new("no thread for a connection");
    while !shared.is_stopping() {
        match listener.accept() {
            Ok((stream, peer)) => {
                closed_door.is_over();
                match shared.registry.admit(stream, peer) {
                    Admission::Admitted(place) => start(shared, place, &mut no_thread),
                    Admission::Full => debug!("turned away {peer}: every connection is busy"),
                    Admission::Closed => {}
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => {
                // Mostly descriptors have run out.
                closed_door.say(&error);
                shared.registry.make_way();
            }
        }
    }
}

fn start(shared: &Arc<Shared>, place: Place, no_thread: &mut LogThrottle) {
    // Answers leave in one write, so there is nothing for the kernel to wait for and collect.
    let _ = place.stream().set_nodelay(true);
    let until = Instant::now() + THREAD_SOUGHT;
    // A thread that cannot be had takes its closure with it, so the place is only handed over by one that runs.
    let handed_over = Arc::new(Mutex::new(Some(place)));
    loop {
        let (on_thread, to_thread) = (Arc::clone(shared), Arc::clone(&handed_over));
        let thread =
            thread::Builder::new().name("http-connection".into()).stack_size(shared.limits.stack_bytes);
        let spawned = thread.spawn(move || {
            let place = to_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(to_thread);
            if let Some(place) = place {
                connection::serve(&place, &on_thread);
            }
        });
        let Err(error) = spawned else { return no_thread.is_over() };
        no_thread.say(&error);
        if Instant::now() >= until || shared.is_stopping() {
            return; // the connection is closed without a word
        }
        if let Some(place) = &*handed_over.lock().unwrap_or_else(PoisonError::into_inner) {
            place.now(Doing::Busy); // it is not its own turn to go
        }
        shared.registry.make_way();
        thread::sleep(THREAD_ENDS);
    }
}
