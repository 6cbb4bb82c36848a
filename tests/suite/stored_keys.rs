//! Keys stored in Mission Control: the names that every program refuses, and what the fetches cost.

use std::fs;
use std::path::Path;
use std::time::Duration;

use mission_control_runtime::clock::Millis;
use mission_control_runtime::gateway_keys::name::{DECIDE_PROGRAMS, READ_BEFORE_THE_FILE};
use mission_control_runtime::repeated_call::{CallPace, RepeatedCall};

const MONTH: Duration = Duration::from_hours(30 * 24);

/// A name that one program refuses and the other accepts would be a gap, or a file that stops the gateway.
#[test]
fn the_start_script_refuses_the_same_names() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openclaw/start.sh");
    let script = fs::read_to_string(path).unwrap().replace("\\\n", "");
    let cases = script.split_once("case $name in").unwrap().1.split_once("esac").unwrap().0;
    let lists: Vec<Vec<&str>> = cases
        .lines()
        .filter_map(|line| line.trim().strip_suffix(')'))
        .filter(|line| !line.starts_with("fail"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(lists, [READ_BEFORE_THE_FILE, DECIDE_PROGRAMS]);
}

/// The calls of an idle month. `offered`: whether Mission Control has the function.
fn calls_of_a_month(offered: bool) -> u32 {
    let mut call = RepeatedCall::new(CallPace::of_keys(Duration::from_mins(1), Duration::from_mins(5)));
    let (start, mut calls) = (Millis(0), 0);
    let mut now = start;
    while now.since(start) < MONTH {
        calls += 1;
        call.begins(now);
        if offered {
            call.succeeds();
        } else {
            call.fails(Some(Duration::from_hours(24)), now);
        }
        now = call.due(true, now);
    }
    calls
}

#[test]
fn an_idle_month_costs_few_fetches() {
    assert_eq!((calls_of_a_month(true), calls_of_a_month(false)), (8_640, 30));
}
