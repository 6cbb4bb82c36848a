//! What an answer of Mission Control changes in the env file.
//!
//! The file itself is compared, not a version: a version has no order, and a file may have been removed. So a lost answer
//! changes nothing, a doubled one nothing more, and an older one is an earlier set of keys.
//!
//! An answer without keys removes the last key of the file only if the next answer agrees. A Mission Control that has just
//! been restored, or was exchanged by mistake, may have no keys for a moment, and the gateway would lose its models.

use super::file::{KeyFile, entries};

/// What is to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStep {
    /// The file has these keys, or neither exists.
    Keep,
    /// The new text replaces the file.
    Write,
    /// The file keeps its keys until another answer confirms that there are none.
    Confirm,
    /// A person or the runtime of another account wrote the file, so it is not overwritten.
    NotOurs,
}

/// The state between two answers.
#[derive(Debug, Default)]
pub struct KeySync {
    /// The last answer had no keys.
    was_empty: bool,
}

impl KeySync {
    /// Decides about an answer. `present` is the text of the file, if there is one.
    pub fn decide(&mut self, present: Option<&str>, wanted: &KeyFile) -> KeyStep {
        let is_empty = wanted.names.is_empty();
        let is_confirmed = std::mem::replace(&mut self.was_empty, is_empty);
        match present {
            None if is_empty => KeyStep::Keep,
            Some(text) if text == wanted.text.expose() => KeyStep::Keep,
            Some(text) if !text.is_empty() && !text.starts_with(&wanted.header) => KeyStep::NotOurs,
            Some(text) if is_empty && !is_confirmed && !entries(text).is_empty() => KeyStep::Confirm,
            None | Some(_) => KeyStep::Write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::StoredKey;
    use super::*;
    use mcr_model::secret::Secret;

    fn file(value: &str) -> KeyFile {
        let key = StoredKey { name: "A_KEY".to_owned(), value: Secret::new(value) };
        KeyFile::of("acc", if value.is_empty() { &[] } else { std::slice::from_ref(&key) })
    }

    /// Answers in order: `""` has no keys, `-` is lost, `!` is a restart of the runtime.
    fn check(present: Option<&str>, answers: &[(&str, Option<KeyStep>)], left: Option<&str>) {
        let text = |value: &str| file(value).text.expose().to_owned();
        let (mut disk, mut sync) = (present.map(text), KeySync::default());
        for (answer, expected) in answers {
            match *answer {
                "-" => assert_eq!(*expected, None),
                "!" => sync = KeySync::default(),
                value => {
                    let step = sync.decide(disk.as_deref(), &file(value));
                    assert_eq!(Some(step), *expected, "{answer:?} of {answers:?}");
                    if step == KeyStep::Write {
                        disk = Some(text(value));
                    }
                }
            }
        }
        assert_eq!(disk, left.map(text), "{answers:?}");
    }

    #[test]
    fn lost_doubled_and_older_answers_and_restarts() {
        use KeyStep::{Confirm, Keep, Write};
        check(None, &[("", Some(Keep)), ("", Some(Keep))], None);
        check(None, &[("one", Some(Write)), ("one", Some(Keep))], Some("one"));
        check(None, &[("one", Some(Write)), ("-", None), ("one", Some(Keep))], Some("one"));
        check(Some("one"), &[("!", None), ("one", Some(Keep)), ("two", Some(Write))], Some("two"));
        // Mission Control was restored from a backup.
        check(Some("two"), &[("one", Some(Write))], Some("one"));
        // The last key was removed.
        check(Some("one"), &[("", Some(Confirm)), ("", Some(Write)), ("", Some(Keep))], Some(""));
        // It was empty by mistake, once and twice, with a lost answer and a restart in between.
        check(Some("one"), &[("", Some(Confirm)), ("one", Some(Keep)), ("", Some(Confirm))], Some("one"));
        check(Some("one"), &[("", Some(Confirm)), ("-", None), ("", Some(Write))], Some(""));
        check(Some("one"), &[("", Some(Confirm)), ("!", None), ("", Some(Confirm))], Some("one"));
        check(Some(""), &[("", Some(Keep)), ("one", Some(Write))], Some("one"));
    }

    #[test]
    fn a_file_of_a_person_or_of_another_account_is_not_overwritten() {
        let other = KeyFile::of("other", &[]);
        for text in ["ANTHROPIC_API_KEY=mine\n", "# my keys\n", "\n", other.text.expose()] {
            assert_eq!(KeySync::default().decide(Some(text), &file("one")), KeyStep::NotOurs, "{text:?}");
        }
        assert_eq!(KeySync::default().decide(Some(""), &file("one")), KeyStep::Write);
    }
}
