//! Mara, the squad lead: she assigns work, decides who starts, and talks with the person.

use serde_json::{Value, json};

use super::Member;
use super::answers;
use super::lines;
use super::plan::{AgentPlan, Results};
use super::view::{TaskView, is_maker, only_asks, words_of};
use super::worker::request;
use mcr_model::NotificationType::{self, Assignment, Mention, ResponseRequest, ThreadUpdate};
use mcr_model::{AuthorType, TaskStatus};

/// The maximum length of a title taken from a message.
const TITLE_CHARS: usize = 80;
/// The number of tasks she lists.
const LISTED: usize = 30;

/// Words that show which agent should do the work.
const TRADES: [(&str, &[&str]); 2] = [
    (
        "designer",
        &[
            "design", "layout", "colour", "colours", "color", "colors", "look", "looks", "logo", "draw",
            "sketch", "picture", "icon",
        ],
    ),
    (
        "writer",
        &[
            "write",
            "text",
            "texts",
            "word",
            "words",
            "explain",
            "message",
            "guide",
            "questions",
            "names",
            "describe",
            "page",
            "tell",
            "letter",
        ],
    ),
];
const ANYTHING_ELSE: &str = "engineer";

pub(super) fn decide(view: &TaskView, kind: Option<NotificationType>) -> AgentPlan {
    if view.task.is_orchestrator_chat() {
        return match kind {
            Some(Mention | ThreadUpdate) => {
                view.unanswered_word().map_or_else(AgentPlan::nothing, |word| talk(view, word))
            }
            Some(Assignment | ResponseRequest) => overview(),
            _ => AgentPlan::nothing(),
        };
    }
    match kind {
        Some(Mention) => mentioned(view, view.last_word().unwrap_or_default()),
        Some(ThreadUpdate) => thread_updated(view),
        Some(ResponseRequest) if view.task.assigned_agent_ids.is_empty() => assign(view),
        Some(ResponseRequest) => AgentPlan::say(lines::where_it_stands(view)),
        Some(Assignment) => AgentPlan::say(lines::leads_only(view)),
        _ => AgentPlan::nothing(),
    }
}

/// A person writes in her own chat.
fn talk(view: &TaskView, word: &str) -> AgentPlan {
    match wanted_task(word) {
        Some(title) => create(view, &title, word),
        None => answer(view, word).unwrap_or_else(overview),
    }
}

/// The answer to a question about a fact or about something unknown. `None` for the progress, and for requests.
fn answer(view: &TaskView, word: &str) -> Option<AgentPlan> {
    if !only_asks(word) {
        return None;
    }
    let text = match answers::topic(word) {
        Some(topic) => answers::fact(view, topic)?,
        None => answers::unknown(view),
    };
    Some(AgentPlan::say(text))
}

/// A person mentions her on a task.
fn mentioned(view: &TaskView, word: &str) -> AgentPlan {
    match wanted_task(word) {
        Some(title) => create(view, &title, word),
        None => answer(view, word).unwrap_or_else(|| {
            if is_free(view) { assign(view) } else { AgentPlan::say(lines::where_it_stands(view)) }
        }),
    }
}

/// The thread has a new message. She replies only if the work would not continue otherwise.
fn thread_updated(view: &TaskView) -> AgentPlan {
    let by_person = view.newest().is_some_and(|item| item.author_type == AuthorType::User);
    match view.status() {
        _ if by_person && is_free(view) => assign(view),
        Some(TaskStatus::Assigned | TaskStatus::InProgress) if !by_person => begin(view),
        _ => AgentPlan::nothing(),
    }
}

fn is_free(view: &TaskView) -> bool {
    view.status() == Some(TaskStatus::Inbox) && view.task.assigned_agent_ids.is_empty()
}

/// An assigned agent waits to start: she says once which agent starts.
fn begin(view: &TaskView) -> AgentPlan {
    let workers = view.workers();
    let [first, behind @ ..] = workers.as_slice() else { return AgentPlan::nothing() };
    let waits = view.newest().is_some_and(|item| lines::is_acknowledgement(&item.content));
    let called = view.is_called(first);
    let begun = view.made_by(first).is_some() || view.have_said(&lines::starts(&first.name));
    if !waits || called || begun {
        return AgentPlan::nothing();
    }
    AgentPlan::say(lines::order(view, first, behind))
        .after("response_request", request(view, &first.slug, &lines::please_begin(view)))
}

/// Assigns the right agent to a task without assignees.
fn assign(view: &TaskView) -> AgentPlan {
    let word = view.last_word().unwrap_or_default();
    let text = format!("{} {} {word}", view.task.title, view.description());
    let Some(member) = view.named_in(word).or_else(|| best_agent(view, &text)) else {
        return AgentPlan::say(lines::no_maker());
    };
    AgentPlan::say(lines::given_to(view, member))
        .after("task_assign", json!({"taskId": view.task.id.as_str(), "assigneeSlugs": [member.slug]}))
}

fn create(view: &TaskView, title: &str, word: &str) -> AgentPlan {
    let Some(member) = view.named_in(word).or_else(|| best_agent(view, title)) else {
        return AgentPlan::say(lines::no_maker());
    };
    let draft = json!({
        "title": title, "description": lines::asked_for(word), "assigneeSlugs": [member.slug],
    });
    AgentPlan::say(lines::created(title, member)).after("task_create", draft)
}

fn best_agent<'a>(view: &'a TaskView, text: &str) -> Option<&'a Member> {
    let words = words_of(text);
    let fits = |trade: &[&str]| trade.iter().any(|word| words.iter().any(|said| said == word));
    let trade = TRADES.into_iter().find(|(_, trade)| fits(trade)).map_or(ANYTHING_ELSE, |(slug, _)| slug);
    view.other(trade).or_else(|| view.roll().iter().find(|member| is_maker(member)))
}

/// The title of the task that the person asks for, if any.
fn wanted_task(word: &str) -> Option<String> {
    const VERBS: [&str; 5] = ["create", "make", "add", "open", "new"];
    let words = words_of(word);
    let wants =
        words.iter().any(|said| said == "task") && words.iter().any(|said| VERBS.contains(&said.as_str()));
    if !wants {
        return None;
    }
    let at = word.to_ascii_lowercase().find("task")? + "task".len();
    let rest = word[at..].split('\n').find(|line| !line.trim().is_empty())?;
    let rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
    let small = ["to ", "for ", "that ", "called ", "named ", "about "];
    let rest = small.iter().find_map(|small| rest.strip_prefix(small)).unwrap_or(rest);
    let title: String = rest
        .trim_matches(|c: char| c.is_whitespace() || ".!?\"'".contains(c))
        .chars()
        .take(TITLE_CHARS)
        .collect();
    let mut letters = title.chars();
    let first = letters.next()?;
    Some(first.to_uppercase().chain(letters).collect())
}

fn overview() -> AgentPlan {
    AgentPlan::tell(|results: &Results| lines::board(results.tasks()))
        .after("task_list", Value::from_iter([("limit", LISTED)]))
}
