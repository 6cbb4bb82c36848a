//! The operators' side of the evidence: tasks whose status and facts differ.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Operator, ServiceState};
use crate::app::delivery_report::{name_in, names};
use mcr_core::ops::evidence::{FactsByTask, report};
use mcr_http::message::Reply;
use mcr_model::TaskId;
use mcr_model::clock::{Clock as _, SystemClock};
use mcr_store::ledger::{self, Ledger};

impl Operator {
    /// The tasks with activity in this time whose status and facts differ.
    pub(super) fn evidence(&self, since: Duration, env: &ServiceState<'_>) -> Reply {
        let off = "This service keeps no ledger (LEDGER or STATE_DIR), so no facts are recorded";
        let Some(ledger) = env.ledger else { return Reply::error(503, off) };
        let unreadable = |why: String| {
            Reply::error(
                500,
                &self.redactor.clean(&format!("The ledger cannot be read: {why}. Run `doctor`")),
            )
        };
        let read = match self.read(env.ledger) {
            Ok(read) => read,
            Err(why) => return unreadable(why),
        };
        let facts = match self.facts(ledger, None) {
            Ok(facts) => facts,
            Err(why) => return unreadable(why),
        };
        let roster = self.roster();
        let names = names(&read, &roster);
        let since = SystemClock.now() - since;
        let report = report(&facts, since, self.done_policy, &|agent| name_in(&names, agent));
        Reply::json_of(&report.cleaned(&|text| self.redactor.clean(text)))
    }

    /// The facts of all tasks or of one, read again only if something was written since.
    pub(super) fn facts(&self, ledger: &Ledger, only: Option<&TaskId>) -> Result<Arc<FactsByTask>, String> {
        let key = (ledger.state().commits, only.cloned());
        let mut last = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, facts)) = &*last
            && *known == key
        {
            return Ok(facts.clone());
        }
        let folder = self.place.folder().map_err(|why| why.to_string())?;
        let facts = ledger::task_facts(&folder, &self.account, only).map_err(|why| why.to_string())?;
        let facts = Arc::new(facts);
        // The facts of all tasks may be many, and only the page asks for them again.
        *last = only.is_some().then(|| (key, facts.clone()));
        Ok(facts)
    }
}
