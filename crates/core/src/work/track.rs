//! Tracks: the order in which work must run.

use mcr_model::{ConversationId, TaskId};

/// One agent and one subject. Items of one track run in order, one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Track {
    /// The agent that the work is for.
    pub agent: String,
    /// The subject.
    pub lane: Lane,
}

/// The subject of a track.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// One task.
    Task(TaskId),
    /// No task: notifications without one, and the agent's own session.
    NoTask,
    /// The agent's heartbeat. Heartbeats and notifications without a task do not wait for each other.
    Heartbeat,
    /// A conversation of a worker pool.
    Conversation(ConversationId),
}

impl Lane {
    /// The task, if there is one.
    pub fn task(&self) -> Option<&TaskId> {
        match self {
            Self::Task(task) => Some(task),
            Self::NoTask | Self::Heartbeat | Self::Conversation(_) => None,
        }
    }
}

impl Track {
    /// The track of an agent and a task, or of the agent's work without a task.
    pub fn new(agent: impl Into<String>, task: Option<TaskId>) -> Self {
        Self { agent: agent.into(), lane: task.map_or(Lane::NoTask, Lane::Task) }
    }

    /// The track of an agent's heartbeat.
    pub fn heartbeat(agent: impl Into<String>) -> Self {
        Self { agent: agent.into(), lane: Lane::Heartbeat }
    }

    /// The track of a conversation of a worker pool.
    pub fn conversation(agent: impl Into<String>, conversation: ConversationId) -> Self {
        Self { agent: agent.into(), lane: Lane::Conversation(conversation) }
    }

    /// The task, if there is one.
    pub fn task(&self) -> Option<&TaskId> {
        self.lane.task()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_agent_and_lane_is_a_track_of_its_own() {
        let task = |id: &str| Some(TaskId::new(id));
        let tracks = [
            Track::new("a", task("t1")),
            Track::new("a", task("t2")),
            Track::new("b", task("t1")),
            Track::new("a", None),
            Track::new("b", None),
            Track::heartbeat("a"),
            Track::heartbeat("b"),
            Track::conversation("a", ConversationId::new("t1")),
        ];
        let different: HashSet<&Track> = tracks.iter().collect();
        assert_eq!(different.len(), tracks.len());
        assert_eq!(Track::new("a", task("t1")), tracks[0]);
    }

    #[test]
    fn only_a_track_about_a_task_has_one() {
        let task = TaskId::new("t1");
        assert_eq!(Track::new("a", Some(task.clone())).task(), Some(&task));
        assert_eq!(Track::new("a", None).task(), None);
        assert_eq!(Track::heartbeat("a").task(), None);
    }
}
