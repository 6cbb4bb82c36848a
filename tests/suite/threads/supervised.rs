//! The watchdog of systemd is fed through the dispatcher's inbox, so a dispatcher that hangs starves the watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mission_control_runtime::delivery::journal::Step;
use mission_control_runtime::delivery::operator_requests::OperatorRequest;
use mission_control_runtime::systemd::{Notifier, Reports, Watchdog};

use super::Shop;
use crate::support::notify_socket::NotifySocket;

#[test]
fn a_dispatcher_that_hangs_starves_the_watchdog_until_it_goes_on() {
    let mut shop = Shop::new();
    shop.start(1);
    let systemd = NotifySocket::at_path();
    let notifier = Notifier::of(|name| (name == "NOTIFY_SOCKET").then(|| systemd.address().into()));
    let watchdog = Watchdog::of(|name| (name == "WATCHDOG_USEC").then(|| "20000".into()), 1);
    assert!(watchdog.is_some());
    let (view, ended) = (shop.view().clone(), shop.service.as_ref().unwrap().ended());
    let answers = Arc::new(AtomicBool::new(false));
    let listens = answers.clone();
    let supervisor = std::thread::spawn(move || {
        let reports = Reports {
            is_ready: &|| listens.swap(true, Ordering::SeqCst),
            is_alive: &|| view.ask(OperatorRequest::Ping).is_some(),
            status: &|| "healthy".to_owned(),
        };
        reports.send(&notifier, watchdog, &ended);
    });
    assert_eq!(systemd.next(), "READY=1\nSTATUS=healthy", "ready comes first");
    assert!(answers.load(Ordering::SeqCst), "the service did not answer at first");
    systemd.next_with("WATCHDOG=1");

    let (busy, finish) = shop.a_row_waits_for_the_worker();
    let resume = shop.journal.waits_at(Step::Ended);
    shop.loses_the_waiting_row();
    systemd.next_with("STATUS=the dispatcher does not answer");
    assert!(systemd.is_empty(), "no sign of life while the dispatcher hangs");

    resume.send(()).unwrap();
    assert_eq!(systemd.next_with("STATUS=healthy").1, 1, "the dispatcher answers, then the status changes");
    finish.send(()).unwrap();
    shop.answered(&busy);
    shop.stop();
    supervisor.join().unwrap();
}
