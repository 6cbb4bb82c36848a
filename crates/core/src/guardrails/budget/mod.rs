//! Budgets: what the turns of a day may cost, for the account and for single agents.
//!
//! # The problem
//!
//! A turn has no price before it ends, and many turns run at once. A turn may make many requests to its model. The
//! process can end while turns run, and must then neither forget nor double what they cost. Some gateways report no
//! usage. And the clock may jump.
//!
//! # The policy
//!
//! * **Reserve, observe, settle.** A turn reserves an estimate before it is sent. While it runs, its usage is read from
//!   the session's history, and what was read never shrinks. At the end it is settled with the reported usage.
//! * **At the limit nothing starts.** No turn starts in a scope whose count has reached its limit, and its running turns
//!   are aborted. So each running turn can overspend by the model request that it is in.
//! * **Near the limit turns start one by one.** A turn starts if its estimate fits beside those of the running turns, or
//!   if no other turn runs in its scope. So estimates never keep the last part of a budget unused.
//! * **Each turn is charged once.** A reservation has the id of its request. Only an open reservation is settled.
//! * **A missing usage is estimated** from the length of the texts, and marked as an estimate.
//! * **Dollars** are the cost that the gateway reports, else the prices of `BUDGET_PRICES`, else nothing.
//! * **Days** are calendar days of a time zone (`book`). A turn is charged to the day on which it started.

mod book;
mod held;
mod pace;
mod report;
mod stored;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use book::{Books, Turned};
use mcr_model::clock::Millis;
use mcr_model::spending::{Amount, Budgets, Limits};
use mcr_model::zone::Day;

pub use book::{Count, Scope};
pub use held::{Held, Reached, TurnRefusal};
pub use pace::{READING_INTERVAL, SHORTEST_READING_INTERVAL};
pub use report::{LIMITS_ELSEWHERE, NO_BUDGET, Report, ScopeReport, no_budget_of};
pub use stored::{PREFIX, StoredChanges};
pub use turn::{OpenTurn, TurnCost, TurnId, estimate};

/// The counts of all days and the running turns.
#[derive(Clone, Debug)]
pub struct Spending {
    budgets: Budgets,
    books: Books,
    open: BTreeMap<TurnId, OpenTurn>,
    /// What a turn of each agent usually costs.
    usual: BTreeMap<String, Amount>,
    /// What differs from the stored state.
    changed: stored::Dirty,
}

impl Spending {
    /// No spending so far.
    pub fn new(budgets: Budgets) -> Self {
        Self {
            budgets,
            books: Books::default(),
            open: BTreeMap::new(),
            usual: BTreeMap::new(),
            changed: stored::Dirty::default(),
        }
    }

    /// The configured budgets.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// The running turns.
    pub fn open(&self) -> &BTreeMap<TurnId, OpenTurn> {
        &self.open
    }

    /// The limits of a scope as configured.
    fn configured(&self, scope: &Scope) -> Limits {
        match scope {
            Scope::Account => self.budgets.account,
            Scope::Agent(slug) => self.budgets.agents.get(slug).copied().unwrap_or_default(),
        }
    }

    fn limits(&self, day: Day, scope: &Scope) -> Limits {
        let configured = self.configured(scope);
        self.books.count(day, scope).map_or(configured, |count| count.limits(configured))
    }

    /// Turns to the day of the clock. Returns whether another day counts from now on.
    pub fn turn_to(&mut self, now: Millis) -> bool {
        let before = self.books.today();
        let today = self.budgets.zone.day(now);
        let turned = self.books.turn_to(today);
        if turned == Turned::No {
            return false;
        }
        self.changed.day();
        if turned == Turned::Carried {
            for (id, turn) in self.open.iter_mut().filter(|(_, turn)| turn.days().any(|day| day == before)) {
                turn.carry_to(today);
                self.changed.turn(id);
            }
        }
        let scopes: Vec<Scope> = self.books.book(today).map(|(scope, _)| scope.clone()).collect();
        for scope in scopes {
            self.changed.count(today, scope);
        }
        let needed: BTreeSet<Day> = self.open.values().flat_map(OpenTurn::days).collect();
        for (day, book) in self.books.prune(|day| needed.contains(&day)) {
            for scope in book.into_keys() {
                self.changed.count(day, scope);
            }
        }
        true
    }

    /// Whether the clock shows another day than the one that counts.
    pub fn is_another_day(&self, now: Millis) -> bool {
        self.budgets.zone.day(now) != self.books.today()
    }

    /// Whether a turn of this agent may start, before its texts are known.
    pub fn check(&self, agent: &str, now: Millis) -> Result<(), TurnRefusal> {
        if self.is_another_day(now) {
            return Ok(());
        }
        self.fits(&agent.to_lowercase(), None, Amount::default())
    }

    /// Reserves the estimate of a turn that is about to be sent.
    pub fn reserve(
        &mut self,
        id: &TurnId,
        agent: &str,
        texts: Amount,
        now: Millis,
    ) -> Result<(), TurnRefusal> {
        self.turn_to(now);
        let (agent, day) = (agent.to_lowercase(), self.books.today());
        self.fits(&agent, Some(id), texts)?;
        let reserved = self.with_usual(&agent, texts);
        self.open.insert(id.clone(), OpenTurn::new(agent, day, reserved, texts));
        self.changed.turn(id);
        Ok(())
    }

    /// Whether a turn with these texts may start now.
    fn fits(&self, agent: &str, id: Option<&TurnId>, texts: Amount) -> Result<(), TurnRefusal> {
        let (day, reserved) = (self.books.today(), self.with_usual(agent, texts));
        for scope in Scope::of(agent) {
            if let Some(reached) = self.reached(day, &scope) {
                return Err(TurnRefusal::AtLimit(reached));
            }
            if let Some(others) = self.expected(day, &scope, id)
                && exceeds(self.counted_with(day, &scope, others.plus(reserved)), self.limits(day, &scope))
            {
                return Err(TurnRefusal::Reserved);
            }
        }
        Ok(())
    }

    fn with_usual(&self, agent: &str, texts: Amount) -> Amount {
        self.usual.get(agent).map_or(texts, |usual| usual.at_least(texts))
    }

    /// What the running turns of a scope are expected to cost, without this one; none if no other turn runs.
    fn expected(&self, day: Day, scope: &Scope, except: Option<&TurnId>) -> Option<Amount> {
        let others = self.open_in(day, scope).filter(|(id, _)| Some(*id) != except);
        others.map(|(_, turn)| turn.expected()).reduce(Amount::plus)
    }

    /// The scopes in which no turn should start now: a limit is reached, or running turns have reserved the rest.
    pub fn full(&self) -> Vec<Scope> {
        let day = self.books.today();
        let is_full = |scope: &Scope| {
            let reserved = self.expected(day, scope, None);
            self.reached(day, scope).is_some()
                || reserved
                    .is_some_and(|all| reaches(self.counted_with(day, scope, all), self.limits(day, scope)))
        };
        self.scopes().filter(is_full).collect()
    }

    /// The account, and the agents with a budget.
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        std::iter::once(Scope::Account).chain(self.budgets.agents.keys().cloned().map(Scope::Agent))
    }

    /// Withdraws the reservation of a turn that was not sent after all, or that the gateway did not accept.
    pub fn release(&mut self, id: &TurnId) {
        if self.open.remove(id).is_some() {
            self.changed.turn(id);
        }
    }

    /// Takes a reading of a running turn's usage, `since` the one before or since it was sent.
    pub fn observe(&mut self, id: &TurnId, cost: &TurnCost, since: Duration) {
        if let Some(turn) = self.open.get_mut(id) {
            turn.observe(cost, &self.budgets.prices, since);
        }
    }

    /// The running turns to abort: a limit is reached, or will be passed by more than a request before they can be aborted.
    /// Such a limit counts as reached from now on.
    pub fn to_abort(&mut self) -> Vec<TurnId> {
        let scopes: BTreeSet<(Day, Scope)> = self
            .open
            .values()
            .flat_map(OpenTurn::scopes)
            .filter(|(day, scope)| {
                let ahead = self.open_in(*day, scope).map(|(_, turn)| turn.pace().ahead());
                let counted =
                    self.counted_with(*day, scope, ahead.fold(self.running(*day, scope), Amount::plus));
                reaches(counted, self.limits(*day, scope))
            })
            .collect();
        for (day, scope) in scopes {
            let limits = self.limits(day, &scope);
            let count = self.books.count_mut(day, &scope);
            if count.closed_at != limits {
                count.closed_at = limits;
                self.changed.count(day, scope);
            }
        }
        let passed = |turn: &OpenTurn| turn.scopes().any(|(day, scope)| self.reached(day, &scope).is_some());
        self.open.iter().filter(|(_, turn)| passed(turn)).map(|(id, _)| id.clone()).collect()
    }

    /// Charges a turn that has ended. A turn without an open reservation was charged before.
    ///
    /// A missing usage is estimated: `written` is the length of what the agent wrote, in tokens. `None` says that no model
    /// has answered, so that only the given model calls count.
    pub fn settle(&mut self, id: &TurnId, cost: &TurnCost, written: Option<u64>) {
        let Some(turn) = self.open.remove(id) else { return };
        self.changed.turn(id);
        let cost = match written {
            Some(_) if cost.0.is_empty() => &TurnCost::unreported(),
            _ => cost,
        };
        let texts = turn.texts().tokens.saturating_add(written.unwrap_or(0));
        let mut charge = cost.charge(texts, &self.budgets.prices);
        charge.amount = charge.amount.at_least(turn.observed());
        if charge.amount.is_zero() {
            return;
        }
        let usual = self.usual.entry(turn.agent.clone()).or_insert(charge.amount);
        *usual = turn::mean(*usual, charge.amount);
        for (day, scope) in turn.scopes() {
            let count = self.books.count_mut(day, &scope);
            if turn.carried_to().contains(&day) {
                count.carried = count.carried.plus(charge.amount);
            } else {
                count.charge(&charge);
            }
            self.changed.count(day, scope);
        }
    }

    /// Settles all turns of a delivery that has ended with what is known of them.
    pub fn settle_all(&mut self, is_of_delivery: impl Fn(&TurnId) -> bool) {
        let ids: Vec<TurnId> = self.open.keys().filter(|id| is_of_delivery(id)).cloned().collect();
        for id in &ids {
            self.settle(id, &TurnCost::default(), Some(0));
        }
    }

    /// The scopes whose limits are reached now.
    pub fn held(&self) -> Held {
        Held { reached: self.scopes().filter_map(|scope| self.reached(self.books.today(), &scope)).collect() }
    }

    /// Raises today's limits of a scope. The error is a sentence.
    pub fn raise(&mut self, scope: &Scope, to: Limits, now: Millis) -> Result<(), String> {
        self.turn_to(now);
        self.check_scope(scope)?;
        let (day, configured) = (self.books.today(), self.configured(scope));
        let present = self.limits(day, scope);
        let missing = (to.tokens.is_some() && configured.tokens.is_none())
            || (to.nano_dollars.is_some() && configured.nano_dollars.is_none());
        if to.is_none() || missing {
            return Err(format!("no budget of this kind is set for {}: {present}", scope.name()));
        }
        let is = |than: fn(&u64, &u64) -> bool| {
            let each = [(to.tokens, present.tokens), (to.nano_dollars, present.nano_dollars)];
            each.into_iter()
                .any(|(to, present)| to.zip(present).is_some_and(|(to, present)| than(&to, &present)))
        };
        if is(u64::lt) {
            return Err(format!("the budget of {} is {present} today, which is more", scope.name()));
        }
        if is(u64::eq) {
            return Err(format!(
                "the budget of {} is already {present} today; raise it to more",
                scope.name()
            ));
        }
        let count = self.books.count_mut(day, scope);
        count.raised = count.raised.overridden_by(to);
        self.changed.count(day, scope.clone());
        Ok(())
    }

    /// Starts today's count of an agent from zero, or with [`Scope::Account`] all counts. The error is a sentence.
    pub fn reset(&mut self, scope: &Scope, now: Millis) -> Result<(), String> {
        self.turn_to(now);
        let day = self.books.today();
        self.check_scope(scope)?;
        let scopes: BTreeSet<Scope> = match scope {
            Scope::Account => {
                self.books.book(day).map(|(scope, _)| scope.clone()).chain(self.scopes()).collect()
            }
            Scope::Agent(_) => BTreeSet::from([scope.clone()]),
        };
        for scope in scopes {
            let running = self.running(day, &scope);
            self.books.count_mut(day, &scope).reset(running);
            self.changed.count(day, scope);
        }
        Ok(())
    }

    /// Refuses an agent without a budget of its own. The error is a sentence.
    fn check_scope(&self, scope: &Scope) -> Result<(), String> {
        match scope {
            Scope::Agent(slug) if self.configured(scope).is_none() => {
                Err(no_budget_of(slug, self.budgets.agents.keys().cloned()))
            }
            Scope::Account | Scope::Agent(_) => Ok(()),
        }
    }

    /// What counts against the limits, with an amount that is not charged yet.
    fn counted_with(&self, day: Day, scope: &Scope, open: Amount) -> Amount {
        self.books.count(day, scope).map_or(open, |count| count.counted_with(open))
    }

    /// What running turns have used so far.
    fn running(&self, day: Day, scope: &Scope) -> Amount {
        self.open_in(day, scope).map(|(_, turn)| turn.observed()).fold(Amount::default(), Amount::plus)
    }

    /// What was counted, and what running turns have used so far.
    fn counted_with_running(&self, day: Day, scope: &Scope) -> Amount {
        self.counted_with(day, scope, self.running(day, scope))
    }

    fn is_unreadable(&self, day: Day, scope: &Scope) -> bool {
        self.books.count(day, scope).is_some_and(|count| count.unreadable)
    }

    fn open_in<'a>(&'a self, day: Day, scope: &'a Scope) -> impl Iterator<Item = (&'a TurnId, &'a OpenTurn)> {
        self.open
            .iter()
            .filter(move |(_, turn)| scope.covers(&turn.agent) && turn.days().any(|counted| counted == day))
    }

    /// The limit of a scope, if it is reached.
    fn reached(&self, day: Day, scope: &Scope) -> Option<Reached> {
        let (limits, unreadable) = (self.limits(day, scope), self.is_unreadable(day, scope));
        let counted = self.counted_with_running(day, scope);
        let count = self.books.count(day, scope);
        let forgiven = count.map(|count| count.forgiven).unwrap_or_default();
        let is_closed = !limits.is_none() && count.is_some_and(|count| count.closed_at == limits);
        let early = is_closed && !unreadable && !reaches(counted, limits);
        let is_reached = reaches(counted, limits) || early || (unreadable && !limits.is_none());
        is_reached.then(|| Reached { scope: scope.clone(), limits, counted, forgiven, early, unreadable })
    }
}

/// Whether an amount is at one of the limits or above.
fn reaches(amount: Amount, limits: Limits) -> bool {
    let at = |amount: u64, limit: Option<u64>| limit.is_some_and(|limit| amount >= limit);
    at(amount.tokens, limits.tokens) || at(amount.nano_dollars, limits.nano_dollars)
}

/// Whether an amount is above one of the limits.
fn exceeds(amount: Amount, limits: Limits) -> bool {
    let above = |amount: u64, limit: Option<u64>| limit.is_some_and(|limit| amount > limit);
    above(amount.tokens, limits.tokens) || above(amount.nano_dollars, limits.nano_dollars)
}

#[cfg(test)]
mod tests;
