//! The source text of a Rust file, as far as the table of error messages and the checks of log lines need it: string literals, and blocks by their
//! brackets. Comments and the unit tests at the end of a file are left out.

/// A piece of a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A string literal, with its escapes resolved.
    Literal(String),
    /// A run of other text, of one character class.
    Text(String),
}

/// A source text in pieces: literals, words, and single signs. Blanks and comments are dropped.
pub(crate) fn pieces(source: &str) -> Vec<Piece> {
    let source = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let chars: Vec<char> = source.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
        match c {
            '/' if next == Some('/') => at += until(&chars[at..], |rest| rest[0] == '\n'),
            '/' if next == Some('*') => at += until(&chars[at..], |rest| rest.starts_with(&['*', '/'])),
            '"' => {
                let (text, length) = literal(&chars[at + 1..]);
                pieces.push(Piece::Literal(text));
                at += length + 1;
            }
            'r' if raw_hashes(&chars[at + 1..]).is_some() => {
                let hashes = raw_hashes(&chars[at + 1..]).unwrap_or_default();
                let begin = at + 2 + hashes;
                let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let length = until(&chars[begin..], |rest| rest.starts_with(&end));
                pieces.push(Piece::Literal(chars[begin..begin + length].iter().collect()));
                at = begin + length + end.len();
            }
            // A character literal, which may be a quote or a bracket; a lifetime is none.
            '\'' if next == Some('\\') => at += 3 + until(&chars[at + 3..], |rest| rest[0] == '\'') + 1,
            '\'' if chars.get(at + 2) == Some(&'\'') => at += 3,
            _ if is_word(c) => {
                let length = until(&chars[at..], |rest| !is_word(rest[0]));
                pieces.push(Piece::Text(chars[at..at + length].iter().collect()));
                at += length;
            }
            _ => {
                if !c.is_whitespace() {
                    pieces.push(Piece::Text(c.to_string()));
                }
                at += 1;
            }
        }
    }
    pieces
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How many characters there are before the first for which this holds, or to the end.
fn until(chars: &[char], holds: impl Fn(&[char]) -> bool) -> usize {
    (0..chars.len()).find(|at| holds(&chars[*at..])).unwrap_or(chars.len())
}

/// The hashes of a raw string literal whose `r` stands before these characters, if there is one.
fn raw_hashes(chars: &[char]) -> Option<usize> {
    let hashes = until(chars, |rest| rest[0] != '#');
    (chars.get(hashes) == Some(&'"')).then_some(hashes)
}

/// The text of a literal behind its opening quote, and its length with the closing one.
fn literal(chars: &[char]) -> (String, usize) {
    let mut text = String::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        match (c, chars.get(at + 1)) {
            ('"', _) => return (text, at + 1),
            ('\\', Some('\n')) => at += 1 + until(&chars[at + 1..], |rest| !rest[0].is_whitespace()),
            ('\\', Some('n')) => {
                text.push('\n');
                at += 2;
            }
            ('\\', Some('u')) => {
                let length = until(&chars[at..], |rest| rest[0] == '}');
                let digits: String = chars[at + 3..at + length].iter().collect();
                text.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                at += length + 1;
            }
            ('\\', Some(escaped)) => {
                text.push(*escaped);
                at += 2;
            }
            _ => {
                text.push(c);
                at += 1;
            }
        }
    }
    (text, at)
}

/// The pieces between the first opening bracket and the one that closes it.
pub(crate) fn bracketed(pieces: &[Piece]) -> &[Piece] {
    let is = |piece: &Piece, signs: &str| matches!(piece, Piece::Text(text) if signs.contains(text.as_str()));
    let Some(begin) = pieces.iter().position(|piece| is(piece, "({[")) else { return &[] };
    let mut depth = 0;
    for (at, piece) in pieces.iter().enumerate().skip(begin) {
        if is(piece, "({[") {
            depth += 1;
        } else if is(piece, ")}]") {
            depth -= 1;
        }
        if depth == 0 {
            return &pieces[begin + 1..at];
        }
    }
    &pieces[begin + 1..]
}

/// The pieces up to the semicolon that ends a statement.
pub(crate) fn statement(pieces: &[Piece]) -> &[Piece] {
    let mut depth = 0;
    let end = pieces.iter().position(|piece| {
        match piece {
            Piece::Text(text) if "({[".contains(text.as_str()) => depth += 1,
            Piece::Text(text) if ")}]".contains(text.as_str()) => depth -= 1,
            Piece::Text(_) | Piece::Literal(_) => {}
        }
        depth == 0 && *piece == Piece::Text(";".to_owned())
    });
    &pieces[..end.unwrap_or(pieces.len())]
}

/// Whether these pieces begin with this code, one word for each piece.
pub(crate) fn begins(pieces: &[Piece], code: &str) -> bool {
    let mut rest = pieces.iter();
    code.split(' ').all(|word| matches!(rest.next(), Some(Piece::Text(text)) if text == word))
}

#[test]
fn literals_are_found_and_comments_and_tests_are_not() {
    let source = "fn f() { // \"no\"\n  g('\"', \"a \\\n     b\", r#\"c \"d\"\"#, \"\\u{201c}\") /* \"no\" */ }\n\
                  #[cfg(test)]\nmod tests { \"no\" }";
    let found = pieces(source);
    let literals: Vec<&Piece> = found.iter().filter(|piece| matches!(piece, Piece::Literal(_))).collect();
    let expected = ["a b", "c \"d\"", "\u{201c}"].map(|text| Piece::Literal(text.to_owned()));
    assert_eq!(literals, expected.iter().collect::<Vec<_>>());
    assert!(begins(&found, "fn f ( )"));
    assert_eq!(bracketed(&found[1..]), &[]);
    assert_eq!(bracketed(&found[4..]).first(), Some(&Piece::Text("g".to_owned())));
}
