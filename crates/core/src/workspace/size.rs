//! The sizes that the gateway reads (openclaw-gateway §12.3). It cuts longer files silently, so they are cut here, with a
//! warning. Characters are UTF-16 units, as the gateway counts.

use mcr_model::limits::chars;

/// The longest `USER.md`.
pub const USER_CHARS_MAX: usize = 4_000;

/// The longest other file of a profile.
pub const FILE_CHARS_MAX: usize = 20_000;

/// The longest profile: all its files together.
pub const PROFILE_CHARS_MAX: usize = 60_000;

/// A text that fits into `max` characters. A longer one loses its end, from the start of a line, and says so.
pub(super) fn fit(text: String, max: usize) -> String {
    let length = chars(&text);
    if length <= max {
        return text;
    }
    let note = format!("\n\n[Cut here: the text has {length} characters, and the gateway reads {max}.]\n");
    let room = max.saturating_sub(chars(&note));
    let mut used = 0;
    let end = text.char_indices().find_map(|(at, c)| {
        used += c.len_utf16();
        (used > room).then_some(at)
    });
    let kept = &text[..end.unwrap_or(text.len())];
    // A whole line is better than half a sentence, unless the text is one long line.
    let kept = kept.rfind('\n').filter(|line| *line > kept.len() / 2).map_or(kept, |line| &kept[..line]);
    format!("{}{note}", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_loses_its_end_and_says_so() {
        let lines = "A line of text.\n".repeat(1_000);
        let cut = fit(lines.clone(), 4_000);
        assert!(chars(&cut) <= 4_000 && chars(&cut) > 3_900, "{}", chars(&cut));
        assert!(
            cut.contains("A line of text.\n\n[Cut here: the text has 16000 characters"),
            "{}",
            &cut[3_800..]
        );
        assert_eq!(fit(lines.clone(), 16_000), lines);
        for max in [200, 201, 202, 203] {
            assert!(chars(&fit("😀".repeat(500), max)) <= max);
        }
    }
}
