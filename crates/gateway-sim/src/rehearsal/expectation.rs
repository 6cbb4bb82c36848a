//! The best result of a case that a release permits.

use super::cases::{Case, Probe, Script};
use super::judgement::Grade;
use mcr_core::gateway::dialect::{self, HistoryWay, ToolShape};

/// The best result that this case can have with a release of this behaviour.
pub fn possible(case: &Case, behaviour: dialect::Behaviour) -> Grade {
    let is_closed = behaviour.history == HistoryWay::Closed;
    // The release that never shows the runtime's tools to the model.
    let is_oldest = behaviour.tools == ToolShape::Nested && behaviour.errors == dialect::ErrorForm::Statuses;
    let degraded_if = |is_degraded| if is_degraded { Grade::Degraded } else { Grade::Ok };
    match case.script {
        Script::Probe(Probe::Access | Probe::Version) => Grade::Ok,
        Script::Probe(Probe::Agents) => degraded_if(is_oldest),
        Script::Probe(Probe::History) => degraded_if(is_closed),
        Script::Talk(_) => match case.id {
            // No list shows that the agent is missing, and the gateway runs the turn.
            "unknown-agent" if is_oldest => Grade::Bad,
            "tool-rounds-1" | "tool-rounds-2" | "tool-rounds-3" => degraded_if(is_oldest),
            // A call that does not arrive is found in the history only.
            "calls-2" | "calls-3" | "calls-8" => degraded_if(is_oldest || !behaviour.several_calls),
            "lost-answer" | "runtime-killed" | "gateway-killed" => degraded_if(is_closed),
            "quoted-error" => degraded_if(is_closed && behaviour.errors != dialect::ErrorForm::Failures),
            // Every release reports its own internal error here, and names the cause in its log only.
            "provider-idle" | "provider-hang" | "provider-overflow" | "provider-unlisted" => Grade::Degraded,
            id if id.starts_with("provider-") => {
                degraded_if(behaviour.errors != dialect::ErrorForm::Failures)
            }
            _ => Grade::Ok,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::CASES;
    use super::*;
    use mcr_core::gateway::dialect::Release;

    fn grades(version: &str, grade: Grade) -> Vec<&'static str> {
        let behaviour = dialect::Behaviour::of(Release::parse(version).unwrap());
        CASES.iter().filter(|case| possible(case, behaviour) == grade).map(|case| case.id).collect()
    }

    /// spec §12.2, §12.3.
    #[test]
    fn the_newest_releases_can_do_everything_and_the_oldest_lack_what_they_lack() {
        assert_eq!(
            grades("2026.9.6", Grade::Degraded),
            ["provider-idle", "provider-hang", "provider-overflow", "provider-unlisted"]
        );
        assert_eq!(grades("2026.9.6", Grade::Bad), [""; 0]);
        assert_eq!(grades("2026.2.19", Grade::Bad), ["unknown-agent"]);
        let closed = grades("2026.3.31", Grade::Degraded);
        for id in ["history", "calls-2", "lost-answer", "runtime-killed", "quoted-error", "provider-400"] {
            assert!(closed.contains(&id), "{id}");
        }
        assert!(grades("2026.3.24", Grade::Degraded).contains(&"calls-8"));
        assert!(!grades("2026.5.7", Grade::Degraded).contains(&"calls-8"));
        assert!(grades("2026.2.19", Grade::Degraded).contains(&"tool-rounds-1"));
    }
}
