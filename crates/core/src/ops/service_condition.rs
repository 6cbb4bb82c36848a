//! The condition of the service: what holds up every delivery.

use super::Paused;

/// How the service does, as far as it matters for a delivery.
#[derive(Clone, Debug, Default)]
pub struct ServiceCondition {
    /// Whether the service runs; without it nothing happens, and only the ledger tells.
    pub runs: bool,
    /// Why it could not be started, if it does not run and that is known.
    pub mistake: Option<String>,
    /// Why nothing is sent to the gateway, if so.
    pub gateway: Option<String>,
    /// Why the backend does not answer, or does not let us in, if so.
    pub backend: Option<String>,
    /// What tells of another runtime on the account, if anything does.
    pub foreign: Option<String>,
    /// Why nothing is recorded, if so.
    pub ledger: Option<String>,
    /// Whether nothing new begins because of that.
    pub holds: bool,
    /// Why `STATE_DIR` no longer leads to the ledger, if so: then nothing new begins, either.
    pub displaced: Option<String>,
    /// Who is to wait.
    pub paused: Paused,
}

impl ServiceCondition {
    /// Everything that stands in this agent's way, the first thing first: each a sentence with its mend. `turns` says
    /// whether a turn of the agent is still needed.
    pub fn blocks(&self, slug: &str, id: &str, turns: bool) -> Vec<String> {
        let mut blocks = Vec::new();
        match &self.mistake {
            _ if self.runs => {}
            None => blocks.push("The service does not run; `run` starts it.".to_owned()),
            Some(why) => blocks.push(format!("The service does not run, and cannot start: {}", dotted(why))),
        }
        if turns && self.paused.all {
            blocks.push("Everything is paused; `resume` ends that.".to_owned());
        } else if turns && self.paused.holds(slug, id) {
            blocks.push(format!("{slug} is paused; `resume --agent {slug}` ends that."));
        }
        blocks.extend(self.foreign.iter().map(|why| sentence(why)));
        blocks.extend(
            self.gateway
                .iter()
                .filter(|_| turns)
                .map(|why| format!("The way to the agents is closed: {}", dotted(why))),
        );
        blocks.extend(
            self.backend
                .iter()
                .map(|why| format!("Mission Control does not answer as it should: {}", dotted(why))),
        );
        blocks.extend(
            self.displaced
                .iter()
                .map(|why| format!("Nothing new begins until STATE_DIR is back: {}", dotted(why))),
        );
        blocks.extend(
            self.ledger.iter().filter(|_| self.holds).map(|why| {
                format!("Nothing new begins until STATE_DIR can be written again: {}", dotted(why))
            }),
        );
        blocks
    }

    /// What is wrong besides, and stands in nobody's way.
    pub fn besides(&self) -> Option<String> {
        let ledger = self.ledger.as_ref().filter(|_| !self.holds);
        ledger.map(|why| format!("Nothing is recorded: {}", dotted(why)))
    }
}

/// With a capital in front and a point at its end.
pub(super) fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    dotted(&format!("{first}{}", rest.as_str()))
}

/// With a point at its end.
pub(super) fn dotted(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}
