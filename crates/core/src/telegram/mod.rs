//! Messages for Telegram: how a reply is divided and written, and what Telegram's answers mean. Nothing here sends.
//!
//! [`chunks`] divides a reply at the borders of paragraphs, lines, sentences or words. [`render`] writes a chunk in the
//! configured mode. `answer` reads the answers of the Bot API. `attachments` names incoming files, and `outgoing` finds
//! the files that a reply mentions.

mod answer;
mod attachments;
mod html;
mod outgoing;

use crate::split::split;
use mcr_model::TelegramParseMode;
use mcr_model::secret::Secret;

pub use answer::{TelegramError, TelegramProblem, TelegramResult, read};
pub use attachments::file_names;
pub use outgoing::{OutgoingFile, OutgoingKind, outgoing};

/// The longest text of a message, in UTF-16 units. Markup does not count.
pub const TEXT_CHARS_MAX: usize = 4_096;

/// The longest caption of a file, in UTF-16 units.
pub const CAPTION_CHARS_MAX: usize = 1_024;

/// Telegram shows "typing" for five seconds after each such call.
pub const TYPING_SECONDS: u64 = 4;

/// Divides a reply into the texts of messages. A blank reply has none.
pub fn chunks(reply: &str) -> Vec<String> {
    split(reply, TEXT_CHARS_MAX)
}

/// The text of a message as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedText {
    /// The text.
    pub text: String,
    /// The name of its markup, if Telegram must read any.
    pub parse_mode: Option<&'static str>,
}

/// Writes a chunk in this mode. A chunk that would show nothing as HTML, such as an empty block of code, stays plain.
pub fn render(chunk: &str, mode: TelegramParseMode) -> RenderedText {
    let plain = || RenderedText { text: chunk.to_owned(), parse_mode: None };
    match mode {
        TelegramParseMode::Plain => plain(),
        TelegramParseMode::Html => html::of_markdown(chunk)
            .map_or_else(plain, |text| RenderedText { text, parse_mode: Some("HTML") }),
    }
}

/// The token of a bot, checked: it becomes a part of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotToken(Secret);

impl BotToken {
    /// Checks a token: the number of the bot, a colon, and letters, digits, `_` and `-`.
    pub fn parse(token: &Secret) -> Option<Self> {
        let (number, key) = token.expose().trim().split_once(':')?;
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let is_token = !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
            && !key.is_empty()
            && key.chars().all(is_key);
        is_token.then(|| Self(Secret::new(token.expose().trim())))
    }

    /// The text, for the code that must send it.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The secret part.
    fn key(&self) -> &str {
        self.expose().split_once(':').map_or("", |(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use mcr_model::limits::chars;

    #[test]
    fn a_token_that_is_no_part_of_an_address_is_refused() {
        let rows = [
            ("123:AAE-x_9", true),
            (" 123:abc\n", true),
            ("123:", false),
            (":abc", false),
            ("abc:abc", false),
            ("123:abc/../getMe", false),
            ("123:abc?x", false),
            ("", false),
        ];
        for (token, good) in rows {
            assert_eq!(BotToken::parse(&Secret::new(token)).is_some(), good, "{token}");
        }
    }

    #[test]
    fn a_reply_of_nine_thousand_characters_is_three_messages_with_cuts_between_words() {
        let reply = "Some <words> & more. ".repeat(429);
        let parts = chunks(&reply);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| chars(part) <= TEXT_CHARS_MAX && part.starts_with("Some")));
        assert!(parts.join(" ").trim_end() == reply.trim_end());
    }

    /// The text that Telegram shows for a text in HTML, or none if Telegram would refuse it.
    fn shown(html: &str) -> Option<String> {
        let (mut open, mut shown, mut rest) = (Vec::new(), String::new(), html);
        while let Some(first) = rest.chars().next() {
            if let Some(tag) = rest.strip_prefix('<') {
                let (tag, after) = tag.split_once('>')?;
                match tag.strip_prefix('/') {
                    Some(closed) if open.pop() == Some(closed) => {}
                    None if ["b", "code", "pre"].contains(&tag) => open.push(tag),
                    _ => return None,
                }
                rest = after;
            } else if first == '&' {
                let (entity, after) = rest.split_once(';')?;
                shown.push(match entity {
                    "&lt" => '<',
                    "&gt" => '>',
                    "&amp" => '&',
                    _ => return None,
                });
                rest = after;
            } else {
                shown.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        open.is_empty().then_some(shown)
    }

    proptest! {
        #[test]
        fn every_message_fits_and_no_word_is_lost(
            reply in "(?s)(\\PC|\n|`|\\*\\*|```\n|<b>|&amp;|[a-z ]{1,200}|😀){0,120}"
        ) {
            let parts = chunks(&reply);
            for part in &parts {
                prop_assert!(chars(part) <= TEXT_CHARS_MAX);
                prop_assert!(!part.trim().is_empty());
                let html = render(part, TelegramParseMode::Html);
                if html.parse_mode.is_some() {
                    let shown = shown(&html.text);
                    prop_assert!(shown.is_some(), "{}", html.text);
                    let shown = shown.unwrap_or_default();
                    prop_assert!(chars(&shown) <= chars(part));
                    prop_assert!(!shown.trim().is_empty());
                    let bare = |text: &str| -> String {
                        text.chars().filter(|c| c.is_alphanumeric() || ['<', '>', '&'].contains(c)).collect()
                    };
                    let without_info: String = part
                        .lines()
                        .filter(|line| !line.trim_start().starts_with("```"))
                        .collect();
                    let shown_text = bare(&shown);
                    let expected = bare(&without_info);
                    prop_assert!(shown_text == expected || part.contains("```"), "{shown_text} / {expected}");
                } else {
                    prop_assert_eq!(&html.text, part);
                }
                let plain = render(part, TelegramParseMode::Plain);
                prop_assert_eq!((&plain.text, plain.parse_mode), (part, None));
            }
        }

        /// Without code fences, the words of the parts are the words of the reply.
        #[test]
        fn the_words_of_all_messages_are_the_words_of_the_reply(reply in "(?s)([a-zäß]{1,30}[ \n.]{1,3}){0,900}") {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let parts: Vec<String> = chunks(&reply).iter().flat_map(|part| words(part)).collect();
            prop_assert_eq!(parts, words(&reply));
        }
    }
}
