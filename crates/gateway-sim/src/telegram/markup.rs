//! HTML as Telegram reads it.

/// The tags that Telegram knows, without those that need attributes.
const TAGS: [&str; 10] = ["b", "strong", "i", "em", "u", "s", "code", "pre", "blockquote", "tg-spoiler"];

/// The text that the chat shows, or Telegram's refusal.
pub(super) fn shown(html: &str) -> Result<String, String> {
    let refused = |words: String| Err(format!("Bad Request: can't parse entities: {words}"));
    let (mut open, mut shown, mut rest) = (Vec::new(), String::new(), html);
    while let Some(first) = rest.chars().next() {
        if let Some(tag) = rest.strip_prefix('<') {
            let Some((tag, after)) = tag.split_once('>') else {
                return refused("Unclosed start tag".to_owned());
            };
            match tag.strip_prefix('/') {
                Some(closed) if open.last() == Some(&closed) => drop(open.pop()),
                None if TAGS.contains(&tag) => open.push(tag),
                _ => return refused(format!("Unsupported start tag \"{tag}\"")),
            }
            rest = after;
        } else {
            let entity = [("&lt;", '<'), ("&gt;", '>'), ("&amp;", '&'), ("&quot;", '"')]
                .into_iter()
                .find(|(entity, _)| rest.starts_with(entity));
            let (length, c) = match entity {
                Some((entity, c)) => (entity.len(), c),
                None => (first.len_utf8(), first),
            };
            shown.push(c);
            rest = &rest[length..];
        }
    }
    match open.pop() {
        Some(tag) => refused(format!("Can't find end tag corresponding to start tag \"{tag}\"")),
        None => Ok(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_read_or_refused() {
        let rows = [
            ("a &lt; b &amp; c", Some("a < b & c")),
            ("<b>x</b> <pre>y</pre>", Some("x y")),
            ("a & b", Some("a & b")),
            ("a < b", None),
            ("<script>x</script>", None),
            ("<b>x", None),
            ("<b>x</i>", None),
        ];
        for (html, text) in rows {
            assert_eq!(shown(html).ok().as_deref(), text, "{html}");
        }
    }
}
