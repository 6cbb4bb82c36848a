//! Pages for people: one file each, nothing from anywhere else.
//!
//! A page runs its own script and style and nothing else, shows itself in nobody's frame, speaks to its own server alone,
//! and has nothing in it that is anybody's secret. What pages have in common, how they look and how they are drawn, is
//! put into each of them here.

use std::sync::OnceLock;

use super::message::Reply;

/// The page at `/` of the runtime: what it shows it asks for with the operators' token.
const LIVE: &str = include_str!("page/live.html");

/// How all pages look.
const LOOK: &str = include_str!("page/look.css");

/// How all pages are drawn.
const DRAW: &str = include_str!("page/draw.js");

/// What a page may do. The nonce is new for every answer.
const POLICY: &str = "default-src 'none'; script-src 'nonce-{{NONCE}}'; style-src 'nonce-{{NONCE}}'; \
    connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The runtime's page; nobody must be able to guess the nonce.
pub fn live(nonce: &str) -> Reply {
    // Put together once: a flood of requests for the page must cost little.
    static WHOLE: OnceLock<String> = OnceLock::new();
    with_nonce(WHOLE.get_or_init(|| whole(LIVE)), nonce)
}

/// A page in which `{{LOOK}}`, `{{DRAW}}` and `{{NONCE}}` stand for what is put in.
pub fn page(html: &str, nonce: &str) -> Reply {
    with_nonce(&whole(html), nonce)
}

fn whole(html: &str) -> String {
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
    fn a_page_is_whole_and_runs_only_what_it_brings() {
        let reply = live("n0nce");
        let html = std::str::from_utf8(reply.body().unwrap()).unwrap();
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        assert!(!html.contains("{{") && html.matches("nonce=\"n0nce\"").count() == 2);
        assert!(html.matches("<script").count() == 1 && html.matches("<style").count() == 1);
        // Nothing is fetched, nothing is made from text, nothing runs that the policy would have to let in.
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
