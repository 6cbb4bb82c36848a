//! The limits of the turns that agents cause among themselves in one thread.

/// How far agents may go in a thread without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TeamLimits {
    /// The turns that agents may cause after a person's message; 0 sets no limit.
    pub turns_max: u32,
    /// The hand-offs from agent to agent in a row; 0 sets no limit.
    pub depth_max: u32,
    /// The turns that each progress of the task adds to [`turns_max`](Self::turns_max).
    pub turns_per_progress: u32,
    /// The turns that agents may cause after a person's message, whatever the progress; 0 sets no limit.
    pub turns_hard_max: u32,
}

impl Default for TeamLimits {
    fn default() -> Self {
        Self { turns_max: 30, depth_max: 12, turns_per_progress: 6, turns_hard_max: 300 }
    }
}
