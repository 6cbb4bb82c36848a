//! A demo that is killed leaves no process, and the next one removes its folder.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Instant;

use super::{PATIENCE, Visitor};
use crate::support::program::Program;

/// Whether the process has ended. A zombie has, too: only its parent has not asked for its exit code.
fn has_ended(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"));
    stat.map_or(true, |stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z')))
}

#[test]
fn a_killed_demo_ends_its_runtime_and_the_next_demo_removes_its_folder() {
    let place = tempfile::tempdir().unwrap();
    let temporary = place.path().to_str().unwrap();
    let start = || Visitor::of(Program::new(["demo", "--port", "0"]).with("TMPDIR", temporary));
    let visitor = start();
    let (runtime, address) = (visitor.runtime(), visitor.runtime_address());
    let folder = Path::new(&visitor.printed["export STATE_DIR"]).parent().unwrap().to_owned();
    assert!(folder.starts_with(place.path()) && folder.is_dir());
    visitor.program.kill();

    let until = Instant::now() + PATIENCE;
    while !has_ended(&runtime) {
        assert!(Instant::now() < until, "the runtime {runtime} is still running");
        std::thread::yield_now();
    }
    TcpListener::bind(&address).expect("the runtime's port is free");
    let next = start();
    assert!(!folder.exists(), "{} is left", folder.display());
    let kept = Path::new(&next.printed["export STATE_DIR"]).parent().unwrap().to_owned();
    let third = start();
    assert!(kept.exists(), "a running demo keeps its folder");
    drop(third);
}
