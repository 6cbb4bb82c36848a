//! Writes the input: what has happened, from the surroundings to the message itself, and what is wanted now
//! (§4.6).

use super::Scene;
use super::budget::{Block, Room, list};
use super::fence::PromptFence;
use super::files;
use super::people::lines;
use super::thread::Thread;
use crate::delivery::policy;
use mcr_model::limits::chars;
use mcr_model::{NotificationType, ReferenceDoc, Task, TaskOverview, Team};

const TITLE_CHARS: usize = 500;
const ID_CHARS: usize = 128;
const BODY_CHARS: usize = 15_000;
const DOCUMENT_CHARS: usize = 4_000;
const LATEST_MESSAGES: usize = 5;
/// The space for the line that names everything left out.
const LEFT_OUT_CHARS: usize = 240;
const DIGESTS_PER_STATUS: usize = 3;

/// Sent after the marker if the agent may have seen the request before.
const REPEAT: &str = "(This request was interrupted and is sent again. Check the conversation for work \
                      already done. Do not repeat it. Do the rest and answer now.)";

const NO_REPOSITORY: &str = "No repository document was found. If you need the repository, ask the orchestrator or the \
                             owner for a document titled `Repository — Primary`.";

/// Writes the input, in at most this space. Returns also the places of the folded notifications that do not fit.
pub(super) fn write(scene: &Scene<'_>, room: usize) -> (String, Vec<usize>) {
    let context = scene.context;
    let fence = PromptFence(scene.fence);
    let mut room = Room(room);

    // The parts that are always present.
    let head = head(scene, fence);
    let title = format!("**{}**", fence.one_line(&context.notification.title, TITLE_CHARS));
    let title_alone = [fence.line("notification"), title.clone(), fence.line("end")].join("\n");
    let task = context.task.as_ref().map(|task| facts(fence, task));
    let tail = tail(scene, fence);
    for part in head.iter().chain([&title_alone]).chain(&task).chain(&tail) {
        room.take(part);
    }
    // Space for the line that names the parts left out.
    room.0 = room.0.saturating_sub(LEFT_OUT_CHARS);

    // In the order of importance.
    let mut parts = Parts { fence, room, left_out: Vec::new() };
    let message = message(scene, fence, &mut parts.room);
    let body = Block {
        title: "notification",
        head: Some(title),
        text: &context.notification.body,
        foot: None,
        chars_max: BODY_CHARS,
        keeps_end: false,
    };
    // The title's space is taken already.
    parts.room.0 += chars(&title_alone) + 1;
    let body = body.write(fence, &mut parts.room);
    let body = parts
        .noted("notification text", body)
        .or_else(|| parts.room.take(&title_alone).then_some(title_alone));
    let (folded, unfit) = scene.folded_blocks(&mut parts.room);
    let description = context.task.as_ref().and_then(|task| task.description.as_deref());
    let description = parts.block("task description", description.unwrap_or_default(), DOCUMENT_CHARS);
    let mut thread = Thread::new(scene).and_then(|thread| {
        let thread = thread.with_room(&mut parts.room);
        parts.noted("thread", thread)
    });
    if let Some(thread) = &mut thread {
        thread.show(LATEST_MESSAGES, &mut parts.room);
    }
    let shared = parts.list("also on this task", &lines(fence, scene.others_on_the_task()));
    let person = parts.list("person to contact", &Vec::from_iter(scene.person(fence)));
    let agents = parts.list("agents you can ask", &lines(fence, scene.can_be_asked()));
    let repository = match content(context.repository_doc.as_ref()) {
        "" => parts.room.take(NO_REPOSITORY).then(|| NO_REPOSITORY.to_owned()),
        text => parts.block("repository", text, DOCUMENT_CHARS),
    };
    let briefing = content(context.global_briefing_doc.as_ref());
    let briefing = parts.block("account briefing", briefing, DOCUMENT_CHARS);
    let board = context.task_overview.as_ref();
    let board = board.map_or(String::new(), |board| overview(fence, board, &context.mentionable_agents));
    let board = parts.block("board overview", &board, DOCUMENT_CHARS);
    if let Some(thread) = &mut thread {
        thread.show(usize::MAX, &mut parts.room);
    }
    let thread = thread.map(Thread::write);
    let left_out = parts.left_out;
    let left_out = (!left_out.is_empty()).then(|| format!("Left out for length: {}.", left_out.join(", ")));

    // In the order of reading.
    let surroundings = [body, task, description, shared, repository, briefing, board, agents, person];
    let parts = head.into_iter().chain(surroundings.into_iter().flatten());
    let parts = parts.chain([thread, folded, message, left_out].into_iter().flatten()).chain(tail);
    (parts.collect::<Vec<_>>().join("\n"), unfit)
}

/// The parts that get space while some is left.
struct Parts<'a> {
    fence: PromptFence<'a>,
    room: Room,
    left_out: Vec<&'static str>,
}

impl Parts<'_> {
    /// A block of foreign text; `None` if it is blank.
    fn block(&mut self, title: &'static str, text: &str, chars_max: usize) -> Option<String> {
        if text.trim().is_empty() {
            return None;
        }
        let block = Block { title, head: None, text, foot: None, chars_max, keeps_end: false };
        let written = block.write(self.fence, &mut self.room);
        self.noted(title, written)
    }

    /// A block of foreign lines; `None` if there are none.
    fn list(&mut self, title: &'static str, lines: &[String]) -> Option<String> {
        if lines.is_empty() {
            return None;
        }
        let written = list(self.fence, title, lines, &mut self.room);
        self.noted(title, written)
    }

    fn noted<T>(&mut self, title: &'static str, written: Option<T>) -> Option<T> {
        if written.is_none() {
            self.left_out.push(title);
        }
        written
    }
}

fn content(document: Option<&ReferenceDoc>) -> &str {
    document.map_or("", |document| document.content.trim())
}

/// The marker, the note on a repetition, the kind of notification, and the time.
fn head(scene: &Scene<'_>, fence: PromptFence<'_>) -> Vec<String> {
    let row = &scene.context.notification;
    let kind = fence.one_line(&row.kind.to_string(), ID_CHARS);
    let reason = match row.kind.known() {
        Some(NotificationType::Mention) => "you were mentioned in a thread",
        Some(NotificationType::Assignment) => "you were assigned to a task",
        Some(NotificationType::ThreadUpdate) => "a thread that you follow has a new message",
        Some(NotificationType::StatusChange) => "the status of a task changed",
        Some(NotificationType::ResponseRequest) => "another agent asks you for a response",
        _ => "something happened",
    };
    let mut head = vec![scene.marker.to_owned()];
    if scene.repeat {
        head.push(REPEAT.to_owned());
    }
    head.push(format!("Notification ({kind}): {reason}. The time is {}.", scene.now));
    head
}

/// The title, the status, and its reason.
fn facts(fence: PromptFence<'_>, task: &Task) -> String {
    let mut lines = vec![
        fence.line("task"),
        format!("Title: {}", fence.one_line(&task.title, TITLE_CHARS)),
        format!("Status: {}", fence.one_line(&task.status.to_string(), ID_CHARS)),
        format!("Id: {}", fence.one_line(task.id.as_str(), ID_CHARS)),
    ];
    if let Some(reason) = task.blocked_reason.as_deref().filter(|reason| !reason.trim().is_empty()) {
        lines.push(format!("Blocked because: {}", fence.one_line(reason, TITLE_CHARS)));
    }
    lines.push(fence.line("end"));
    lines.join("\n")
}

/// The message of the notification.
fn message(scene: &Scene<'_>, fence: PromptFence<'_>, room: &mut Room) -> Option<String> {
    let message = scene.context.message.as_ref()?;
    let item = scene.context.thread.iter().find(|item| item.message_id == message.id);
    let name = item.and_then(|item| item.author_name.as_deref());
    let (_, author) = scene.heading(&message.author_type, &message.author_id, name);
    let who = fence.one_line(&format!("{}:{}", message.author_type, message.author_id), ID_CHARS);
    let id = fence.one_line(message.id.as_str(), ID_CHARS);
    let author = if author == who { author } else { format!("{author} ({who})") };
    let head = Some(format!("{author}, {}, message {id}:", message.created_at));
    let text = message.content.as_str();
    let foot = files::lines(fence, &message.attachments);
    Block { title: "message to answer", head, text, foot, chars_max: usize::MAX, keeps_end: true }
        .write(fence, room)
}

/// The number of tasks in each status, and the first ones.
fn overview(fence: PromptFence<'_>, board: &TaskOverview, agents: &Team) -> String {
    let totals: Vec<String> = board.totals.iter().map(|at| format!("{}={}", at.status, at.count)).collect();
    let mut lines = vec![totals.join("; ")];
    for group in board.top_tasks.iter().filter(|group| !group.tasks.is_empty()) {
        lines.push(format!("{}:", group.status));
        for task in group.tasks.iter().take(DIGESTS_PER_STATUS) {
            let title = fence.one_line(&task.title, 120);
            let mut on_it: Vec<String> =
                task.assigned_agent_ids.iter().map(|id| label(fence, agents, id.as_str())).collect();
            match task.assigned_user_ids.len() {
                0 => {}
                1 => on_it.push("1 person".to_owned()),
                people => on_it.push(format!("{people} people")),
            }
            let on_it = if on_it.is_empty() { "unassigned".to_owned() } else { on_it.join(", ") };
            lines.push(format!("- P{} {title} [{}]: {on_it}", task.priority, task.task_id));
        }
    }
    lines.join("\n")
}

/// An agent's slug, else its name, else its id; in quotation marks if it contains blanks.
fn label(fence: PromptFence<'_>, agents: &Team, id: &str) -> String {
    let teammate = agents.agent(id);
    let words = teammate.map_or([id, "", ""], |teammate| [&teammate.slug, &teammate.name, id]);
    let label = words.into_iter().find(|word| !word.trim().is_empty()).unwrap_or_default();
    let label = fence.one_line(label, 80);
    if label.contains(' ') { format!("\"{label}\"") } else { label }
}

/// The request itself, at the end, where it is read last.
fn tail(scene: &Scene<'_>, fence: PromptFence<'_>) -> Vec<String> {
    let wanted = if scene.is_assignment() {
        if policy::is_multi_assignee(scene.context) {
            "Now acknowledge the assignment and coordinate, in a few sentences."
        } else {
            "Now acknowledge the assignment, in one or two sentences."
        }
    } else if super::status::is_done(scene) {
        "Now reply, in one or two sentences."
    } else {
        "Now reply. Use the headings Summary, Work done, Artifacts, Risks, Next step and Sources for a \
         substantive update only. Otherwise write one or two sentences without headings."
    };
    let id = fence.one_line(scene.context.notification.id.as_str(), ID_CHARS);
    vec![wanted.to_owned(), "---".to_owned(), format!("Notification ID: {id}")]
}
