//! The result of all cases: go or no-go, as JSON and as a text.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::cases::{Case, Script};
use super::judgement::{Grade, Verdict};

/// The result of one case.
#[derive(Clone, Debug)]
pub struct CaseReport {
    /// The case.
    pub case: &'static Case,
    /// Its result.
    pub verdict: Verdict,
    /// The best result that the release permits.
    pub possible: Grade,
    /// What was seen.
    pub observed: Value,
}

impl CaseReport {
    /// Whether the result is worse than the release permits.
    pub fn differs(&self) -> bool {
        matches!(self.verdict, Verdict::Played(grade, _) if grade > self.possible)
    }

    fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Played(Grade::Ok, _) => "ok",
            Verdict::Played(Grade::Degraded, _) => "degraded",
            Verdict::Played(Grade::Bad, _) => "bad",
            Verdict::Skipped(_) => "skipped",
            Verdict::Open(_) => "open",
        }
    }

    fn sentence(&self) -> &str {
        match &self.verdict {
            Verdict::Played(_, sentence) | Verdict::Skipped(sentence) | Verdict::Open(sentence) => sentence,
        }
    }

    /// The line for people.
    pub fn line(&self) -> String {
        format!("{:<18} {:<9} {}\n", self.case.id, self.word(), self.sentence())
    }

    fn json(&self) -> Value {
        json!({
            "case": self.case.id,
            "title": self.case.title,
            "result": self.word(),
            "possible": self.possible,
            "differs": self.differs(),
            "sentence": self.sentence(),
            "observed": self.observed,
        })
    }
}

/// The result of all cases.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is known of the gateway.
    pub gateway: Value,
    /// The agents of the cases.
    pub agents: Vec<String>,
    /// The cases, in the order of the list.
    pub cases: Vec<CaseReport>,
}

impl Report {
    /// The cases that are worse than the release permits.
    pub fn differing(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| case.differs())
    }

    /// Whether the gateway may be used: no case differs or is open, and at least one conversation was played.
    pub fn is_go(&self) -> bool {
        let is_open = |case: &CaseReport| matches!(case.verdict, Verdict::Open(_));
        let is_conversation = |case: &CaseReport| {
            matches!((&case.case.script, &case.verdict), (Script::Talk(_), Verdict::Played(..)))
        };
        self.differing().next().is_none()
            && !self.cases.iter().any(is_open)
            && self.cases.iter().any(is_conversation)
    }

    /// The ids of the cases with this result.
    fn with_result(&self, word: &str) -> Vec<&'static str> {
        self.cases.iter().filter(|case| case.word() == word).map(|case| case.case.id).collect()
    }

    /// The report for programs.
    pub fn json(&self) -> String {
        let report = json!({
            "go": self.is_go(),
            "gateway": self.gateway,
            "agents": self.agents,
            "differs": self.differing().map(|case| case.case.id).collect::<Vec<_>>(),
            "cases": self.cases.iter().map(CaseReport::json).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }

    /// The result for people. The lines of the cases precede it.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for case in self.differing() {
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "\n{} ({}): {}", case.case.id, case.case.title, case.sentence());
        }
        for (word, what) in [("skipped", "skipped"), ("open", "not played to the end")] {
            let cases = self.with_result(word);
            if !cases.is_empty() {
                let _ = writeln!(text, "\n{what}: {}", cases.join(", "));
            }
        }
        let differing: Vec<&str> = self.differing().map(|case| case.case.id).collect();
        let _ = match differing.as_slice() {
            _ if self.is_go() => writeln!(text, "\ngo"),
            [] => writeln!(text, "\nno-go: the gateway is not proven"),
            cases => writeln!(text, "\nno-go: {}", cases.join(", ")),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::CASES;
    use super::*;

    #[test]
    fn a_result_that_is_worse_than_possible_is_a_no_go() {
        let case =
            |verdict, possible| CaseReport { case: &CASES[4], verdict, possible, observed: Value::Null };
        let played = |grade| Verdict::Played(grade, "a reason".to_owned());
        let rows = [
            (case(played(Grade::Ok), Grade::Ok), true),
            (case(played(Grade::Degraded), Grade::Degraded), true),
            (case(played(Grade::Degraded), Grade::Ok), false),
            (case(played(Grade::Bad), Grade::Degraded), false),
            (case(played(Grade::Bad), Grade::Bad), true),
            (case(Verdict::Skipped("one agent".to_owned()), Grade::Ok), false),
            (case(Verdict::Open("no answer".to_owned()), Grade::Ok), false),
        ];
        for (case, is_go) in rows {
            let report = Report { gateway: Value::Null, agents: Vec::new(), cases: vec![case] };
            assert_eq!(report.is_go(), is_go, "{}", report.summary());
            let json: Value = serde_json::from_str(&report.json()).unwrap();
            assert_eq!(json["go"], is_go);
            assert_eq!(report.summary().ends_with("\ngo\n"), is_go);
        }
    }
}
