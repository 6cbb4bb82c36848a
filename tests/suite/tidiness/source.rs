//! Rust sources as the checks read them: without comments, literals and tests.

/// The code of a source: literals are empty, comments and items under `#[cfg(test)]` are missing.
pub(super) fn code(source: &str) -> String {
    without_tests(&without_literals(source))
}

fn without_literals(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let in_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !in_word && raw_string(rest).is_some() => raw_string(rest).unwrap(),
            'b' if !in_word && rest[1..].starts_with('r') && raw_string(&rest[1..]).is_some() => {
                1 + raw_string(&rest[1..]).unwrap()
            }
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            if !rest.starts_with('/') {
                code.push_str("\"\"");
            }
            rest = &rest[skipped..];
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `r"…"` or `r#"…"#`, but not a raw identifier.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

/// A character, but not a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text[1..].char_indices();
    match inside.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(text.len(), |at| at + 4),
        Some((_, _)) => match inside.next() {
            Some((at, '\'')) => at + 2,
            _ => 0,
        },
        None => 0,
    }
}

fn without_tests(code: &str) -> String {
    let mut parts = code.split("#[cfg(test)]");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(&part[item_length(part)..]);
    }
    kept
}

/// The length of the item at the beginning: up to its semicolon, or to the brace that closes its body.
fn item_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                let is_use =
                    code.trim_start().starts_with("use ") || code.trim_start().starts_with("pub use ");
                if c == '}' && depth == 0 && !is_use {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The paths of a `use` tree, each with the name that it has here: `a::{b::C, D as E}` → `(a::b::C, C)`, `(a::D, E)`.
pub(super) fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((path, list)) = tree.split_once('{') {
        let base = segments(path);
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        let inner = split_list(list).into_iter().flat_map(leaves);
        return inner
            .map(|(path, name)| match &path[..] {
                [only] if only == "self" => (base.clone(), base.last().cloned().unwrap_or(name)),
                _ => (base.iter().cloned().chain(path).collect(), name),
            })
            .collect();
    }
    let (path, name) =
        tree.split_once(" as ").unwrap_or_else(|| (tree, tree.rsplit("::").next().unwrap_or(tree)));
    let path = segments(path);
    if path.is_empty() { Vec::new() } else { vec![(path, name.trim().to_owned())] }
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// The items of a list; a comma inside braces belongs to its item.
fn split_list(list: &str) -> Vec<&str> {
    let (mut items, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(&list[start..]);
    items
}

/// The length of a path with its list in braces, from its beginning.
pub(super) fn path_length(code: &str) -> usize {
    let end = code.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(code.len());
    if !code[..end].ends_with("::") || !code[end..].starts_with('{') {
        return end;
    }
    let mut depth = 0;
    for (at, c) in code[end..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return end + at + 1;
        }
    }
    code.len()
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let rows = [
        ("a // b\nc", "a \nc"),
        ("a /* b /* c */ d */ e", "a  e"),
        (r#"f("crate::x \" {", 'x', '{', '\'', "y")"#, r#"f("", "", "", "", "")"#),
        ("r#\"crate::x \"y\" {\"# + r\"\\\" + br\"{\"", "\"\" + \"\" + \"\""),
        ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
        ("a;\n#[cfg(test)]\nmod tests { fn f() { {} } }\nb;", "a;\n\nb;"),
        ("#[cfg(test)]\nmod tests;\nb;", "\nb;"),
        ("#[cfg(test)]\nuse a::{b, c};\nb;", "\nb;"),
        ("#[cfg(test)]\nfn f() -> [u8; 1] { [1] }\nb;", "\nb;"),
    ];
    for (source, expected) in rows {
        assert_eq!(code(source), expected, "{source}");
    }
}

#[test]
fn a_list_names_a_path_for_each_item() {
    let of = |tree: &str| -> Vec<String> {
        leaves(tree).into_iter().map(|(path, name)| format!("{}={name}", path.join("."))).collect()
    };
    assert_eq!(of("a::b::C"), ["a.b.C=C"]);
    assert_eq!(of("a::{self, b::{C, d::E as F}, G,}"), ["a=a", "a.b.C=C", "a.b.d.E=F", "a.G=G"]);
    assert_eq!(path_length("super::a::{b::{C}, D}; x"), "super::a::{b::{C}, D}".len());
    assert_eq!(path_length("crate::a::b { c }"), "crate::a::b".len());
}
