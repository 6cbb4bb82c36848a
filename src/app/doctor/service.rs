//! Check of the service on this machine: whether it runs, whether it is paused, and what blocks its deliveries.

use super::{Check, CheckResult};
use crate::app::dead::overview;
use crate::app::service_client::CommandContext;
use mcr_core::ops::Brief;

/// The most deliveries in trouble that the report names.
const NAMED: usize = 3;

/// Reports the state of the running service. For a stopped service, reports the paused agents and the deliveries in its
/// ledger.
pub(super) fn ask(footing: &CommandContext) -> Check {
    let mut check = Check::new("service", CheckResult::Good, Vec::new());
    let service = match footing.service() {
        Ok(service) => service,
        Err(why) => {
            check.note(why);
            return check;
        }
    };
    let runs = service.is_some();
    let overview = match overview(footing, service.as_ref()) {
        Ok(overview) => overview,
        Err(why) if runs => {
            check.wrong(why);
            return check;
        }
        // The check of the disk reports what is wrong with the ledger.
        Err(_) => return Check::new("service", CheckResult::Skipped, vec!["it does not run".to_owned()]),
    };
    if !overview.paused.is_empty() {
        check.note(overview.paused.in_words());
    }
    if runs {
        check.say(format!("it runs; {} not settled", overview.unsettled.len()));
        let stands = overview.blocks.iter().filter(|block| !block.contains("paused"));
        stands.for_each(|block| check.wrong(block.clone()));
    } else {
        check.say(format!("it does not run; {} not settled in its ledger", overview.unsettled.len()));
    }
    // Held deliveries are left out: their reason is reported above.
    let described = |brief: &Brief| {
        format!("{} for {} ({}): {} {}", brief.kind, brief.agent, brief.id, brief.words, brief.next)
    };
    let stuck = |brief: &&Brief| {
        runs && (brief.words.contains("stuck") || (brief.state == "resting" && brief.failed > 0))
    };
    for brief in overview.unsettled.iter().filter(stuck).take(NAMED) {
        check.wrong(described(brief));
    }
    let waits = |brief: &&Brief| runs && brief.state == "resting" && brief.failed == 0;
    for brief in overview.unsettled.iter().filter(waits).take(NAMED) {
        check.note(described(brief));
    }
    let dead = overview.dead.len();
    if dead > 0 {
        let count = if dead == 1 {
            "one delivery was given up".to_owned()
        } else {
            format!("{dead} deliveries were given up")
        };
        check.wrong(format!("{count}; `dead list` shows what was, and the way out"));
        overview.dead.iter().rev().take(NAMED).for_each(|brief| check.say(described(brief)));
    }
    check
}
