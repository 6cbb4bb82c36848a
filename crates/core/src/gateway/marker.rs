//! The markers at the beginning of what the runtime sends to agents. A turn is found by them in its session's history.
//!
//! | input | marker |
//! |---|---|
//! | a message | `[n-{work} try {attempt}]` |
//! | the result of a call | `[n-{work} try {attempt} result {round}.{number}]` |
//!
//! Releases up to 2026.8 store the result of a single call without the id of the call. So the marker is part of the result's
//! text. It comes first, because histories cut long texts at the end.

use crate::work::WorkId;

/// The part of a marker between the attempt and the number of a result.
const RESULT: &str = " result ";

/// The marker of the message with which an attempt begins.
pub fn of_message(work: &WorkId, attempt: u32) -> String {
    format!("[n-{work} try {attempt}]")
}

/// The result of a call with its marker. `number` counts the calls of the round from 1.
pub fn with_result(work: &WorkId, attempt: u32, (round, number): (u32, usize), output: &str) -> String {
    format!("[n-{work} try {attempt}{RESULT}{round}.{number}]\n{output}")
}

/// The marker at the beginning of a result; none if an older version wrote the result.
pub fn of_result(output: &str) -> Option<&str> {
    first(output).filter(|marker| marker.contains(RESULT))
}

/// Whether a marker is that of this message, or of a result of it.
pub fn belongs_to(marker: &str, message: &str) -> bool {
    let stem = message.strip_suffix(']').unwrap_or(message);
    marker == message || marker.strip_prefix(stem).is_some_and(|rest| rest.starts_with(RESULT))
}

/// The attempt of this work that a marker of its messages or results names.
pub fn attempt_of(marker: &str, work: &WorkId) -> Option<u32> {
    let words = marker.strip_prefix("[n-")?.strip_prefix(work.as_str())?.strip_prefix(" try ")?;
    words.strip_suffix(']')?.split(RESULT).next()?.parse().ok()
}

/// The marker at the beginning of a text.
pub fn first(text: &str) -> Option<&str> {
    let marker = &text[..=text.find(']')?];
    let words = marker.strip_prefix('[')?.strip_suffix(']')?;
    let (_, numbers) = words.rsplit_once(" try ")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let fits = match numbers.split_once(RESULT) {
        None => is_number(numbers),
        Some((attempt, result)) => {
            is_number(attempt)
                && result.split_once('.').is_some_and(|(round, number)| is_number(round) && is_number(number))
        }
    };
    fits.then_some(marker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let work = WorkId::new("k17");
        assert_eq!(first(&(of_message(&work, 2) + "\nHello.")), Some("[n-k17 try 2]"));
        let result = with_result(&work, 2, (1, 3), "{\"success\":true}");
        assert_eq!(result, "[n-k17 try 2 result 1.3]\n{\"success\":true}");
        assert_eq!(of_result(&result), Some("[n-k17 try 2 result 1.3]"));
        assert_eq!(of_result(&of_message(&work, 2)), None);
    }

    #[test]
    fn results_belong_to_their_message() {
        let message = "[n-k17 try 2]";
        for (marker, expected) in [
            (message, true),
            ("[n-k17 try 2 result 1.3]", true),
            ("[n-k17 try 1]", false),
            ("[n-k17 try 21]", false),
            ("[n-k17 try 1 result 2.1]", false),
            ("[n-k18 try 2]", false),
        ] {
            assert_eq!(belongs_to(marker, message), expected, "{marker}");
        }
    }

    #[test]
    fn a_marker_names_the_attempt_of_its_work() {
        let work = WorkId::new("k17");
        for (marker, expected) in [
            ("[n-k17 try 2]", Some(2)),
            ("[n-k17 try 12 result 1.3]", Some(12)),
            ("[n-k1 try 2]", None),
            ("[n-k170 try 2]", None),
            ("[n-k17 try x]", None),
            ("[n-k17 try 99999999999]", None),
        ] {
            assert_eq!(attempt_of(marker, &work), expected, "{marker}");
        }
    }

    #[test]
    fn other_texts_have_no_marker() {
        let texts = [
            "",
            "[",
            "]",
            "hello",
            "[n-1 try x]",
            "[n-1 try ]",
            "[n-1 try 1",
            " [n-1 try 1]",
            "[n-1 try 1 result 1]",
            "[n-1 try 1 result .1]",
            "[n-1 try 1 result 1.x]",
            "{\"text\":\"[n-1 try 1]\"}",
        ];
        for text in texts {
            assert_eq!(first(text), None, "{text}");
        }
    }
}
