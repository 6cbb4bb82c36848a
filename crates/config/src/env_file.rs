//! Parses the env file into names and values.
//!
//! The dialects of systemd, Docker and dotenv differ. A file written for any of them works, or it is refused with a
//! reason; its meaning never changes silently. The rules:
//!
//! - One `NAME=value` per line. `export` may precede the name. Blanks around name and value are removed.
//! - One pair of quotes around the whole value is removed. Nothing is escaped or expanded.
//! - `#` (or `;`, as in systemd) starts a comment at the beginning of a line. `#` also starts one after a quoted value.
//! - After an unquoted value, `#` is part of the value, as in systemd and Docker. That causes a warning if the value can
//!   be used, otherwise an error.
//! - If two lines set one name, the later line is used, with a warning.

use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, Severity};

/// A parsed env file. It has no `Debug`, because it contains secrets.
#[derive(Clone, Default)]
pub struct EnvFile {
    /// Its path, for messages.
    pub(super) path: String,
    /// The values.
    pub(super) entries: BTreeMap<String, Entry>,
    /// Names and values that are not used: of invalid lines, and of lines that a later one replaces. They may be
    /// secrets.
    pub(super) discarded: Vec<(String, String)>,
    /// Errors for invalid lines, and warnings for doubtful ones.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A value and its line.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) written: Written,
    pub(super) line: usize,
}

/// A parsed value.
#[derive(Clone, Default)]
pub(super) struct Written {
    /// Without surrounding blanks and quotes.
    pub(super) value: String,
    /// The part before something that is a comment in other dialects, but part of the value here.
    pub(super) before_comment: Option<String>,
}

impl EnvFile {
    /// Parses the text of the file at `path`.
    pub fn parse(path: &str, text: &str) -> Self {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        // Some editors write a byte order mark first.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.split('\n').enumerate() {
            file.take_line(index + 1, line.strip_suffix('\r').unwrap_or(line).trim());
        }
        file
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.written.value.as_str())
    }

    /// The names and values, in the order of the names.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.written.value.as_str()))
    }

    /// The first line that cannot be used, in a sentence without its content.
    pub fn first_error(&self) -> Option<String> {
        let found = self.diagnostics.iter().find(|found| found.severity == Severity::Error);
        found.map(|found| found.message.clone())
    }

    fn take_line(&mut self, line: usize, text: &str) {
        if text.is_empty() || text.starts_with(['#', ';']) {
            return;
        }
        let assignment = match text.strip_prefix("export") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
            _ => text,
        };
        let Some((name, raw)) = assignment.split_once('=') else {
            return self.refuse(line, "has no =; expected NAME=value, or a # in front of a comment");
        };
        let name = name.trim_end();
        if !is_name(name) {
            return self
                .refuse(line, "has no usable name before the =; expected letters, digits and underscores");
        }
        if text.contains(|c: char| c.is_control() && c != '\t') {
            self.discarded.push((name.to_owned(), raw.to_owned()));
            return self.refuse(line, "contains a control character");
        }
        let written = match Written::read(raw) {
            Ok(written) => written,
            Err(problem) => {
                self.discarded.push((name.to_owned(), raw.to_owned()));
                return self.refuse(line, problem);
            }
        };
        if let Some(before) = &written.before_comment {
            self.diagnostics.push(Diagnostic::hash_in_value(&self.path, line));
            self.discarded.push((name.to_owned(), before.clone()));
        }
        let entry = Entry { written, line };
        if let Some(earlier) = self.entries.insert(name.to_owned(), entry) {
            let message = format!(
                "The env file {}: line {line} sets the same name as line {}; the later one is used.",
                self.path, earlier.line
            );
            self.diagnostics.push(Diagnostic::warning(None, message));
            self.discarded.push((name.to_owned(), earlier.written.value));
        }
    }

    /// Reports an invalid line. The message does not repeat the line, because it may contain a secret.
    fn refuse(&mut self, line: usize, problem: &str) {
        let message = format!("The env file {}: line {line} {problem}.", self.path);
        self.diagnostics.push(Diagnostic::error(None, message));
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Written {
    /// Parses the text after the `=`.
    pub(super) fn read(raw: &str) -> Result<Self, &'static str> {
        let text = raw.trim();
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let comment = [" #", "\t#"].iter().filter_map(|start| raw.find(start)).min();
            let before_comment = comment.map(|at| raw[..at].trim().to_owned());
            return Ok(Self { value: text.to_owned(), before_comment });
        };
        let inner = &text[1..];
        let closing = inner.match_indices(quote).find(|(at, _)| may_end_a_line(&inner[at + 1..]));
        match closing {
            Some((at, _)) => Ok(Self { value: inner[..at].trim().to_owned(), before_comment: None }),
            None if inner.contains(quote) => {
                Err("has text after the closing quote; only a comment may follow, after a blank and a #")
            }
            None => Err("opens a quote that is not closed at the end of the line; a value is one line"),
        }
    }
}

/// Whether this may follow a closing quote: nothing, or blanks and a comment.
fn may_end_a_line(rest: &str) -> bool {
    rest.is_empty() || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, value: Option<&str>) {
        assert_eq!(EnvFile::parse("f", text).get(name), value, "{text:?}");
    }

    #[test]
    fn parses_names_and_values() {
        check("A=b", "A", Some("b"));
        check("  A = b  ", "A", Some("b"));
        check("export A=b", "A", Some("b"));
        check("export\tA=b", "A", Some("b"));
        check("exportA=b", "exportA", Some("b"));
        check("A=", "A", Some(""));
        check("A=''", "A", Some(""));
        check("A=\"b c\"", "A", Some("b c"));
        check("A='b \" c'", "A", Some("b \" c"));
        check("A=\"'b'\"", "A", Some("'b'"));
        check("A=b#c", "A", Some("b#c"));
        check("A=b # c", "A", Some("b # c"));
        check("A='b c'  # d", "A", Some("b c"));
        check("A=\"b\"\t# it's \"d\"", "A", Some("b"));
        check("A='' # d", "A", Some(""));
        check("A='b # c'", "A", Some("b # c"));
        check("A='b'# c'", "A", Some("b'# c"));
        check("A='b'#c", "A", None);
        check("A=b=c==", "A", Some("b=c=="));
        check("A=$HOME\\n", "A", Some("$HOME\\n"));
        check("\u{feff}A=b", "A", Some("b"));
        check("# x\r\n\r\n;y\r\nA=b\r\n", "A", Some("b"));
        check("A=b\nA=c", "A", Some("c"));
        check("A=ü", "A", Some("ü"));
    }

    #[test]
    fn reports_each_invalid_line_with_its_number_and_reason() {
        let file = EnvFile::parse("f", "A=b\nhello\n1A=x\nB=\"x\nC='x' y\nD=a\u{7}b\nE=\"\n=x\n");
        let found: Vec<&str> = file.diagnostics.iter().map(|found| found.message.as_str()).collect();
        let expected = [
            "line 2 has no =;",
            "line 3 has no usable name before the =;",
            "line 4 opens a quote that is not closed",
            "line 5 has text after the closing quote;",
            "line 6 contains a control character",
            "line 7 opens a quote that is not closed",
            "line 8 has no usable name before the =;",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(&format!("The env file f: {expected}")), "{found}");
        }
    }
}
