//! The limits that are reached, and the turns that they hold.

use super::Scope;
use mcr_model::spending::{Amount, Limits};

/// Why a turn must wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnRefusal {
    /// A limit is reached.
    AtLimit(Reached),
    /// What is left may be needed by turns that run.
    Reserved,
}

/// A limit that is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Whose limit it is.
    pub scope: Scope,
    /// The limits of the day.
    pub limits: Limits,
    /// What was counted.
    pub counted: Amount,
    /// What was counted before the last reset.
    pub forgiven: Amount,
    /// Whether the count is below the limits: running turns were aborted before they would pass one.
    pub early: bool,
    /// Whether the stored count cannot be read.
    pub unreadable: bool,
}

impl Reached {
    /// Whether it holds the turns of all agents.
    pub fn is_of_account(&self) -> bool {
        self.scope == Scope::Account
    }
}

/// The scopes whose limits are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// All of them, the account first.
    pub reached: Vec<Reached>,
}

impl Held {
    /// Whether turns of all agents wait.
    pub fn all(&self) -> bool {
        self.reached.iter().any(|reached| reached.scope == Scope::Account)
    }

    /// The slugs of the agents whose own limit is reached.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.reached.iter().filter_map(|reached| match &reached.scope {
            Scope::Agent(slug) => Some(slug.as_str()),
            Scope::Account => None,
        })
    }

    /// The limit that holds this agent's turns.
    pub fn of(&self, slug: &str) -> Option<&Reached> {
        let slug = slug.to_lowercase();
        self.reached.iter().find(|reached| reached.scope.covers(&slug))
    }
}
