//! Agents whose model provider has refused their key: for a while the gateway fails every turn of theirs inside, in every
//! session, without asking the model (openclaw-gateway §7). That is no fault of their rows.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcr_model::clock::Millis;

/// "A minute or more".
const LASTS: Duration = Duration::from_mins(2);

/// Who cools down, and until when.
#[derive(Debug, Default)]
pub struct ProviderCooldown(Mutex<HashMap<String, Millis>>);

impl ProviderCooldown {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent's key was refused.
    pub(super) fn begins(&self, agent: &str, now: Millis) {
        let mut cooldown = self.lock();
        cooldown.retain(|_, until| *until > now);
        cooldown.insert(agent.to_owned(), now + LASTS);
    }

    /// A turn of the agent was answered.
    pub(super) fn ends(&self, agent: &str) {
        self.lock().remove(agent);
    }

    /// Whether it cools down.
    pub(super) fn holds(&self, agent: &str, now: Millis) -> bool {
        self.lock().get(agent).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_cools_down_and_the_others_do_not() {
        let cooldown = ProviderCooldown::default();
        cooldown.begins("ben", Millis(0));
        assert!(cooldown.holds("ben", Millis(119_000)) && !cooldown.holds("ada", Millis(0)));
        assert!(!cooldown.holds("ben", Millis(120_000)), "and then it is tried again");
        cooldown.begins("ben", Millis(200_000));
        cooldown.ends("ben");
        assert!(!cooldown.holds("ben", Millis(200_001)));
    }
}
