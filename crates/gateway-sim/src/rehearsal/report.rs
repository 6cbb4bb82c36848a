//! The result of all cases: go or no-go, as JSON and as a text.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::cases::Case;
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
        }
    }

    fn sentence(&self) -> &str {
        match &self.verdict {
            Verdict::Played(_, sentence) | Verdict::Skipped(sentence) => sentence,
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

    /// Whether the gateway may be used.
    pub fn is_go(&self) -> bool {
        self.differing().next().is_none()
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
        let differing: Vec<&str> = self.differing().map(|case| case.case.id).collect();
        match differing.as_slice() {
            [] => text.push_str("\ngo\n"),
            cases => {
                let _ = writeln!(text, "\nno-go: {}", cases.join(", "));
            }
        }
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
            |verdict, possible| CaseReport { case: &CASES[0], verdict, possible, observed: Value::Null };
        let played = |grade| Verdict::Played(grade, "a reason".to_owned());
        let rows = [
            (case(played(Grade::Ok), Grade::Ok), true),
            (case(played(Grade::Degraded), Grade::Degraded), true),
            (case(played(Grade::Degraded), Grade::Ok), false),
            (case(played(Grade::Bad), Grade::Degraded), false),
            (case(played(Grade::Bad), Grade::Bad), true),
            (case(Verdict::Skipped("one agent".to_owned()), Grade::Ok), true),
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
