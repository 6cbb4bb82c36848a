//! What people read about configuration, written from the table: `.env.example` and the tables in `docs/`.

use std::fmt::Write;

use super::table::TABLE;
use super::variable::{Effect, Fallback, Kind, ReadBy, Section, Variable};

/// The text of `.env.example`: every variable with its default, commented out; the required ones blank.
pub fn env_example() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "Configuration of mission-control-runtime, with every default. Written by `make docs` from the table in \
         crates/config/src/table.rs; do not edit by hand.",
    );
    text.push_str("#\n");
    comment(
        &mut text,
        &format!(
            "The environment comes before this file. Blank counts as not set, with one exception: {}.",
            blanks()
        ),
    );
    text.push_str("#\n");
    comment(
        &mut text,
        "A comment needs a line of its own, or a value in quotes before it: NAME=\"value\"  # comment. Behind a \
         value without quotes it belongs to the value. Instead of a secret NAME that the runtime reads you can \
         give NAME_FILE=/path of a file that holds the secret and nothing else.",
    );
    for (section, variables) in sections() {
        push(&mut text, format_args!("\n## {}\n", section.title()));
        for variable in variables {
            text.push('\n');
            comment(&mut text, &example_comment(variable));
            let line = match variable.fallback {
                Fallback::Required => format!("{}=\n", variable.name),
                Fallback::Value(value) => format!("#{}={value}\n", variable.name),
                Fallback::Derived(_) | Fallback::Unset(_) => format!("#{}=\n", variable.name),
            };
            text.push_str(&line);
        }
    }
    text
}

/// The variables for which a blank value means something, and what.
fn blanks() -> String {
    let meanings = TABLE.iter().filter_map(|variable| Some((variable.name, variable.blank?)));
    meanings.map(|(name, meaning)| format!("a blank {name} means {meaning}")).collect::<Vec<_>>().join(", ")
}

fn comment(text: &mut String, words: &str) {
    for line in wrapped(words, 108) {
        push(text, format_args!("# {line}\n"));
    }
}

/// The table of every variable in `docs/configuration.md`, by section.
pub fn configuration_table() -> String {
    let mut text = String::new();
    for (section, variables) in sections() {
        push(&mut text, format_args!("### {}\n\n", section.title()));
        text.push_str("| Variable | Default | Allowed | Read by | What it does |\n|---|---|---|---|---|\n");
        for variable in variables {
            let names: Vec<String> = variable.spellings().map(|name| format!("`{name}`")).collect();
            push(
                &mut text,
                format_args!(
                    "| {} | {} | {} | {} | {} |\n",
                    cell(&names.join(" or ")),
                    cell(&variable.fallback_text()),
                    cell(&allowed(variable)),
                    variable.read_by.as_str(),
                    cell(&what_it_does(variable)),
                ),
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The table in `docs/migrating-from-typescript.md`: every default that differs, and why.
pub fn migration_table() -> String {
    let mut text = String::from("| Variable | There | Here | Why |\n|---|---|---|---|\n");
    for variable in TABLE {
        if let Some(before) = &variable.before {
            let here = match variable.kind {
                Kind::Integer { min, max, .. } => format!("{}, {min}–{max}", variable.fallback_text()),
                Kind::Port => format!("{}, 0–65535", variable.fallback_text()),
                Kind::Text { .. }
                | Kind::Identifier
                | Kind::Secret { .. }
                | Kind::Path
                | Kind::Host
                | Kind::Url { .. }
                | Kind::Boolean
                | Kind::Choice { .. } => variable.fallback_text(),
            };
            let (name, there, why) = (variable.name, cell(before.there), cell(before.why));
            push(&mut text, format_args!("| `{name}` | {there} | {} | {why} |\n", cell(&here)));
        }
        if let Effect::NoMore(why) = variable.effect {
            let there = cell(&variable.fallback_text());
            let name = variable.name;
            push(&mut text, format_args!("| `{name}` | {there} | checked and shown, no effect | {why} |\n"));
        }
    }
    text
}

fn sections() -> impl Iterator<Item = (Section, impl Iterator<Item = &'static Variable>)> {
    Section::ALL
        .into_iter()
        .map(|section| (section, TABLE.iter().copied().filter(move |variable| variable.section == section)))
}

fn example_comment(variable: &Variable) -> String {
    let mut comment = what_it_does(variable).replace('`', "");
    let allowed = match variable.kind {
        Kind::Integer { .. } | Kind::Port | Kind::Boolean | Kind::Choice { .. } => Some(variable.allowed()),
        Kind::Text { .. }
        | Kind::Identifier
        | Kind::Secret { .. }
        | Kind::Path
        | Kind::Host
        | Kind::Url { .. } => None,
    };
    if let Some(allowed) = allowed {
        push(&mut comment, format_args!(" Allowed: {allowed}."));
    }
    match variable.fallback {
        Fallback::Required => comment.push_str(" Required."),
        Fallback::Derived(words) | Fallback::Unset(words) => {
            push(&mut comment, format_args!(" Without it: {}.", words.replace('`', "")));
        }
        Fallback::Value(_) => {}
    }
    match variable.read_by {
        ReadBy::Runtime | ReadBy::Gateway => {}
        ReadBy::Both if variable.is_secret() => push(
            &mut comment,
            format_args!(" The gateway container reads it too, but not {}_FILE.", variable.name),
        ),
        ReadBy::Both => comment.push_str(" The gateway container reads it too."),
    }
    if variable.is_secret() && !variable.takes_file() {
        push(&mut comment, format_args!(" Not as {}_FILE.", variable.name));
    }
    for alias in variable.aliases {
        push(&mut comment, format_args!(" Also read as {alias}."));
    }
    comment
}

fn what_it_does(variable: &Variable) -> String {
    match variable.effect {
        Effect::Full => variable.about.to_owned(),
        Effect::NotYet { lacks, .. } => {
            format!("Not yet in effect: this version {lacks}. {}", variable.about)
        }
        Effect::NoMore(why) => format!("Has no effect any more: {why}. {}", variable.about),
    }
}

fn allowed(variable: &Variable) -> String {
    match variable.kind {
        Kind::Text { .. } => "text".to_owned(),
        Kind::Identifier => "an id".to_owned(),
        Kind::Secret { .. } => match variable.read_by {
            ReadBy::Runtime => format!("a secret, or its file in `{}_FILE`", variable.name),
            ReadBy::Both => {
                format!("a secret, or for the runtime its file in `{}_FILE`", variable.name)
            }
            ReadBy::Gateway => "a secret, not as a file".to_owned(),
        },
        Kind::Path => "a path".to_owned(),
        Kind::Host => "an address or host name".to_owned(),
        Kind::Url { .. } => "an http or https address".to_owned(),
        Kind::Integer { min, max, .. } => format!("{min}–{max}"),
        Kind::Port => "0–65535".to_owned(),
        Kind::Boolean => "yes or no".to_owned(),
        Kind::Choice { options, .. } => {
            options.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(", ")
        }
    }
}

/// A text for one cell: no bars, no line ends.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Lines of at most so many characters, broken at blanks.
fn wrapped(text: &str, chars_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= chars_max => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
