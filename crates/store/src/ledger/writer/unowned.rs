//! Changes that belong to no delivery: acts of agents, and small values of other parts of the runtime.

use super::super::kept_values::KeptChanges;
use super::super::task_facts::LooseAct;
use super::Shared;
use mcr_core::delivery::acts::Act;
use mcr_core::delivery::journal::{JournalError, Wait};

/// Changes that belong to no delivery.
#[derive(Default)]
pub(in crate::ledger) struct Unowned {
    pub(in crate::ledger) loose: Vec<LooseAct>,
    pub(in crate::ledger) kept: KeptChanges,
}

impl Shared {
    pub(in crate::ledger) fn keep(
        &self,
        changes: Vec<(String, Option<String>)>,
        wait: Wait,
    ) -> Result<(), JournalError> {
        self.change(wait, |inside| {
            inside.begins_to_change();
            inside.unowned.kept.extend(changes);
            Ok(())
        })
    }

    pub(in crate::ledger) fn acted(&self, agent: &str, acts: &[Act]) -> Result<(), JournalError> {
        self.change(Wait::ForDisk, |inside| {
            inside.begins_to_change();
            let account = self.account.as_str();
            inside.unowned.loose.extend(acts.iter().map(|act| LooseAct::new(account, agent, act)));
            Ok(())
        })
    }
}
