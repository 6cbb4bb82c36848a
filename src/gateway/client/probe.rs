//! How a gateway is, asked without a token and without a turn (spec §2, §11.9).
//!
//! The gateway answers unknown paths with its control page and status 200, so an answer counts by its JSON, never by
//! its status. `/startupz` tells the version since 2026.9, `/readyz` whether turns are wanted; where neither is JSON,
//! `/health` is asked. The oldest release that is known answers all three with its control page.

use std::io::Read;

use serde::Deserialize;
use ureq::http::header;

use super::super::Why;
use super::super::codec::Failure;
use super::super::dialect::Dialect;
use super::broken::{Stage, stopped};
use super::{BUFFER_BYTES, HttpGateway, text};
use crate::wire::{Fault, Sent};

/// How a gateway is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Something answers at its address.
    pub reachable: bool,
    /// It takes turns.
    pub ready: bool,
    /// Its version, if it says so.
    pub version: Option<Box<str>>,
    /// What is known of its dialect.
    pub dialect: Dialect,
    /// Why it is not ready.
    pub why: Option<Why>,
    /// The other side's words on that, redacted.
    pub detail: Option<Box<str>>,
}

/// What any of the three paths may say.
#[derive(Default, Deserialize)]
struct State {
    ok: Option<bool>,
    ready: Option<bool>,
    version: Option<String>,
    #[serde(default)]
    failing: Vec<String>,
}

/// An answer to one question.
enum Seen {
    Json(State),
    /// A page that calls itself OpenClaw's.
    ControlPage,
    Other,
}

pub(super) fn ask(gateway: &HttpGateway) -> Probe {
    let mut probe = Probe {
        reachable: true,
        ready: false,
        version: None,
        dialect: Dialect::default(),
        why: None,
        detail: None,
    };
    if let Err(failure) = fill(gateway, &mut probe) {
        probe.reachable = false;
        probe.why = Some(failure.why);
        probe.detail = failure.detail.map(|words| gateway.shared.words(&words).into());
    }
    probe.dialect = gateway.shared.memory().dialect();
    probe
}

fn fill(gateway: &HttpGateway, probe: &mut Probe) -> Result<(), Failure> {
    if let Seen::Json(State { version: Some(version), .. }) = look(gateway, "/startupz")? {
        let version = gateway.shared.words(&version);
        gateway.shared.memory().heard_version(&version);
        probe.version = Some(version.into());
    }
    let not_yet = |probe: &mut Probe, state: &State| {
        probe.why = Some(Why::Draining);
        let words = gateway.shared.words(&state.failing.join(", "));
        probe.detail = (!words.is_empty()).then(|| words.into());
    };
    if let Seen::Json(state @ State { ready: Some(ready), .. }) = look(gateway, "/readyz")? {
        probe.ready = ready;
        if !ready {
            not_yet(probe, &state);
        }
        return Ok(());
    }
    match look(gateway, "/health")? {
        Seen::Json(State { ok: Some(true), .. }) | Seen::ControlPage => probe.ready = true,
        Seen::Json(state @ State { ok: Some(false), .. }) => not_yet(probe, &state),
        Seen::Json(_) | Seen::Other => probe.why = Some(Why::NotAGateway),
    }
    Ok(())
}

fn look(gateway: &HttpGateway, path: &str) -> Result<Seen, Failure> {
    if gateway.stop.is_closed() {
        return Err(stopped(Stage::Asking(Sent::Nothing)));
    }
    let limit = gateway.shared.limits.probe;
    gateway.patience.set(limit);
    // A question that ran into its limit says as little as one that was never sent.
    let unanswered = |fault: &Fault| gateway.broken(fault, Stage::Asking(Sent::Nothing));
    let request =
        gateway.agent.get(gateway.shared.base.join(path)).config().timeout_global(Some(limit)).build();
    let answer = request.header(header::ACCEPT, "application/json").call();
    let response = answer.map_err(|error| unanswered(&Fault::of(&error)))?;
    let page = text(response.headers(), &header::CONTENT_TYPE).is_some_and(|kind| kind.contains("html"));
    let mut body = Vec::new();
    let read = response.into_body().into_reader().take(4 * BUFFER_BYTES as u64).read_to_end(&mut body);
    read.map_err(|error| unanswered(&Fault::of_io(&error)))?;
    if let Ok(state) = serde_json::from_slice(&body) {
        return Ok(Seen::Json(state));
    }
    let ours = page && String::from_utf8_lossy(&body).to_ascii_lowercase().contains("openclaw");
    Ok(if ours { Seen::ControlPage } else { Seen::Other })
}
