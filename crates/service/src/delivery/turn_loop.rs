//! The turn loop: a turn, its tool calls, their results and the next turn, until the agent answers.

use std::sync::Arc;

use log::Level;
use log::kv::Value;

use super::active_delivery::AgentRights;
use super::budget;
use super::calls;
use super::deps::{DeliveryDeps, Rules};
use super::fold;
use super::inflight::{Guard, TurnActivity};
use super::reading::Reading;
use super::recover_turn;
use crate::clock::Pulse;
use mcr_core::delivery::journal::{Step, Wait};
use mcr_core::delivery::policy;
use mcr_core::delivery::prompt::{self, Briefing, HttpUse, HttpWay, Scene};
use mcr_core::delivery::quiet_mode;
use mcr_core::delivery::{Job, Record, Stage, Stamp, Trouble, Unsettled};
use mcr_core::gateway::{
    Class, GatewayError, Input, Progress, Reply, SessionNames, ToolOutput, Turn, Why, marker, session_key,
};
use mcr_core::ops::TurnState;
use mcr_core::tools::access::ToolRoute;
use mcr_core::tools::{self, Caller, ToolName};
use mcr_model::clock::Millis;
use mcr_model::redact::OutgoingMask;
use mcr_model::{Agent, DeliveryContext, SessionKey, random};
use mcr_store::sessions::Session;

/// The longest briefing. Histories and models have room for several times as much.
const BRIEFING_CHARS: usize = 60_000;

/// The end of an answer that the model did not finish.
const CUT: &str = "\n\n*(The answer ends here because the model reached its limit.)*";

/// The agent's answer.
pub(super) struct Spoken {
    /// The text, if any.
    pub(super) text: Option<String>,
    /// Whether the agent acted with its tools.
    pub(super) acted: bool,
}

/// A question to an agent.
pub(super) struct Question<'a> {
    /// The agent.
    pub(super) agent: &'a Agent,
    /// The session that the turns run in.
    pub(super) session: &'a SessionKey,
    /// The agent's rights.
    pub(super) caller: Caller<'a>,
    /// Describes what the question was made from.
    pub(super) reading: Reading,
    /// Writes the briefing.
    pub(super) brief: &'a dyn Fn(&Terms<'_>) -> Briefing,
    /// Records what the agent learns with the question.
    pub(super) asks: &'a dyn Fn(&mut Record),
}

/// The part of a briefing that is the same for all kinds of work.
pub(super) struct Terms<'a> {
    pub(super) labels: &'a [&'a str],
    pub(super) tools: &'a [ToolName],
    pub(super) can_mark_done: bool,
    pub(super) http: Option<HttpWay<'a>>,
    pub(super) marker: &'a str,
    pub(super) fence: &'a str,
    pub(super) now: Millis,
    pub(super) repeat: bool,
}

/// Asks the agent about a notification. `reading` describes the context.
pub(super) fn talk_about(
    job: &mut Job,
    context: &DeliveryContext,
    reading: Reading,
    found: Option<Reply>,
    deps: &DeliveryDeps<'_>,
) -> Result<Spoken, Trouble> {
    // The policy skips a context that lacks one of them.
    let (Some(agent), Some(session)) = (&context.agent, &context.delivery_session_key) else {
        return Err(Trouble::Broken);
    };
    let leads = policy::leads(context);
    let caller = Caller {
        agent: &agent.id,
        task: context.task.as_ref(),
        flags: context.effective_behavior_flags,
        leads,
        may_close: policy::may_close(context),
    };
    // Only a new question needs the texts. They are fixed for the rest of the turn.
    let is_new = matches!(job.record.stage, Stage::Fresh) && found.is_none();
    let folded =
        if is_new { fold::texts(job, deps.rules.wake_on.of(&agent.slug), deps)? } else { Vec::new() };
    let folded_count = job.folds.iter().filter(|fold| fold.kept).count();
    let brief = |terms: &Terms<'_>| {
        prompt::brief(&Scene {
            context,
            labels: terms.labels,
            tools: terms.tools,
            leads,
            may_close: terms.can_mark_done,
            http: terms.http,
            marker: terms.marker,
            fence: terms.fence,
            now: terms.now,
            budget_chars: BRIEFING_CHARS,
            repeat: terms.repeat,
            folded: &folded,
            folded_count,
        })
    };
    let asks = |record: &mut Record| {
        // The agent learns of this message; of a message that is folded in later, it does not.
        record.heard = Some(Stamp::of(&context.notification));
        record.unaddressed = !quiet_mode::is_addressed(context);
        record.began_paused = context.task.as_ref().is_some_and(policy::is_paused);
    };
    talk(job, Question { agent, session, caller, reading, brief: &brief, asks: &asks }, found, deps)
}

/// Runs turns until the agent answers. Starts with the question, with the last results, or with a reply that was `found`.
pub(super) fn talk(
    job: &mut Job,
    question: Question<'_>,
    mut found: Option<Reply>,
    deps: &DeliveryDeps<'_>,
) -> Result<Spoken, Trouble> {
    let Question { agent, session, caller, reading, brief, asks } = question;
    let issued = deps.sessions.issue(session, &agent.slug, &job.work.track, deps.clock.now());
    let rights = AgentRights {
        task: caller.task.cloned(),
        flags: caller.flags,
        leads: caller.leads,
        may_close: caller.may_close,
    };
    deps.inflight.hold(&job.work, &mut job.record, rights, reading);
    let route = deps.rules.access.route(deps.gateway.shows_tools());
    let offer = tools::offer_by(route, deps.rules.access, &caller);
    deps.sessions.is_briefed(&issued, route.has_endpoints());
    let events = deps.sessions.leaves_events(&agent.id, deps.clock.now()).then(|| {
        let own = deps.sessions.own(&agent.id, &agent.slug);
        own.unwrap_or_else(|| (session.clone(), issued.clone()))
    });
    let token_file = deps.rules.token_files.as_ref();
    let token_file = token_file.and_then(|files| files.path_of(&agent.slug, &issued.agent_token));
    // The number of a new question; results belong to the question before.
    let attempt = job.record.tries + 1;
    let mut briefing = brief(&Terms {
        labels: &offer.labels,
        tools: if route == ToolRoute::Endpoints { &[] } else { offer.names() },
        can_mark_done: offer.can_mark_done,
        http: over_http(route, (session, &issued), events.as_ref(), deps.rules)
            .map(|http| HttpWay { token_file: token_file.as_deref(), ..http }),
        marker: &marker::of_message(&job.work.id, attempt),
        fence: &random::hex::<4>(),
        now: deps.clock.now(),
        repeat: job.record.unanswered_question.is_some(),
    });
    if !offer.tools.is_empty() && deps.gateway.may_lose_calls() {
        briefing.instructions.push_str(prompt::ONE_CALL_AT_A_TIME);
    }
    if job.record.tools_missing {
        briefing.instructions.push_str(prompt::TOOLS_WERE_MISSING);
    }
    fold::record(job, &briefing.left_out, deps);

    // Results that an earlier attempt has left: the gateway may have been away since.
    let mut were_left = found.is_none() && matches!(job.record.stage, Stage::Working(_));
    let mask = mask(deps, agent, session, &issued);
    let mask = events.iter().fold(mask, |mask, (_, own)| mask.with_token(&own.token));
    loop {
        calls::make(job, &caller, &offer, deps)?;
        // A copy, because the record is written while the turn runs.
        let (outputs, rounds, whom) = match &job.record.stage {
            Stage::Working(work) => (Some(work.outputs.clone()), work.rounds, work.whom.clone()),
            _ => (None, 0, None),
        };
        // A reply that was found belongs to the turn that was sent.
        let sent = job.record.sent.as_ref().map(|sent| (sent.session.clone(), sent.agent.clone()));
        let whom = whom.or_else(|| sent.filter(|_| found.is_some()));
        let (session, agent) = whom.unwrap_or_else(|| (session.clone(), agent.slug.clone()));
        if std::mem::take(&mut were_left) && recover_turn::is_forgotten(job, &session, &agent, deps)? {
            return Err(Trouble::Unsettled(Unsettled::Forgotten));
        }
        let pulse = Pulse::new();
        let turn = Turn {
            session: &session,
            agent: &agent,
            instructions: &briefing.instructions,
            input: outputs.as_deref().map_or(Input::Message(&briefing.input), Input::Outputs),
            // After the last round the agent can only answer.
            tools: if rounds > deps.rules.rounds_max { &[] } else { &offer.tools },
            pulse: &pulse,
        };
        let reply = if let Some(reply) = found.take() {
            deps.with_log(job, |record| recover_turn::end(record, None, false, deps.clock.now()));
            reply
        } else {
            if outputs.is_none() {
                job.record.tries = attempt;
                asks(&mut job.record);
            }
            let can_act = !offer.labels.is_empty() && rounds <= deps.rules.rounds_max;
            send(job, &turn, can_act, deps)?
        };
        let reply = reply.masked(&mask);
        *job.record.spent += reply.usage.unwrap_or_default();
        if reply.calls.is_empty() || rounds > deps.rules.rounds_max {
            return Ok(spoken(reply, job, deps));
        }
        job.record.stage =
            Stage::Working(calls::of(reply, session, agent, std::mem::take(&mut job.record.stage)));
    }
}

/// What the briefing says about HTTP. It states a token only if the agent needs it: for tools, or for events.
fn over_http<'a>(
    route: ToolRoute,
    (key, session): (&'a SessionKey, &'a Session),
    events: Option<&'a (SessionKey, Session)>,
    rules: &'a Rules,
) -> Option<HttpWay<'a>> {
    let (purpose, key, session) = match (route, events) {
        (ToolRoute::Endpoints, _) => (HttpUse::Tools, key, session),
        (ToolRoute::FunctionsAndEndpoints, _) => (HttpUse::ToolsForScripts, key, session),
        (ToolRoute::Functions | ToolRoute::Nothing, Some((own_key, own))) if rules.session_tokens => {
            (HttpUse::Events, own_key, own)
        }
        (ToolRoute::Functions | ToolRoute::Nothing, _) => return None,
    };
    let token = rules.session_tokens.then(|| session.token.expose());
    Some(HttpWay { purpose, base_url: &rules.base_url, session_key: key.expose(), token, token_file: None })
}

/// Removes the agent's credentials from what it writes: it may repeat its briefing.
fn mask(deps: &DeliveryDeps<'_>, agent: &Agent, session: &SessionKey, issued: &Session) -> OutgoingMask {
    let mask = OutgoingMask::new(deps.mission.account(), &agent.slug)
        .with_token(&issued.token)
        .with_token(&issued.agent_token);
    let names = [SessionNames::Renamed, SessionNames::Kept];
    let names = names.map(|names| session_key(session, &agent.slug, names));
    names.iter().fold(mask.with_key(session.expose()), |mask, name| mask.with_key(name))
}

/// Sends a turn and waits for its reply. `can_act`: the agent has tools, or their endpoints.
fn send(job: &mut Job, turn: &Turn<'_>, can_act: bool, deps: &DeliveryDeps<'_>) -> Result<Reply, Trouble> {
    let (attempt, agent) = (job.record.tries, turn.agent);
    recover_turn::begin(&mut job.record.sent, turn.session, agent, attempt, can_act, deps.clock.now());
    // Recorded before it is sent: after a crash, the next process looks for the turn before sending it again.
    job.record.requests += 1;
    if let Err(trouble) = budget::turn::reserve(job, turn, deps) {
        unsent(&mut job.record, turn);
        return Err(trouble);
    }
    let noted = deps.must_note(job, Step::TurnSent, &sent_in_words(turn, &job.record));
    if let Err(trouble) = noted {
        budget::turn::release(job, deps);
        unsent(&mut job.record, turn);
        return Err(trouble);
    }
    if let Some(held) = deps.inflight.held_of(&job.work) {
        held.is_sent();
    }
    let life = deps.inflight.enter(TurnActivity {
        work: Arc::clone(&job.work),
        agent: agent.to_owned(),
        session: turn.session.clone(),
        marker: marker::of_message(&job.work.id, attempt),
        result_of: match turn.input {
            Input::Message(_) => None,
            Input::Outputs(outputs) => outputs.first().map(without_text),
        },
        run: None,
        began: deps.clock.now(),
        pulse: turn.pulse.share(),
        state: TurnState::Working,
    });
    // From here on a stop, and the loss of a lease, end the turn's pulse. An earlier one is checked here, and the turn is
    // not sent.
    let is_fenced = deps.pool.is_some_and(|pool| pool.claimed_jobs.is_fenced(&job.work.id));
    if is_fenced || deps.inflight.is_stopped(&job.work) {
        budget::turn::release(job, deps);
        unsent(&mut job.record, turn);
        return Err(Trouble::Stopped);
    }
    let answer = deps.gateway.turn(turn, &mut |sign| taken(job, sign, &life, deps));
    drop(life);
    budget::turn::ended(job, turn, &answer, deps);
    // A turn whose pulse another thread ended was not stuck.
    let silent = answer.as_ref().is_err_and(|error| error.why == Why::Silent) && !turn.pulse.is_over();
    if silent {
        let quiet = ("quiet_s", Value::from(deps.rules.silence_max.as_secs()));
        deps.log(Level::Warn, &*job, "The turn is stuck: no sign of life", &[quiet]);
        deps.inflight.is_stuck(&job.work.id, deps.clock.now());
    }
    let error = answer.as_ref().err();
    job.gateway_answered |= error.is_none_or(shows_gateway);
    deps.with_log(job, |record| recover_turn::end(record, error, silent, deps.clock.now()));
    if let Some(calls) = deps.inflight.looping_calls(&job.work.id).filter(|_| answer.is_err()) {
        return Err(Trouble::CallLoop(calls));
    }
    if deps.inflight.is_capped(&job.work.id) && answer.is_err() {
        return Err(recover_turn::abort_capped(job, deps));
    }
    let reply = answer.map_err(Trouble::Gateway)?;
    deps.answers.one_more();
    deps.cooldown.ends(&job.work.track.agent);
    deps.blocked.answered(&job.work.track.agent);
    Ok(reply)
}

/// What identifies a result: the id of its call, and its marker.
fn without_text(result: &ToolOutput) -> ToolOutput {
    let output = marker::of_result(&result.output).unwrap_or_default();
    ToolOutput { call_id: result.call_id.clone(), output: output.to_owned() }
}

/// Whether the gateway sent something before the turn failed: a refusal of one request, the id of a run, or output. A
/// request that could not be built, or whose connection ended without an answer, shows nothing.
fn shows_gateway(error: &GatewayError) -> bool {
    error.class != Class::Closed && (error.status.is_some() || error.run.is_some() || error.spoke)
}

/// Reverts the record of a turn that was not sent after all.
fn unsent(record: &mut Record, turn: &Turn<'_>) {
    record.sent = None;
    record.tries -= u32::from(matches!(turn.input, Input::Message(_)));
    record.requests -= 1;
}

/// A description of the request for the delivery's history: its attempt and its number.
fn sent_in_words(turn: &Turn<'_>, record: &Record) -> String {
    let Record { tries, requests, stage, .. } = record;
    match (turn.input, stage) {
        (Input::Outputs(outputs), Stage::Working(work)) => {
            let (count, round) = (outputs.len(), work.rounds);
            let results = if count == 1 { "1 result".to_owned() } else { format!("{count} results") };
            format!("to {}, try {tries}, request {requests}: {results} of round {round}", turn.agent)
        }
        _ => format!("to {}, try {tries}, request {requests}", turn.agent),
    }
}

/// Records the id of the run, by which its items are found in the session's history.
fn taken(job: &mut Job, sign: Progress<'_>, life: &Guard<'_>, deps: &DeliveryDeps<'_>) {
    let Progress::TurnAccepted(run) = sign else { return };
    if let Some(sent) = &mut job.record.sent {
        sent.run = Some(run.to_owned());
    }
    life.is_run(run);
    deps.note(job, Step::TurnTaken, run, Wait::Not);
    (deps.taken)(job.number);
}

/// The agent's answer: its last text, or the text that came with its calls.
fn spoken(reply: Reply, job: &mut Job, deps: &DeliveryDeps<'_>) -> Spoken {
    let called = deps.with_log(job, |record| record.effects.has_acted());
    let before = match &job.record.stage {
        Stage::Working(work) => Some(work),
        _ => None,
    };
    let mut text = reply.text.or_else(|| before.and_then(|work| work.said.clone()));
    if let Some(text) = text.as_mut().filter(|_| reply.cut) {
        text.push_str(CUT);
    }
    let acted = before.is_some_and(|work| work.acted) || called;
    Spoken { text, acted }
}
