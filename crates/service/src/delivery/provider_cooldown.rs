//! Agents whose model provider refused the key. For a while the gateway then fails all their turns with an internal
//! error, without a request to the model (openclaw-gateway §7). The deliveries are not the cause.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcr_model::clock::Millis;

/// The gateway's documentation says "a minute or more".
const LASTS: Duration = Duration::from_mins(2);

/// The agents in a cool-down, each with its end.
#[derive(Debug, Default)]
pub struct ProviderCooldown(Mutex<HashMap<String, Millis>>);

impl ProviderCooldown {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Millis>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a cool-down: the agent's key was refused.
    pub(super) fn begins(&self, agent: &str, now: Millis) {
        let mut cooldown = self.lock();
        cooldown.retain(|_, until| *until > now);
        cooldown.insert(agent.to_owned(), now + LASTS);
    }

    /// Ends the cool-down: a turn of the agent was answered.
    pub(super) fn ends(&self, agent: &str) {
        self.lock().remove(agent);
    }

    /// Whether the agent is in a cool-down.
    pub(super) fn holds(&self, agent: &str, now: Millis) -> bool {
        self.lock().get(agent).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cool_down_affects_one_agent_and_ends() {
        let cooldown = ProviderCooldown::default();
        cooldown.begins("ben", Millis(0));
        assert!(cooldown.holds("ben", Millis(119_000)) && !cooldown.holds("ada", Millis(0)));
        assert!(!cooldown.holds("ben", Millis(120_000)), "the cool-down ends by itself");
        cooldown.begins("ben", Millis(200_000));
        cooldown.ends("ben");
        assert!(!cooldown.holds("ben", Millis(200_001)));
    }
}
