//! Measures texts: whether a document has content, and whether a message says more than its status.

use crate::digest::half_digest;

/// Letters that a message about the status rarely reaches: some 25 English words.
const MESSAGE_LETTERS_MIN: u32 = 120;

/// The most pull requests that are read from one message.
const NAMED_MAX: usize = 8;

/// A short digest of a text.
pub(super) fn digest(text: &str) -> String {
    let mut digits = half_digest(text);
    digits.truncate(16);
    digits
}

/// The digest of a document's text. Empty if the document has no text besides its title.
pub(super) fn content_digest(title: &str, content: &str) -> String {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let title = letters(title);
    let has_text = content.lines().map(letters).any(|line| !line.is_empty() && line != title);
    if has_text { digest(content) } else { String::new() }
}

/// The letters and digits of a text. A letter of a script without spaces counts three times, as part of a word.
pub(super) fn letters(text: &str) -> u32 {
    let weight = |c: char| match c {
        '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{20000}'..='\u{3ffff}' => 3,
        _ => 1,
    };
    let sum: usize = text.chars().filter(|c| c.is_alphanumeric()).map(weight).sum();
    u32::try_from(sum).unwrap_or(u32::MAX)
}

/// Whether a message of this many letters says more than its status.
pub(super) fn says_more_than_status(letters: u32) -> bool {
    letters >= MESSAGE_LETTERS_MIN
}

/// The numbers of the pull requests that a text names: `PR #7`, `pull request 7`, `…/pull/7`.
pub(super) fn pull_requests(text: &str) -> Vec<u64> {
    let text = text.to_lowercase();
    let mut found = Vec::new();
    for name in ["pull request", "pull-request", "pr", "/pull/"] {
        for (at, _) in text.match_indices(name) {
            // “pr” is a word of its own, and no part of another one.
            let before = text[..at].chars().next_back();
            if !name.starts_with('/') && before.is_some_and(char::is_alphanumeric) {
                continue;
            }
            let rest = text[at + name.len()..].trim_start_matches([' ', '#', '-', '*', '`', '[']);
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if let Ok(number) = rest[..digits].parse()
                && !found.contains(&number)
                && found.len() < NAMED_MAX
            {
                found.push(number);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_text_besides_its_title_is_blank() {
        let blank =
            ["", " \n\t", "# Plan", "Plan\n\n***\n", "\u{200b}\u{feff}", "# plan".to_uppercase().as_str()]
                .map(|text| content_digest("Plan", text).is_empty());
        assert_eq!(blank, [true, true, true, true, true, false]);
        for text in ["# Plan\n\nBuy milk", "計画", "![](x.png)", "Plan B"] {
            assert!(!content_digest("Plan", text).is_empty(), "{text}");
        }
        assert_ne!(content_digest("Plan", "a"), content_digest("Plan", "a "));
    }

    #[test]
    fn pull_requests_are_found_by_their_usual_names() {
        let rows: [(&str, &[u64]); 10] = [
            ("The pull request #57 is open", &[57]),
            ("PR 7, and pull request 8", &[8, 7]),
            ("see https://example.org/a/b/pull/12/files", &[12]),
            ("**PR #9**", &[9]),
            ("Pull-Request 3", &[3]),
            ("the 3 rooms", &[]),
            ("apr 12", &[]),
            ("sprint 12", &[]),
            ("PR is open", &[]),
            ("PR #99999999999999999999999", &[]),
        ];
        for (text, numbers) in rows {
            assert_eq!(pull_requests(text), numbers, "{text}");
        }
        let many: Vec<String> = (0..100).map(|number| format!("PR {number}")).collect();
        assert_eq!(pull_requests(&many.join(" ")).len(), NAMED_MAX);
    }

    #[test]
    fn letters_count_words_in_every_script() {
        assert_eq!((letters("Done! 👍"), letters("完成"), letters("\u{202e}\u{200b}")), (4, 6, 0));
        assert!(!says_more_than_status(letters(
            "I have finished the task and moved it to review. Please look."
        )));
    }
}
