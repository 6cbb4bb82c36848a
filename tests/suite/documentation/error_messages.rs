//! The table of error messages in `docs/operations.md`, collected from the sources.
//!
//! A message is a text that the code hands to a person or an agent as the reason of a failure. Three rules find it:
//!
//! - any text in an `impl Display`, except for the types in [`NO_ERRORS`];
//! - any text in a function named `explain`, `remedy`, `advice` or `in_public`, which errors build their sentences from;
//! - any text in the arguments of a call in [`CALLS`], such as `Err(…)`, or in a variable `message`.
//!
//! A constant of the same file counts as its text. Texts without a blank are words for programs and left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::rust_text::{Piece, begins, bracketed, pieces, statement};
use crate::support::documents::{check_fresh, project, with_block};

/// Types with a text form that are no errors.
const NO_ERRORS: [&str; 11] = [
    "BaseUrl",
    "Class",
    "Dollars",
    "EffectiveRow",
    "Id",
    "Millis",
    "Network",
    "Origin",
    "Release",
    "Usage",
    "WorkId",
];

/// Functions that give the sentence of an error, or a part of it.
const SENTENCES: [&str; 4] = ["explain", "remedy", "advice", "in_public"];

/// Calls with a message among their arguments.
const CALLS: [&str; 24] = [
    "Diagnostic : : error (",
    "Diagnostic : : warning (",
    ". warn (",
    ". refuse (",
    "Err (",
    "complain (",
    "misused (",
    "Misuse (",
    "Reply : : error (",
    "Refusal : : new (",
    "Refusal : : later (",
    "ToolError : : new (",
    "ToolError : : malformed (",
    "ToolError : : invalid (",
    "ToolError : : forbidden (",
    "map_err (",
    "ok_or (",
    "ok_or_else (",
    "reader . warn (",
    "reader . refuse (",
    "reader . lacks (",
    "self . refuse (",
    "let message = format ! (",
    "let problem = format ! (",
];

/// The stand-in for a gateway, whose messages no person reads; and exit codes, which have a table of their own.
const LEFT_OUT: [&str; 2] = ["crates/gateway-sim/", "src/app/exit.rs"];

/// Parts of the program, and what their messages are about.
const SUBJECTS: [(&str, &str); 11] = [
    ("src", "Commands and start"),
    ("crates/config", "Configuration"),
    ("crates/files", "Folders and files"),
    ("crates/store", "Ledger"),
    ("crates/clients", "Connections to Mission Control and the gateway"),
    ("crates/core", "Deliveries, health reasons, tools"),
    ("crates/service", "Agent API and operator API"),
    ("crates/http", "HTTP requests"),
    ("crates/provision", "Machines at a provider"),
    ("crates/mission-control", "Embedded Mission Control"),
    ("crates/model", "Values and task workflow"),
];

/// The messages in one source text, in their order.
fn messages(source: &str) -> Vec<String> {
    let pieces = pieces(source);
    let constants = constants(&pieces);
    let mut found = Vec::new();
    for at in 0..pieces.len() {
        let rest = &pieces[at..];
        let from = |bracket: &str| {
            let is_it = |piece: &Piece| *piece == Piece::Text(bracket.to_owned());
            bracketed(&rest[rest.iter().position(is_it).unwrap_or(rest.len())..])
        };
        let block = if is_error_text(rest) || SENTENCES.iter().any(|name| begins(rest, &format!("fn {name}")))
        {
            from("{")
        } else if CALLS.iter().any(|call| begins(rest, call)) {
            from("(")
        } else if begins(rest, "let message =") {
            statement(rest)
        } else {
            continue;
        };
        for piece in block {
            let text = match piece {
                Piece::Literal(text) => Some(text),
                Piece::Text(name) => constants.get(name.as_str()).copied(),
            };
            let in_full = text.map(|text| {
                let named = constants.iter().map(|(name, value)| (format!("{{{name}}}"), value));
                named.fold(text.clone(), |text, (name, value)| text.replace(&name, value))
            });
            found.extend(in_full.filter(|text| is_message(text) && !found.contains(text)));
        }
    }
    found
}

/// The constants of a source text that are a text, by their names.
fn constants(pieces: &[Piece]) -> BTreeMap<&str, &String> {
    let constant = |window: &[Piece]| begins(window, "const");
    let found = (0..pieces.len()).filter(|at| constant(&pieces[*at..])).filter_map(|at| {
        let end = pieces[at..].iter().position(|piece| *piece == Piece::Text("=".to_owned()))?;
        match (pieces.get(at + 1), pieces.get(at + end + 1)) {
            (Some(Piece::Text(name)), Some(Piece::Literal(text))) => Some((name.as_str(), text)),
            _ => None,
        }
    });
    found.collect()
}

/// Whether an `impl Display` of an error begins here.
fn is_error_text(pieces: &[Piece]) -> bool {
    let begins_here =
        begins(pieces, "impl") && !matches!(pieces.get(1), Some(Piece::Text(text)) if text == "<");
    let head: Vec<&str> = pieces
        .iter()
        .take_while(|piece| **piece != Piece::Text("{".to_owned()))
        .take(12)
        .filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Literal(_) => None,
        })
        .collect();
    let display = head.iter().position(|word| *word == "Display");
    begins_here
        && display.is_some_and(|at| head.get(at + 1) == Some(&"for"))
        && head.last().is_some_and(|name| !NO_ERRORS.contains(name))
}

/// Words for people: at least two, with letters besides the placeholders.
fn is_message(text: &str) -> bool {
    let mut depth = 0_u32;
    let words: String = text
        .chars()
        .filter(|c| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && *c != '}'
        })
        .collect();
    let words = words.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic));
    text.trim().contains(' ') && words.count() >= 2
}

/// All source files below these folders, by their path from the root.
fn sources(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(project("")).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if name.contains("src/") && path.extension().is_some_and(|extension| extension == "rs") {
            found.insert(name);
        }
    }
}

/// The table: a section for each part of the program, a line for each message.
fn table() -> String {
    let mut files = BTreeSet::new();
    sources(&project("src"), &mut files);
    sources(&project("crates"), &mut files);
    files.retain(|file| {
        !LEFT_OUT.iter().any(|left_out| file.starts_with(left_out)) && !file.contains("tests")
    });
    let mut text = String::new();
    for (part, subject) in SUBJECTS {
        let folder = if part == "src" { "src/".to_owned() } else { format!("{part}/src/") };
        writeln!(text, "\n### {subject}\n\nSource: `{part}`\n\n| Message | File |\n|---|---|").unwrap();
        for file in files.iter().filter(|file| file.starts_with(&folder)) {
            let source = fs::read_to_string(project(file)).unwrap();
            for message in messages(&source) {
                writeln!(text, "| {} | {} |", cell(&message), &file[folder.len()..]).unwrap();
            }
        }
    }
    let known = |file: &String| SUBJECTS.iter().any(|(part, _)| file.starts_with(&format!("{part}/")));
    assert!(files.iter().all(known), "a crate has no subject here");
    text.push('\n');
    text
}

/// A message in one cell: no bars, no line ends, a sign for a value without a name.
fn cell(message: &str) -> String {
    let named = message.replace("{{", "\u{1}").replace("}}", "\u{2}").replace("{}", "{…}");
    let named = named.replace('\u{1}', "{").replace('\u{2}', "}");
    named.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_documents_list_every_error_message() {
    check_fresh("docs/operations.md", |page| with_block(page, "error-messages", &table()));
}

#[test]
fn messages_are_found_by_type_function_and_call() {
    let source = r#"
        impl fmt::Display for DiskError { fn fmt() { match self { A => write!(f, "the disk {name} is full"), B => "full" } } }
        impl fmt::Display for Millis { fn fmt() { f.write_str("not an error") } }
        impl<T> fmt::Display for Id<T> { fn fmt() { f.write_str("not an error") } }
        fn explain(self) -> &'static str { "it cannot be read" }
        fn other() -> Result<(), String> { log("not an error"); Err(format!("{path} could not be {what} ({why})")) }
        fn late() { x.map_err(|why| format!("no thread: {why}")) }
        const FULL: &str = "too many calls"; fn many() { Err(FULL) } fn more() { Err(format!("{FULL}: {why}")) }
        fn port() { let message = match (a, b) { A => "the port; it is taken", B => { "no port is free" } }; log("not an error") }
    "#;
    let expected = [
        "the disk {name} is full",
        "it cannot be read",
        "{path} could not be {what} ({why})",
        "no thread: {why}",
        "too many calls",
        "too many calls: {why}",
        "the port; it is taken",
        "no port is free",
    ];
    assert_eq!(messages(source), expected);
    assert!(!is_message("{path} {name}") && !is_message("no-gateway"));
}
