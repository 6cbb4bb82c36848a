//! Plays one conversation: a board, a runtime and the candidate, from the message of a person to what came of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::board::CaseBoard;
use super::runtime_log::RuntimeLog;
use super::{Candidate, Staging};
use crate::app::child_runtime::{GatewayAccess, Runtime, RuntimeEvent, Setting};
use crate::app::service_client::ServiceEndpoint;
use mcr_gateway_sim::lossy_proxy::LossyProxy;
use mcr_gateway_sim::model_book::TOKEN_PREFIX;
use mcr_gateway_sim::rehearsal::{Disturbance, Expected, Facts, Interruption, Names, Talk};
use mcr_model::random;

/// How long the runtime may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The pause between two looks at the board and the runtime.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What was seen.
pub(super) struct Played {
    pub(super) facts: Facts,
    /// The gateway's names of the sessions.
    pub(super) sessions: Vec<String>,
    /// The runtime's last warnings.
    pub(super) warnings: Vec<String>,
}

/// What a case needs besides its conversation.
pub(super) struct Conditions {
    /// The mentioned agents.
    pub(super) agents: Vec<String>,
    /// The time limit.
    pub(super) patience: Duration,
    /// The most turns, if the model is a real one.
    pub(super) turns_max: Option<u32>,
}

/// A runtime that has started.
struct Started {
    runtime: Runtime,
    service: ServiceEndpoint,
}

/// Plays a conversation. An error means that the rehearsal itself failed.
pub(super) fn play(
    staging: &Staging,
    candidate: &Candidate,
    talk: &Talk,
    conditions: &Conditions,
) -> Result<Played, String> {
    let began = Instant::now();
    let agents = &conditions.agents;
    let board = CaseBoard::new(agents)?;
    let mut access = candidate.access();
    let proxy = match talk.losses {
        None => None,
        Some(losses) => {
            let started = LossyProxy::start(&access.url, losses);
            Some(started.map_err(|why| format!("the proxy that loses answers cannot be started: {why}"))?)
        }
    };
    if let Some(proxy) = &proxy {
        access.url = proxy.url();
    }
    let setting = setting(staging, &board, &access, conditions)?;
    let log = RuntimeLog::default();
    let mut started = start(staging, &setting, &log)?;
    let code = format!("{TOKEN_PREFIX}{}", random::hex::<5>());
    let mut sessions = Vec::new();
    for slug in agents {
        let id = board.task(slug)?;
        let words = (talk.words)(&Names { task: &id, code: &code });
        sessions.push(format!("agent:{slug}:task:{id}:{}:v1", board.board.account));
        board.say(&id, &format!("@{slug}\n({code})\n{words}"))?;
    }
    // Without the nudge the runtime finds the message at its next list.
    let _ = started.service.post("/nudge", "");
    let mut interruption = talk.interruption;
    let mut disturbance = talk.losses.map(|_| Disturbance::Loss);
    let until = began + conditions.patience;
    let mut health = Value::Null;
    let timed_out = loop {
        if staging.stop.wait(LOOK_PAUSE) {
            return Err("stopped by a signal".to_owned());
        }
        if let Ok((_, now)) = started.service.get("/health") {
            health = now;
        }
        let is_last_turn =
            matches!(talk.expected, Expected::Answer { turns, .. } if turns_of(staging, &code) >= turns);
        if let Some(killed) = interruption.take_if(|_| is_last_turn) {
            disturbance = Some(Disturbance::Kill);
            match killed {
                Interruption::Runtime => {
                    started.runtime.kill();
                    started = start(staging, &setting, &log)?;
                }
                Interruption::Gateway => {
                    candidate.process.as_ref().map_or(Ok(()), |process| process.kill_and_start())?;
                }
            }
        } else if is_over(&talk.expected, agents.len(), &health) {
            break false;
        }
        if Instant::now() > until {
            break true;
        }
    };
    started.runtime.stop();
    let (posts, notes) = board.posts()?;
    let calls = staging.book.calls(&code);
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let delivery = &health["delivery"];
    let facts = Facts {
        agents: agents.clone(),
        posts,
        notes,
        documents: board.documents()?,
        review: board.is_in_review()?,
        turns: turns_of(staging, &code),
        model_calls: calls.len(),
        offered: calls
            .iter()
            .flat_map(|call| call.tools.iter().cloned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        told_one_call: calls.iter().any(|call| call.instructions.contains(ONE_CALL)),
        ended: serde_json::from_value(delivery["ended"].clone()).unwrap_or_default(),
        reasons: texts(&health["reasons"]),
        last_error: delivery["lastErrorMessage"].as_str().map(str::to_owned),
        recovered: log.recovered(),
        disturbance,
        timed_out,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        code,
    };
    drop(proxy);
    board.board.stop();
    Ok(Played { facts, sessions, warnings: log.warnings() })
}

/// What the briefing says where a gateway hands out one call of a reply only.
const ONE_CALL: &str = "one call at a time";

fn setting(
    staging: &Staging,
    board: &CaseBoard,
    access: &GatewayAccess,
    conditions: &Conditions,
) -> Result<Setting, String> {
    let mut setting = Setting::new(&board.board, access, 0)?;
    if let Some(program) = &staging.program {
        setting.run_program(program.clone());
    }
    if let Some(turns) = conditions.turns_max {
        setting.set("DELIVERY_MAX_TURNS", turns.to_string());
    }
    if let Some(file) = &staging.ssl_cert_file {
        setting.set("SSL_CERT_FILE", file.display().to_string());
    }
    Ok(setting)
}

/// Starts the runtime and waits until it knows the agents.
fn start(staging: &Staging, setting: &Setting, log: &RuntimeLog) -> Result<Started, String> {
    let runtime = Runtime::start(setting, log.clone())
        .map_err(|why| format!("the runtime of the rehearsal cannot be started: {why}"))?;
    let until = Instant::now() + START_LIMIT;
    let mut address = None;
    while !staging.stop.is_closed() {
        match runtime.news.recv_timeout(until.saturating_duration_since(Instant::now()).min(LOOK_PAUSE)) {
            Ok(RuntimeEvent::Listening(url)) => address = Some(format!("{}:{}", url.host(), url.port())),
            Ok(RuntimeEvent::Started) => break,
            Err(why) if why.is_disconnected() || Instant::now() > until => {
                let warnings = log.warnings().join("\n");
                return Err(format!("the runtime of the rehearsal does not start:\n{warnings}"));
            }
            Ok(RuntimeEvent::TurnLimit) | Err(_) => {}
        }
    }
    let address = address.ok_or("the runtime of the rehearsal does not listen")?;
    Ok(Started { runtime, service: ServiceEndpoint::at(address) })
}

/// The model calls that follow an input of the runtime.
fn turns_of(staging: &Staging, code: &str) -> usize {
    staging.book.calls(code).iter().filter(|call| call.begins_turn).count()
}

/// Whether nothing more is to be expected.
fn is_over(expected: &Expected, agents: usize, health: &Value) -> bool {
    let delivery = &health["delivery"];
    let ended: u64 =
        delivery["ended"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
    let is_quiet = delivery["inFlight"] == 0 && delivery["waiting"] == 0;
    let has_failed = delivery["lastErrorMessage"].is_string();
    match expected {
        Expected::Answer { .. } => {
            delivery["ended"]["dead"].as_u64() > Some(0) || (is_quiet && ended >= agents as u64)
        }
        Expected::Silence => is_quiet && ended > 0,
        Expected::Failure => has_failed || ended > 0,
        Expected::NoTurn => {
            has_failed || ended > 0 || health["gateway"]["missingAgents"]["count"].as_u64() > Some(0)
        }
    }
}
