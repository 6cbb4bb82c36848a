//! The settings of the guardrails.

use super::reader::Reader;
use super::table::{TEAM_DEPTH_MAX, TEAM_TURNS_HARD_MAX, TEAM_TURNS_MAX, TEAM_TURNS_PER_PROGRESS};
use mcr_model::TeamLimits;

/// The limits of the loop brake.
pub(super) fn team_limits(reader: &mut Reader) -> TeamLimits {
    // The ranges in the table are small, so no number is cut.
    let mut number = |variable| u32::try_from(reader.number(variable)).unwrap_or(u32::MAX);
    let limits = TeamLimits {
        turns_max: number(&TEAM_TURNS_MAX),
        depth_max: number(&TEAM_DEPTH_MAX),
        turns_per_progress: number(&TEAM_TURNS_PER_PROGRESS),
        turns_hard_max: number(&TEAM_TURNS_HARD_MAX),
    };
    let TeamLimits { turns_max, turns_hard_max, .. } = limits;
    if turns_hard_max > 0 && turns_hard_max < turns_max {
        reader.warn(
            &TEAM_TURNS_HARD_MAX,
            format!(
                "TEAM_TURNS_HARD_MAX is {turns_hard_max}, less than TEAM_TURNS_MAX ({turns_max}): progress of a task \
                 adds no turns. Set TEAM_TURNS_HARD_MAX to the larger number, or TEAM_TURNS_MAX to the smaller one."
            ),
        );
    }
    limits
}
