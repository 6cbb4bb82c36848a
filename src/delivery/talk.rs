//! The talk with the agent: a turn, its calls, their results, and again, until it has answered.

use log::info;

use super::deliver::Desk;
use super::prompt::{self, HttpWay, Scene};
use super::{Job, Stage, Trouble, Work};
use crate::chance;
use crate::clock::{Clock as _, SystemClock};
use crate::gateway::{Class, Input, Reply, ToolOutput, Turn};
use crate::model::{AgentId, DeliveryContext, is_quality};
use crate::tools::run::{Hands, run};
use crate::tools::{self, Caller, Kind, Offer, ToolError};

/// The most that an agent is told at once; histories and models have room for several times as much.
const BRIEFING_CHARS: usize = 60_000;

/// What came out of it.
pub(super) struct Spoken {
    /// The agent's words.
    pub(super) text: Option<String>,
    /// Whether it used tools.
    pub(super) used_tools: bool,
}

/// Speaks with the agent, from the beginning or from the last results on.
pub(super) fn talk(job: &mut Job, context: &DeliveryContext, desk: &Desk<'_>) -> Result<Spoken, Trouble> {
    // The policy lets nothing pass that lacks one of them.
    let (Some(agent), Some(session)) = (&context.agent, &context.delivery_session_key) else {
        return Err(Trouble::Broken);
    };
    let caller = caller(&agent.id, context);
    let offer = if desk.rules.client_tools { tools::offer(&caller) } else { tools::offer_http(&caller) };
    let names: Vec<&str> = offer.tools.iter().map(|tool| tool.name).collect();
    let briefing = prompt::brief(&Scene {
        context,
        labels: &offer.labels,
        tools: &names,
        leads: caller.leads,
        may_close: offer.can_mark_done,
        http: (!desk.rules.client_tools)
            .then(|| HttpWay { base_url: &desk.rules.base_url, session_key: session.expose() }),
        marker: &format!("[n-{} try {}]", job.row.id, 1 + job.record.failures + job.record.silences),
        fence: &chance::hex::<4>(),
        now: SystemClock.now(),
        budget_chars: BRIEFING_CHARS,
        repeat: job.record.lost > 0,
    });

    loop {
        let work = match &job.record.stage {
            Stage::Working(work) => Some(work),
            _ => None,
        };
        let rounds = work.map_or(0, |work| work.rounds);
        let turn = Turn {
            session,
            agent: &agent.slug,
            instructions: &briefing.instructions,
            input: work.map_or(Input::Message(&briefing.input), |work| Input::Outputs(&work.outputs)),
            // Behind the last round it can only answer.
            tools: if rounds > desk.rules.rounds_max { &[] } else { &offer.tools },
        };
        let reply = desk.gateway.turn(&turn, &mut |_| ()).map_err(|error| {
            if error.class == Class::Lost {
                info!("{}: the agent may have seen the turn", job.row.id);
            }
            Trouble::Gateway(error)
        })?;
        if reply.calls.is_empty() || rounds > desk.rules.rounds_max {
            return Ok(spoken(reply, job));
        }
        let work = round(reply, job, &caller, &offer, desk);
        job.record.stage = Stage::Working(work);
    }
}

/// Its last words; if it says nothing after its calls, what it said beside them.
fn spoken(reply: Reply, job: &Job) -> Spoken {
    let before = match &job.record.stage {
        Stage::Working(work) => Some(work),
        _ => None,
    };
    let text = reply.text.or_else(|| before.and_then(|work| work.said.clone()));
    Spoken { text, used_tools: before.is_some() }
}

/// Makes the calls of one reply, in order, and notes their results.
fn round(reply: Reply, job: &Job, caller: &Caller<'_>, offer: &Offer, desk: &Desk<'_>) -> Work {
    let mut work = match &job.record.stage {
        Stage::Working(work) => work.clone(),
        _ => Work::default(),
    };
    let roster = desk.team.now();
    let refresh = || desk.team.fetch(desk.mission).ok();
    let hands = Hands { mission: desk.mission, roster: &roster, refresh: &refresh };
    work.rounds += 1;
    work.said = reply.text.or(work.said);
    work.outputs.clear();
    for call in reply.calls {
        let refused = if work.rounds > desk.rules.rounds_max {
            Some(format!("you have had results of tools {} times, which is the limit", desk.rules.rounds_max))
        } else if work.calls >= desk.rules.calls_max {
            Some(format!("you have made {} calls, which is the limit", desk.rules.calls_max))
        } else {
            None
        };
        let output = if let Some(why) = refused {
            info!("{}: {} was not run: {why}", job.row.id, call.name);
            let words = format!("Not run: {why} for one notification. Answer now with what you have.");
            tools::render(Err(&ToolError::new(Kind::Throttled, &words)))
        } else {
            work.calls += 1;
            let ran = run(&call, caller, offer, &hands);
            match &ran.error {
                None => info!("{}: {} called {}", job.row.id, caller.agent, call.name),
                Some(error) => info!("{}: {} called {}: {error}", job.row.id, caller.agent, call.name),
            }
            if ran.stirs {
                (desk.stir)();
            }
            ran.output
        };
        work.outputs.push(ToolOutput { call_id: call.call_id, output });
    }
    work
}

fn caller<'a>(agent: &'a AgentId, context: &'a DeliveryContext) -> Caller<'a> {
    let leads = context.orchestrator_agent_id.as_ref() == Some(agent);
    let quality = |id: &AgentId| {
        context.mentionable_agents.iter().any(|one| one.id == *id && is_quality(&one.slug, &one.role))
    };
    let anybody = context.mentionable_agents.iter().any(|one| is_quality(&one.slug, &one.role));
    Caller {
        agent,
        task: context.task.as_ref(),
        flags: context.effective_behavior_flags,
        leads,
        may_close: if anybody { quality(agent) } else { leads },
    }
}
