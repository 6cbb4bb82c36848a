//! HTML pages for people. Each page is one self-contained file that loads nothing else.
//!
//! A page runs only its own script and style, cannot be framed, connects only to its own server and contains no secret.
//! The style and the drawing code that all pages share are inserted here.

use std::sync::OnceLock;

use super::message::Reply;

/// The page at `/` of the runtime. It requests its contents with the operator token.
const LIVE: &str = include_str!("page/live.html");

/// The style sheet of all pages.
const LOOK: &str = include_str!("page/look.css");

/// The drawing code of all pages.
const DRAW: &str = include_str!("page/draw.js");

/// The content security policy of a page. Each reply has a new nonce.
const POLICY: &str = "default-src 'none'; script-src 'nonce-{{NONCE}}'; style-src 'nonce-{{NONCE}}'; \
    connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The runtime's page. The nonce must be unpredictable.
pub fn live(nonce: &str) -> Reply {
    // Assembled once, so that a flood of requests for the page stays cheap.
    static LIVE_PAGE: OnceLock<String> = OnceLock::new();
    with_nonce(LIVE_PAGE.get_or_init(|| assembled(LIVE)), nonce)
}

/// Fills in the placeholders `{{LOOK}}`, `{{DRAW}}` and `{{NONCE}}` of a page.
pub fn page(html: &str, nonce: &str) -> Reply {
    with_nonce(&assembled(html), nonce)
}

fn assembled(html: &str) -> String {
    html.replace("{{LOOK}}", LOOK).replace("{{DRAW}}", DRAW)
}

fn with_nonce(html: &str, nonce: &str) -> Reply {
    let html = html.replace("{{NONCE}}", nonce);
    Reply::html(html.into_bytes())
        .with_header("Content-Security-Policy", &POLICY.replace("{{NONCE}}", nonce))
        .with_header("X-Content-Type-Options", "nosniff")
        .with_header("Referrer-Policy", "no-referrer")
        .no_store()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_complete_and_runs_only_its_own_code() {
        let reply = live("n0nce");
        let html = std::str::from_utf8(reply.body().unwrap()).unwrap();
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        assert!(!html.contains("{{") && html.matches("nonce=\"n0nce\"").count() == 2);
        assert!(html.matches("<script").count() == 1 && html.matches("<style").count() == 1);
        // The page loads nothing, parses no text as HTML, and needs no exception in the policy.
        for word in [
            "src=",
            "http://",
            "@import",
            "innerHTML",
            "insertAdjacentHTML",
            "eval(",
            " style=",
            "localStorage",
        ] {
            assert!(!html.replace("http://www.w3.org/2000/svg", "").contains(word), "{word}");
        }
        let policy = reply.header("Content-Security-Policy").unwrap();
        assert!(policy.contains("script-src 'nonce-n0nce'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*'));
    }
}
