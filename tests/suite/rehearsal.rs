//! The conformance cases with every release of the scripted gateway.

/// Gateways that are broken in one way each.
mod broken;
/// The command with its bad inputs.
mod command;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mission_control_runtime::app::rehearse::{Candidate, CandidateProcess, Staging, rehearse_with};
use mission_control_runtime::demo::gateway::{
    self, BODY_BYTES, Directives, Options, Release, ScriptedGateway,
};
use mission_control_runtime::demo::model_book::{ModelBook, RecordedModel};
use mission_control_runtime::demo::rehearsal::{CaseReport, Report, Verdict};
use mission_control_runtime::http::server::{Server, ServerLimits};
use mission_control_runtime::model::BaseUrl;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};

const TOKEN: &str = "the-candidates-token";

/// A process starts in this time. A gateway whose uptime differs less from the age of a turn counts as the same process.
const START_TIME: Duration = Duration::from_millis(1_500);

/// A scripted gateway that can be killed.
struct ScriptedCandidate {
    running: Mutex<Option<(ScriptedGateway, Server)>>,
    address: String,
}

impl ScriptedCandidate {
    fn start(options: Options, book: &ModelBook) -> Arc<Self> {
        let gateway = ScriptedGateway::new(options, Arc::new(RecordedModel::new(Directives, book.clone())));
        let server = serve(&gateway, "127.0.0.1:0");
        let address = server.local_addr().to_string();
        Arc::new(Self { running: Mutex::new(Some((gateway, server))), address })
    }
}

impl CandidateProcess for ScriptedCandidate {
    fn kill_and_start(&self) -> Result<(), String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (gateway, server) = running.take().unwrap();
        gateway.end();
        server.stop(Duration::ZERO);
        std::thread::sleep(START_TIME);
        let next = gateway.restarted();
        let server = serve(&next, &self.address);
        *running = Some((next, server));
        Ok(())
    }
}

impl Drop for ScriptedCandidate {
    fn drop(&mut self) {
        if let Some((gateway, _)) = self.running.get_mut().unwrap().take() {
            gateway.end();
        }
    }
}

fn serve(gateway: &ScriptedGateway, address: &str) -> Server {
    let shared = gateway.clone();
    let limits = ServerLimits::default().with_body_limit(gateway::PATH, BODY_BYTES);
    Server::bind_refusing(address, limits, ScriptedGateway::refuse, move |request| shared.answer(&request))
        .unwrap()
}

fn options(release: Release) -> Options {
    Options {
        release,
        token: Some(TOKEN.to_owned()),
        agents: ["engineer", "qa", "writer", "designer"].map(str::to_owned).into(),
        run_timeout: Duration::from_millis(50),
        resume_after: Duration::from_millis(200),
        ..Options::default()
    }
}

fn rehearse(options: Options, agents: &[&str]) -> Report {
    rehearse_by(options, agents, &[], |_| {})
}

/// Plays these cases with a changed candidate.
fn rehearse_by(
    options: Options,
    agents: &[&str],
    cases: &[&str],
    change: impl FnOnce(&mut Candidate),
) -> Report {
    let book = ModelBook::default();
    let gateway = ScriptedCandidate::start(options, &book);
    let mut candidate = Candidate {
        url: BaseUrl::parse(&format!("http://{}", gateway.address)).unwrap(),
        token: Secret::new(TOKEN),
        agents: agents.iter().map(|slug| (*slug).to_owned()).collect(),
        process: Some(gateway),
    };
    change(&mut candidate);
    let staging = Staging {
        book,
        real_model: false,
        cases: cases.iter().map(|id| (*id).to_owned()).collect(),
        patience: Duration::from_mins(1),
        provider_patience: Duration::from_mins(1),
        program: Some(env!("CARGO_BIN_EXE_mission-control-runtime").into()),
        roots: Roots::load(None).unwrap(),
        ssl_cert_file: None,
        stop: Stop::new(),
    };
    rehearse_with(&staging, &candidate, &|_| {}).unwrap()
}

/// Plays all cases with a release. Only these cases may be worse than its row permits.
#[track_caller]
fn assert_differing(release: Release, differing: &[&str]) {
    let report = rehearse(options(release), &["engineer", "qa", "writer"]);
    let found: Vec<&str> = report.differing().map(|case| case.case.id).collect();
    let lines: String = report.cases.iter().map(CaseReport::line).collect();
    assert_eq!(found, differing, "{}:\n{lines}", release.version());
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["gateway"]["version"], release.version(), "{json}");
    assert_eq!(json["cases"].as_array().unwrap().len(), report.cases.len());
    assert!(report.cases.iter().all(|case| matches!(case.verdict, Verdict::Played(..))), "{lines}");
}

#[test]
fn release_2026_2_19_does_what_its_row_says() {
    assert_differing(Release::V2026_2_19, &[]);
}

#[test]
fn release_2026_3_24_does_what_its_row_says() {
    assert_differing(Release::V2026_3_24, &[]);
}

#[test]
fn release_2026_3_31_does_what_its_row_says() {
    assert_differing(Release::V2026_3_31, &[]);
}

#[test]
fn release_2026_4_15_does_what_its_row_says() {
    assert_differing(Release::V2026_4_15, &[]);
}

#[test]
fn release_2026_5_7_does_what_its_row_says() {
    assert_differing(Release::V2026_5_7, &[]);
}

#[test]
fn release_2026_5_28_does_what_its_row_says() {
    assert_differing(Release::V2026_5_28, &[]);
}

#[test]
fn release_2026_6_11_does_what_its_row_says() {
    assert_differing(Release::V2026_6_11, &[]);
}

#[test]
fn release_2026_7_1_does_what_its_row_says() {
    assert_differing(Release::V2026_7_1, &[]);
}

#[test]
fn release_2026_7_35_does_what_its_row_says() {
    assert_differing(Release::V2026_7_35, &[]);
}

#[test]
fn release_2026_8_2_does_what_its_row_says() {
    assert_differing(Release::V2026_8_2, &[]);
}

#[test]
fn release_2026_9_6_does_what_its_row_says() {
    assert_differing(Release::V2026_9_6, &[]);
}
