//! The interpretation of a reply, and the division of a long one.

use mission_control_runtime::delivery::reply::{AgentReply, Silence, read, split};
use mission_control_runtime::model::limits::{MESSAGE_CHARS, chars};
use proptest::prelude::*;

const EMPTY: Result<&str, Silence> = Err(Silence::Empty);
const NO_REPLY: Result<&str, Silence> = Err(Silence::NoReply);
const PLACEHOLDER: Result<&str, Silence> = Err(Silence::Placeholder);
const NOTHING: Result<&str, Silence> = Err(Silence::HeartbeatOk);

#[test]
fn a_reply_is_interpreted_by_5_6() {
    let rows = [
        ("", EMPTY),
        (" \n\t ", EMPTY),
        ("Done.", Ok("Done.")),
        ("  Done.\n", Ok("Done.")),
        ("NO_REPLY", NO_REPLY),
        (" NO_REPLY\n", NO_REPLY),
        // A clipped token needs its underscore: "no" answers a question.
        ("NO_", NO_REPLY),
        ("NO", Ok("NO")),
        ("NO\nHEARTBEAT_OK", Ok("NO")),
        ("No", Ok("No")),
        ("no", Ok("no")),
        ("No.", Ok("No.")),
        ("N", Ok("N")),
        ("NO_R", Ok("NO_R")),
        ("no_reply", Ok("no_reply")),
        ("NO.", Ok("NO.")),
        ("NO_REPLY.", Ok("NO_REPLY.")),
        ("Done. NO_REPLY", Ok("Done. NO_REPLY")),
        ("No response from OpenClaw.", PLACEHOLDER),
        ("No reply from agent.", PLACEHOLDER),
        ("No response from agent.", PLACEHOLDER),
        ("@squad-lead @engineer No response from OpenClaw.", PLACEHOLDER),
        ("@squad-lead\n@qa_1\n\nNo response from OpenClaw.", PLACEHOLDER),
        ("@squad-leadNo response from OpenClaw.", Ok("@squad-leadNo response from OpenClaw.")),
        ("@ No response from OpenClaw.", Ok("@ No response from OpenClaw.")),
        ("@qä No response from OpenClaw.", Ok("@qä No response from OpenClaw.")),
        ("Something else. No response from OpenClaw.", Ok("Something else. No response from OpenClaw.")),
        ("no response from OpenClaw.", Ok("no response from OpenClaw.")),
        ("No response from OpenClaw", Ok("No response from OpenClaw")),
        ("HEARTBEAT_OK", NOTHING),
        ("\n HEARTBEAT_OK \n", NOTHING),
        ("Loading context for heartbeat...\n\nHEARTBEAT_OK", NOTHING),
        ("LOADING CONTEXT FOR HEARTBEAT\r\nHEARTBEAT_OK\r\n", NOTHING),
        ("Loading context for heartbeat..\nHEARTBEAT_OK", Ok("Loading context for heartbeat..")),
        ("Loading context for notification...\nHEARTBEAT_OK", Ok("Loading context for notification...")),
        ("heartbeat_ok", Ok("heartbeat_ok")),
        // W-20: a report that mentions the word is a report.
        ("Report mentions HEARTBEAT_OK inline.", Ok("Report mentions HEARTBEAT_OK inline.")),
        ("HEARTBEAT_OK all good", Ok("HEARTBEAT_OK all good")),
        ("The line was\nHEARTBEAT_OK\nas it should be.", Ok("The line was\nHEARTBEAT_OK\nas it should be.")),
        ("```\nHEARTBEAT_OK\n```", Ok("```\nHEARTBEAT_OK\n```")),
        // W-10: control lines before or after a text are removed.
        ("Did some checks.\nHEARTBEAT_OK", Ok("Did some checks.")),
        ("Did some checks.\n\nNO_REPLY\nHEARTBEAT_OK\n", Ok("Did some checks.")),
        ("HEARTBEAT_OK\n\nDid some checks.", Ok("Did some checks.")),
        ("Is it done?\nNO", Ok("Is it done?\nNO")),
        // and the rest may be silent too
        ("NO_REPLY\nHEARTBEAT_OK", NOTHING),
        ("HEARTBEAT_OK\nNO_REPLY", NO_REPLY),
        ("HEARTBEAT_OK\nHEARTBEAT_OK", NOTHING),
        ("No response from OpenClaw.\nHEARTBEAT_OK", PLACEHOLDER),
    ];
    for (text, expected) in rows {
        let got = read(Some(text));
        match expected {
            Ok(text) => assert_eq!(got, AgentReply::Text(text.to_owned())),
            // The kind of silence matters only for a text of one control word.
            Err(_) if text.trim().contains('\n') => {
                assert!(matches!(got, AgentReply::Silence(_)), "{text:?}: {got:?}");
            }
            Err(silence) => assert_eq!(got, AgentReply::Silence(silence), "{text:?}"),
        }
    }
    assert_eq!(read(None), AgentReply::Silence(Silence::Empty));
}

#[test]
fn silences_have_names_and_one_is_deliberate() {
    use Silence::{Empty, HeartbeatOk, NoReply, Placeholder};
    let all = [Empty, NoReply, Placeholder, HeartbeatOk];
    assert_eq!(all.map(Silence::name), ["empty", "no-reply", "placeholder", "heartbeat-ok"]);
    assert_eq!(all.map(Silence::is_deliberate), [false, false, false, true]);
    assert!(all.iter().all(|silence| !silence.explain().is_empty()));
}

#[test]
fn a_long_reply_is_split_at_natural_borders() {
    // The text, the most characters of a part, the parts.
    let rows: [(&str, usize, &[&str]); 18] = [
        ("", 10, &[]),
        (" \n ", 10, &[]),
        ("short", 10, &["short"]),
        ("a paragraph\n\nanother one", 16, &["a paragraph", "another one"]),
        ("a paragraph\n \n\n  indented", 16, &["a paragraph", "  indented"]),
        // a short paragraph leaves too much space: the line counts
        ("one\n\ntwo and two\nthree and three", 20, &["one\n\ntwo and two", "three and three"]),
        ("first line\nsecond line", 15, &["first line", "second line"]),
        ("A sentence. Another one, longer.", 20, &["A sentence.", "Another one, longer."]),
        ("words and more words", 12, &["words and", "more words"]),
        ("0123456789abcdef", 10, &["0123456789", "abcdef"]),
        // a short line, then text without any border: the line is a part of its own
        ("Log:\n0123456789abcdef", 10, &["Log:", "0123456789", "abcdef"]),
        // surrogates count two and stay together
        ("😀😀😀", 4, &["😀😀", "😀"]),
        ("a😀😀", 4, &["a😀", "😀"]),
        ("😀", 1, &["😀"]),
        // code that fits into a part is not cut
        (
            "Look at this:\n```rust\nfn main() {}\nlet x;\n```\nok",
            40,
            &["Look at this:", "```rust\nfn main() {}\nlet x;\n```\nok"],
        ),
        // other code is closed and opened again
        (
            "```rust\nlet alpha = 1;\n\n    let beta = 2;\nlet gamma = 3;\n```\nDone.",
            45,
            &["```rust\nlet alpha = 1;\n\n    let beta = 2;\n```", "```rust\nlet gamma = 3;\n```\nDone."],
        ),
        (
            "~~~\n0123456789012345678901234567890123456789\n~~~",
            32,
            &["~~~\n012345678901234567890123\n~~~", "~~~\n4567890123456789\n~~~"],
        ),
        // not a fence: four blanks already make it code
        ("    ```\nsome words here\nand there", 26, &["    ```\nsome words here", "and there"]),
    ];
    for (text, max, expected) in rows {
        assert_eq!(split(text, max), expected, "{text:?} in {max}");
    }
}

#[test]
fn a_reply_that_fits_is_one_part_and_one_more_character_makes_two() {
    let fits = "x".repeat(MESSAGE_CHARS);
    assert_eq!(split(&fits, MESSAGE_CHARS), std::slice::from_ref(&fits));
    let parts = split(&(fits + "y"), MESSAGE_CHARS);
    assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [MESSAGE_CHARS, 1]);
    // Long and hard: many lines, no early line end, one fence around everything.
    let code = format!("```\n{}```", "let x = 1; // and so on\n".repeat(20_000));
    let parts = split(&code, MESSAGE_CHARS);
    assert_eq!(parts.len(), 5);
    assert!(parts.iter().all(|part| part.starts_with("```\n") && part.ends_with("\n```")));
}

/// Texts with every kind of border.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zäöü]{1,12}",
        3 => Just(" ".to_owned()),
        2 => Just("\n".to_owned()),
        1 => Just("\n\n".to_owned()),
        1 => Just(". ".to_owned()),
        1 => Just("😀".to_owned()),
        1 => Just("\n```\n".to_owned()),
        1 => Just("\n~~~~ 7\n".to_owned()),
        1 => Just("   ".to_owned()),
        1 => "[a-z😀]{30,90}",
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !['`', '~', '7'].contains(c)).collect()
}

/// The code block in which a text ends, by a fence parser independent of the one under test.
fn open_code(text: &str) -> Option<&'static str> {
    let mut open: Option<&'static str> = None;
    for line in text.lines().map(str::trim_end) {
        let bare = line.trim_start_matches(' ');
        if line.len() - bare.len() > 3 {
            continue;
        }
        open = match open {
            None if bare.starts_with("```") && !bare.trim_start_matches('`').contains('`') => Some("```"),
            None if bare.starts_with("~~~~") => Some("~~~~"),
            Some(mark) if bare.starts_with(mark) && bare.trim_start_matches(&mark[..1]).is_empty() => None,
            other => other,
        };
    }
    open
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_part_exceeds_the_limit_and_no_word_is_lost(text in texts(), max in 2_usize..120) {
        let parts = split(&text, max);
        for part in &parts {
            prop_assert!(chars(part) <= max, "{} > {max}: {part:?}", chars(part));
            prop_assert!(!part.trim().is_empty());
        }
        // Fences may be added, one with its 7; everything else appears once, in order.
        prop_assert_eq!(words(&parts.concat()), words(&text));
    }

    #[test]
    fn without_code_every_part_is_a_piece_of_the_text(text in texts(), max in 2_usize..120) {
        let text: String = text.chars().filter(|c| !['`', '~'].contains(c)).collect();
        let mut rest = text.as_str();
        for part in split(&text, max) {
            let at = rest.find(&part);
            prop_assert!(at.is_some(), "{part:?} is not in {rest:?}");
            let (between, _) = rest.split_at(at.unwrap_or_default());
            prop_assert!(between.trim().is_empty(), "{between:?} is lost");
            rest = &rest[between.len() + part.len()..];
        }
        prop_assert!(rest.trim().is_empty());
    }

    #[test]
    fn every_part_of_a_text_with_closed_code_closes_its_code(text in texts(), max in 60_usize..120) {
        let text = format!("{text}\n{}", open_code(&text).unwrap_or_default());
        for part in split(&text, max) {
            prop_assert_eq!(open_code(&part), None, "{:?}", part);
        }
    }
}
