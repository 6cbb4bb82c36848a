//! The operators' requests about the evidence of tasks. The ledger is read again only if something was written since.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Operator, ServiceState};
use crate::app::delivery_report::{name_in, names};
use mcr_core::ops::evidence::{FactsByTask, TaskReport, report};
use mcr_http::message::Reply;
use mcr_model::clock::{Clock as _, Millis, SystemClock};
use mcr_model::{Roster, TaskId};
use mcr_store::ledger::{self, Ledger};

/// The number of commits and the task, with the facts.
pub(super) type FactsAt = ((u64, TaskId), Arc<FactsByTask>);

/// A report is repeated while its begin moves by less than this part of its time.
const REPEATED_PART: u32 = 100;

/// A report, and what it depends on.
pub(super) struct ReportAt {
    commits: u64,
    time: Duration,
    roster: Arc<Roster>,
    made: Millis,
    report: TaskReport,
}

impl ReportAt {
    /// Whether the report is still true for this number of commits, this time and this roster.
    fn holds(&self, commits: u64, time: Duration, roster: &Arc<Roster>, now: Millis) -> bool {
        let is_same = self.commits == commits && self.time == time && Arc::ptr_eq(&self.roster, roster);
        // A clock that was set back makes the report new.
        is_same && now >= self.made && now.since(self.made) <= time / REPEATED_PART
    }
}

impl Operator {
    /// The tasks with activity in this time whose status and facts differ.
    pub(super) fn evidence(&self, time: Duration, env: &ServiceState<'_>) -> Reply {
        let off = "This service keeps no ledger (LEDGER or STATE_DIR), so no facts are recorded";
        let Some(ledger) = env.ledger else { return Reply::error(503, off) };
        let (commits, roster, now) = (ledger.state().commits, self.roster(), SystemClock.now());
        // Requests at the same moment wait for the first one, which reads the ledger.
        let mut last = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.as_ref().filter(|known| known.holds(commits, time, &roster, now)) {
            return Reply::json_of(&known.report);
        }
        let read = self.read(env.ledger);
        let facts = self.place.folder().map_err(|why| why.to_string()).and_then(|folder| {
            ledger::task_facts(&folder, &self.account, None).map_err(|why| why.to_string())
        });
        let report = match (read, facts) {
            (Ok(read), Ok(facts)) => {
                let names = names(&read, &roster);
                report(&facts, now - time, self.done_policy, &|agent| name_in(&names, agent))
            }
            (Err(why), _) | (_, Err(why)) => {
                let words = format!("The ledger cannot be read: {why}. Run `doctor`");
                return Reply::error(500, &self.redactor.clean(&words));
            }
        };
        let report = report.cleaned(&|text| self.redactor.clean(text));
        let reply = Reply::json_of(&report);
        *last = Some(ReportAt { commits, time, roster, made: now, report });
        reply
    }

    /// The facts of one task.
    pub(super) fn facts_of(&self, ledger: &Ledger, task: &TaskId) -> Result<Arc<FactsByTask>, String> {
        let key = (ledger.state().commits, task.clone());
        let mut last = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, facts)) = &*last
            && *known == key
        {
            return Ok(facts.clone());
        }
        let folder = self.place.folder().map_err(|why| why.to_string())?;
        let facts = ledger::task_facts(&folder, &self.account, Some(task)).map_err(|why| why.to_string())?;
        let facts = Arc::new(facts);
        *last = Some((key, facts.clone()));
        Ok(facts)
    }
}
