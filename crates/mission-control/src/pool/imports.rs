//! The rules for the pool's rows in an import: the words of their states.

use super::push_jobs::{NO, YES};
use super::push_schedule;
use super::queue::STATUSES;
use crate::imported::Rule;
use crate::store::Table;
use crate::validate::Is;

/// The rules for a table of the pool.
pub(crate) fn rules(table: Table) -> &'static [(&'static str, Rule)] {
    match table {
        Table::PoolAgents => &[("agentKey", Rule::Unique(&["agentKey"], "another agent has this key"))],
        Table::PoolMessages => &[("status", Rule::Is(Is::OneOf(STATUSES)))],
        Table::PoolConversations => &[
            ("conversationId", Rule::Unique(&["conversationId"], "another conversation has this id")),
            ("state", Rule::Is(Is::OneOf(&["idle", "waiting", "busy"]))),
        ],
        Table::PoolWorkers => &[
            ("workerId", Rule::Unique(&["workerId"], "another worker has this id")),
            ("status", Rule::Is(Is::OneOf(&["active", "draining", "stopping", "stopped"]))),
        ],
        Table::PoolBindings => &[("status", Rule::Is(Is::OneOf(&["active", "revoked"])))],
        Table::PairingCodes => &[
            ("code", Rule::Unique(&["code"], "another pairing has this code")),
            ("status", Rule::Is(Is::OneOf(&["pending", "used", "expired"]))),
        ],
        Table::PoolSnapshots => {
            &[("status", Rule::Is(Is::OneOf(&["uploading", "ready", "failed", "expired"])))]
        }
        Table::PushJobs => &[
            ("timezone", Rule::Text(|name, _| push_schedule::zone(name).map(drop))),
            ("periodicity", Rule::Is(push_schedule::PERIODICITY)),
            ("schedule", Rule::Value(push_schedule::check_stored)),
            ("isScheduled", Rule::Is(Is::OneOf(&[YES, NO]))),
        ],
        Table::SkillReleases => &[("releaseChannel", Rule::Is(Is::OneOf(&["stable", "canary"])))],
        _ => &[],
    }
}
