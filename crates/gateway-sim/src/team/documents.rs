//! The team's documents: prepared work on the tasks of the demo, and an honest outline on any other task.

use std::fmt::Write as _;

use super::prepared;
use super::view::TaskView;

/// A document.
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) content: String,
    /// Whether the work on this task was prepared. Otherwise the document is an outline.
    pub(super) is_prepared: bool,
}

/// The maximum length of a quoted description.
const DESCRIPTION_CHARS: usize = 400;

/// The agent's document about the task. A new version lists what changed.
pub(super) fn write(view: &TaskView, is_revision: bool) -> Draft {
    let title = view.task.title.trim();
    let kind = match view.me.slug.as_str() {
        "designer" => "design",
        "engineer" => "what was built",
        "writer" => "text",
        _ => "result",
    };
    let prepared = prepared::document(title, &view.me.slug);
    let body = prepared.map_or_else(|| outline(view), str::to_owned);
    let mut content = format!("# {title}\n\n{}{}\n", description(view), body.trim_end());
    if is_revision {
        content.push_str("\n## Changed since\n\n");
        // A text in memory takes everything.
        if let Some(finding) = prepared::finding(title).filter(|finding| view.was_said(finding.found)) {
            let _ = writeln!(content, "- {}", finding.fix);
        }
        for word in view.new_words() {
            let line = word.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(content, "- As asked in the thread: {}", line.replace('@', ""));
        }
    }
    Draft { title: format!("{title} \u{2014} {kind}"), content, is_prepared: prepared.is_some() }
}

/// The description of the task as a quotation.
fn description(view: &TaskView) -> String {
    let description: String = view.description().chars().take(DESCRIPTION_CHARS).collect();
    let quoted: Vec<&str> = description.lines().filter(|line| !line.trim().is_empty()).collect();
    if quoted.is_empty() { String::new() } else { format!("> {}\n\n", quoted.join("\n> ")) }
}

/// What the agent would hand over, without inventing it.
fn outline(view: &TaskView) -> String {
    let parts = match view.me.slug.as_str() {
        "designer" => {
            "- the goal of the guest, in one sentence\n- each screen in order, and what every tap does\n- what the guest \
             sees without a network, and when nothing is free"
        }
        "engineer" => {
            "- what changed in `web/`, `booking/` or `messages/`\n- how to see it\n- the tests that ran, and their \
             results\n- what is left open"
        }
        "writer" => {
            "- the text, with the most important sentence first\n- where each fact comes from\n- what Robin has to confirm"
        }
        _ => "- the result\n- how to check it\n- what is left open",
    };
    format!(
        "**This is an outline.** {name} is a scripted agent in a demo, and no work on this task was prepared. A language \
         model does it with `demo --gateway URL`.\n\n## What {name} hands over\n\n{parts}",
        name = view.me.name
    )
}
