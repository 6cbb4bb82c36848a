//! The workspaces of many agents: the processor time of the first sync, of one without a change, and of one with a change of
//! each agent.

use std::fs;
use std::time::Duration;

use mission_control_runtime::clock::{Clock as _, Millis, SystemClock};
use mission_control_runtime::workspace::{ProfileRow, Workspaces};
use serde_json::json;

use super::Options;
use super::table::{Table, Target};

/// The agents of a very large account.
const AGENTS: usize = 10_000;

/// After this time a file that has not changed is not read again.
const SETTLED: Duration = Duration::from_secs(2);

pub(crate) fn measure(table: &mut Table, options: &Options) {
    let folder = options.folder();
    let mut workspaces = Workspaces::new(folder.path().join("agents"));
    let mut sync = |soul: &str, now: Millis| {
        let rows = team(soul);
        let before = own_processor_time();
        let health = workspaces.sync(&rows, &|_| None, None, now);
        let spent = own_processor_time().saturating_sub(before).as_secs_f64() * 1e3;
        assert!(health.agents.len() == AGENTS && health.error.is_none(), "{:?}", health.error);
        spent
    };
    let now = SystemClock.now();
    let first = sync("Work.", now);
    // This one reads each file once more, because the files were new.
    sync("Work.", now + SETTLED);
    let same: Vec<f64> = (2..7).map(|round| sync("Work.", now + SETTLED * round)).collect();
    let changed = sync("Work well.", now + SETTLED * 7);
    let name = |what: &str| format!("workspaces, 10,000 agents, processor of {what}");
    table.add(&name("a sync without a change"), "ms", same, Target::None);
    table.add(&name("the first sync"), "ms", vec![first], Target::None);
    table.add(&name("a change of each agent"), "ms", vec![changed], Target::None);
}

fn team(soul: &str) -> Vec<ProfileRow> {
    let agent = |number: usize| {
        let row = json!({
            "_id": format!("k{number:031}"), "name": format!("Agent {number}"), "slug": format!("agent-{number}"),
            "role": "Engineer", "effectiveSoulContent": format!("{soul} {}", "A line about the agent.\n".repeat(40)),
            "effectiveUserMd": "Robin owns the place.", "effectiveIdentityContent": "An engineer.",
            "resolvedSkills": [{"_id": "s1", "name": "Skill", "slug": "skill", "contentMarkdown": "Use short words."}],
        });
        serde_json::from_value(row).map_err(|why| why.to_string())
    };
    (0..AGENTS).map(agent).collect()
}

/// The processor time of this thread, which does all the work.
fn own_processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
