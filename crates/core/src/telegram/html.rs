//! The part of Markdown that Telegram's HTML can show: blocks of code, code in a line, and bold text.
//!
//! Everything else is escaped, so that no reply breaks the markup. A mark without its partner stays as it is.

/// The fence of a block of code.
const FENCE: &str = "```";

/// The HTML of a text, or none if it would show nothing.
pub(super) fn of_markdown(text: &str) -> Option<String> {
    let mut shows = false;
    let mut block: Option<Vec<&str>> = None;
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let is_fence = line.trim_start().starts_with(FENCE);
        match (&mut block, is_fence) {
            (Some(code), true) => {
                let code = code.join("\n");
                shows |= !code.trim().is_empty();
                lines.push(tagged("pre", &code));
                block = None;
            }
            (Some(code), false) => code.push(line),
            (None, true) => block = Some(Vec::new()),
            (None, false) => {
                shows |= !line.trim().is_empty();
                lines.push(in_line(line));
            }
        }
    }
    if let Some(code) = block {
        // A fence that is never closed begins no block for a person, but the splitter closes each one.
        let code = code.join("\n");
        shows |= !code.trim().is_empty();
        lines.push(tagged("pre", &code));
    }
    shows.then(|| lines.join("\n"))
}

/// Escaped text between two tags; without text, nothing.
fn tagged(tag: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut html = format!("<{tag}>");
    text.chars().for_each(|c| escape(c, &mut html));
    html.push_str("</");
    html.push_str(tag);
    html.push('>');
    html
}

/// One line of prose.
fn in_line(line: &str) -> String {
    let (mut html, mut rest) = (String::new(), line);
    while let Some(first) = rest.chars().next() {
        if let Some((code, after)) = span(rest, "`") {
            html.push_str(&tagged("code", code));
            rest = after;
        } else if let Some((bold, after)) = span(rest, "**").filter(|(bold, _)| is_bold(bold)) {
            html.push_str(&tagged("b", bold));
            rest = after;
        } else {
            escape(first, &mut html);
            rest = &rest[first.len_utf8()..];
        }
    }
    html
}

/// The text between two marks at the beginning, and the text after them.
fn span<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (inside, after) = text.strip_prefix(mark)?.split_once(mark)?;
    (!inside.trim().is_empty()).then_some((inside, after))
}

fn is_bold(inside: &str) -> bool {
    inside.trim() == inside && !inside.contains(['`', '*'])
}

fn escape(c: char, html: &mut String) {
    match c {
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '&' => html.push_str("&amp;"),
        _ => html.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_bold_text_are_marked_and_everything_else_is_escaped() {
        let rows = [
            ("a < b & c > d", Some("a &lt; b &amp; c &gt; d")),
            ("<b>no</b>", Some("&lt;b&gt;no&lt;/b&gt;")),
            ("a `x < y` b", Some("a <code>x &lt; y</code> b")),
            ("**bold** and ** not **", Some("<b>bold</b> and ** not **")),
            ("2 ** 3 ** 4", Some("2 ** 3 ** 4")),
            ("one ` alone and **", Some("one ` alone and **")),
            ("**a `b` c**", Some("**a <code>b</code> c**")),
            ("x\n```rust\nlet a = 1 & 2;\n```\ny", Some("x\n<pre>let a = 1 &amp; 2;</pre>\ny")),
            ("```\nopen", Some("<pre>open</pre>")),
            ("```\n```", None),
            ("  \n", None),
        ];
        for (text, html) in rows {
            assert_eq!(of_markdown(text).as_deref(), html, "{text}");
        }
    }
}
