//! Detects stops by people (contract §8: `/stop`). When a list has news of a task, the contexts of the task's running
//! deliveries are read. Stopped deliveries are ended.
//!
//! The notification of a stop waits in its track behind the very turn that it stops. Agents that were only mentioned get
//! no such notification. So any news of a task counts. Each delivery on it is judged by its own context, with the rule
//! that a worker applies before it continues started work. A delivery whose context is older than the last news of its
//! task needs a reading, until one succeeds. That includes deliveries that were about to start when the list came.
//!
//! A heartbeat is about several tasks. A stop of any task that its question names ends it, because the
//! runtime cannot know on which of them the agent works. The agent's next heartbeat continues with the other tasks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Level;
use log::kv::Value;

use super::active_delivery::ActiveDelivery;
use super::inflight::InFlight;
use super::log_item::LogItem;
use super::reading::Reading;
use mcr_clients::convex::CallClass;
use mcr_clients::mission::{GetDeliveryContext, LoadTask, Mission};
use mcr_core::delivery::Stamp;
use mcr_core::work::{Beat, Kind};
use mcr_model::{Notification, NotificationId, TaskId};

/// The most contexts that are read for one list, so that the next list does not wait.
const CHECKS_MAX: usize = 16;

/// How many messages of a thread are read.
const MESSAGES_READ: u32 = 50;

/// How long news is kept: longer than a worker takes from reading a context to the start of its turn.
const REMEMBERED: Duration = Duration::from_mins(2);

/// A notification about a task.
struct TaskNews {
    /// The list that it came with, and the time of the list.
    list: u64,
    at: Instant,
    row: Stamp,
}

/// The news in the lists so far.
#[derive(Default)]
pub(super) struct TaskStops {
    /// The notifications of the last list.
    last: HashMap<NotificationId, Stamp>,
    news: HashMap<TaskId, Vec<TaskNews>>,
    /// The number of the last list.
    list: u64,
}

impl TaskStops {
    /// Takes the news of a list.
    pub(super) fn listed(&mut self, rows: &[Notification], inflight: &InFlight) {
        self.list = inflight.one_more_list();
        let now = Instant::now();
        self.news.retain(|_, news| {
            news.retain(|news| now.duration_since(news.at) < REMEMBERED);
            !news.is_empty()
        });
        let stamps = rows.iter().map(|row| (row, Stamp::of(row)));
        for (row, stamp) in stamps.clone().filter(|(row, stamp)| self.last.get(&row.id) != Some(stamp)) {
            if let Some(task) = &row.task_id {
                let news = TaskNews { list: self.list, at: now, row: stamp };
                self.news.entry(task.clone()).or_default().push(news);
            }
        }
        self.last = stamps.map(|(row, stamp)| (row.id.clone(), stamp)).collect();
    }

    /// Reads the contexts that are due, and ends stopped deliveries.
    pub(super) fn check(&self, inflight: &InFlight, mission: &Mission) {
        let mut owed: Vec<Arc<ActiveDelivery>> =
            inflight.held_on_tasks().into_iter().filter(|held| self.owes(held)).collect();
        // The longest waiting come first, so a few contexts that cannot be read never block the others.
        owed.sort_by_key(|held| held.checked());
        for held in owed.iter().take(CHECKS_MAX) {
            self.check_one(held, inflight, mission);
        }
    }

    /// Whether there is news of the task that the delivery's context cannot contain. In the first list of a process
    /// everything is news: a stop may have come while no process ran.
    fn owes(&self, held: &ActiveDelivery) -> bool {
        held.tasks().iter().any(|task| self.has_news(task, &held.reading()))
    }

    /// Whether there is news of this task that the reading cannot contain.
    fn has_news(&self, task: &TaskId, reading: &Reading) -> bool {
        let news = self.news.get(task).into_iter().flatten();
        let unknown = news.filter(|news| !reading.shows(&news.row)).map(|news| news.list).max();
        reading.lists < unknown.unwrap_or_default().max(self.list.min(1))
    }

    fn check_one(&self, held: &ActiveDelivery, inflight: &InFlight, mission: &Mission) {
        let work = held.work();
        held.is_checked(self.list);
        match &work.kind {
            Kind::Notification(row) => self.check_row(row, held, inflight, mission),
            Kind::Heartbeat(beat) => self.check_tasks(beat, held, inflight, mission),
            // A job of a pool has no task.
            Kind::Job(_) => held.is_read(Reading::blind(self.list)),
            // A person cannot stop test work, because it has no turn.
            #[cfg(feature = "test-kind")]
            Kind::Test(_) => held.is_read(Reading::blind(self.list)),
        }
    }

    /// Reads the tasks of a heartbeat that have news.
    fn check_tasks(&self, beat: &Beat, held: &ActiveDelivery, inflight: &InFlight, mission: &Mission) {
        let (work, reading, mut all_read) = (held.work(), held.reading(), true);
        for task in held.tasks().iter().filter(|task| self.has_news(task, &reading)) {
            let (item, id) = (LogItem::from(&*work), ("stopped_task", Value::from(task.as_str())));
            let load = LoadTask { agent_id: &beat.agent, task_id: task, message_limit: Some(MESSAGES_READ) };
            match mission.ask(&load) {
                Ok(loaded) if held.is_stopped_at(&loaded.task, &loaded.thread) => {
                    item.log(Level::Info, "A person stopped the work on a task of a heartbeat", &[id]);
                    inflight.stop(held);
                    return;
                }
                Ok(_) => {}
                Err(error) => {
                    // The backend may hide the reason of a refusal, so only a missing task is final. One that cannot be
                    // read hides no stop of another.
                    all_read &= error.class == CallClass::Gone;
                    let error = ("error", Value::from_display(&error));
                    item.log(Level::Debug, "Task not read for a check for stops", &[id, error]);
                }
            }
        }
        if all_read {
            held.is_read(Reading::blind(self.list));
        }
    }

    fn check_row(&self, row: &Notification, held: &ActiveDelivery, inflight: &InFlight, mission: &Mission) {
        match mission.ask(&GetDeliveryContext { notification_id: &row.id }) {
            Ok(None) => held.is_read(Reading::blind(self.list)),
            Ok(Some(context)) => match held.is_stopped_in(&context) {
                Some(true) => {
                    let slug = context.agent.as_ref().map_or(row.recipient_id.as_str(), |agent| &agent.slug);
                    LogItem::from(row).with_slug(slug).log(Level::Info, "A person stopped the work", &[]);
                    inflight.stop(held);
                }
                Some(false) => held.is_read(Reading::of(&context, self.list)),
                // The agent's turn has not started yet.
                None => {}
            },
            Err(error) => {
                let error = ("error", Value::from_display(&error));
                LogItem::from(row).log(Level::Debug, "Context not read for a check for stops", &[error]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use serde_json::value::{RawValue, to_raw_value};

    use super::*;
    use crate::delivery::active_delivery::AgentRights;
    use crate::delivery::recover_turn;
    use mcr_clients::convex::{Call, CallError, Convex};
    use mcr_core::delivery::Record;
    use mcr_core::work::Work;
    use mcr_model::clock::Millis;
    use mcr_model::secret::Secret;
    use mcr_model::{AccountId, BehaviorFlags, DeliveryContext, MessageId, SessionKey};

    /// A backend in which every task is paused, and whose first answers are lost.
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
            if call.path.contains("loadTaskDetails") {
                return Ok(to_raw_value(&json!({"task": task, "thread": []})).unwrap());
            }
            let context = json!({"notification": row("n1", 1), "task": task});
            Ok(to_raw_value(&context).unwrap())
        }
    }

    fn row(id: &str, at: i64) -> serde_json::Value {
        json!({"_id": id, "type": "mention", "recipientType": "agent", "recipientId": "a", "taskId": "t1",
            "title": "", "body": "", "createdAt": at})
    }

    /// Notifications by id, each with the time of its last message.
    type List = &'static [(&'static str, i64)];

    fn rows(list: List) -> Vec<Notification> {
        list.iter().map(|(id, at)| serde_json::from_value(row(id, *at)).unwrap()).collect()
    }

    const OWN: List = &[("n1", 1)];
    const NEWS: List = &[("n1", 1), ("n2", 2)];

    fn rights() -> AgentRights {
        AgentRights { task: None, flags: BehaviorFlags::default(), leads: false, may_close: false }
    }

    /// How often the contexts were read after each list, with one delivery on `n1` from before the second list on.
    fn reads(losses: usize, lists: &[List]) -> (Vec<usize>, bool) {
        reads_from(1, 1, losses, lists)
    }

    /// Like [`reads`]. `read` lists had come when the worker read its context, and `begun_at` lists when its turn started.
    fn reads_from(read: u64, begun_at: usize, losses: usize, lists: &[List]) -> (Vec<usize>, bool) {
        let backend = Arc::new(Paused { losses, reads: AtomicUsize::new(0) });
        let mission = Mission::new(backend.clone(), AccountId::new("acc"), Secret::new("token"));
        let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
        let mut record =
            Record { heard: Some(Stamp { message: None, at: Millis(1) }), tries: 1, ..Record::default() };
        recover_turn::begin(&mut record.sent, &SessionKey::new("s"), "a", 1, true, Millis(1));
        let begun = Arc::new(Work::from(rows(OWN).remove(0)));
        let mut stops = TaskStops::default();
        let mut counts = Vec::new();
        for (number, list) in lists.iter().enumerate() {
            if number == begun_at {
                inflight.hold(&begun, &mut record, rights(), Reading::blind(read));
            }
            stops.listed(&rows(list), &inflight);
            stops.check(&inflight, &mission);
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
            "another notification of its task; a stopped delivery is not read again"
        );
        assert_eq!(
            reads(0, &[OWN, OWN, &[("n1", 2)]]),
            (vec![0, 0, 1], true),
            "a message was folded into its own notification"
        );
    }

    #[test]
    fn a_context_that_could_not_be_read_is_read_after_the_next_list() {
        assert_eq!(reads(2, &[OWN, OWN, NEWS, NEWS, NEWS, NEWS]), (vec![0, 0, 1, 2, 3, 3], true));
    }
    /// The stop came between the worker's reading of the context and the start of the turn.
    #[test]
    fn a_list_counts_that_arrives_right_before_a_turn_starts() {
        let stopped = reads_from(1, 2, 0, &[OWN, NEWS, NEWS, NEWS]);
        assert_eq!(stopped, (vec![0, 0, 1, 1], true));
        let known = reads_from(2, 2, 0, &[OWN, NEWS, NEWS, NEWS]);
        assert_eq!(known, (vec![0, 0, 0, 0], false), "the context contains the news of the list");
    }

    /// Notifications that do not fit into a list come with later lists.
    #[test]
    fn a_message_that_the_context_shows_is_no_news() {
        let context = |thread: &[(&str, i64)], changed: i64| -> DeliveryContext {
            let thread: Vec<_> = thread
                .iter()
                .map(|(id, at)| {
                    json!({"messageId": id, "authorType": "user", "authorId": "u", "authorName": "U",
                        "content": "", "createdAt": at})
                })
                .collect();
            let task = json!({"_id": "t1", "title": "T", "status": "review", "priority": 3, "createdBy": "u",
                "createdAt": 1, "updatedAt": changed});
            serde_json::from_value(json!({"notification": row("n1", 1), "task": task, "thread": thread}))
                .unwrap()
        };
        let stamp_of =
            |message: &str, at: i64| Stamp { message: Some(MessageId::new(message)), at: Millis(at) };
        let without_message = |at: i64| Stamp { message: None, at: Millis(at) };
        let reading = Reading::of(&context(&[("m1", 10), ("m2", 20)], 5), 1);
        for (stamp, shown) in [
            (stamp_of("m1", 11), true),
            (stamp_of("m2", 21), true),
            (stamp_of("m3", 21), false),
            (stamp_of("m3", 20), false),
            (without_message(19), true),
            (without_message(20), false),
        ] {
            assert_eq!(reading.shows(&stamp), shown, "{stamp:?}");
        }
        let reading = Reading::of(&context(&[], 5), 1);
        assert!(reading.shows(&without_message(5)), "a notification has the time of its task's change");
        assert!(!reading.shows(&stamp_of("m1", 6)));
    }

    /// The notification of an earlier message may be created after that of a later one.
    #[test]
    fn a_known_notification_hides_no_other() {
        let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
        let work = Arc::new(Work::from(rows(OWN).remove(0)));
        let mut stops = TaskStops::default();
        stops.listed(&rows(OWN), &inflight);
        let item = json!({"messageId": "m2", "authorType": "user", "authorId": "u", "authorName": "U", "content": "",
            "createdAt": 20});
        let context: DeliveryContext =
            serde_json::from_value(json!({"notification": row("n1", 1), "thread": [item]})).unwrap();
        inflight.hold(&work, &mut Record::default(), rights(), Reading::of(&context, 1));
        let stamp_of = |id, message: &str, at| Notification {
            message_id: Some(MessageId::new(message)),
            ..serde_json::from_value(row(id, at)).unwrap()
        };
        let held = inflight.held_of(&work).unwrap();
        stops.listed(&[stamp_of("n2", "m2", 26)], &inflight);
        assert!(!stops.owes(&held));
        stops.listed(
            &[stamp_of("n3", "m3", 25), stamp_of("n2", "m2", 26), stamp_of("n4", "m2", 26)],
            &inflight,
        );
        assert!(stops.owes(&held));
    }

    /// Deliveries of an earlier process are read after the first list: a stop may have come while no process ran.
    #[test]
    fn everything_in_the_first_list_is_news() {
        assert_eq!(reads_from(0, 0, 0, &[OWN, OWN]), (vec![1, 1], true));
    }

    /// How often tasks were read after each list, with a heartbeat about `t1` and `t3` from before the first list on, and
    /// whether it was stopped. In this backend every task is paused.
    fn reads_for_heartbeat(losses: usize, lists: &[List]) -> (Vec<usize>, bool) {
        let backend = Arc::new(Paused { losses, reads: AtomicUsize::new(0) });
        let mission = Mission::new(backend.clone(), AccountId::new("acc"), Secret::new("token"));
        let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
        let (id, agent) = (mcr_core::work::WorkId::new("b1"), mcr_model::AgentId::new("a"));
        let beat = Beat { id, agent, created_at: Millis(1), woken: false };
        let work = Arc::new(Work::from(beat));
        let tasks = ["t3", "t1"].map(TaskId::new).to_vec();
        let of_beat = mcr_core::delivery::BeatRecord { tasks, ..Default::default() };
        let mut record = Record { beat: Some(Box::new(of_beat)), ..Record::default() };
        let mut stops = TaskStops::default();
        let mut counts = Vec::new();
        for list in lists {
            stops.listed(&rows(list), &inflight);
            if counts.is_empty() {
                inflight.hold(&work, &mut record, rights(), Reading::blind(1));
            }
            stops.check(&inflight, &mission);
            counts.push(backend.reads.load(Ordering::SeqCst));
        }
        (counts, inflight.is_stopped(&work))
    }

    #[test]
    fn news_of_a_task_that_a_heartbeat_names_may_end_it() {
        assert_eq!(reads_for_heartbeat(0, &[&[], &[]]), (vec![0, 0], false), "no news");
        assert_eq!(reads_for_heartbeat(0, &[&[], OWN, OWN]), (vec![0, 1, 1], true), "only that task is read");
        assert_eq!(reads_for_heartbeat(2, &[&[], OWN, OWN, OWN]), (vec![0, 1, 2, 3], true), "lost readings");
    }

    /// The delivery is in the table a moment before its question is recorded.
    #[test]
    fn a_reading_before_the_question_is_recorded_decides_nothing() {
        let backend = Arc::new(Paused { losses: 0, reads: AtomicUsize::new(0) });
        let mission = Mission::new(backend, AccountId::new("acc"), Secret::new("token"));
        let inflight = InFlight::new(crossbeam_channel::bounded(1).0);
        let begun = Arc::new(Work::from(rows(OWN).remove(0)));
        let mut stops = TaskStops::default();
        stops.listed(&rows(OWN), &inflight);
        let mut record = Record::default();
        inflight.hold(&begun, &mut record, rights(), Reading::blind(1));
        stops.listed(&rows(NEWS), &inflight);
        stops.check(&inflight, &mission);
        assert!(!inflight.is_stopped(&begun));
        (record.heard, record.tries) = (Some(Stamp { message: None, at: Millis(1) }), 1);
        inflight.hold(&begun, &mut record, rights(), Reading::blind(1));
        stops.listed(&rows(NEWS), &inflight);
        stops.check(&inflight, &mission);
        assert!(inflight.is_stopped(&begun));
    }
}
