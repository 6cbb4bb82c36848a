//! Decides which row starts next, and hands it out.

use super::row::StartClass;
use super::{OVERTAKEN_MAX, Queue};
use crate::delivery::cause::Cause;
use crate::delivery::gateway_breaker::TurnAllowance;
use crate::delivery::limited::TurnStops;
use crate::delivery::{Job, Permit};
use crate::work::Rank;

/// How many jobs may start now, by their next step.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct StartRoom {
    /// How many turns the gateway takes.
    pub(in crate::delivery) turns: TurnAllowance,
    /// How many turns may start that agents have caused.
    pub(in crate::delivery) agents: usize,
    /// Whether turns may start that people have caused.
    pub(in crate::delivery) people: bool,
}

/// A job that starts now.
#[derive(Debug)]
pub(in crate::delivery) struct StartedJob {
    pub(in crate::delivery) job: Job,
    /// Whether it starts with a turn.
    pub(in crate::delivery) turn: bool,
    /// Whether it takes the place of a turn that an agent has caused.
    pub(in crate::delivery) for_agents: bool,
}

impl Queue {
    /// Takes the next job; its track is busy from now on. With `TurnAllowance::One`, jobs without a turn come first.
    /// Then one job tries the gateway: the first of those that were turned away least often. That job shows best
    /// whether the gateway accepts any turn.
    pub(in crate::delivery) fn take(&mut self, stops: &TurnStops, room: StartRoom) -> Option<StartedJob> {
        let (number, permit) = match room.turns {
            TurnAllowance::All | TurnAllowance::None => self.next(stops, room),
            TurnAllowance::One => {
                let without_turn = self.next(stops, StartRoom { turns: TurnAllowance::None, ..room });
                without_turn.or_else(|| {
                    let ready =
                        self.all_ready().filter(|number| self.rows[number].may_begin(stops, room.turns));
                    let permitted =
                        ready.filter_map(|number| Some((number, self.rows[&number].permit(room)?)));
                    permitted.min_by_key(|(number, _)| {
                        (self.rows[number].record.failures.of(Cause::TurnedAway), *number)
                    })
                })
            }
        }?;
        self.hand_out(number, permit)
    }

    fn all_ready(&self) -> impl Iterator<Item = u64> {
        self.ready.iter().flatten().flatten().copied()
    }

    fn hand_out(&mut self, number: u64, permit: Permit) -> Option<StartedJob> {
        let row = self.rows.get(&number)?;
        let (track, class) = (row.work.track.clone(), row.class());
        let is_look = permit == Permit::People && class == StartClass::Unknown;
        if !is_look {
            self.overtakes(number);
        }
        self.withdraw(&track);
        let folds = self.fold(number, &track);
        self.tracks.get_mut(&track)?.busy = Some(number);
        let row = self.rows.get_mut(&number)?;
        let turn = row.needs_turn();
        (row.running, row.looks) = (true, is_look);
        self.running += 1;
        let record = std::mem::take(&mut row.record);
        let job = Job { permit, folds, ..Job::new(number, row.work.clone(), record) };
        Some(StartedJob { job, turn, for_agents: permit == Permit::Any && class.is_of_agents() })
    }

    /// Counts that this row starts before earlier ones.
    pub(super) fn overtakes(&mut self, number: u64) {
        for (_, earlier) in self.rows.range_mut(..number).filter(|(_, row)| !row.running) {
            earlier.overtaken += 1;
        }
    }

    /// The next row to start, and which turns it may send.
    fn next(&self, stops: &TurnStops, room: StartRoom) -> Option<(u64, Permit)> {
        let may_begin = |number: &u64| self.rows[number].may_begin(stops, room.turns);
        let permit = |number: u64| Some((number, self.rows[&number].permit(room)?));
        let overdue = |number: &u64| self.rows[number].overtaken >= OVERTAKEN_MAX && may_begin(number);
        let overdue = self.all_ready().filter(overdue).filter_map(permit).min_by_key(|(number, _)| *number);
        let first = |class: StartClass| {
            let ready = &self.ready[class as usize];
            ready.iter().find_map(|rank| rank.iter().copied().filter(may_begin).find_map(permit))
        };
        overdue.or_else(|| first(StartClass::Begun)).or_else(|| first(StartClass::People)).or_else(|| {
            let unknown = self.first_of(StartClass::Unknown, may_begin);
            let competes = || self.ready_of_agents(stops) > room.agents;
            if let Some(number) = unknown.filter(|_| room.people && competes()) {
                return Some((number, Permit::People));
            }
            let known = self.first_of(StartClass::Agents, may_begin);
            let number = [unknown, known].into_iter().flatten().min_by_key(|number| self.order(*number));
            let unread = || self.unread.iter().copied().find(may_begin);
            let hidden = || unread().filter(|_| room.people && room.agents == 0);
            number.and_then(permit).or_else(|| hidden().map(|number| (number, Permit::People)))
        })
    }

    fn first_of(&self, class: StartClass, may_begin: impl Fn(&u64) -> bool + Copy) -> Option<u64> {
        self.ready[class as usize].iter().find_map(|rank| rank.iter().copied().find(may_begin))
    }

    fn order(&self, number: u64) -> (Rank, u64) {
        (self.rows[&number].work.rank, number)
    }
}
