//! What agents have caused in one thread since a person last wrote there.

use std::collections::{HashMap, HashSet, VecDeque};

use super::origin::{agent_named, name_in};
use super::team_turn::{CountStart, Fact, TeamLimit, TeamStop, TeamTurn};
use mcr_model::{AuthorType, DeliveryContext, Notification, NotificationId, Task, TeamLimits, is_stop};

/// The most facts that a thread remembers. Further facts are no progress.
const FACTS_MAX: usize = 2_000;

/// How many contents of documents a new count takes over from the earlier ones: the latest. Each is 40 bytes of the next record.
const DOCUMENTS_MAX: usize = 100;

/// The depth of a delivery, and how often the task had made progress by then. Later progress makes it invalid.
#[derive(Clone, Copy, Debug)]
struct Depth {
    hand_offs: u32,
    progress: u32,
    /// The number of the delivery's turn: of two deliveries of an agent, the later one counts.
    number: u32,
}

/// The count of one thread.
#[derive(Clone, Debug, Default)]
pub(super) struct ThreadCount {
    start: CountStart,
    /// The turns that agents have caused.
    turns: u32,
    /// How often the task has made progress.
    progress: u32,
    /// The facts that have been seen.
    seen: HashSet<Fact>,
    /// The contents of documents among them, the latest last. They are no progress in later counts either.
    documents: VecDeque<Fact>,
    /// How many of them were progress.
    news: u32,
    /// Whether the status and the pull request at the start of the count are known.
    has_baseline: bool,
    /// Facts that no record has yet. The next admitted delivery records them.
    unrecorded: Unrecorded,
    by_notification: HashMap<NotificationId, Depth>,
    by_agent: HashMap<String, Depth>,
    /// The first stop since the start of the count.
    stopped: Option<TeamStop>,
    /// When the thread was last used, as a number that only grows.
    pub(super) used: u64,
}

#[derive(Clone, Debug, Default)]
struct Unrecorded {
    baseline: Vec<Fact>,
    news: Vec<Fact>,
}

impl ThreadCount {
    /// Starts the count again. The documents have their content from before, so the same content is no progress.
    pub(super) fn restart(&mut self, start: CountStart) {
        let documents = std::mem::take(&mut self.documents);
        let seen = documents.iter().cloned().collect();
        let unrecorded =
            Unrecorded { baseline: documents.iter().cloned().collect(), ..Unrecorded::default() };
        *self = Self { start, used: self.used, seen, documents, unrecorded, ..Self::default() };
    }

    fn remember_document(&mut self, fact: &Fact) {
        if fact.is_document() {
            self.documents.retain(|known| known != fact);
            self.documents.push_back(fact.clone());
            let too_many = self.documents.len().saturating_sub(DOCUMENTS_MAX);
            self.documents.drain(..too_many);
        }
    }

    pub(super) fn start(&self) -> CountStart {
        self.start
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Sees the last message of a person in this context, except `/stop`. A later one starts the count again.
    pub(super) fn hear(&mut self, context: &DeliveryContext) {
        let thread = context.thread.iter().map(|item| (&item.author_type, &item.content, item.created_at));
        let message = context.message.iter().map(|one| (&one.author_type, &one.content, one.created_at));
        let by_a_person = thread
            .chain(message)
            .filter(|(author, content, _)| **author == AuthorType::User && !is_stop(author, content));
        let last = by_a_person.map(|(_, _, message_at)| CountStart { message_at, retries: 0 }).max();
        if let Some(start) = last.filter(|start| *start > self.start) {
            self.restart(start);
        }
    }

    /// Sees the state of the task. At the start of a count it is the baseline, and later states may be progress.
    pub(super) fn see_task(&mut self, task: &Task) {
        let linked = task.metadata.as_ref().and_then(|metadata| metadata.pr_number);
        let facts = [Some(Fact::status(&task.status)), linked.map(Fact::pull_request)];
        let has_baseline = std::mem::replace(&mut self.has_baseline, true);
        for fact in facts.into_iter().flatten() {
            if has_baseline {
                self.see(fact);
            } else if self.seen.insert(fact.clone()) {
                self.unrecorded.baseline.push(fact);
            }
        }
    }

    /// Sees a fact. A new one is progress.
    pub(super) fn see(&mut self, fact: Fact) {
        self.remember_document(&fact);
        if self.seen.len() < FACTS_MAX && self.seen.insert(fact.clone()) {
            self.unrecorded.news.push(fact);
            self.news += 1;
            self.progress += 1;
        }
    }

    /// The limit at which a turn of this depth stops, if it does.
    fn limit(&self, depth: u32, limits: TeamLimits) -> Option<TeamLimit> {
        let earned = self.progress.saturating_mul(limits.turns_per_progress);
        if limits.turns_hard_max > 0 && self.turns >= limits.turns_hard_max {
            Some(TeamLimit::HardTurns)
        } else if limits.turns_max > 0 && self.turns >= limits.turns_max.saturating_add(earned) {
            Some(TeamLimit::Turns)
        } else if limits.depth_max > 0 && depth > limits.depth_max {
            Some(TeamLimit::Depth)
        } else {
            None
        }
    }

    /// Counts a turn that a person caused: it is never stopped, and starts a chain of hand-offs.
    pub(super) fn admit_person(&mut self, context: &DeliveryContext, previous: TeamTurn) -> TeamTurn {
        self.enter(context, 0, 0);
        self.facts(previous, 0, 0)
    }

    /// Whether a turn that an agent caused would be stopped.
    pub(super) fn stops(
        &self,
        context: &DeliveryContext,
        previous: Option<&TeamTurn>,
        limits: TeamLimits,
    ) -> bool {
        let depth = self.depth_of_cause(context).saturating_add(1);
        !previous.is_some_and(TeamTurn::is_counted) && self.limit(depth, limits).is_some()
    }

    /// Counts a turn that an agent caused, or stops it. A turn that is counted already is not counted again.
    pub(super) fn admit_agent(
        &mut self,
        context: &DeliveryContext,
        previous: TeamTurn,
        limits: TeamLimits,
    ) -> TeamTurn {
        if previous.is_counted() {
            let (number, depth) = (previous.number, previous.depth);
            return self.facts(previous, number, depth);
        }
        let depth = self.depth_of_cause(context).saturating_add(1);
        if let Some(limit) = self.limit(depth, limits) {
            let stop = TeamStop { limit, turns: self.turns, is_first: self.stopped.is_none() };
            self.stopped.get_or_insert(stop);
            let turn = self.facts(previous, 0, depth);
            return TeamTurn { stop: Some(stop), ..turn };
        }
        self.turns += 1;
        self.enter(context, self.turns, depth);
        self.facts(previous, self.turns, depth)
    }

    /// Remembers the depth of a delivery, for the rows that it causes.
    fn enter(&mut self, context: &DeliveryContext, number: u32, depth: u32) {
        let row = &context.notification;
        let depth = Depth { hand_offs: depth, progress: self.progress, number };
        self.by_notification.insert(row.id.clone(), depth);
        self.by_agent.insert(row.recipient_id.clone(), depth);
    }

    /// The facts for the record of a delivery, with those that no record has.
    fn facts(&mut self, previous: TeamTurn, number: u32, depth: u32) -> TeamTurn {
        let Unrecorded { baseline, news } = std::mem::take(&mut self.unrecorded);
        let (start, progress) = (self.start, self.progress);
        let mut turn = TeamTurn {
            number,
            depth,
            progress,
            stop: None,
            is_renewed: false,
            is_retried: false,
            ..if previous.start == start { previous } else { TeamTurn::at(start) }
        };
        turn.baseline.extend(baseline);
        turn.news.extend(news);
        turn
    }

    /// The depth of the delivery that caused the row. If it is not known, a person may have caused that delivery: 0.
    fn depth_of_cause(&self, context: &DeliveryContext) -> u32 {
        let source = context.message.as_ref().and_then(|message| message.source_notification_id.as_ref());
        let known = match source {
            Some(id) => self.by_notification.get(id),
            // A message that a tool posted, or a further part of an answer, names no notification.
            None => author(context).and_then(|id| self.by_agent.get(id)),
        };
        known.filter(|known| known.progress == self.progress).map_or(0, |known| known.hand_offs)
    }

    /// Takes over the facts of a delivery that an earlier process has recorded.
    pub(super) fn recall(&mut self, row: &Notification, turn: &TeamTurn) {
        self.turns = self.turns.max(turn.number);
        self.has_baseline |= turn.baseline.iter().any(|fact| !fact.is_document());
        for fact in turn.baseline.iter().chain(&turn.news) {
            self.remember_document(fact);
        }
        // What a record has need not be recorded again.
        self.unrecorded.baseline.retain(|fact| !turn.baseline.contains(fact));
        self.seen.extend(turn.baseline.iter().cloned());
        for fact in &turn.news {
            self.news += u32::from(self.seen.insert(fact.clone()));
        }
        self.progress = self.progress.max(turn.progress).max(self.news);
        self.stopped = self.stopped.or(turn.stop);
        if turn.stop.is_none() {
            let depth = Depth { hand_offs: turn.depth, progress: turn.progress, number: turn.number };
            self.by_notification.insert(row.id.clone(), depth);
            let last = self.by_agent.entry(row.recipient_id.clone()).or_insert(depth);
            if depth.number >= last.number {
                *last = depth;
            }
        }
    }
}

/// The id of the agent that caused the row: the author of its message, or the agent that its texts name.
fn author(context: &DeliveryContext) -> Option<&str> {
    if let Some(message) = &context.message {
        return Some(&message.author_id);
    }
    let agent = agent_named(&context.mentionable_agents, name_in(&context.notification)?)?;
    Some(agent.id.as_str())
}
