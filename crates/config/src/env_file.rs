//! The env file: text in, names and values out.
//!
//! The dialects of systemd, Docker and dotenv differ; a file written for any of them should work or be refused
//! with a reason, never mean something else in silence. So: `NAME=value`, one per line, `export` in front is
//! allowed, blanks around name and value do not count, one layer of matching quotes round the whole value is
//! dropped, nothing is escaped or expanded. A `#` (or systemd's `;`) opens a comment at the beginning of a line, and
//! a `#` also behind a value in quotes, where nothing else can be meant. Behind a value without quotes it belongs to
//! the value, as with systemd and Docker: a warning where the value can be used like that, a mistake where it cannot.
//! Of two lines for one name the later counts, with a warning.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;

/// An env file that has been read. It has no `Debug`: there are secrets in it.
#[derive(Clone, Default)]
pub struct EnvFile {
    /// Its path, for sentences.
    pub(super) path: String,
    /// The values.
    pub(super) entries: BTreeMap<String, Entry>,
    /// Names and values that were given but do not count: of broken lines, and of lines that a later one replaces.
    /// There may be secrets among them.
    pub(super) discarded: Vec<(String, String)>,
    /// Lines that cannot be read, and lines that are doubtful.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) written: Written,
    pub(super) line: usize,
}

/// A value as it was meant.
#[derive(Clone, Default)]
pub(super) struct Written {
    /// Without blanks and one layer of quotes around it.
    pub(super) value: String,
    /// What stands before something that would be a comment in other files, but belongs to the value here.
    pub(super) before_comment: Option<String>,
}

impl EnvFile {
    /// Reads the text of the file at `path`.
    pub fn parse(path: &str, text: &str) -> Self {
        let mut file = Self { path: path.to_owned(), ..Self::default() };
        // Some editors put a byte order mark in front.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, line) in text.split('\n').enumerate() {
            file.take_line(index + 1, line.strip_suffix('\r').unwrap_or(line).trim());
        }
        file
    }

    /// What it says of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.written.value.as_str())
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
            return self.refuse(line, "has a control character in it");
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
                "The env file {}: line {line} sets the same name as line {}; the later one counts.",
                self.path, earlier.line
            );
            self.diagnostics.push(Diagnostic::warning(None, message));
            self.discarded.push((name.to_owned(), earlier.written.value));
        }
    }

    /// Reports a line that cannot be read. What it contains is not shown: it may be a secret.
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
    /// Reads what stands behind the `=`.
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
            None if inner.contains(quote) => Err(
                "has text behind the closing quote; only a comment may stand there, after a blank and a #",
            ),
            None => Err("opens a quote that is not closed at the end of the line; a value is one line"),
        }
    }
}

/// Whether this may stand behind a closing quote: nothing, or blanks and a comment.
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
    fn values_are_understood() {
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
    fn bad_lines_are_counted_and_named() {
        let file = EnvFile::parse("f", "A=b\nhello\n1A=x\nB=\"x\nC='x' y\nD=a\u{7}b\nE=\"\n=x\n");
        let found: Vec<&str> = file.diagnostics.iter().map(|found| found.message.as_str()).collect();
        let expected = [
            "line 2 has no =;",
            "line 3 has no usable name before the =;",
            "line 4 opens a quote that is not closed",
            "line 5 has text behind the closing quote;",
            "line 6 has a control character",
            "line 7 opens a quote that is not closed",
            "line 8 has no usable name before the =;",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(&format!("The env file f: {expected}")), "{found}");
        }
    }
}
