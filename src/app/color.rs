//! Colours for state words on a terminal.

use std::io::IsTerminal as _;

/// The column of the state word, after a name at the beginning of the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateColumn(pub(super) usize);

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const RESET: &str = "\u{1b}[0m";

/// Whether standard output takes colours: it is a terminal, and the user has not refused them.
pub(super) fn is_wanted() -> bool {
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    std::io::stdout().is_terminal() && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb"
}

/// The text with its state words in colour. The text is escaped already, so it has no colours of its own.
pub(super) fn paint(text: &str, StateColumn(column): StateColumn) -> String {
    let mut painted = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let split = line.split_at_checked(column).filter(|(name, _)| name.starts_with(char::is_alphabetic));
        let word = split.map(|(_, rest)| rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default());
        match (split, word.and_then(color)) {
            (Some((name, rest)), Some((word, color))) => {
                painted.extend([name, "\u{1b}[", color, "m", word, RESET, &rest[word.len()..]]);
            }
            _ => painted.push_str(line),
        }
    }
    painted
}

/// A state word with its colour.
fn color(word: &str) -> Option<(&str, &'static str)> {
    let color = match word {
        "ok" | "healthy" => GREEN,
        "note" | "degraded" | "starting" | "draining" => YELLOW,
        "WRONG" | "closed" => RED,
        _ => return None,
    };
    Some((word, color))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_state_word_in_its_column_has_a_colour() {
        let painted = |text: &str| paint(text, StateColumn(8));
        assert_eq!(painted("disk    ok\n"), "disk    \u{1b}[32mok\u{1b}[0m\n");
        assert_eq!(painted("disk    WRONG: full\nx"), "disk    \u{1b}[31mWRONG\u{1b}[0m: full\nx");
        for plain in ["disk    okay\n", "        ok\n", "  it is ok\n", "disk\n", "ééééé ok", ""] {
            assert_eq!(painted(plain), plain);
        }
    }
}
