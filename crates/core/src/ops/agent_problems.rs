//! Finds agents that Mission Control describes in an unusable way: a slug that names no folder or two agents, no session,
//! an interval out of range, a row that cannot be read, an agent that the newest list lacks, a missing orchestrator. The
//! backend checks none of this (runtime-behaviour A-8, backend-contract D29). The other agents are not affected.

use std::collections::HashMap;

use crate::heartbeat::schedule::Interval;
use crate::workspace::FolderName;
use crate::workspace::roster::RejectedBecause;
use mcr_model::{Agent, Roster};

/// An agent that is not gone yet. One incomplete list may be a mistake.
const MISSING: &str = "the newest list of agents lacks it; it stays until another list confirms that";

/// The name under which a missing orchestrator is a problem.
const ORCHESTRATOR: &str = "orchestrator";

/// The longest name that is shown.
const SHOWN_CHARS: usize = 40;

/// A problem of one agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentProblem {
    /// Its slug, shortened; its id without a slug; or the number of its row.
    pub agent: String,
    /// The problem and what to do: a sentence without its end.
    pub problem: String,
    /// Whether the account may be meant to be like this.
    pub is_note: bool,
}

/// The problems of all agents, in the order of the roster. Rows that cannot be read come first.
pub fn agent_problems(roster: &Roster) -> Vec<AgentProblem> {
    let mut problems: Vec<AgentProblem> = roster
        .unreadable()
        .iter()
        .map(|row| {
            let agent = row.id.as_ref().map_or_else(|| format!("row {}", row.row), ToString::to_string);
            let why = RejectedBecause::Unreadable(row.why.clone()).to_string();
            let former = row.id.as_ref().is_some_and(|id| roster.agent(id).is_some());
            let problem = if former { format!("{why}; its former values are used") } else { why };
            AgentProblem::new(shown(&agent), problem)
        })
        .collect();
    let mut first_with: HashMap<String, &Agent> = HashMap::new();
    for agent in roster.agents() {
        let slug = match FolderName::of(&agent.slug) {
            Ok(name) => {
                let first = *first_with.entry(name.folded()).or_insert(agent);
                (first.id != agent.id).then(|| RejectedBecause::Duplicate(shown(&first.name)))
            }
            Err(why) => Some(RejectedBecause::Slug(why)),
        };
        let has_session =
            agent.system_session_key.as_ref().is_some_and(|key| !key.expose().trim().is_empty());
        let session = (!has_session)
            .then(|| "Mission Control names no session of its own, so it has no heartbeats".to_owned());
        let interval = Interval::of(agent.heartbeat_interval).corrected;
        let interval = interval.map(|why| format!("the heartbeat interval is not usable: {why}"));
        let found = slug.map(|why| why.to_string()).into_iter().chain(session).chain(interval);
        problems.extend(found.map(|problem| AgentProblem::new(name_of(agent), problem)));
    }
    let missing = roster.missing().iter().filter_map(|id| roster.agent(id));
    problems.extend(missing.map(|agent| AgentProblem::new(name_of(agent), MISSING.to_owned())));
    problems.extend(missing_orchestrator(roster));
    problems
}

/// The problem of an account without an orchestrator, or whose orchestrator does not exist.
fn missing_orchestrator(roster: &Roster) -> Option<AgentProblem> {
    let problem = |why: &str, is_note| {
        let problem = format!("{why}, so no agent follows up on stale tasks: choose one in Mission Control");
        Some(AgentProblem { is_note, ..AgentProblem::new(ORCHESTRATOR.to_owned(), problem) })
    };
    match roster.orchestrator() {
        None if !roster.is_empty() => problem("the account has none", true),
        Some(id) if roster.is_gone(id) => {
            problem(&format!("the agent {} does not exist", shown(id.as_str())), false)
        }
        _ => None,
    }
}

impl AgentProblem {
    fn new(agent: String, problem: String) -> Self {
        Self { agent, problem, is_note: false }
    }
}

fn name_of(agent: &Agent) -> String {
    let slug = agent.slug.trim();
    shown(if slug.is_empty() { agent.id.as_str() } else { slug })
}

fn shown(name: &str) -> String {
    let cut: String = name.chars().take(SHOWN_CHARS).collect();
    if cut.len() < name.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcr_model::{AgentId, UnreadableAgent};
    use serde_json::{Value, json};

    fn agent(id: &str, slug: &str, more: &Value) -> Agent {
        let mut row = json!({"_id": id, "name": format!("Agent {id}"), "slug": slug, "role": "", "status": "idle",
            "systemSessionKey": format!("system:agent:{slug}:acc:v1")});
        row.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        serde_json::from_value(row).unwrap()
    }

    /// Each bad input has one problem with its reason, and good agents have none.
    #[test]
    fn each_unusable_agent_has_a_problem_with_its_reason() {
        let interval = |minutes: f64| json!({"heartbeatInterval": minutes});
        let rows = [
            (agent("a1", "ben", &json!({})), ""),
            (agent("a2", " ada ", &interval(15.0)), ""),
            (agent("a3", "", &json!({})), "the slug is blank"),
            (agent("a4", "  ", &json!({})), "the slug is blank"),
            (agent("a5", "BEN", &json!({})), "the agent `Agent a1` has the same slug"),
            (agent("a6", "../etc", &json!({})), "the slug must begin with a letter or digit"),
            (agent("a7", "a/b", &json!({})), "the slug must begin with a letter or digit"),
            (agent("a8", &"x".repeat(10_240), &json!({})), "the slug has more than 64 characters"),
            (agent("a9", "zero", &interval(0.0)), "the heartbeat interval is not usable: it is shorter"),
            (agent("b1", "negative", &interval(-5.0)), "the heartbeat interval is not usable: it is shorter"),
            (agent("b2", "huge", &interval(1e9)), "the heartbeat interval is not usable: it is longer"),
            (agent("b3", "mute", &json!({"systemSessionKey": " "})), "Mission Control names no session"),
        ];
        let agents = rows.iter().map(|(agent, _)| agent.clone()).collect();
        let roster = Roster::new(agents, Some(AgentId::new("a1")));
        let problems = agent_problems(&roster);
        let expected: Vec<&str> =
            rows.iter().map(|(_, words)| *words).filter(|words| !words.is_empty()).collect();
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (found, expected) in problems.iter().zip(expected) {
            assert!(found.problem.starts_with(expected), "{found:?}: {expected}");
            assert!(found.agent.chars().count() <= SHOWN_CHARS + 1, "{found:?}");
        }
        assert_eq!((problems[0].agent.as_str(), problems[2].agent.as_str()), ("a3", "BEN"));
    }

    #[test]
    fn an_agent_that_the_newest_list_lacks_is_named() {
        let (ben, ada) = (agent("a1", "ben", &json!({})), agent("a2", "ada", &json!({})));
        let roster = Roster::new(vec![ben], Some(AgentId::new("a2"))).with_missing(vec![ada]);
        let problems = agent_problems(&roster);
        assert_eq!(problems, [AgentProblem::new("ada".to_owned(), MISSING.to_owned())]);
    }

    /// The orchestrator, whether all agents are known, and the beginning of the problem with whether it is a note.
    #[test]
    fn a_missing_orchestrator_is_named() {
        let rows = [
            (Some("a1"), true, None),
            (None, true, Some(("the account has none, so", true))),
            (Some("a9"), true, Some(("the agent a9 does not exist, so", false))),
            // Earlier processes may have known it.
            (Some("a9"), false, None),
        ];
        for (orchestrator, is_confirmed, expected) in rows {
            let roster = Roster::new(vec![agent("a1", "ben", &json!({}))], orchestrator.map(AgentId::new));
            let roster = if is_confirmed { roster } else { roster.unconfirmed() };
            let problems = agent_problems(&roster);
            let found = problems.first().map(|found| (found.problem.as_str(), found.is_note));
            let fits = match (found, expected) {
                (Some((problem, is_note)), Some((words, note))) => {
                    problem.starts_with(words) && is_note == note
                }
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(fits && problems.len() <= 1, "{orchestrator:?} {is_confirmed}: {problems:?}");
        }
        assert!(agent_problems(&Roster::default()).is_empty(), "without agents there is nothing to lead");
    }

    /// An agent whose row is damaged is not gone.
    #[test]
    fn an_agent_with_an_unreadable_row_keeps_its_former_values() {
        let before = Roster::new(vec![agent("a1", "ben", &json!({})), agent("a2", "ada", &json!({}))], None);
        let unreadable = |row, id: Option<&str>| UnreadableAgent {
            row,
            id: id.map(AgentId::new),
            why: "missing field `name`".to_owned(),
        };
        let rows = vec![unreadable(1, Some("a1")), unreadable(2, None), unreadable(3, Some("a9"))];
        let ada = vec![agent("a2", "ada", &json!({}))];
        let roster = Roster::new(ada, Some(AgentId::new("a2"))).with_unreadable(rows, &before);
        assert!(roster.by_slug("ben").is_some() && roster.agents().len() == 2);
        let problems = agent_problems(&roster);
        let named: Vec<&str> = problems.iter().map(|found| found.agent.as_str()).collect();
        assert_eq!(named, ["a1", "row 2", "a9"]);
        let former = |found: &AgentProblem| found.problem.ends_with("its former values are used");
        assert_eq!(problems.iter().map(former).collect::<Vec<_>>(), [true, false, false]);
    }
}
