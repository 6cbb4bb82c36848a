//! The step history of a delivery: its steps with their times and a few words, for `why`. It is bounded: the first and
//! the latest steps are kept, and the steps left out in between are counted.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use mcr_core::delivery::UnknownFields;
use mcr_core::delivery::journal::{RecordedStep, Step};
use mcr_model::clock::Millis;

/// Maximum number of steps kept.
pub(super) const STEPS_MAX: usize = 64;
/// How many of these are the first steps.
pub(super) const STEPS_FIRST: usize = 8;
/// Maximum number of characters kept of the words of a step.
pub(super) const WORDS_MAX: usize = 320;

/// The field with the number of the commit that has written the history.
const COMMIT: &str = "commit";

/// The steps, each as JSON, so that serializing the history only joins them. Steps and fields that only a newer version
/// knows stay unchanged.
#[derive(Clone, Debug, Default)]
pub(super) struct StepHistory {
    steps: VecDeque<String>,
    left_out: u64,
    extra: UnknownFields,
}

#[derive(Deserialize)]
struct StoredHistory<'a> {
    left_out: u64,
    #[serde(borrow)]
    steps: Vec<&'a RawValue>,
    #[serde(flatten)]
    extra: UnknownFields,
}

impl StepHistory {
    /// Appends a step.
    pub(super) fn add(&mut self, at: Millis, step: Step, words: &str) {
        let step = RecordedStep { at, step: step.name().to_owned(), words: short(words) };
        self.push(json(&step));
    }

    /// Appends a later history.
    pub(super) fn follow(&mut self, later: Self) {
        self.left_out += later.left_out;
        self.extra.add(later.extra);
        later.steps.into_iter().for_each(|step| self.push(step));
    }

    fn push(&mut self, step: String) {
        self.steps.push_back(step);
        if self.steps.len() > STEPS_MAX {
            self.steps.remove(STEPS_FIRST);
            self.left_out += 1;
        }
    }

    /// The stored form.
    pub(super) fn to_text(&self) -> String {
        let length = 40 + self.steps.iter().map(|step| step.len() + 1).sum::<usize>();
        let mut text = String::with_capacity(length);
        text.push_str("{\"left_out\":");
        text.push_str(&self.left_out.to_string());
        text.push_str(",\"steps\":[");
        for (at, step) in self.steps.iter().enumerate() {
            text.push_str(if at == 0 { "" } else { "," });
            text.push_str(step);
        }
        text.push_str("]}");
        self.extra.append_to(text)
    }

    /// The stored form with the number of the commit that writes it. A version that does not know this number keeps the
    /// number of an earlier commit, or none.
    pub(super) fn counted(text: &str, commit: i64) -> String {
        let fields = text.strip_suffix('}').expect("the stored form is an object");
        format!("{fields}{}", Self::count(commit))
    }

    /// Whether the stored form has this number.
    pub(super) fn is_counted(text: &str, commit: i64) -> bool {
        text.ends_with(&Self::count(commit))
    }

    fn count(commit: i64) -> String {
        format!(",\"{COMMIT}\":{commit}}}")
    }

    /// Parses the stored form. A history that cannot be parsed becomes empty, so that its delivery is not lost.
    pub(super) fn from_text(text: &str) -> Self {
        let Ok(mut stored) = serde_json::from_str::<StoredHistory<'_>>(text) else { return Self::default() };
        stored.extra.take(COMMIT);
        let steps = stored.steps.iter().map(|step| step.get().to_owned()).collect();
        Self { steps, left_out: stored.left_out, extra: stored.extra }
    }

    /// The steps that can be parsed, and how many were left out.
    pub(super) fn recorded(&self) -> (Vec<RecordedStep>, u64) {
        let step = self.steps.iter().filter_map(|step| serde_json::from_str(step).ok());
        (step.collect(), self.left_out)
    }
}

fn json(step: &RecordedStep) -> String {
    serde_json::to_string(step).expect("texts and numbers are always JSON")
}

/// The first line, cut to [`WORDS_MAX`] characters.
fn short(words: &str) -> String {
    let line = words.lines().next().unwrap_or_default();
    match line.char_indices().nth(WORDS_MAX) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None if line.len() < words.trim_end().len() => format!("{line} …"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_keeps_its_first_and_last_steps() {
        let mut history = StepHistory::default();
        for at in 0..200 {
            history.add(Millis(at), Step::Rests, &format!("again \"{at}\""));
        }
        let (step, left_out) = StepHistory::from_text(&history.to_text()).recorded();
        assert_eq!((step.len(), left_out), (STEPS_MAX, 200 - STEPS_MAX as u64));
        let at: Vec<i64> = step.iter().map(|step| step.at.0).collect();
        assert!(at[..STEPS_FIRST].iter().copied().eq(0..8) && at[STEPS_FIRST..].iter().copied().eq(144..200));
        assert_eq!(step[0].words, "again \"0\"");
        assert_eq!(StepHistory::from_text(&history.to_text()).to_text(), history.to_text());
    }

    #[test]
    fn words_are_one_line_and_not_a_long_one() {
        let rows = [("", String::new()), ("a\nb", "a …".to_owned()), ("a\n", "a".to_owned())];
        let long = (&*"ä".repeat(500), format!("{}…", "ä".repeat(WORDS_MAX)));
        for (words, step) in rows.into_iter().chain([long]) {
            assert_eq!(short(words), step);
        }
    }

    #[test]
    fn the_number_of_a_commit_is_never_kept_for_the_next_one() {
        let mut history = StepHistory::default();
        history.add(Millis(1), Step::Rests, "a");
        let (bare, counted) = (history.to_text(), StepHistory::counted(&history.to_text(), 7));
        assert!(StepHistory::is_counted(&counted, 7));
        for (text, commit) in [(&counted, 17), (&counted, 6), (&bare, 7)] {
            assert!(!StepHistory::is_counted(text, commit), "{text}, {commit}");
        }
        assert_eq!(StepHistory::from_text(&counted).to_text(), bare);
    }

    #[test]
    fn steps_and_fields_of_a_newer_version_stay_as_they_are() {
        let newer = r#"{"left_out":3,"steps":[{"at":1,"step":"told","words":"a","later":{"z":1,"a":2}},{"step":"other"}],"later":[0.1]}"#;
        let mut history = StepHistory::from_text(newer);
        assert_eq!(
            (history.to_text(), history.recorded().0.len(), history.recorded().1),
            (newer.to_owned(), 1, 3)
        );
        history.add(Millis(2), Step::Rests, "b");
        let (start, fields) = newer.split_once("],\"later\"").expect("a field behind the steps");
        let added = r#",{"at":2,"step":"rests","words":"b"}],"later""#;
        assert_eq!(history.to_text(), format!("{start}{added}{fields}"));
    }
}
