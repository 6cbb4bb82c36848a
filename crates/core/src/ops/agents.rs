//! Figures for each agent, from the known deliveries and from the roster.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::cost::cost_of;
use super::pause::Paused;
use super::why::Case;
use crate::delivery::End;
use crate::delivery::operator_requests::Place;
use crate::gateway::Usage;
use mcr_model::clock::Millis;
use mcr_model::{AgentId, Roster};

/// The most current deliveries shown of one agent.
const DOING: usize = 3;

/// Some of the agents, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agents {
    /// The most relevant agents, the busiest first.
    pub shown: Vec<AgentFigures>,
    /// How many agents there are.
    pub count: usize,
    /// When the oldest counted delivery was first seen, or created.
    pub since: Option<Millis>,
}

/// The figures of one agent, as far back as the ledger reaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFigures {
    /// The slug, or the id if the slug is unknown.
    pub slug: String,
    /// The display name; empty for an agent that is no longer in the roster.
    pub name: String,
    /// The role, in free words.
    pub role: String,
    /// Whether the agent is in the roster.
    pub known: bool,
    /// Whether an operator has paused the agent.
    pub paused: bool,
    /// Its current deliveries.
    pub doing: Vec<Doing>,
    /// How many deliveries are with a worker.
    pub in_flight: usize,
    /// How many deliveries are open, including those.
    pub unsettled: usize,
    /// Why the agent's current heartbeat has not started; none if it runs or is not due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_waits: Option<String>,
    /// How many deliveries ended with each outcome.
    pub ended: BTreeMap<&'static str, u64>,
    /// How many turns were sent to it.
    pub turns: u32,
    /// Tokens read by its models, as reported by the gateway.
    pub tokens_read: u64,
    /// Tokens written by its models.
    pub tokens_written: u64,
    /// Both, in words; with money where the gateway reports it.
    pub cost: String,
    /// When a delivery of the agent last began or ended.
    pub last_at: Option<Millis>,
    /// The last sign that the agent is online, since the start.
    pub online: Option<OnlineSign>,
}

/// A sign that an agent is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OnlineSign {
    /// When.
    pub at: Millis,
    /// Which sign.
    pub by: SignKind,
}

/// What shows that an agent is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignKind {
    /// Mission Control took a report about the agent, together with the status report.
    StatusReport,
    /// Mission Control took the report of the agent's heartbeat.
    HeartbeatCall,
    /// The agent answered a turn.
    AnsweredTurn,
}

/// A current delivery of an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Doing {
    /// The notification.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// The task.
    pub task: Option<String>,
}

/// The running totals of one agent.
#[derive(Default)]
struct Sum<'a> {
    agent: &'a str,
    figures: AgentFigures,
    spent: Usage,
}

/// The figures of at most `most` agents. Busy, waiting and paused agents precede idle ones. A removed agent is one of them
/// while it has open deliveries.
pub fn agents(cases: &[Case], roster: &Roster, paused: &Paused, most: usize) -> Agents {
    let mut sums: HashMap<&str, Sum<'_>> = HashMap::new();
    for agent in roster.agents() {
        let sum = sums.entry(agent.id.as_str()).or_default();
        sum.agent = &agent.slug;
        sum.figures.paused = paused.holds(&agent.slug, agent.id.as_str());
    }
    for case in cases {
        let sum = sums.entry(&case.work.track.agent).or_default();
        if sum.agent.is_empty() {
            sum.agent = &case.agent;
            sum.figures.paused = paused.holds(&case.agent, &case.work.track.agent);
        }
        sum.add(case);
    }
    let is_shown = |id: &str, sum: &Sum<'_>| sum.figures.unsettled > 0 || !roster.is_gone(&AgentId::new(id));
    let mut sums: Vec<(&str, Sum<'_>)> = sums.into_iter().filter(|(id, sum)| is_shown(id, sum)).collect();
    let count = sums.len();
    sums.sort_unstable_by_key(|(id, sum)| {
        let figures = &sum.figures;
        let one_by_one = figures.paused && !paused.all;
        Reverse((figures.in_flight, figures.unsettled, one_by_one, figures.last_at, Reverse(*id)))
    });
    sums.truncate(most);
    let wanted: HashSet<&str> = sums.iter().map(|(id, _)| *id).collect();
    let known: HashMap<&str, _> = roster
        .agents()
        .iter()
        .map(|agent| (agent.id.as_str(), agent))
        .filter(|(id, _)| wanted.contains(id))
        .collect();
    let figures_of = |(id, Sum { agent, mut figures, spent }): (&str, Sum<'_>)| {
        agent.clone_into(&mut figures.slug);
        if let Some(agent) = known.get(id) {
            figures.known = true;
            figures.name.clone_from(&agent.name);
            figures.role.clone_from(&agent.role);
        }
        (figures.tokens_read, figures.tokens_written) = (spent.input_tokens, spent.output_tokens);
        figures.cost = cost_of(figures.turns, spent);
        figures
    };
    let mut shown: Vec<AgentFigures> = sums.into_iter().map(figures_of).collect();
    shown.sort_by(|one, other| {
        let busy = |figures: &AgentFigures| Reverse((figures.turns, figures.unsettled));
        busy(one).cmp(&busy(other)).then_with(|| one.slug.cmp(&other.slug))
    });
    let since = cases.iter().map(|case| case.first_seen.unwrap_or_else(|| case.work.created_at())).min();
    Agents { shown, count, since }
}

impl Sum<'_> {
    fn add(&mut self, case: &Case) {
        let figures = &mut self.figures;
        figures.turns += case.record.asked();
        self.spent += *case.record.spent;
        let at = if let Some((at, end)) = &case.closed {
            *figures.ended.entry(end.as_ref().map_or("over", End::name)).or_default() += 1;
            Some(*at)
        } else {
            figures.unsettled += 1;
            case.turn.as_ref().map(|turn| turn.since).or(case.first_seen)
        };
        figures.last_at = figures.last_at.max(at);
        if is_at_work(case) {
            figures.in_flight += 1;
            if figures.doing.len() < DOING {
                figures.doing.push(Doing {
                    id: case.work.id.to_string(),
                    kind: case.work.name(),
                    task: case.work.track.task().map(ToString::to_string),
                });
            }
        }
    }
}

/// Whether a worker has it, or its turn is stuck.
pub fn is_at_work(case: &Case) -> bool {
    case.closed.is_none() && (case.place == Some(Place::Running) || case.turn.is_some())
}
