//! The command of the gateway. No shell reads it.

/// A program with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildCommand {
    /// The program: a path, or a name that is looked up in `PATH`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl ChildCommand {
    /// Splits a line at its blanks. Quotes keep blanks together; nothing is expanded.
    pub fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words: Vec<String> = Vec::new();
        let mut word: Option<String> = None;
        let mut quote = None;
        for c in line.chars() {
            match quote {
                Some(open) if c == open => quote = None,
                None if c == '\'' || c == '"' => {
                    quote = Some(c);
                    word.get_or_insert_default();
                }
                None if c.is_whitespace() => words.extend(word.take()),
                Some(_) | None => word.get_or_insert_default().push(c),
            }
        }
        if quote.is_some() {
            return Err("a quote is not closed");
        }
        words.extend(word);
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or("it names no program")?;
        Ok(Self { program, arguments: words.collect() })
    }

    /// The arguments that make the same program print its version: those in front of its first command.
    pub fn version_arguments(&self) -> Vec<&str> {
        let before = self.arguments.iter().map(String::as_str).take_while(|word| *word != "gateway");
        before.chain(["--version"]).collect()
    }
}

/// The version in what a program prints, such as `OpenClaw 2026.9.6 (1a2b3c)`.
pub fn version_in(printed: &str) -> Option<&str> {
    let is_version = |word: &&str| {
        let digits = word.split('.').filter(|part| part.starts_with(|c: char| c.is_ascii_digit())).count();
        digits >= 3 && word.len() <= 64
    };
    printed.split_whitespace().map(|word| word.trim_matches(['(', ')', ',', 'v'])).find(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_at_blanks_and_nothing_is_expanded() {
        let rows: &[(&str, &[&str])] = &[
            ("openclaw gateway run", &["openclaw", "gateway", "run"]),
            ("  /opt/a\tb  ", &["/opt/a", "b"]),
            ("'/opt/my claw/x' --name \"a b\" ''", &["/opt/my claw/x", "--name", "a b", ""]),
            ("x --a='b c'", &["x", "--a=b c"]),
            ("x $(touch y) ; `z` $HOME *", &["x", "$(touch", "y)", ";", "`z`", "$HOME", "*"]),
        ];
        for (line, words) in rows {
            let command = ChildCommand::parse(line).unwrap();
            let found: Vec<&str> =
                std::iter::once(&command.program).chain(&command.arguments).map(String::as_str).collect();
            assert_eq!(found, *words, "{line}");
        }
        for line in ["", "  ", "''", "a 'b", "a \"b'"] {
            assert!(ChildCommand::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_version_is_asked_of_the_same_program() {
        let asked = |line| ChildCommand::parse(line).unwrap().version_arguments().join(" ");
        assert_eq!(asked("openclaw gateway run --port 1"), "--version");
        assert_eq!(asked("node /opt/openclaw.mjs gateway"), "/opt/openclaw.mjs --version");
        assert_eq!(version_in("OpenClaw 2026.9.6 (1a2b3c)\n"), Some("2026.9.6"));
        assert_eq!(version_in("v2026.4.1-beta.2"), Some("2026.4.1-beta.2"));
        assert_eq!(version_in("node v24 and 3.1 only"), None);
    }
}
