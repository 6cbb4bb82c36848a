//! What a heartbeat is about: the tasks of its agent, their threads and the waiting events.

use log::Level;
use log::kv::Value;

use super::deps::{DeliveryDeps, backend_failure};
use super::log_item::LogItem;
use mcr_clients::convex::CallClass;
use mcr_clients::mission::{ListAssignedTasks, ListTasksByStatus, LoadTask};
use mcr_core::delivery::{Record, Trouble, policy};
use mcr_core::heartbeat::board::{THREADS_MAX, TRACKED_STATUSES, TrackedTask, tracked};
use mcr_core::heartbeat::gate::BeatInputs;
use mcr_core::heartbeat::wake::AgentEvent;
use mcr_model::clock::Millis;
use mcr_model::{Agent, LocalTime, Roster, Task, TaskId, limits};

/// How many messages of a thread are read.
const MESSAGES_READ: u32 = 50;

/// What the beat is about, read at its beginning.
pub(super) struct Board {
    /// The tasks in their order.
    pub(super) tasks: Vec<TrackedTask>,
    /// The events that wait for the agent, and how many were displaced.
    pub(super) events: Vec<AgentEvent>,
    pub(super) displaced: u64,
    pub(super) checklist: String,
    /// The tasks that a person has paused.
    pub(super) paused: Vec<TaskId>,
    /// How many lists of notifications had arrived before it was read.
    pub(super) lists: u64,
    /// When it was read, by the system's clock.
    pub(super) at: Millis,
}

impl Board {
    /// Whether a person has stopped the work on a task that the question of this record names.
    pub(super) fn is_stopped(&self, record: &Record) -> bool {
        let Some(of_beat) = &record.beat else { return false };
        let is_named = |id: &TaskId| of_beat.tasks.contains(id);
        let has_stop = |tracked: &TrackedTask| {
            is_named(&tracked.task.id)
                && tracked.thread.as_ref().is_some_and(|thread| policy::has_stop_after(thread, record.since))
        };
        self.paused.iter().any(is_named) || self.tasks.iter().any(has_stop)
    }

    pub(super) fn inputs<'a>(
        &'a self,
        agent: &'a Agent,
        roster: &Roster,
        woken: bool,
        local: LocalTime,
    ) -> BeatInputs<'a> {
        BeatInputs {
            agent,
            leads: roster.leads(&agent.id),
            checklist: &self.checklist,
            tasks: &self.tasks,
            events: self.events.len(),
            woken,
            now: self.at,
            local,
        }
    }
}

/// Reads the tasks, their threads and the waiting events. If a list cannot be read, the beat is tried again: without its
/// tasks it would find nothing to do.
pub(super) fn read(agent: &Agent, leads: bool, deps: &DeliveryDeps<'_>) -> Result<Board, Trouble> {
    let (at, lists) = (deps.clock.now(), deps.inflight.lists());
    let (events, displaced) = deps.beats.wakes().read(|wakes| {
        let (events, displaced) = wakes.waiting(wakes.slug_of(&agent.id, &agent.slug));
        (events.into_iter().cloned().collect(), displaced)
    });
    let own =
        ListAssignedTasks { agent_id: &agent.id, include_done: Some(false), limit: Some(limits::LIST_ROWS) };
    let own = deps.mission.ask(&own).map_err(backend_failure)?;
    let all = if leads {
        let list = ListTasksByStatus { statuses: &TRACKED_STATUSES, limit: Some(limits::LIST_ROWS) };
        deps.mission.ask(&list).map_err(backend_failure)?
    } else {
        Vec::new()
    };
    let is_paused = |task: &&Task| policy::is_paused(task);
    let paused = own.iter().chain(&all).filter(is_paused).map(|task| task.id.clone()).collect();
    let mut tasks: Vec<TrackedTask> = tracked(own, all, leads).into_iter().map(TrackedTask::from).collect();
    for tracked in tasks.iter_mut().take(THREADS_MAX) {
        let load =
            LoadTask { agent_id: &agent.id, task_id: &tracked.task.id, message_limit: Some(MESSAGES_READ) };
        match deps.mission.ask(&load) {
            Ok(loaded) => tracked.thread = Some(loaded.thread),
            Err(error) if error.class == CallClass::Transient => return Err(backend_failure(error)),
            Err(error) => {
                let item = LogItem::without_work(&agent.slug, Some(&tracked.task.id));
                let error = ("error", Value::from_display(&error));
                deps.log(Level::Info, item, "The thread of a task cannot be read for a heartbeat", &[error]);
            }
        }
    }
    Ok(Board { tasks, events, displaced, checklist: deps.beats.checklist(), paused, lists, at })
}

/// The newest known time of the backend's clock: effects from now on are not older.
pub(super) fn newest(board: &Board, roster: &Roster, created_at: Millis) -> Millis {
    let of_tasks = board.tasks.iter().flat_map(|tracked| {
        let said = tracked.thread.iter().flatten().map(|item| item.created_at).max();
        [Some(tracked.task.updated_at), tracked.task.last_message_at, said]
    });
    let reported = roster.agents().iter().map(|agent| agent.last_heartbeat);
    of_tasks.chain(reported).flatten().max().unwrap_or(created_at)
}
