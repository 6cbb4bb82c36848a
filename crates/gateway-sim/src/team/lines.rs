//! The team's messages. Each known agent has a voice of its own; other agents use plain sentences.

use std::fmt::Write as _;

use serde_json::Value;

use super::Member;
use super::documents::Draft;
use super::prepared;
use super::view::TaskView;
use super::worker::link;
use crate::derived::number;
use mcr_model::TaskStatus;

/// Starts every message of an agent that waits to start.
const READY: &str = "I have read the task";

/// The status of the task in words.
fn status_words(view: &TaskView) -> &'static str {
    match view.status() {
        Some(TaskStatus::Inbox) => "in the inbox",
        Some(TaskStatus::Assigned) => "assigned and not begun",
        Some(TaskStatus::InProgress) => "in progress",
        Some(TaskStatus::Review) => "in review",
        Some(TaskStatus::Done) => "done",
        Some(TaskStatus::Blocked) => "blocked",
        Some(TaskStatus::Archived) => "archived",
        None => "somewhere that I do not know",
    }
}

fn one_of<'a>(view: &TaskView, what: &str, choice: &[&'a str]) -> &'a str {
    let count = choice.len().max(1) as u64;
    let at = number(&[&view.task.title, &view.me.slug, what]) % count;
    usize::try_from(at).ok().and_then(|at| choice.get(at)).copied().unwrap_or_default()
}

/// Reports that something failed.
pub(super) fn blocked(why: &str) -> String {
    format!("BLOCKED: {}.", why.trim_end_matches('.'))
}

// The agents that produce results.

pub(super) fn acknowledge(view: &TaskView) -> String {
    let more = match view.me.slug.as_str() {
        "engineer" => one_of(
            view,
            "ack",
            &[
                "I will take the smallest thing that works first.",
                "It looks like half a day, tests included. No questions.",
            ],
        ),
        "designer" => one_of(
            view,
            "ack",
            &[
                "I will start with the guest on the pier: cold hands, one thumb.",
                "First the steps, then how they look.",
            ],
        ),
        "writer" => one_of(
            view,
            "ack",
            &[
                "I will put what the reader wants to know first.",
                "Short sentences, and I will read it aloud once.",
            ],
        ),
        _ => "No questions.",
    };
    format!("{READY} and it is mine. {more}")
}

pub(super) fn wait(view: &TaskView, first: &Member) -> String {
    let what = match view.me.slug.as_str() {
        "engineer" => "I build it once the design stands.",
        "writer" => "I write once the places for the words are clear.",
        _ => "I come in when it is handed to me.",
    };
    format!("{READY}. {} comes first; {what}", first.name)
}

/// Whether the message says that its author is ready to start.
pub(super) fn is_acknowledgement(text: &str) -> bool {
    text.starts_with(READY)
}

pub(super) fn noted(view: &TaskView) -> String {
    format!("Noted. The task is {}, so there is nothing for me to start.", status_words(view))
}

pub(super) fn progress(view: &TaskView) -> String {
    match view.made_by(&view.me) {
        Some(document) => {
            format!("My part is written down: [Document](/document/{document}). Say what you would change.")
        }
        None => format!(
            "{} Say the word, and I will finish it now and hand it to QA.",
            one_of(
                view,
                "progress",
                &["Started, and nothing is in the way.", "The plan stands, the rest is work."]
            )
        ),
    }
}

pub(super) fn kind_word(view: &TaskView) -> &'static str {
    one_of(
        view,
        "kind",
        &["Thank you! You know where to find me.", "Good to hear. I am here if something is to be done."],
    )
}

pub(super) fn in_review(view: &TaskView) -> String {
    match view.made_by(&view.me) {
        Some(document) => format!("It is in review. What I made is here: [Document](/document/{document})."),
        None => "It is in review; QA has the next word.".to_owned(),
    }
}

pub(super) fn is_blocked(view: &TaskView) -> String {
    let reason = view.task.blocked_reason.as_deref().unwrap_or("it was stopped").trim_end_matches('.');
    format!("It is blocked: {reason}. Write \u{201c}go on\u{201d} to me here, and I take it up again.")
}

pub(super) fn is_done(view: &TaskView, made: Option<&str>) -> String {
    let made =
        made.map_or(String::new(), |document| format!(" The result: [Document](/document/{document})."));
    let how = one_of(
        view,
        "done",
        &["Reopen it and tell me what should be different.", "If it needs a change, reopen it and name me."],
    );
    format!("This is done.{made} {how}")
}

pub(super) fn volunteers(view: &TaskView, lead: &Member) -> String {
    format!(
        "{} This task has no assignee yet, so I asked {} to give it to me.",
        one_of(view, "yes", &["Gladly.", "Yes, that is for me."]),
        lead.name
    )
}

pub(super) fn wants_the_task(view: &TaskView) -> String {
    format!("I was asked for \u{201c}{}\u{201d}, which is in the inbox. May I have it?", view.task.title)
}

pub(super) fn assign_me(view: &TaskView) -> String {
    format!("Gladly, but this task has no assignee yet: please assign it to {}.", view.me.name)
}

pub(super) fn helped(view: &TaskView, draft: &Draft) -> String {
    format!(
        "I am not on this task, but here is my part, \u{201c}{}\u{201d}: {}. {}",
        draft.title,
        link(),
        take_it(view)
    )
}

fn take_it(view: &TaskView) -> &'static str {
    one_of(view, "take", &["Take from it what you need.", "The assignee may use it as it is."])
}

pub(super) fn over_to(view: &TaskView, next: &Member, draft: &Draft) -> String {
    format!(
        "{}, my part of \u{201c}{}\u{201d} stands, in \u{201c}{}\u{201d} (/document/{{document}}). Please go on from there. \
         The order is fixed, the details are free.",
        next.name, view.task.title, draft.title
    )
}

pub(super) fn handed_over(view: &TaskView, next: &Member, draft: &Draft) -> String {
    let done = match view.me.slug.as_str() {
        _ if !draft.is_prepared => "An outline of my part, which was not prepared for the demo",
        "designer" => "What is on the screen, in which order, and what happens when something goes wrong",
        "engineer" => "What is built, how to see it, and how long each text may be",
        _ => "What I know so far",
    };
    format!("{done}: {} (\u{201c}{}\u{201d}). {} has it now.", link(), draft.title, next.name)
}

pub(super) fn please_check(view: &TaskView, draft: &Draft) -> String {
    format!(
        "\u{201c}{}\u{201d} is ready for review. What it promises and how to see it stands in \u{201c}{}\u{201d} \
         (/document/{{document}}). Could you look?",
        view.task.title, draft.title
    )
}

pub(super) fn finished(view: &TaskView, draft: &Draft, again: bool) -> String {
    let done = match (view.me.slug.as_str(), again) {
        _ if !draft.is_prepared => "An outline, because the work on this task was not prepared for the demo",
        (_, true) => "Changed, and marked at the end of the document",
        ("engineer", _) => "Built, with the tests to run before the release",
        ("designer", _) => "Drawn in words, from the first tap to the last",
        ("writer", _) => "Written, and read aloud once",
        _ => "Finished",
    };
    let then = match view.other(super::view::QA) {
        Some(qa) => format!("{} looks at it next", qa.name),
        None => "Robin, please look at it: there is no QA in the team".to_owned(),
    };
    format!("{done}: {} (\u{201c}{}\u{201d}). It is in review; {then}.", link(), draft.title)
}

// Tomas, the reviewer.

pub(super) fn please_mend(found: &str) -> String {
    format!("One thing before this is done: {found}. Could you mend that? The rest holds.")
}

pub(super) fn sent_back(name: &str, found: &str) -> String {
    format!(
        "Nearly. I went through the checklist and found one thing: {found}. {name} has it back; the rest is as promised."
    )
}

pub(super) fn approved(view: &TaskView) -> String {
    let mended = prepared::finding(&view.task.title).is_some_and(|finding| view.have_said(finding.found));
    let checked = if mended {
        "The one thing is mended, and the rest still holds"
    } else {
        one_of(
            view,
            "verdict",
            &[
                "I compared it with the task, sentence by sentence, and every promise of the task is in it",
                "I looked for what goes wrong: no network, a wrong date, the last seat twice. It is thought of",
                "Dates and rules are those of the briefing, and Robin will understand every word",
            ],
        )
    };
    format!("{checked}. Done.")
}

pub(super) fn comes_last(view: &TaskView) -> String {
    match view.workers().first() {
        Some(first) => {
            format!("I come last: as soon as {} has moved it to review, I look at it.", first.name)
        }
        None => {
            "I only review what others made. Assign an agent who makes it; I check it when it is in review."
                .to_owned()
        }
    }
}

pub(super) fn was_checked(view: &TaskView) -> String {
    format!(
        "I checked \u{201c}{}\u{201d} and stand by it. If you see something that I did not, reopen it and name me.",
        view.task.title
    )
}

pub(super) fn not_in_review(view: &TaskView) -> String {
    format!(
        "I do not test half-finished work: this is {}. I look as soon as it is in review.",
        status_words(view)
    )
}

pub(super) fn what_is_checked(view: &TaskView) -> String {
    format!(
        "I start from what \u{201c}{}\u{201d} promises, then try what goes wrong: no network, a wrong date, the last free \
         seat booked twice. I begin when it is in review.",
        view.task.title
    )
}

// Mara, the squad lead.

/// She says this once for each agent that starts.
pub(super) fn starts(name: &str) -> String {
    format!("{name} starts")
}

pub(super) fn order(view: &TaskView, first: &Member, behind: &[&Member]) -> String {
    let follow: Vec<&str> = behind.iter().map(|member| member.name.as_str()).collect();
    let follow = match follow.as_slice() {
        [] => String::new(),
        [one] => format!(", {one} follows"),
        [most @ .., last] => format!(", {} and {last} follow", most.join(", ")),
    };
    let last =
        view.other(super::view::QA).map_or(String::new(), |qa| format!(" {} is last, as always.", qa.name));
    format!("{}{follow}.{last}", starts(&first.name))
}

pub(super) fn please_begin(view: &TaskView) -> String {
    format!(
        "Please begin with \u{201c}{}\u{201d}. Hand it to the next one when you are done.",
        view.task.title
    )
}

pub(super) fn given_to(view: &TaskView, member: &Member) -> String {
    format!(
        "{} gets this. {}",
        member.name,
        one_of(
            view,
            "give",
            &[
                "You will see here when it is in review.",
                "I will see that it gets done; you will read it here."
            ]
        )
    )
}

pub(super) fn no_maker() -> String {
    "No agent in the team can make this. Hire one on the page \u{201c}Agents\u{201d}.".to_owned()
}

pub(super) fn leads_only(view: &TaskView) -> String {
    format!(
        "I plan and decide on \u{201c}{}\u{201d}, I do not build it. Please assign an agent who does.",
        view.task.title
    )
}

pub(super) fn created(title: &str, member: &Member) -> String {
    format!("There is a task now: \u{201c}{title}\u{201d}. {} has it.", member.name)
}

/// The description of a requested task.
pub(super) fn asked_for(word: &str) -> String {
    let quoted: Vec<String> = word.lines().map(|line| format!("> {line}")).collect();
    format!("Asked for like this:\n\n{}", quoted.join("\n"))
}

pub(super) fn where_it_stands(view: &TaskView) -> String {
    let names: Vec<&str> = view.workers().iter().map(|worker| worker.name.as_str()).collect();
    let who = match names.as_slice() {
        [] => "No one is on it".to_owned(),
        [one] => format!("{one} is on it"),
        [most @ .., last] => format!("{} and {last} are on it", most.join(", ")),
    };
    let made = view.last_maker().and_then(|maker| view.made_by(maker));
    let made = made.map_or(String::new(), |id| format!(" The newest result: [Document](/document/{id})."));
    format!("It is {}. {who}.{made}", status_words(view))
}

/// A summary of the board in a few lines.
pub(super) fn board(tasks: &[Value]) -> String {
    const SHOWN: [(&str, &str); 4] = [
        ("review", "In review"),
        ("in_progress", "In progress"),
        ("blocked", "Blocked"),
        ("assigned", "Waiting to begin"),
    ];
    let of = |status: &str| {
        let titles =
            tasks.iter().filter(|task| task["status"] == status).filter_map(|task| task["title"].as_str());
        titles.map(str::to_owned).collect::<Vec<String>>()
    };
    let mut text = "Where we stand:\n".to_owned();
    for (status, words) in SHOWN {
        let titles = of(status);
        if !titles.is_empty() {
            let _ = write!(text, "\n- **{words}:** {}", titles.join("; "));
        }
    }
    let (done, inbox) = (of("done").len(), of("inbox").len());
    let _ = write!(text, "\n- Done: {done}. In the inbox, unassigned: {inbox}.");
    text.push_str("\n\nShall I create a task? Write: \u{201c}Create a task: \u{2026}\u{201d}");
    text
}
