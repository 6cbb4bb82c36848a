//! The budgets, shared by workers, operators and the monitor. Every change goes to the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use mcr_core::delivery::journal::{Journal, JournalError, Wait};
use mcr_core::guardrails::budget::{Held, NO_BUDGET, Report, Scope, Spending};
use mcr_model::clock::Millis;
use mcr_model::spending::{Budgets, Limits};

/// The budgets of the account; off if none is set.
pub struct BudgetKeeper(Option<Inner>);

struct Inner {
    spending: Mutex<Spending>,
    journal: Arc<dyn Journal>,
    /// Tells the monitor that a count has changed.
    nudges: Sender<()>,
    changes: Receiver<()>,
    /// When the monitor last checked the budgets; none before its first round.
    checked: Mutex<Option<Instant>>,
    /// The keys of the notices that were posted.
    notices: Mutex<BTreeSet<String>>,
}

/// The monitor checks the budgets each second. After this time without a check it has stopped.
const STALLED_AFTER: Duration = Duration::from_secs(30);

/// The beginning of the key of each notice in the ledger. A version that does not know these keys leaves them alone.
const NOTICE_PREFIX: &str = "budget-notice/";

impl BudgetKeeper {
    /// No budgets: nothing is counted.
    pub fn off() -> Self {
        Self(None)
    }

    /// Budgets with what an earlier process has stored.
    pub fn new(spending: Spending, journal: Arc<dyn Journal>) -> Self {
        let (nudges, changes) = bounded(1);
        let (checked, notices) = (Mutex::default(), Mutex::default());
        Self(Some(Inner { spending: Mutex::new(spending), journal, nudges, changes, checked, notices }))
    }

    /// With the notices that an earlier process has posted, from all values that the ledger keeps.
    #[must_use]
    pub fn with_notices(self, kept: &BTreeMap<String, String>) -> Self {
        if let Some(inner) = &self.0 {
            let keys = kept.keys().filter(|key| key.starts_with(NOTICE_PREFIX)).cloned();
            lock(&inner.notices).extend(keys);
        }
        self
    }

    /// Whether a notice of this day was posted. `name` tells the notices of a day apart.
    pub(super) fn is_noticed(&self, day: &str, name: &str) -> bool {
        let key = format!("{NOTICE_PREFIX}{day}/{name}");
        self.0.as_ref().is_some_and(|inner| lock(&inner.notices).contains(&key))
    }

    /// Keeps that a notice of this day was posted, and forgets those of other days.
    pub(super) fn keep_notice(&self, day: &str, name: &str) {
        let Some(inner) = &self.0 else { return };
        let of_day = format!("{NOTICE_PREFIX}{day}/");
        let key = format!("{of_day}{name}");
        let mut notices = lock(&inner.notices);
        let old = notices.extract_if(.., |other| !other.starts_with(&of_day));
        let mut changes: Vec<(String, Option<String>)> = old.map(|key| (key, None)).collect();
        changes.push((key.clone(), Some(String::new())));
        notices.insert(key);
        // `Wait::Not` never returns an error.
        let _ = inner.journal.keep(changes, Wait::Not);
    }

    /// The monitor has checked the budgets.
    pub(super) fn checked(&self) {
        if let Some(inner) = &self.0 {
            *lock(&inner.checked) = Some(Instant::now());
        }
    }

    /// Whether the monitor has stopped.
    pub fn is_stalled(&self) -> bool {
        let checked = self.0.as_ref().and_then(|inner| *lock(&inner.checked));
        checked.is_some_and(|at| at.elapsed() > STALLED_AFTER)
    }

    /// Receives a message after each change; none if the budgets are off.
    pub fn changes(&self) -> Option<Receiver<()>> {
        self.0.as_ref().map(|inner| inner.changes.clone())
    }

    /// Whether a budget is set.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Changes the counts. The changes are written before every later note, because the lock is held until the ledger has
    /// them.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Spending) -> T) -> Option<T> {
        let inner = self.0.as_ref()?;
        let mut spending = lock(&inner.spending);
        let result = change(&mut spending);
        let changes = spending.take_changes();
        if !changes.is_empty() {
            // `Wait::Not` never returns an error.
            let _ = inner.journal.keep(changes, Wait::Not);
            // In a full channel, a message waits already.
            let _ = inner.nudges.try_send(());
        }
        Some(result)
    }

    /// Has the monitor check all turns.
    pub(super) fn wake_monitor(&self) {
        if let Some(inner) = &self.0 {
            // In a full channel, a message waits already.
            let _ = inner.nudges.try_send(());
        }
    }

    /// Reads the counts.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Spending) -> T) -> Option<T> {
        let inner = self.0.as_ref()?;
        let spending = lock(&inner.spending);
        Some(read(&spending))
    }

    /// The configured budgets.
    pub fn budgets(&self) -> Option<Budgets> {
        self.read(|spending| spending.budgets().clone())
    }

    /// The state of the budgets for people.
    pub fn report(&self, now: Millis) -> Option<Report> {
        self.read(|spending| spending.report(now))
    }

    /// Whether dollars are limited, but neither prices nor a reported cost is known.
    pub fn counts_no_dollars(&self) -> bool {
        self.read(Spending::counts_no_dollars).unwrap_or_default()
    }

    /// The limits that are reached.
    pub fn held(&self) -> Held {
        self.read(Spending::held).unwrap_or_default()
    }

    /// The scopes in which no turn should start now: a limit is reached, or running turns have reserved the rest.
    pub fn full(&self) -> Vec<Scope> {
        self.read(Spending::full).unwrap_or_default()
    }

    /// Raises today's limits, and waits until that survives a crash. The error is a sentence.
    pub fn raise(&self, scope: &Scope, to: Limits, now: Millis) -> Result<(), String> {
        self.decide(|spending| spending.raise(scope, to, now))
    }

    /// Starts today's counts from zero, and waits until that survives a crash. The error is a sentence.
    pub fn reset(&self, scope: &Scope, now: Millis) -> Result<(), String> {
        self.decide(|spending| spending.reset(scope, now))
    }

    fn decide(&self, decide: impl FnOnce(&mut Spending) -> Result<(), String>) -> Result<(), String> {
        let Some(inner) = &self.0 else {
            return Err(NO_BUDGET.to_owned());
        };
        let mut spending = lock(&inner.spending);
        decide(&mut spending)?;
        let changes = spending.take_changes();
        let kept = if changes.is_empty() { Ok(()) } else { inner.journal.keep(changes, Wait::ForDisk) };
        drop(spending);
        let _ = inner.nudges.try_send(());
        kept.map_err(|JournalError(why)| {
            format!("the change holds until a restart, because it could not be stored: {why}")
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
