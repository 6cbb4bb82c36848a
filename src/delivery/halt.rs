//! Stops by people (contract §8: `/stop`): when a list has news of a task on which agents are at work, the contexts of
//! their deliveries are read, and what was stopped is ended.
//!
//! The row that tells of a stop waits in its track behind the very turn that it stops, and agents who were only mentioned
//! get no such row. So any news of a task counts, and each delivery on it is judged by its own context, by the same rule
//! that a worker applies before it goes on with work that was begun. What could not be read is owed until it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use log::{debug, info};

use super::held::Held;
use super::inflight::InFlight;
use crate::clock::Millis;
use crate::mission::{GetDeliveryContext, Mission};
use crate::model::{MessageId, Notification, NotificationId, TaskId};

/// Contexts that are read for one list: they must not keep the next list waiting.
const LOOKS_MAX: usize = 16;

/// What of a row changes when a later message is folded into it.
type Stamp = (Option<MessageId>, Millis);

/// What the lists have shown so far.
#[derive(Default)]
pub(super) struct Halt {
    /// The rows of the last list; none before the first.
    last: Option<HashMap<NotificationId, Stamp>>,
    /// Deliveries whose contexts are still to be read.
    owed: HashSet<NotificationId>,
}

impl Halt {
    /// Takes a list. In the first list of a process everything is news: a stop may have come while none was there.
    pub(super) fn listed(&mut self, rows: &[Notification], inflight: &InFlight) {
        let now: HashMap<_, _> =
            rows.iter().map(|row| (row.id.clone(), (row.message_id.clone(), row.created_at))).collect();
        let before = self.last.replace(now);
        let news: Vec<&Notification> = match &before {
            None => Vec::new(),
            Some(before) => rows.iter().filter(|row| is_news(row, before)).collect(),
        };
        for held in inflight.held_on_tasks() {
            if before.as_ref().is_none_or(|before| concerns(held.row(), &news, before)) {
                self.owed.insert(held.row().id.clone());
            }
        }
    }

    /// Reads the contexts that are owed, and ends what was stopped.
    pub(super) fn look(&mut self, inflight: &InFlight, mission: &Mission) {
        if self.owed.is_empty() {
            return;
        }
        let held = inflight.held_on_tasks();
        self.owed.retain(|id| held.iter().any(|held| held.row().id == *id));
        let due: Vec<Arc<Held>> =
            held.into_iter().filter(|held| self.owed.contains(&held.row().id)).collect();
        for held in due.iter().take(LOOKS_MAX) {
            self.look_at(held, inflight, mission);
        }
    }

    fn look_at(&mut self, held: &Held, inflight: &InFlight, mission: &Mission) {
        let row = held.row();
        match mission.ask(&GetDeliveryContext { notification_id: &row.id }) {
            Ok(context) => {
                self.owed.remove(&row.id);
                if context.is_some_and(|context| held.is_stopped_in(&context)) {
                    info!("{}: a person stopped the work on this task", row.id);
                    inflight.stop(held);
                }
            }
            Err(error) => debug!("{}: it is not known yet whether a person has stopped it: {error}", row.id),
        }
    }
}

fn is_news(row: &Notification, before: &HashMap<NotificationId, Stamp>) -> bool {
    row.task_id.is_some() && before.get(&row.id) != Some(&(row.message_id.clone(), row.created_at))
}

/// Whether some news is about the task of this row. Its own first sight is none.
fn concerns(row: &Notification, news: &[&Notification], before: &HashMap<NotificationId, Stamp>) -> bool {
    let task: Option<&TaskId> = row.task_id.as_ref();
    news.iter()
        .any(|other| other.task_id.as_ref() == task && (other.id != row.id || before.contains_key(&row.id)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use serde_json::value::{RawValue, to_raw_value};

    use super::*;
    use crate::convex::{Call, CallError, Convex};
    use crate::delivery::{Record, settle};
    use crate::model::{AccountId, SessionKey};
    use crate::secret::Secret;

    /// A backend where every task is paused, and whose first answers are lost.
    struct Paused {
        losses: usize,
        reads: AtomicUsize,
    }

    impl Convex for Paused {
        fn call(&self, call: &Call<'_>) -> Result<Box<RawValue>, CallError> {
            if self.reads.fetch_add(1, Ordering::SeqCst) < self.losses {
                return Err(CallError::before_sending(call.path, "lost"));
            }
            let task = json!({"_id": "t1", "title": "T", "status": "blocked", "priority": 3, "createdBy": "u",
                "createdAt": 1, "updatedAt": 1, "blockedReason": "Paused by user (/stop)"});
            let context = json!({"notification": row("n1", 1), "task": task});
            Ok(to_raw_value(&context).unwrap())
        }
    }

    fn row(id: &str, at: i64) -> serde_json::Value {
        json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": "a", "taskId": "t1",
            "title": "", "body": "", "createdAt": at})
    }

    /// Rows by id, and when a message last came into each.
    type List = &'static [(&'static str, i64)];

    fn rows(list: List) -> Vec<Notification> {
        list.iter().map(|(id, at)| serde_json::from_value(row(id, *at)).unwrap()).collect()
    }

    const OWN: List = &[("n1", 1)];
    const NEWS: List = &[("n1", 1), ("n2", 2)];

    /// After which lists the contexts were read how often, with one delivery at work on `n1`.
    fn reads(losses: usize, lists: &[List]) -> (Vec<usize>, bool) {
        let backend = Arc::new(Paused { losses, reads: AtomicUsize::new(0) });
        let mission = Mission::new(backend.clone(), AccountId::new("acc"), Secret::new("token"));
        let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
        let mut record = Record { heard: Some((None, Millis(1))), tries: 1, ..Record::default() };
        settle::begin(&mut record.sent, &SessionKey::new("s"), ("a", 1), Millis(1));
        let begun = rows(&[("n1", 1)]).remove(0);
        let mut halt = Halt::default();
        let mut counts = Vec::new();
        for (number, list) in lists.iter().enumerate() {
            if number == 1 {
                inflight.resume(&begun, &record);
            }
            halt.listed(&rows(list), &inflight);
            halt.look(&inflight, &mission);
            counts.push(backend.reads.load(Ordering::SeqCst));
        }
        (counts, inflight.is_stopped(&begun))
    }

    #[test]
    fn contexts_are_read_when_a_list_has_news_of_their_task() {
        let quiet = reads(0, &[OWN, OWN, OWN]);
        assert_eq!(quiet, (vec![0, 0, 0], false), "without news nothing is read");
        let another = reads(0, &[OWN, OWN, NEWS, OWN]);
        assert_eq!(
            another,
            (vec![0, 0, 1, 1], true),
            "another row of its task; a stopped one is read no more"
        );
        assert_eq!(
            reads(0, &[OWN, OWN, &[("n1", 2)]]),
            (vec![0, 0, 1], true),
            "a message was folded into its own row"
        );
    }

    #[test]
    fn what_could_not_be_read_is_read_with_the_next_list() {
        assert_eq!(reads(2, &[OWN, OWN, NEWS, NEWS, NEWS, NEWS]), (vec![0, 0, 1, 2, 3, 3], true));
    }
}
