//! Whether the service stops in order.

use super::*;

/// Whether the service stops in order if its dispatcher does this.
fn stops_in_order(work: impl FnOnce() + Send + 'static) -> bool {
    let (inbox, _heard) = bounded(1);
    let ((nudges, _), (writes, _), (asks, _), (_leaving, leave)) =
        (bounded(1), bounded(1), bounded(1), bounded(1));
    let (alive, ended) = bounded(0);
    let view = View {
        nudges,
        writes,
        inbox: bounded(1).0,
        asks,
        inflight: InFlight::new(bounded(1).0),
        blocked: Arc::default(),
        state: Arc::default(),
    };
    let run = move || {
        let _alive = alive;
        work();
    };
    let threads = vec![spawn("dispatcher", run).unwrap()];
    let (_calm, hurry) = bounded(0);
    Service { inbox, view, ended, leave, threads }.stop(JOIN_TIMEOUT, &hurry, &Stop::default()).in_order
}

#[test]
fn a_dispatcher_that_panics_has_not_stopped_in_order() {
    assert!(stops_in_order(|| ()));
    assert!(!stops_in_order(|| resume_unwind(Box::new("the dispatcher panics"))));
}
