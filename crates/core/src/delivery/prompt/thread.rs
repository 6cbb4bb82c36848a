//! The thread before the message to answer: as many of its newest messages as fit.

use super::Scene;
use super::budget::{Block, Room};
use super::fence::PromptFence;
use mcr_model::{AuthorType, ThreadItem, Word};

const MESSAGES_MAX: usize = 25;
const MESSAGE_CHARS: usize = 1_500;
const AUTHOR_CHARS: usize = 80;

/// The thread's block, which grows backwards.
pub(super) struct Thread<'a> {
    scene: &'a Scene<'a>,
    fence: PromptFence<'a>,
    /// All but the message to answer, oldest first.
    items: Vec<&'a ThreadItem>,
    /// How many of them came after the message to answer.
    later: usize,
    /// The shown messages, newest first.
    shown: Vec<String>,
    is_full: bool,
}

impl<'a> Thread<'a> {
    /// The thread of the scene; `None` if it has no messages to show.
    pub(super) fn new(scene: &'a Scene<'a>) -> Option<Self> {
        let answered = scene.context.message.as_ref().map(|message| &message.id);
        let thread = &scene.context.thread;
        let later = thread.iter().position(|item| Some(&item.message_id) == answered);
        let is_shown =
            |item: &&ThreadItem| Some(&item.message_id) != answered && !scene.is_folded(&item.message_id);
        let later = later.map_or(0, |at| thread[at + 1..].iter().filter(is_shown).count());
        let items: Vec<_> = thread.iter().filter(is_shown).collect();
        let fence = PromptFence(scene.fence);
        (!items.is_empty()).then_some(Self { scene, fence, items, later, shown: Vec::new(), is_full: false })
    }

    /// Takes the space for the surrounding lines; `None` if they do not fit.
    pub(super) fn with_room(self, room: &mut Room) -> Option<Self> {
        let around = [self.opening(), self.missing(usize::MAX), self.turning_point(), self.closing()];
        room.take(&around.join("\n")).then_some(self)
    }

    /// Shows more messages, newest first, up to this total.
    pub(super) fn show(&mut self, up_to: usize, room: &mut Room) {
        while !self.is_full && self.shown.len() < up_to.min(MESSAGES_MAX).min(self.items.len()) {
            let item = self.items[self.items.len() - 1 - self.shown.len()];
            match self.message(item).write(self.fence, room) {
                Some(written) => self.shown.push(written),
                None => self.is_full = true,
            }
        }
    }

    /// How many messages are not shown.
    pub(super) fn left_out(&self) -> usize {
        self.items.len() - self.shown.len()
    }

    /// The block, oldest message first.
    pub(super) fn write(mut self) -> String {
        let mut lines = vec![self.opening()];
        if self.left_out() > 0 {
            lines.push(self.missing(self.left_out()));
        }
        let later = self.later.min(self.shown.len());
        if later > 0 {
            self.shown.insert(later, self.turning_point());
        }
        lines.extend(self.shown.iter().rev().cloned());
        lines.push(self.closing());
        lines.join("\n")
    }

    fn message(&self, item: &'a ThreadItem) -> Block<'a> {
        let (title, author) =
            self.scene.heading(&item.author_type, &item.author_id, item.author_name.as_deref());
        Block {
            title,
            head: Some(format!("{author}, {}:", item.created_at)),
            text: &item.content,
            foot: None,
            chars_max: MESSAGE_CHARS,
            keeps_end: false,
        }
    }

    fn opening(&self) -> String {
        self.fence.line("thread, oldest message first")
    }

    fn missing(&self, count: usize) -> String {
        let messages = if count == 1 { "message is" } else { "messages are" };
        self.fence.line(&format!("cut: {count} older {messages} missing here"))
    }

    fn turning_point(&self) -> String {
        self.fence.line("the message to answer was written here; later messages follow")
    }

    fn closing(&self) -> String {
        self.fence.line("end of the thread")
    }
}

impl Scene<'_> {
    /// The title of a message, and its author.
    pub(super) fn heading(
        &self,
        kind: &Word<AuthorType>,
        id: &str,
        name: Option<&str>,
    ) -> (&'static str, String) {
        let fence = PromptFence(self.fence);
        let is_own = self.context.agent.as_ref().is_some_and(|agent| agent.id.as_str() == id);
        let title = match kind.known() {
            Some(AuthorType::Agent) if is_own => "message by you",
            Some(AuthorType::Agent) => "message by an agent",
            Some(AuthorType::User) => "message by a person",
            None => "message",
        };
        let name = name.or_else(|| self.name_of(id)).map(|name| fence.one_line(name, AUTHOR_CHARS));
        let author = match name {
            Some(name) if !name.is_empty() => name,
            _ => fence.one_line(&format!("{kind}:{id}"), AUTHOR_CHARS),
        };
        (title, author)
    }
    /// The name of an author, if the context contains it.
    fn name_of(&self, id: &str) -> Option<&str> {
        let person = self.context.primary_user_mention.as_ref().filter(|person| person.id.as_str() == id);
        let agent = || self.context.mentionable_agents.agent(id).map(|teammate| teammate.name.as_str());
        person.map(|person| person.name.as_str()).or_else(agent)
    }
}
