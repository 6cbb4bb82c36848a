//! Restarts that a person requests.

use std::thread;
use std::time::Duration;

use serde_json::json;

use super::machine::{Installer, Machine};

#[test]
fn a_requested_restart_ends_the_process_in_order_and_once() {
    let machine = Machine::new(&[], &[], Installer::None);
    machine.board.person("accounts:requestRestart", json!({})).unwrap();
    machine.until("the end of the process", |machine| !machine.ended().is_empty());
    machine.until("the next process", |machine| {
        machine.health().is_some_and(|health| health["requests"]["operation"]["outcome"]["kind"] == "success")
    });
    machine.until("its report", |machine| machine.reports("1.0.0"));
    thread::sleep(Duration::from_secs(11));
    let ended = machine.ended();
    assert!(ended.len() == 1 && ended[0].code == Some(0) && ended[0].build == "1.0.0", "{ended:?}");
    assert!(machine.log().contains("Stopped"), "the shutdown was in order");
    assert!(machine.history().is_empty(), "a restart is no upgrade");
}

/// A request that was made while the runtime or the backend was away is read at the start and at the return.
#[test]
fn a_restart_that_is_requested_during_an_outage_is_read_at_the_return() {
    let mut machine = Machine::new(&[], &[], Installer::None);
    machine.backend_leaves();
    // A read of the first seconds may still be running in the backend, and reading deletes a request.
    machine
        .until("a call without a backend", |machine| machine.log().contains("is unreachable at its address"));
    thread::sleep(Duration::from_secs(6));
    machine.board.person("accounts:requestRestart", json!({})).unwrap();
    thread::sleep(Duration::from_secs(6));
    assert!(machine.ended().is_empty());
    machine.backend_returns();
    machine.until("the end of the process", |machine| machine.ended().len() == 1);
    assert_eq!(machine.ended()[0].code, Some(0));
}

#[test]
fn with_upgrade_mode_none_requests_stay_on_the_board() {
    let machine = Machine::new(&[], &[("UPGRADE_MODE", "none")], Installer::None);
    machine.board.person("accounts:requestRestart", json!({})).unwrap();
    machine.request("2.0.0");
    thread::sleep(Duration::from_secs(11));
    assert!(machine.ended().is_empty());
    let runtime = machine.runtime();
    assert!(
        runtime["restartRequestedAt"].is_number() && runtime["pendingUpgrade"].is_object(),
        "{runtime:#}"
    );
    assert_eq!(machine.health().unwrap()["requests"]["off"], "UPGRADE_MODE is none");
}
