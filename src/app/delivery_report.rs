//! Combines what the ledger and the running service know about deliveries into one report.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use mcr_core::delivery::dead_letters::DeadLetter;
use mcr_core::delivery::journal::{RecordedStep, Step};
use mcr_core::delivery::ledger_row::UnreadableRow;
use mcr_core::delivery::operator_requests::{Pending, Place};
use mcr_core::delivery::{End, Record};
use mcr_core::ops::evidence::{TaskEvidence, TaskFacts, evidence};
use mcr_core::ops::id_prefix::{IdMatch, resolve};
use mcr_core::ops::pause::find as find_agent;
use mcr_core::ops::{self, Brief, Case, Finding, ServiceCondition, StoppedByBrake, TurnStatus};
use mcr_core::work::{Track, Work, WorkId};
use mcr_model::clock::Millis;
use mcr_model::{AccountId, DonePolicy, Notification, RecipientType, Roster, TaskId};
use mcr_service::delivery::inflight::Seen;
use mcr_store::ledger::{DeliveryHistory, Read};

/// The number of recently ended deliveries that are shown.
pub(super) const RECENT: usize = 50;

/// What the running service knows. Empty if no service runs.
#[derive(Default)]
pub(super) struct ServiceSnapshot {
    /// Unsettled work.
    pub(super) pending: Vec<Pending>,
    /// Deliveries that were given up.
    pub(super) shelved: Vec<DeadLetter>,
    /// The running turns.
    pub(super) turns: Vec<Seen>,
}

impl ServiceSnapshot {
    /// For a stopped service: rows listed by Mission Control that have not started. Rows in the ledger are left
    /// out, because the report takes them from the ledger.
    pub(super) fn waiting(listed: Vec<Notification>, read: &Read) -> Self {
        let unreadable = read.unreadable.iter().map(|row| &row.id);
        let noted: HashSet<&WorkId> =
            read.deliveries.iter().map(|history| &history.id).chain(unreadable).collect();
        let blocks = |row: &UnreadableRow| {
            let id = row.id.clone();
            row.blocked_tracks().into_iter().map(move |track| (track, id.clone()))
        };
        let mut blocked: HashMap<Track, WorkId> = HashMap::new();
        for (track, id) in read.unreadable.iter().flat_map(blocks) {
            let first = blocked.entry(track).or_insert_with(|| id.clone());
            if id < *first {
                *first = id;
            }
        }
        let open = read.deliveries.iter().filter(|history| history.closed.is_none());
        let mut first: HashMap<Track, WorkId> =
            open.map(|history| (history.work.track.clone(), history.id.clone())).collect();
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

/// The sources of a report on an account's deliveries.
pub(super) struct ReportSources<'a> {
    /// The account whose deliveries are reported.
    pub(super) account: &'a AccountId,
    /// The names of agents.
    pub(super) roster: &'a Roster,
    /// The ledger.
    pub(super) read: &'a Read,
    /// The running service.
    pub(super) memory: ServiceSnapshot,
    /// The conditions that affect all deliveries.
    pub(super) condition: &'a ServiceCondition,
    /// The longest silence of a turn.
    pub(super) silence: Duration,
    /// The facts of a task. None where they cannot be read.
    pub(super) facts: &'a dyn Fn(&TaskId) -> Option<TaskFacts>,
    /// What happens to a task whose status and facts differ.
    pub(super) done_policy: DonePolicy,
    pub(super) now: Millis,
}

/// All cases, with the data that explains them.
pub(super) struct DeliveryReport<'a> {
    pub(super) cases: Vec<Case>,
    /// Rows of the ledger that are not understood, each with the name of its agent.
    unreadable: Vec<(&'a UnreadableRow, String)>,
    roster: &'a Roster,
    pub(super) condition: &'a ServiceCondition,
    pub(super) silence: Duration,
    facts: &'a dyn Fn(&TaskId) -> Option<TaskFacts>,
    done_policy: DonePolicy,
    names: HashMap<&'a str, &'a str>,
    pub(super) now: Millis,
}

/// The result of a search for an id that may be typed in part.
pub(super) enum LookUp {
    /// The explanation.
    Found(Box<Finding>),
    /// The slug of an agent without deliveries.
    Idle(String),
    /// Why no id was chosen, and the candidates.
    Refused(Vec<String>),
    /// No id begins with the text.
    Unknown,
}

/// The summary of all deliveries: one [`Brief`] for each.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliverySummary {
    /// Conditions that block all deliveries.
    pub(super) blocks: Vec<String>,
    /// The paused agents.
    pub(super) paused: ops::Paused,
    /// Unsettled work, in its order.
    pub(super) unsettled: Vec<Brief>,
    /// Deliveries that were given up and await a decision, oldest first.
    pub(super) dead: Vec<Brief>,
    /// The deliveries that ended last, newest first.
    recent: Vec<Brief>,
    /// Open rows of the ledger that are not understood, in sentences.
    pub(super) damaged: Vec<String>,
    /// The notifications of these rows.
    #[serde(default)]
    pub(super) damaged_ids: Vec<String>,
    /// When a damaged ledger was last set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) set_aside: Option<Millis>,
}

impl<'a> DeliveryReport<'a> {
    /// Builds the report on the account that the sources name.
    pub(super) fn new(sources: ReportSources<'a>) -> Self {
        let ReportSources { account, roster, read, memory, condition, silence, facts, done_policy, now } =
            sources;
        let names = names(read, roster);
        let name = |work: &Work| name_in(&names, &work.track.agent);
        let turns = turns(&memory.turns);
        let mut pending: HashMap<_, _> =
            memory.pending.into_iter().map(|pending| (pending.work.id.clone(), pending)).collect();
        let mut shelved: HashMap<_, _> =
            memory.shelved.into_iter().map(|dead| (dead.work.id.clone(), dead)).collect();
        let mut cases: Vec<Case> = Vec::new();
        for history in read.deliveries.iter().filter(|history| history.account == *account) {
            let mut case = recorded_case(history, pending.remove(&history.id), name(&history.work));
            // A delivery given up a moment ago may not be in the ledger yet.
            if let Some(dead) = shelved.remove(&history.id).filter(|_| case.place.is_none()) {
                (case.closed, case.record) = (Some((dead.at, Some(End::Dead(dead.why)))), dead.record);
            }
            cases.push(case);
        }
        cases.extend(pending.into_values().map(|pending| pending_case(pending, &name)));
        cases.extend(shelved.into_values().map(|dead| dead_case(dead, &name)));
        for case in &mut cases {
            case.turn = turns.get(case.work.id.as_str()).cloned();
        }
        cases.sort_by_key(|case| case.work.created_at());
        let ours = read.unreadable.iter().filter(|row| row.is_of(account));
        let unreadable = ours.map(|row| {
            let agent = row.subject.as_ref().map_or("", |(agent, _)| agent.as_str());
            (row, name_in(&names, agent))
        });
        let unreadable = unreadable.collect();
        Self { cases, unreadable, roster, condition, silence, facts, done_policy, names, now }
    }

    /// Explains a notification, a task or an agent. The beginning of its id is enough.
    pub(super) fn look_up(&self, typed: &str) -> LookUp {
        if let Some(finding) = self.find(typed) {
            return LookUp::Found(Box::new(finding));
        }
        let cases = self.cases.iter().flat_map(|case| {
            let track = &case.work.track;
            let names = [case.work.id.as_str(), &*track.agent, case.agent.as_str()];
            names.into_iter().chain(track.task().map(TaskId::as_str))
        });
        let rows = self.unreadable.iter().map(|(row, _)| row.id.as_str());
        let agents = self.roster.agents().iter().flat_map(|agent| [agent.slug.as_str(), agent.id.as_str()]);
        let found = resolve(typed, cases.chain(rows).chain(agents));
        match (&found, found.refusal(typed)) {
            (IdMatch::One(id), _) => match (self.find(id), find_agent(self.roster, id)) {
                (Some(finding), _) => LookUp::Found(Box::new(finding)),
                (None, Some(agent)) => LookUp::Idle(agent.slug.clone()),
                (None, None) => LookUp::Unknown,
            },
            (_, Some(lines)) => LookUp::Refused(lines),
            (_, None) => LookUp::Unknown,
        }
    }

    /// Explains a notification, a task or an agent, by its whole id or name.
    pub(super) fn find(&self, id: &str) -> Option<Finding> {
        if let Some(case) = self.cases.iter().find(|case| case.work.id.as_str() == id) {
            return Some(ops::one(case, self.condition, self.silence, self.now));
        }
        if let Some((row, _)) = self.unreadable.iter().find(|(row, _)| row.id.as_str() == id) {
            return Some(ops::unreadable::finding(row));
        }
        let fits = |case: &&Case| {
            let task = case.work.track.task().is_some_and(|task| task.as_str() == id);
            task || case.work.track.agent == id || case.agent.eq_ignore_ascii_case(id)
        };
        let cases: Vec<Case> = self.cases.iter().filter(fits).cloned().collect();
        let stopped = StoppedByBrake::of(&self.cases);
        let found = ops::many(id, &cases, self.condition, &stopped, self.silence, self.now);
        let found = found.map(|found| Finding { evidence: self.evidence(id, &cases), ..found });
        let rows = self.unreadable.iter().filter(|(row, name)| {
            let (agent, task) =
                row.subject.as_ref().map_or(("", None), |(agent, task)| (agent, task.as_ref()));
            task.is_some_and(|task| task.as_str() == id) || agent == id || name.eq_ignore_ascii_case(id)
        });
        let rows: Vec<_> = rows.map(|(row, name)| (*row, name.as_str())).collect();
        ops::unreadable::with_rows(id, found, &rows)
    }

    /// What is known about the task with this id, if the deliveries are those of a task.
    fn evidence(&self, id: &str, cases: &[Case]) -> Option<TaskEvidence> {
        let task = cases.iter().find_map(|case| case.work.track.task().filter(|task| task.as_str() == id))?;
        let facts = (self.facts)(task)?;
        Some(evidence(task, &facts, self.done_policy, &|agent| name_in(&self.names, agent)))
    }

    /// Explains the open rows that are not understood, with what to do about them: sentences.
    pub(super) fn unreadable_in_words(&self) -> Vec<String> {
        self.open_unreadable().map(|row| format!("{} {}", row.explain(), row.advice())).collect()
    }

    fn open_unreadable(&self) -> impl Iterator<Item = &UnreadableRow> {
        self.unreadable.iter().map(|(row, _)| *row).filter(|row| row.is_open())
    }

    /// The summary of the report.
    pub(super) fn overview(&self, set_aside: Option<Millis>) -> DeliverySummary {
        let brief = |case: &Case| ops::brief(case, self.condition, self.silence, self.now);
        let open = self.cases.iter().filter(|case| case.closed.is_none());
        let dead = self.cases.iter().filter(|case| is_dead(case));
        let mut closed: Vec<(Millis, &Case)> =
            self.cases.iter().filter_map(|case| Some((case.closed.as_ref()?.0, case))).collect();
        closed.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let mut dead: Vec<Brief> = dead.map(brief).collect();
        dead.sort_by_key(|brief| brief.at);
        let blocks = self.condition.blocks("", "", true).into_iter().chain(self.condition.besides());
        DeliverySummary {
            blocks: blocks.collect(),
            paused: self.condition.paused.clone(),
            unsettled: open.map(brief).collect(),
            dead,
            recent: closed.into_iter().take(RECENT).map(|(_, case)| brief(case)).collect(),
            damaged: self.unreadable_in_words(),
            damaged_ids: self.open_unreadable().map(|row| row.id.to_string()).collect(),
            set_aside,
        }
    }
}

/// Whether the delivery was given up and awaits a decision.
pub(super) fn is_dead(case: &Case) -> bool {
    matches!(case.closed, Some((_, Some(End::Dead(_)))))
}

impl DeliverySummary {
    /// The summary with every text cleaned.
    pub(super) fn cleaned(mut self, clean: &dyn Fn(&str) -> String) -> Self {
        let texts = self.blocks.iter_mut().chain(&mut self.damaged);
        texts.for_each(|text| *text = clean(text));
        let briefs = self.unsettled.iter_mut().chain(&mut self.dead).chain(&mut self.recent);
        briefs.for_each(|brief| brief.clean(clean));
        self.paused = self.paused.cleaned(clean);
        self
    }
}

/// The name of an agent: its slug, or its id if the slug is unknown.
pub(super) fn name_in(names: &HashMap<&str, &str>, agent: &str) -> String {
    names.get(agent).map_or(agent, |name| name).to_owned()
}

/// The names of the agents: from the roster, or from the turns in the ledger.
pub(super) fn names<'a>(read: &'a Read, roster: &'a Roster) -> HashMap<&'a str, &'a str> {
    let from_ledger = read
        .deliveries
        .iter()
        .filter_map(|history| Some((&*history.work.track.agent, agent_of_last_turn(&history.steps)?)));
    let from_roster = roster.agents().iter().map(|agent| (agent.id.as_str(), agent.slug.as_str()));
    from_ledger.chain(from_roster).collect()
}

fn agent_of_last_turn(steps: &[RecordedStep]) -> Option<&str> {
    let sent = steps.iter().rev().find(|steps| steps.step == Step::TurnSent.name())?;
    Some(sent.words.strip_prefix("to ")?.split_once(", try ")?.0)
}

fn turns(seen: &[Seen]) -> HashMap<&str, TurnStatus> {
    let turn = |seen: &Seen| TurnStatus { state: seen.state, since: seen.since, quiet: seen.quiet };
    seen.iter().map(|seen| (seen.work.as_str(), turn(seen))).collect()
}

/// A case from the ledger, with what the service adds.
fn recorded_case(history: &DeliveryHistory, pending: Option<Pending>, agent: String) -> Case {
    let mut case = Case {
        work: history.work.clone(),
        record: history.record.clone(),
        agent,
        first_seen: Some(history.first_seen),
        not_before: history.not_before,
        closed: history.closed.map(|at| (at, history.end.clone())),
        steps: history.steps.clone(),
        left_out: history.left_out,
        trouble: None,
        place: None,
        turn: None,
    };
    if let Some(pending) = pending {
        // The worker of a running delivery has the record, and notes its steps in the ledger itself.
        if pending.place != Place::Running {
            case.record = pending.record;
        }
        (case.trouble, case.place, case.closed) = (pending.trouble, Some(pending.place), None);
    }
    case
}

/// A case that only the service knows.
fn pending_case(pending: Pending, name: &dyn Fn(&Work) -> String) -> Case {
    Case {
        agent: name(&pending.work),
        work: pending.work,
        record: pending.record,
        first_seen: None,
        not_before: None,
        closed: None,
        steps: Vec::new(),
        left_out: 0,
        trouble: pending.trouble,
        place: Some(pending.place),
        turn: None,
    }
}

fn dead_case(dead: DeadLetter, name: &dyn Fn(&Work) -> String) -> Case {
    Case {
        agent: name(&dead.work),
        work: dead.work,
        record: dead.record,
        first_seen: None,
        not_before: None,
        closed: Some((dead.at, Some(End::Dead(dead.why)))),
        steps: Vec::new(),
        left_out: 0,
        trouble: None,
        place: None,
        turn: None,
    }
}
