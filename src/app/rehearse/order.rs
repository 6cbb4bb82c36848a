//! The order of the cases: conversations one after the other, and last the failing providers.
//!
//! A provider's failure takes the gateway minutes, and can block its agent for a minute. So these cases run at the same time,
//! one lane for each agent, and nothing comes after them.

use std::thread;

use serde_json::{Value, json};

use super::candidate::Knowledge;
use super::talk::{self, Conditions};
use super::{Candidate, Staging};
use mcr_gateway_sim::rehearsal::{
    CASES, Case, CaseReport, Expected, Grade, Interruption, Probe, Report, Script, Speakers, Talk, Verdict,
    judge, judge_probe, possible,
};

/// An agent that no gateway has.
const UNKNOWN: &str = "rehearsal-unknown";

/// The first conversation. If it is bad, no other one is played.
const FIRST: &str = "mention";

/// The most agents of one case.
const SPEAKERS_MAX: usize = 3;

/// What came of a case.
struct Outcome {
    verdict: Verdict,
    observed: Value,
    /// The gateway's names of its sessions.
    sessions: Vec<String>,
}

impl Outcome {
    fn skipped(why: &str) -> Self {
        Self { verdict: Verdict::Skipped(why.to_owned()), observed: Value::Null, sessions: Vec::new() }
    }

    /// The case cannot be played.
    fn open(why: &str) -> Self {
        Self { verdict: Verdict::Open(why.to_owned()), ..Self::skipped(why) }
    }
}

/// Plays all cases with a candidate. `progress` receives each result. An error means that the rehearsal itself failed.
pub fn rehearse_with(
    staging: &Staging,
    candidate: &Candidate,
    progress: &dyn Fn(&CaseReport),
) -> Result<Report, String> {
    let knowledge = candidate.probe(&staging.roots, &staging.stop);
    let mut rehearsal = Rehearsal { staging, candidate, knowledge, reports: Vec::new(), progress };
    rehearsal.ask(|question| question != Probe::Version);
    let mut obstacle = rehearsal.knowledge.obstacle();
    let mut failing = Vec::new();
    for case in staging.wanted() {
        let Script::Talk(talk) = &case.script else { continue };
        if matches!(talk.expected, Expected::Failure) {
            failing.push((case, *talk));
            continue;
        }
        let outcome = match obstacle {
            Some(why) => Outcome::open(why),
            None => play_case(staging, candidate, &rehearsal.knowledge.agents, case, talk)?,
        };
        outcome.sessions.first().into_iter().for_each(|session| rehearsal.knowledge.learn(session));
        if case.id == FIRST && matches!(outcome.verdict, Verdict::Played(Grade::Bad, _)) {
            obstacle = Some("a simple mention is not answered");
        }
        rehearsal.report(case, outcome.verdict, outcome.observed);
    }
    // Old releases name their version only after a turn.
    rehearsal.ask(|question| question == Probe::Version);
    for (case, outcome) in play_failing(staging, candidate, &rehearsal.knowledge.agents, &failing, obstacle)?
    {
        rehearsal.report(case, outcome.verdict, outcome.observed);
    }
    Ok(rehearsal.end())
}

/// The rehearsal with what it knows so far.
struct Rehearsal<'a> {
    staging: &'a Staging,
    candidate: &'a Candidate,
    knowledge: Knowledge,
    reports: Vec<CaseReport>,
    progress: &'a dyn Fn(&CaseReport),
}

impl Rehearsal<'_> {
    fn report(&mut self, case: &'static Case, verdict: Verdict, observed: Value) {
        let possible = possible(case, self.knowledge.behaviour());
        let report = CaseReport { case, verdict, possible, observed };
        (self.progress)(&report);
        self.reports.push(report);
    }

    /// Reports the questions to the gateway that `is_due` selects.
    fn ask(&mut self, is_due: impl Fn(Probe) -> bool) {
        for case in self.staging.wanted() {
            if let Script::Probe(question) = case.script
                && is_due(question)
            {
                let verdict = judge_probe(question, &self.knowledge.probed);
                self.report(case, verdict, Value::Null);
            }
        }
    }

    fn end(mut self) -> Report {
        for report in &mut self.reports {
            // The first cases were reported before the version was known.
            report.possible = possible(report.case, self.knowledge.behaviour());
        }
        self.reports.sort_by_key(|report| CASES.iter().position(|case| case.id == report.case.id));
        let gateway = self.knowledge.json(&self.candidate.url);
        Report { gateway, agents: self.knowledge.agents, cases: self.reports }
    }
}

impl Staging {
    /// The cases to play, in the order of the list. The questions belong to every rehearsal.
    fn wanted(&self) -> impl Iterator<Item = &'static Case> {
        CASES.iter().filter(|case| {
            let is_question = matches!(case.script, Script::Probe(_));
            is_question || self.cases.is_empty() || self.cases.iter().any(|id| id == case.id)
        })
    }
}

/// Plays the cases of failing providers: those of one agent after each other, those of different agents at once.
fn play_failing(
    staging: &Staging,
    candidate: &Candidate,
    agents: &[String],
    cases: &[(&'static Case, Talk)],
    obstacle: Option<&str>,
) -> Result<Vec<(&'static Case, Outcome)>, String> {
    if let Some(why) = obstacle {
        return Ok(cases.iter().map(|(case, _)| (*case, Outcome::open(why))).collect());
    }
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..agents.len().min(cases.len()))
            .map(|lane| {
                scope.spawn(move || {
                    let of_lane = cases.iter().skip(lane).step_by(agents.len());
                    of_lane
                        .map(|(case, talk)| {
                            let outcome = play_case(staging, candidate, &agents[lane..=lane], case, talk)?;
                            Ok((*case, outcome))
                        })
                        .collect::<Result<Vec<_>, String>>()
                })
            })
            .collect();
        let mut outcomes = Vec::new();
        for lane in lanes {
            outcomes.extend(lane.join().map_err(|_| "a lane of the rehearsal panicked".to_owned())??);
        }
        Ok(outcomes)
    })
}

/// Plays one case with these agents, as far as it needs them.
fn play_case(
    staging: &Staging,
    candidate: &Candidate,
    agents: &[String],
    case: &Case,
    talk: &Talk,
) -> Result<Outcome, String> {
    let mut talk = *talk;
    let mut turns_max = None;
    if staging.real_model {
        let Some(real) = case.real else { return Ok(Outcome::skipped("the case needs a scripted model")) };
        (talk.words, talk.expected, turns_max) = (real.words, real.expected, Some(real.turns));
    }
    let agents = match talk.speakers {
        Speakers::One => agents.iter().take(1).cloned().collect(),
        Speakers::Three if agents.len() < 2 => return Ok(Outcome::skipped("there is only one agent")),
        Speakers::Three => agents.iter().take(SPEAKERS_MAX).cloned().collect(),
        Speakers::Unknown => vec![UNKNOWN.to_owned()],
    };
    if talk.interruption == Some(Interruption::Gateway) && candidate.process.is_none() {
        return Ok(Outcome::skipped("the gateway's process does not belong to the rehearsal"));
    }
    if talk.losses.is_some() && candidate.url.is_https() {
        return Ok(Outcome::skipped("the proxy that loses answers speaks plain HTTP only"));
    }
    let patience = match talk.expected {
        Expected::Failure => staging.provider_patience,
        Expected::Answer { .. } | Expected::Silence | Expected::NoTurn => staging.patience,
    };
    let conditions = Conditions { agents, patience, turns_max };
    let played = talk::play(staging, candidate, &talk, &conditions)?;
    let verdict = judge(&talk.expected, &played.facts);
    let mut observed = json!(played.facts);
    if !matches!(verdict, Verdict::Played(Grade::Ok, _)) {
        observed["warnings"] = json!(played.warnings);
    }
    Ok(Outcome { verdict, observed, sessions: played.sessions })
}
