//! What follows a panic of the supervisor, or another configuration.

use std::process::Child;

use mission_control_runtime::gateway_child::end_leftover;
use serde_json::{Value, json};

use super::*;

const RECORD: &str = "gateway-child.json";

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

/// A gateway with another configuration than the present one may finish its turns, and another one follows.
#[test]
fn a_gateway_of_another_configuration_is_ended_in_order_and_started_again() {
    type Row = (&'static str, &'static [(&'static str, &'static str)], bool);
    let value = "c4n4ry-value";
    // The argument and the variables of the present configuration, and whether it differs from that of the gateway.
    let rows: [Row; 6] = [
        ("run", &[("MY_OWN", "c4n4ry-value")], false),
        ("run", &[("MY_OWN", "c4n4ry-value"), ("INVOCATION_ID", "7")], false),
        ("run --other", &[("MY_OWN", "c4n4ry-value")], true),
        ("run", &[("MY_OWN", "another")], true),
        ("run", &[("MY_OWN", "c4n4ry-value"), ("MORE", "1")], true),
        ("run", &[], true),
    ];
    for (argument, variables, differs) in rows {
        let script =
            versioned("trap 'echo ended >>ends; exit 0' TERM\ntouch trapped\nwhile :; do sleep 0.01; done");
        let mut place = Place::new(&script);
        let first = place.start_with("run", &[("MY_OWN", value)]);
        let before = place.is_ready();
        let record = String::from_utf8(place.state.read(RECORD).unwrap().unwrap()).unwrap();
        assert!(record.contains("configuration") && !record.contains(value), "{record}");
        until("the trap", || place.folder.path().join("trapped").exists());
        place.kill(first);
        place.status = Arc::default();
        let second = place.start_with(argument, variables);
        let after = place.is_ready();
        assert_eq!((after.pid != before.pid, after.adopted), (differs, !differs), "{argument} {variables:?}");
        let ends = fs::read_to_string(place.folder.path().join("ends")).unwrap_or_default();
        assert_eq!(ends == "ended\n", differs, "{argument} {variables:?}");
        assert!(second.stop(STOP_LIMIT));
    }
}

/// The record of an earlier version has no digest.
#[test]
fn a_gateway_of_an_unknown_configuration_is_taken_over() {
    let mut place = Place::new(&versioned("sleep 600"));
    let first = place.start();
    let before = place.is_ready();
    place.kill(first);
    place.status = Arc::default();
    let mut record: Value = serde_json::from_slice(&place.state.read(RECORD).unwrap().unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("configuration").unwrap();
    place.state.write(RECORD, record.to_string().as_bytes()).unwrap();
    let second = place.start_with("run --other", &[]);
    let after = place.is_ready();
    assert_eq!((after.pid, after.adopted, after.restarts), (before.pid, true, 0));
    assert!(second.stop(STOP_LIMIT));
}

/// A runtime that is to run no gateway ends the one that was noted, and no foreign process.
#[test]
fn a_gateway_that_is_not_wanted_any_more_is_ended_in_order() {
    let rows = [
        ("trap 'echo ended >>ends; exit 0' TERM\nwhile :; do sleep 0.01; done", STOP_LIMIT, "ended\n"),
        ("trap '' TERM\nwhile :; do sleep 0.01; done", Duration::from_millis(50), ""),
    ];
    for (script, drain, expected) in rows {
        let place = Place::new(&versioned(script));
        let child = place.start();
        place.is_ready();
        place.kill(child);
        end_leftover(&place.state, drain, place.panics.clone()).unwrap();
        until("the end", || !place.starts().iter().any(|pid| runs(pid)));
        until("no record", || place.state.read(RECORD).unwrap().is_none());
        let ends = fs::read_to_string(place.folder.path().join("ends")).unwrap_or_default();
        assert_eq!(ends, expected, "{script}");
        // Without a record there is nothing to end.
        end_leftover(&place.state, drain, place.panics.clone()).unwrap();

        let mut foreign = Foreign::start();
        place.state.write(RECORD, foreign.record().as_bytes()).unwrap();
        end_leftover(&place.state, drain, place.panics.clone()).unwrap();
        until("no record", || place.state.read(RECORD).unwrap().is_none());
        assert!(foreign.runs());
        assert!(place.panics.last().is_none());
    }
}

/// The number of a process is used again after its end.
#[test]
fn a_foreign_process_with_the_noted_number_is_left_alone() {
    let place = Place::new(&versioned("sleep 600"));
    let mut foreign = Foreign::start();
    place.state.write(RECORD, foreign.record().as_bytes()).unwrap();
    let child = place.start();
    let health = place.is_ready();
    assert_ne!(health.pid.map(i32::unsigned_abs), Some(foreign.id()));
    assert!(child.stop(STOP_LIMIT));
    assert!(foreign.runs());
    // A record that cannot be parsed counts as absent.
    place.state.write(RECORD, b"{\"pid\":").unwrap();
    let child = place.start();
    place.is_ready();
    assert!(child.stop(STOP_LIMIT));
    assert!(place.state.read(RECORD).unwrap().is_none());
}

/// A process with the noted number that another program has started.
struct Foreign(Child);

impl Foreign {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    /// A record with its number and another start.
    fn record(&self) -> String {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        json!({"pid": self.id(), "started": 1, "boot": boot.trim(), "since": 1, "keys": null}).to_string()
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
