//! Judges a case by what the outside saw: the posts on the board, the effects, and the calls of the model. The runtime's own
//! report only shows whether it named a failure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cases::{Expected, Probe, Said};
use mcr_core::gateway::Why;
use mcr_core::gateway::dialect::HistoryWay;

/// How good a result is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// As it should be.
    Ok,
    /// Less than it should be, and the runtime said so.
    Degraded,
    /// Wrong, or silently missing.
    Bad,
}

/// A result with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The case was played.
    Played(Grade, String),
    /// The case does not apply to this rehearsal, for this reason.
    Skipped(String),
    /// The case could not be played to its end, for this reason. The candidate is not proven.
    Open(String),
}

/// A message of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Post {
    /// The agent's slug.
    pub agent: String,
    /// The text.
    pub text: String,
}

/// What is done to a case on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disturbance {
    /// An answer was lost on its way.
    Loss,
    /// A process was killed.
    Kill,
}

/// What was seen in a case.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// The mentioned agents.
    pub agents: Vec<String>,
    /// The word that only this case contains.
    pub code: String,
    /// The agents' messages, without the runtime's notes.
    pub posts: Vec<Post>,
    /// The notes that the runtime posted in the agents' names.
    pub notes: usize,
    /// The titles of the documents.
    pub documents: Vec<String>,
    /// Whether the task is in review.
    pub review: bool,
    /// The turns: the model calls that follow an input of the runtime.
    pub turns: usize,
    /// All calls of the model, with those that the gateway makes by itself. `None` with a real model, whose calls are not seen:
    /// then neither its turns nor the offered tools are known.
    pub model_calls: Option<usize>,
    /// The tools that the model was offered.
    pub offered: Vec<String>,
    /// Whether the model was told to make one call at a time.
    pub told_one_call: bool,
    /// How the deliveries ended, by the runtime.
    pub ended: BTreeMap<String, u64>,
    /// The runtime's health reasons.
    pub reasons: Vec<String>,
    /// The runtime's errors of the deliveries, in order.
    pub errors: Vec<String>,
    /// The answers that the runtime found in the history.
    pub recovered: usize,
    /// What was done to the case on purpose.
    pub disturbance: Option<Disturbance>,
    /// Whether the time limit ended the case.
    pub timed_out: bool,
    /// How long the case took, in milliseconds.
    pub took_ms: u64,
}

/// What the gateway answered to the questions before the first turn.
#[derive(Clone, Debug, Default)]
pub struct Probed {
    /// Why it accepts no turns, with the remedy.
    pub refusal: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What is uncertain about its release.
    pub doubt: Option<String>,
    /// Its agents, if it lists them.
    pub listed: Option<Vec<String>>,
    /// The agents that it must have and does not list, with the remedy.
    pub missing: Option<String>,
    /// The way to its history.
    pub history: Option<HistoryWay>,
}

impl Facts {
    fn ended(&self, name: &str) -> u64 {
        self.ended.get(name).copied().unwrap_or(0)
    }

    fn error(&self) -> &str {
        self.errors.last().map_or("the runtime reports no error", String::as_str)
    }
}

/// Judges a question to the gateway.
pub fn judge_probe(probe: Probe, probed: &Probed) -> Verdict {
    let ok = |text: String| Verdict::Played(Grade::Ok, text);
    let degraded = |text: String| Verdict::Played(Grade::Degraded, text);
    if probed.refusal.is_some() && probe != Probe::Access {
        return Verdict::Open("the gateway accepts no turns".to_owned());
    }
    match probe {
        Probe::Access => match &probed.refusal {
            None => ok("the gateway is ready and accepts the token".to_owned()),
            Some(why) => Verdict::Played(Grade::Bad, why.clone()),
        },
        Probe::Version => match (&probed.version, &probed.doubt) {
            (Some(version), None) => ok(format!("the gateway is {version}, a proven release")),
            (_, doubt) => degraded(doubt.clone().unwrap_or_else(|| "the version is unknown".to_owned())),
        },
        Probe::Agents => match (&probed.missing, &probed.listed) {
            (Some(why), _) => Verdict::Played(Grade::Bad, why.clone()),
            (None, Some(_)) => ok("the gateway has all agents".to_owned()),
            (None, None) => degraded(
                "the gateway does not list its agents, so only a turn shows whether one is missing"
                    .to_owned(),
            ),
        },
        Probe::History => match probed.history {
            None => degraded("the gateway could not be asked for its sessions".to_owned()),
            Some(HistoryWay::Closed) => {
                degraded(format!("a lost answer cannot be found: {}", HistoryWay::REMEDY))
            }
            Some(way) => ok(format!("a lost answer is read {}", way.name())),
        },
    }
}

/// Judges a case with turns.
pub fn judge(expected: &Expected, facts: &Facts) -> Verdict {
    let (grade, sentence) = match expected {
        Expected::Answer { said, documents, review, turns } => {
            judge_answer(facts, *said, (*documents, *review), *turns)
        }
        Expected::Silence => judge_silence(facts),
        Expected::NoTurn => judge_no_turn(facts),
        Expected::Failure => match judge_failure(facts) {
            Ok(judged) => judged,
            Err(why) => return Verdict::Open(why),
        },
    };
    if facts.timed_out && grade == Grade::Ok && !matches!(expected, Expected::Failure) {
        return Verdict::Played(Grade::Degraded, format!("{sentence}, but the runtime was not done in time"));
    }
    Verdict::Played(grade, sentence)
}

type Judged = (Grade, String);

fn judge_answer(facts: &Facts, said: Said, (documents, review): (usize, bool), turns: usize) -> Judged {
    let bad = |why: String| (Grade::Bad, why);
    let degraded = |why: String| (Grade::Degraded, why);
    if let Some(post) = facts.posts.iter().find(|post| !is_said(said, &facts.code, &post.text)) {
        if let Some(judged) = without_tools(facts, documents) {
            return judged;
        }
        return bad(format!("the board has a text that the agent did not write: “{}”", excerpt(&post.text)));
    }
    for agent in &facts.agents {
        let posts = facts.posts.iter().filter(|post| post.agent == *agent).count();
        if posts > 1 {
            return bad(format!("the answer of {agent} was posted {posts} times"));
        }
    }
    let mut titles = facts.documents.clone();
    titles.sort();
    titles.dedup();
    if titles.len() < facts.documents.len() {
        return bad(format!("a call ran twice: {}", facts.documents.join(", ")));
    }
    if facts.posts.len() < facts.agents.len() {
        return no_answer(facts, documents);
    }
    if titles.len() < documents {
        let why = format!("{} of {documents} calls had an effect", titles.len());
        if let Some(judged) = without_tools(facts, documents) {
            return judged;
        }
        return if facts.told_one_call {
            degraded(format!("{why}; the agents are told to make one call at a time"))
        } else {
            bad(why)
        };
    }
    if review && !facts.review {
        return bad("the task was not moved to review".to_owned());
    }
    let most = turns * facts.agents.len();
    if facts.turns > most {
        let why = format!("the model had {} turns instead of {most}", facts.turns);
        // A killed process loses what the model did. A lost answer is still in the history.
        return match facts.disturbance {
            Some(Disturbance::Kill) => (Grade::Ok, format!("answered once; {why}")),
            Some(Disturbance::Loss) | None => degraded(why),
        };
    }
    if facts.recovered > 0 && facts.disturbance.is_none() {
        return degraded(format!(
            "{} answers did not arrive and were read from the history",
            facts.recovered
        ));
    }
    let most_once = if facts.disturbance.is_some() { ", and no turn ran twice" } else { "" };
    (Grade::Ok, format!("answered once{most_once}"))
}

/// Why there is no answer of an agent.
fn no_answer(facts: &Facts, documents: usize) -> Judged {
    if facts.ended("dead") > 0 {
        return (Grade::Degraded, format!("the delivery ended as dead, and is reported: {}", facts.error()));
    }
    if facts.model_calls == Some(0) {
        let why = format!(
            "the model got no request ({}): configure the candidate to use the provider of this rehearsal",
            facts.error()
        );
        return (Grade::Bad, why);
    }
    if let Some(judged) = without_tools(facts, documents) {
        return judged;
    }
    (Grade::Bad, format!("no answer was posted: {}", facts.error()))
}

/// The judgement of a case with calls whose tools the model was not offered.
fn without_tools(facts: &Facts, documents: usize) -> Option<Judged> {
    let is_ours = |tool: &String| tool.starts_with("document_") || tool.starts_with("task_");
    if documents == 0 || facts.offered.iter().any(is_ours) {
        return None;
    }
    if facts.reasons.iter().any(|reason| reason == "gateway_too_old") {
        return Some((Grade::Degraded, "this release never shows function tools to agents".to_owned()));
    }
    facts.model_calls?;
    let why = if facts.offered.iter().any(|tool| tool == "tool_search") {
        "the model was offered Tool Search instead of the runtime's tools: set tools.toolSearch to false"
    } else {
        "the model was not offered the runtime's tools"
    };
    Some((Grade::Bad, why.to_owned()))
}

fn judge_silence(facts: &Facts) -> Judged {
    match (facts.posts.first(), facts.ended("silent")) {
        (Some(post), _) => (Grade::Bad, format!("“{}” was posted", excerpt(&post.text))),
        (None, 1..) => (Grade::Ok, "nothing was posted, and the agent counts as silent".to_owned()),
        (None, 0) => (Grade::Bad, format!("the silence was not recognised: {}", facts.error())),
    }
}

fn judge_no_turn(facts: &Facts) -> Judged {
    if facts.model_calls.is_some_and(|calls| calls > 0) || !facts.posts.is_empty() {
        return (Grade::Bad, "an agent that does not exist had a turn".to_owned());
    }
    let is_named = facts.reasons.iter().any(|reason| reason == "agents_missing")
        || facts.errors.iter().any(|error| error.contains(Why::UnknownAgent.explain()));
    if is_named {
        (Grade::Ok, "the agent had no turn, and is reported as missing".to_owned())
    } else {
        (Grade::Degraded, format!("the agent had no turn: {}", facts.error()))
    }
}

/// The sentences that name the provider as the cause.
const PROVIDER: [Why; 4] =
    [Why::ProviderRefused, Why::ProviderRejected, Why::ProviderTrouble, Why::ContextTooLong];

/// An error says why the result is open.
fn judge_failure(facts: &Facts) -> Result<Judged, String> {
    if let Some(post) = facts.posts.first() {
        let why = format!("a text of the gateway was posted as the agent's: “{}”", excerpt(&post.text));
        return Ok((Grade::Bad, why));
    }
    if facts.ended("unanswered") + facts.ended("silent") > 0 {
        return Ok((Grade::Bad, "the provider's failure looks like a silent agent".to_owned()));
    }
    let Some(error) = facts.errors.first() else {
        let seconds = facts.took_ms / 1000;
        return Err(format!(
            "the gateway had not ended the turn after {seconds} s; a smaller agents.defaults.timeoutSeconds shows the result"
        ));
    };
    // A gateway that blocks the agent's key names the cause only once.
    let names = |why: &&Why| facts.errors.iter().any(|error| error.contains(why.explain()));
    Ok(match PROVIDER.iter().find(names) {
        Some(why) => (Grade::Ok, format!("nothing was posted, and {}", why.explain())),
        None => (Grade::Degraded, format!("nothing was posted, and the failure is reported as: {error}")),
    })
}

fn is_said(said: Said, code: &str, text: &str) -> bool {
    match said {
        Said::This(expected) => text == expected,
        Said::Code => text.contains(code),
        // The end of a message has no white space.
        Said::Long(chars) => text.len() + 1 == chars && text.lines().count() == chars / 80,
    }
}

/// The most characters of a text in a sentence.
const EXCERPT_CHARS: usize = 80;

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(EXCERPT_CHARS).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests;
