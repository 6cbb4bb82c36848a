//! The data of the page, read at one moment so that its parts agree. Long lists are shortened, with their
//! full length.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::delivery_report::{DeliveryReport, RECENT, is_dead};
use mcr_core::delivery::stopped_rows::StoppedThread;
use mcr_core::ops::agents::{Agents, OnlineSign, agents, is_at_work};
use mcr_core::ops::quiet_mode::{Unaddressed, unaddressed};
use mcr_core::ops::{self, Brief, Case, TurnState};
use mcr_model::clock::Millis;
use mcr_model::{BaseUrl, Roster, WakeRules};
use mcr_service::http::health::{Health, seconds};

/// The most lines of each list. The latest ends have the same limit as elsewhere.
const LINES: usize = 100;

/// The most agents.
const AGENTS: usize = 60;

/// The data of the page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Overview {
    /// The status of `/health`.
    health: Health,
    /// A sentence and a remedy for each reason of that status.
    reasons: Vec<Reason>,
    /// The address of Mission Control's pages, if it is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    board: Option<String>,
    /// Conditions that block all deliveries.
    blocks: Vec<String>,
    /// Work in progress: stuck work first, then by its start.
    in_flight: Vec<AtWork>,
    /// Other unsettled work, in its order.
    unsettled: Vec<Brief>,
    /// Deliveries that were given up and await a decision, newest first.
    dead: Vec<Brief>,
    /// The latest other ends, newest first.
    recent: Vec<Brief>,
    /// The full lengths of these lists.
    counts: Counts,
    /// The state of each agent.
    agents: Agents,
    /// What the guardrails have stopped.
    guardrails: StoppedThreads,
    /// What quiet mode has saved in the last day, or would have saved.
    unaddressed: Unaddressed,
    /// The same in words; absent without any saving.
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_mode: Option<String>,
    /// The counts of each minute of the last hour, oldest first.
    hour: BTreeMap<&'static str, Vec<u64>>,
    /// Deliveries whose record cannot be read, each as a sentence.
    damaged: Vec<String>,
    /// When a damaged ledger was last set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<Millis>,
}

/// What the guardrails have stopped.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StoppedThreads {
    /// The threads that wait for a person, newest stop first.
    stopped: Vec<StoppedThread>,
}

#[derive(Serialize)]
struct Reason {
    name: &'static str,
    words: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    in_flight: usize,
    unsettled: usize,
    dead: usize,
}

/// A delivery in progress, with its turn.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AtWork {
    #[serde(flatten)]
    brief: Brief,
    turn: Option<TurnOf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TurnOf {
    state: TurnState,
    since: Millis,
    quiet_seconds: f64,
}

/// What the page shows besides the deliveries.
pub(super) struct PictureSources<'a> {
    pub(super) roster: &'a Roster,
    pub(super) health: Health,
    pub(super) hour: BTreeMap<&'static str, Vec<u64>>,
    pub(super) set_aside: Option<Millis>,
    pub(super) board: Option<&'a BaseUrl>,
    pub(super) stopped: &'a [StoppedThread],
    pub(super) wake_on: &'a WakeRules,
}

impl DeliveryReport<'_> {
    /// Builds the page's data.
    pub(super) fn picture(&self, sources: PictureSources<'_>) -> Overview {
        let PictureSources { roster, health, hour, set_aside, board, stopped, wake_on } = sources;
        let brief = |case: &&Case| ops::brief(case, self.condition, self.silence, self.now);
        let (mut at_work, unsettled): (Vec<&Case>, Vec<&Case>) =
            self.cases.iter().filter(|case| case.closed.is_none()).partition(|case| is_at_work(case));
        at_work.sort_by_key(|case| {
            let turn = case.turn.as_ref();
            (
                turn.is_none_or(|turn| turn.state != TurnState::Stuck),
                turn.map_or_else(|| case.work.created_at(), |turn| turn.since),
            )
        });
        let mut closed: Vec<&Case> = self.cases.iter().filter(|case| case.closed.is_some()).collect();
        closed.sort_by_key(|case| Reverse(case.closed.as_ref().map(|(at, _)| *at)));
        let (dead, recent): (Vec<&Case>, Vec<&Case>) = closed.into_iter().partition(|case| is_dead(case));
        let counts = Counts { in_flight: at_work.len(), unsettled: unsettled.len(), dead: dead.len() };
        let with_turn = |case: &&Case| AtWork {
            brief: brief(case),
            turn: case.turn.as_ref().map(|turn| TurnOf {
                state: turn.state,
                since: turn.since,
                quiet_seconds: seconds(turn.quiet),
            }),
        };
        let unaddressed = unaddressed(&self.cases, wake_on, self.now);
        let mut agents = agents(&self.cases, roster, &self.condition.paused, AGENTS);
        let waits = |case: &&Case| case.work.is_heartbeat() && case.closed.is_none() && case.place.is_some();
        for case in self.cases.iter().filter(waits).filter(|case| !is_at_work(case)) {
            let agent = agents.shown.iter_mut().find(|agent| agent.slug == case.agent);
            if let Some(agent) = agent {
                agent.heartbeat_waits = Some(brief(&case).why);
            }
        }
        Overview {
            reasons: health
                .reasons
                .iter()
                .map(|reason| Reason { name: reason.as_str(), words: reason.advice() })
                .collect(),
            board: board.map(ToString::to_string),
            blocks: self.condition.blocks("", "", true).into_iter().chain(self.condition.besides()).collect(),
            in_flight: at_work.iter().take(LINES).map(with_turn).collect(),
            unsettled: unsettled.iter().take(LINES).map(brief).collect(),
            dead: dead.iter().take(LINES).map(brief).collect(),
            recent: recent.iter().take(RECENT).map(brief).collect(),
            counts,
            agents,
            guardrails: StoppedThreads { stopped: stopped.iter().rev().take(LINES).cloned().collect() },
            quiet_mode: unaddressed.sentence(self.now),
            unaddressed,
            hour,
            damaged: self.unreadable_in_words(),
            set_aside,
            health,
        }
    }
}

impl Overview {
    /// The data with the last sign of each agent that it is online, by slug.
    pub(super) fn with_signs(mut self, signs: &HashMap<String, OnlineSign>) -> Self {
        for agent in &mut self.agents.shown {
            agent.online = signs.get(&agent.slug).copied();
        }
        self
    }

    /// The data with every text cleaned.
    pub(super) fn cleaned(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        let texts = self.blocks.iter_mut().chain(&mut self.damaged);
        texts.for_each(|text| *text = clean(text));
        let at_work = self.in_flight.iter_mut().map(|at_work| &mut at_work.brief);
        let briefs = at_work.chain(&mut self.unsettled).chain(&mut self.dead).chain(&mut self.recent);
        briefs.for_each(|brief| brief.clean(clean));
        self.guardrails.stopped.iter_mut().for_each(|thread| thread.title = clean(&thread.title));
        for agent in &mut self.agents.shown {
            let texts = [&mut agent.name, &mut agent.role].into_iter();
            texts.chain(&mut agent.heartbeat_waits).for_each(|text| *text = clean(text));
        }
        self
    }
}
