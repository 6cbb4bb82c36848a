//! The operators' pauses: no turns begin for some agents, or for all.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::delivery::operator_requests::Hold;
use crate::spans::counted;
use mcr_model::{Agent, AgentId, Roster};

/// The paused agents. It is stored as JSON and survives restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    /// All agents.
    pub all: bool,
    /// These agents, by slug or id, as the operator named them.
    pub agents: BTreeSet<String>,
}

impl Paused {
    /// Reads the stored form. An unreadable text pauses all agents, because an operator wanted some pause.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Self { all: true, agents: BTreeSet::new() })
    }

    /// The stored form.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts in a set are always JSON")
    }

    /// Whether no agent is paused.
    pub fn is_empty(&self) -> bool {
        !self.all && self.agents.is_empty()
    }

    /// Applies `clean` to the names. Without a roster a name may be any text.
    #[must_use]
    pub fn cleaned(self, clean: &dyn Fn(&str) -> String) -> Self {
        Self { agents: self.agents.iter().map(|name| clean(name)).collect(), ..self }
    }

    /// Pauses this agent, or all.
    pub fn pause(&mut self, agent: Option<&str>) {
        match agent {
            Some(agent) => {
                self.agents.insert(agent.to_owned());
            }
            None => self.all = true,
        }
    }

    /// Ends the pause of this agent, by any of its names, or all pauses. Returns how many ended.
    pub fn resume(&mut self, agent: Option<&str>, roster: &Roster) -> usize {
        let before = self.count();
        if let Some(agent) = agent {
            let known = find(roster, agent);
            self.agents.retain(|name| {
                name != agent
                    && known.is_none_or(|known| find(roster, name).is_none_or(|other| other.id != known.id))
            });
        } else {
            *self = Self::default();
        }
        before - self.count()
    }

    fn count(&self) -> usize {
        usize::from(self.all) + self.agents.len()
    }

    /// Whether this agent, by slug or id, is paused.
    pub fn holds(&self, slug: &str, id: &str) -> bool {
        self.all || self.agents.contains(slug) || self.agents.contains(id)
    }

    /// The pauses in a sentence, with the command that ends them.
    pub fn in_words(&self) -> String {
        let names: Vec<&str> = self.agents.iter().map(String::as_str).collect();
        match (self.all, &names[..]) {
            (false, []) => "Nothing is paused.".to_owned(),
            (true, []) => "Everything is paused: no new turns begin; `resume` ends that.".to_owned(),
            (true, names) => {
                let each = if names.len() == 1 { "itself" } else { "themselves" };
                format!(
                    "Everything is paused (and {} by {each}): no new turns begin; `resume` ends all of that.",
                    names.join(", ")
                )
            }
            (false, [name]) => format!("Paused: {name}; `resume --agent {name}` ends that."),
            (false, [name, ..]) => format!(
                "Paused: {}; `resume --agent {name}` ends that of {name}, `resume` all of them.",
                names.join(", ")
            ),
        }
    }

    /// The answer to `resume`, after this many pauses ended.
    pub fn after_resume(&self, ended: usize) -> String {
        let ended = match ended {
            0 => "No pause to end".to_owned(),
            count => format!("{} ended", counted(count as u64, "pause")),
        };
        format!("{ended}. {}", self.in_words())
    }

    /// The paused agents by id. An unknown name pauses all agents while the roster is empty, because it could
    /// be any agent's.
    pub fn hold(&self, roster: &Roster) -> Hold {
        let mut hold = Hold { all: self.all, ..Hold::default() };
        for name in &self.agents {
            match find(roster, name) {
                Some(agent) => {
                    hold.agents.insert(agent.id.to_string());
                }
                None if roster.is_empty() => hold.all = true,
                None => {}
            }
        }
        hold
    }
}

/// The agent with this slug or id.
pub fn find<'a>(roster: &'a Roster, name: &str) -> Option<&'a Agent> {
    roster.by_slug(name).or_else(|| roster.agent(&AgentId::new(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_survives_storage_and_an_unreadable_one_pauses_all() {
        let mut paused = Paused::default();
        assert!(paused.is_empty() && paused.hold(&Roster::default()).is_nothing());
        paused.pause(Some("ben"));
        assert_eq!(Paused::read(&paused.to_text()), paused);
        assert!(paused.holds("ben", "k1") && paused.holds("x", "ben") && !paused.holds("ada", "k2"));
        assert!(paused.hold(&Roster::default()).all, "it is not known who ben is");
        paused.pause(None);
        assert!(paused.in_words().starts_with("Everything is paused (and ben by itself): "));
        paused.pause(Some("ada"));
        assert!(paused.in_words().contains("(and ada, ben by themselves)"), "{}", paused.in_words());
        assert_eq!(paused.resume(Some("ada"), &Roster::default()), 1);
        assert_eq!(paused.resume(Some("ben"), &Roster::default()), 1);
        assert!(paused.all && paused.agents.is_empty());
        assert_eq!(paused.resume(None, &Roster::default()), 1);
        assert!(paused.is_empty() && paused.resume(None, &Roster::default()) == 0);
        for text in ["", "{", "{\"all\":false}", "{\"all\":false,\"agents\":[],\"new\":1}"] {
            assert!(Paused::read(text).all, "{text}");
        }
    }
}
