//! Keeps waiting events with their agents when the roster changes.

use std::collections::btree_map::Entry;

use super::{EVENTS_MAX, Inbox, PAUSE, WakeQueues};
use mcr_model::clock::Millis;
use mcr_model::{Agent, AgentId, Roster};

impl WakeQueues {
    /// Records which agent has this slug, unless its events already have an owner.
    pub fn set_agent(&mut self, slug: &str, agent: &AgentId) {
        let Some(inbox) = self.agents.get_mut(slug).filter(|inbox| inbox.agent.is_none()) else { return };
        inbox.agent = Some(agent.clone());
        self.changes += 1;
    }

    /// The slug under which the agent's events are kept: its former one until [`WakeQueues::tidy`] has moved them.
    pub fn slug_of<'a>(&'a self, agent: &AgentId, slug: &'a str) -> &'a str {
        let owned = self.agents.iter().find(|(_, inbox)| inbox.agent.as_ref() == Some(agent));
        owned.map_or(slug, |(kept, _)| kept)
    }

    /// Adapts the queues to a roster: events follow their agent to its new slug. Removes old empty queues, and queues of
    /// agents that are gone. Returns the slugs of the latter with their numbers of deleted events.
    pub fn tidy(&mut self, roster: &Roster, now: Millis) -> Vec<(String, usize)> {
        let mut deleted = Vec::new();
        let before = self.agents.len();
        let mut is_changed = false;
        for (slug, mut inbox) in std::mem::take(&mut self.agents) {
            let recent = inbox.woken.is_some_and(|at| now.since(at) < PAUSE);
            if !recent && inbox.due.is_none() && inbox.events.is_empty() {
                continue;
            }
            if inbox.agent.is_none() {
                inbox.agent = roster.by_slug(&slug).map(|agent| agent.id.clone());
                is_changed |= inbox.agent.is_some();
            }
            let is_gone =
                inbox.agent.as_ref().map_or_else(|| !roster.is_unconfirmed(), |agent| roster.is_gone(agent));
            if is_gone {
                let events = inbox.events.len();
                self.dropped += events as u64;
                deleted.extend((events > 0).then_some((slug, events)));
                continue;
            }
            let agent = inbox.agent.as_ref().and_then(|agent| roster.agent(agent));
            // Of two agents with one slug, only the first receives its events.
            let is_first =
                |agent: &&Agent| roster.by_slug(&agent.slug).is_some_and(|first| first.id == agent.id);
            let moved =
                agent.filter(is_first).map_or_else(|| slug.clone(), |agent| agent.slug.to_lowercase());
            is_changed |= moved != slug;
            match self.agents.entry(moved) {
                Entry::Vacant(free) => drop(free.insert(inbox)),
                Entry::Occupied(mut other) => self.dropped += other.get_mut().add(inbox),
            }
        }
        self.changes += u64::from(is_changed || self.agents.len() != before);
        deleted
    }
}

impl Inbox {
    /// Adds the events of another queue of the same agent. Returns how many are displaced.
    fn add(&mut self, other: Self) -> u64 {
        self.events.extend(other.events);
        self.events.make_contiguous().sort_by_key(|event| event.number);
        let displaced = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..displaced);
        self.dropped += other.dropped + displaced as u64;
        self.woken = self.woken.max(other.woken);
        self.due = [self.due, other.due].into_iter().flatten().min();
        self.agent = self.agent.take().or(other.agent);
        displaced as u64
    }
}
