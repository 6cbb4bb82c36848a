//! The team's documents: short texts that fit their task.

use std::fmt::Write as _;

use super::lines;
use super::view::TaskView;
use crate::derived::number;

/// A document.
pub(super) struct Draft {
    pub(super) title: String,
    pub(super) content: String,
}

/// The maximum length of a quoted description.
const PROMISE_CHARS: usize = 400;

/// The agent's document about the task. A new version lists what changed.
pub(super) fn write(view: &TaskView, is_revision: bool) -> Draft {
    let title = view.task.title.trim();
    let (kind, body) = match view.me.slug.as_str() {
        "designer" => ("design", designed(view)),
        "engineer" => ("what was built", built(view)),
        "writer" => ("text", written(view)),
        _ => ("result", "Made as asked; nothing was left open.".to_owned()),
    };
    let mut content = format!("# {title}\n\n{}{body}\n", promise(view));
    if is_revision {
        content.push_str("\n## Changed since\n\n");
        for (_, fix) in lines::FINDINGS.into_iter().filter(|(found, _)| view.was_said(found)) {
            let _ = writeln!(content, "- {fix}");
        }
        for word in view.new_words() {
            let line = word.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(content, "- As asked in the thread: {}", line.replace('@', ""));
        }
    }
    Draft { title: format!("{title} \u{2014} {kind}"), content }
}

fn promise(view: &TaskView) -> String {
    let promised: String = view.description().chars().take(PROMISE_CHARS).collect();
    let quoted: Vec<&str> = promised.lines().filter(|line| !line.trim().is_empty()).collect();
    if quoted.is_empty() { String::new() } else { format!("> {}\n\n", quoted.join("\n> ")) }
}

fn pick<'a>(view: &TaskView, choice: &[&'a str]) -> &'a str {
    let at = number(&[&view.task.title, "paper"]) % choice.len().max(1) as u64;
    usize::try_from(at).ok().and_then(|at| choice.get(at)).copied().unwrap_or_default()
}

fn designed(view: &TaskView) -> String {
    let steps = pick(
        view,
        &[
            "1. **Which tour.** Three large cards; each says what one will see, and how long it takes.\n\
         2. **Which day.** The next seven days; days without room are grey and say so.\n\
         3. **How many.** One large number with plus and minus, never more than the free seats.",
            "1. **One question on the screen**, in the guest's words.\n\
         2. **One large button** where the thumb is; everything else is smaller.\n\
         3. **What happened**, in one sentence, with the time and the place.",
        ],
    );
    format!(
        "The guest stands on a windy pier and wants this done before the boat leaves.\n\n## On the screen\n\n{steps}\n\n\
         ## When something goes wrong\n\n- No network: what was entered stays, and the page says that it tries is_revision.\n\
         - The last seat is gone: say so, and offer the next day.\n\nReadable in the sun; works with one thumb and with a \
         screen reader."
    )
}

fn built(view: &TaskView) -> String {
    let what = pick(
        view,
        &[
            "One page in `web/` and one function in `booking/`; nothing else knows of it.",
            "A small change in `booking/`, behind the page that is there already.",
            "One new file in `messages/`, and the place in `booking/` that sends it.",
        ],
    );
    format!(
        "## What changed\n\n{what}\n\n## How to see it\n\n`make dev`, then open `http://localhost:3000`. It works without \
         JavaScript and over a slow network.\n\n## What was tested\n\n- `make test`: green, with four new tests\n- the last \
         free seat, asked for twice at once: one gets it, the other sees that it is gone\n- a name with an apostrophe\n\n## Left open\n\n\
         Nothing that this task promises."
    )
}

fn written(view: &TaskView) -> String {
    let text = pick(
        view,
        &[
            "**Before you come.** Wear what may get wet, and shoes that stay on your feet. We have jackets, boats and a dry \
         bag for your phone.\n\n**Where.** At the blue hut on the pier, 15 minutes before the tour starts.\n\n**The wind \
         decides.** Above 5 Beaufort we stay ashore, and you get your money back. We write to you at 18:00 on the evening \
         before.",
            "**What we do.** Three tours a day, at most 8 guests each: Morning Glass, Seal Bay and Evening Light.\n\n**What it \
         needs from you.** Nothing but the wish to sit in a small boat. You need not have done it before.\n\n**If you \
         cannot come.** Cancel free of charge until 24 hours before. Later, a friend may have your place: just tell us \
         the name.",
        ],
    );
    format!("{text}\n\n---\n\nAll rules are those of the Account Briefing. Reading time: half a minute.")
}
