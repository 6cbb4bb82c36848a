//! A candidate that is broken in one way gets a no-go with the case that shows it.

use mission_control_runtime::demo::gateway::{Options, Release};
use mission_control_runtime::demo::lossy_proxy::{Losses, LossyProxy};
use mission_control_runtime::demo::rehearsal::{Report, Verdict};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::secret::Secret;

use super::{options, rehearse_by};

/// The cases that show how a gateway is broken.
const CASES: [&str; 6] = ["access", "version", "agents", "history", "mention", "tool-rounds-1"];

fn newest() -> Options {
    options(Release::V2026_9_6)
}

#[track_caller]
fn assert_no_go(report: &Report, case: &str, words: &str) {
    let differing: Vec<_> = report.differing().collect();
    let [found] = differing.as_slice() else { panic!("{}", report.summary()) };
    assert_eq!(found.case.id, case, "{}", report.summary());
    assert!(found.line().contains(words), "{}", found.line());
    assert!(!report.is_go());
}

#[test]
fn a_healthy_candidate_is_a_go() {
    let report = rehearse_by(newest(), &[], &CASES, |_| {});
    assert!(report.is_go(), "{}", report.summary());
    assert_eq!(report.agents, ["engineer", "qa", "writer", "designer"], "those that the gateway lists");
}

#[test]
fn a_closed_endpoint_is_named() {
    let closed = Options { endpoint: false, ..newest() };
    let report = rehearse_by(closed, &["qa"], &CASES, |_| {});
    assert_no_go(&report, "access", "gateway.http.endpoints.responses.enabled");
    let skipped = report.cases.iter().filter(|case| matches!(case.verdict, Verdict::Skipped(_)));
    assert_eq!(skipped.count(), CASES.len() - 1, "{}", report.summary());
}

#[test]
fn a_wrong_token_is_named() {
    let wrong = Secret::new("another-token");
    let report = rehearse_by(newest(), &["qa"], &CASES, |candidate| candidate.token = wrong);
    assert_no_go(&report, "access", "does not accept the runtime's token");
}

#[test]
fn a_missing_agent_is_named_and_the_others_are_played() {
    let report = rehearse_by(newest(), &["qa", "lawyer"], &CASES, |_| {});
    assert_no_go(&report, "agents", "lawyer");
    assert_eq!(report.agents, ["qa"]);
}

/// Every answer is lost, and found in the history.
#[test]
fn a_proxy_that_drops_events_is_named() {
    let mut proxy = None;
    let report = rehearse_by(newest(), &["qa"], &CASES[..5], |candidate| {
        let losing = Losses { after: 0, count: usize::MAX };
        let started = proxy.insert(LossyProxy::start(&candidate.url.to_string(), losing).unwrap());
        candidate.url = BaseUrl::parse(&started.url()).unwrap();
    });
    assert_no_go(&report, "mention", "read from the history");
}

/// A failing provider does not end the rehearsal, and a gateway that has the agents only by another list is no surprise.
#[test]
fn a_candidate_without_any_of_the_agents_gets_no_turn() {
    let report = rehearse_by(newest(), &["lawyer"], &CASES, |_| {});
    assert_no_go(&report, "agents", "lawyer");
    assert!(report.cases.iter().filter(|case| matches!(case.verdict, Verdict::Skipped(_))).count() >= 2);
}
