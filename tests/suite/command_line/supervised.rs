//! The messages to systemd: ready once the service answers, signs of life, the stop.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::{TOKEN, good_backend};
use crate::support::program::{Program, get};

fn listening(socket: UnixDatagram) -> UnixDatagram {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

#[track_caller]
fn next_message(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[track_caller]
fn first(socket: &UnixDatagram, start: &str) -> String {
    loop {
        let message = next_message(socket);
        if message.starts_with(start) {
            return message;
        }
    }
}

#[test]
fn systemd_learns_of_start_life_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let abstract_name = format!("mcr-suite-notify-{}", std::process::id());
    let abstract_address = SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let sockets = [
        (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
        (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{abstract_name}")),
    ];
    for (socket, address) in sockets {
        let (socket, backend) = (listening(socket), good_backend());
        let program = Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
        let mut service = program.with("NOTIFY_SOCKET", &address).with("WATCHDOG_USEC", "400000").start();
        let own = service.address();
        let ready = next_message(&socket);
        assert!(ready.starts_with("READY=1\nSTATUS="), "{ready}");
        assert_eq!(get(&own, "/livez").0, 200);
        for _ in 0..3 {
            first(&socket, "WATCHDOG=1");
        }
        service.signal("TERM");
        assert_eq!(first(&socket, "STOPPING=1"), "STOPPING=1\nSTATUS=stopping");
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
        ("not-an-address", "NOTIFY_SOCKET cannot be used"),
        (missing.to_str().unwrap(), "the socket in NOTIFY_SOCKET takes no message"),
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
        assert_eq!((code, log.matches("systemd is not notified").count()), (Some(0), 1), "{log}");
    }
}

/// A child of a service inherits the variables of the watchdog, which watches only the service.
#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = listening(UnixDatagram::bind(&path).unwrap());
    let backend = good_backend();
    let program = Program::new(["run"]).configured(&backend.url(), TOKEN).with("HEALTH_PORT", "0");
    let program = program.with("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut service = program.with("WATCHDOG_USEC", "2000").with("WATCHDOG_PID", "1").start();
    service.address();
    first(&socket, "READY=1");
    service.signal("TERM");
    loop {
        let message = next_message(&socket);
        assert_ne!(message, "WATCHDOG=1");
        if message.starts_with("STOPPING=1") {
            break;
        }
    }
    assert_eq!(service.end().0, Some(0));
}
