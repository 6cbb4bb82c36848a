//! Every log line is a constant sentence that begins with a capital and has no full stop. Fields carry the values.

use super::sources;
use crate::documentation::rust_text::{Piece, begins, bracketed, pieces};

/// The macros of the `log` crate, and our methods that take a level and a sentence.
const CALLS: [&str; 8] = [
    "error ! (",
    "warn ! (",
    "info ! (",
    "debug ! (",
    "trace ! (",
    "log ! (",
    ". log ( Level",
    ". log ( level",
];

/// Lines that consist of a text from another place: whole sentences for people, the settings at the start, and the name
/// of a throttled failure.
const VARYING: [(&str, &str); 4] = [
    ("src/app/run/mod.rs", "{warning}"),
    ("src/app/run/mod.rs", "{found}"),
    ("src/app/run/mod.rs", "Starting with {}"),
    ("crates/http/src/server/log_throttle.rs", "{}"),
];

/// The sentences of the log lines in a source text. A sentence in a variable is not found.
fn sentences(source: &str) -> Vec<String> {
    let pieces = pieces(source);
    let calls = (0..pieces.len()).filter(|at| CALLS.iter().any(|call| begins(&pieces[*at..], call)));
    let mut found = Vec::new();
    for at in calls {
        let open = pieces[at..].iter().position(|piece| *piece == sign("(")).map_or(at, |length| at + length);
        // A method whose sentence is in a variable may still have the name of an outcome, which is one small word.
        let is_name = |text: &&str| {
            pieces[at] == sign(".") && !text.contains([' ', '.']) && text.starts_with(char::is_lowercase)
        };
        found.extend(sentence(bracketed(&pieces[open..])).filter(|text| !is_name(text)).map(str::to_owned));
    }
    found
}

/// The sentence among the arguments: in a macro behind the fields, in a method before them. A literal inside of another
/// argument, such as the name of a field, is none.
fn sentence(arguments: &[Piece]) -> Option<&str> {
    let (mut depth, mut found) = (0_i32, None);
    for piece in arguments {
        match piece {
            Piece::Text(text) if ["(", "[", "{"].contains(&&**text) => depth += 1,
            Piece::Text(text) if [")", "]", "}"].contains(&&**text) => depth -= 1,
            Piece::Text(text) if text == ";" && depth == 0 => found = None,
            Piece::Literal(text) if depth == 0 && found.is_none() => found = Some(&**text),
            Piece::Text(_) | Piece::Literal(_) => {}
        }
    }
    found
}

fn sign(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn is_in_style(sentence: &str) -> bool {
    sentence.starts_with(char::is_uppercase)
        && !sentence.ends_with(['.', '!', ':'])
        && !sentence.contains('{')
}

#[test]
fn log_sentences_are_found_behind_or_before_the_fields() {
    let source = r#"fn f() {
        warn!("A");
        info!(agent:% = name, list = [";"; 2], "x" = format!("{y}"); "B");
        deps.log(Level::Info, &job, "C", &[("error", 1)]);
        log!(level, error:%; "D {e}");
        this.log(level, job, "E.", "name", field("x").as_slice());
        this.log(level, job, sentence, "again", &[("F", 1)]);
    }"#;
    assert_eq!(sentences(source), ["A", "B", "C", "D {e}", "E."]);
    let rated: Vec<bool> = ["A", "a", "A.", "A {b}", ""].map(is_in_style).into();
    assert_eq!(rated, [true, false, false, false, false]);
}

#[test]
fn every_log_line_is_a_constant_sentence_with_a_capital_and_without_a_full_stop() {
    let mut found = Vec::new();
    for (file, source) in ["crates", "src"].into_iter().flat_map(sources) {
        for sentence in sentences(&source) {
            if !is_in_style(&sentence) && !VARYING.contains(&(&file, &sentence)) {
                found.push(format!("{file}: {sentence:?}"));
            }
        }
    }
    assert!(found.is_empty(), "{} log lines in another style:\n{}", found.len(), found.join("\n"));
}
