//! Folds the waiting rows of a track into one turn, and unfolds them when that turn has ended ([`fold`](crate::delivery::fold)).

use std::collections::HashMap;

use super::row::{PASSED_FOR_OTHERS, QueueEntry, StartClass};
use super::{Queue, TrackQueue};
use crate::delivery::{ClosedWork, End, Fold};
use crate::work::{Track, WorkId};
use mcr_model::clock::Millis;

/// Rows of one track for one turn.
#[derive(Debug)]
pub(super) struct Batch {
    /// The row that is answered.
    pub(super) cover: u64,
    /// The others, oldest first.
    pub(super) folded: Vec<u64>,
}

impl Queue {
    /// The rows of this track that one turn answers. `chosen` is the row that is answered, if that is decided.
    ///
    /// The newest row of a person is answered, so a person does not wait behind the agents' rows of the same track. Without
    /// one, the order is kept: of the oldest rows that fit, the newest is answered. A row of unknown origin is preferred to
    /// those of agents, so that a person among them is found. A row that addresses its agent precedes others and is not folded
    /// into one of them, whose turn may end without an answer.
    pub(super) fn batch(&self, queued: &TrackQueue, chosen: Option<u64>) -> Option<Batch> {
        let most = self.fold_max.max(1);
        let newest = |of: &[u64], fits: &dyn Fn(&QueueEntry) -> bool| {
            of.iter().rev().copied().find(|number| fits(&self.rows[number]))
        };
        let is_unknown = |row: &QueueEntry| row.class() == StartClass::Unknown;
        let before_agents = self.foldable(queued, true);
        let (cover, rows) = match chosen.or_else(|| self.for_people(&before_agents)) {
            Some(cover) if self.rows[&cover].class() != StartClass::Agents => (cover, before_agents),
            chosen => {
                let rows = self.foldable(queued, false);
                let oldest = &rows[..rows.len().min(most)];
                let cover = chosen
                    .or_else(|| newest(oldest, &|row| is_unknown(row) && row.addresses_agent()))
                    .or_else(|| newest(oldest, &is_unknown))
                    .or_else(|| newest(oldest, &QueueEntry::addresses_agent))
                    .or_else(|| oldest.last().copied())?;
                (cover, rows)
            }
        };
        let is_addressed = self.rows[&cover].addresses_agent();
        let fits = |number: &u64| *number != cover && (is_addressed || !self.rows[number].addresses_agent());
        let folded = rows.into_iter().filter(fits).take(most - 1).collect();
        Some(Batch { cover, folded })
    }

    /// Of these rows the one of a person that is answered: the newest, which the others are folded into.
    fn for_people(&self, rows: &[u64]) -> Option<u64> {
        let is_of_person = |number: &u64| self.rows[number].class() == StartClass::People;
        if self.fold_max > 1 {
            return rows.iter().rev().copied().find(is_of_person);
        }
        rows.iter().copied().find(is_of_person)
    }

    /// The untouched rows of this track that no earlier row holds back, oldest first. `before_agents` ignores rows of agents,
    /// which hold back no row of a person.
    fn foldable(&self, queued: &TrackQueue, before_agents: bool) -> Vec<u64> {
        let mut others = PASSED_FOR_OTHERS;
        let is_open = |number: &&u64| {
            let row = &self.rows[*number];
            let yields = before_agents && row.yields_to_people();
            row.is_foldable() || row.covered_by.is_some() || yields || row.lets_pass(&mut others)
        };
        let open = queued.rows.iter().take_while(is_open).copied();
        open.filter(|number| self.rows[number].is_foldable()).collect()
    }

    /// Replaces the untouched rows among those that may start by the row that is answered for them.
    pub(super) fn with_cover(&self, mut next: Vec<u64>, queued: &TrackQueue) -> Vec<u64> {
        let first = next.iter().position(|number| self.rows[number].is_foldable());
        if let (Some(first), true) = (first, self.fold_max > 1)
            && let Some(Batch { cover, .. }) = self.batch(queued, None)
        {
            next[first] = cover;
            next.retain(|number| *number == cover || !self.rows[number].is_foldable());
        }
        next
    }

    /// The first untouched row behind those that may start whose origin is unknown. A person may have caused it.
    pub(super) fn unread_behind(&self, track: &Track, queued: &TrackQueue, next: &[u64]) -> Option<u64> {
        if self.blocked.contains_key(track) || self.holder(queued).is_some() {
            return None;
        }
        let is_unread =
            |number: &u64| self.rows[number].class() == StartClass::Unknown && !next.contains(number);
        self.foldable(queued, true).into_iter().find(is_unread)
    }

    /// Folds other rows into this one, which starts now. A row that was tried before keeps its rows.
    pub(super) fn fold(&mut self, number: u64, track: &Track) -> Vec<Fold> {
        let Some(row) = self.rows.get(&number) else { return Vec::new() };
        if row.is_foldable() && self.fold_max > 1 {
            let batch = self.tracks.get(track).and_then(|queued| self.batch(queued, Some(number)));
            let folded = batch.map_or(Vec::new(), |batch| batch.folded);
            if let Some(row) = self.rows.get_mut(&number) {
                row.covers = folded;
            }
        }
        let covers = self.rows.get(&number).map_or(Vec::new(), |row| row.covers.clone());
        let mut folds = Vec::with_capacity(covers.len());
        for other in covers {
            let Some(row) = self.rows.get_mut(&other) else { continue };
            row.covered_by = Some(number);
            let (work, record) = (row.work.clone(), std::mem::take(&mut row.record));
            folds.push(Fold { number: other, work, record, kept: true });
        }
        folds
    }

    /// Takes back the rows that were folded into this one. With an `end` of this row they end or wait again; without one
    /// they stay folded if the turn still answers them.
    pub(super) fn unfold(&mut self, number: u64, folds: Vec<Fold>, end: Option<&End>) {
        let mut covers = Vec::new();
        for fold in folds {
            let Some(row) = self.rows.get_mut(&fold.number) else { continue };
            if fold.kept && end.is_none() {
                covers.push(fold.number);
                row.record = fold.record;
                continue;
            }
            row.covered_by = None;
            // A row that the turn did not have ends with no cover.
            row.record = fold.record.uncovered(end.filter(|_| fold.kept).unwrap_or(&End::Gone));
        }
        if let Some(row) = self.rows.get_mut(&number) {
            row.covers = covers;
        }
    }

    /// Lets the rows wait again that are folded into this one. It has ended without a worker.
    pub(super) fn release(&mut self, number: u64) {
        let covers = self.rows.get_mut(&number).map_or(Vec::new(), |row| std::mem::take(&mut row.covers));
        for other in covers {
            let Some(row) = self.rows.get_mut(&other) else { continue };
            row.covered_by = None;
            row.record = std::mem::take(&mut row.record).uncovered(&End::Gone);
        }
    }

    /// Attaches the folded rows of an earlier process to their covers, as far as these are open. The other folded rows have
    /// ended, or wait again.
    pub(in crate::delivery) fn recall_folds(&mut self, closed: &HashMap<WorkId, ClosedWork>, now: Millis) {
        let folded: Vec<(u64, WorkId)> = self
            .rows
            .iter()
            .filter_map(|(number, row)| Some((*number, row.record.folded_into.clone()?)))
            .collect();
        for (number, cover) in folded {
            let open = self.numbers.get(&cover).copied().filter(|open| *open != number);
            let Some(track) = self.rows.get(&number).map(|row| row.work.track.clone()) else { continue };
            self.withdraw(&track);
            let Some(row) = self.rows.get_mut(&number) else { continue };
            if let Some(open) = open {
                row.covered_by = Some(open);
                if let Some(row) = self.rows.get_mut(&open) {
                    row.covers.push(number);
                }
            } else {
                let end = closed.get(&cover).map_or(&End::Gone, |closed| &closed.end);
                row.record = std::mem::take(&mut row.record).uncovered(end);
            }
            self.arrange(&track, now);
        }
    }
}
