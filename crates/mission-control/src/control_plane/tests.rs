//! The two threads beside each other.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::OnTimeout;
use crate::test_board::{TestBoard, settings};

/// The longest wait for another thread.
const LONGEST: Duration = Duration::from_mins(1);

#[test]
fn an_upgrade_does_not_wait_for_a_call_to_a_provider() {
    let board = TestBoard::new();
    board.switch("runtime_provisioning_enabled", "true");
    board.switch("fleet_orchestration_enabled", "true");
    board
        .change("provisioning:setProviderToken", json!({"provider": "digitalocean", "key": "dop_v1_x"}))
        .unwrap();
    let account = board.account("upgraded");
    let token = board.token(&account);
    board.report((&account, &token), "online", "1.0.0", 0).unwrap();
    let row = json!({
        "accountId": board.first, "provider": "digitalocean", "region": "fra1", "size": "s", "image": "i",
        "state": "requested", "attempt": 1.0, "requestedBy": "u", "createdAt": 1.0, "stateSince": 1.0, "failures": 0.0,
        "nextAt": 1.0,
    });
    board.engine.write_row("provisions", row).unwrap();

    // The provider hangs until the end of the test.
    let (called, calls) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let open: crate::OpenMachines = Box::new(move |_, _| {
        called.send(()).unwrap();
        let _ = released.lock().unwrap().recv_timeout(LONGEST);
        Err("it hung".to_owned())
    });
    let worker = ProvisionWorker::new(board.engine.clone(), open, settings(OnTimeout::Keep));
    let carrier = ControlPlane::start(board.engine.clone(), Some(worker)).unwrap();
    calls.recv_timeout(LONGEST).expect("a call to the provider");

    let args = json!({"accountIds": [account], "targetRuntimeVersion": "2.0.0"});
    board.change("fleet:upgrade", args).unwrap();
    let read = json!({"accountId": account, "serviceToken": token});
    board.call(crate::Kind::Action, "service/actions:getPendingUpgrade", &read).unwrap();
    board.report((&account, &token), "online", "2.0.0", 0).unwrap();
    let until = Instant::now() + LONGEST;
    loop {
        let seen = board.engine.changes();
        let state = board.look("fleet:list", json!({}))["rollout"]["state"].clone();
        if state == "done" {
            break;
        }
        assert!(Instant::now() < until, "the upgrade is {state} while the provider hangs");
        board.engine.wait_for_change(seen, Duration::from_secs(1));
    }
    drop(release);
    carrier.stop();
}
