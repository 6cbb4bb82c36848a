//! A process that can die, and lose answers, at each of its calls; and a model whose sessions survive it.

use mission_control_runtime::bridge::BridgeClient;
use mission_control_runtime::convex::{self, Call, CallError, Convex, Ran};
use mission_control_runtime::delivery::deliver::deliver;
use mission_control_runtime::delivery::deps::DeliveryDeps;
use mission_control_runtime::delivery::journal::{Journal, JournalError, Note, Wait};
use mission_control_runtime::delivery::{Job, Outcome, Record};
use mission_control_runtime::gateway::history::{Running, TurnMark, Waiting};
use mission_control_runtime::gateway::{
    Class, Gateway, GatewayError, Input, Progress, Recovered, Reply, Turn, Why,
};
use mission_control_runtime::http::agent_api::network_guard::NetworkGuard;
use mission_control_runtime::http::agent_api::{AgentApi, AgentApiSetup, Bridge};
use mission_control_runtime::http::message::{Header, Method, Request};
use mission_control_runtime::http::routes::AgentEndpoint;
use mission_control_runtime::ledger::MemoryLedger;
use mission_control_runtime::metrics::Metrics;
use mission_control_runtime::mission::Mission;
use mission_control_runtime::model::{AccountId, BridgeSettings, SessionKey, SessionScope, ToolEndpoints};
use mission_control_runtime::roster;
use mission_control_runtime::secret::Secret;
use mission_control_runtime::wire::{Roots, Stop};
use mission_control_runtime::work::Work;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::setup::Fixture;
use crate::support::beats;
use crate::support::service_parts::ServiceParts;

/// The failure at one call of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The process dies before the call.
    DiesBefore,
    /// The process dies after the call, without its answer.
    DiesAfter,
    /// The call is executed, and its answer is lost.
    AnswerLost,
    /// The call is not executed, which looks like a lost answer.
    CallLost,
}

impl Failure {
    pub(super) const ALL: [Self; 4] = [Self::DiesBefore, Self::DiesAfter, Self::AnswerLost, Self::CallLost];
}

/// Which failure happens at which call.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScheduledFailure {
    pub(super) at: usize,
    pub(super) failure: Failure,
}

/// A change that others make on the board.
pub(super) type Meanwhile = Arc<dyn Fn() + Send + Sync>;

/// One process: all its calls to the outside pass here.
pub(super) struct ProcessRun {
    scheduled: Option<ScheduledFailure>,
    /// The change right before which call.
    meanwhile: Option<(usize, Meanwhile)>,
    calls: AtomicUsize,
}

impl ProcessRun {
    pub(super) fn new(
        scheduled: Option<ScheduledFailure>,
        meanwhile: Option<(usize, Meanwhile)>,
    ) -> Arc<Self> {
        Arc::new(Self { scheduled, meanwhile, calls: AtomicUsize::new(0) })
    }

    /// How many calls it made.
    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(super) fn is_over(&self) -> bool {
        let deadly = |scheduled: &ScheduledFailure| {
            matches!(scheduled.failure, Failure::DiesBefore | Failure::DiesAfter)
        };
        self.scheduled.filter(deadly).is_some_and(|scheduled| self.calls() > scheduled.at)
    }

    /// One call: it is made unless the process is dead, dies before it, or the call is lost.
    fn call<T, E>(&self, make: impl FnOnce() -> Result<T, E>, lost: impl FnOnce() -> E) -> Result<T, E> {
        if self.is_over() {
            dies("it is dead");
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if let Some((at, happens)) = &self.meanwhile
            && *at == number
        {
            happens();
        }
        match self.scheduled.filter(|scheduled| scheduled.at == number).map(|scheduled| scheduled.failure) {
            None => make(),
            Some(Failure::DiesBefore) => dies("before a call"),
            Some(Failure::DiesAfter) => {
                drop(make());
                dies("behind a call")
            }
            Some(Failure::AnswerLost) => {
                drop(make());
                Err(lost())
            }
            Some(Failure::CallLost) => Err(lost()),
        }
    }
}

/// Without a log line: thousands of processes die.
fn dies(when: &'static str) -> ! {
    std::panic::resume_unwind(Box::new(when))
}

struct MortalBackend(Arc<ProcessRun>, Arc<Fixture>);

impl Convex for MortalBackend {
    fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
        let Self(process, fixture) = self;
        let lost = || {
            let class =
                if call.may_repeat { convex::CallClass::Transient } else { convex::CallClass::Ambiguous };
            let mut error = CallError::new(class, convex::CallReason::LostAnswer, "", "the answer was lost");
            error.ran = Ran::Maybe;
            error
        };
        fixture.team.board.advance(1);
        process.call(|| fixture.backend.call(call), lost)
    }
}

/// What the gateway does by itself after it has lost a turn in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recovery {
    /// It resumes the turn, and the agent answers without our tools.
    Itself,
    /// It does nothing: the input is there, and no answer.
    None,
}

/// The model's calls over HTTP in a turn: endpoints and bodies.
pub(super) type HttpCalls = fn(&Fixture) -> Vec<(&'static str, Value)>;

/// What happens to a turn whose client has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AbandonedTurn {
    /// It continues, and repeats calls without a result.
    GoesOn,
    /// It ends, and is sent again as a whole.
    Ends,
}

/// The model's reply at each of its steps.
pub(super) type Script = fn(&Fixture, usize) -> Reply;

/// The model: its replies, and the inputs it has received.
pub(super) struct Model {
    script: Script,
    /// Its calls over HTTP in each of its turns, and what happens to a turn whose client has died.
    http_calls: Option<(HttpCalls, AbandonedTurn)>,
    /// The turn in which the gateway fails.
    breaks: Option<(usize, Recovery)>,
    state: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    step: usize,
    turns: usize,
    /// The identification of each turn in the history, in order, and its reply.
    received: Vec<(String, Option<Reply>)>,
    resuming: HashMap<String, u32>,
    wrong: Vec<String>,
    /// How many of its HTTP calls have a result in the present turn.
    calls_done: usize,
    /// The texts for people.
    said: Vec<String>,
    heard: Vec<String>,
}

impl Model {
    pub(super) fn new(script: Script, breaks: Option<(usize, Recovery)>) -> Self {
        Self { script, breaks, http_calls: None, state: Mutex::default() }
    }

    /// Adds calls over HTTP in its turns.
    pub(super) fn calling(self, http_calls: HttpCalls, abandoned: AbandonedTurn) -> Self {
        Self { http_calls: Some((http_calls, abandoned)), ..self }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Its texts for people, in order.
    pub(super) fn said(&self) -> Vec<String> {
        self.state().said.clone()
    }

    /// The inputs of the turns that it has answered.
    pub(super) fn heard(&self) -> String {
        self.state().heard.concat()
    }

    /// The number of paid turns, and what should not have happened.
    pub(super) fn turns(&self) -> (usize, Vec<String>) {
        let state = self.state();
        (state.turns, state.wrong.clone())
    }

    fn turn(
        &self,
        fixture: &Fixture,
        key: String,
        input: &str,
        connection: &AgentConnection<'_>,
    ) -> Result<Reply, GatewayError> {
        let mut state = self.state();
        let before =
            state.received.iter().rev().find(|(mark, _)| *mark == key).map(|(_, reply)| reply.is_some());
        match before {
            Some(true) => state.wrong.push(format!("{key} was answered and is sent again")),
            // An interrupted turn is begun again: the model repeats its last calls, under other ids.
            Some(false) => state.step = state.step.saturating_sub(1),
            None => {}
        }
        state.turns += 1;
        let turn = state.turns;
        let breaks = self.breaks.is_some_and(|(at, _)| at == turn);
        if let Some((http_calls, _)) = self.http_calls {
            state.received.push((key.clone(), None));
            state.calls_done = 0;
            drop(state);
            let http_calls = http_calls(fixture);
            let most = if breaks { http_calls.len() / 2 } else { http_calls.len() };
            self.run_http_calls(&http_calls[..most], connection);
            state = self.state();
        }
        if breaks {
            state.received.push((key, None));
            return Err(lost());
        }
        let mut reply = (self.script)(fixture, state.step);
        state.step += 1;
        for call in &mut reply.calls {
            call.call_id = format!("{}-{turn}", call.call_id);
        }
        state.heard.push(input.to_owned());
        state.said.extend(reply.text.clone());
        state.received.push((key, Some(reply.clone())));
        Ok(reply)
    }

    /// Continues with its HTTP calls, repeating them as a good agent does.
    fn run_http_calls(&self, http_calls: &[(&'static str, Value)], connection: &AgentConnection<'_>) {
        loop {
            let at = self.state().calls_done;
            let Some((endpoint, body)) = http_calls.get(at) else { return };
            let said = (0..5).map(|_| connection.call(endpoint, body)).find(|(status, _)| *status < 500);
            let mut state = self.state();
            match said {
                Some((200, _)) => {}
                other => state.wrong.push(format!("{endpoint} {body}: {other:?}")),
            }
            state.calls_done += 1;
        }
    }

    /// A turn whose client has died in the middle continues, or ends with it.
    fn recover_abandoned(
        &self,
        fixture: &Fixture,
        key: &str,
        connection: &AgentConnection<'_>,
    ) -> Option<Recovered> {
        let (http_calls, abandoned) = self.http_calls.filter(|_| self.breaks.is_none())?;
        let is_open = |(mark, reply): &(String, Option<Reply>)| mark == key && reply.is_none();
        if !self.state().received.last().is_some_and(is_open) {
            return None;
        }
        if abandoned == AbandonedTurn::Ends {
            return Some(Recovered::Absent { marker_seen: true });
        }
        self.run_http_calls(&http_calls(fixture), connection);
        let mut state = self.state();
        let reply = (self.script)(fixture, state.step);
        state.step += 1;
        state.said.extend(reply.text.clone());
        state.received.push((key.to_owned(), Some(reply.clone())));
        Some(Recovered::Answered(reply))
    }

    fn recover(&self, fixture: &Fixture, key: &str, connection: &AgentConnection<'_>) -> Recovered {
        if let Some(recovered) = self.recover_abandoned(fixture, key, connection) {
            return recovered;
        }
        let mut state = self.state();
        let known = state.received.iter().rev().find(|(mark, _)| mark == key).map(|(_, reply)| reply.clone());
        match known {
            None => Recovered::Absent { marker_seen: false },
            Some(Some(reply)) if !reply.calls.is_empty() => Recovered::Calls(reply),
            Some(Some(reply)) if reply.text.is_some() => Recovered::Answered(reply),
            Some(Some(_)) => Recovered::Silent,
            Some(None) if self.breaks.is_some_and(|(_, recovery)| recovery == Recovery::None) => {
                Recovered::Absent { marker_seen: true }
            }
            Some(None) => {
                let looks = state.resuming.entry(key.to_owned()).or_default();
                *looks += 1;
                if *looks < 3 {
                    let why = Waiting::Resuming;
                    return Recovered::Running(Running {
                        again_in: Duration::ZERO,
                        why,
                        last: Some(3),
                        promised: 0,
                    });
                }
                // The first step with text only: its tools are gone, so the agent is asked again, and the text is not posted.
                let steps = (state.step..).map(|step| (self.script)(fixture, step));
                let reply = steps.into_iter().find(|reply| reply.calls.is_empty()).unwrap();
                if *state.resuming.get(key).unwrap() == 3 {
                    state.turns += 1;
                }
                Recovered::ToolsMissing(reply)
            }
        }
    }
}

fn lost() -> GatewayError {
    GatewayError::new(Class::Lost, Why::LostAnswer, None)
}

struct MortalGateway<'a>(Arc<ProcessRun>, &'a Model, &'a Fixture, &'a AgentApi);

/// The connection of an agent to the present process, in one of its sessions.
struct AgentConnection<'a>(&'a AgentApi, &'a SessionKey);

impl AgentConnection<'_> {
    fn call(&self, endpoint: &str, body: &Value) -> (u16, String) {
        let Self(api, session) = self;
        let headers = ["Host: localhost".to_owned(), format!("x-openclaw-session-key: {}", session.expose())];
        let request = Request::new(Method::Post, format!("/agent/{endpoint}"))
            .with_headers(headers.map(|line| line.parse::<Header>().unwrap()))
            .with_peer(([127, 0, 0, 1], 9).into())
            .with_body(body.to_string());
        let reply = api.answer(AgentEndpoint::named(endpoint).unwrap(), &request);
        (reply.status(), String::from_utf8_lossy(reply.body().unwrap()).into_owned())
    }
}

impl Gateway for MortalGateway<'_> {
    fn turn(&self, turn: &Turn<'_>, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Reply, GatewayError> {
        let Self(process, model, fixture, api) = self;
        let connection = AgentConnection(api, turn.session);
        let (key, input) = match turn.input {
            Input::Message(text) => (text[..=text.find(']').unwrap()].to_owned(), text.to_owned()),
            Input::Outputs(outputs) => {
                (key_of(outputs.iter().map(|output| output.call_id.as_str())), String::new())
            }
        };
        let reply = process.call(|| model.turn(fixture, key, &input, &connection), lost)?;
        progress(Progress::TurnAccepted("resp_1"));
        Ok(reply)
    }

    fn recover(&self, session: &SessionKey, _: &str, mark: &TurnMark<'_>) -> Result<Recovered, GatewayError> {
        let Self(process, model, fixture, api) = self;
        let connection = AgentConnection(api, session);
        let key = match mark.outputs {
            [] => mark.marker.to_owned(),
            outputs => key_of(outputs.iter().map(|output| output.call_id.as_str())),
        };
        let no_answer = || GatewayError::new(Class::Closed, Why::Unreachable, None);
        assert!(mark.tools, "every turn here has tools");
        process.call(|| Ok(model.recover(fixture, &key, &connection)), no_answer)
    }

    fn abort(&self, _: &SessionKey, _: &str, _: Option<&str>) -> Result<bool, GatewayError> {
        // No run outlives its client here.
        let no_answer = || GatewayError::new(Class::Closed, Why::Unreachable, None);
        self.0.call(|| Ok(false), no_answer)
    }
}

fn key_of<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.collect::<Vec<_>>().join(" ")
}

struct MortalJournal(Arc<ProcessRun>, Arc<MemoryLedger>);

impl Journal for MortalJournal {
    fn note(&self, note: &Note<'_>, wait: Wait) -> Result<(), JournalError> {
        if self.0.is_over() { Ok(()) } else { self.1.note(note, wait) }
    }
}

/// One process works on the job. Returns whether the delivery ended before the process died.
pub(super) fn live(
    fixture: &Arc<Fixture>,
    model: &Model,
    ledger: &Arc<MemoryLedger>,
    job: &mut Job,
    process: &Arc<ProcessRun>,
) -> bool {
    let board = &fixture.team.board;
    let mut open = vec![(job.work.clone(), std::mem::take(&mut job.record))];
    with_deps((fixture, model, ledger, process), &mut open, |deps, open| {
        job.record = std::mem::take(&mut open[0].1);
        for _ in 0..30 {
            match catch_unwind(AssertUnwindSafe(|| deliver(job, deps))) {
                Ok(Outcome::Closed(_)) if !process.is_over() => return true,
                _ if process.is_over() => return false,
                Ok(Outcome::Again { pause, .. }) => {
                    board.advance(pause.map_or(0, |pause| i64::try_from(pause.as_millis()).unwrap()));
                }
                Ok(Outcome::Closed(_)) | Err(_) => {}
            }
        }
        panic!("it comes to no end: {:?}", job.record);
    })
}

/// The surroundings of a process: board, model, ledger and its calls.
pub(super) type Surroundings<'a> = (&'a Arc<Fixture>, &'a Model, &'a Arc<MemoryLedger>, &'a Arc<ProcessRun>);

/// Starts the parts of a process that recalls these open deliveries, and lets it work.
pub(super) fn with_deps<T>(
    (fixture, model, ledger, process): Surroundings<'_>,
    open: &mut [(Arc<Work>, Record)],
    work: impl FnOnce(&DeliveryDeps<'_>, &mut [(Arc<Work>, Record)]) -> T,
) -> T {
    let convex = Arc::new(MortalBackend(process.clone(), fixture.clone()));
    let board = &fixture.team.board;
    let sure = Mission::new(
        Arc::new(fixture.backend.clone()),
        AccountId::new(&board.account),
        Secret::new(&board.token),
    );
    let mission = Mission::new(convex, AccountId::new(&board.account), Secret::new(&board.token));
    let journal = Arc::new(MortalJournal(process.clone(), ledger.clone()));
    let mut parts = ServiceParts::new(
        roster::Team::default(),
        fixture.parts.sessions.clone(),
        beats::none(&board.account),
    );
    parts.rules.access.endpoints = ToolEndpoints::On;
    for (work, record) in open.iter_mut() {
        parts.inflight.resume(work, record);
        record.effects.all_made().iter().for_each(|id| parts.made.add(id.clone()));
    }
    parts.people.fetch(&sure).unwrap();
    let time = fixture.clone();
    let api = AgentApi::new(AgentApiSetup {
        mission: mission.clone(),
        team: parts.people.clone(),
        sessions: parts.sessions.clone(),
        inflight: parts.inflight.clone(),
        journal: journal.clone(),
        made: parts.made.clone(),
        clock: Arc::new(board.clock()),
        written: Box::new(|| ()),
        wait: Box::new(move |pause| time.team.board.advance(i64::try_from(pause.as_millis()).unwrap())),
        guard: NetworkGuard::default(),
        tokens: false,
        access: parts.rules.access,
        shows_tools: Box::new(|| true),
        calls_max: 32,
        redactor: Arc::default(),
        metrics: Arc::new(Metrics::new([])),
        beats: parts.beats.clone(),
        main_session: "main".to_owned(),
        session_scope: SessionScope::default(),
        bridge: Bridge {
            client: BridgeClient::new(&Roots::load(None).unwrap(), &Stop::new()),
            environment: BridgeSettings::default(),
        },
    });
    let gateway = MortalGateway(process.clone(), model, fixture, &api);
    let clock = board.clock();
    work(&parts.deps(&mission, &gateway, &*journal, &clock), open)
}
