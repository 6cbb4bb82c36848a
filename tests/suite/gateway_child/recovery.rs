//! What follows a panic of the supervisor, or another configuration.

use super::*;

/// The gateway works on meanwhile. Afterwards the supervisor notices its end, or stops it.
#[test]
fn a_supervisor_that_panics_is_noted_and_continues_with_the_same_gateway() {
    let place = Place::new(&versioned("sleep 600"));
    let child = place.start();
    let first = place.is_ready().pid.unwrap().to_string();
    assert!(place.panics.last().is_none());
    place.broken.store(true, Ordering::SeqCst);
    place.changed.notify();
    let health = place.until("the panic", |health| health.state != ChildState::Ready);
    assert_eq!(place.panics.last().unwrap().thread, "gateway-child");
    assert!(health.reason.is_some_and(|reason| reason.contains("has panicked")) && runs(&first));
    // The gateway ends while nothing watches it.
    Command::new("sh").args(["-c", &format!("kill -KILL -{first}")]).status().unwrap();
    place.broken.store(false, Ordering::SeqCst);
    let second = place.until("another gateway", |health| {
        health.state == ChildState::Ready && health.pid.is_some_and(|pid| pid.to_string() != first)
    });
    assert_eq!((second.adopted, second.restarts, second.reason), (false, 1, None));
    let noted = place.panics.last().unwrap().count;
    place.broken.store(true, Ordering::SeqCst);
    place.changed.notify();
    until("another panic", || place.panics.last().unwrap().count > noted);
    place.broken.store(false, Ordering::SeqCst);
    assert!(child.stop(STOP_LIMIT));
    assert_eq!(
        (place.status.now().state, place.starts().iter().any(|pid| runs(pid))),
        (ChildState::Stopped, false)
    );
}
