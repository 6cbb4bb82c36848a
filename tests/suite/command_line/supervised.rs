//! The messages to systemd: ready once the service answers, signs of life, the stop.

use super::{TOKEN, good_backend};
use crate::support::notify_socket::NotifySocket;
use crate::support::program::{Program, get};

#[test]
fn systemd_learns_of_start_life_and_stop() {
    for systemd in [NotifySocket::at_path(), NotifySocket::by_name()] {
        let backend = good_backend();
        let program = Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let program = program.with("NOTIFY_SOCKET", systemd.address());
        let mut service = program.with("WATCHDOG_USEC", "400000").start();
        let own = service.address();
        let ready = systemd.next();
        assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
        assert_eq!(get(&own, "/livez").0, 200);
        for _ in 0..3 {
            systemd.next_with("WATCHDOG=1");
        }
        service.signal("TERM");
        assert_eq!(
            systemd.next_with("STOPPING=1").0,
            "STOPPING=1\nEXTEND_TIMEOUT_USEC=34500000\nSTATUS=stopping"
        );
        let (code, log) = service.end();
        assert!(code == Some(0) && !log.contains("ERROR"), "{log}");
    }
}

/// Neither an inherited variable nor a lost socket keeps the service from working.
#[test]
fn a_service_that_cannot_notify_warns_once_and_works() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let rows = [
        ("not-an-address", "its socket cannot be used variable=NOTIFY_SOCKET value=not-an-address reason="),
        (missing.to_str().unwrap(), "its socket takes no message variable=NOTIFY_SOCKET"),
    ];
    for (address, warning) in rows {
        let backend = good_backend();
        let program = Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let mut service = program.with("NOTIFY_SOCKET", address).with("WATCHDOG_USEC", "20000").start();
        let own = service.address();
        service.wait_for_log(warning);
        assert_eq!(get(&own, "/livez").0, 200);
        service.signal("TERM");
        let (code, log) = service.end();
        assert_eq!((code, log.matches("Systemd is not notified").count()), (Some(0), 1), "{log}");
    }
}

/// A child of a service inherits the variables of the watchdog, which watches only the service.
#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let (systemd, backend) = (NotifySocket::at_path(), good_backend());
    let program = Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let program = program.with("NOTIFY_SOCKET", systemd.address());
    let service = program.with("WATCHDOG_USEC", "2000").with("WATCHDOG_PID", "1").start();
    systemd.next_with("READY=1");
    service.signal("TERM");
    assert_eq!(systemd.next_with("STOPPING=1").1, 0, "signs of life");
    assert_eq!(service.end().0, Some(0));
}
