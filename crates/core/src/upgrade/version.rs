//! Which texts name a version.

/// The longest name of a version.
const CHARS_MAX: usize = 64;

/// Whether a text names a version: 1 to 64 letters, digits, `.`, `+` and `-`. It cannot be an option or a path.
pub fn is_version(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
    (1..=CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(['-', '.'])
}

/// Whether a text names a release: a version that begins with a digit, or with `v` and a digit. A person who requests an
/// upgrade names one, so that a mistyped word does not travel to a machine.
pub fn is_release(text: &str) -> bool {
    is_version(text)
        && text.strip_prefix('v').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_a_number() {
        for good in ["1", "1.4.0", "v1.4.0", "2026.9.6", "1.0.0-rc.1+build.5"] {
            assert!(is_release(good), "{good}");
        }
        for bad in ["banana", "latest", "v", "vv1", "+1", "", "1 2"] {
            assert!(!is_release(bad), "{bad}");
        }
    }

    #[test]
    fn versions_are_letters_digits_and_three_signs() {
        for good in ["1", "1.2.3", "2026.3.31", "1.0.0-rc.1+build.5", "v1", &"1".repeat(64)] {
            assert!(is_version(good), "{good}");
        }
        let long = "1".repeat(65);
        for bad in [
            "",
            "1/2",
            "../1",
            "1;reboot",
            "1\n2",
            "1 2",
            "$(id)",
            "`id`",
            "1_2",
            "é",
            "-1",
            ".",
            long.as_str(),
        ] {
            assert!(!is_version(bad), "{bad:?}");
        }
    }
}
