//! Everything that is known of the deliveries, from the ledger and from the running service, put together for whoever asks.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use mcr_core::delivery::dead_letters::DeadLetter;
use mcr_core::delivery::journal::{RecordedStep, Step};
use mcr_core::delivery::ledger_row::UnreadableRow;
use mcr_core::delivery::operator_requests::{Pending, Place};
use mcr_core::delivery::{End, Record};
use mcr_core::ops::{self, Brief, Case, Finding, ServiceCondition, TurnStatus};
use mcr_core::work::{Track, Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::{AccountId, Notification, RecipientType, Roster};
use mcr_service::delivery::inflight::Seen;
use mcr_store::ledger::{DeliveryHistory, Read};

/// So many of those that ended last are shown.
pub(super) const RECENT: usize = 50;

/// What the running service knows; of one that does not run, nothing.
#[derive(Default)]
pub(super) struct Memory {
    /// What is not settled.
    pub(super) pending: Vec<Pending>,
    /// What was given up.
    pub(super) shelved: Vec<DeadLetter>,
    /// The turns under way.
    pub(super) turns: Vec<Seen>,
}

impl Memory {
    /// While no service runs: these rows, as Mission Control lists them, are not begun. Those that the ledger has, it
    /// tells better.
    pub(super) fn waiting(listed: Vec<Notification>, read: &Read) -> Self {
        let unreadable = read.unreadable.iter().map(|row| &row.id);
        let noted: HashSet<&WorkId> = read.tales.iter().map(|tale| &tale.id).chain(unreadable).collect();
        let blocks = |row: &UnreadableRow| {
            let id = row.id.clone();
            row.blocked_tracks().into_iter().map(move |track| (track, id.clone()))
        };
        let blocked: HashMap<Track, WorkId> = read.unreadable.iter().flat_map(blocks).collect();
        let open = read.tales.iter().filter(|tale| tale.closed.is_none());
        let mut first: HashMap<Track, WorkId> =
            open.map(|tale| (tale.work.track.clone(), tale.id.clone())).collect();
        let mut pending = Vec::new();
        for row in listed {
            if noted.contains(&WorkId::from(&row.id)) || row.recipient_type == RecipientType::User {
                continue;
            }
            let work = Arc::new(Work::from(row));
            let place = match (blocked.get(&work.track), first.get(&work.track)) {
                (Some(row), _) => Place::BehindUnreadable(row.clone()),
                (None, Some(first)) => Place::Behind(first.clone()),
                (None, None) => Place::Ready,
            };
            first.entry(work.track.clone()).or_insert_with(|| work.id.clone());
            pending.push(Pending { work, record: Record::default(), trouble: None, place });
        }
        Self { pending, ..Self::default() }
    }
}

/// What a report on an account's deliveries is put together from.
pub(super) struct ReportSources<'a> {
    /// Whose deliveries are reported.
    pub(super) account: &'a AccountId,
    /// The names of agents.
    pub(super) roster: &'a Roster,
    /// The ledger.
    pub(super) read: &'a Read,
    /// The running service.
    pub(super) memory: Memory,
    /// What concerns all deliveries alike.
    pub(super) condition: &'a ServiceCondition,
    /// The longest silence of a turn.
    pub(super) silence: Duration,
    pub(super) now: Millis,
}

/// All cases, and what is needed to tell them.
pub(super) struct DeliveryReport<'a> {
    pub(super) cases: Vec<Case>,
    /// Rows of the ledger that are not understood, each with the name of its agent.
    unreadable: Vec<(&'a UnreadableRow, String)>,
    pub(super) house: &'a ServiceCondition,
    pub(super) silence: Duration,
    pub(super) now: Millis,
}

/// What there is, in lines.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliverySummary {
    /// What stands in everybody's way.
    pub(super) blocks: Vec<String>,
    /// Who is paused.
    pub(super) paused: ops::Paused,
    /// What is not settled, in its order.
    pub(super) unsettled: Vec<Brief>,
    /// What was given up and nobody has decided on, oldest first.
    pub(super) dead: Vec<Brief>,
    /// What ended last, newest first.
    recent: Vec<Brief>,
    /// Open rows of the ledger that are not understood, in sentences.
    pub(super) damaged: Vec<String>,
    /// When a damaged ledger was last set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) set_aside: Option<Millis>,
}

impl<'a> DeliveryReport<'a> {
    /// The report on the account that the sources name.
    pub(super) fn new(sources: ReportSources<'a>) -> Self {
        let ReportSources { account, roster, read, memory, condition, silence, now } = sources;
        let names = names(read, roster);
        let name = |work: &Work| {
            let agent = &*work.track.agent;
            names.get(agent).map_or(agent, |name| name).to_owned()
        };
        let turns = turns(&memory.turns);
        let mut pending: HashMap<_, _> =
            memory.pending.into_iter().map(|pending| (pending.work.id.clone(), pending)).collect();
        let mut shelved: HashMap<_, _> =
            memory.shelved.into_iter().map(|dead| (dead.work.id.clone(), dead)).collect();
        let mut cases: Vec<Case> = Vec::new();
        for tale in read.tales.iter().filter(|tale| tale.account == *account) {
            let mut case = told(tale, pending.remove(&tale.id), name(&tale.work));
            // What was given up a moment ago may not be written yet.
            if let Some(dead) = shelved.remove(&tale.id).filter(|_| case.place.is_none()) {
                (case.closed, case.record) = (Some((dead.at, Some(End::Dead(dead.why)))), dead.record);
            }
            cases.push(case);
        }
        cases.extend(pending.into_values().map(|pending| untold(pending, &name)));
        cases.extend(shelved.into_values().map(|dead| given_up(dead, &name)));
        for case in &mut cases {
            case.turn = turns.get(case.work.id.as_str()).cloned();
        }
        cases.sort_by_key(|case| case.work.created_at());
        let ours = read.unreadable.iter().filter(|row| row.is_of(account));
        let unreadable = ours.map(|row| {
            let agent = row.subject.as_ref().map_or("", |(agent, _)| agent.as_str());
            (row, names.get(agent).map_or(agent, |name| name).to_owned())
        });
        Self { cases, unreadable: unreadable.collect(), house: condition, silence, now }
    }

    /// The answer for a notification, a task or an agent.
    pub(super) fn find(&self, id: &str) -> Option<Finding> {
        if let Some(case) = self.cases.iter().find(|case| case.work.id.as_str() == id) {
            return Some(ops::one(case, self.house, self.silence, self.now));
        }
        if let Some((row, _)) = self.unreadable.iter().find(|(row, _)| row.id.as_str() == id) {
            return Some(ops::unreadable::finding(row));
        }
        let fits = |case: &&Case| {
            let task = case.work.track.task().is_some_and(|task| task.as_str() == id);
            task || case.work.track.agent == id || case.agent.eq_ignore_ascii_case(id)
        };
        let cases: Vec<Case> = self.cases.iter().filter(fits).cloned().collect();
        let found = ops::many(id, &cases, self.house, self.silence, self.now);
        let rows = self.unreadable.iter().filter(|(row, name)| {
            let (agent, task) =
                row.subject.as_ref().map_or(("", None), |(agent, task)| (agent, task.as_ref()));
            task.is_some_and(|task| task.as_str() == id) || agent == id || name.eq_ignore_ascii_case(id)
        });
        let rows: Vec<_> = rows.map(|(row, name)| (*row, name.as_str())).collect();
        ops::unreadable::with_rows(id, found, &rows)
    }

    /// What the open rows are that are not understood, and what to do about them: sentences.
    pub(super) fn unreadable_in_words(&self) -> Vec<String> {
        let open = self.unreadable.iter().filter(|(row, _)| row.is_open());
        open.map(|(row, _)| format!("{} {}", row.explain(), row.advice())).collect()
    }

    /// All of it in lines.
    pub(super) fn overview(&self, set_aside: Option<Millis>) -> DeliverySummary {
        let brief = |case: &Case| ops::brief(case, self.house, self.silence, self.now);
        let open = self.cases.iter().filter(|case| case.closed.is_none());
        let dead = self.cases.iter().filter(|case| is_dead(case));
        let mut closed: Vec<(Millis, &Case)> =
            self.cases.iter().filter_map(|case| Some((case.closed.as_ref()?.0, case))).collect();
        closed.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut dead: Vec<Brief> = dead.map(brief).collect();
        dead.sort_by_key(|brief| brief.at);
        let blocks = self.house.blocks("", "", true).into_iter().chain(self.house.besides());
        DeliverySummary {
            blocks: blocks.collect(),
            paused: self.house.paused.clone(),
            unsettled: open.map(brief).collect(),
            dead,
            recent: closed.into_iter().take(RECENT).map(|(_, case)| brief(case)).collect(),
            damaged: self.unreadable_in_words(),
            set_aside,
        }
    }
}

/// Whether it was given up, and nobody has decided on it.
pub(super) fn is_dead(case: &Case) -> bool {
    matches!(case.closed, Some((_, Some(End::Dead(_)))))
}

impl DeliverySummary {
    /// With every text as it may be shown.
    pub(super) fn cleaned(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        let texts = self.blocks.iter_mut().chain(&mut self.damaged);
        texts.for_each(|text| *text = clean(text));
        let briefs = self.unsettled.iter_mut().chain(&mut self.dead).chain(&mut self.recent);
        briefs.for_each(|brief| brief.clean(clean));
        self.paused = self.paused.cleaned(clean);
        self
    }
}

/// How agents are called: as the roster says, or as the ledger tells that they were spoken to.
fn names<'a>(read: &'a Read, roster: &'a Roster) -> HashMap<&'a str, &'a str> {
    let spoken = read.tales.iter().filter_map(|tale| Some((&*tale.work.track.agent, spoken_to(&tale.told)?)));
    let known = roster.agents.iter().map(|agent| (agent.id.as_str(), agent.slug.as_str()));
    spoken.chain(known).collect()
}

fn spoken_to(told: &[RecordedStep]) -> Option<&str> {
    let sent = told.iter().rev().find(|told| told.step == Step::TurnSent.name())?;
    Some(sent.words.strip_prefix("to ")?.split_once(", try ")?.0)
}

fn turns(seen: &[Seen]) -> HashMap<&str, TurnStatus> {
    let turn = |seen: &Seen| TurnStatus { state: seen.state, since: seen.since, quiet: seen.quiet };
    seen.iter().map(|seen| (seen.work.as_str(), turn(seen))).collect()
}

/// What the ledger tells, with what the service knows besides.
fn told(tale: &DeliveryHistory, pending: Option<Pending>, agent: String) -> Case {
    let mut case = Case {
        work: tale.work.clone(),
        record: tale.record.clone(),
        agent,
        first_seen: Some(tale.first_seen),
        not_before: tale.not_before,
        closed: tale.closed.map(|at| (at, tale.end.clone())),
        told: tale.told.clone(),
        left_out: tale.left_out,
        trouble: None,
        place: None,
        turn: None,
    };
    if let Some(pending) = pending {
        // A worker takes the record with it, and notes what it does.
        if pending.place != Place::Running {
            case.record = pending.record;
        }
        (case.trouble, case.place, case.closed) = (pending.trouble, Some(pending.place), None);
    }
    case
}

/// What only the service knows.
fn untold(pending: Pending, name: &dyn Fn(&Work) -> String) -> Case {
    Case {
        agent: name(&pending.work),
        work: pending.work,
        record: pending.record,
        first_seen: None,
        not_before: None,
        closed: None,
        told: Vec::new(),
        left_out: 0,
        trouble: pending.trouble,
        place: Some(pending.place),
        turn: None,
    }
}

fn given_up(dead: DeadLetter, name: &dyn Fn(&Work) -> String) -> Case {
    Case {
        agent: name(&dead.work),
        work: dead.work,
        record: dead.record,
        first_seen: None,
        not_before: None,
        closed: Some((dead.at, Some(End::Dead(dead.why)))),
        told: Vec::new(),
        left_out: 0,
        trouble: None,
        place: None,
        turn: None,
    }
}
