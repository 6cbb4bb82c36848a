//! The order of the publisher: that of the Unicode root collation for ASCII texts. Letters sort by letter first and by case
//! last, lower case before upper case. Signs come before digits, and digits before letters.

use std::cmp::Ordering;

/// The signs, in the order of the root collation.
const SIGNS: &[u8] = b"_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// Compares two texts of visible ASCII characters and blanks.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let letters = one.bytes().map(primary).cmp(other.bytes().map(primary));
    let cases = || {
        one.bytes()
            .map(|byte| byte.is_ascii_uppercase())
            .cmp(other.bytes().map(|byte| byte.is_ascii_uppercase()))
    };
    letters.then_with(cases)
}

/// The place of a character among those that differ by more than case.
fn primary(byte: u8) -> (u8, u8) {
    match byte {
        b' ' => (0, 0),
        b'0'..=b'9' => (2, byte),
        byte if byte.is_ascii_alphabetic() => (3, byte.to_ascii_lowercase()),
        byte => match SIGNS.iter().position(|sign| *sign == byte) {
            Some(at) => (1, u8::try_from(at).unwrap_or(u8::MAX)),
            None => (4, byte),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the function `localeCompare` of Node.js 20 sorted them.
    #[test]
    fn the_order_is_that_of_the_publisher() {
        let characters = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ";
        let paths = [
            "1",
            "10",
            "2",
            "a b",
            "a_b/x",
            "a-b/x",
            "a.b",
            "a/b",
            "A/b",
            "ab/x",
            "docs_2/x",
            "docs-2/x",
            "docs/x",
            "lib/a.txt",
            "lib/A.txt",
            "lib/a10.txt",
            "lib/a2.txt",
            "lib/b.txt",
            "readme",
            "Readme",
            "README",
            "scripts/index.mjs",
            "scripts/Index.mjs",
            "SKILL.md",
            "z",
            "Z",
            "zA",
            "Za",
        ];
        let characters: Vec<String> = characters.chars().map(String::from).collect();
        for expected in [characters, paths.map(str::to_owned).to_vec()] {
            let mut sorted = expected.clone();
            sorted.reverse();
            sorted.sort_by(|one, other| compare(one, other));
            assert_eq!(sorted, expected);
        }
    }
}
