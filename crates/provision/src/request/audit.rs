//! What the provider has and the entries do not, and the other way round.

use std::collections::BTreeMap;

use serde::Serialize;

use super::MachineEntry;
use crate::Machine;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A machine with our tag and without an entry.
    Orphan,
    /// An entry whose machine the provider does not list.
    Missing,
    /// A further machine of an account that has one.
    Twin,
}

/// A finding, with the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditFinding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The account, if it is known.
    pub account: Option<String>,
    /// The machine's id.
    pub machine: Option<String>,
    /// What is wrong, in a sentence.
    pub sentence: String,
    /// The arguments of the program that mend it.
    pub command: String,
}

/// Compares the entries with the machines that bear our tag. Nothing is changed.
pub fn audit(entries: &[MachineEntry], machines: &[Machine]) -> Vec<AuditFinding> {
    let mut findings = Vec::new();
    let mut of_account: BTreeMap<&str, usize> = BTreeMap::new();
    for machine in machines {
        *of_account.entry(machine.account.as_deref().unwrap_or_default()).or_default() += 1;
    }
    for machine in machines {
        let (id, name) = (&machine.id, &machine.name);
        let Some(account) = machine.account.as_deref() else {
            findings.push(AuditFinding {
                kind: FindingKind::Orphan,
                account: None,
                machine: Some(id.clone()),
                sentence: format!("machine {id} ({name}) bears the tag, but no account"),
                command: format!("provision destroy --machine {id}"),
            });
            continue;
        };
        let entry = entries.iter().find(|entry| entry.account == account && !entry.is_over());
        let is_its_own = entry.is_some_and(|entry| match &entry.machine {
            Some(own) => own == id,
            None => entry.name == *name,
        });
        if is_its_own {
            continue;
        }
        let is_twin = entry.is_some() || of_account[account] > 1;
        findings.push(AuditFinding {
            kind: if is_twin { FindingKind::Twin } else { FindingKind::Orphan },
            account: Some(account.to_owned()),
            machine: Some(id.clone()),
            sentence: if is_twin {
                format!("machine {id} ({name}) is a further machine of account {account}")
            } else {
                format!("machine {id} ({name}) of account {account} has no entry here")
            },
            command: format!("provision destroy --machine {id}"),
        });
    }
    for entry in entries.iter().filter(|entry| !entry.is_over()) {
        let is_listed = machines.iter().any(|machine| match &entry.machine {
            Some(id) => machine.id == *id,
            None => machine.name == entry.name,
        });
        if !is_listed {
            let (account, state) = (&entry.account, entry.state.as_str());
            findings.push(AuditFinding {
                kind: FindingKind::Missing,
                account: Some(account.clone()),
                machine: entry.machine.clone(),
                sentence: format!("account {account} has the state {state}, but its machine is not listed"),
                command: format!("provision destroy --account {account}"),
            });
        }
    }
    findings
}
