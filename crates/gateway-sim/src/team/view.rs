//! What an agent has loaded: the task, its thread, and the team.

use serde::Deserialize;
use serde_json::Value;

use super::Member;
use super::lines::is_acknowledgement;
use mcr_model::{AuthorType, Task, TaskStatus, ThreadItem};

/// The slugs of the special roles.
pub(super) const LEAD: &str = "squad-lead";
pub(super) const QA: &str = "qa";
/// The order of work when several agents are assigned. Other agents come last.
const ORDER: [&str; 3] = ["designer", "engineer", "writer"];
/// The link to a document in a message.
const LINK: &str = "](/document/";

/// One task from the perspective of one agent.
pub(super) struct TaskView {
    pub(super) task: Task,
    thread: Vec<ThreadItem>,
    roll: Vec<Member>,
    pub(super) me: Member,
}

#[derive(Deserialize)]
struct Loaded {
    task: Task,
    thread: Vec<ThreadItem>,
}

impl TaskView {
    /// Parses the result of `task_load`. Returns `None` if it is malformed or the agent is not in the team.
    pub(super) fn of(data: &Value, roll: Vec<Member>, slug: &str) -> Option<Self> {
        let Loaded { task, thread } = Loaded::deserialize(data).ok()?;
        let me = roll.iter().find(|member| member.slug == slug)?.clone();
        Some(Self { task, thread, roll, me })
    }

    pub(super) fn status(&self) -> Option<TaskStatus> {
        self.task.status.known()
    }

    pub(super) fn description(&self) -> &str {
        self.task.description.as_deref().unwrap_or_default()
    }

    pub(super) fn roll(&self) -> &[Member] {
        &self.roll
    }

    /// The member with this slug, if it exists and is another agent.
    pub(super) fn other(&self, slug: &str) -> Option<&Member> {
        self.roll.iter().find(|member| member.slug == slug && member.id != self.me.id)
    }

    fn by_me(&self, item: &ThreadItem) -> bool {
        item.author_id == self.me.id
    }

    pub(super) fn am_assigned(&self) -> bool {
        self.is_assigned(&self.me)
    }

    fn is_assigned(&self, member: &Member) -> bool {
        self.task.assigned_agent_ids.iter().any(|id| id.as_str() == member.id)
    }

    /// The assigned agents that produce results, in the order of work.
    pub(super) fn workers(&self) -> Vec<&Member> {
        let mut workers: Vec<&Member> =
            self.roll.iter().filter(|member| is_maker(member) && self.is_assigned(member)).collect();
        workers
            .sort_by_key(|worker| ORDER.iter().position(|slug| *slug == worker.slug).unwrap_or(ORDER.len()));
        workers
    }

    /// The agent responsible now: the first without a result, otherwise the last.
    pub(super) fn holder(&self) -> Option<&Member> {
        let workers = self.workers();
        let next = workers.iter().find(|worker| self.made_by(worker).is_none());
        next.or_else(|| workers.last()).copied()
    }

    /// The next agent after this one without a result.
    pub(super) fn next(&self) -> Option<&Member> {
        let workers = self.workers();
        let mut behind = workers.into_iter().skip_while(|worker| worker.id != self.me.id).skip(1);
        behind.find(|worker| self.made_by(worker).is_none())
    }

    /// The last document that a member has linked.
    pub(super) fn made_by(&self, member: &Member) -> Option<&str> {
        let mut theirs = self.thread.iter().rev().filter(|item| item.author_id == member.id);
        theirs.find_map(|item| item.content.rsplit_once(LINK)?.1.split(')').next())
    }

    /// The agent that linked a document last.
    pub(super) fn last_maker(&self) -> Option<&Member> {
        let made = |item: &&ThreadItem| item.content.contains(LINK);
        let item = self.thread.iter().rev().find(made)?;
        self.roll.iter().find(|member| member.id == item.author_id && is_maker(member))
    }

    /// Whether this agent has posted a message that contains these words.
    pub(super) fn have_said(&self, words: &str) -> bool {
        self.thread.iter().any(|item| self.by_me(item) && item.content.contains(words))
    }

    /// The newest message.
    pub(super) fn newest(&self) -> Option<&ThreadItem> {
        self.thread.last()
    }

    /// The last message of a person.
    pub(super) fn last_word(&self) -> Option<&str> {
        let item = self.thread.iter().rev().find(|item| item.author_type == AuthorType::User)?;
        Some(&item.content)
    }

    /// The last message of a person, if this agent has not posted since.
    pub(super) fn unanswered_word(&self) -> Option<&str> {
        self.new_words().next()
    }

    /// Whether a person has mentioned this member and waits for it. An acknowledgement does not count as a response.
    pub(super) fn is_called(&self, member: &Member) -> bool {
        let mut since = self.thread.iter().rev().take_while(|item| item.author_type != AuthorType::User);
        let silent = since.all(|item| item.author_id != member.id || is_acknowledgement(&item.content));
        silent
            && self
                .last_word()
                .and_then(|word| self.named_in(word))
                .is_some_and(|named| named.id == member.id)
    }

    /// The messages of people since this agent last posted, newest first.
    pub(super) fn new_words(&self) -> impl Iterator<Item = &str> {
        let since = self.thread.iter().rev().take_while(|item| !self.by_me(item));
        since.filter(|item| item.author_type == AuthorType::User).map(|item| item.content.as_str())
    }

    /// Whether any message contains these words.
    pub(super) fn was_said(&self, words: &str) -> bool {
        self.thread.iter().any(|item| item.content.contains(words))
    }

    /// The member whose slug or name a text contains.
    pub(super) fn named_in(&self, text: &str) -> Option<&Member> {
        let words: Vec<String> = words_of(text);
        let named = |member: &&Member| {
            let is = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
            is(&member.slug) || is(&member.name)
        };
        self.roll.iter().filter(|member| is_maker(member)).find(named)
    }
}

/// Whether a member produces results, rather than leading or reviewing.
pub(super) fn is_maker(member: &Member) -> bool {
    ![LEAD, QA].contains(&member.slug.as_str())
}

/// The words of a text, without punctuation around them.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether a text is a pure question without a request.
pub(super) fn only_asks(text: &str) -> bool {
    const WISHES: [&str; 8] = ["please", "write", "make", "build", "draw", "create", "change", "add"];
    const POLITE: [&str; 4] = ["can", "could", "would", "will"];
    let words = words_of(text);
    let asks_for_it = words.windows(2).any(|pair| POLITE.contains(&pair[0].as_str()) && pair[1] == "you");
    let wishes = words.iter().any(|word| WISHES.contains(&word.as_str()));
    text.trim_end().ends_with('?') && !asks_for_it && !wishes
}

/// Whether a text contains only a greeting or thanks.
pub(super) fn is_small_talk(text: &str) -> bool {
    const WORDS: [&str; 20] = [
        "hello",
        "hi",
        "hey",
        "thanks",
        "thank",
        "you",
        "great",
        "good",
        "morning",
        "evening",
        "ok",
        "okay",
        "nice",
        "well",
        "done",
        "very",
        "much",
        "so",
        "everybody",
        "all",
    ];
    let said: Vec<&str> = text.split_whitespace().filter(|word| !word.starts_with('@')).collect();
    words_of(&said.join(" ")).iter().all(|word| WORDS.contains(&word.as_str()))
}
