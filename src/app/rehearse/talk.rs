//! Plays one conversation: a board, a runtime and the candidate, from the message of a person to what came of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::board::CaseBoard;
use super::runtime_log::RuntimeLog;
use super::{Candidate, Staging};
use crate::app::child_runtime::{GatewayAccess, Runtime, RuntimeEvent, Setting};
use crate::app::service_client::ServiceEndpoint;
use mcr_core::ops::HealthReason;
use mcr_gateway_sim::lossy_proxy::LossyProxy;
use mcr_gateway_sim::model_book::TOKEN_PREFIX;
use mcr_gateway_sim::rehearsal::{Disturbance, Expected, Facts, Interruption, Names, Talk};
use mcr_model::random;

/// How long the runtime may take to start.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The pause between two looks at the board and the runtime.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// How long a second attempt may take after the first one has failed. A gateway that retries for minutes gets one only.
const SECOND_ATTEMPT_LIMIT: Duration = Duration::from_mins(1);

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

/// A conversation in progress.
struct Scene<'a> {
    staging: &'a Staging,
    candidate: &'a Candidate,
    talk: &'a Talk,
    agents: &'a [String],
    began: Instant,
    board: CaseBoard,
    setting: Setting,
    log: RuntimeLog,
    started: Started,
    /// The word that only this conversation contains.
    code: String,
    /// The gateway's names of the sessions.
    sessions: Vec<String>,
    disturbance: Option<Disturbance>,
    /// The runtime's last `/health`.
    health: Value,
    errors: Vec<String>,
    first_failure: Option<Instant>,
    /// Loses the answers, if any are to be lost. It lives as long as the conversation.
    _proxy: Option<LossyProxy>,
}

/// Plays a conversation. An error means that the rehearsal itself failed.
pub(super) fn play(
    staging: &Staging,
    candidate: &Candidate,
    talk: &Talk,
    conditions: &Conditions,
) -> Result<Played, String> {
    let mut scene = Scene::new(staging, candidate, talk, conditions)?;
    scene.speak()?;
    let timed_out = scene.watch(scene.began + conditions.patience)?;
    scene.end(timed_out)
}

impl<'a> Scene<'a> {
    /// Starts the board, the proxy and the runtime.
    fn new(
        staging: &'a Staging,
        candidate: &'a Candidate,
        talk: &'a Talk,
        conditions: &'a Conditions,
    ) -> Result<Self, String> {
        let began = Instant::now();
        let agents = &conditions.agents;
        let board = CaseBoard::new(agents)?;
        let mut access = candidate.access();
        let proxy = talk.losses.map(|losses| LossyProxy::start(&access.url, losses)).transpose();
        let proxy = proxy.map_err(|why| format!("the proxy that loses answers cannot be started: {why}"))?;
        if let Some(proxy) = &proxy {
            access.url = proxy.url();
        }
        let setting = setting(staging, &board, &access, conditions)?;
        let log = RuntimeLog::default();
        let started = start(staging, &setting, &log)?;
        Ok(Self {
            staging,
            candidate,
            talk,
            agents,
            began,
            board,
            setting,
            log,
            started,
            code: format!("{TOKEN_PREFIX}{}", random::hex::<5>()),
            sessions: Vec::new(),
            disturbance: talk.losses.map(|_| Disturbance::Loss),
            health: Value::Null,
            errors: Vec::new(),
            first_failure: None,
            _proxy: proxy,
        })
    }

    /// The person mentions each agent on a task of its own.
    fn speak(&mut self) -> Result<(), String> {
        for slug in self.agents {
            let id = self.board.task(slug)?;
            let words = (self.talk.words)(&Names { task: &id, code: &self.code });
            self.sessions.push(format!("agent:{slug}:task:{id}:{}:v1", self.board.board.account));
            self.board.say(&id, &format!("@{slug}\n({})\n{words}", self.code))?;
        }
        // Without the nudge the runtime finds the message at its next list.
        let _ = self.started.service.post("/nudge", "");
        Ok(())
    }

    /// Waits for the end of the conversation. Returns whether the time was over first.
    fn watch(&mut self, until: Instant) -> Result<bool, String> {
        let mut interruption = self.talk.interruption;
        loop {
            if self.staging.stop.wait(LOOK_PAUSE) {
                return Err("stopped by a signal".to_owned());
            }
            self.look();
            let is_last_turn =
                matches!(self.talk.expected, Expected::Answer { turns, .. } if self.turns() >= turns);
            if let Some(killed) = interruption.take_if(|_| is_last_turn) {
                self.interrupt(killed)?;
            } else if self.is_over() {
                return Ok(false);
            }
            if Instant::now() > until {
                return Ok(true);
            }
        }
    }

    /// Reads the runtime's `/health`.
    fn look(&mut self) {
        if let Ok((_, now)) = self.started.service.get("/health") {
            self.health = now;
        }
        if let Some(error) = self.health["delivery"]["lastErrorMessage"].as_str()
            && self.errors.last().is_none_or(|last| last != error)
        {
            self.errors.push(error.to_owned());
            self.first_failure = self.first_failure.or_else(|| Some(Instant::now()));
        }
    }

    fn interrupt(&mut self, killed: Interruption) -> Result<(), String> {
        self.disturbance = Some(Disturbance::Kill);
        match (killed, &self.candidate.process) {
            (Interruption::Runtime, _) => {
                self.started.runtime.kill_now();
                self.started = start(self.staging, &self.setting, &self.log)?;
                Ok(())
            }
            (Interruption::Gateway, Some(process)) => process.kill_and_start(),
            (Interruption::Gateway, None) => Ok(()),
        }
    }

    /// The model calls that follow an input of the runtime.
    fn turns(&self) -> usize {
        self.staging.book.calls(&self.code).iter().filter(|call| call.begins_turn).count()
    }

    /// Whether nothing more is to be expected.
    fn is_over(&self) -> bool {
        let delivery = &self.health["delivery"];
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let ended: u64 = delivery["ended"].as_object().into_iter().flatten().map(|(_, n)| number(n)).sum();
        let is_quiet = delivery["inFlight"] == 0 && delivery["waiting"] == 0;
        if delivery["inFlight"] == 0 && self.has_reached_turn_limit() {
            return true;
        }
        match self.talk.expected {
            Expected::Answer { .. } => {
                number(&delivery["ended"]["dead"]) > 0 || (is_quiet && ended >= self.agents.len() as u64)
            }
            Expected::Silence => is_quiet && ended > 0,
            // A retry could post what the first attempt did not.
            Expected::Failure => {
                let is_late = self.first_failure.is_some_and(|at| at.elapsed() > SECOND_ATTEMPT_LIMIT);
                ended > 0 || number(&delivery["failed"]) > 1 || is_late
            }
            Expected::NoTurn => {
                let missing = number(&self.health["gateway"]["missingAgents"]["count"]);
                !self.errors.is_empty() || ended > 0 || missing > 0
            }
        }
    }

    /// Whether the turns of a real model are used up.
    fn has_reached_turn_limit(&self) -> bool {
        let reasons = self.health["reasons"].as_array();
        reasons.is_some_and(|reasons| {
            reasons.iter().any(|reason| reason == HealthReason::TurnLimitReached.as_str())
        })
    }

    /// Stops the runtime and collects what was seen.
    fn end(self, timed_out: bool) -> Result<Played, String> {
        let turns = self.turns();
        self.started.runtime.stop();
        let (posts, notes) = self.board.posts()?;
        let calls = self.staging.book.calls(&self.code);
        let offered: BTreeSet<String> = calls.iter().flat_map(|call| call.tools.iter().cloned()).collect();
        let texts = |value: &Value| -> Vec<String> {
            let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let ended = self.health["delivery"]["ended"].clone();
        let facts = Facts {
            agents: self.agents.to_vec(),
            posts,
            notes,
            documents: self.board.documents()?,
            review: self.board.is_in_review()?,
            turns,
            model_calls: (!self.staging.real_model).then_some(calls.len()),
            offered: offered.into_iter().collect(),
            told_one_call: calls.iter().any(|call| call.instructions.contains(ONE_CALL)),
            ended: serde_json::from_value(ended).unwrap_or_default(),
            reasons: texts(&self.health["reasons"]),
            errors: self.errors,
            recovered: self.log.recovered(),
            disturbance: self.disturbance,
            timed_out,
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            code: self.code,
        };
        self.board.board.stop();
        Ok(Played { facts, sessions: self.sessions, warnings: self.log.warnings() })
    }
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
