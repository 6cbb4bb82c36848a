//! The watchdog of systemd is fed through the dispatcher's inbox, so a dispatcher that hangs starves the watchdog.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mission_control_runtime::delivery::journal::Step;
use mission_control_runtime::delivery::operator_requests::OperatorRequest;
use mission_control_runtime::systemd::{Notifier, Reports, Watchdog};

use super::{PATIENCE, Shop};

/// The notifier of this environment and the socket that receives its messages.
fn systemd(path: &std::path::Path) -> (UnixDatagram, Notifier) {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = OsString::from(path);
    (socket, Notifier::of(move |name| (name == "NOTIFY_SOCKET").then(|| address.clone())))
}

/// Receives messages up to the first with this text; returns the number of watchdog messages before it.
#[track_caller]
fn beats_until(socket: &UnixDatagram, text: &str) -> usize {
    let (mut beats, mut bytes) = (0, [0; 512]);
    loop {
        let length = socket.recv(&mut bytes).unwrap();
        let message = std::str::from_utf8(&bytes[..length]).unwrap();
        if message.contains(text) {
            return beats;
        }
        beats += usize::from(message == "WATCHDOG=1");
    }
}

#[test]
fn a_dispatcher_that_hangs_starves_the_watchdog_until_it_goes_on() {
    let mut shop = Shop::new();
    shop.start(1);
    let folder = tempfile::tempdir().unwrap();
    let (socket, notifier) = systemd(&folder.path().join("notify"));
    let watchdog = Watchdog::of(|name| (name == "WATCHDOG_USEC").then(|| "20000".into()), 1);
    assert!(watchdog.is_some());
    let (view, ended) = (shop.view().clone(), shop.service.as_ref().unwrap().ended());
    let answers = std::sync::Arc::new(AtomicBool::new(false));
    let listens = answers.clone();
    let supervisor = std::thread::spawn(move || {
        let reports = Reports {
            is_ready: &|| listens.swap(true, Ordering::SeqCst),
            is_alive: &|| view.ask(OperatorRequest::Ping).is_some(),
            status: &|| "healthy".to_owned(),
        };
        reports.send(&notifier, watchdog, &ended);
    });
    assert_eq!(beats_until(&socket, "READY=1\nSTATUS=healthy"), 0, "ready comes first");
    assert!(answers.load(Ordering::SeqCst), "the service did not answer at first");
    beats_until(&socket, "WATCHDOG=1");

    let (busy, finish) = shop.a_row_waits_for_the_worker();
    let resume = shop.journal.waits_at(Step::Ended);
    shop.loses_the_waiting_row();
    // One request may have been answered just before.
    beats_until(&socket, "STATUS=the dispatcher does not answer");
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 512]).is_err(), "no sign of life while the dispatcher hangs");
    socket.set_nonblocking(false).unwrap();

    resume.send(()).unwrap();
    assert_eq!(beats_until(&socket, "STATUS=healthy"), 1, "the dispatcher answers, then the status changes");
    finish.send(()).unwrap();
    shop.answered(&busy);
    shop.stop();
    supervisor.join().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while socket.recv(&mut [0; 512]).is_ok() {}
}
